//! Attention of prompt pieces.

use std::collections::BTreeMap;

use super::bounds::Bounds;
use super::grid::{Axis, Grid, Node, Position};
use super::kriging::Kriging;
use super::tiles::Tiles;
use super::{Family, HeadShape, Peaks, Predicted, REACH, evidence};
use crate::cost::Evidence;
use crate::device::DeviceSpec;
use crate::step::PrefillPiece;
use crate::table::PrefillAttentionRow;

/// Part of the smallest measured time that counts as launch in the base.
const FLOOR_SHARE: f64 = 0.95;

/// Predicts prefill attention from measured shapes.
///
/// On H100 and H200 (vLLM 0.24 tables of aiconfigurator) unseen groups of heads and lengths come out within 2 % in the
/// median and 10 % at the 95th percentile; `tests/predict_attention` holds this.
#[derive(Clone, Debug)]
pub struct PrefillPredictor {
    device: DeviceSpec,
    families: Vec<Measured>,
}

/// What was measured of one family.
#[derive(Clone, Debug)]
struct Measured {
    family: Family,
    floor_ns: f64,
    shapes: Vec<Shape>,
    corrections: Kriging<6>,
    bounds: Bounds<6>,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: HeadShape,
    requests: u32,
    new_tokens: u32,
    context: u32,
    ns: f64,
}

impl Shape {
    fn of(row: &PrefillAttentionRow) -> Self {
        let heads = HeadShape {
            query_heads: row.query_heads,
            kv_heads: row.kv_heads,
            head_dim: row.head_dim,
            window: row.window,
            activations: row.activations,
            kv_cache: row.kv_cache,
        };
        let (requests, new_tokens, context) = (row.requests, row.new_tokens, row.context_tokens);
        Self { heads, requests, new_tokens, context, ns: row.timing.time_us * 1e3 }
    }

    fn at(&self) -> [f64; 3] {
        [self.requests, self.new_tokens, self.context].map(f64::from)
    }
}

/// Position among measured shapes, in correlation lengths: two octaves of the length of a piece and of the size of a
/// group, 0.7 octaves of the number of heads at work, three of KV heads, six of query heads, one of all keys to new ones.
/// Chosen on the H100 table by leaving out groups.
fn coordinates(heads: HeadShape, [requests, new_tokens, context]: [f64; 3]) -> [f64; 6] {
    [
        new_tokens.log2() / 2.0,
        (requests * heads.queries()).log2() / 0.7,
        heads.group().log2() / 2.0,
        heads.keys().log2() / 3.0,
        heads.queries().log2() / 6.0,
        (context / new_tokens).ln_1p() / std::f64::consts::LN_2,
    ]
}

impl PrefillPredictor {
    /// A predictor from the rows of a table of this device.
    pub fn new(rows: &[PrefillAttentionRow], device: &DeviceSpec) -> Self {
        let mut families: Vec<(Family, Vec<Shape>)> = Vec::new();
        for row in rows {
            let shape = Shape::of(row);
            let family = shape.heads.family();
            match families.iter_mut().find(|(known, _)| *known == family) {
                Some((_, shapes)) => shapes.push(shape),
                None => families.push((family, vec![shape])),
            }
        }
        let measured = |(family, shapes)| Measured::new(family, shapes, device);
        Self { device: device.clone(), families: families.into_iter().map(measured).collect() }
    }

    /// Compiles a look-up for a layer; `None` if nothing was measured with its head size, window and formats.
    pub fn for_heads(&self, heads: HeadShape) -> Option<PrefillTimes> {
        let measured = self.families.iter().find(|measured| measured.family == heads.family())?;
        let tiles = Tiles::new(heads, measured.floor_ns, Peaks::of(&self.device, heads.activations));
        let axes = std::array::from_fn(|variable| Axis::of(measured.shapes.iter().map(|shape| shape.at()[variable])));
        let exact = measured.exact(heads);
        let mut roofline_share: f64 = 1.0;
        let grid = Grid::new(axes, |at| {
            let base = tiles.ns(at[0], at[1], at[2]);
            let node = match exact.get(&at.map(f64::to_bits)) {
                Some(&ns) => Node { value: ns, measured: true },
                None => measured.predict(&tiles, heads, at),
            };
            roofline_share = roofline_share.min(node.value / tiles.roofline_ns(at[0], at[1], at[2]));
            Node { value: node.value - base, ..node }
        });
        Some(PrefillTimes { tiles, grid, roofline_share })
    }
}

