//! `[[system]]`, and its tables

mod composition;
mod engine;
mod link;
mod network;
mod prefix_cache;
mod router;
mod routing;
mod scheduler;

pub(crate) use composition::*;
pub(crate) use engine::*;
pub(crate) use link::*;
pub(crate) use network::*;
pub(crate) use prefix_cache::*;
pub(crate) use router::*;
pub(crate) use routing::*;
pub(crate) use scheduler::*;

use super::offload::ATTENTION_OFFLOAD;
use super::pools::{DECODE, MIXED, PREFILL, PREFILLED_ELSEWHERE, TRANSFER};
use crate::file::key::{COUNT, Fallback, Key, Kind, NOT_NEGATIVE, POSITIVE, POSITIVE_SHARE, TableDef, Tag};
use crate::file::quantity::Dimension;

/// Keys that say what kernels take, or what their energy is.
pub(crate) const OF_KERNELS: [&Key; 13] = [
    &ARCHITECTURE,
    &KERNEL_TABLES,
    &FITTED_PROFILE,
    &ROUTING,
    &ENGINE,
    &LINK,
    &NETWORK,
    &OVERLAP_COLLECTIVES,
    &SEPARATE_ATTENTION,
    &PREFIX_ATTENTION,
    &SAMPLING,
    &COMPOSITION,
    &POWER_LIMIT,
];

/// Its name.
pub(crate) static NAME: Key = Key::new("name", Kind::Text, "What the system is called in tables and figures.");
/// Its ancestor.
pub(crate) static INHERIT: Key = Key::new(
    "inherit",
    Kind::Text,
    "Another system of this file, whose settings hold where this one says nothing. Tables are merged key by key.",
)
.nothing("it stands alone");
/// Another simulator's ways.
pub(crate) static COMPATIBILITY: Key = Key::new(
    "compatibility",
    Kind::Choice(&[(
        "simdistserve",
        "the simulator in DistServe's repository. It sets pools `prefill` and `decode` (which may be given for their \
         `replicas`, GPUs, parallelism and `step_cost`), `transfer = { mode = \"after-prefill\", network = \"instant\" }`, \
         `scheduler = { policy = \"prefill-first\", watermark = 0, max_num_batched_tokens = 16384, max_num_seqs = 1024 }` \
         (all prompts that wait are one pass; there whatever the KV cache holds), `block_size = 1`, `enable_prefix_caching = false`, and \
         `num_gpu_blocks_override = 50000` for decode, the tokens that it lets decode. It needs `step_cost`, whose overhead per \
         token that simulator charges for contexts in decode passes: added to `per_context_token_ms` there and taken from \
         `per_request_ms`. Where decoding outgrows the 50,000 tokens requests are preempted here, and not there",
    )]),
    "Serve as another simulator does, to be held against it. The keys that this sets cannot be given beside it; lock files have \
     them in its place.",
)
.nothing("the system is what its other keys say");
/// Its own model.
pub(crate) static MODEL: Key = Key::new(
    "model",
    Kind::NameOrPath("shipped model (`servesim profiles list`)"),
    "The model this system serves, if it is not the experiment's.",
)
.computed("the experiment's `model`");
/// Its device.
pub(crate) static GPU: Key = Key::new(
    "gpu",
    Kind::NameOrPath("shipped device (`servesim profiles list`)"),
    "What it runs on: a shipped device, or a TOML file with the same keys as a shipped one.",
);
/// The same, for systems whose pools may name their own.
static GPU_OF_ALL: Key = Key {
    fallback: Fallback::Nothing("**required**, unless `prefill` and `decode` both name one"),
    ..Key::new(GPU.name, GPU.kind, GPU.doc)
};
/// Its architecture.
pub(crate) static ARCHITECTURE: Key = Key::new(
    "architecture",
    Kind::Choice(&[
        ("ampere", "as A100, A40, A10G"),
        ("ada", "as L4, L40S, RTX 4090"),
        ("hopper", "as H100, H200, H20"),
        ("blackwell", "as B200, RTX PRO 6000"),
    ]),
    "Whose kernels' efficiency curves hold for the device.",
)
.computed("what the device says in its file, or its name tells");
/// Measured kernels.
pub(crate) static KERNEL_TABLES: Key = Key::new(
    "kernel_tables",
    Kind::List(&Kind::Path),
    "Kernel tables of the device (docs/kernel-tables.md): files, or folders of them. The first that has a shape is believed, \
     the others complete it. Steps are priced from measured points and between them; beyond them the device's curves take \
     over, and every run tells how much of its time stands on which.",
)
.nothing("the device's fitted curves alone");
/// A fitted profile.
pub(crate) static FITTED_PROFILE: Key = Key::new(
    "fitted_profile",
    Kind::Path,
    "A fitted profile of the device, as `servesim profiles fit` writes it, in place of the shipped one. The \
     architecture's curves keep what it does not have.",
)
.nothing("the shipped one, if the device has one, or else the curves of its architecture");
/// A fitted step cost.
pub(crate) static STEP_COST: Key = Key::new(
    "step_cost",
    Kind::Path,
    "A step-cost file (docs/importers.md): what whole steps take, as a polynomial in their lengths (`form = \"polynomial\"`) or by \
     two rates, of compute and of memory (`\"roofline\"`, which goes with `composition`). It stands in place of \
     kernels, so the keys that describe these cannot be given beside it; it knows no energy, FLOPs or bytes. With a polynomial \
     mixed steps, later chunks of prompts and prompts beyond what was fitted count as extrapolated.",
)
.nothing("steps are priced kernel by kernel");
/// Replicas.
pub(crate) static REPLICAS: Key =
    Key::new("replicas", Kind::Integer(1, 4096), "Engines behind the router, each on GPUs of its own.").value("1");
