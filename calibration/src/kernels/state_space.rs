//! The Mamba-2 mixer: convolution and recurrence.

use super::launch::{Builder, Launch, LaunchError, View};
use super::source::{
    CHUNK_SCAN_64, CHUNK_SCAN_128, CONVOLVE_SCAN, CONVOLVE_UPDATE, KEEP_INPUTS, Kernel, STATE_UPDATE_64,
    STATE_UPDATE_128,
};

const BF16: u64 = 2;
/// Channels of a head, as in `state_space.cu`.
const HEAD_CHANNELS: u64 = 64;
/// Tokens of a chunk, as in `state_space.cu`.
const CHUNK: u64 = 64;

/// A mixer on one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSpaceShape {
    /// Heads of 64 channels.
    pub heads: u64,
    /// Groups of B and C, of which the heads are a multiple.
    pub groups: u64,
    /// State elements per channel: 64 or 128.
    pub state: u64,
    /// States that memory holds.
    pub slots: u64,
}

impl StateSpaceShape {
    fn check(self, builder: Builder) -> Builder {
        let StateSpaceShape { heads, groups, state, .. } = self;
        builder
            .require(groups > 0 && heads > 0 && heads % groups == 0, || {
                format!("{heads} heads over {groups} groups; a multiple is possible")
            })
            .require(matches!(state, 64 | 128), || format!("{state} state elements; 64 and 128 are possible"))
    }

    fn pick(self, small: Kernel, large: Kernel) -> Kernel {
        if self.state == 64 { small } else { large }
    }

    /// Channels of the convolution: x, B and C side by side.
    pub fn convolved_channels(self) -> u64 {
        self.heads * HEAD_CHANNELS + 2 * self.groups * self.state
    }
}

/// The sequences of a launch: 32-bit integers in a machine's memory.
#[derive(Clone, Debug)]
pub struct Sequences {
    /// Sequences.
    pub count: u64,
    /// Tokens of all together.
    pub tokens: u64,
    /// Tokens of the longest.
    pub longest: u64,
    /// The state slot of each, below the shape's slots; the kernels do not check them.
    pub slots: View,
    /// First token of each, and the end: count + 1. Not used by updates.
    pub starts: View,
    /// 1 where a sequence starts from a state of zeros. Not used by updates.
    pub from_zero: View,
}

/// Operands of the recurrence.
#[derive(Clone, Debug)]
pub struct StateSpaceInputs {
    /// `[token][head][64]`, bfloat16.
    pub x: View,
    /// `[token][group][state]`, bfloat16.
    pub b: View,
    /// `[token][group][state]`, bfloat16.
    pub c: View,
    /// `[token][head]`, bfloat16.
    pub dt: View,
    /// Per head, float, negative.
    pub a: View,
    /// Per head, float.
    pub d: View,
    /// Per head, float.
    pub dt_bias: View,
}

impl StateSpaceInputs {
    fn add(&self, builder: Builder, shape: StateSpaceShape, tokens: u64) -> Builder {
        builder
            .memory("x", &self.x, tokens * shape.heads * HEAD_CHANNELS, BF16)
            .memory("B", &self.b, tokens * shape.groups * shape.state, BF16)
            .memory("C", &self.c, tokens * shape.groups * shape.state, BF16)
            .memory("dt", &self.dt, tokens * shape.heads, BF16)
            .memory("A", &self.a, shape.heads, 4)
            .memory("D", &self.d, shape.heads, 4)
            .memory("dt bias", &self.dt_bias, shape.heads, 4)
    }
}

fn states(builder: Builder, shape: StateSpaceShape, states: &View) -> Builder {
    builder.memory("states", states, shape.slots * shape.heads * HEAD_CHANNELS * shape.state, 4)
}

