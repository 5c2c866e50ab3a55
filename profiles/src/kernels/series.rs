//! Times along one variable, between measured points.

/// Measured points of one kernel along one variable, ascending; times in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A series of `(variable, nanoseconds)`, ascending and distinct in the variable; `None` of fewer than two points.
    pub(crate) fn new(points: Vec<(f64, f64)>) -> Option<Self> {
        debug_assert!(points.is_sorted_by(|a, b| a.0 < b.0), "points ascend");
        (points.len() >= 2).then_some(Self { points })
    }

    /// The time at `x` in nanoseconds, and whether `x` lies between measured points.
    ///
    /// Between neighbours it is linear, as small kernels and transfers are (`a + b·x`). Beyond the ends, `base` takes
    /// over, scaled so that nothing jumps there.
    pub(crate) fn at(&self, x: f64, base: impl Fn(f64) -> f64) -> (f64, bool) {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        if x < first.0 || x > last.0 {
            let edge = if x < first.0 { first } else { last };
            return (base(x) * edge.1 / base(edge.0), false);
        }
        let right = self.points.partition_point(|point| point.0 < x).max(1);
        let ((x0, y0), (x1, y1)) = (self.points[right - 1], self.points[right]);
        (y0 + (y1 - y0) * (x - x0) / (x1 - x0), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        Series::new(vec![(1.0, 10.0), (3.0, 14.0), (5.0, 30.0)]).expect("three points")
    }

    #[test]
    fn measured_points_are_met_and_what_lies_between_is_linear() {
        let base = |_| unreachable!("inside the range");
        for (x, ns) in [(1.0, 10.0), (2.0, 12.0), (3.0, 14.0), (4.0, 22.0), (5.0, 30.0)] {
            assert_eq!(series().at(x, base), (ns, true), "at {x}");
        }
    }

    #[test]
    fn beyond_the_ends_the_base_takes_over_without_a_jump() {
        let base = |x: f64| 2.0 * x;
        assert_eq!(series().at(10.0, base), (60.0, false));
        assert_eq!(series().at(0.5, base), (5.0, false));
        let (just_beyond, _) = series().at(5.0 + 1e-9, base);
        assert!((just_beyond - 30.0).abs() < 1e-6);
    }

    #[test]
    fn one_point_is_no_series() {
        assert_eq!(Series::new(vec![(1.0, 1.0)]), None);
    }
}
