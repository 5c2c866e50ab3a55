//! Values at the nodes of a rectangular grid, and linear interpolation between them.

/// Nodes closer than this factor are taken as one.
const SPACING: f64 = 1.06;

/// Ascending positions of nodes along one variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    nodes: Vec<f64>,
}

/// Where a position lies between nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    /// The position itself, or the nearest end of the axis.
    pub(super) clamped: f64,
    /// Whether the axis reaches so far down, and so far up.
    pub(super) above_lowest: bool,
    pub(super) below_highest: bool,
    /// Index of the node below.
    lower: usize,
    /// Part of the way to the next node, 0 to 1.
    share: f64,
}

impl Position {
    /// Whether the position lies on the axis.
    pub(super) fn inside(&self) -> bool {
        self.above_lowest && self.below_highest
    }
}

impl Axis {
    /// The distinct values among these, one or more of 0 or above; of crowded ones only the lowest.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = values.collect();
        all.sort_unstable_by(f64::total_cmp);
        let mut nodes: Vec<f64> = Vec::new();
        for value in all {
            if nodes.last().is_none_or(|&last| value > last && value >= last * SPACING) {
                nodes.push(value);
            }
        }
        assert!(!nodes.is_empty(), "an axis has a node");
        Self { nodes }
    }

    /// All distinct values among these, one or more, however close.
    pub(super) fn distinct(values: impl Iterator<Item = f64>) -> Self {
        let mut nodes: Vec<f64> = values.collect();
        nodes.sort_unstable_by(f64::total_cmp);
        nodes.dedup();
        assert!(!nodes.is_empty(), "an axis has a node");
        Self { nodes }
    }

    pub(super) fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    /// Index of the node at exactly this value.
    pub(super) fn index(&self, value: f64) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.total_cmp(&value)).ok()
    }

    #[inline]
    pub(super) fn locate(&self, value: f64) -> Position {
        let last = self.nodes.len() - 1;
        let clamped = value.clamp(self.nodes[0], self.nodes[last]);
        let (above_lowest, below_highest) = (value >= self.nodes[0], value <= self.nodes[last]);
        if last == 0 {
            return Position { clamped, above_lowest, below_highest, lower: 0, share: 0.0 };
        }
        let lower = self.nodes.partition_point(|&node| node <= clamped).clamp(1, last) - 1;
        let share = (clamped - self.nodes[lower]) / (self.nodes[lower + 1] - self.nodes[lower]);
        Position { clamped, above_lowest, below_highest, lower, share }
    }
}

/// A node's value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Node {
    /// The value.
    pub(super) value: f64,
    /// Whether it was measured, or lies between measured neighbours.
    pub(super) measured: bool,
}

/// Nodes over the product of `D` axes, the last axis running fastest.
#[derive(Clone, Debug)]
pub(super) struct Grid<const D: usize> {
    axes: [Axis; D],
    nodes: Vec<Node>,
}