/// The recurrence over whole prompts: `out` is `[token][head][64]`, the states (float, `[slot][head][64][state]`) are left
/// as they are after the last token.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
pub fn scan_prompts(
    shape: StateSpaceShape,
    sequences: &Sequences,
    state_pool: &View,
    inputs: &StateSpaceInputs,
    out: &View,
) -> Result<Launch, LaunchError> {
    let state = shape.state as u32;
    let builder = shape.check(Builder::new(shape.pick(CHUNK_SCAN_64, CHUNK_SCAN_128)));
    let builder = states(builder, shape, state_pool)
        .memory("slots", &sequences.slots, sequences.count, 4)
        .memory("starts", &sequences.starts, sequences.count + 1, 4)
        .memory("from zero", &sequences.from_zero, sequences.count, 4);
    // x and weighted x, B and C, the carried state, dt and decays.
    let shared_bytes = 2 * 64 * 64 * 2 + 2 * 64 * state * 2 + 64 * state * 2 + 2 * 64 * 4;
    inputs
        .add(builder, shape, sequences.tokens)
        .memory("out", out, sequences.tokens * shape.heads * HEAD_CHANNELS, BF16)
        .count("heads", shape.heads)
        .count("groups", shape.groups)
        .over([shape.heads, sequences.count], 128, shared_bytes)
}

/// The recurrence of one token per sequence.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
pub fn update_states(
    shape: StateSpaceShape,
    sequences: u64,
    slots: &View,
    state_pool: &View,
    inputs: &StateSpaceInputs,
    out: &View,
) -> Result<Launch, LaunchError> {
    let builder = shape.check(Builder::new(shape.pick(STATE_UPDATE_64, STATE_UPDATE_128)));
    let builder = states(builder, shape, state_pool).memory("slots", slots, sequences, 4);
    inputs
        .add(builder, shape, sequences)
        .memory("out", out, sequences * shape.heads * HEAD_CHANNELS, BF16)
        .count("heads", shape.heads)
        .count("groups", shape.groups)
        .over([shape.heads, sequences], 256, 0)
}

/// Operands of the convolution of width 4: x, B and C side by side.
#[derive(Clone, Debug)]
pub struct ConvolutionInputs {
    /// `[token][channel]`, bfloat16.
    pub input: View,
    /// The last three inputs of each sequence, `[slot][3][channel]`, bfloat16.
    pub kept: View,
    /// `[channel][4]`, float.
    pub weights: View,
    /// Per channel, float.
    pub bias: View,
}

/// The convolution over whole prompts, and the keeping of their last inputs: two launches.
///
/// # Errors
///
/// If memory is too small.
pub fn convolve_prompts(
    shape: StateSpaceShape,
    sequences: &Sequences,
    inputs: &ConvolutionInputs,
    out: &View,
) -> Result<Vec<Launch>, LaunchError> {
    let channels = shape.convolved_channels();
    let lists = |kernel| {
        Builder::new(kernel)
            .memory("input", &inputs.input, sequences.tokens * channels, BF16)
            .memory("kept inputs", &inputs.kept, shape.slots * 3 * channels, BF16)
            .memory("slots", &sequences.slots, sequences.count, 4)
            .memory("starts", &sequences.starts, sequences.count + 1, 4)
            .memory("from zero", &sequences.from_zero, sequences.count, 4)
    };
    let convolve = lists(CONVOLVE_SCAN)
        .memory("weights", &inputs.weights, 4 * channels, 4)
        .memory("bias", &inputs.bias, channels, 4)
        .memory("out", out, sequences.tokens * channels, BF16)
        .count("channels", channels)
        .over([sequences.longest.div_ceil(CHUNK), sequences.count], 256, 0)?;
    let keep = lists(KEEP_INPUTS).count("channels", channels).over([sequences.count, 1], 256, 0)?;
    Ok(vec![convolve, keep])
}

/// The convolution of one token per sequence.
///
/// # Errors
///
/// If memory is too small.
pub fn convolve_tokens(
    shape: StateSpaceShape,
    sequences: u64,
    slots: &View,
    inputs: &ConvolutionInputs,
    out: &View,
) -> Result<Launch, LaunchError> {
    let channels = shape.convolved_channels();
    Builder::new(CONVOLVE_UPDATE)
        .memory("input", &inputs.input, sequences * channels, BF16)
        .memory("kept inputs", &inputs.kept, shape.slots * 3 * channels, BF16)
        .memory("slots", slots, sequences, 4)
        .memory("weights", &inputs.weights, 4 * channels, 4)
        .memory("bias", &inputs.bias, channels, 4)
        .memory("out", out, sequences * channels, BF16)
        .count("channels", channels)
        .over([sequences, 1], 256, 0)
}
