//! Robust least squares for surfaces.

use profiles::fitted::{Axis, Point, Surface, Term};

/// Residuals (of the logarithm of time) from which rows count less: their weight falls with the residual's size, so that
/// large ones count as in a sum of absolute residuals. A surface fitted so has as many rows above as below it.
const LARGE_RESIDUAL: f64 = 0.03;
/// Rounds of reweighting.
const ROUNDS: u32 = 12;
/// Weight of squared second differences between neighbouring knots, per row: fills what few rows decide by the neighbours.
const SMOOTHNESS_PER_ROW: f64 = 1e-5;
/// Weight of squared values: decides what the rows leave open, such as a constant that two terms share, and keeps
/// corners that few rows are near from running away.
const SHRINKAGE: f64 = 1e-2;
/// Rows near a knot below which it is dropped.
const FEWEST_ROWS_PER_KNOT: f64 = 1.0;

/// Rows for each value of a surface, at least: fewer would be copied, not distilled.
const FEWEST_ROWS_PER_VALUE: usize = 2;

/// Fits terms over `axes` to the values of a logarithm at points. Knots that no row is near are dropped, and axes that
/// keep no two of them; all `values` must be finite. Where rows are few, so are the knots.
pub(super) fn fit(axes: &[Vec<Axis>], points: &[Point], values: &[f64]) -> Surface {
    let mut surface = terms(axes, points);
    while grid_len(&surface) * FEWEST_ROWS_PER_VALUE > points.len() {
        let mut fewer: Vec<Vec<Axis>> = surface.terms.into_iter().map(|term| term.axes).collect();
        if !thin(&mut fewer) {
            fewer.pop();
        }
        surface = terms(&fewer, points);
    }
    if surface.terms.is_empty() || points.is_empty() {
        return Surface::default();
    }
    let rows: Vec<Vec<(usize, f64)>> = points.iter().map(|point| design_row(&surface, point)).collect();
    let penalty = penalty(&surface, points.len() as f64);
    let mut weights = vec![1.0; rows.len()];
    let mut solution = Vec::new();
    for _ in 0..ROUNDS {
        solution = solve(&rows, values, &weights, &penalty);
        for ((weight, row), value) in weights.iter_mut().zip(&rows).zip(values) {
            let fitted: f64 = row.iter().map(|&(index, part)| part * solution[index]).sum();
            *weight = LARGE_RESIDUAL / (value - fitted).abs().max(LARGE_RESIDUAL);
        }
    }
    let mut solution = solution.into_iter();
    for term in &mut surface.terms {
        term.values = solution.by_ref().take(term.grid_len()).collect();
    }
    surface
}

/// Terms with the knots that rows are near; of those that come down to the same features, the first.
fn terms(axes: &[Vec<Axis>], points: &[Point]) -> Surface {
    let mut terms: Vec<Term> = Vec::new();
    for term in axes.iter().filter_map(|axes| term(axes, points)) {
        let features = |term: &Term| {
            let mut features: Vec<_> = term.axes.iter().map(|axis| axis.feature).collect();
            features.sort_unstable();
            features
        };
        if !terms.iter().any(|known| features(known) == features(&term)) {
            terms.push(term);
        }
    }
    Surface { terms }
}

fn grid_len(surface: &Surface) -> usize {
    surface.terms.iter().map(Term::grid_len).sum()
}

/// Drops every second knot between the outermost ones of the axis that has most; tells whether there was one.
fn thin(axes: &mut [Vec<Axis>]) -> bool {
    let longest = axes.iter_mut().flatten().max_by_key(|axis| axis.knots.len());
    let Some(axis) = longest.filter(|axis| axis.knots.len() > 2) else { return false };
    let last = axis.knots.len() - 1;
    let mut index = 0..;
    axis.knots.retain(|_| {
        let index = index.next().expect("counting has no end");
        index == last || index % 2 == 0
    });
    true
}

/// A term over these axes with the knots that rows are near; `None`: no axis keeps two.
fn term(axes: &[Axis], points: &[Point]) -> Option<Term> {
    let axes: Vec<Axis> = axes.iter().filter_map(|axis| supported(axis, points)).collect();
    (!axes.is_empty()).then(|| Term { axes, values: Vec::new() })
}