/// Router.
pub(crate) static ROUTER: Key =
    Key::new("router", Kind::Table(&ROUTER_TABLE), "How requests are spread over the replicas.")
        .value("\"round-robin\"");
/// Tensor parallelism.
pub(crate) static TENSOR_PARALLEL_SIZE: Key =
    Key::new("tensor_parallel_size", Kind::Integer(1, 1024), "GPUs of a replica that share every layer.").value("1");
/// Pipeline parallelism.
pub(crate) static PIPELINE_PARALLEL_SIZE: Key =
    Key::new("pipeline_parallel_size", Kind::Integer(1, 1024), "Pipeline stages of a replica.").value("1");
/// Data parallelism.
pub(crate) static DATA_PARALLEL_SIZE: Key = Key::new(
    "data_parallel_size",
    Kind::Integer(1, 1024),
    "Data-parallel ranks of a replica that share the experts: needs `enable_expert_parallel`, for ranks that share nothing are \
     `replicas`. Each rank is a scheduler with a KV cache of its own behind the router. Every step is priced as if all ranks \
     ran the same shape at the same moment: there is no lock-step, and idle ranks run no dummy batches.",
)
.value("1");
/// Expert parallelism.
pub(crate) static ENABLE_EXPERT_PARALLEL: Key = Key::new(
    "enable_expert_parallel",
    Kind::Flag,
    "Spread whole experts over the GPUs of a replica instead of slicing each of them.",
)
.value("false");
/// Number format.
pub(crate) static DTYPE: Key = Key::new(
    "dtype",
    Kind::Choice(&[("bfloat16", "16-bit brain float"), ("float16", "16-bit float; costs the same")]),
    "Number format of what is not quantised.",
)
.value("\"bfloat16\"")
.vllm("`auto` takes the checkpoint's");
/// Quantisation.
pub(crate) static QUANTIZATION: Key = Key::new(
    "quantization",
    Kind::Choice(&[
        ("none", "16-bit weights and activations"),
        ("fp8", "8-bit float weights and activations"),
        ("fp8-weights", "8-bit float weights, 16-bit activations"),
        ("int8", "8-bit integer weights and activations (W8A8)"),
        ("int8-weights", "8-bit integer weights, 16-bit activations (W8A16)"),
        ("int4", "4-bit weights in groups of 128, 16-bit activations (AWQ, GPTQ; W4A16)"),
        ("int4-fp8", "4-bit weights, 8-bit float activations (W4A8)"),
    ]),
    "Number format of weights and activations of the linear layers.",
)
.computed("what the model's `config.json` says, else \"none\"")
.vllm("method names such as `awq`, `gptq`, `compressed-tensors`");
/// Number format of the KV cache.
pub(crate) static KV_CACHE_DTYPE: Key = Key::new(
    "kv_cache_dtype",
    Kind::Choice(&[("auto", "as `dtype`"), ("fp8", "8-bit float"), ("int8", "8-bit integer")]),
    "Number format of the KV cache.",
)
.value("\"auto\"");
/// Memory share.
pub(crate) static GPU_MEMORY_UTILIZATION: Key = Key::new(
    "gpu_memory_utilization",
    Kind::Number(POSITIVE_SHARE),
    "Share of each GPU's memory that the engine may use; what weights and workspace leave is KV cache.",
)
.value("0.9");
/// Block size.
pub(crate) static BLOCK_SIZE: Key =
    Key::new("block_size", Kind::Integer(1, 65_536), "Tokens per block of the KV cache.").value("16");
