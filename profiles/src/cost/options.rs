//! What an analytic cost model is built from.

use serde::{Deserialize, Serialize};

use crate::cost::composition::Composition;
use crate::cost::efficiency::Architecture;
use crate::cost::sampling::Sampling;
use crate::cost::servers::Servers;
use crate::cost::shared_prefix::PrefixAttention;
use crate::device::DeviceSpec;
use crate::fitted::FittedProfile;
use crate::kernels::Kernels;
use crate::model::ModelSpec;
use crate::parallel::{Parallelism, Precision};

/// Everything that decides what a replica's steps cost.
#[derive(Clone, Debug)]
pub struct CostOptions<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// The GPUs it runs on, all alike.
    pub device: &'a DeviceSpec,
    /// How it is spread over them.
    ///
    /// With `data_parallel_size` above 1, a step shape is what one data-parallel rank processes; all ranks are taken to
    /// process steps of the same shape at the same time, and the books hold the GPUs of the one rank.
    pub parallelism: Parallelism,
    /// Number formats.
    pub precision: Precision,
    /// The link between the GPUs of the replica; `None`: the device's own, as [`Link::between_peers`] has it.
    pub link: Option<Link>,
    /// What servers the replica stands on, if it may be larger than one; not beside `link`. `None`: however many GPUs it has,
    /// they exchange data as those of one server do.
    pub servers: Option<Servers>,
    /// How tokens choose experts.
    pub routing: ExpertRouting,
    /// What the serving engine adds to kernels.
    pub engine: EngineOverheads,
    /// Whether collectives run beside compute that does not wait for them (dispatch to experts beside shared experts).
    /// vLLM runs them one after the other by default.
    pub overlap_collectives: bool,
    /// Whether attention over prompt pieces and over generating requests are launches of their own in any case, as in vLLM
    /// before v1 and in `FlashInfer`'s wrappers in `SGLang`; those of generating requests are when they run beside
    /// everything else ([`Self::composition`]). If not, one launch has both where that is how the device's kernels are known to work.
    pub separate_attention: bool,
    /// How tokens are chosen from logits.
    pub sampling: Sampling,
    /// How attention reads prefixes that generating requests share.
    pub prefix_attention: PrefixAttention,
    /// How decode attention and everything else go together.
    pub composition: Composition,
    /// Rows of the largest step; tables are built up to here and at most to 16,384 rows, and larger steps are computed
    /// directly.
    pub max_num_batched_tokens: u32,
    /// Requests of the largest step; likewise.
    pub max_num_seqs: u32,
    /// Whose efficiency curves to use; `None`: those of the device, recognised by its name.
    pub architecture: Option<Architecture>,
    /// A fitted profile of the device; `None`: the shipped one, if there is one and `architecture` does not ask for other
    /// curves.
    pub fitted: Option<&'a FittedProfile>,
    /// What was measured on the device: predicts where it reaches, and the curves elsewhere.
    pub kernels: Option<&'a Kernels>,
}

impl<'a> CostOptions<'a> {
    /// `model` on one `device` in 16 bits, experts chosen uniformly, with vLLM's engine overheads and limits (2048
    /// batched tokens, 256 sequences).
    pub fn new(model: &'a ModelSpec, device: &'a DeviceSpec) -> Self {
        Self {
            model,
            device,
            parallelism: Parallelism::default(),
            precision: Precision::default(),
            link: None,
            servers: None,
            routing: ExpertRouting::Uniform,
            engine: EngineOverheads::vllm_v1(),
            overlap_collectives: false,
            separate_attention: false,
            sampling: Sampling::Plain,
            prefix_attention: PrefixAttention::PerRequest,
            composition: Composition::Serial,
            max_num_batched_tokens: 2048,
            max_num_seqs: 256,
            architecture: None,
            fitted: None,
            kernels: None,
        }
    }
}

/// A link between two GPUs of a replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes/s in one direction, as the datasheet states it; efficiencies apply on top.
    pub bandwidth: f64,
    /// Nanoseconds before the first byte of a message arrives.
    pub latency_ns: f64,
}

impl Link {
    /// The link between devices of this kind in one server: its bandwidth from the datasheet, and 4 µs of latency.
    ///
    /// The latency is the time of an all-reduce of a few bytes between two H100 by vLLM 0.24's custom kernel inside a
    /// CUDA graph: 4.3 µs (H200 4.5, A100 5.0, L40S over `PCIe` 5.3, B200 7.1; NVIDIA's published collective tables of
    /// aiconfigurator).
    pub fn between_peers(device: &DeviceSpec) -> Self {
        Self { bandwidth: device.peer_bandwidth, latency_ns: 4_300.0 }
    }
}

