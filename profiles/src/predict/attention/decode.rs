//! Attention of generating requests.

use std::collections::BTreeMap;

use super::bounds::Bounds;
use super::grid::{Axis, Grid, Node};
use super::kriging::Kriging;
use super::ragged::RaggedFactor;
use super::{Family, HeadShape, Peaks, Predicted, REACH, Residency, evidence};
use crate::cost::Evidence;
use crate::device::DeviceSpec;
use crate::table::DecodeAttentionRow;

/// Part of the smallest measured time that counts as launch in the base.
const FLOOR_SHARE: f64 = 0.97;
/// Share of datasheet bandwidth at which caches stream, and the same beside the bandwidth of device memory for caches
/// that stay in L2, which begins at this share of its size. Read off the vLLM 0.24 tables of H100 and H200
/// (aiconfigurator): 62 % and 115 %.
const STREAM: f64 = 0.62;
const STREAM_L2: f64 = 1.15;
const L2_SHARE: f64 = 0.9;
/// Sizes of caches, relative to L2, that are just too large for it.
const BEYOND_L2: (f64, f64) = (1.2, 3.0);
/// Multiprocessor time of one request and KV head of 128 elements, in nanoseconds (same tables).
const BLOCK_NS: f64 = 3_500.0;
/// Correction for unequal contexts up to which a time counts as the measured one of equal contexts: what interpolation
/// is good for.
const SMALL_CORRECTION: f64 = 1.03;

/// Predicts decode attention from measured shapes.
///
/// On H100 and H200 (vLLM 0.24 tables of aiconfigurator) unseen groups of heads and contexts come out within 1 % in the
/// median and 6 % at the 95th percentile; `tests/predict_attention` holds this.
#[derive(Clone, Debug)]
pub struct DecodePredictor {
    device: DeviceSpec,
    families: Vec<Measured>,
    ragged: RaggedFactor,
    /// Whether the table held unequal contexts to fit the factor to.
    ragged_measured: bool,
}

#[derive(Clone, Debug)]
struct Measured {
    family: Family,
    base: Base,
    shapes: Vec<Shape>,
    corrections: Kriging<4>,
    bounds: Bounds<4>,
    /// Nanoseconds per byte of caches just too large for L2.
    beyond_l2_ns_per_byte: f64,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: HeadShape,
    requests: f64,
    /// Mean of the contexts; with a window, contexts far beyond it are alike and count as twice the window.
    context: f64,
    longest: f64,
    ns: f64,
}

impl Shape {
    fn of(row: &DecodeAttentionRow) -> Self {
        let heads = HeadShape {
            query_heads: row.query_heads,
            kv_heads: row.kv_heads,
            head_dim: row.head_dim,
            window: row.window,
            activations: row.activations,
            kv_cache: row.kv_cache,
        };
        let requests = f64::from(row.requests);
        let context = (row.context_tokens as f64 / requests).min(2.0 * heads.visible());
        let longest = (row.longest_context_tokens as f64).min(2.0 * heads.visible());
        Self { heads, requests, context, longest, ns: row.timing.time_us * 1e3 }
    }

    /// Whether its contexts differ by more than rounding the mean.
    fn is_ragged(&self) -> bool {
        self.longest > self.context.ceil()
    }

    fn bytes(&self) -> f64 {
        self.requests * self.context.min(self.heads.visible()) * self.heads.cache_bytes()
    }
}

/// Position among measured shapes, in correlation lengths: one octave of the keys in all, two of requests · KV heads,
/// six of the size of a group, three of KV heads. Chosen on the tables of H100 and H200 by leaving out groups.
fn coordinates(heads: HeadShape, requests: f64, context: f64) -> [f64; 4] {
    let blocks = requests * heads.keys();
    [(blocks * context).log2(), blocks.log2() / 2.0, heads.group().log2() / 6.0, heads.keys().log2() / 3.0]
}

/// The physical base: launch, then the stream of the cache beside the work per request and KV head.
#[derive(Clone, Copy, Debug)]
struct Base {
    floor_ns: f64,
    peaks: Peaks,
}

impl Base {
    fn ns(&self, heads: HeadShape, requests: f64, context: f64) -> f64 {
        let bytes = requests * context.min(heads.visible()) * heads.cache_bytes();
        let share = if bytes < L2_SHARE * self.peaks.l2_bytes { STREAM_L2 } else { STREAM };
        self.with_stream(heads, requests, bytes * self.peaks.ns_per_byte / share)
    }

    /// The base without the step at the size of L2, for going on beyond what was measured.
    fn smooth_ns(&self, heads: HeadShape, requests: f64, context: f64) -> f64 {
        let bytes = requests * context.min(heads.visible()) * heads.cache_bytes();
        self.with_stream(heads, requests, bytes * self.peaks.ns_per_byte / STREAM)
    }

    fn with_stream(&self, heads: HeadShape, requests: f64, stream: f64) -> f64 {
        let blocks = requests * heads.keys() * BLOCK_NS * heads.dim() / 128.0 / self.peaks.sms;
        self.floor_ns + stream.hypot(blocks)
    }

