//! Everything else.

use super::{CollectiveOperation, PassPhase, StateSpacePhase, name, one_or_more, row, text, zero_or_more};
use crate::parallel::DType;

row! {
    /// Convolution and recurrence of a state-space mixer, one layer on one GPU.
    StateSpaceRow is StateSpace,
    phase: StateSpacePhase = name, "scan (prompts) or update (one token per sequence)";
    sequences: u32 = one_or_more, "sequences";
    tokens: u32 = one_or_more, "tokens, all sequences together";
    d_inner: u32 = one_or_more, "channels on this GPU";
    d_state: u32 = one_or_more, "state elements per channel";
    heads: u32 = zero_or_more, "heads on this GPU (Mamba-2); 0: Mamba-1, a head per channel";
    groups: u32 = zero_or_more, "groups of B and C on this GPU (Mamba-2); 0: Mamba-1";
}

row! {
    /// A small kernel, bound by memory or by its launch.
    ElementwiseRow is Elementwise,
    operation: String = text, "what it does: embedding, `rms_norm` (with the residual), `plain_rms_norm`, `qk_norm`, rotary, `kv_append`, `rotary_kv_append` (both in one), `silu_mul`, activation, `gated_norm`, `router_top_k`, sample; others are kept but no step is priced from them";
    rows: u32 = one_or_more, "rows";
    width: u32 = one_or_more, "elements of a row";
    bytes: u64 = one_or_more, "bytes read and written";
}

row! {
    /// An operation over several GPUs.
    CollectiveRow is Collective,
    operation: CollectiveOperation = name, "`all_reduce`, `all_gather`, `reduce_scatter`, `all_to_all` or `point_to_point`";
    ranks: u32 = one_or_more, "GPUs that take part";
    servers: u32 = one_or_more, "servers they are spread over evenly";
    bytes: u64 = one_or_more, "bytes of the whole message: of the tensor that is reduced, or gathered, or that each rank distributes";
    library: String = text, "whose implementation: nccl, vllm, trtllm, sglang";
}

row! {
    /// What the host adds.
    OverheadRow is Overhead,
    operation: String = text, "launch, `graph_launch`, `graph_node`, synchronise, event, `step_gap`";
    count: u32 = one_or_more, "of what the operation names: nodes of the graph, launches in a row, requests in the step";
}

row! {
    /// A whole forward pass of a model.
    PassRow is Pass,
    phase: PassPhase = name, "prompt or token";
    model: String = text, "the model, by the name of a model profile";
    tensor_parallel_size: u32 = one_or_more, "GPUs that share every layer";
    requests: u32 = one_or_more, "requests";
    new_tokens: u32 = one_or_more, "tokens of each that pass through the model; 1 in the token phase";
    context_tokens: u32 = zero_or_more, "tokens of each whose KV is already there, on average";
    weights: DType = name, "format of the weights";
}