/// How tokens choose experts: decides how many distinct experts a step reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpertRouting {
    /// Every expert is as likely as any other: `n` tokens that choose `k` of `E` experts touch `E·(1 − (1 − k/E)ⁿ)`.
    #[default]
    Uniform,
    /// Some experts are more popular than others, and tokens of one prompt agree more than those of many requests.
    Zipf {
        /// Exponent `s` of the popularity `pᵢ ∝ i⁻ˢ` (each at most 1, summing to `k`) among decode rows.
        decode_exponent: f64,
        /// Coverage by prefill rows.
        prefill: PrefillCoverage,
    },
}

impl ExpertRouting {
    /// Skews measured for Qwen3-30B-A3B: decode batches of `ShareGPT` (*Layered Prefill*, table 1; `s = 1.2` reproduces
    /// it within 0.03) and prompts of 8192 tokens cut into chunks (its figure of `MoE` time over chunk size).
    pub fn qwen3_30b_a3b_measured() -> Self {
        let measured = [(512, 0.82), (1024, 0.88), (2048, 0.92), (4096, 0.955), (8192, 0.985)];
        Self::Zipf { decode_exponent: 1.2, prefill: PrefillCoverage::Curve(measured.to_vec()) }
    }
}

/// Share of a layer's experts that prefill rows touch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefillCoverage {
    /// A Zipf popularity of its own.
    Exponent(f64),
    /// Measured points `(rows, share touched)`, rows ascending. Between them, and between one row (which touches `k/E`)
    /// and the first point, the share is linear in the logarithm of the rows; beyond the last point it goes on with the last
    /// slope, up to 1.
    Curve(Vec<(u32, f64)>),
}

/// What a serving engine adds to the kernels of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineOverheads {
    /// Nanoseconds per step in which the GPUs wait for the host: input preparation and what the scheduler does not hide.
    pub step_gap_ns: f64,
    /// Nanoseconds of the same kind per request in the step.
    pub per_request_ns: f64,
    /// Row counts for which CUDA graphs are captured, ascending: steps of up to the last one are padded to the next.
    /// Empty: no graphs.
    pub cuda_graph_sizes: Vec<u32>,
    /// Nanoseconds that the host needs to launch a kernel outside a graph. A layer takes at least its kernels times this.
    pub eager_launch_ns: f64,
}

impl EngineOverheads {
    /// vLLM v1 with CUDA graphs.
    ///
    /// - Gap of 0.3 ms per step: fitted to whole steps of vLLM 0.23 on an H100 (Qwen3-14B), which schedules asynchronously:
    ///   sampling, and what it leaves of host work. Fits to 0.15.1 range from 0 to 0.3 ms, which cannot be told from what
    ///   kernels are off by. A term per request could not be told from zero.
    /// - Captured sizes 1, 2, 4, then multiples of 8 to 248 and of 16 to 512 (`CompilationConfig` of vLLM 0.11 and later).
    /// - 5 µs per eager launch: order of magnitude of a `PyTorch` operator's host time; not fitted.
    pub fn vllm_v1() -> Self {
        let sizes = [1, 2, 4].into_iter().chain((8..256).step_by(8)).chain((256..=512).step_by(16));
        Self {
            step_gap_ns: 300_000.0,
            per_request_ns: 0.0,
            cuda_graph_sizes: sizes.collect(),
            eager_launch_ns: 5_000.0,
        }
    }

    /// vLLM 0.6 with its first engine, whose GPUs wait for the host between steps: that time is none of this.
    ///
    /// - Captured sizes 1, 2, 4, then multiples of 8 to 256 (`_BATCH_SIZES_TO_CAPTURE`). It replays graphs for decode steps
    ///   only; here a step of prompts with so few rows counts as captured too.
    /// - 5 µs per eager launch, as for v1.
    pub fn vllm_v0() -> Self {
        let sizes = [1, 2, 4].into_iter().chain((8..=256).step_by(8));
        Self { step_gap_ns: 0.0, per_request_ns: 0.0, cuda_graph_sizes: sizes.collect(), eager_launch_ns: 5_000.0 }
    }

    /// Nothing: kernels only, never padded.
    pub fn none() -> Self {
        Self { step_gap_ns: 0.0, per_request_ns: 0.0, cuda_graph_sizes: Vec::new(), eager_launch_ns: 0.0 }
    }

    /// Rows that a step of `rows` rows runs with.
    pub(super) fn padded(&self, rows: u32) -> u32 {
        let sizes = &self.cuda_graph_sizes;
        sizes.get(sizes.partition_point(|&size| size < rows)).copied().unwrap_or(rows)
    }

    /// Whether a step of `rows` rows replays a captured graph.
    pub(super) fn captured(&self, rows: u32) -> bool {
        self.cuda_graph_sizes.last().is_some_and(|&largest| rows <= largest)
    }
}
