//! Our own kernels, described as launches: which kernel, over which grid, on which memory. Nothing here needs a GPU, so a
//! launch can be checked, emulated, captured or timed alike.

mod attention;
mod elementwise;
mod experts;
mod launch;
mod source;
mod state_space;

pub use attention::{
    AttentionShape, DecodeLists, DecodePlan, PagedKv, Piece, PrefillLists, PrefillPlan, decode_attention,
    prefill_attention,
};
pub use elementwise::{
    RotaryShape, add_rms_norm, copy, embed, nothing, quantise_rows, read, rms_norm, rotary_angles, rotate_and_append,
    sample_greedy, silu_mul,
};
pub use experts::{
    ExpertRouting, GroupedInput, SortedPairs, combine_experts, grouped_product, grouped_tile_rows, route,
    sort_by_expert,
};
pub use launch::{Arg, Launch, LaunchError, View};
pub use source::{KERNELS, Kernel, PRELUDE, Source};
pub use state_space::{
    ConvolutionInputs, Sequences, StateSpaceInputs, StateSpaceShape, convolve_prompts, convolve_tokens, scan_prompts,
    update_states,
};
