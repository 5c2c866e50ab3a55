//! Products of one format, and how well they predict each other.

use std::collections::BTreeMap;

use super::super::local;
use super::super::roofline::Roofline;
use super::forms::{FORMS, Form, bytes, flops};

/// Ways to look around: neighbours, and the share of what they show that is noise.
const LOOKS: [(usize, f64); 2] = [(12, 0.01), (16, 0.3)];
/// Ways to predict: laws times ways to look around.
pub(super) const WAYS: usize = FORMS.len() * LOOKS.len();
/// Octaves of columns and inner length over which shapes stop resembling each other.
const RANGE: f64 = 3.0;
/// Shapes that are predicted from the others to find the best mixture of laws.
const TRIALS: usize = 64;
/// Errors of trials count up to this, so that one disturbed measurement does not decide.
const MOST_ERROR: f64 = 0.15;
/// How sharply better ways are preferred: one whose error exceeds the least by this share weighs `1/e`.
const PREFERENCE: f64 = 0.1;
/// Fewest neighbours that can show a trend beside a mean.
const TREND: usize = 8;
/// Neighbours farther from the median than this, and than four median deviations, count as if there.
const OUTLYING: f64 = 0.1;

/// Columns and inner length, measured at some row counts.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) n: u32,
    pub(super) k: u32,
    /// Logarithm of nanoseconds at each row count of the family; NaN where not measured.
    pub(super) ln_ns: Vec<f64>,
}

impl Group {
    pub(super) fn place(&self) -> [f64; 2] {
        place(self.n, self.k)
    }
}

/// Where a shape lies: octaves of columns and inner length.
pub(super) fn place(n: u32, k: u32) -> [f64; 2] {
    [f64::from(n).log2(), f64::from(k).log2()]
}

#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) roofline: Roofline,
    /// Row counts, ascending.
    pub(super) rows: Vec<u32>,
    /// Ascending in columns, then inner length.
    pub(super) groups: Vec<Group>,
    /// At each row count, the weight of each way to predict.
    mixture: Vec<[f64; WAYS]>,
    /// Rows left out because a larger product was much faster.
    pub(super) disturbed: usize,
}

/// A prediction at one row count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Predicted {
    pub(super) ln_ns: f64,
    /// Least ratio of a neighbour's time to its roofline.
    pub(super) bound_share: f64,
}

impl Family {
    /// From times in nanoseconds by columns, inner length and rows.
    pub(super) fn new(times: &BTreeMap<(u32, u32), BTreeMap<u32, f64>>, roofline: Roofline) -> Self {
        let mut rows: Vec<u32> = times.values().flat_map(|by_rows| by_rows.keys().copied()).collect();
        rows.sort_unstable();
        rows.dedup();
        let column = |by_rows: &BTreeMap<u32, f64>, m: &u32| by_rows.get(m).map_or(f64::NAN, |ns| ns.ln());
        let groups = times
            .iter()
            .map(|(&(n, k), by_rows)| Group { n, k, ln_ns: rows.iter().map(|m| column(by_rows, m)).collect() })
            .collect();
        let mut family =
            Self { roofline, mixture: vec![[1.0 / WAYS as f64; WAYS]; rows.len()], rows, groups, disturbed: 0 };
        family.leave_out_disturbed();
        family.find_mixture();
        family
    }

