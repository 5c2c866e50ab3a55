//! The schedule file: what each step of a run contained, and what it was predicted to cost.
//!
//! JSON lines, compressed with gzip where the name ends in `.gz`. Each line is an object with one key, which says what
//! the line is:
//!
//! | key | what | how often |
//! |---|---|---|
//! | `schedule` | [`FileHeader`]: the version of the format | first line |
//! | `run` | [`RunHeader`]: system, seed, model, formats, limits | begins each run |
//! | `step` | [`ScheduledStep`]: who was in it, and its predicted cost | in order of dispatch |
//! | `end` | [`RunEnd`]: totals, so that a file that was cut off is found out | ends each run |
//!
//! A reader refuses keys it does not know: a field that changes what a step is may not be skipped. Numbers of a later
//! version than [`VERSION`] are refused for the same reason.

mod check;
mod read;

use std::collections::BTreeMap;

use profiles::cost::{EngineOverheads, ExpertRouting};
use profiles::{
    CostTotals, DecodeBatch, Evidence, LayerRange, LayerSpec, ModelSpec, Operator, OperatorTotals, Parallelism,
    Precision, PrefillPiece,
};
use serde::{Deserialize, Serialize};

pub use read::{RunChoice, ScheduleReader, list_runs};

/// Version of the format that is written, and the latest one that is read.
pub const VERSION: u32 = 1;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// First line.
    Schedule(FileHeader),
    /// A run begins.
    Run(Box<RunHeader>),
    /// A step of it.
    Step(Box<ScheduledStep>),
    /// It ends.
    End(RunEnd),
}

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHeader {
    /// Version of the format.
    pub version: u32,
}

/// What all steps of a run have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunHeader {
    /// Name of the system.
    pub system: String,
    /// Seed of the run; expert choices of a replay are drawn from it.
    pub seed: u64,
    /// What was served.
    pub model: ScheduledModel,
    /// Device the cost was predicted for.
    pub device: String,
    /// How each replica is spread over devices.
    pub parallelism: Parallelism,
    /// Number formats.
    pub precision: Precision,
    /// How tokens choose experts.
    pub routing: ExpertRouting,
    /// What the engine adds to kernels, captured graph sizes among it.
    pub engine: EngineOverheads,
    /// Name of the scheduling policy.
    pub policy: String,
    /// Most tokens in a step.
    pub max_num_batched_tokens: u32,
    /// Most requests running at a time.
    pub max_num_seqs: u32,
    /// Longest prompt plus answer in tokens.
    pub max_model_len: u32,
    /// Tokens in a KV block.
    pub block_size: u32,
    /// KV blocks of each replica.
    pub kv_blocks: u32,
    /// Whether prompts share blocks of equal content. The schedule does not say which: a replay gives every request blocks
    /// of its own.
    pub prefix_caching: bool,
    /// Sliding window of the model's windowed attention layers in tokens, if it has any.
    pub sliding_window: Option<u32>,
}

/// A model as far as executing its steps depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledModel {
    /// Its name.
    pub name: String,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Rows of the embedding table.
    pub vocab_size: u32,
    /// Its layers as runs of equal ones, first one first.
    pub layers: Vec<LayerRun>,
}

/// Layers next to each other that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRun {
    /// How many.
    pub count: u32,
    /// What each is.
    pub layer: LayerSpec,
}

impl ScheduledModel {
    /// Takes over what a schedule has to say.
    pub fn new(model: &ModelSpec) -> Self {
        let mut layers: Vec<LayerRun> = Vec::new();
        for layer in &model.layers {
            match layers.last_mut() {
                Some(run) if run.layer == *layer => run.count += 1,
                _ => layers.push(LayerRun { count: 1, layer: layer.clone() }),
            }
        }
        Self { name: model.name.clone(), hidden_size: model.hidden_size, vocab_size: model.vocab_size, layers }
    }

    /// Layers of the model.
    pub fn layer_count(&self) -> u32 {
        self.layers.iter().map(|run| run.count).sum()
    }
}

