//! Timing many points into a table: what is left, in which order, until when.

use std::collections::BTreeSet;

use profiles::table::Timing;

use super::bench::{Bench, BenchError, Sample};
use super::point::Point;
use super::statistics::{percentile, timing};
use super::store::{Store, StoreError};
use crate::numbers::Random;

/// One point in this many is timed again at the end.
const RETIMED: usize = 20;
/// Points between two writings of the table.
const SAVED_EVERY: usize = 16;

/// Why measuring ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Every point is there or cannot be timed.
    Complete,
    /// The budget is spent; the rest can be measured by running again.
    Budget,
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Points that were there before.
    pub skipped: usize,
    /// Points timed now.
    pub timed: usize,
    /// Points left for another run.
    pub left: usize,
    /// Points that cannot be timed, with the reason.
    pub unmeasurable: Vec<(Point, String)>,
    /// Points timed again: time at the end over time before.
    pub drift: Vec<f64>,
    /// Why it ended.
    pub stop: Stop,
}

impl Outcome {
    /// Median and the farthest from 1 of the times at the end over those before.
    pub fn drift_summary(&self) -> Option<(f64, f64)> {
        let mut sorted = self.drift.clone();
        sorted.sort_by(f64::total_cmp);
        let farthest = self.drift.iter().copied().max_by(|a, b| (a - 1.0).abs().total_cmp(&(b - 1.0).abs()))?;
        Some((percentile(&sorted, 0.5)?, farthest))
    }
}

/// Points to be timed into a table.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// The points, in any order.
    pub points: &'a [Point],
    /// Fixes the order of timing.
    pub seed: u64,
    /// When to stop, in the bench's seconds.
    pub until_s: f64,
}

impl Campaign<'_> {
    /// Times what is left into `store`, and calls `progress` with the points done and wanted in this run.
    ///
    /// # Errors
    ///
    /// If the device fails or the table cannot be written; what was timed before that is written in the first case.
    pub fn run(
        &self,
        bench: &mut dyn Bench,
        store: &mut Store,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Outcome, CampaignError> {
        let left = self.left(store);
        let mut outcome = Outcome {
            skipped: self.points.len() - left.len(),
            timed: 0,
            left: left.len(),
            unmeasurable: Vec::new(),
            drift: Vec::new(),
            stop: Stop::Complete,
        };
        let mut timed: Vec<(&Point, Timing)> = Vec::new();
        for (index, point) in left.iter().enumerate() {
            if bench.elapsed_s() >= self.until_s {
                outcome.stop = Stop::Budget;
                break;
            }
            match time(bench, point) {
                Ok((measured, timing)) => {
                    measured.add_to(store.rows_mut(), timing);
                    timed.push((point, timing));
                    outcome.timed += 1;
                    if outcome.timed.is_multiple_of(SAVED_EVERY) {
                        store.save()?;
                    }
                }
                Err(BenchError::Unmeasurable(reason)) => outcome.unmeasurable.push(((*point).clone(), reason)),
                Err(error @ BenchError::Failed(_)) => {
                    store.save()?;
                    return Err(CampaignError::Bench { point: point.shape().join(", "), error });
                }
            }
            outcome.left -= 1;
            progress(index + 1, left.len());
        }
        // Before anything is timed again: a device that fails then must not take the last rows with it.
        if outcome.timed > 0 {
            store.save()?;
        }
        self.retime(bench, &timed, &mut outcome)?;
        if let Some((median, farthest)) = outcome.drift_summary() {
            store.set_notes(format!(
                "drift: {} points of the last run timed again at its end took {:+.1} % (median), {:+.1} % (farthest)",
                outcome.drift.len(),
                (median - 1.0) * 100.0,
                (farthest - 1.0) * 100.0
            ));
            store.save()?;
        }
        Ok(outcome)
    }

    /// Points that the table does not hold, each once, in the seed's order.
    fn left(&self, store: &Store) -> Vec<&Point> {
        let mut there: BTreeSet<Vec<String>> =
            Point::of_rows(store.rows()).iter().map(|(point, _)| point.key()).collect();
        let mut left: Vec<&Point> = self.points.iter().filter(|point| there.insert(point.key())).collect();
        Random::new(self.seed).shuffle(&mut left);
        left
    }

    /// Times one in twenty again; even when the budget is spent, because a drift that nobody saw is worse.
    fn retime(
        &self,
        bench: &mut dyn Bench,
        timed: &[(&Point, Timing)],
        outcome: &mut Outcome,
    ) -> Result<(), CampaignError> {
        let mut again: Vec<&(&Point, Timing)> = timed.iter().collect();
        Random::new(self.seed ^ 1).shuffle(&mut again);
        again.truncate(timed.len().div_ceil(RETIMED));
        for (point, before) in again {
            match time(bench, point) {
                Ok((_, after)) => outcome.drift.push(after.time_us / before.time_us),
                Err(BenchError::Unmeasurable(reason)) => outcome.unmeasurable.push(((*point).clone(), reason)),
                Err(error @ BenchError::Failed(_)) => {
                    return Err(CampaignError::Bench { point: point.shape().join(", "), error });
                }
            }
        }
        Ok(())
    }
}

/// Why a campaign ended early.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The device failed.
    #[error("timing {point}: {error}")]
    Bench {
        /// The point's shape.
        point: String,
        /// What it said.
        error: BenchError,
    },
    /// The table cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Times a point, and returns it as it was measured.
fn time(bench: &mut dyn Bench, point: &Point) -> Result<(Point, Timing), BenchError> {
    let sample: Sample = bench.time(point)?;
    let impossible = || BenchError::Failed(format!("times that cannot be: {:?}", sample.times_us));
    let timing = timing(&sample).ok_or_else(impossible)?;
    let mut measured = point.clone();
    if let Point::Experts(row) = &mut measured {
        row.touched_experts = sample.touched_experts.or(row.touched_experts);
    }
    Ok((measured, timing))
}

#[cfg(test)]
mod tests;
