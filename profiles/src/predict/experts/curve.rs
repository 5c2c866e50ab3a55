//! Time of one layer's experts as a function of rows and touched experts.

use super::super::roofline::held_to;
use super::law::Law;
use super::routing::ExpertsLoad;
use crate::cost::Evidence;

/// Part by which the number of touched experts may leave the measured range.
const MARGIN: f64 = 0.2;

/// The experts of one layer as one GPU holds them, compiled.
#[derive(Clone, Debug)]
pub struct ExpertsCurve {
    pub(super) law: Law,
    /// The first and last number of tokens whose times are measured, if any are.
    pub(super) measured_tokens: Option<(u32, u32)>,
    /// Ascending in tokens; not empty.
    pub(super) columns: Vec<Column>,
    pub(super) places: Vec<Place>,
    pub(super) cold: bool,
}

/// What was measured, or predicted from measurements, when so many tokens passed.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) tokens: u32,
    /// Touched experts, and time over the law's; ascending, not empty.
    pub(super) points: Vec<(f64, f64)>,
    /// How far below the roofline measurements lie; at most 1.
    pub(super) bound_share: f64,
}

impl Column {
    /// Time over the law's, where the number of touched experts is held within the measured range.
    #[inline]
    fn ratio(&self, touched: f64) -> f64 {
        let right = self.points.partition_point(|point| point.0 < touched);
        match (right.checked_sub(1).map(|left| self.points[left]), self.points.get(right)) {
            (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (touched - x0) / (x1 - x0),
            (None, Some(&(_, y))) | (Some((_, y)), None) => y,
            (None, None) => 1.0,
        }
    }

    fn least_touched(&self) -> f64 {
        self.points[0].0
    }

    fn most_touched(&self) -> f64 {
        self.points[self.points.len() - 1].0
    }
}

/// Numbers of tokens up to which places are tabulated.
const MOST_TABULATED: u32 = 16_384;

/// Where a number of tokens lies: between this column and the next, so far along their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    left: u32,
    part: f32,
}

/// The place of each number of tokens from none on, up to the last column.
pub(super) fn places(columns: &[Column]) -> Vec<Place> {
    let last = columns.last().map_or(0, |column| column.tokens);
    (0..=last.min(MOST_TABULATED)).map(|tokens| place(columns, tokens)).collect()
}

/// Before the first column it is the first, and beyond the last the last.
fn place(columns: &[Column], tokens: u32) -> Place {
    let right = columns.partition_point(|column| column.tokens <= tokens);
    let left = right.saturating_sub(1);
    let ln = |tokens: u32| f64::from(tokens).ln();
    let part = match columns.get(right) {
        Some(next) if right > 0 => {
            let from = ln(columns[left].tokens);
            (ln(tokens) - from) / (ln(next.tokens) - from)
        }
        _ => 0.0,
    };
    Place { left: left as u32, part: part as f32 }
}

impl ExpertsCurve {
    /// Time in nanoseconds when `tokens` rows pass through the layer, counted before they are copied for their experts
    /// and over all GPUs that share it, and this load reaches the GPU; and what it stands on. No rows take no time.
    ///
    /// Beyond the tokens measured, and where a fifth fewer or more experts are touched than at any measured routing, time
    /// goes on as roofline and law do, and is extrapolated.
    #[inline]
    pub fn ns(&self, tokens: u32, load: ExpertsLoad) -> (f64, Evidence) {
        if tokens == 0 {
            return (0.0, Evidence::Measured);
        }
        let place = self.places.get(tokens as usize).copied().unwrap_or_else(|| place(&self.columns, tokens));
        let left = &self.columns[place.left as usize];
        let right = self.columns.get(place.left as usize + 1).unwrap_or(left);
        let (from, to) = (left.ratio(load.touched), right.ratio(load.touched));
        let ns = self.law.ns(load) * (from + f64::from(place.part) * (to - from));
        let bound_ns = self.law.bound_ns(load);
        let ns = ns.max(bound_ns * left.bound_share.min(right.bound_share));
        let measured = self.measured_tokens.is_some_and(|(first, last)| (first..=last).contains(&tokens))
            && load.touched >= left.least_touched().min(right.least_touched()) * (1.0 - MARGIN)
            && load.touched <= left.most_touched().max(right.most_touched()) * (1.0 + MARGIN);
        held_to(if self.cold { bound_ns } else { 0.0 }, ns, measured)
    }

    /// The first and last number of tokens at which times are measured or lie between measured ones; `None`: none does.
    pub fn measured_tokens(&self) -> Option<(u32, u32)> {
        self.measured_tokens
    }
}
