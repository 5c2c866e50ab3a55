//! The searches, and what they choose.

use rayon::prelude::*;

use super::base_system;
use super::candidates::{co_located, pairs, shapes};
use super::judge::{Outcome, Planner, Row};
use super::placement::{Placement, Shape};
use crate::experiment::Algorithm;
use crate::failure::Failure;
use crate::goodput::Limited;

/// Candidates that are judged before the next ones are held against the best so far: a fixed number, so that what is left out
/// does not depend on the number of threads.
const WAVE: usize = 8;

/// All that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// Parts and whole plans, in the order of the searches.
    pub(super) rows: Vec<Row>,
    /// Shapes that the model or the servers rule out: why, and how many.
    pub(super) left_out: Vec<(String, u32)>,
    /// Searches that could not be made, and why.
    pub(super) notes: Vec<String>,
    /// The best whole plan, as index of a row.
    pub(super) best: Option<usize>,
}

impl Chosen {
    /// The best whole plan.
    pub(super) fn winner(&self) -> Option<&Row> {
        self.best.map(|index| &self.rows[index])
    }
}

/// Makes every search that is asked for.
pub(super) fn choose(planner: &Planner<'_>) -> Result<Chosen, Failure> {
    let spec = planner.spec;
    let model = &base_system(planner.base, spec).expect("it was checked before").model;
    let (all, left_out) = shapes(spec, model, spec.total_gpus());
    let mut chosen = Chosen { rows: Vec::new(), left_out, notes: Vec::new(), best: None };
    if spec.algorithms.contains(&Algorithm::CoLocated) {
        let candidates = co_located(spec, &all).into_iter().map(|placement| (placement, None)).collect();
        let rows = planner.in_waves(Algorithm::CoLocated, candidates)?;
        let whole = best_of(planner, &rows).map(|row| planner.replicated(row)).transpose()?;
        chosen.rows.extend(rows.into_iter().chain(whole));
    }
    if spec.algorithms.contains(&Algorithm::HighAffinity) {
        high_affinity(planner, &all, &mut chosen)?;
    }
    if spec.algorithms.contains(&Algorithm::LowAffinity) {
        low_affinity(planner, &all, model.layers.len() as u32, &mut chosen)?;
    }
    let whole = |index: &usize| chosen.rows[*index].whole && serves(planner, &chosen.rows[*index]);
    chosen.best = (0..chosen.rows.len())
        .filter(whole)
        .filter_map(|index| Some((index, planner.plan_value(&chosen.rows[index])?)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(index, _)| index);
    Ok(chosen)
}

/// `DistServe`'s algorithm 1: prefill and decode replicas, each by itself, and as many of the best of both as it takes.
fn high_affinity(planner: &Planner<'_>, shapes: &[Shape], chosen: &mut Chosen) -> Result<(), Failure> {
    let slos = planner.base.slos;
    if slos.ttft.is_none() || (slos.tpot.is_none() && slos.tbt.is_none()) {
        let note = "high-affinity was not searched: it judges prefill by `ttft` and decode by `tpot` or `tbt`, and one is not given";
        chosen.notes.push(note.to_owned());
        return Ok(());
    }
    let of = |make: fn(Shape) -> Placement| shapes.iter().cloned().map(|shape| (make(shape), None)).collect();
    let prefill = planner.in_waves(Algorithm::HighAffinity, of(Placement::PrefillOnly))?;
    let decode = planner.in_waves(Algorithm::HighAffinity, of(Placement::DecodeOnly))?;
    let mix = best_mix(planner, &prefill, &decode);
    let some = [&prefill, &decode].map(|rows| rows.iter().any(|row| row.limited().is_some()));
    chosen.rows.extend(prefill.into_iter().chain(decode));
    match mix {
        Some(placement) => chosen.rows.push(planner.judge(Algorithm::HighAffinity, placement, true, None)?),
        None if some == [true, true] => {
            let note = "high-affinity: no prefill and decode replicas that hold a rate fit the GPUs together, in the numbers it takes";
            chosen.notes.push(note.to_owned());
        }
        None => {}
    }
    Ok(())
}

/// Of all mixes of one kind of prefill and one kind of decode replica that fit the GPUs together, the one of the best value by
/// what each holds alone; of equal ones that of the fewest GPUs.
fn best_mix(planner: &Planner<'_>, prefill: &[Row], decode: &[Row]) -> Option<Placement> {
    let mut best: Option<(f64, Placement)> = None;
    for (first, prefills) in prefill.iter().filter_map(|row| Some((row, row.limited()?))) {
        for (second, decodes) in decode.iter().filter_map(|row| Some((row, row.limited()?))) {
            let (Placement::PrefillOnly(of_prefill), Placement::DecodeOnly(of_decode)) =
                (&first.placement, &second.placement)
            else {
                unreachable!("each phase has its own kind")
            };
            let Some((value, (n, m))) = counts(planner, prefills, decodes) else { continue };
            let placement = Placement::Split { prefill: (of_prefill.clone(), n), decode: (of_decode.clone(), m) };
            let wins = best.as_ref().is_none_or(|(known, other)| {
                value > known * (1.0 + 1e-9) || (value >= known * (1.0 - 1e-9) && placement.gpus() < other.gpus())
            });
            if wins {
                best = Some((value, placement));
            }
        }
    }
    best.map(|(_, placement)| placement)
}

/// How many prefill and decode replicas: as many as the rate takes, or, without one, the mix of the best value; and that
/// value. `None` where there are too few GPUs. Energy of a mix is not known from its parts: there, GPUs count.
fn counts(planner: &Planner<'_>, prefill: &Limited, decode: &Limited) -> Option<(f64, (u32, u32))> {
    let (of_prefill, of_decode) = (prefill.rate()?, decode.rate()?);
    let total = planner.spec.total_gpus();
    let gpus = |(n, m): (u32, u32)| n.saturating_mul(prefill.gpus).saturating_add(m.saturating_mul(decode.gpus));
    let value = |pair: (u32, u32)| {
        let (n, m) = (f64::from(pair.0), f64::from(pair.1));
        let rate = planner.spec.rate.unwrap_or((n * of_prefill).min(m * of_decode));
        let usd = prefill.usd_per_hour.zip(decode.usd_per_hour).map(|(prefill, decode)| n * prefill + m * decode);
        planner.value_at(rate, gpus(pair), usd).unwrap_or(rate / f64::from(gpus(pair)))
    };
    if let Some(rate) = planner.spec.rate {
        let pair = ((rate / of_prefill).ceil() as u32, (rate / of_decode).ceil() as u32);
        return (gpus(pair) <= total).then(|| (value(pair), pair));
    }
    (1..=total / prefill.gpus)
        .flat_map(|n| (1..=total / decode.gpus).map(move |m| (n, m)))
        .filter(|&pair| gpus(pair) <= total)
        .map(|pair| (value(pair), pair))
        .reduce(|best, next| if next.0 > best.0 * (1.0 + 1e-9) { next } else { best })
}

/// `DistServe`'s algorithm 2. A pair prefills no faster than its prefill replica by itself, which bounds it.
fn low_affinity(planner: &Planner<'_>, all: &[Shape], layers: u32, chosen: &mut Chosen) -> Result<(), Failure> {
    let within: Vec<Shape> = all.iter().filter(|shape| shape.gpus() < planner.spec.gpus_per_node).cloned().collect();
    let pairs = pairs(planner.spec, &within, layers);
    let mut prefills: Vec<Placement> = Vec::new();
    if planner.base.slos.ttft.is_some() {
        for pair in &pairs {
            let Placement::Split { prefill: (shape, _), .. } = pair else { unreachable!("pairs are split") };
            let alone = Placement::PrefillOnly(shape.clone());
            if !prefills.contains(&alone) {
                prefills.push(alone);
            }
        }
    }
    let known: Vec<Row> = chosen.rows.iter().filter(|row| prefills.contains(&row.placement)).cloned().collect();
    prefills.retain(|placement| !known.iter().any(|row| row.placement == *placement && row.limited().is_some()));
    let judged = planner.all(Algorithm::LowAffinity, &prefills)?;
    let mut bounds = known;
    bounds.extend(judged.iter().cloned());
    chosen.rows.extend(judged);
    let mut candidates = Vec::new();
    for pair in pairs {
        let Placement::Split { prefill: (shape, _), .. } = &pair else { unreachable!("pairs are split") };
        let alone = Placement::PrefillOnly(shape.clone());
        match bounds.iter().rev().find(|row| row.placement == alone).map(|row| &row.outcome) {
            Some(Outcome::Out(reason)) if !reason.starts_with("holds even") => {
                let outcome = Outcome::Out(format!("its prefill replica alone: {reason}"));
                chosen.rows.push(Row { algorithm: Algorithm::LowAffinity, placement: pair, whole: false, outcome });
            }
            Some(Outcome::Holds(limited)) => {
                let rate = limited.rate().unwrap_or(f64::INFINITY) * (1.0 + planner.base.search.tolerance);
                let usd = limited.usd_per_hour.map(|usd| usd * f64::from(pair.gpus()) / f64::from(limited.gpus));
                let bound = planner.value_at(rate, pair.gpus(), usd);
                candidates.push((pair, bound));
            }
            _ => candidates.push((pair, None)),
        }
    }
    let rows = planner.in_waves(Algorithm::LowAffinity, candidates)?;
    let whole = best_of(planner, &rows).map(|row| planner.replicated(row)).transpose()?;
    chosen.rows.extend(rows.into_iter().chain(whole));
    Ok(())
}

/// The row of the best value; of equal ones that of the fewest GPUs, then the first.
fn best_of<'a>(planner: &Planner<'_>, rows: &'a [Row]) -> Option<&'a Row> {
    let valued = rows.iter().filter_map(|row| Some((row, planner.value(row.limited()?)?)));
    let better = |best: (&'a Row, f64), next: (&'a Row, f64)| {
        let wins = next.1 > best.1 || (next.1 >= best.1 && next.0.placement.gpus() < best.0.placement.gpus());
        if wins { next } else { best }
    };
    valued.reduce(better).map(|(row, _)| row)
}

/// Whether a whole plan fits the GPUs there are and holds the rate it is for.
fn serves(planner: &Planner<'_>, row: &Row) -> bool {
    let holds = row.limited().and_then(Limited::rate);
    let enough = planner.spec.rate.is_none_or(|rate| holds.is_some_and(|holds| holds >= rate));
    row.placement.gpus() <= planner.spec.total_gpus() && holds.is_some() && enough
}

impl Planner<'_> {
    /// Judges candidates, best bound first, and leaves out those whose bound is below the best value found before their wave.
    fn in_waves(&self, algorithm: Algorithm, candidates: Vec<(Placement, Option<f64>)>) -> Result<Vec<Row>, Failure> {
        self.progress.expect(candidates.len());
        let mut candidates: Vec<_> = candidates;
        let order = |bound: &Option<f64>| bound.unwrap_or(f64::INFINITY);
        candidates.sort_by(|a, b| order(&b.1).total_cmp(&order(&a.1)));
        let mut rows: Vec<Row> = Vec::new();
        for wave in candidates.chunks(WAVE) {
            let best = best_of(self, &rows).and_then(|row| self.value(row.limited()?));
            let judged: Vec<Result<Row, Failure>> = wave
                .par_iter()
                .map(|(placement, bound)| match (bound, best) {
                    (Some(bound), Some(best)) if *bound < best => {
                        self.progress.done();
                        let outcome = Outcome::Out("bounded by its prefill replica alone below the best".to_owned());
                        Ok(Row { algorithm, placement: placement.clone(), whole: false, outcome })
                    }
                    _ => self.judge(algorithm, placement.clone(), false, best),
                })
                .collect();
            rows.extend(judged.into_iter().collect::<Result<Vec<_>, _>>()?);
        }
        Ok(rows)
    }

    /// Judges every one.
    fn all(&self, algorithm: Algorithm, placements: &[Placement]) -> Result<Vec<Row>, Failure> {
        self.progress.expect(placements.len());
        let one = |placement: &Placement| self.judge(algorithm, placement.clone(), false, None);
        let judged: Vec<Result<Row, Failure>> = placements.par_iter().map(one).collect();
        judged.into_iter().collect()
    }

    /// The whole plan of a part: so many of it as the rate takes, judged anew unless that is one.
    fn replicated(&self, part: &Row) -> Result<Row, Failure> {
        let holds = part.limited().and_then(Limited::rate).expect("the best part holds a rate");
        let count = self.spec.rate.map_or(1, |rate| (rate / holds).ceil() as u32);
        if count == 1 {
            return Ok(Row { whole: true, ..part.clone() });
        }
        let placement = match part.placement.clone() {
            Placement::Serve { shape, budget, .. } => Placement::Serve { shape, replicas: count, budget },
            Placement::Split { prefill: (prefill, _), decode: (decode, _) } => {
                Placement::Split { prefill: (prefill, count), decode: (decode, count) }
            }
            Placement::PrefillOnly(_) | Placement::DecodeOnly(_) => unreachable!("one phase is no plan"),
        };
        self.judge(part.algorithm, placement, true, None)
    }
}
