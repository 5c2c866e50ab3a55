//! Local interpolation between scattered measurements: universal kriging.
//!
//! The prediction at a point is a weighted mean of what was measured around it. The weights follow from how alike two
//! points are (their covariance), sum to one, and reproduce any trend that is linear in the given drift terms (Matheron,
//! *The theory of regionalized variables*, 1971). They depend on places alone, so that one set of weights serves all
//! quantities measured at the same places.

/// Pivots below this part of the largest entry make a system singular.
const SINGULAR: f64 = 1e-12;

/// Weights of `places.len()` measurements for the value at a target.
///
/// `covariance(a, b)` is the likeness of two places, `to_target(a)` that to the target, and `noise(a)` the variance that a
/// repetition at the same place would not share, above zero. Each of `drift` gives a term of the trend at every place,
/// measured from the target. Terms that do not vary, or that the places cannot tell apart, are left out.
pub(super) fn weights<P>(
    places: &[P],
    covariance: impl Fn(&P, &P) -> f64,
    to_target: impl Fn(&P) -> f64,
    noise: impl Fn(&P) -> f64,
    drift: &[Vec<f64>],
) -> Vec<f64> {
    let with: Vec<&Vec<f64>> = drift.iter().filter(|term| varies(term)).collect();
    let system = |terms: &[&Vec<f64>]| {
        let (count, size) = (places.len(), places.len() + 1 + terms.len());
        let mut matrix = vec![vec![0.0; size + 1]; size];
        for (row, place) in places.iter().enumerate() {
            for (column, other) in places.iter().enumerate() {
                matrix[row][column] = covariance(place, other);
            }
            matrix[row][row] += noise(place);
            matrix[row][size] = to_target(place);
            matrix[row][count] = 1.0;
            matrix[count][row] = 1.0;
            for (term, values) in terms.iter().enumerate() {
                matrix[row][count + 1 + term] = values[row];
                matrix[count + 1 + term][row] = values[row];
            }
        }
        matrix[count][size] = 1.0;
        solve(matrix)
    };
    let solution = system(&with).or_else(|| system(&[])).expect("noise keeps measurements apart");
    solution[..places.len()].to_vec()
}

/// Octaves over which a shape's own departure from its neighbours is alike, its constant part aside.
const SHIFT_RANGE: f64 = 3.0;
/// Variance of the constant part and of measurements, relative to that of the rest.
const SHIFT_CONSTANT: f64 = 1.0;
const SHIFT_NOISE: f64 = 1.0;
/// Own measurements that speak for a place between them, and the largest departure that they may show, as a logarithm.
const SHIFT_POINTS: usize = 8;
const MOST_SHIFT: f64 = 0.3;

/// By how much a shape's own measurements exceed what its neighbours predict, as logarithms at each of `octaves`
/// (ascending): what the nearest own measurements show, drawn towards zero as single measurements are noisy (simple
/// kriging). Zero throughout if the shape has none; `None` where neighbours predict nothing. What is not measured is NaN.
pub(super) fn shifts(octaves: &[f64], measured: &[f64], predicted: &[Option<f64>]) -> Vec<Option<f64>> {
    let known: Vec<(f64, f64)> = (0..octaves.len())
        .filter_map(|column| {
            let shift = measured[column] - predicted[column]?;
            shift.is_finite().then_some((octaves[column], shift.clamp(-MOST_SHIFT, MOST_SHIFT)))
        })
        .collect();
    let at = |column: usize| {
        predicted[column]?;
        let x = octaves[column];
        let mut near = known.clone();
        near.sort_by(|a, b| (a.0 - x).abs().total_cmp(&(b.0 - x).abs()).then(a.0.total_cmp(&b.0)));
        near.truncate(SHIFT_POINTS);
        let covariance = |a: f64, b: f64| SHIFT_CONSTANT + (-(a - b).abs() / SHIFT_RANGE).exp();
        let mut system: Vec<Vec<f64>> = near
            .iter()
            .map(|a| near.iter().map(|b| covariance(a.0, b.0)).chain([covariance(a.0, x)]).collect())
            .collect();
        for (row, values) in system.iter_mut().enumerate() {
            values[row] += SHIFT_NOISE;
        }
        let weights = solve(system).expect("noise keeps measurements apart");
        Some(weights.iter().zip(&near).map(|(weight, point)| weight * point.1).sum())
    };
    (0..octaves.len()).map(at).collect()
}

fn varies(term: &[f64]) -> bool {
    term.iter().any(|value| (value - term[0]).abs() > 1e-9)
}

/// Solves a linear system given as rows with the right-hand side behind; `None`: it is singular.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = rows.len();
    let largest = rows.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
    for pivot in 0..size {
        let best = (pivot..size).max_by(|&a, &b| rows[a][pivot].abs().total_cmp(&rows[b][pivot].abs()))?;
        if rows[best][pivot].abs() <= SINGULAR * largest {
            return None;
        }
        rows.swap(pivot, best);
        let (done, rest) = rows.split_at_mut(pivot + 1);
        let leading = &done[pivot];
        for row in rest {
            let factor = row[pivot] / leading[pivot];
            if factor != 0.0 {
                for (value, lead) in row[pivot..].iter_mut().zip(&leading[pivot..]) {
                    *value -= factor * lead;
                }
            }
        }
    }
    let mut solution = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| rows[row][column] * solution[column]).sum();
        solution[row] = (rows[row][size] - known) / rows[row][row];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(places: &[f64], target: f64, drift: bool) -> Vec<f64> {
        let terms: Vec<f64> = places.iter().map(|place| place - target).collect();
        let drift = if drift { vec![terms] } else { vec![] };
        weights(places, |a, b| (-(a - b).abs()).exp(), |a| (-(a - target).abs()).exp(), |_| 1e-6, &drift)
    }

    #[test]
    fn weights_sum_to_one_and_the_nearest_place_weighs_most() {
        let weights = line(&[0.0, 1.0, 4.0], 0.9, false);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(weights[1] > weights[0] && weights[1] > weights[2]);
    }

    #[test]
    fn a_linear_trend_is_followed_beyond_the_places() {
        let (places, target) = ([0.0, 1.0, 2.0, 3.0], 5.0);
        let predicted: f64 = line(&places, target, true).iter().zip(places).map(|(w, x)| w * (7.0 + 2.0 * x)).sum();
        assert!((predicted - 17.0).abs() < 1e-6, "{predicted}");
    }

    #[test]
    fn a_term_that_does_not_vary_is_left_out() {
        let same = weights(&[1.0, 2.0], |a: &f64, b| (-(a - b).abs()).exp(), |_| 0.5, |_| 0.01, &[vec![3.0, 3.0]]);
        assert!((same.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((same[0] - same[1]).abs() < 1e-9);
    }

    #[test]
    fn singular_systems_are_told_from_solvable_ones() {
        assert_eq!(solve(vec![vec![0.0, 2.0, 4.0], vec![1.0, 0.0, 3.0]]), Some(vec![3.0, 2.0]));
        assert_eq!(solve(vec![vec![1.0, 2.0, 4.0], vec![2.0, 4.0, 8.0]]), None);
    }
}
