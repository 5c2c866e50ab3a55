//! Ordinary kriging over the nearest measured points.
//!
//! A value is predicted as the weighted mean of its neighbours that is best if values at a distance `d` correlate by the
//! Matérn function of order 3/2, `(1 + √3·d)·exp(−√3·d)`. Coordinates are scaled so that a distance of 1 is one
//! correlation length. Far from every point the prediction falls back to the mean of the nearest ones.

/// Neighbours that a prediction looks at.
const NEIGHBOURS: usize = 32;
/// Variance of the noise of a measurement, relative to that of the field.
const NOISE: f64 = 0.01;

/// Values measured at scattered points of a space with `D` coordinates.
#[derive(Clone, Debug)]
pub(super) struct Kriging<const D: usize> {
    points: Vec<[f64; D]>,
    values: Vec<f64>,
}

/// What is predicted at a point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimate {
    /// The value.
    pub(super) value: f64,
    /// Distance to the nearest measured point in correlation lengths.
    pub(super) nearest: f64,
    /// The points looked at, by their index, nearest first.
    pub(super) neighbours: Vec<usize>,
}

impl<const D: usize> Kriging<D> {
    /// A field known at `points`, which are one or more.
    pub(super) fn new(points: Vec<[f64; D]>, values: Vec<f64>) -> Self {
        assert!(!points.is_empty() && points.len() == values.len(), "a value for each of one or more points");
        Self { points, values }
    }

    /// The value at a point.
    pub(super) fn at(&self, point: [f64; D]) -> Estimate {
        let nearest = self.nearest(point);
        let covariances: Vec<f64> = nearest.iter().map(|&(square, _)| correlation(square.sqrt())).collect();
        let neighbours: Vec<usize> = nearest.iter().map(|&(_, index)| index).collect();
        let factor = Factor::of(&neighbours.iter().map(|&index| self.points[index]).collect::<Vec<_>>());
        let values: Vec<f64> = neighbours.iter().map(|&index| self.values[index]).collect();
        let ones = factor.solve(vec![1.0; neighbours.len()]);
        let mean = dot(&ones, &values) / ones.iter().sum::<f64>();
        let residuals = factor.solve(values.iter().map(|value| value - mean).collect());
        Estimate { value: mean + dot(&covariances, &residuals), nearest: nearest[0].0.sqrt(), neighbours }
    }

    /// Squared distances and indices of the nearest points, nearest first; equally near ones in their order.
    fn nearest(&self, point: [f64; D]) -> Vec<(f64, usize)> {
        let distance = |(index, known): (usize, &[f64; D])| (squared_distance(known, &point), index);
        let mut all: Vec<(f64, usize)> = self.points.iter().enumerate().map(distance).collect();
        let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if all.len() > NEIGHBOURS {
            all.select_nth_unstable_by(NEIGHBOURS - 1, order);
            all.truncate(NEIGHBOURS);
        }
        all.sort_unstable_by(order);
        all
    }
}

/// Matérn correlation of order 3/2.
fn correlation(distance: f64) -> f64 {
    let scaled = 3.0_f64.sqrt() * distance;
    (1.0 + scaled) * (-scaled).exp()
}

fn squared_distance<const D: usize>(a: &[f64; D], b: &[f64; D]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Lower triangular factor of the correlations between points (Cholesky), row by row.
struct Factor {
    rows: Vec<Vec<f64>>,
}

impl Factor {
    fn of<const D: usize>(points: &[[f64; D]]) -> Self {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(points.len());
        for (i, point) in points.iter().enumerate() {
            let mut row = Vec::with_capacity(i + 1);
            for j in 0..i {
                let covariance = correlation(squared_distance(point, &points[j]).sqrt());
                row.push((covariance - dot(&row, &rows[j][..j])) / rows[j][j]);
            }
            // The noise keeps the matrix positive definite where points coincide.
            row.push((1.0 + NOISE - dot(&row, &row)).sqrt());
            rows.push(row);
        }
        Self { rows }
    }

    fn solve(&self, mut right: Vec<f64>) -> Vec<f64> {
        for (i, row) in self.rows.iter().enumerate() {
            right[i] = (right[i] - dot(&row[..i], &right[..i])) / row[i];
        }
        for i in (0..right.len()).rev() {
            right[i] /= self.rows[i][i];
            let value = right[i];
            for (j, earlier) in right[..i].iter_mut().enumerate() {
                *earlier -= self.rows[i][j] * value;
            }
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(step: f64) -> Kriging<2> {
        let points: Vec<[f64; 2]> =
            (0..12).flat_map(|x| (0..12).map(move |y| [f64::from(x) * step, f64::from(y) * step])).collect();
        let values = points.iter().map(|[x, y]| 0.3 * x - 0.2 * y).collect();
        Kriging::new(points, values)
    }

    #[test]
    fn a_plane_is_recovered_between_its_points() {
        let field = plane(0.5);
        for (x, y) in [(2.25, 3.25), (1.1, 4.9), (3.0, 3.3)] {
            let estimate = field.at([x, y]);
            assert!((estimate.value - (0.3 * x - 0.2 * y)).abs() < 0.01, "({x}, {y}): {}", estimate.value);
        }
    }

    #[test]
    fn far_from_all_points_a_value_is_near_those_of_the_nearest() {
        let estimate = plane(0.5).at([50.0, 2.5]);
        assert!((0.0..2.0).contains(&estimate.value), "{}", estimate.value);
        assert!((estimate.nearest - 44.5).abs() < 1e-9);
    }

    #[test]
    fn coinciding_points_are_averaged() {
        let field = Kriging::new(vec![[0.0], [0.0], [0.0]], vec![1.0, 2.0, 3.0]);
        assert!((field.at([0.0]).value - 2.0).abs() < 1e-9);
    }

    #[test]
    fn neighbours_are_the_nearest_points_in_order() {
        let field = Kriging::new(vec![[3.0], [1.0], [2.0], [1.0]], vec![0.0; 4]);
        assert_eq!(field.at([0.0]).neighbours, [1, 3, 2, 0]);
    }
}