    /// Leaves out rows that take half as long again as a product that is no smaller in rows, columns or inner length, and
    /// as the same product with the next fewer and the next more rows: something else ran meanwhile.
    fn leave_out_disturbed(&mut self) {
        let excess = 1.5_f64.ln();
        let least: Vec<Vec<f64>> = self.groups.iter().map(|group| least_from(&group.ln_ns)).collect();
        let mut disturbed = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let larger = |&other: &usize| self.groups[other].n >= group.n && self.groups[other].k >= group.k;
            let near = self.by_distance(group.place(), None).into_iter().take(LOOKS[0].0);
            let larger: Vec<usize> = near.filter(larger).collect();
            for (column, ln_ns) in group.ln_ns.iter().enumerate() {
                let floor = larger.iter().map(|&other| least[other][column]).fold(least[index][column], f64::min);
                let known = |value: &&f64| value.is_finite();
                let before = group.ln_ns[..column].iter().rev().find(known);
                let after = group.ln_ns[column + 1..].iter().find(known);
                let alone = before.into_iter().chain(after).all(|beside| *ln_ns > beside + excess);
                if *ln_ns > floor + excess && alone {
                    disturbed.push((index, column));
                }
            }
        }
        self.disturbed = disturbed.len();
        for (index, column) in disturbed {
            self.groups[index].ln_ns[column] = f64::NAN;
        }
    }

    /// Lets no row count take longer than a larger one of the same shape.
    pub(super) fn lower_envelope(&mut self) {
        for group in &mut self.groups {
            let least = least_from(&group.ln_ns);
            for (ln_ns, least) in group.ln_ns.iter_mut().zip(least).filter(|(ln_ns, _)| ln_ns.is_finite()) {
                *ln_ns = least;
            }
        }
        self.find_mixture();
    }

    /// All groups, nearest first, without one of them.
    fn by_distance(&self, place: [f64; 2], without: Option<usize>) -> Vec<usize> {
        let distance = |group: &Group| {
            let at = group.place();
            (at[0] - place[0]).abs() + (at[1] - place[1]).abs()
        };
        let mut order: Vec<(f64, usize)> = self.groups.iter().map(distance).zip(0..).collect();
        order.retain(|&(_, index)| Some(index) != without);
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.into_iter().map(|(_, index)| index).collect()
    }

    /// Tries each way to predict on some shapes, and prefers at each row count those that do well.
    fn find_mixture(&mut self) {
        if self.groups.len() < 3 {
            return;
        }
        let step = self.groups.len().div_ceil(TRIALS);
        let mut errors = vec![[0.0; WAYS]; self.rows.len()];
        for index in (0..self.groups.len()).step_by(step) {
            let group = &self.groups[index];
            let ways = self.ways(group.n, group.k, Some(index), true);
            for (column, predicted) in ways.iter().enumerate() {
                let (Some((predicted, _)), measured) = (predicted, group.ln_ns[column]) else { continue };
                if measured.is_finite() {
                    for (error, predicted) in errors[column].iter_mut().zip(predicted) {
                        *error += (predicted - measured).abs().min(MOST_ERROR);
                    }
                }
            }
        }
        for (mixture, errors) in self.mixture.iter_mut().zip(&errors) {
            let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
            if least > 0.0 {
                *mixture = errors.map(|error| (-(error / least - 1.0) / PREFERENCE).exp());
                let sum: f64 = mixture.iter().sum();
                *mixture = mixture.map(|weight| weight / sum);
            }
        }
    }

    /// Time of a shape at each row count, from others; `None` where too few neighbours are measured. `trend`: whether
    /// trends of the neighbours are followed, as they should be between them and not beyond.
    pub(super) fn predict(&self, n: u32, k: u32, without: Option<usize>, trend: bool) -> Vec<Option<Predicted>> {
        let mix = |(ways, mixture): (Option<([f64; WAYS], f64)>, &[f64; WAYS])| {
            let (ways, bound_share) = ways?;
            Some(Predicted { ln_ns: ways.iter().zip(mixture).map(|(way, weight)| way * weight).sum(), bound_share })
        };
        self.ways(n, k, without, trend).into_iter().zip(&self.mixture).map(mix).collect()
    }

    /// At each row count the logarithm of time by each way, and the least share of the roofline among neighbours.
    fn ways(&self, n: u32, k: u32, without: Option<usize>, trend: bool) -> Vec<Option<([f64; WAYS], f64)>> {
        let at = place(n, k);
        let order = self.by_distance(at, without);
        let ln_law = |form: Form, n: u32, k: u32, m: f64| form.ns(m, f64::from(n), f64::from(k), &self.roofline).ln();
        // Where the same groups are measured at one row count as at the one before, so are the weights.
        let (mut neighbours, mut weights): (Vec<usize>, [Vec<f64>; LOOKS.len()]) = Default::default();
        let column = |(column, &m): (usize, &u32)| {
            let measured = order.iter().copied().filter(|&index| self.groups[index].ln_ns[column].is_finite());
            let nearest: Vec<usize> = measured.take(LOOKS[LOOKS.len() - 1].0).collect();
            if nearest.is_empty() {
                return None;
            }
            if nearest != neighbours {
                weights =
                    LOOKS.map(|(count, noise)| self.weights(&nearest[..count.min(nearest.len())], at, noise, trend));
                neighbours = nearest;
            }
            let m = f64::from(m);
            let mut ways = [0.0; WAYS];
            for (form, law) in FORMS.iter().enumerate() {
                let ratio = |&index: &usize| {
                    let group = &self.groups[index];
                    group.ln_ns[column] - ln_law(*law, group.n, group.k, m)
                };
                let ratios: Vec<f64> = neighbours.iter().map(ratio).collect();
                for (look, weights) in weights.iter().enumerate() {
                    ways[form * LOOKS.len() + look] = weighted(weights, &ratios) + ln_law(*law, n, k, m);
                }
            }
            let share = |&index: &usize| self.bound_share(index, column);
            Some((ways, neighbours.iter().map(share).fold(1.0, f64::min)))
        };
        self.rows.iter().enumerate().map(column).collect()
    }

    fn weights(&self, neighbours: &[usize], at: [f64; 2], noise: f64, trend: bool) -> Vec<f64> {
        let places: Vec<[f64; 2]> = neighbours.iter().map(|&index| self.groups[index].place()).collect();
        let likeness = |a: &[f64; 2], b: &[f64; 2]| (-(a[0] - b[0]).hypot(a[1] - b[1]) / RANGE).exp();
        let axis = |axis: usize| places.iter().map(|place| place[axis] - at[axis]).collect();
        let drift = if trend && places.len() >= TREND { vec![axis(0), axis(1)] } else { vec![] };
        local::weights(&places, likeness, |place| likeness(place, &at), |_| noise, &drift)
    }

    /// Ratio of a measured time to its roofline; at most 1, and 1 where nothing is measured.
    pub(super) fn bound_share(&self, group: usize, column: usize) -> f64 {
        let group = &self.groups[group];
        let (m, n, k) = (f64::from(self.rows[column]), f64::from(group.n), f64::from(group.k));
        let bound = self.roofline.bound_ns(flops(m, n, k), bytes(m, n, k, &self.roofline));
        let share = group.ln_ns[column].exp() / bound;
        if share < 1.0 { share } else { 1.0 }
    }
}

/// At each index the least value from there on.
fn least_from(values: &[f64]) -> Vec<f64> {
    let mut least = f64::INFINITY;
    let mut all: Vec<f64> = values
        .iter()
        .rev()
        .map(|value| {
            least = least.min(*value);
            least
        })
        .collect();
    all.reverse();
    all
}

/// Weighted mean of the first values, outlying ones brought near.
fn weighted(weights: &[f64], values: &[f64]) -> f64 {
    let values = &values[..weights.len()];
    let middle = median(values.to_vec());
    let spread = median(values.iter().map(|value| (value - middle).abs()).collect());
    let near = (4.0 * spread).max(OUTLYING);
    weights.iter().zip(values).map(|(weight, value)| weight * value.clamp(middle - near, middle + near)).sum()
}

/// Median; NaN of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}
