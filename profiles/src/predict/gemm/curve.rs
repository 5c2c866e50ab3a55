//! Time of one product as a function of its rows.

use super::super::roofline::{Roofline, held_to};
use super::forms::{Form, bytes, flops};
use crate::cost::Evidence;

/// Rows up to which tiles are so low that time is taken to change from row to row.
const LOW_TILES: u32 = 256;
/// Rows of a tile beyond. Measured steps jump where prompts pass multiples of 128 rows.
const TILE_ROWS: u32 = 128;

/// A product with given columns and inner length, compiled.
#[derive(Clone, Debug)]
pub struct GemmCurve {
    pub(super) n: f64,
    pub(super) k: f64,
    pub(super) roofline: Roofline,
    /// The first and last row count whose times are measured, if any are.
    pub(super) measured_rows: Option<(u32, u32)>,
    /// Ascending in rows; not empty.
    pub(super) points: Vec<Point>,
    /// Time that reading the weights takes at least, beside the part that does not depend on them.
    pub(super) cold_ns: Option<f64>,
}

/// The time at a row count that was measured, for this product or others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) rows: u32,
    pub(super) ns: f64,
    /// How far below the roofline the measurements behind it lie; at most 1.
    pub(super) bound_share: f64,
}

impl GemmCurve {
    /// Time for `rows` rows in nanoseconds, and what it stands on. No rows take no time.
    ///
    /// Measured up to the largest row count of the table, if the shape itself is measured or lies between measured ones.
    /// Beyond, time grows as the roofline does, and is extrapolated.
    pub fn ns(&self, rows: u32) -> (f64, Evidence) {
        if rows == 0 {
            return (0.0, Evidence::Measured);
        }
        let m = f64::from(rows);
        let right = self.points.partition_point(|point| point.rows < rows);
        let (ns, share) = match (right.checked_sub(1).map(|left| self.points[left]), self.points.get(right)) {
            (_, Some(point)) if point.rows == rows => (point.ns, point.bound_share),
            (Some(left), Some(right)) => {
                let part = position(rows, left.rows, right.rows);
                let ns = left.ns + part * (right.ns - left.ns);
                (ns, left.bound_share.min(right.bound_share))
            }
            (Some(edge), None) => (self.beyond(m, edge), edge.bound_share),
            (None, Some(edge)) => (self.beyond(m, *edge), edge.bound_share),
            (None, None) => unreachable!("a curve has points"),
        };
        let bound = self.roofline.bound_ns(flops(m, self.n, self.k), bytes(m, self.n, self.k, &self.roofline));
        let measured = self.measured_rows.is_some_and(|(first, last)| (first..=last).contains(&rows));
        let cold_ns = self.cold_ns.map_or(0.0, |cold_ns| cold_ns.max(bound));
        held_to(cold_ns, ns.max(bound * share), measured)
    }

    fn beyond(&self, m: f64, edge: Point) -> f64 {
        let by_law = |m| Form::Roofline.ns(m, self.n, self.k, &self.roofline);
        edge.ns * by_law(m) / by_law(f64::from(edge.rows))
    }

    /// The first and last row count whose times are measured or lie between measured ones; `None`: no time does.
    pub fn measured_rows(&self) -> Option<(u32, u32)> {
        self.measured_rows
    }

    /// The same, but no row count takes longer than a larger one: an engine that pads its batches, or a library that picks
    /// a better kernel, reaches that. Row counts for which a library's heuristics picked badly in the measurement lose
    /// their exact times.
    #[must_use]
    pub fn lower_envelope(mut self) -> Self {
        let (mut least, mut least_share) = (f64::INFINITY, f64::INFINITY);
        for point in self.points.iter_mut().rev() {
            (least, least_share) = (least.min(point.ns), least_share.min(point.bound_share));
            (point.ns, point.bound_share) = (least, least_share);
        }
        self
    }
}

/// Where a row count lies between two others, from 0 to 1: in whole tiles where tiles are high, so that time steps with
/// them.
fn position(rows: u32, left: u32, right: u32) -> f64 {
    let whole = |rows: u32| if rows <= LOW_TILES { rows } else { rows.next_multiple_of(TILE_ROWS) };
    let (from, to) = (whole(left), whole(right));
    let part = |at: u32, from: u32, to: u32| f64::from(at - from) / f64::from(to - from);
    if to > from { part(whole(rows), from, to) } else { part(rows, left, right) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, time, and how far below the roofline it is, of a product with 4096 columns and inner products of 4096.
    fn curve(points: &[(u32, f64, f64)]) -> GemmCurve {
        let device = crate::DeviceSpec::shipped("H100").expect("a shipped device");
        let (weights, activations) = (crate::DType::Bf16, crate::DType::Bf16);
        let format =
            super::super::super::roofline::OperandFormat { weights, activations, scaling: crate::table::Scaling::None };
        let point = |&(rows, ns, bound_share): &(u32, f64, f64)| Point { rows, ns, bound_share };
        GemmCurve {
            n: 4096.0,
            k: 4096.0,
            roofline: Roofline::new(format, &device).expect("bf16 has a peak"),
            measured_rows: Some((1, 16_384)),
            points: points.iter().map(point).collect(),
            cold_ns: None,
        }
    }

    #[test]
    fn under_the_lower_envelope_no_row_count_takes_longer_than_a_larger_one() {
        let points =
            [(16, 9000.0, 0.89), (32, 9500.0, 0.94), (64, 8000.0, 0.78), (128, 8200.0, 0.78), (1024, 60_000.0, 1.0)];
        let curve = curve(&points).lower_envelope();
        let times: Vec<f64> = (1..1200).map(|rows| curve.ns(rows).0).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!((curve.ns(32).0 - 8000.0).abs() < 1e-9);
    }

    #[track_caller]
    fn assert_at(rows: u32, between: (u32, u32), part: f64) {
        let at = position(rows, between.0, between.1);
        assert!((at - part).abs() < 1e-12, "{rows} rows between {between:?}: {at}");
    }

    #[test]
    fn high_tiles_make_stairs() {
        // Nine rows of tiles, between eight and twelve.
        assert_at(1100, (1024, 1536), 0.25);
        assert_at(1152, (1024, 1536), 0.25);
        assert_at(1153, (1024, 1536), 0.5);
        // 1025 rows fill nine rows of tiles already.
        assert_at(1100, (1025, 1280), 0.0);
    }

    #[test]
    fn low_tiles_make_a_line() {
        assert_at(48, (32, 64), 0.5);
        // Between row counts of the same tiles.
        assert_at(1100, (1080, 1120), 0.5);
    }
}
