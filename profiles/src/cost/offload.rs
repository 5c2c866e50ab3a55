//! What a decode step costs where attention is offloaded: weights and all other operators on model workers, the KV cache and
//! attention on attention workers, and messages between them in every layer (Lamina, arXiv 2405.01814).

use std::sync::Arc;

use super::analytic::AnalyticCost;
use super::load::{Load, NS_PER_S};
use super::options::CostOptions;
use super::tables::Slice;
use super::{CostModel, CostTotals, Evidence, Operator};
use crate::error::ProfileError;
use crate::model::{Attention, Mixer};
use crate::step::{Passage, StepCost, StepShape};

/// Bytes of an element of queries, keys, values, outputs and the residual stream on the wire.
const WIRE_BYTES: f64 = 2.0;

/// The network between model workers and attention workers, and between the replicas of the model workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// Bytes/s of one GPU's adapter in one direction, as messages see it. A message is cut among all GPUs of a side, so it
    /// takes as long as the side with fewer of them needs.
    pub bandwidth: f64,
    /// Nanoseconds from the end of a message on the wire until the other side can use it.
    pub latency_ns: u64,
}

/// Everything that decides what steps of an offloading replica cost.
#[derive(Clone, Debug)]
pub struct OffloadOptions<'a> {
    /// The model workers: one replica of them, `tensor_parallel_size` GPUs.
    pub model_workers: CostOptions<'a>,
    /// The attention workers; its `tensor_parallel_size` is how many they are, each with its share of the KV heads.
    pub attention_workers: CostOptions<'a>,
    /// The network.
    pub wire: Wire,
    /// Whether queries leave before keys and values are computed, so that attention to the tokens that are there already
    /// begins meanwhile (Lamina).
    pub early_query: bool,
}

/// What a step takes, layer by layer, and the energy above idle of all GPUs in joules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OffloadedStep {
    /// Times of all servers it passes.
    pub passage: Passage,
    /// Of model workers and attention workers together.
    pub dynamic_energy_j: f64,
}

/// Prices decode steps of a replica that offloads attention, and keeps its books. A clone has empty books.
#[derive(Debug)]
pub struct OffloadedCost {
    models: AnalyticCost,
    pool: AnalyticCost,
    layers: u32,
    /// By rows: what of a layer lies before its attention.
    slices: Arc<[Slice]>,
    early_query: bool,
    wire: Wire,
    /// GPUs of the side with fewer of them.
    narrow: f64,
    /// Elements per row of a query, of keys and values, and of the residual stream.
    query: f64,
    keys: f64,
    hidden: f64,
    /// Rows that crossed the network, and joules of that.
    rows: f64,
    wire_j: f64,
    j_per_wire_byte: f64,
    replicas: f64,
    batches: u32,
}

impl OffloadedCost {
    /// Compiles the cost model of a replica with so many `batches` on their way.
    ///
    /// # Errors
    ///
    /// If a side's options are wrong, a layer has other than softmax attention, or the KV heads cannot be shared out evenly
    /// among the attention workers.
    pub fn new(options: &OffloadOptions<'_>, batches: u32) -> Result<Self, ProfileError> {
        let attention = check(options, batches)?;
        let model_side = &options.model_workers;
        let models = AnalyticCost::without_attention(model_side)?;
        let pool = AnalyticCost::attention_alone(&options.attention_workers)?;
        let gpus = |side: &CostOptions<'_>| f64::from(side.parallelism.tensor_parallel_size);
        let head_dim = f64::from(attention.head_dim);
        let (query_heads, kv_heads) = (f64::from(attention.query_heads), f64::from(attention.kv_heads));
        let slices = models.slices(model_side.max_num_batched_tokens, 2.0 * kv_heads / (query_heads + 2.0 * kv_heads));
        Ok(Self {
            layers: model_side.model.layers.len() as u32,
            slices: slices.into(),
            early_query: options.early_query,
            wire: options.wire,
            narrow: gpus(model_side).min(gpus(&options.attention_workers)),
            query: query_heads * head_dim,
            keys: 2.0 * kv_heads * head_dim,
            hidden: f64::from(model_side.model.hidden_size),
            rows: 0.0,
            wire_j: 0.0,
            j_per_wire_byte: models.j_per_link_byte() / gpus(model_side),
            replicas: f64::from(batches.max(2) - 1),
            batches,
            models,
            pool,
        })
    }