/// One forward pass of one replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledStep {
    /// Its number in the run, from 0 on, in order of dispatch.
    pub step: u64,
    /// Which replica.
    pub replica: u32,
    /// Which of its micro-batches.
    pub slot: u32,
    /// When its first stage began, in nanoseconds of simulated time.
    pub start_ns: u64,
    /// When its tokens were out.
    pub end_ns: u64,
    /// Predicted time of each pipeline stage in nanoseconds; their sum is [`predicted_ns`](Self::predicted_ns).
    pub stage_ns: Vec<u64>,
    /// Positions whose logits are computed and sampled.
    pub sampled: u32,
    /// KV blocks free once it was scheduled.
    pub free_blocks: u32,
    /// Layers that the prompt tokens pass through, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_layers: Option<ScheduledLayers>,
    /// Pieces of prompts, in the order in which they were scheduled.
    pub prefill: Vec<ScheduledPiece>,
    /// Decoding requests, in the order in which they were let in, each as `[request, tokens it attends to]`, the new one
    /// included.
    pub decode: Vec<(u64, u32)>,
    /// Predicted time by operator in nanoseconds, rounded to whole ones; those that take none are left out.
    pub operators_ns: BTreeMap<Operator, u64>,
    /// The same time by what it stands on.
    pub evidence_ns: BTreeMap<Evidence, u64>,
    /// The time of each operator by what it stands on; empty in schedules that do not tell it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operator_evidence_ns: BTreeMap<Operator, BTreeMap<Evidence, u64>>,
}

/// Contiguous layers, first one included, last one not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledLayers {
    /// First layer.
    pub start: u32,
    /// One past the last layer.
    pub end: u32,
}

/// A piece of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledPiece {
    /// Whose.
    pub request: u64,
    /// Tokens processed in this step.
    pub new_tokens: u32,
    /// Tokens of the request whose KV is already there.
    pub context_tokens: u32,
    /// Whether the request yields a token at the end of the step.
    pub completes: bool,
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnd {
    /// Steps.
    pub steps: u64,
    /// Prompt tokens of all steps.
    pub prefill_tokens: u64,
    /// Decode rows of all steps.
    pub decode_tokens: u64,
}

impl RunEnd {
    /// Counts a step in.
    pub fn add(&mut self, step: &ScheduledStep) {
        self.steps += 1;
        self.prefill_tokens += u64::from(step.prefill_tokens());
        self.decode_tokens += step.decode.len() as u64;
    }
}

impl ScheduledStep {
    /// Prompt tokens.
    pub fn prefill_tokens(&self) -> u32 {
        self.prefill.iter().map(|piece| piece.new_tokens).sum()
    }

    /// Rows that pass through the model: prompt tokens and decoding requests.
    pub fn rows(&self) -> u32 {
        self.prefill_tokens() + self.decode.len() as u32
    }

    /// Σ of the tokens that decoding requests attend to.
    pub fn decode_context_tokens(&self) -> u64 {
        self.decode.iter().map(|&(_, context)| u64::from(context)).sum()
    }

    /// Σ of the tokens whose KV is read: by decoding requests, and by prompt pieces, their own tokens included.
    pub fn context_tokens(&self) -> u64 {
        let of_piece = |piece: &ScheduledPiece| u64::from(piece.context_tokens) + u64::from(piece.new_tokens);
        self.decode_context_tokens() + self.prefill.iter().map(of_piece).sum::<u64>()
    }

    /// The decoding requests as a cost model sees them, for layers with this sliding window.
    pub fn decode_batch(&self, sliding_window: Option<u32>) -> DecodeBatch {
        let window = sliding_window.unwrap_or(u32::MAX);
        DecodeBatch {
            requests: self.decode.len() as u32,
            context_tokens: self.decode_context_tokens(),
            windowed_context_tokens: self.decode.iter().map(|&(_, context)| u64::from(context.min(window))).sum(),
            ..DecodeBatch::default()
        }
    }

    /// The prompt pieces as a cost model sees them.
    pub fn pieces(&self) -> Vec<PrefillPiece> {
        let piece = |piece: &ScheduledPiece| PrefillPiece {
            new_tokens: piece.new_tokens,
            context_tokens: piece.context_tokens,
        };
        self.prefill.iter().map(piece).collect()
    }

