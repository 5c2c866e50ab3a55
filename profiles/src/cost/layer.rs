//! One kind of layer, taken apart into operators.

use petgraph::graph::NodeIndex;

use super::efficiency::Curves;
use super::gemm::{GemmTime, TiledGemm};
use super::graph::{LayerGraph, Schedule, Stream};
use super::laws::SmallLaws;
use super::load::{ACTIVATION_BYTES, Gemm, GemmOperands, Load, RowWork};
use super::measured;
use super::options::{CostOptions, EngineOverheads, Link};
use super::servers::Groups;
use super::small::{Elementwise, OPERATIONS};
use super::{Evidence, Operator};
use crate::fitted::{FittedKernel, FittedProfile, KernelFormat};
use crate::model::{
    Attention, DenseFfn, ExpertFfn, FeedForward, LatentAttention, LayerSpec, Mixer, StateSpace, StateSpaceKind,
};
use crate::parallel::DType;

/// Columns of a product's weights on one GPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    /// Held and computed.
    here: f64,
    /// This GPU's part of the distinct columns: one that `r` GPUs hold counts `1/r` on each.
    useful: f64,
}

impl Columns {
    /// `here` columns, of which all GPUs together hold `distinct` different ones.
    pub(super) fn of(here: f64, distinct: f64, gpus: f64) -> Self {
        Self { here, useful: distinct / gpus }
    }

    /// Columns that no other GPU holds.
    fn cut(here: f64) -> Self {
        Self { here, useful: here }
    }

    fn and(self, other: Self) -> Self {
        Self { here: self.here + other.here, useful: self.useful + other.useful }
    }
}

/// What operators are built from: the options, resolved.
pub(super) struct Context<'a> {
    pub(super) options: &'a CostOptions<'a>,
    pub(super) curves: &'static Curves,
    /// The device's own fitted profile, which comes before the curves.
    pub(super) fitted: Option<&'a FittedProfile>,
    /// How long small kernels and collectives take.
    pub(super) laws: SmallLaws,
    pub(super) link: Link,
    /// What is between servers, where there are several.
    pub(super) groups: Groups,
    /// Formats of weights and activations of linear layers outside routed experts.
    linear: (DType, DType),
}

impl<'a> Context<'a> {
    pub(super) fn new(
        options: &'a CostOptions<'a>,
        curves: &'static Curves,
        fitted: Option<&'a FittedProfile>,
        groups: Groups,
    ) -> Self {
        let weights = options.model.dtype_outside_experts(options.precision);
        let activations = if weights == DType::Bf16 { DType::Bf16 } else { options.precision.activations };
        let link = options.link.unwrap_or_else(|| Link::between_peers(options.device));
        let own_link = link == Link::between_peers(options.device);
        let laws = SmallLaws::new(curves, fitted, options.device, own_link);
        Self { options, curves, fitted, laws, link, groups, linear: (weights, activations) }
    }

    pub(super) fn hidden(&self) -> f64 {
        f64::from(self.options.model.hidden_size)
    }

    /// GPUs that share every layer.
    pub(super) fn tensor_ranks(&self) -> f64 {
        f64::from(self.options.parallelism.tensor_parallel_size)
    }

    /// Part of the elements on each GPU that counts once all GPUs are summed, where they hold `here` each and `distinct`
    /// different ones together.
    pub(super) fn distinct_share(&self, distinct: u64, here: u64) -> f64 {
        if here == 0 { 1.0 } else { distinct as f64 / (here as f64 * self.tensor_ranks()) }
    }

    /// Peak for activations of this format, which the precision check has found to exist.
    pub(super) fn peak(&self, activations: DType) -> f64 {
        self.options.device.peak_ops(activations).expect("the precision was checked against the device")
    }

    /// A product by weights of a linear layer, and what its time stands on.
    fn linear(&self, columns: Columns, k: f64) -> (RowWork, Evidence) {
        self.gemm(columns, k, self.linear)
    }

    /// A product by weights in 16 bits.
    pub(super) fn plain_gemm(&self, columns: Columns, k: f64) -> (RowWork, Evidence) {
        self.gemm(columns, k, (DType::Bf16, DType::Bf16))
    }