    /// Batches on their way.
    pub fn batches(&self) -> u32 {
        self.batches
    }

    /// Bytes that a row sends over the network in a step, both ways: `(2 + 2/G)·e·d` per layer (Lamina), and
    /// the residual stream where layers take turns on several replicas.
    pub fn bytes_per_row(&self) -> f64 {
        let residual = if self.replicas > 1.0 { self.hidden } else { 0.0 };
        f64::from(self.layers) * WIRE_BYTES * (2.0 * self.query + self.keys + residual)
    }

    fn passage(&self, rows: u32, sampled: u32, model_ns: u64, pool_ns: u64) -> Passage {
        let layers = f64::from(self.layers);
        let once_ns = self.models.once_ns(rows, sampled);
        let layer_ns = (model_ns as f64 - once_ns.before - once_ns.after).max(0.0) / layers;
        // Beyond the tables a step is bound by compute, and its parts keep their shares.
        let slice = match self.slices.get(rows as usize) {
            Some(&slice) => slice,
            None => self.slices[self.slices.len() - 1].scaled(layers_ns_ratio(rows, self.slices.len())),
        };
        let before_ns = slice.before_attention_ns.min(layer_ns);
        let keys_ns = if self.early_query { slice.keys_ns.min(before_ns) } else { 0.0 };
        let on_wire = |elements: f64| rounded(self.wire_ns(f64::from(rows) * elements));
        let (query, keys) = (on_wire(self.query), on_wire(self.keys));
        Passage {
            layers: self.layers,
            first_slice_ns: rounded(once_ns.before + before_ns),
            inner_slice_ns: rounded(layer_ns),
            last_slice_ns: rounded(layer_ns - before_ns + once_ns.after).max(1),
            keys_after_query_ns: rounded(keys_ns),
            attention_ns: rounded(pool_ns as f64 / layers),
            // The attention kernel's own time is that of all tokens, the new one among them.
            merge_ns: 0,
            // What leaves together crosses as one message.
            query_wire_ns: query,
            keys_wire_ns: keys,
            output_wire_ns: query,
            context_wire_ns: on_wire(self.hidden),
            latency_ns: self.wire.latency_ns,
        }
    }

    /// Time of so many elements on the wire.
    fn wire_ns(&self, elements: f64) -> f64 {
        elements * WIRE_BYTES * NS_PER_S / (self.wire.bandwidth * self.narrow)
    }
}

impl CostModel for OffloadedCost {
    /// The replicas of the model workers, then the attention workers.
    fn stages(&self) -> usize {
        self.replicas as usize + 1
    }

    fn offloaded_batches(&self) -> Option<usize> {
        Some(self.batches as usize)
    }

    fn pass(&mut self, shape: &StepShape<'_>) -> OffloadedStep {
        assert!(shape.prefill_layers.is_none(), "a batch passes all layers");
        let (mut model_ns, mut pool_ns) = ([0], [0]);
        let model_j = self.models.step(shape, &mut model_ns).dynamic_energy_j;
        let pool_j = self.pool.step(shape, &mut pool_ns).dynamic_energy_j;
        let rows = shape.prefill.iter().map(|piece| piece.new_tokens).sum::<u32>() + shape.decode.requests;
        let wire_j = f64::from(rows) * self.bytes_per_row() * self.j_per_wire_byte;
        self.rows += f64::from(rows);
        self.wire_j += wire_j;
        let passage = self.passage(rows, shape.sampled, model_ns[0], pool_ns[0]);
        OffloadedStep { passage, dynamic_energy_j: model_j + pool_j + wire_j }
    }

