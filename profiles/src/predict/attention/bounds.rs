//! The range of what was measured.

/// The smallest box around points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<const D: usize> {
    lowest: [f64; D],
    highest: [f64; D],
}

impl<const D: usize> Bounds<D> {
    pub(super) fn of(points: &[[f64; D]]) -> Self {
        let edge = |pick: fn(f64, f64) -> f64, from: f64| {
            std::array::from_fn(|axis| points.iter().fold(from, |edge, point| pick(edge, point[axis])))
        };
        Self { lowest: edge(f64::min, f64::INFINITY), highest: edge(f64::max, f64::NEG_INFINITY) }
    }

    /// Whether a point lies inside or on the box.
    pub(super) fn hold(&self, point: &[f64; D]) -> bool {
        let within = |axis: usize| (self.lowest[axis] - 1e-9..=self.highest[axis] + 1e-9).contains(&point[axis]);
        (0..D).all(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_holds_its_corners_and_nothing_outside() {
        let bounds = Bounds::of(&[[0.0, 2.0], [1.0, -1.0]]);
        assert!(bounds.hold(&[0.0, -1.0]) && bounds.hold(&[1.0, 2.0]) && bounds.hold(&[0.5, 0.0]));
        assert!(!bounds.hold(&[1.1, 0.0]) && !bounds.hold(&[0.5, 2.5]));
    }
}