    fn gemm(&self, columns: Columns, k: f64, (weights, activations): (DType, DType)) -> (RowWork, Evidence) {
        let operands = GemmOperands {
            weight_bytes: weights.bytes_per_element(),
            activation_bytes: activations.bytes_per_element(),
            peak: self.peak(activations),
        };
        let same = weights == activations && weights != DType::Int8;
        let device = self.options.device;
        let formats: &[KernelFormat] = if activations == DType::Bf16 {
            &[KernelFormat::Bf16]
        } else {
            &[KernelFormat::Fp8, KernelFormat::Fp8Block]
        };
        let fitted = self.fitted.and_then(|profile| FittedProfile::first(&profile.gemm, formats));
        let measured = measured::gemm(columns.here, k, weights, activations, self);
        let (time, evidence) = if let Some(curve) = measured {
            (GemmTime::Measured(Box::new(curve)), Evidence::Measured)
        } else if let Some(kernel) = fitted {
            let evidence = if same { Evidence::Fitted } else { Evidence::Extrapolated };
            (GemmTime::fitted(columns.here, k, operands, kernel, device), evidence)
        } else {
            let (curve, fitted_width) = self.curves.gemm.at(activations != DType::Bf16);
            let evidence = curve.fitted.evidence(device, fitted_width && same);
            (GemmTime::Curve(TiledGemm::new(columns.here, k, operands, curve, device)), evidence)
        };
        let gemm = Gemm::new(columns.here, k, operands, time);
        (RowWork::Gemm(gemm.held_by_several(columns.useful / columns.here)), evidence)
    }

    /// A kind of attention as the device's profile has it for this KV cache, and what times then stand on; `exact`: the
    /// layer sees what the tables' kernels saw.
    pub(super) fn fitted_attention(
        &self,
        kind: impl Fn(&FittedProfile) -> &[FittedKernel],
        exact: bool,
    ) -> Option<(&'a FittedKernel, Evidence)> {
        let profile = self.fitted?;
        let format = KernelFormat::of_cache(self.options.precision.kv_cache);
        let own = format.and_then(|format| FittedProfile::first(kind(profile), &[format]));
        let kernel = own.or_else(|| FittedProfile::first(kind(profile), &[KernelFormat::Bf16]))?;
        let evidence = if exact && own.is_some() { Evidence::Fitted } else { Evidence::Extrapolated };
        Some((kernel, evidence))
    }

    /// Whether tables have the small kernel of this name at this width.
    fn has_measured(&self, operation: &str, width: f64) -> bool {
        self.options.kernels.is_some_and(|kernels| kernels.small.find(operation, width as u32).is_some())
    }

    /// The small kernel that kernel tables call `operation`, on rows of `width` elements; one of [`super::small::OPERATIONS`].
    pub(super) fn elementwise(&self, operation: &str, width: f64, bytes_per_row: f64) -> Elementwise {
        let measured = self.options.kernels.and_then(|kernels| kernels.small.find(operation, width as u32));
        debug_assert!(OPERATIONS.contains(&operation), "`{operation}` is listed");
        // The launch of what samples is in the gap between steps.
        let launches = operation != "sample";
        Elementwise::new(launches, bytes_per_row, &self.laws.elementwise, self.options.device).measured(measured)
    }
}

/// An operator of a layer.
#[derive(Clone, Debug)]
struct LayerOperator {
    operator: Operator,
    evidence: Evidence,
    work: RowWork,
}

/// A kind of layer: all layers of a model with the same specification, on one of the GPUs that share them.
#[derive(Clone, Debug)]
pub(super) struct LayerKind {
    operators: Vec<LayerOperator>,
    schedule: Schedule,
    kernels: f64,
}

/// Space that pricing many row counts uses again and again.
#[derive(Default)]
pub(super) struct Scratch {
    times: Vec<f64>,
    ends: Vec<f64>,
}

/// Puts the operators of a layer together.
struct Builder<'c> {
    context: &'c Context<'c>,
    operators: Vec<LayerOperator>,
    graph: LayerGraph,
    last: Option<NodeIndex>,
}

