//! Convolution and recurrence of state-space mixers.

use super::layer::Context;
use super::load::{ACTIVATION_BYTES, Load, NS_PER_S, NS_PER_US};
use super::{Evidence, Operator};
use crate::model::{LayerSpec, Mixer, StateSpaceKind};

/// Operations per token, channel and state: `h ← exp(Δ·A)·h + Δ·B·x` and `y += C·h` (*Mamba*, algorithm 2).
const FLOPS_PER_STATE: f64 = 6.0;
/// Tokens that the dual form of Mamba-2 works on at once (`mamba_chunk_size` of published models).
const CHUNK_TOKENS: f64 = 256.0;
/// Vector FLOP/s over tensor FLOP/s: 67 over 989 TFLOP/s on an H100.
const VECTOR_SHARE: f64 = 1.0 / 14.8;
/// Part of the peak that scan kernels reach; not fitted.
const COMPUTE_EFFICIENCY: f64 = 0.4;

/// The scan of one kind of layer on one of the GPUs that share it.
#[derive(Clone, Debug)]
pub(super) struct ScanCost {
    prefill_floor_ns: f64,
    ns_per_token: f64,
    decode_floor_ns: f64,
    ns_per_state: f64,
    flops_per_token: f64,
    peak_ns_per_flop: f64,
    bytes_per_token: f64,
    /// A sequence's state, read and written.
    state_bytes: f64,
    /// Part of it that counts as necessary on each GPU: what every GPU holds is divided among them.
    necessary_share: f64,
}

impl ScanCost {
    /// Cost of the mixer of a whole layer, on one GPU; `None` if it has no state.
    pub(super) fn new(layer: &LayerSpec, context: &Context<'_>) -> Option<Self> {
        let mixer = layer.slice(context.options.parallelism).mixer;
        let Mixer::StateSpace(space) = mixer else { return None };
        let device = context.options.device;
        let law = &context.laws.elementwise;
        let (inner, state) = (f64::from(space.d_inner), f64::from(space.d_state));
        let (kernels, shared, tensor_flops, vector_flops) = match space.kind {
            StateSpaceKind::Mamba1 { .. } => (2.0, 2.0 * state, 0.0, FLOPS_PER_STATE * inner * state),
            // State-space duality (*Mamba-2*, section 6): products within a causal chunk, and with its states.
            StateSpaceKind::Mamba2 { groups, .. } => {
                let shared = 2.0 * f64::from(groups) * state;
                (5.0, shared, CHUNK_TOKENS * (shared / 2.0 + inner) + 4.0 * inner * state, 0.0)
            }
        };
        let ns_per_byte = NS_PER_S / (device.memory_bandwidth * law.memory);
        let seconds = tensor_flops / device.bf16_flops + vector_flops / (device.bf16_flops * VECTOR_SHARE);
        // Convolution reads and writes x, B and C; the scan reads them, the gate and Δ, and writes y.
        let bytes_per_token = (3.0 * (inner + shared) + 3.0 * inner) * ACTIVATION_BYTES;
        let state_elements = mixer.state_elements_per_sequence();
        let state_bytes = 2.0 * state_elements as f64 * ACTIVATION_BYTES;
        Some(Self {
            prefill_floor_ns: kernels * law.kernel_us * NS_PER_US,
            ns_per_token: (bytes_per_token * ns_per_byte).max(seconds * NS_PER_S / COMPUTE_EFFICIENCY),
            decode_floor_ns: 2.0 * law.kernel_us * NS_PER_US,
            ns_per_state: (state_bytes + bytes_per_token) * ns_per_byte,
            flops_per_token: space.scan_flops_per_token() as f64,
            peak_ns_per_flop: NS_PER_S / device.bf16_flops,
            bytes_per_token,
            state_bytes,
            necessary_share: context.distinct_share(layer.mixer.state_elements_per_sequence(), state_elements),
        })
    }

    /// Time for prompt pieces in one layer, in nanoseconds: each reads and writes its sequence's state once.
    #[inline]
    pub(super) fn prefill_ns(&self, pieces: usize, tokens: u32) -> f64 {
        self.prefill_floor_ns
            + f64::from(tokens) * self.ns_per_token
            + pieces as f64 * (self.ns_per_state - self.state_free_ns())
    }

    /// Time for generating requests in one layer, in nanoseconds.
    #[inline]
    pub(super) fn decode_ns(&self, requests: u32) -> f64 {
        self.decode_floor_ns + f64::from(requests) * self.ns_per_state
    }

    /// Part of a decode step's time per request that is not its state.
    fn state_free_ns(&self) -> f64 {
        self.ns_per_state * self.bytes_per_token / (self.state_bytes + self.bytes_per_token)
    }

    /// What so many tokens of so many sequences cost, without time.
    pub(super) fn load(&self, tokens: f64, sequences: f64) -> (Operator, Evidence, Load) {
        let flops = tokens * self.flops_per_token;
        let state_bytes = sequences * self.state_bytes;
        let load = Load {
            flops,
            useful_flops: flops,
            at_peak_ns: flops * self.peak_ns_per_flop,
            memory_bytes: state_bytes + tokens * self.bytes_per_token,
            necessary_bytes: state_bytes * self.necessary_share,
            ..Load::default()
        };
        (Operator::StateSpaceScan, Evidence::Extrapolated, load)
    }
}
