//! A replica's steps, compiled: everything that depends on the number of rows alone, for every number of rows.

use super::analytic::Rows;
use super::attention::AttentionCost;
use super::composition::Composition;
use super::energy::Energy;
use super::experts::ExpertsCost;
use super::layer::{Context, LayerKind, Scratch};
use super::load::{ACTIVATION_BYTES, Load, NS_PER_S};
use super::once::Sequence;
use super::options::EngineOverheads;
use super::scan::ScanCost;
use crate::model::{FeedForward, LayerSpec};
use crate::step::LayerRange;
use crate::topology::Between;

/// Where a kind of layer, or a part of layers, occurs in the model.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// Occurrences before each layer, and in all.
    before: Vec<u32>,
    /// Occurrences by pipeline stage.
    pub(super) by_stage: Vec<f64>,
    /// Occurrences.
    pub(super) all: f64,
}

impl Placement {
    fn new(occurs: impl Iterator<Item = bool>, stages: &[LayerRange]) -> Self {
        let mut before = vec![0];
        let mut count = 0;
        for here in occurs {
            count += u32::from(here);
            before.push(count);
        }
        let mut placement = Self { before, by_stage: Vec::new(), all: f64::from(count) };
        placement.by_stage = stages.iter().map(|&stage| f64::from(placement.within(stage, stage))).collect();
        placement
    }

    /// Occurrences in layers that lie in both ranges.
    pub(super) fn within(&self, a: LayerRange, b: LayerRange) -> u32 {
        let (start, end) = (a.start.max(b.start), a.end.min(b.end));
        if start < end { self.before[end as usize] - self.before[start as usize] } else { 0 }
    }

    /// Occurrences in a range.
    pub(super) fn count(&self, range: LayerRange) -> u32 {
        self.within(range, range)
    }
}

/// A part of layers that is priced per step, and where it occurs.
#[derive(Clone, Debug)]
pub(super) struct Placed<C> {
    pub(super) cost: C,
    pub(super) placement: Placement,
}

/// Time and energy of something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Price {
    pub(super) ns: f64,
    pub(super) joules: f64,
}

/// The part of a layer before its attention, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slice {
    pub(super) before_attention_ns: f64,
    /// Of that, what keys and values take, at its end.
    pub(super) keys_ns: f64,
}

/// Rows up to which costs are tabulated. Larger steps keep a GPU busy for tenths of a second and are computed one by one,
/// to the same result; tables up to the longest contexts would take 0.2 s to build.
pub(super) const MOST_TABULATED: u32 = 1 << 14;

/// Everything about a replica's steps that does not change from step to step.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) stages: Vec<LayerRange>,
    /// All layers.
    pub(super) layers: LayerRange,
    /// GPUs that share a layer.
    pub(super) gpus: f64,
    pub(super) kinds: Vec<Placed<LayerKind>>,
    /// One layer of each kind, by rows.
    kind_prices: Vec<Vec<Price>>,
    /// All layers, embedding and final norm, by rows: the time of each stage, then joules.
    whole: Vec<f64>,
    /// Head and sampling, by sampled positions.
    head_prices: Vec<Price>,
    pub(super) embedding: Sequence,
    pub(super) final_norm: Sequence,
    pub(super) head: Sequence,
    pub(super) attention: Vec<Placed<AttentionCost>>,
    pub(super) experts: Vec<Placed<ExpertsCost>>,
    pub(super) scans: Vec<Placed<ScanCost>>,
    pub(super) engine: EngineOverheads,
    pub(super) composition: Composition,
    /// Time for a byte of weights at the rate at which decode attention reads its cache.
    weight_ns_per_byte: f64,
    /// What reading all weights but those of routed experts and the head takes each stage, and the head's.
    weights_ns: Vec<f64>,
    head_weights_ns: f64,
    /// Whether attention of generating requests is a launch of its own because it runs beside everything else.
    pub(super) decode_apart: bool,
    pub(super) energy: Energy,
    /// What handing rows to each stage but the first takes.
    pub(super) handovers: Vec<StageHandover>,
    /// What each GPU of a stage sends per row to the next stage, and the joules of all.
    pub(super) handover_load: Load,
    pub(super) handover_j_per_row: f64,
}

/// What it takes to hand rows from a pipeline stage to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageHandover {
    /// Before the first row arrives.
    pub(super) floor_ns: f64,
    /// For each row.
    pub(super) ns_per_row: f64,
}

/// Of `bytes` for each row and GPU, over what is between the stages' servers if they are not in the same one.
fn handover(context: &Context<'_>, bytes: f64, between: Option<Between>) -> StageHandover {
    let inside = context.link.latency_ns;
    match between {
        None => {
            let bandwidth = context.link.bandwidth * context.laws.all_to_all.efficiency;
            StageHandover { floor_ns: inside, ns_per_row: bytes * NS_PER_S / bandwidth }
        }
        Some(between) => {
            let leaving = f64::from(between.gpus_per_server) * bytes;
            StageHandover {
                floor_ns: inside + between.latency_s * NS_PER_S,
                ns_per_row: leaving * NS_PER_S / between.bandwidth,
            }
        }
    }
}