impl Builder<'_> {
    /// Adds an operator after the last one.
    fn push(&mut self, operator: Operator, (work, evidence): (RowWork, Evidence)) {
        let after: Vec<NodeIndex> = self.last.into_iter().collect();
        self.last = Some(self.push_after(operator, (work, evidence), &after));
    }

    fn push_after(
        &mut self,
        operator: Operator,
        (work, evidence): (RowWork, Evidence),
        after: &[NodeIndex],
    ) -> NodeIndex {
        let stream = if matches!(work, RowWork::Collective(_)) { Stream::Link } else { Stream::Compute };
        self.operators.push(LayerOperator { operator, evidence, work });
        self.graph.add(stream, after)
    }

    /// A product whose columns are cut among the GPUs.
    fn linear(&mut self, operator: Operator, n: f64, k: f64) {
        self.linear_columns(operator, Columns::cut(n), k);
    }

    fn linear_columns(&mut self, operator: Operator, columns: Columns, k: f64) {
        let work = self.context.linear(columns, k);
        self.push(operator, work);
    }

    /// A small kernel on rows of `width` elements, that reads and writes so many per row.
    fn elementwise(&mut self, operation: &str, width: f64, elements_per_row: f64) {
        let work = self.context.elementwise(operation, width, elements_per_row * ACTIVATION_BYTES);
        self.push_elementwise(work);
    }

    fn push_elementwise(&mut self, work: Elementwise) {
        let evidence = self.context.laws.elementwise.evidence;
        self.push(Operator::Elementwise, (RowWork::Elementwise(work), evidence));
    }

    fn elsewhere(&mut self, operator: Operator, kernels: f64) {
        // The evidence of these is kept by what prices them.
        self.push(operator, (RowWork::Elsewhere(kernels), Evidence::Extrapolated));
    }

    fn all_reduce(&mut self, width: f64) {
        if self.context.tensor_ranks() > 1.0 {
            let (work, evidence) = self.context.all_reduce(width);
            self.push(Operator::AllReduce, (RowWork::Collective(work), evidence));
        }
    }

    /// Norm with the residual added: reads both, writes both.
    fn norm(&mut self) {
        let hidden = self.context.hidden();
        self.elementwise("rms_norm", hidden, 4.0 * hidden);
    }

    fn mixer(&mut self, slice: &Mixer, whole: &Mixer) {
        match (slice, whole) {
            (Mixer::Attention(attention), Mixer::Attention(whole)) => self.attention(*attention, whole.kv_heads),
            (Mixer::Latent(latent), _) => self.latent(*latent),
            (Mixer::StateSpace(space), Mixer::StateSpace(whole)) => self.state_space(*space, whole.kind),
            _ => {}
        }
    }

    /// Columns of which every GPU holds all.
    fn whole(&self, n: f64) -> Columns {
        Columns::of(n, n, self.context.tensor_ranks())
    }

    /// Softmax attention, of `all_kv_heads` KV heads before they were cut among the GPUs or repeated on them.
    fn attention(&mut self, attention: Attention, all_kv_heads: u32) {
        let hidden = self.context.hidden();
        let head = f64::from(attention.head_dim);
        let queries = f64::from(attention.query_heads) * head;
        let keys = f64::from(attention.kv_heads) * head;
        self.norm();
        let keys_and_values =
            Columns::of(2.0 * keys, 2.0 * f64::from(all_kv_heads) * head, self.context.tensor_ranks());
        self.linear_columns(Operator::QkvProjection, Columns::cut(queries).and(keys_and_values), hidden);
        if attention.qk_norm {
            self.elementwise("qk_norm", queries + keys, 2.0 * (queries + keys));
        }
        let kv_element = self.context.options.precision.kv_cache.bytes_per_element();
        let written = keys_and_values.useful * kv_element;
        let rotary_elements = 2.0 * (queries + keys);
        let append_bytes = 2.0 * keys * (ACTIVATION_BYTES + kv_element);
        let row = queries + 2.0 * keys;
        let append = if self.context.has_measured("rotary_kv_append", row) {
            let bytes = rotary_elements * ACTIVATION_BYTES + append_bytes;
            self.context.elementwise("rotary_kv_append", row, bytes)
        } else {
            self.elementwise("rotary", queries + keys, rotary_elements);
            self.context.elementwise("kv_append", 2.0 * keys, append_bytes)
        };
        self.push_elementwise(append.with_cache_bytes_per_row(written));
        self.elsewhere(Operator::PrefillAttention, 1.0);
        self.linear(Operator::OutputProjection, hidden, queries);
        self.all_reduce(hidden);
    }

    /// MLA: down-projections (held whole by every GPU), up-projections, and either the expansion of the latent into keys
    /// and values (prompts) or its absorption into queries and outputs (decoding), which have the same FLOPs per row.
    fn latent(&mut self, latent: LatentAttention) {
        let hidden = self.context.hidden();
        let heads = f64::from(latent.heads);
        let (nope, rope) = (f64::from(latent.qk_nope_head_dim), f64::from(latent.qk_rope_head_dim));
        let cached = f64::from(latent.kv_lora_rank) + rope;
        let values = f64::from(latent.v_head_dim);
        self.norm();
        if let Some(rank) = latent.q_lora_rank.map(f64::from) {
            self.linear_columns(Operator::QkvProjection, self.whole(rank + cached), hidden);
            self.elementwise("plain_rms_norm", rank + cached, 2.0 * (rank + cached));
            self.linear(Operator::QkvProjection, heads * (nope + rope), rank);
        } else {
            let columns = Columns::cut(heads * (nope + rope)).and(self.whole(cached));
            self.linear_columns(Operator::QkvProjection, columns, hidden);
            self.elementwise("plain_rms_norm", cached, 2.0 * cached);
        }
        self.linear(Operator::QkvProjection, heads * (nope + values), f64::from(latent.kv_lora_rank));
        let kv_element = self.context.options.precision.kv_cache.bytes_per_element();
        let cache_bytes = cached * kv_element;
        self.elementwise("rotary", heads * rope, 2.0 * heads * rope);
        let written = self.whole(cached).useful * kv_element;
        let append = self.context.elementwise("kv_append", cached, cached * ACTIVATION_BYTES + cache_bytes);
        self.push_elementwise(append.with_cache_bytes_per_row(written));
        self.elsewhere(Operator::PrefillAttention, 1.0);
        self.linear(Operator::OutputProjection, hidden, heads * values);
        self.all_reduce(hidden);
    }

    /// A state-space mixer, of kind `whole` before it was cut: one group of B and C is repeated on every GPU.
    fn state_space(&mut self, space: StateSpace, whole: StateSpaceKind) {
        let hidden = self.context.hidden();
        let (inner, state) = (f64::from(space.d_inner), f64::from(space.d_state));
        self.norm();
        match space.kind {
            StateSpaceKind::Mamba1 { dt_rank } => {
                let low_rank = f64::from(dt_rank) + 2.0 * state;
                self.linear(Operator::StateSpaceProjection, 2.0 * inner, hidden);
                self.linear(Operator::StateSpaceProjection, low_rank, inner);
                self.all_reduce(low_rank);
                self.linear(Operator::StateSpaceProjection, inner, f64::from(dt_rank));
                self.elsewhere(Operator::StateSpaceScan, 2.0);
            }
            StateSpaceKind::Mamba2 { heads, groups } => {
                let all_groups = if let StateSpaceKind::Mamba2 { groups, .. } = whole { groups } else { groups };
                let shared = |groups: u32| 2.0 * f64::from(groups) * state;
                let shared = Columns::of(shared(groups), shared(all_groups), self.context.tensor_ranks());
                let columns = Columns::cut(2.0 * inner + f64::from(heads)).and(shared);
                self.linear_columns(Operator::StateSpaceProjection, columns, hidden);
                self.elsewhere(Operator::StateSpaceScan, 5.0);
                self.elementwise("gated_norm", inner, 3.0 * inner);
            }
        }
        self.linear(Operator::StateSpaceProjection, hidden, inner);
        self.all_reduce(hidden);
    }

    fn feed_forward(&mut self, slice: &FeedForward, whole: &FeedForward) {
        match (slice, whole) {
            (FeedForward::Dense(ffn), _) => {
                self.norm();
                self.dense(*ffn, Operator::DenseFfn);
                self.all_reduce(self.context.hidden());
            }
            (FeedForward::Experts(ffn), FeedForward::Experts(whole)) => {
                self.norm();
                self.experts(ffn, whole.experts);
            }
            _ => {}
        }
    }

    fn dense(&mut self, ffn: DenseFfn, operator: Operator) {
        let hidden = self.context.hidden();
        let width = f64::from(ffn.intermediate_size);
        let up = if ffn.gated { 2.0 * width } else { width };
        self.linear(operator, up, hidden);
        self.elementwise(if ffn.gated { "silu_mul" } else { "activation" }, width, up + width);
        self.linear(operator, hidden, width);
    }

    /// Router, routed and shared experts. Rows travel to experts by all-to-all where data-parallel ranks share them; within
    /// one rank all GPUs hold all rows and add up their experts' outputs (vLLM).
    fn experts(&mut self, ffn: &ExpertFfn, all_experts: u32) {
        let hidden = self.context.hidden();
        let experts = f64::from(all_experts);
        let router = self.context.plain_gemm(self.whole(experts), hidden);
        self.push(Operator::Router, router);
        self.elementwise("router_top_k", experts, experts);
        let chosen = self.last;
        let travels = self.context.options.parallelism.data_parallel_size > 1;
        let travel = |builder: &mut Self| {
            // The tensor-parallel GPUs of a rank hold the same rows and each sends its share.
            let row = f64::from(ffn.top_k) * hidden * ACTIVATION_BYTES / builder.context.tensor_ranks();
            let (work, evidence) = builder.context.all_to_all(row);
            builder.push(Operator::AllToAll, (RowWork::Collective(work), evidence));
        };
        if travels {
            travel(self);
        }
        let dispatched = self.last;
        let mut shared = None;
        if ffn.shared_intermediate_size > 0 {
            self.last = chosen;
            let width = ffn.shared_intermediate_size;
            self.dense(
                DenseFfn { intermediate_size: width, gated: ffn.gated, bias: ffn.bias },
                Operator::SharedExperts,
            );
            shared = self.last;
        }
        self.last = dispatched;
        self.elsewhere(Operator::Experts, 4.0);
        if travels {
            travel(self);
        }
        let after: Vec<NodeIndex> = self.last.into_iter().chain(shared).collect();
        if self.context.tensor_ranks() > 1.0 {
            let (work, evidence) = self.context.all_reduce(hidden);
            self.last = Some(self.push_after(Operator::AllReduce, (RowWork::Collective(work), evidence), &after));
        }
    }
}

