//! Corrections as sums of piecewise linear functions of a few features.
//!
//! One mathematical object serves every operator: `time = base · exp(surface)`, where the base is physics (a floor, a
//! roofline, tiles) and the surface is what kernels make of it. A term of the surface is given by its values on a grid of
//! knots in up to three features and is linear in each of them between knots, constant beyond the outermost ones. The sum
//! is linear in all values, so that fitting is linear least squares, and fixing some features leaves an object of the same
//! kind, so that a step's cost is looked up in one or two dimensions.

use serde::{Deserialize, Serialize};

use super::feature::{Feature, Point};

/// A feature and the knots along it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// The feature.
    pub feature: Feature,
    /// Its logarithms to base 2 at the knots, at least two, ascending.
    pub knots: Vec<f64>,
}

impl Axis {
    /// The knot at or before `log2` (never the last one), and how far it lies on the way to the next, from 0 to 1.
    #[inline]
    pub fn locate(&self, log2: f64) -> (usize, f64) {
        locate(&self.knots, log2)
    }
}

#[inline]
fn locate(knots: &[f64], x: f64) -> (usize, f64) {
    let index = knots[1..knots.len() - 1].partition_point(|&knot| knot <= x);
    let (left, right) = (knots[index], knots[index + 1]);
    (index, ((x - left) / (right - left)).clamp(0.0, 1.0))
}

/// A function of a few features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Its features and their knots.
    pub axes: Vec<Axis>,
    /// Its values at all combinations of knots; the last axis varies fastest.
    pub values: Vec<f64>,
}

impl Term {
    /// Combinations of knots.
    pub fn grid_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.knots.len()).product()
    }

    /// Calls `corner` with the index of each value that has a part in the value at `point`, and with its part.
    #[inline]
    pub fn corners(&self, point: &Point, mut corner: impl FnMut(usize, f64)) {
        let mut located = [(0, 0.0); MOST_AXES];
        for (place, axis) in located.iter_mut().zip(&self.axes) {
            *place = axis.locate(point.log2(axis.feature));
        }
        let located = &located[..self.axes.len()];
        for bits in 0..1_usize << located.len() {
            let (mut index, mut weight) = (0, 1.0);
            for (dimension, (&(left, share), axis)) in located.iter().zip(&self.axes).enumerate() {
                let right = bits >> dimension & 1;
                index = index * axis.knots.len() + left + right;
                weight *= if right == 1 { share } else { 1.0 - share };
            }
            if weight > 0.0 {
                corner(index, weight);
            }
        }
    }

    fn at(&self, point: &Point) -> f64 {
        let mut sum = 0.0;
        self.corners(point, |index, weight| sum += weight * self.values[index]);
        sum
    }

    fn within(&self, features: &[Feature]) -> bool {
        self.axes.iter().all(|axis| features.contains(&axis.feature))
    }

    /// The same as a function of the features in `free` alone, the others as `point` has them.
    fn fix(&self, point: &Point, free: &[Feature]) -> Self {
        let axes: Vec<Axis> = self.axes.iter().filter(|axis| free.contains(&axis.feature)).cloned().collect();
        let mut fixed = Self { axes, values: Vec::new() };
        fixed.values = fixed.nodes(point).map(|node| self.at(&node)).collect();
        fixed
    }

    /// The points of the grid, in the order of the values, with all other features as `point` has them.
    fn nodes(&self, point: &Point) -> impl Iterator<Item = Point> {
        (0..self.grid_len()).map(move |mut index| {
            let mut node = *point;
            for axis in self.axes.iter().rev() {
                node = node.with_log2(axis.feature, axis.knots[index % axis.knots.len()]);
                index /= axis.knots.len();
            }
            node
        })
    }
}

/// Axes of a term, at most.
pub const MOST_AXES: usize = 3;

/// A sum of terms: the natural logarithm of a correction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Surface {
    /// The terms.
    pub terms: Vec<Term>,
}

impl Surface {
    /// Its value.
    pub fn at(&self, point: &Point) -> f64 {
        self.terms.iter().map(|term| term.at(point)).sum()
    }

    /// Numbers it is made of.
    pub fn values(&self) -> usize {
        self.terms.iter().map(|term| term.values.len()).sum()
    }

