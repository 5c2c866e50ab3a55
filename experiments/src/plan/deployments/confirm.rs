//! The best deployments once more, for longer and under other seeds.

use rayon::prelude::*;

use super::judge::Judged;
use super::search::{Deployment, SAME_COST, Searcher};
use super::{Found, Row};
use crate::failure::Failure;
use crate::goodput::{Question, question};

/// So many times the requests.
pub(super) const LONGER: u64 = 10;
/// So many seeds.
pub(super) const SEEDS: u64 = 5;

/// What came out of the long runs.
#[derive(Clone, Debug)]
pub(super) struct Confirmation {
    /// By cost: cheaper deployments that missed by no more than chance, then those that serve.
    pub(super) runs: Vec<Long>,
    /// Index in `runs` of the cheapest that serves in the long runs.
    pub(super) cheapest: Option<usize>,
    /// Index in `runs` of the plan as it was found before.
    pub(super) before: usize,
}

/// A long run.
#[derive(Clone, Debug)]
pub(super) struct Long {
    /// Index of the row in what was found.
    pub(super) row: usize,
    /// What came out.
    pub(super) judged: Judged,
}

/// Simulates the `count` cheapest deployments that serve, and the near misses among cheaper ones, anew.
pub(super) fn confirm(searcher: &Searcher<'_>, found: &Found, count: usize) -> Result<Option<Confirmation>, Failure> {
    let Some(winner) = found.winner else { return Ok(None) };
    let base = searcher.planner.base;
    let Some(workload) = base.workload.longer(LONGER) else {
        return Err(Failure::Request("--confirm needs longer runs, and a trace cannot be made longer".to_owned()));
    };
    let first = base.seeds.iter().max().map_or(0, |seed| seed.saturating_add(1));
    let seeds: Vec<u64> = (first..first.saturating_add(SEEDS)).collect();
    let least_duration_s = base.search.least_duration_s * LONGER as f64;
    let question = Question { workload: &workload, seeds: &seeds, least_duration_s, ..question(base) };
    let chosen = chosen(found, winner, count);
    searcher.planner.progress.expect(chosen.len());
    let run = |&row: &usize| {
        let Row { family, deployment, .. } = &found.rows[row];
        let experiment = searcher.build(family, &deployment.replicas).map_err(Failure::Run)?;
        let judged = Judged::of(&question, &experiment.systems[0], searcher.search.rate)?;
        searcher.planner.progress.done();
        Ok(Long { row, judged })
    };
    let runs: Vec<Result<Long, Failure>> = chosen.par_iter().map(run).collect();
    let runs = runs.into_iter().collect::<Result<Vec<Long>, Failure>>()?;
    let before = chosen.iter().position(|row| *row == winner).expect("the plan is among those that serve");
    let cheapest = cheapest(found, &runs, before);
    Ok(Some(Confirmation { runs, cheapest, before }))
}

/// Near misses and the cheapest that serve, by cost; of equal cost the plan first.
fn chosen(found: &Found, winner: usize, count: usize) -> Vec<usize> {
    let near = found.near_misses();
    let mut serving: Vec<usize> = (0..found.rows.len()).filter(|row| found.rows[*row].deployment.holds()).collect();
    serving.sort_by(|a, b| {
        let key = |row: usize| found.rows[row].deployment.usd_per_hour;
        let same = (key(*a) / key(*b) - 1.0).abs() <= SAME_COST;
        if same { (*b == winner).cmp(&(*a == winner)) } else { key(*a).total_cmp(&key(*b)) }
    });
    near.into_iter().chain(serving.into_iter().take(count)).collect()
}

/// The cheapest that serves in the long runs: the plan as before where none is cheaper.
fn cheapest(found: &Found, runs: &[Long], before: usize) -> Option<usize> {
    let usd = |run: usize| found.rows[runs[run].row].deployment.usd_per_hour;
    let serving: Vec<usize> = (0..runs.len()).filter(|run| runs[*run].judged.holds).collect();
    let least = serving
        .iter()
        .copied()
        .reduce(|best, next| if usd(next) < usd(best) * (1.0 - SAME_COST) { next } else { best })?;
    let as_before = serving.contains(&before) && usd(before) <= usd(least) * (1.0 + SAME_COST);
    Some(if as_before { before } else { least })
}