    fn roofline_ns(&self, heads: HeadShape, requests: f64, context: f64) -> f64 {
        let keys = requests * context.min(heads.visible());
        let rows = requests * 4.0 * heads.queries() * heads.dim();
        self.peaks.roofline_ns(keys * heads.flops_per_pair(), keys * heads.cache_bytes() + rows)
    }
}

/// A measured time that the bound for cold caches raises by more than this part no longer counts as measured.
const CORRECTED: f64 = 0.03;

impl DecodePredictor {
    /// A predictor from the rows of a table of this device. Rows of unequal contexts only fit [`RaggedFactor`].
    pub fn new(rows: &[DecodeAttentionRow], device: &DeviceSpec) -> Self {
        let (ragged, equal): (Vec<Shape>, Vec<Shape>) = rows.iter().map(Shape::of).partition(Shape::is_ragged);
        let mut families: Vec<(Family, Vec<Shape>)> = Vec::new();
        for shape in equal {
            let family = shape.heads.family();
            match families.iter_mut().find(|(known, _)| *known == family) {
                Some((_, shapes)) => shapes.push(shape),
                None => families.push((family, vec![shape])),
            }
        }
        let measured = |(family, shapes)| Measured::new(family, shapes, device);
        let families = families.into_iter().map(measured).collect();
        let equal = Self { device: device.clone(), families, ragged: RaggedFactor::SHIPPED, ragged_measured: false };
        match equal.fit_ragged(&ragged) {
            Some(ragged) => Self { ragged, ragged_measured: true, ..equal },
            None => equal,
        }
    }

    fn fit_ragged(&self, ragged: &[Shape]) -> Option<RaggedFactor> {
        let mut compiled: BTreeMap<HeadShape, Option<DecodeTimes>> = BTreeMap::new();
        let mut samples = Vec::new();
        for shape in ragged {
            let times =
                compiled.entry(shape.heads).or_insert_with(|| self.for_heads(shape.heads, Residency::AsMeasured));
            if let Some(times) = times {
                let equal = times.equal(shape.requests, shape.context);
                if equal.evidence == Evidence::Measured {
                    let over_mean = shape.longest / shape.context;
                    samples.push((shape.requests, shape.heads.keys(), over_mean, shape.ns / equal.ns));
                }
            }
        }
        RaggedFactor::fit(&samples, f64::from(self.device.sms))
    }

    /// The factor for unequal contexts that is in use.
    pub fn ragged(&self) -> RaggedFactor {
        self.ragged
    }

    /// Compiles a look-up for a layer; `None` if nothing was measured with its head size, window and formats.
    pub fn for_heads(&self, heads: HeadShape, residency: Residency) -> Option<DecodeTimes> {
        let measured = self.families.iter().find(|measured| measured.family == heads.family())?;
        let base = measured.base;
        let axes = [
            Axis::of(measured.shapes.iter().map(|shape| shape.requests)),
            Axis::of(measured.shapes.iter().map(|shape| shape.context)),
        ];
        let shortest = axes[1].nodes()[0];
        let exact = measured.exact(heads);
        let node = |[requests, context]: [f64; 2]| match exact.get(&[requests, context].map(f64::to_bits)) {
            Some(&ns) => Node { value: ns, measured: true },
            None => measured.predict(heads, requests, context),
        };
        let cold = residency == Residency::DeviceMemory;
        let launches: Vec<f64> = axes[0].nodes().iter().map(|&requests| node([requests, shortest]).value).collect();
        let requests_axis = axes[0].clone();
        let mut roofline_share: f64 = 1.0;
        let grid = Grid::new(axes, |[requests, context]| {
            let mut node = node([requests, context]);
            let bytes = requests * (context.min(heads.visible()) - shortest) * heads.cache_bytes();
            if cold && bytes <= BEYOND_L2.0 * base.peaks.l2_bytes {
                let launch = requests_axis.index(requests).map_or(base.floor_ns, |index| launches[index]);
                let cold_ns = launch + bytes * measured.beyond_l2_ns_per_byte;
                node.measured &= cold_ns <= node.value * (1.0 + CORRECTED);
                node.value = node.value.max(cold_ns);
            }
            roofline_share = roofline_share.min(node.value / base.roofline_ns(heads, requests, context));
            node
        });
        let (ragged, ragged_measured) = (self.ragged, self.ragged_measured);
        Some(DecodeTimes { heads, base, grid, roofline_share, ragged, ragged_measured })
    }
}

impl Measured {
    fn new(family: Family, shapes: Vec<Shape>, device: &DeviceSpec) -> Self {
        let floor_ns = FLOOR_SHARE * shapes.iter().map(|shape| shape.ns).fold(f64::INFINITY, f64::min);
        let base = Base { floor_ns, peaks: Peaks::of(device, family.activations) };
        let points: Vec<[f64; 4]> =
            shapes.iter().map(|shape| coordinates(shape.heads, shape.requests, shape.context)).collect();
        let ratio = |shape: &Shape| (shape.ns / base.ns(shape.heads, shape.requests, shape.context)).ln();
        let corrections = Kriging::new(points.clone(), shapes.iter().map(ratio).collect());
        let bounds = Bounds::of(&points);
        let beyond_l2_ns_per_byte = beyond_l2(&shapes, &base);
        Self { family, base, shapes, corrections, bounds, beyond_l2_ns_per_byte }
    }