impl LayerKind {
    pub(super) fn new(layer: &LayerSpec, context: &Context<'_>) -> Self {
        let slice = layer.slice(context.options.parallelism);
        let mut builder = Builder { context, operators: Vec::new(), graph: LayerGraph::default(), last: None };
        builder.mixer(&slice.mixer, &layer.mixer);
        builder.feed_forward(&slice.feed_forward, &layer.feed_forward);
        let kernels = builder.operators.iter().map(|operator| operator.work.kernels()).sum();
        Self {
            schedule: builder.graph.compile(context.options.overlap_collectives),
            operators: builder.operators,
            kernels,
        }
    }

    /// What a layer costs for `rows` rows, all operators together, without what is priced elsewhere.
    ///
    /// Its time is the critical path over the operators, and outside CUDA graphs at least that of their launches.
    pub(super) fn load(&self, rows: u32, engine: &EngineOverheads, scratch: &mut Scratch) -> Load {
        if rows == 0 {
            return Load::default();
        }
        let padded = engine.padded(rows);
        let mut sum = Load::default();
        scratch.times.clear();
        for operator in &self.operators {
            let (load, _) = operator.work.load(padded, rows);
            scratch.times.push(load.time_ns);
            sum.at_peak_ns += load.at_peak_ns;
            sum.memory_bytes += load.memory_bytes;
            sum.link_bytes += load.link_bytes;
        }
        let scheduled = self.schedule.length(scratch.times.iter().copied(), &mut scratch.ends);
        sum.time_ns = self.with_launches(rows, scheduled, engine);
        sum
    }