    /// What is wrong with it, if anything.
    pub(super) fn problem(&self, features: &[Feature]) -> Option<String> {
        self.terms.iter().find_map(|term| {
            if term.axes.is_empty() || term.axes.len() > MOST_AXES {
                return Some(format!("a term has {} axes; use 1 to {MOST_AXES}", term.axes.len()));
            }
            if !term.within(features) {
                return Some(format!("a term has a feature that this kernel does not have; use {features:?}"));
            }
            let rising = |axis: &Axis| axis.knots.len() > 1 && axis.knots.is_sorted_by(|a, b| a < b);
            if !term.axes.iter().all(|axis| rising(axis) && axis.knots.iter().all(|knot| knot.is_finite())) {
                return Some("knots are not two or more ascending numbers".to_string());
            }
            if term.values.len() != term.grid_len() {
                return Some(format!("a term has {} values for {} knots", term.values.len(), term.grid_len()));
            }
            // A factor of 20,000 is no correction any more.
            let large = term.values.iter().find(|value| !(-10.0..=10.0).contains(*value));
            large.map(|value| format!("the value {value} is out of range; expected -10 to 10"))
        })
    }

    /// The same as a function of the features in `free` alone.
    pub(crate) fn fix(&self, point: &Point, free: &[Feature]) -> Self {
        Self { terms: self.terms.iter().map(|term| term.fix(point, free)).collect() }
    }

    /// The terms that depend on `features` alone, and the rest.
    pub(crate) fn split(self, features: &[Feature]) -> (Self, Self) {
        let (inside, outside) = self.terms.into_iter().partition(|term| term.within(features));
        (Self { terms: inside }, Self { terms: outside })
    }

    fn union_of_knots(&self, feature: Feature) -> Vec<f64> {
        let axes = self.terms.iter().flat_map(|term| &term.axes).filter(|axis| axis.feature == feature);
        let mut knots: Vec<f64> = axes.flat_map(|axis| axis.knots.iter().copied()).collect();
        knots.sort_by(f64::total_cmp);
        knots.dedup();
        if knots.is_empty() { vec![0.0, 1.0] } else { knots }
    }

    /// Compiles a surface of one feature.
    pub(crate) fn line(&self, x: Feature) -> Line {
        let knots = Knots::new(self.union_of_knots(x));
        let values = knots.at.iter().map(|&knot| self.at(&Point::default().with_log2(x, knot))).collect();
        Line { knots, values }
    }

    /// Compiles a surface of two features.
    pub(crate) fn sheet(&self, x: Feature, y: Feature) -> Sheet {
        let (x_knots, y_knots) = (Knots::new(self.union_of_knots(x)), Knots::new(self.union_of_knots(y)));
        let at = |x_knot, y_knot| self.at(&Point::default().with_log2(x, x_knot).with_log2(y, y_knot));
        let rows = x_knots.at.iter().flat_map(|&x_knot| y_knots.at.iter().map(move |&y_knot| (x_knot, y_knot)));
        let values = rows.map(|(x_knot, y_knot)| at(x_knot, y_knot)).collect();
        Sheet { x_knots, y_knots, values }
    }
}

/// Knots, compiled.
#[derive(Clone, Debug, PartialEq)]
struct Knots {
    at: Vec<f64>,
    /// 1 over the distance from each knot to the next.
    inverse_spans: Vec<f64>,
    /// Whether all distances are the same, so that a knot is found without a search.
    even: bool,
}

impl Knots {
    /// Distance of knots that are made even.
    const STEP: f64 = 0.5;

    /// Of these knots, ascending; where they lie on a grid, all of that grid.
    fn new(mut knots: Vec<f64>) -> Self {
        let (first, last) = (knots[0], knots[knots.len() - 1]);
        let even = knots.iter().all(|knot| (knot / Self::STEP).fract() == 0.0);
        if even {
            knots = (0..=((last - first) / Self::STEP) as u32).map(|i| first + f64::from(i) * Self::STEP).collect();
        }
        let inverse_spans = knots.windows(2).map(|pair| 1.0 / (pair[1] - pair[0])).collect();
        Self { at: knots, inverse_spans, even }
    }

    #[inline]
    fn locate(&self, x: f64) -> (usize, f64) {
        let last_span = self.inverse_spans.len() - 1;
        let index = if self.even {
            // Below the first knot, the cast gives 0.
            (((x - self.at[0]) * (1.0 / Self::STEP)) as usize).min(last_span)
        } else {
            self.at[1..=last_span].partition_point(|&knot| knot <= x)
        };
        (index, ((x - self.at[index]) * self.inverse_spans[index]).clamp(0.0, 1.0))
    }
}

/// A surface of one feature, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    knots: Knots,
    values: Vec<f64>,
}

impl Line {
    #[inline]
    pub(crate) fn at(&self, log2: f64) -> f64 {
        let (index, share) = self.knots.locate(log2);
        self.values[index] + share * (self.values[index + 1] - self.values[index])
    }
}