    /// The layers that prompt tokens pass through as a cost model sees them.
    pub fn layer_range(&self) -> Option<LayerRange> {
        self.prefill_layers.map(|layers| LayerRange { start: layers.start, end: layers.end })
    }

    /// Predicted time of the whole step in nanoseconds: host and collectives included, hand-over between pipeline stages
    /// not.
    pub fn predicted_ns(&self) -> u64 {
        self.stage_ns.iter().sum()
    }

    /// Predicted time of what one GPU executes by itself, in nanoseconds: without the host and without collectives.
    pub fn kernels_ns(&self) -> u64 {
        let own = self.operators_ns.iter().filter(|(operator, _)| is_kernel(**operator));
        own.map(|(_, ns)| ns).sum()
    }

    /// The same if only `layers` of `all_layers` equal layers are executed.
    pub fn kernels_ns_of(&self, layers: u32, all_layers: u32) -> f64 {
        let own = self.operators_ns.keys().filter(|operator| is_kernel(**operator));
        own.map(|&operator| self.operator_ns_of(operator, layers, all_layers)).sum()
    }

    /// Predicted time of one operator in nanoseconds if only `layers` of `all_layers` equal layers are executed.
    pub fn operator_ns_of(&self, operator: Operator, layers: u32, all_layers: u32) -> f64 {
        let ns = self.operators_ns.get(&operator).copied().unwrap_or(0) as f64;
        ns * part_of_layers(operator, layers, all_layers)
    }

    /// The part of [`kernels_ns_of`](Self::kernels_ns_of) that stands on this evidence, in nanoseconds; `None` if the
    /// schedule does not tell what each operator stands on.
    pub fn kernels_evidence_ns_of(&self, evidence: Evidence, layers: u32, all_layers: u32) -> Option<f64> {
        let own = self.operators_ns.keys().filter(|operator| is_kernel(**operator));
        own.map(|&operator| {
            let ns = self.operator_evidence_ns.get(&operator)?.get(&evidence).copied().unwrap_or(0) as f64;
            Some(ns * part_of_layers(operator, layers, all_layers))
        })
        .sum()
    }

    /// Fills in what a cost model says of the step.
    pub fn set_cost(&mut self, cost: &CostTotals) {
        let timed = || cost.operators().filter(|(_, totals)| whole(totals.time_ns()) > 0);
        self.operators_ns = timed().map(|(operator, totals)| (operator, whole(totals.time_ns()))).collect();
        self.evidence_ns = by_evidence(&cost.sum());
        self.operator_evidence_ns = timed().map(|(operator, totals)| (operator, by_evidence(totals))).collect();
    }
}

fn whole(ns: f64) -> u64 {
    ns.round() as u64
}

/// Times in whole nanoseconds by what they stand on, those that are not 0.
fn by_evidence(totals: &OperatorTotals) -> BTreeMap<Evidence, u64> {
    let ns = Evidence::ALL.map(|evidence| (evidence, whole(totals.time_ns_by_evidence[evidence as usize])));
    ns.into_iter().filter(|(_, ns)| *ns > 0).collect()
}

/// The part of an operator's time in `all_layers` equal layers that `layers` of them take.
fn part_of_layers(operator: Operator, layers: u32, all_layers: u32) -> f64 {
    if is_once(operator) { 1.0 } else { f64::from(layers) / f64::from(all_layers) }
}

/// Whether a GPU executes the operator without other GPUs and without waiting for the host.
pub fn is_kernel(operator: Operator) -> bool {
    !matches!(operator, Operator::AllReduce | Operator::AllToAll | Operator::Handover | Operator::Host)
}

/// Whether the operator runs once per step, however many layers there are. The final norm is booked with the small kernels
/// of the layers, of which it is one in hundreds.
fn is_once(operator: Operator) -> bool {
    matches!(operator, Operator::Embedding | Operator::LmHead | Operator::Sampling)
}

#[cfg(test)]
mod tests;