    fn with_launches(&self, rows: u32, scheduled_ns: f64, engine: &EngineOverheads) -> f64 {
        if engine.captured(rows) { scheduled_ns } else { scheduled_ns.max(self.kernels * engine.eager_launch_ns) }
    }

    /// What each operator of a layer costs for `rows` rows: the parts of [`load`](Self::load).
    ///
    /// Time that links spend beside compute is left out of theirs; time in which a layer waits for launches is the host's.
    pub(super) fn loads(&self, rows: u32, engine: &EngineOverheads) -> Vec<(Operator, Evidence, Load)> {
        if rows == 0 {
            return Vec::new();
        }
        let padded = engine.padded(rows);
        let load = |op: &LayerOperator| {
            let (load, basis) = op.work.load(padded, rows);
            (op.operator, basis.evidence(op.evidence), load)
        };
        let mut loads: Vec<_> = self.operators.iter().map(load).collect();
        let scheduled = self.schedule.length(loads.iter().map(|(_, _, load)| load.time_ns), &mut Vec::new());
        let sum: f64 = loads.iter().map(|(_, _, load)| load.time_ns).sum();
        let hidden = sum - scheduled;
        if hidden > 0.0 {
            let links = |operator: Operator| matches!(operator, Operator::AllReduce | Operator::AllToAll);
            let link_ns: f64 = loads.iter().filter(|(op, ..)| links(*op)).map(|(_, _, load)| load.time_ns).sum();
            for (_, _, load) in loads.iter_mut().filter(|(op, ..)| links(*op)) {
                load.time_ns *= 1.0 - hidden / link_ns;
            }
        }
        let waiting = self.with_launches(rows, scheduled, engine) - scheduled;
        if waiting > 0.0 {
            loads.push((Operator::Host, Evidence::Extrapolated, Load { time_ns: waiting, ..Load::default() }));
        }
        loads
    }
}