impl<const D: usize> Grid<D> {
    /// A grid with the node that `node` gives for each point.
    pub(super) fn new(axes: [Axis; D], mut node: impl FnMut([f64; D]) -> Node) -> Self {
        let count = axes.iter().map(|axis| axis.nodes.len()).product();
        let nodes = (0..count).map(|flat| node(point(&axes, flat))).collect();
        Self { axes, nodes }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The index of the node at exactly this point.
    pub(super) fn flat(&self, at: [f64; D]) -> Option<usize> {
        self.axes.iter().zip(at).try_fold(0, |flat, (axis, at)| Some(flat * axis.nodes.len() + axis.index(at)?))
    }

    pub(super) fn node(&self, flat: usize) -> Node {
        self.nodes[flat]
    }

    pub(super) fn set(&mut self, flat: usize, node: Node) {
        self.nodes[flat] = node;
    }

    /// Gives every node that is not a number a value from the others, of which one or more is: along each axis the linear
    /// one between the nearest on both sides, and of these the mean, closer ones counting more. Such a node is measured
    /// if one of these brackets is. Nodes with neighbours on one side only take the nearest of those values.
    pub(super) fn fill_holes(&mut self) {
        for bracketed in [true, false] {
            loop {
                let filled: Vec<(usize, Node)> = (0..self.nodes.len())
                    .filter(|&flat| self.nodes[flat].value.is_nan())
                    .filter_map(|flat| Some((flat, self.filling(flat, bracketed)?)))
                    .collect();
                if filled.is_empty() {
                    break;
                }
                for (flat, node) in filled {
                    self.nodes[flat] = node;
                }
            }
        }
    }

    /// The value of a hole from what lies along the axes, on both sides or on one.
    fn filling(&self, flat: usize, bracketed: bool) -> Option<Node> {
        let mut sum = Node::default();
        let mut weights = 0.0;
        let mut stride = 1;
        for axis in self.axes.iter().rev() {
            let count = axis.nodes.len();
            let here = flat / stride % count;
            let step = stride;
            let node = |index: usize| self.nodes[flat - here * step + index * step];
            let below = (0..here).rev().find(|&index| !node(index).value.is_nan());
            let above = (here + 1..count).find(|&index| !node(index).value.is_nan());
            stride *= count;
            let (value, gap, measured) = match (below, above, bracketed) {
                (Some(below), Some(above), true) => {
                    let gap = axis.nodes[above] - axis.nodes[below];
                    let share = (axis.nodes[here] - axis.nodes[below]) / gap;
                    let (below, above) = (node(below), node(above));
                    let value = below.value + share * (above.value - below.value);
                    (value, gap, below.measured && above.measured)
                }
                (Some(one), _, false) | (None, Some(one), false) => {
                    (node(one).value, (axis.nodes[here] - axis.nodes[one]).abs(), false)
                }
                _ => continue,
            };
            sum.value += value / gap;
            sum.measured |= measured;
            weights += 1.0 / gap;
        }
        (weights > 0.0).then(|| Node { value: sum.value / weights, measured: sum.measured })
    }

    /// Where a point lies, coordinate by coordinate.
    #[inline]
    pub(super) fn locate(&self, at: [f64; D]) -> [Position; D] {
        std::array::from_fn(|axis| self.axes[axis].locate(at[axis]))
    }

    /// The interpolated value; measured where every node that counts is.
    #[inline]
    pub(super) fn at(&self, positions: &[Position; D]) -> Node {
        let mut sum = Node { value: 0.0, measured: true };
        for corner in 0..1_usize << D {
            let mut weight = 1.0;
            let mut flat = 0;
            for (axis, position) in positions.iter().enumerate() {
                let upper = corner >> axis & 1;
                weight *= if upper == 1 { position.share } else { 1.0 - position.share };
                flat = flat * self.axes[axis].nodes.len() + position.lower + upper;
            }
            if weight > 0.0 {
                let node = self.nodes[flat];
                sum.value += weight * node.value;
                sum.measured &= node.measured;
            }
        }
        sum
    }
}

/// The point of the node with this index.
fn point<const D: usize>(axes: &[Axis; D], mut flat: usize) -> [f64; D] {
    let mut point = [0.0; D];
    for (axis, coordinate) in axes.iter().zip(&mut point).rev() {
        *coordinate = axis.nodes[flat % axis.nodes.len()];
        flat /= axis.nodes.len();
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linear_in_each_variable_is_recovered_everywhere_inside() {
        let axis = |nodes: &[f64]| Axis::of(nodes.iter().copied());
        let law = |[x, y]: [f64; 2]| 3.0 + x + 2.0 * y + 0.5 * x * y;
        let grid = Grid::new([axis(&[1.0, 2.0, 8.0]), axis(&[0.0, 5.0])], |at| Node { value: law(at), measured: true });
        for at in [[1.0, 0.0], [1.5, 2.0], [7.9, 4.9], [8.0, 5.0]] {
            assert!((grid.at(&grid.locate(at)).value - law(at)).abs() < 1e-12, "{at:?}");
        }
    }

    #[test]
    fn a_point_is_measured_only_if_every_node_that_counts_is() {
        let grid = Grid::new([Axis::of([1.0, 2.0, 4.0].into_iter())], |[x]| Node { value: x, measured: x < 3.0 });
        let measured = |x: f64| grid.at(&grid.locate([x])).measured;
        assert!(measured(1.5) && measured(2.0) && !measured(2.1) && !measured(4.0));
    }

    #[test]
    fn outside_positions_are_clamped_to_the_ends() {
        let axis = Axis::of([2.0, 4.0].into_iter());
        assert!((axis.locate(9.0).clamped - 4.0).abs() < 1e-12 && (axis.locate(1.0).clamped - 2.0).abs() < 1e-12);
    }

    #[test]
    fn holes_take_what_lies_between_their_neighbours() {
        let axes = || [Axis::distinct([0.0, 1.0, 2.0].into_iter()), Axis::distinct([0.0, 1.0, 2.0].into_iter())];
        let hole = |[x, y]: [f64; 2]| (x - 1.0).abs() < 0.1 && (y - 1.0).abs() < 0.1 || x + y > 3.5;
        let mut grid = Grid::new(axes(), |at| {
            let value = if hole(at) { f64::NAN } else { at[0] + 10.0 * at[1] };
            Node { value, measured: !hole(at) }
        });
        grid.fill_holes();
        let centre = grid.node(grid.flat([1.0, 1.0]).unwrap());
        assert!((centre.value - 11.0).abs() < 1e-12 && centre.measured);
        let corner = grid.node(grid.flat([2.0, 2.0]).unwrap());
        assert!((12.0..=21.0).contains(&corner.value) && !corner.measured, "{corner:?}");
    }

    #[test]
    fn crowded_values_become_one_node() {
        assert_eq!(Axis::of([0.0, 100.0, 103.0, 103.0, 120.0, 0.0].into_iter()).nodes(), [0.0, 100.0, 120.0]);
    }
}