impl Confirmation {
    /// Whether the plan is the same, and every deployment that served still does.
    pub(super) fn order_held(&self, found: &Found) -> bool {
        let served = |long: &&Long| found.rows[long.row].deployment.holds();
        self.cheapest == Some(self.before) && self.runs.iter().filter(served).all(|long| long.judged.holds)
    }

    /// In words.
    pub(super) fn says(&self, found: &Found) -> String {
        let name = |run: usize| found.rows[self.runs[run].row].name();
        let length = format!("runs {LONGER} times as long under {SEEDS} other seeds");
        let served = |long: &&Long| found.rows[long.row].deployment.holds();
        let (still, all) = (
            self.runs.iter().filter(served).filter(|long| long.judged.holds).count(),
            self.runs.iter().filter(served).count(),
        );
        let doubt = |run: usize| match self.runs[run].judged.certain {
            Some(true) => "beyond their noise",
            _ => "within their noise",
        };
        match self.cheapest {
            None => format!("confirmed by {length}: nothing; none of the {all} serves there"),
            Some(run) if run == self.before && still == all => {
                format!("the order held in {length}: all {all} still serve, and the plan does so {}", doubt(run))
            }
            Some(run) if run == self.before => {
                format!("in {length} the plan still serves, {}; of the {all} that served {still} do", doubt(run))
            }
            Some(run) => format!(
                "the order did not hold in {length}: `{}` {}; the plan is now `{}`",
                name(self.before),
                if self.runs[self.before].judged.holds { "is not the cheapest" } else { "misses the objectives" },
                name(run)
            ),
        }
    }

    /// What is said where nothing serves in the long runs, and no plan is written.
    pub(super) fn refusal(&self, found: &Found) -> String {
        let serving = found.rows.iter().filter(|row| row.deployment.holds()).count();
        let tried = self.runs.iter().filter(|long| found.rows[long.row].deployment.holds()).count();
        let dearer = match serving - tried {
            0 => "no others served in the search: more GPUs, or other settings, have to be searched".to_owned(),
            left => format!(
                "{left} dearer ones that served in the search were not confirmed: a larger --confirm tries them"
            ),
        };
        format!(
            "none of the deployments that were confirmed ({tried}) serves the rate within the objectives in runs {LONGER} times as long \
             (confirmed.csv), so no plan was written; {dearer}"
        )
    }

    /// `confirmed.csv`: one row per deployment.
    pub(super) fn csv(&self, found: &Found) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = [
            "deployment",
            "gpus",
            "usd_per_hour",
            "before_served",
            "before_attainment",
            "attainment",
            "attainment_half_width",
            "serves",
            "beyond_noise",
            "p99_ttft_ms",
            "p99_itl_ms",
            "energy_j_per_output_token",
            "plan",
        ];
        writer.write_record(header).expect("memory takes it");
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for (run, Long { row, judged }) in self.runs.iter().enumerate() {
            let Row { deployment, .. } = &found.rows[*row];
            let Deployment { gpus, usd_per_hour, .. } = deployment;
            let before = deployment.judged().expect("it was simulated before");
            let record = [
                found.rows[*row].name(),
                gpus.to_string(),
                usd_per_hour.to_string(),
                before.holds.to_string(),
                before.attainment().to_string(),
                judged.attainment().to_string(),
                number(judged.half_width()),
                judged.holds.to_string(),
                judged.certain.map(|certain| certain.to_string()).unwrap_or_default(),
                number(judged.figures.p99_ttft_ms),
                number(judged.figures.p99_itl_ms),
                number(judged.figures.energy_j_per_output_token),
                (self.cheapest == Some(run)).to_string(),
            ];
            writer.write_record(record).expect("memory takes it");
        }
        String::from_utf8(writer.into_inner().expect("memory takes it")).expect("text goes in")
    }
}