    /// Mean times of the shapes measured with just these heads, by the bits of their variables.
    fn exact(&self, heads: HeadShape) -> BTreeMap<[u64; 2], f64> {
        let mut sums: BTreeMap<[u64; 2], (f64, f64)> = BTreeMap::new();
        for shape in self.shapes.iter().filter(|shape| shape.heads == heads) {
            let sum = sums.entry([shape.requests, shape.context].map(f64::to_bits)).or_default();
            *sum = (sum.0 + shape.ns, sum.1 + 1.0);
        }
        sums.into_iter().map(|(at, (ns, count))| (at, ns / count)).collect()
    }

    /// The time of a shape from its neighbours.
    fn predict(&self, heads: HeadShape, requests: f64, context: f64) -> Node {
        let point = coordinates(heads, requests, context);
        let estimate = self.corrections.at(point);
        let share = |&index: &usize| {
            let shape = &self.shapes[index];
            shape.ns / self.base.roofline_ns(shape.heads, shape.requests, shape.context)
        };
        let lowest = estimate.neighbours.iter().map(share).fold(1.0, f64::min);
        let ns = self.base.ns(heads, requests, context) * estimate.value.exp();
        let measured = estimate.nearest <= REACH && self.bounds.hold(&point);
        Node { value: ns.max(lowest * self.base.roofline_ns(heads, requests, context)), measured }
    }
}

/// Median nanoseconds per byte of the caches that are a little too large for L2; where none is, what the base says.
fn beyond_l2(shapes: &[Shape], base: &Base) -> f64 {
    let sizes = BEYOND_L2.0 * base.peaks.l2_bytes..BEYOND_L2.1 * base.peaks.l2_bytes;
    let mut rates: Vec<f64> = shapes
        .iter()
        .filter(|shape| sizes.contains(&shape.bytes()))
        .map(|shape| (shape.ns - base.floor_ns) / shape.bytes())
        .collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(base.peaks.ns_per_byte / STREAM)
}

/// Times of decode attention of one layer, compiled for its heads.
#[derive(Clone, Debug)]
pub struct DecodeTimes {
    heads: HeadShape,
    base: Base,
    grid: Grid<2>,
    /// The lowest share of the roofline that a node takes, at most 1.
    roofline_share: f64,
    ragged: RaggedFactor,
    ragged_measured: bool,
}

impl DecodeTimes {
    /// Time of `requests` that attend to `context_tokens` in all, each at most to `longest_context_tokens`, in one layer.
    /// With a sliding window, `context_tokens` counts tokens as far as it shows them, and a longest context beyond the
    /// window says that there are requests whose window cuts a block of keys in two, which costs the whole block.
    ///
    /// Passing the mean as the longest prices equal contexts; on batches measured with unequal ones that costs nothing in
    /// the median, but doubles the error at the 95th percentile.
    #[inline]
    pub fn ns(&self, requests: u32, context_tokens: u64, longest_context_tokens: u64) -> Predicted {
        if requests == 0 {
            return Predicted { ns: 0.0, evidence: Evidence::Measured };
        }
        let count = f64::from(requests);
        let mean = context_tokens as f64 / count;
        let (longest, window) = (longest_context_tokens as f64, self.heads.visible());
        // Where most requests are beyond the window, all of it is in use; a few among many short ones hardly count.
        let beyond = if longest > window { 1.0 + (mean / window).powi(4) } else { 1.0 };
        let equal = self.equal(count, mean * beyond);
        let over_mean = longest.min(window) / mean.max(1.0);
        let factor = self.ragged.factor(count, self.heads.keys(), self.base.peaks.sms, over_mean);
        let evidence = if factor <= SMALL_CORRECTION {
            equal.evidence
        } else if self.ragged_measured {
            equal.evidence.max(Evidence::Fitted)
        } else {
            Evidence::Extrapolated
        };
        Predicted { ns: equal.ns * factor, evidence }
    }

    /// Time of so many requests with this context, all alike; with a sliding window, as far as it shows it.
    pub fn alike(&self, requests: f64, context: f64) -> Predicted {
        self.equal(requests, context)
    }

    /// Time of requests with this mean context, all alike; up to twice the window where there is one.
    #[inline]
    fn equal(&self, requests: f64, context: f64) -> Predicted {
        let at = [requests, context];
        let positions = self.grid.locate(at);
        let node = self.grid.at(&positions);
        let inside = positions.map(|position| position.clamped);
        // No context is shorter than the shortest measured one in a way that shows.
        let within = positions[0].inside() && positions[1].below_highest;
        let mut ns = node.value;
        if !within {
            ns *= self.base.smooth_ns(self.heads, requests, context.max(inside[1]))
                / self.base.smooth_ns(self.heads, inside[0], inside[1]);
        }
        let least = self.roofline_share * self.base.roofline_ns(self.heads, requests, context);
        Predicted { ns: ns.max(least), evidence: evidence(node.measured && within) }
    }
}