/// Prefix caching.
pub(crate) static ENABLE_PREFIX_CACHING: Key = Key::new(
    "enable_prefix_caching",
    Kind::Flag,
    "Keep full blocks for later requests with the same prefix, least recently used ones dropped first. Only blocks of attention \
     layers are kept: models with state-space layers need `prefix_cache`.",
)
.computed("on; off for models with state-space layers, beside `attention_offload`, and with batchllm or `group_prefixes`, which have groups instead")
.vllm("on by default in v1, off in v0");
/// The prefix cache.
pub(crate) static PREFIX_CACHE: Key = Key::new(
    "prefix_cache",
    Kind::Table(&PREFIX_CACHE_TABLE),
    "What is kept for later requests with the same prefix, also of models with state-space layers. Not beside \
     `enable_prefix_caching`.",
)
.nothing("`enable_prefix_caching` says whether blocks are kept");
/// Longest request.
pub(crate) static MAX_MODEL_LEN: Key = Key::new(
    "max_model_len",
    COUNT,
    "Longest prompt plus answer, in tokens. Longer requests are rejected and counted.",
)
.computed("what the model was made for (`max_position_embeddings`)");
/// Whether the longest request is what fits.
pub(crate) static FIT_MAX_MODEL_LEN: Key = Key::new(
    "fit_max_model_len",
    Kind::Flag,
    "Lower `max_model_len` to what the KV cache of an engine holds, where that is less. vLLM does not start otherwise, and neither \
     does a run, unless `engine = \"none\"` or the blocks are given.",
)
.computed("false; true where neither the file nor the model says how long requests may be (2^20 tokens are then taken)")
.vllm("`--max-model-len auto`");
/// Blocks.
pub(crate) static NUM_GPU_BLOCKS_OVERRIDE: Key = Key::new(
    "num_gpu_blocks_override",
    COUNT,
    "Blocks of the KV cache of an engine, whatever fits its memory. Layers with a sliding window are charged for the whole \
     context, where vLLM frees the blocks outside the window: the capacity of such models (gpt-oss, Mistral-7B-v0.1) is \
     understated.",
)
.nothing("as many as fit");
/// Scheduler.
pub(crate) static SCHEDULER: Key =
    Key::new("scheduler", Kind::Table(&SCHEDULER_TABLE), "How steps are composed.").value("\"chunked-prefill\"");
/// Expert routing.
pub(crate) static ROUTING: Key = Key::new(
    "routing",
    Kind::Table(&ROUTING_TABLE),
    "How tokens choose experts: decides how many experts a step reads. Models without experts have none to choose.",
)
.value("\"uniform\"");
/// Engine.
pub(crate) static ENGINE: Key =
    Key::new("engine", Kind::Table(&ENGINE_TABLE), "What the engine adds to the kernels of a step.")
        .value("\"vllm-v1\"");
/// Link.
pub(crate) static LINK: Key = Key::new(
    "link",
    Kind::Table(&LINK_TABLE),
    "The link between the GPUs of a replica, for collectives that cross all of it. Not beside `network`.",
)
.value("{}");
/// Servers and what is between them.
pub(crate) static NETWORK: Key = Key::new(
    "network",
    Kind::Table(&NETWORK_TABLE),
    "The network between the servers of a replica that is larger than one. Replicas that fit a server have nothing on it.",
)
.nothing("every replica has to fit a server, or a `link` between all its GPUs has to be given");
/// Overlap.
pub(crate) static OVERLAP_COLLECTIVES: Key =
    Key::new("overlap_collectives", Kind::Flag, "Run collectives beside compute that does not wait for them.")
        .value("false");
/// Composition.
pub(crate) static COMPOSITION: Key =
    Key::new("composition", Kind::Table(&COMPOSITION_TABLE), "How the parts of a step go together.")
        .value("\"serial\"");
