//! The whole interface between simulation and hardware: what one forward pass processes, and what that costs.

/// A piece of a prompt that passes through the model in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefillPiece {
    /// Tokens of the prompt that are processed now (≥ 1).
    pub new_tokens: u32,
    /// Tokens of the same request whose KV is already there: earlier chunks and cached prefixes.
    pub context_tokens: u32,
}

/// The requests that each generate one token in a step, as the sums that the cost depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeBatch {
    /// Requests, which are also the rows they contribute.
    pub requests: u32,
    /// Σ over them of the tokens attended to, the new one included.
    pub context_tokens: u64,
    /// Σ over them of min(tokens attended to, sliding window). Equal to `context_tokens` for models without windows.
    pub windowed_context_tokens: u64,
    /// What they have in common, for kernels that know it.
    pub shared: SharedPrefixes,
}

/// Prefixes that are the beginning of several contexts and lie in the cache once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedPrefixes {
    /// Prefixes that at least one request begins with.
    pub prefixes: u32,
    /// Σ over these prefixes of their tokens.
    pub tokens: u64,
    /// Σ over the requests that begin with one of the tokens of that prefix: part of their `context_tokens`.
    pub member_tokens: u64,
}

/// Contiguous layers, first one included, last one not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRange {
    /// First layer.
    pub start: u32,
    /// One past the last layer.
    pub end: u32,
}

/// What one forward pass processes.
///
/// Decode rows pass through every layer. Prefill rows pass through `prefill_layers`, which is all layers but for
/// layered prefill.
#[derive(Clone, Copy, Debug)]
pub struct StepShape<'a> {
    /// Pieces of prompts, in the order in which they were scheduled.
    pub prefill: &'a [PrefillPiece],
    /// The generating requests.
    pub decode: DecodeBatch,
    /// Positions whose logits are computed and sampled: every decode row, and one for each prompt that completes.
    pub sampled: u32,
    /// Layers that the prefill rows pass through in this step; `None` means all of them.
    pub prefill_layers: Option<LayerRange>,
}

/// What a step costs a replica as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepCost {
    /// Time from the start of the first pipeline stage to the end of the last one if nothing is in the way, in
    /// nanoseconds; rounded once, here.
    pub duration_ns: u64,
    /// Energy above idle, all devices of the replica, in joules; capped so that board power never exceeds its limit.
    pub dynamic_energy_j: f64,
}

/// What one decode step needs of model workers, attention workers and the network between them, where attention is offloaded.
///
/// A step of `layers` layers has `layers + 1` slices: the first reaches up to the attention of the first layer, the last
/// begins behind that of the last one. All times are in nanoseconds, of the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// Layers (≥ 1).
    pub layers: u32,
    /// The first slice.
    pub first_slice_ns: u64,
    /// Each slice between two layers.
    pub inner_slice_ns: u64,
    /// The last slice.
    pub last_slice_ns: u64,
    /// How long before the end of a slice its query is ready to leave; 0 if it leaves with keys and values.
    pub keys_after_query_ns: u64,
    /// Attention over the tokens that were in the cache before.
    pub attention_ns: u64,
    /// What is left to do when the new tokens' keys and values are there too.
    pub merge_ns: u64,
    /// Time on the wire to the attention workers of the query,
    pub query_wire_ns: u64,
    /// and of keys and values.
    pub keys_wire_ns: u64,
    /// Time on the wire back of the attention's output.
    pub output_wire_ns: u64,
    /// Time on the wire of what moves from one model replica to the next beside the attention.
    pub context_wire_ns: u64,
    /// From the end of a message on the wire until it can be used.
    pub latency_ns: u64,
}

impl Passage {
    /// Time of all slices together, in nanoseconds.
    pub fn models_ns(&self) -> u64 {
        self.first_slice_ns + u64::from(self.layers - 1) * self.inner_slice_ns + self.last_slice_ns
    }
}