impl Tables {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let options = context.options;
        let layers = &options.model.layers;
        let stages = options.parallelism.stages(layers.len() as u32);
        let rows = options.max_num_batched_tokens.saturating_add(options.max_num_seqs);
        let gpus = context.tensor_ranks();
        // vLLM hands on hidden states and residual, each tensor-parallel GPU its share.
        let handover_bytes = 2.0 * context.hidden() * ACTIVATION_BYTES / gpus;
        let handover_load = Load { link_bytes: handover_bytes, ..Load::default() };
        let own_energy = context.fitted.and_then(|profile| profile.energy.as_ref());
        let energy = Energy::new(options.device, own_energy, gpus);
        let mut tables = Self {
            kinds: place(layers, &stages, |layer, other| layer == other, |layer| Some(LayerKind::new(layer, context))),
            attention: place(
                layers,
                &stages,
                |layer, other| layer.mixer == other.mixer,
                |layer| AttentionCost::new(layer, context),
            ),
            experts: place(
                layers,
                &stages,
                |layer, other| layer.feed_forward == other.feed_forward,
                |layer| experts(layer, rows, context),
            ),
            scans: place(
                layers,
                &stages,
                |layer, other| layer.mixer == other.mixer,
                |layer| ScanCost::new(layer, context),
            ),
            layers: LayerRange { start: 0, end: layers.len() as u32 },
            stages,
            gpus,
            kind_prices: Vec::new(),
            whole: Vec::new(),
            head_prices: Vec::new(),
            embedding: Sequence::embedding(context),
            final_norm: Sequence::final_norm(context),
            head: Sequence::head(context),
            engine: options.engine.clone(),
            composition: options.composition,
            weight_ns_per_byte: NS_PER_S
                / (options.device.memory_bandwidth * context.curves.decode_attention.at(false).0.memory),
            weights_ns: Vec::new(),
            head_weights_ns: 0.0,
            decode_apart: options.composition != Composition::Serial,
            energy,
            handovers: context
                .groups
                .stages
                .iter()
                .map(|between| handover(context, handover_bytes, *between))
                .collect(),
            handover_load,
            handover_j_per_row: energy.of(&handover_load),
        };
        tables.fill(rows.min(MOST_TABULATED), options.max_num_seqs.min(MOST_TABULATED));
        tables.stream_weights();
        tables
    }

    /// The same without attention: what model workers do where attention is offloaded.
    pub(super) fn without_attention(mut self) -> Self {
        self.attention.clear();
        self.composition = Composition::Serial;
        self
    }

    /// Attention alone: what attention workers do.
    pub(super) fn attention_alone(mut self, rows: u32, sampled: u32) -> Self {
        self.kinds.clear();
        self.experts.clear();
        self.scans.clear();
        (self.embedding, self.final_norm, self.head) = Default::default();
        self.engine = EngineOverheads::none();
        self.composition = Composition::Serial;
        self.fill(rows.min(MOST_TABULATED), sampled.min(MOST_TABULATED));
        self
    }

    /// What of a layer lies before its attention, by rows, averaged over the layers. `keys_share`: of the projection into Q,
    /// K and V, the share of the latter two.
    pub(super) fn slices(&self, rows: u32, keys_share: f64) -> Vec<Slice> {
        let of = |rows| {
            self.kinds.iter().fold(Slice::default(), |sum, kind| {
                let share = kind.placement.all / f64::from(self.layers.end);
                let slice = Slice::of(&kind.cost.loads(rows, &self.engine), keys_share);
                Slice {
                    before_attention_ns: sum.before_attention_ns + share * slice.before_attention_ns,
                    keys_ns: sum.keys_ns + share * slice.keys_ns,
                }
            })
        };
        (0..=rows.min(MOST_TABULATED)).map(of).collect()
    }

    fn fill(&mut self, rows: u32, sampled: u32) {
        let mut scratch = Scratch::default();
        self.kind_prices = self.kinds.iter().map(|kind| self.kind_table(&kind.cost, rows, &mut scratch)).collect();
        let stride = self.stages.len() + 1;
        let mut whole = vec![0.0; stride * (rows as usize + 1)];
        for (rows, entry) in whole.chunks_exact_mut(stride).enumerate() {
            let (joules, stage_ns) = entry.split_last_mut().expect("joules follow the stages");
            *joules = self.compute_whole(rows as u32, stage_ns);
        }
        self.whole = whole;
        self.head_prices = (0..=sampled).map(|sampled| self.price_of(&self.head.load(sampled))).collect();
    }

    fn kind_table(&self, kind: &LayerKind, rows: u32, scratch: &mut Scratch) -> Vec<Price> {
        let mut table: Vec<Price> = Vec::with_capacity(rows as usize + 1);
        for rows in 0..=rows {
            let as_before =
                rows > 1 && self.engine.captured(rows) && self.engine.padded(rows) == self.engine.padded(rows - 1);
            let price = match table.last() {
                Some(&price) if as_before => price,
                _ => self.price_of(&kind.load(rows, &self.engine, scratch)),
            };
            table.push(price);
        }
        table
    }

    #[inline]
    pub(super) fn price_of(&self, load: &Load) -> Price {
        Price { ns: load.time_ns, joules: self.energy.of(load) }
    }

    /// One layer of kind `kind` for `rows` rows, without what is priced per step.
    pub(super) fn layer(&self, kind: usize, rows: u32) -> Price {
        self.kind_prices[kind]
            .get(rows as usize)
            .copied()
            .unwrap_or_else(|| self.price_of(&self.kinds[kind].cost.load(rows, &self.engine, &mut Scratch::default())))
    }

    /// All layers for `rows` rows, with embedding and final norm: adds each stage's time to `ns`, returns joules.
    #[inline]
    pub(super) fn whole(&self, rows: u32, ns: &mut [f64]) -> f64 {
        let stride = self.stages.len() + 1;
        let start = rows as usize * stride;
        match self.whole.get(start..start + stride) {
            Some(entry) => {
                for (sum, term) in ns.iter_mut().zip(entry) {
                    *sum += term;
                }
                entry[stride - 1]
            }
            None => self.compute_whole(rows, ns),
        }
    }

    #[cold]
    fn compute_whole(&self, rows: u32, ns: &mut [f64]) -> f64 {
        let mut joules = 0.0;
        for (index, kind) in self.kinds.iter().enumerate() {
            let price = self.layer(index, rows);
            joules += kind.placement.all * price.joules;
            for (sum, count) in ns.iter_mut().zip(&kind.placement.by_stage) {
                *sum += count * price.ns;
            }
        }
        joules + self.embed(rows, ns) + self.normalise(rows, ns)
    }

    /// Adds the embedding of `rows` rows to the first stage, returns joules.
    pub(super) fn embed(&self, rows: u32, ns: &mut [f64]) -> f64 {
        let price = self.price_of(&self.embedding.load(rows));
        ns[0] += price.ns;
        price.joules
    }

    /// Adds the final norm of `rows` rows to the last stage, returns joules.
    pub(super) fn normalise(&self, rows: u32, ns: &mut [f64]) -> f64 {
        let price = self.price_of(&self.final_norm.load(rows));
        ns[self.stages.len() - 1] += price.ns;
        price.joules
    }

    /// Time for the weights of each stage, from what one row moves, which is hardly anything else.
    fn stream_weights(&mut self) {
        let bytes = |kind: &Placed<LayerKind>| kind.cost.load(1, &self.engine, &mut Scratch::default()).memory_bytes;
        let of_stage = |stage: usize| {
            let sum: f64 = self.kinds.iter().map(|kind| kind.placement.by_stage[stage] * bytes(kind)).sum();
            sum * self.weight_ns_per_byte
        };
        self.weights_ns = (0..self.stages.len()).map(of_stage).collect();
        self.head_weights_ns = self.head.load(1).memory_bytes * self.weight_ns_per_byte;
    }

    /// What reading the weights that a step touches takes a stage.
    #[inline]
    pub(super) fn weights_ns(&self, rows: Rows, sampled: u32, stage: usize) -> f64 {
        let of_experts = |experts: &Placed<ExpertsCost>| {
            let touched = experts.cost.price(rows.prompt, rows.decode).touched;
            experts.placement.by_stage[stage] * experts.cost.weight_bytes(touched) * self.weight_ns_per_byte
        };
        let last = stage + 1 == self.stages.len() && sampled > 0;
        let head_ns = if last { self.head_weights_ns } else { 0.0 };
        self.weights_ns[stage] + self.experts.iter().map(of_experts).sum::<f64>() + head_ns
    }

    /// Head and sampling for so many positions.
    #[inline]
    pub(super) fn head(&self, sampled: u32) -> Price {
        match self.head_prices.get(sampled as usize) {
            Some(price) => *price,
            None => self.price_of(&self.head.load(sampled)),
        }
    }
}

fn experts(layer: &LayerSpec, rows: u32, context: &Context<'_>) -> Option<ExpertsCost> {
    let FeedForward::Experts(whole) = &layer.feed_forward else { return None };
    let slice = layer.slice(context.options.parallelism);
    let FeedForward::Experts(slice) = &slice.feed_forward else { return None };
    Some(ExpertsCost::new(slice, whole.experts, rows, context))
}

/// Costs of the distinct layers under `same`, each with where it occurs, in order of first occurrence.
fn place<C>(
    layers: &[LayerSpec],
    stages: &[LayerRange],
    same: impl Fn(&LayerSpec, &LayerSpec) -> bool,
    cost: impl Fn(&LayerSpec) -> Option<C>,
) -> Vec<Placed<C>> {
    let mut distinct: Vec<&LayerSpec> = Vec::new();
    for layer in layers {
        if !distinct.iter().any(|known| same(known, layer)) {
            distinct.push(layer);
        }
    }
    let placed = |&kind: &&LayerSpec| {
        let placement = Placement::new(layers.iter().map(|layer| same(layer, kind)), stages);
        Some(Placed { cost: cost(kind)?, placement })
    };
    distinct.iter().filter_map(placed).collect()
}