/// Launches of attention.
pub(crate) static SEPARATE_ATTENTION: Key = Key::new(
    "separate_attention",
    Kind::Flag,
    "Launch attention over prompt pieces and over decoding requests apart in mixed steps, as vLLM did before v1 and SGLang does \
     on FlashInfer. FlashAttention 2 takes clearly longer for both in one launch; on Hopper they count as apart either way, and with \
     `composition = \"overlapped\"` everywhere.",
)
.value("false");
/// Attention over shared prefixes.
pub(crate) static PREFIX_ATTENTION: Key = Key::new(
    "prefix_attention",
    Kind::Choice(&[
        ("per-request", "every decoding request reads its whole context"),
        ("cascade", "a launch for each prefix, one for what follows the prefixes, and one that merges"),
        ("fused", "prefixes and what follows them in one launch, and one that merges (BatchLLM)"),
    ]),
    "How attention reads the prefix of a group of decoding requests, with batchllm or `group_prefixes`. The price of reading it once is \
     derived from kernels that read every context: its time counts as extrapolated.",
)
.computed("\"fused\" with batchllm or `group_prefixes`; other policies know of no groups");
/// Sampling.
pub(crate) static SAMPLING: Key = Key::new(
    "sampling",
    Kind::Choice(&[
        ("plain", "read them: greedy decoding, or a temperature alone"),
        ("sorted", "sort them first, for `top_p` in every request"),
    ]),
    "What choosing a token does to the logits of the vocabulary. vLLM sorts them in PyTorch where a request, or the generation \
     settings that a model comes with, say `top_p`, unless FlashInfer samples. That takes 600 bytes of memory traffic per \
     logit, as read off full batches on H100: 32 us per token of Llama 3 there.",
)
.value("\"plain\"");
/// Price.
pub(crate) static USD_PER_GPU_HOUR: Key = Key::new(
    "price",
    Kind::Quantity { dimension: Dimension::Price, bare: false, bounds: NOT_NEGATIVE },
    "Price of one GPU.",
)
.computed("the device's");
/// Idle power.
pub(crate) static IDLE_POWER: Key = Key::new(
    "idle_power",
    Kind::Quantity { dimension: Dimension::Power, bare: false, bounds: NOT_NEGATIVE },
    "Power of one GPU that does nothing.",
)
.computed("the device's");
/// Power limit.
pub(crate) static POWER_LIMIT: Key = Key::new(
    "power_limit",
    Kind::Quantity { dimension: Dimension::Power, bare: false, bounds: POSITIVE },
    "Board power that one GPU never exceeds. Only energy is capped: clocks, and with them times, stay as they are.",
)
.computed("the device's");

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "system",
    doc: "A deployment to simulate. The first one is what the others are compared with. Names and defaults of engine \
          settings are vLLM's (v1).",
    tag: Tag::None,
    keys: &[
        &NAME,
        &INHERIT,
        &COMPATIBILITY,
        &MODEL,
        &GPU_OF_ALL,
        &ARCHITECTURE,
        &KERNEL_TABLES,
        &FITTED_PROFILE,
        &STEP_COST,
        &PREFILL,
        &DECODE,
        &TRANSFER,
        &MIXED,
        &PREFILLED_ELSEWHERE,
        &ATTENTION_OFFLOAD,
        &REPLICAS,
        &ROUTER,
        &TENSOR_PARALLEL_SIZE,
        &PIPELINE_PARALLEL_SIZE,
        &DATA_PARALLEL_SIZE,
        &ENABLE_EXPERT_PARALLEL,
        &DTYPE,
        &QUANTIZATION,
        &KV_CACHE_DTYPE,
        &SCHEDULER,
        &GPU_MEMORY_UTILIZATION,
        &BLOCK_SIZE,
        &ENABLE_PREFIX_CACHING,
        &PREFIX_CACHE,
        &MAX_MODEL_LEN,
        &FIT_MAX_MODEL_LEN,
        &NUM_GPU_BLOCKS_OVERRIDE,
        &ROUTING,
        &ENGINE,
        &LINK,
        &NETWORK,
        &OVERLAP_COLLECTIVES,
        &SEPARATE_ATTENTION,
        &PREFIX_ATTENTION,
        &SAMPLING,
        &COMPOSITION,
        &USD_PER_GPU_HOUR,
        &IDLE_POWER,
        &POWER_LIMIT,
    ],
};
