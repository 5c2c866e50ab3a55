//! The sources of the kernels, and which kernel is in which.

/// What every source starts with.
pub const PRELUDE: &str = include_str!("../../kernels/prelude.cuh");

/// A CUDA source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// RMSNorm.
    Norm,
    /// Rotary embedding and KV append.
    Rotary,
    /// Activation, embedding, sampling, copies, quantisation.
    Elementwise,
    /// Attention of prompts.
    PrefillAttention,
    /// Attention of generated tokens.
    DecodeAttention,
    /// Mixture of experts.
    Experts,
    /// Mamba-2.
    StateSpace,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 7] = [
        Source::Norm,
        Source::Rotary,
        Source::Elementwise,
        Source::PrefillAttention,
        Source::DecodeAttention,
        Source::Experts,
        Source::StateSpace,
    ];

    /// Its file name.
    pub fn file(self) -> &'static str {
        match self {
            Source::Norm => "norm.cu",
            Source::Rotary => "rotary.cu",
            Source::Elementwise => "elementwise.cu",
            Source::PrefillAttention => "attention_prefill.cu",
            Source::DecodeAttention => "attention_decode.cu",
            Source::Experts => "experts.cu",
            Source::StateSpace => "state_space.cu",
        }
    }

    /// Its text, which needs [`PRELUDE`] before it.
    pub fn text(self) -> &'static str {
        match self {
            Source::Norm => include_str!("../../kernels/norm.cu"),
            Source::Rotary => include_str!("../../kernels/rotary.cu"),
            Source::Elementwise => include_str!("../../kernels/elementwise.cu"),
            Source::PrefillAttention => include_str!("../../kernels/attention_prefill.cu"),
            Source::DecodeAttention => include_str!("../../kernels/attention_decode.cu"),
            Source::Experts => include_str!("../../kernels/experts.cu"),
            Source::StateSpace => include_str!("../../kernels/state_space.cu"),
        }
    }
}

/// A kernel: its name in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kernel {
    /// Where it is.
    pub source: Source,
    /// Its name.
    pub name: &'static str,
}

macro_rules! kernels {
    ($($constant:ident = $source:ident $name:literal,)+) => {
        $(pub(super) const $constant: Kernel = Kernel { source: Source::$source, name: $name };)+

        /// Every kernel.
        pub const KERNELS: &[Kernel] = &[$($constant,)+];
    };
}

kernels! {
    RMS_NORM = Norm "rms_norm",
    ADD_RMS_NORM = Norm "add_rms_norm",
    ROTATE_AND_APPEND = Rotary "rotate_and_append",
    SILU_MUL = Elementwise "silu_mul",
    GATHER_ROWS = Elementwise "gather_rows",
    ARGMAX_ROWS = Elementwise "argmax_rows",
    COPY_16 = Elementwise "copy_16",
    READ_16 = Elementwise "read_16",
    NOTHING = Elementwise "nothing",
    QUANTISE_ROWS = Elementwise "quantise_rows",
    ATTENTION_PREFILL_64 = PrefillAttention "attention_prefill_64",
    ATTENTION_PREFILL_128 = PrefillAttention "attention_prefill_128",
    ATTENTION_DECODE_64 = DecodeAttention "attention_decode_64",
    ATTENTION_DECODE_128 = DecodeAttention "attention_decode_128",
    ATTENTION_COMBINE = DecodeAttention "attention_combine",
    ROUTE_TOP_K = Experts "route_top_k",
    SORT_BY_EXPERT = Experts "sort_by_expert",
    GROUPED_GEMM_16 = Experts "grouped_gemm_16",
    GROUPED_GEMM_64 = Experts "grouped_gemm_64",
    GROUPED_GEMM_128 = Experts "grouped_gemm_128",
    COMBINE_EXPERTS = Experts "combine_experts",
    CONVOLVE_SCAN = StateSpace "convolve_scan",
    KEEP_INPUTS = StateSpace "keep_inputs",
    CONVOLVE_UPDATE = StateSpace "convolve_update",
    STATE_UPDATE_64 = StateSpace "state_update_64",
    STATE_UPDATE_128 = StateSpace "state_update_128",
    CHUNK_SCAN_64 = StateSpace "chunk_scan_64",
    CHUNK_SCAN_128 = StateSpace "chunk_scan_128",
}