fn supported(axis: &Axis, points: &[Point]) -> Option<Axis> {
    let mut axis = axis.clone();
    while axis.knots.len() > 1 {
        let mut support = vec![0.0; axis.knots.len()];
        for point in points {
            let (left, share) = axis.locate(point.log2(axis.feature));
            support[left] += 1.0 - share;
            support[left + 1] += share;
        }
        match support.iter().position(|&rows| rows < FEWEST_ROWS_PER_KNOT) {
            Some(index) => drop(axis.knots.remove(index)),
            None => return Some(axis),
        }
    }
    None
}

/// The values that have a part in the surface at a point, counted through all terms, and their parts.
fn design_row(surface: &Surface, point: &Point) -> Vec<(usize, f64)> {
    let mut row = Vec::new();
    let mut start = 0;
    for term in &surface.terms {
        term.corners(point, |index, part| row.push((start + index, part)));
        start += term.grid_len();
    }
    row
}

/// A symmetric matrix; only the part on and below the diagonal is kept.
#[derive(Clone)]
struct Symmetric {
    size: usize,
    entries: Vec<f64>,
}

impl Symmetric {
    fn zero(size: usize) -> Self {
        Self { size, entries: vec![0.0; size * size] }
    }

    fn add(&mut self, row: usize, column: usize, value: f64) {
        if column <= row {
            self.entries[row * self.size + column] += value;
        }
    }

    /// Adds `weight · v · vᵀ` for a sparse vector.
    fn add_outer(&mut self, vector: &[(usize, f64)], weight: f64) {
        for &(row, left) in vector {
            for &(column, right) in vector {
                self.add(row, column, weight * left * right);
            }
        }
    }

    /// Solves `self · x = right` by Cholesky's decomposition; `self` is positive definite.
    fn solve(mut self, mut right: Vec<f64>) -> Vec<f64> {
        let size = self.size;
        for row in 0..size {
            for column in 0..=row {
                let (before, rest) = self.entries.split_at_mut(row * size);
                let this = &rest[..size];
                let other = if column == row { this } else { &before[column * size..][..size] };
                let dot: f64 = this[..column].iter().zip(&other[..column]).map(|(a, b)| a * b).sum();
                let value = rest[column] - dot;
                rest[column] = if column == row { value.sqrt() } else { value / before[column * size + column] };
            }
        }
        for row in 0..size {
            let dot: f64 = (0..row).map(|column| self.entries[row * size + column] * right[column]).sum();
            right[row] = (right[row] - dot) / self.entries[row * size + row];
        }
        for row in (0..size).rev() {
            let dot: f64 = (row + 1..size).map(|below| self.entries[below * size + row] * right[below]).sum();
            right[row] = (right[row] - dot) / self.entries[row * size + row];
        }
        right
    }
}

/// Second differences along every axis of every term, and the values themselves.
fn penalty(surface: &Surface, rows: f64) -> Symmetric {
    let mut matrix = Symmetric::zero(grid_len(surface));
    let mut start = 0;
    for term in &surface.terms {
        let mut stride = 1;
        for axis in term.axes.iter().rev() {
            let knots = axis.knots.len();
            for index in 0..term.grid_len() {
                if (1..knots - 1).contains(&(index / stride % knots)) {
                    let middle = start + index;
                    let difference = [(middle - stride, 1.0), (middle, -2.0), (middle + stride, 1.0)];
                    matrix.add_outer(&difference, SMOOTHNESS_PER_ROW * rows);
                }
            }
            stride *= knots;
        }
        start += term.grid_len();
    }
    for index in 0..matrix.size {
        matrix.add(index, index, SHRINKAGE);
    }
    matrix
}

fn solve(rows: &[Vec<(usize, f64)>], values: &[f64], weights: &[f64], penalty: &Symmetric) -> Vec<f64> {
    let mut normal = penalty.clone();
    let mut right = vec![0.0; normal.size];
    for ((row, value), weight) in rows.iter().zip(values).zip(weights) {
        normal.add_outer(row, *weight);
        for &(index, part) in row {
            right[index] += weight * part * value;
        }
    }
    normal.solve(right)
}