/// A surface of two features, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sheet {
    x_knots: Knots,
    y_knots: Knots,
    values: Vec<f64>,
}

impl Sheet {
    #[inline]
    pub(crate) fn at(&self, x_log2: f64, y_log2: f64) -> f64 {
        let (x, x_share) = self.x_knots.locate(x_log2);
        let (y, y_share) = self.y_knots.locate(y_log2);
        let columns = self.y_knots.at.len();
        let corner = x * columns + y;
        let square = &self.values[corner..corner + columns + 2];
        let left = square[0] + y_share * (square[1] - square[0]);
        let right = square[columns] + y_share * (square[columns + 1] - square[columns]);
        left + x_share * (right - left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(feature: Feature, knots: &[f64]) -> Axis {
        Axis { feature, knots: knots.to_vec() }
    }

    /// Terms over one, two and three features, with values that are no pattern.
    fn surface() -> Surface {
        let terms = [
            vec![axis(Feature::Rows, &[0.0, 4.0, 4.1, 9.0])],
            vec![axis(Feature::Columns, &[1.0, 2.0, 5.0]), axis(Feature::Rows, &[2.0, 6.0])],
            vec![
                axis(Feature::Rows, &[0.0, 3.0, 12.0]),
                axis(Feature::Depth, &[7.0, 9.0]),
                axis(Feature::Columns, &[0.0, 3.0, 4.0]),
            ],
        ];
        let filled = |axes: Vec<Axis>| {
            let mut term = Term { axes, values: Vec::new() };
            term.values = (0..term.grid_len()).map(|i| (i as f64 * 0.7).sin()).collect();
            term
        };
        Surface { terms: terms.into_iter().map(filled).collect() }
    }

    fn point(rows: f64, columns: f64, depth: f64) -> Point {
        let point = Point::default().with_log2(Feature::Rows, rows).with_log2(Feature::Columns, columns);
        point.with_log2(Feature::Depth, depth)
    }

    #[test]
    fn a_surface_takes_its_values_at_the_knots_and_stays_constant_beyond_them() {
        let term = Term { axes: vec![axis(Feature::Rows, &[1.0, 2.0, 4.0])], values: vec![0.1, 0.5, -0.3] };
        let line = Surface { terms: vec![term] };
        for (x, expected) in [(0.0, 0.1), (1.0, 0.1), (1.5, 0.3), (2.0, 0.5), (3.0, 0.1), (4.0, -0.3), (9.0, -0.3)] {
            assert!((line.at(&point(x, 0.0, 0.0)) - expected).abs() < 1e-12, "at {x}");
            assert!((line.line(Feature::Rows).at(x) - expected).abs() < 1e-12, "compiled, at {x}");
        }
    }

    #[test]
    fn fixing_features_and_compiling_change_nothing() {
        let surface = surface();
        for depth in [6.0, 7.0, 8.3, 10.0] {
            let fixed = surface.fix(&point(0.0, 0.0, depth), &[Feature::Rows, Feature::Columns]);
            let sheet = fixed.sheet(Feature::Rows, Feature::Columns);
            for rows in (0..26).map(|i| f64::from(i) * 0.5 - 0.3) {
                for columns in (0..14).map(|i| f64::from(i) * 0.5 - 0.3) {
                    let expected = surface.at(&point(rows, columns, depth));
                    assert!((fixed.at(&point(rows, columns, f64::NAN)) - expected).abs() < 1e-12);
                    assert!((sheet.at(rows, columns) - expected).abs() < 1e-12, "{rows} {columns} {depth}");
                }
            }
        }
    }

    #[test]
    fn the_parts_of_the_corners_sum_to_one() {
        for term in surface().terms {
            for x in [-1.0, 0.5, 4.05, 20.0] {
                let mut sum = 0.0;
                term.corners(&point(x, x, x), |_, weight| sum += weight);
                assert!((sum - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_malformed_surface_is_refused_by_what_is_wrong() {
        let features = [Feature::Rows, Feature::Columns, Feature::Depth];
        assert_eq!(surface().problem(&features), None);
        let mut short = surface();
        short.terms[0].values.pop();
        assert!(short.problem(&features).is_some_and(|problem| problem.contains("3 values for 4 knots")));
        let mut falling = surface();
        falling.terms[1].axes[0].knots.reverse();
        assert!(falling.problem(&features).is_some_and(|problem| problem.contains("ascending")));
        assert!(surface().problem(&features[..2]).is_some_and(|problem| problem.contains("feature")));
        let mut not_a_number = surface();
        not_a_number.terms[2].values[3] = f64::NAN;
        assert!(not_a_number.problem(&features).is_some_and(|problem| problem.contains("out of range")));
    }
}
