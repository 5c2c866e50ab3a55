//! Time of one layer's experts as a function of rows and touched experts.

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
    pub(super) cold: bool,
}

/// What was measured, or predicted from measurements, when so many tokens passed.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) tokens: f64,
    pub(super) ln_tokens: f64,
    /// Touched experts, and the logarithm of time over the law's; ascending, not empty.
    pub(super) points: Vec<(f64, f64)>,
    /// How far below the roofline measurements lie; at most 1.
    pub(super) bound_share: f64,
}

impl Column {
    /// The logarithm of time over the law's, where the number of touched experts is held within the measured range.
    #[inline]
    fn ratio(&self, touched: f64) -> f64 {
        let right = self.points.partition_point(|point| point.0 < touched);
        match (right.checked_sub(1).map(|left| self.points[left]), self.points.get(right)) {
            (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (touched - x0) / (x1 - x0),
            (None, Some(&(_, y))) | (Some((_, y)), None) => y,
            (None, None) => 0.0,
        }
    }

    fn least_touched(&self) -> f64 {
        self.points[0].0
    }

    fn most_touched(&self) -> f64 {
        self.points[self.points.len() - 1].0
    }
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
        let measured = self.measured_tokens.is_some_and(|(first, last)| (first..=last).contains(&tokens));
        let tokens = f64::from(tokens);
        let right = self.columns.partition_point(|column| column.tokens < tokens);
        let last = self.columns.len() - 1;
        let (left, right) = (&self.columns[right.saturating_sub(1)], &self.columns[right.min(last)]);
        let within = tokens >= self.columns[0].tokens && tokens <= self.columns[last].tokens;
        let part = if within && right.tokens > left.tokens && tokens < right.tokens {
            (tokens.ln() - left.ln_tokens) / (right.ln_tokens - left.ln_tokens)
        } else {
            1.0
        };
        // Beyond the last column both are the last, and before the first both are the first.
        let (from, to) = (left.ratio(load.touched), right.ratio(load.touched));
        let ns = self.law.ns(load) * (from + part * (to - from)).exp();
        let share = if self.cold { 1.0 } else { left.bound_share.min(right.bound_share) };
        let measured = measured
            && load.touched >= left.least_touched().min(right.least_touched()) * (1.0 - MARGIN)
            && load.touched <= left.most_touched().max(right.most_touched()) * (1.0 + MARGIN);
        (ns.max(self.law.bound_ns(load) * share), if measured { Evidence::Measured } else { Evidence::Extrapolated })
    }

    /// The first and last number of tokens at which times are measured or lie between measured ones; `None`: none does.
    pub fn measured_tokens(&self) -> Option<(u32, u32)> {
        self.measured_tokens
    }
}