#[cfg(test)]
mod tests {
    use profiles::fitted::Feature;

    use super::*;

    fn axis(feature: Feature, knots: &[f64]) -> Axis {
        Axis { feature, knots: knots.to_vec() }
    }

    /// Points on a grid of rows and columns, three per octave.
    fn points() -> Vec<Point> {
        let octaves = |count: u32| (0..=3 * count).map(|i| f64::from(i) / 3.0);
        let point = |rows: f64, columns: f64| {
            Point::default().with(Feature::Rows, rows.exp2()).with(Feature::Columns, columns.exp2())
        };
        octaves(10).flat_map(|rows| octaves(6).map(move |columns| point(rows, columns))).collect()
    }

    fn axes() -> Vec<Vec<Axis>> {
        let rows = axis(Feature::Rows, &[0.0, 3.0, 5.0, 10.0]);
        vec![vec![rows, axis(Feature::Columns, &[0.0, 2.0, 6.0])], vec![axis(Feature::Columns, &[0.0, 4.0, 6.0])]]
    }

    /// A surface that the axes can represent.
    fn truth(point: &Point) -> f64 {
        let term = |axes: &[Axis], seed: f64| {
            let mut term = Term { axes: axes.to_vec(), values: Vec::new() };
            term.values = (0..term.grid_len()).map(|i| (seed + i as f64).sin() * 0.3).collect();
            term
        };
        Surface { terms: vec![term(&axes()[0], 0.5), term(&axes()[1], 2.0)] }.at(point)
    }

    #[test]
    fn a_surface_within_reach_is_recovered() {
        let points = points();
        let values: Vec<f64> = points.iter().map(truth).collect();
        let fitted = fit(&axes(), &points, &values);
        for (point, value) in points.iter().zip(&values) {
            assert!((fitted.at(point) - value).abs() < 2e-3, "{} instead of {value}", fitted.at(point));
        }
    }

    #[test]
    fn a_tenth_of_wild_rows_moves_the_surface_little() {
        let points = points();
        let wild = |(index, point): (usize, &Point)| truth(point) + if index % 10 == 3 { 1.0 } else { 0.0 };
        let values: Vec<f64> = points.iter().enumerate().map(wild).collect();
        let fitted = fit(&axes(), &points, &values);
        let mut errors: Vec<f64> = points.iter().map(|point| fitted.at(point) - truth(point)).collect();
        errors.sort_by(f64::total_cmp);
        let median = errors[errors.len() / 2];
        assert!(median.abs() < 0.01, "biased by {median}");
        assert!(errors[errors.len() * 95 / 100] < 0.05, "{errors:?}");
    }

    #[test]
    fn knots_that_no_row_is_near_are_dropped() {
        let points = points();
        let beyond = vec![vec![axis(Feature::Rows, &[-4.0, 0.0, 10.0, 14.0]), axis(Feature::Columns, &[8.0, 9.0])]];
        let fitted = fit(&beyond, &points, &vec![0.2; points.len()]);
        assert_eq!(fitted.terms[0].axes, [axis(Feature::Rows, &[0.0, 10.0])]);
        assert!((fitted.at(&points[7]) - 0.2).abs() < 1e-3);
    }

    #[test]
    fn few_rows_get_few_values() {
        let points: Vec<Point> = points().into_iter().step_by(7).collect();
        let fitted = fit(&axes(), &points, &vec![0.2; points.len()]);
        assert!(fitted.values() * FEWEST_ROWS_PER_VALUE <= points.len(), "{} of {}", fitted.values(), points.len());
        assert!((fitted.at(&points[7]) - 0.2).abs() < 1e-3);
    }

    #[test]
    fn equations_are_solved() {
        let mut matrix = Symmetric::zero(3);
        for (row, entries) in [[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [-2.0, 0.5, 3.0]].iter().enumerate() {
            for (column, entry) in entries.iter().enumerate() {
                matrix.add(row, column, *entry);
            }
        }
        let solution = matrix.solve(vec![4.0 + 2.0 - 6.0, 1.0 + 10.0 + 1.5, -2.0 + 1.0 + 9.0]);
        for (found, expected) in solution.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{solution:?}");
        }
    }
}