    /// A step alone: all replicas of the model workers take turns, and the time is the sum over its layers.
    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        assert_eq!(stage_ns.len(), self.stages(), "one time for each server");
        let OffloadedStep { passage, dynamic_energy_j } = self.pass(shape);
        let (models, pool) = (passage.models_ns(), u64::from(passage.layers) * passage.attention_ns);
        stage_ns.fill(0);
        stage_ns[0] = models;
        *stage_ns.last_mut().expect("there are attention workers") = pool;
        StepCost { duration_ns: models + pool, dynamic_energy_j }
    }

    fn totals(&self) -> CostTotals {
        let mut totals = self.models.totals();
        let mut pool = self.pool.totals();
        pool.steps = 0;
        totals += &pool;
        let handover = totals.operator_mut(Operator::Handover);
        handover.link_bytes += self.rows * self.bytes_per_row();
        handover.dynamic_energy_j += self.wire_j;
        totals.dynamic_energy_j += self.wire_j;
        totals
    }

    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        let mut alone = self.clone();
        alone.pass(shape);
        alone.totals()
    }
}

impl Clone for OffloadedCost {
    fn clone(&self) -> Self {
        let (models, pool, slices) = (self.models.clone(), self.pool.clone(), Arc::clone(&self.slices));
        Self { models, pool, slices, rows: 0.0, wire_j: 0.0, ..*self }
    }
}

/// How much longer so many rows take than the last ones tabulated.
fn layers_ns_ratio(rows: u32, tabulated: usize) -> f64 {
    f64::from(rows) / (tabulated - 1).max(1) as f64
}

fn rounded(ns: f64) -> u64 {
    (ns + 0.5) as u64
}

/// The attention of all layers, if it can be offloaded.
fn check(options: &OffloadOptions<'_>, batches: u32) -> Result<Attention, ProfileError> {
    let (models, pool) = (&options.model_workers, &options.attention_workers);
    let model = models.model;
    let wrong = |setting, value: String, problem: &str| {
        Err(ProfileError::CostSetting { setting, value, problem: problem.to_owned() })
    };
    let mut all = model.layers.iter().map(|layer| &layer.mixer);
    let Some(&Mixer::Attention(attention)) = all.next() else {
        return wrong(
            "attention_offload",
            model.name.clone(),
            "only softmax attention over a KV cache can be offloaded",
        );
    };
    if all.any(|mixer| *mixer != Mixer::Attention(attention)) {
        return wrong("attention_offload", model.name.clone(), "all layers must have the same softmax attention");
    }
    let workers = pool.parallelism.tensor_parallel_size;
    if attention.kv_heads % workers != 0 {
        let problem = format!(
            "attention is cut by heads: the {} KV heads of {} cannot be shared out evenly",
            attention.kv_heads, model.name
        );
        return wrong("attention_offload workers", workers.to_string(), &problem);
    }
    for side in [models, pool] {
        let spread = side.parallelism;
        if spread.pipeline_parallel_size > 1 || spread.data_parallel_size > 1 || spread.enable_expert_parallel {
            let problem = "model workers are tensor-parallel only: batches take turns on their replicas instead";
            return wrong("attention_offload", "pipeline, data or expert parallelism".to_owned(), problem);
        }
    }
    if batches == 0 {
        return wrong("attention_offload batches", "0".to_owned(), "use 1 or more; 2 keep both sides busy");
    }
    let wire = options.wire;
    if !(wire.bandwidth > 0.0 && wire.bandwidth.is_finite()) {
        return wrong("attention_offload bandwidth", wire.bandwidth.to_string(), "use bytes/s above 0");
    }
    Ok(attention)
}

impl Slice {
    fn scaled(self, factor: f64) -> Self {
        Slice { before_attention_ns: factor * self.before_attention_ns, keys_ns: factor * self.keys_ns }
    }

    /// Of a layer's operators before attention: their time, and that of keys and values at the end of it.
    pub(super) fn of(loads: &[(Operator, Evidence, Load)], keys_share: f64) -> Self {
        let mut slice = Slice::default();
        for (operator, _, load) in loads {
            match operator {
                Operator::PrefillAttention | Operator::OutputProjection => break,
                Operator::QkvProjection => slice.keys_ns += keys_share * load.time_ns,
                _ => {}
            }
            slice.before_attention_ns += load.time_ns;
        }
        slice
    }
}