impl Measured {
    fn new(family: Family, shapes: Vec<Shape>, device: &DeviceSpec) -> Self {
        let floor_ns = FLOOR_SHARE * shapes.iter().map(|shape| shape.ns).fold(f64::INFINITY, f64::min);
        let peaks = Peaks::of(device, family.activations);
        let points: Vec<[f64; 6]> = shapes.iter().map(|shape| coordinates(shape.heads, shape.at())).collect();
        let ratios = shapes.iter().map(|shape| {
            let [requests, new_tokens, context] = shape.at();
            (shape.ns / Tiles::new(shape.heads, floor_ns, peaks).ns(requests, new_tokens, context)).ln()
        });
        let bounds = Bounds::of(&points);
        let corrections = Kriging::new(points, ratios.collect());
        Self { family, floor_ns, shapes, corrections, bounds }
    }

    /// Mean times of the shapes measured with just these heads, by the bits of their variables.
    fn exact(&self, heads: HeadShape) -> BTreeMap<[u64; 3], f64> {
        let mut sums: BTreeMap<[u64; 3], (f64, f64)> = BTreeMap::new();
        for shape in self.shapes.iter().filter(|shape| shape.heads == heads) {
            let sum = sums.entry(shape.at().map(f64::to_bits)).or_default();
            *sum = (sum.0 + shape.ns, sum.1 + 1.0);
        }
        sums.into_iter().map(|(at, (ns, count))| (at, ns / count)).collect()
    }

    /// The time of a shape from its neighbours.
    fn predict(&self, tiles: &Tiles, heads: HeadShape, at: [f64; 3]) -> Node {
        let point = coordinates(heads, at);
        let estimate = self.corrections.at(point);
        let roofline = tiles.roofline_ns(at[0], at[1], at[2]);
        let share = |&index: &usize| {
            let shape = &self.shapes[index];
            let [requests, new_tokens, context] = shape.at();
            let peaks_of = Tiles::new(shape.heads, 0.0, tiles.peaks());
            shape.ns / peaks_of.roofline_ns(requests, new_tokens, context)
        };
        let lowest = estimate.neighbours.iter().map(share).fold(1.0, f64::min);
        let ns = tiles.ns(at[0], at[1], at[2]) * estimate.value.exp();
        let measured = estimate.nearest <= REACH && self.bounds.hold(&point);
        Node { value: ns.max(roofline * lowest), measured }
    }
}

/// Times of prefill attention of one layer, compiled for its heads.
#[derive(Clone, Debug)]
pub struct PrefillTimes {
    tiles: Tiles,
    /// Times less the base.
    grid: Grid<3>,
    /// The lowest share of the roofline that a node takes, at most 1.
    roofline_share: f64,
}

impl PrefillTimes {
    /// Time of the pieces of a step in one layer.
    ///
    /// Pieces that differ were not measured together. Each counts with the time of a batch of its like that does the work
    /// of the whole step, weighted by its share in that work; such a time is no better than fitted.
    pub fn ns(&self, pieces: &[PrefillPiece]) -> Predicted {
        let Some(&first) = pieces.first() else { return Predicted { ns: 0.0, evidence: Evidence::Measured } };
        let work =
            |piece: &PrefillPiece| self.tiles.blocks(f64::from(piece.new_tokens), f64::from(piece.context_tokens));
        if pieces.iter().all(|&piece| piece == first) {
            return self.alike(pieces.len() as f64, first);
        }
        let total: f64 = pieces.iter().map(work).sum();
        let mut sum = Predicted { ns: 0.0, evidence: Evidence::Fitted };
        for piece in pieces {
            let work = work(piece);
            let alike = self.alike(total / work, *piece);
            sum.ns += alike.ns * work / total;
            sum.evidence = sum.evidence.max(alike.evidence);
        }
        sum
    }

    /// Time of so many equal pieces (1 or more, not necessarily a whole number).
    #[inline]
    pub fn alike(&self, requests: f64, piece: PrefillPiece) -> Predicted {
        let at = [requests, f64::from(piece.new_tokens), f64::from(piece.context_tokens)];
        let positions = self.grid.locate(at);
        let inside = positions.map(|position| position.clamped);
        let node = self.grid.at(&positions);
        let base = self.tiles.ns(inside[0], inside[1], inside[2]);
        // Interpolated differences could outweigh the base only where both are far from the truth.
        let mut ns = (base + node.value).max(base / 4.0);
        let within = positions.iter().all(Position::inside);
        if !within {
            ns *= self.tiles.ns(at[0], at[1], at[2]) / base;
        }
        let least = self.roofline_share * self.tiles.roofline_ns(at[0], at[1], at[2]);
        Predicted { ns: ns.max(least), evidence: evidence(node.measured && within) }
    }
}
