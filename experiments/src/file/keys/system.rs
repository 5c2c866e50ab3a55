//! `[[system]]`

use super::offload::ATTENTION_OFFLOAD;
use super::pools::{DECODE, PREFILL, PREFILLED_ELSEWHERE, TRANSFER};
use crate::file::key::{
    Bounds, COUNT, Fallback, Key, Kind, NOT_NEGATIVE, POSITIVE, POSITIVE_SHARE, TableDef, Tag, time,
};
use crate::file::quantity::Dimension;

/// Its name.
pub(crate) static NAME: Key = Key::new("name", Kind::Text, "What the system is called in tables and figures.");
/// Its ancestor.
pub(crate) static INHERIT: Key = Key::new(
    "inherit",
    Kind::Text,
    "Another system of this file, whose settings hold where this one says nothing. Tables are merged key by key.",
)
.nothing("it stands alone");
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
.computed("recognised by the device's name");
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
    "A step-cost file (docs/importers.md): what whole steps take, as a polynomial in their lengths. It stands in place of \
     kernels, so the keys that describe these cannot be given beside it; it knows no energy, FLOPs or bytes. Mixed steps, \
     later chunks of prompts and prompts beyond what was fitted count as extrapolated.",
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
     layers are kept: models with state-space layers, whose states are not cached yet, cannot have it.",
)
.computed("on; off for models with state-space layers and beside `attention_offload`")
.vllm("on by default in v1, off in v0");
/// Longest request.
pub(crate) static MAX_MODEL_LEN: Key = Key::new(
    "max_model_len",
    COUNT,
    "Longest prompt plus answer, in tokens. Longer requests are rejected and counted.",
)
.computed("what the model was made for (`max_position_embeddings`)");
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
    "The link between the GPUs of a replica. It must be named where more of them exchange data in every layer than a \
     server has.",
)
.value("{}");
/// Overlap.
pub(crate) static OVERLAP_COLLECTIVES: Key =
    Key::new("overlap_collectives", Kind::Flag, "Run collectives beside compute that does not wait for them.")
        .value("false");
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
        &MODEL,
        &GPU_OF_ALL,
        &ARCHITECTURE,
        &KERNEL_TABLES,
        &FITTED_PROFILE,
        &STEP_COST,
        &PREFILL,
        &DECODE,
        &TRANSFER,
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
        &MAX_MODEL_LEN,
        &NUM_GPU_BLOCKS_OVERRIDE,
        &ROUTING,
        &ENGINE,
        &LINK,
        &OVERLAP_COLLECTIVES,
        &USD_PER_GPU_HOUR,
        &IDLE_POWER,
        &POWER_LIMIT,
    ],
};

/// Router's policy.
pub(crate) static ROUTER_POLICY: Key = Key::new(
    "policy",
    Kind::Choice(&[
        ("round-robin", "in turn"),
        ("least-outstanding-tokens", "to the replica with the fewest prompt tokens of requests that have not ended"),
        ("power-of-two-choices", "to the less loaded, by the same measure, of two drawn at random"),
        (PREFIX_AFFINITY, "to the replica whose cache holds the longest prefix, unless it is overloaded"),
    ]),
    "Which router.",
)
.value("\"round-robin\"");
const PREFIX_AFFINITY: &str = "prefix-affinity";
/// When affinity gives way.
pub(crate) static MAX_IMBALANCE_TOKENS: Key = Key::new(
    "max_imbalance_tokens",
    Kind::Integer(0, 1 << 50),
    "A replica is overloaded if it carries this many more outstanding prompt tokens than the least loaded one, which then \
     gets the request.",
)
.only(&[PREFIX_AFFINITY])
.value("65536");

pub(crate) static ROUTER_TABLE: TableDef = TableDef {
    path: "system.router",
    doc: "How requests are spread over replicas. `router = \"round-robin\"` is short for `router = { policy = \"round-robin\" }`.",
    tag: Tag::Key(&ROUTER_POLICY),
    keys: &[&ROUTER_POLICY, &MAX_IMBALANCE_TOKENS],
};

const CHUNKED_PREFILL: &str = "chunked-prefill";
const SARATHI: &str = "sarathi";
const PREFILL_FIRST: &str = "prefill-first";
const ORCA: &str = "orca";
const LAYERED_PREFILL: &str = "layered-prefill";

/// Scheduling policy.
pub(crate) static POLICY: Key = Key::new(
    "policy",
    Kind::Choice(&[
        (CHUNKED_PREFILL, "vLLM v1: decodes and prompt pieces share the token budget, running requests first"),
        (SARATHI, "Sarathi-Serve: all decodes, then prompt pieces; blocks of a whole prompt reserved at admission"),
        (PREFILL_FIRST, "vLLM v0: steps of whole prompts whenever one fits, else decode steps"),
        (ORCA, "Orca: whole prompts join the decodes; blocks of prompt and answer reserved at admission"),
        (
            LAYERED_PREFILL,
            "Layered Prefill: a cohort of prompts passes one group of layers per step, beside all decodes; blocks of a whole \
             prompt reserved at admission",
        ),
    ]),
    "Which policy.",
)
.value("\"chunked-prefill\"");
/// Token budget.
pub(crate) static MAX_NUM_BATCHED_TOKENS: Key = Key::new(
    "max_num_batched_tokens",
    COUNT,
    "Most tokens in a step, decode tokens included. With layered-prefill most prompt tokens in a cohort; longer prompts pass the \
     layers in several cohorts.",
)
.computed(
    "as the API server of vLLM: 8192 on GPUs with 70 GiB and more except A100, else 2048; without chunking at least \
         `max_model_len`; layered-prefill: 8192",
);
/// Request limit.
pub(crate) static MAX_NUM_SEQS: Key = Key::new("max_num_seqs", COUNT, "Most requests running at a time.").computed(
    "as the API server of vLLM: 1024 on GPUs with 70 GiB and more except A100, else 256; prefill-first, orca and layered-prefill: 256",
);
/// Cap on pieces.
pub(crate) static LONG_PREFILL_TOKEN_THRESHOLD: Key = Key::new(
    "long_prefill_token_threshold",
    Kind::Integer(0, 1 << 30),
    "Most prompt tokens of one request in a step; 0: no limit.",
)
.only(&[CHUNKED_PREFILL])
.value("0");
/// Admission.
pub(crate) static SCHEDULER_RESERVE_FULL_ISL: Key = Key::new(
    "scheduler_reserve_full_isl",
    Kind::Flag,
    "Let a request in only if its whole prompt fits the free blocks, although blocks are taken piece by piece.",
)
.only(&[CHUNKED_PREFILL])
.value("true")
.vllm("on by default from 0.19");
/// Watermark.
pub(crate) static WATERMARK: Key = Key::new(
    "watermark",
    Kind::Number(Bounds { min: 0.0, above: false, max: 0.999 }),
    "Share of the KV blocks that is kept free when a prompt is let in, in thousandths.",
)
.only(&[PREFILL_FIRST])
.value("0.01");

/// Rule for the number of groups.
pub(crate) static GROUPS: Key = Key::new(
    "groups",
    Kind::Choice(&[
        (
            "per-tokens",
            "one for each `reference_chunk` prompt tokens of the cohort, and no more than layers, as in the paper",
        ),
        ("table", "by the step table of the paper's public code for `num_stages`"),
        ("fixed", "`num_groups`, however many tokens"),
    ]),
    "Into how many groups of layers a cohort's way through the model is cut. Groups differ by one layer at most.",
)
.only(&[LAYERED_PREFILL])
.value("\"per-tokens\"");
/// Tokens per group.
pub(crate) static REFERENCE_CHUNK: Key = Key::new(
    "reference_chunk",
    COUNT,
    "Prompt tokens per group with `groups = \"per-tokens\"`: a step then does as much prefill work as chunked prefill with \
     chunks of so many tokens.",
)
.only(&[LAYERED_PREFILL])
.computed("512, as in the paper");
/// Which table.
pub(crate) static NUM_STAGES: Key = Key::new(
    "num_stages",
    COUNT,
    "Groups of cohorts of more than 4096 tokens with `groups = \"table\"`: 4, 12, 16 or 24. Smaller cohorts have 1, 2 or 4 groups \
     up to 512, 1024 and 2048 tokens, and up to 4096 tokens 4, 6, 8 and 8.",
)
.only(&[LAYERED_PREFILL])
.computed("16, as for Qwen3-30B-A3B in the paper's public code");
/// How many.
pub(crate) static NUM_GROUPS: Key =
    Key::new("num_groups", COUNT, "Groups with `groups = \"fixed\"`; no more than the model has layers.")
        .only(&[LAYERED_PREFILL])
        .nothing("`groups` says how to count them");
/// One pass when alone.
pub(crate) static COLLAPSE_WITHOUT_DECODES: Key = Key::new(
    "collapse_without_decodes",
    Kind::Flag,
    "Let a cohort pass all layers that are left in a step in which nobody decodes. The paper's public code does not.",
)
.only(&[LAYERED_PREFILL])
.value("false");

static SCHEDULER_TABLE: TableDef = TableDef {
    path: "system.scheduler",
    doc: "How steps are composed. `scheduler = \"orca\"` is short for `scheduler = { policy = \"orca\" }`.",
    tag: Tag::Key(&POLICY),
    keys: &[
        &POLICY,
        &MAX_NUM_BATCHED_TOKENS,
        &MAX_NUM_SEQS,
        &LONG_PREFILL_TOKEN_THRESHOLD,
        &SCHEDULER_RESERVE_FULL_ISL,
        &WATERMARK,
        &GROUPS,
        &REFERENCE_CHUNK,
        &NUM_STAGES,
        &NUM_GROUPS,
        &COLLAPSE_WITHOUT_DECODES,
    ],
};

const ZIPF: &str = "zipf";

/// How tokens choose experts.
pub(crate) static ROUTING_DISTRIBUTION: Key = Key::new(
    "distribution",
    Kind::Choice(&[
        ("uniform", "every expert is as likely as any other"),
        (ZIPF, "some experts are more popular, and prompt tokens agree more than decode tokens"),
        (
            "qwen3-30b-a3b-measured",
            "zipf with the skews measured for that model (Layered Prefill, table 1 and its figure of MoE time over chunk size)",
        ),
    ]),
    "How tokens choose experts.",
)
.value("\"uniform\"");
/// Skew among decode rows.
pub(crate) static DECODE_EXPONENT: Key = Key::new(
    "decode_exponent",
    Kind::Number(NOT_NEGATIVE),
    "Zipf exponent of the experts' popularity among decode tokens.",
)
.only(&[ZIPF]);
/// Skew among prefill rows.
pub(crate) static PREFILL_EXPONENT: Key =
    Key::new("prefill_exponent", Kind::Number(NOT_NEGATIVE), "Zipf exponent among prompt tokens.")
        .only(&[ZIPF])
        .nothing("`prefill_coverage` says it");
/// Measured coverage by prefill rows.
pub(crate) static PREFILL_COVERAGE: Key = Key::new(
    "prefill_coverage",
    Kind::List(&Kind::List(&Kind::Number(NOT_NEGATIVE))),
    "Measured pairs `[prompt tokens in the step, share of the experts they touch]`, tokens ascending.",
)
.only(&[ZIPF])
.nothing("`prefill_exponent` says it");

static ROUTING_TABLE: TableDef = TableDef {
    path: "system.routing",
    doc: "How tokens choose experts. `routing = \"uniform\"` is short for `routing = { distribution = \"uniform\" }`.",
    tag: Tag::Key(&ROUTING_DISTRIBUTION),
    keys: &[&ROUTING_DISTRIBUTION, &DECODE_EXPONENT, &PREFILL_EXPONENT, &PREFILL_COVERAGE],
};

/// Whose overheads.
pub(crate) static ENGINE_PROFILE: Key = Key::new(
    "profile",
    Kind::Choice(&[
        (
            "vllm-v1",
            "vLLM from 0.14 on: asynchronous scheduling where it has that (chunked prefill on one pipeline stage), CUDA \
             graphs, and the gap as fitted to 0.15 to 0.23 on Hopper",
        ),
        (
            "vllm-v1-sync",
            "the v1 engine of vLLM up to 0.13, or with `--no-async-scheduling`: the same, but a step is composed when the one \
             before has ended; its host time was not fitted and is left to you",
        ),
        (
            "vllm-v0",
            "vLLM 0.6's first engine: synchronous, with the host time as fitted to its steps of Llama-3.1-70B (APEX), client \
             time included",
        ),
        ("none", "kernels only, synchronous"),
    ]),
    "Where the values below come from that are not given.",
)
.value("\"vllm-v1\"");
/// When steps are composed.
pub(crate) static ASYNC_SCHEDULING: Key = Key::new(
    "async_scheduling",
    Kind::Flag,
    "Compose a step when the one before it starts, taking its tokens as done, and not when it has ended: the host works \
     beside the GPUs, a request waits a step longer, and blocks are freed a step later. Not with \
     `pipeline_parallel_size` above 1.",
)
.computed("the profile's: `true` for vllm-v1 with `chunked-prefill` and one pipeline stage, else `false`");
/// Host time.
pub(crate) static HOST_PER_STEP: Key = Key::new(
    "host_per_step",
    time(NOT_NEGATIVE),
    "Host time between composing a step and its start: scheduling, input preparation, launches. Without \
     `async_scheduling` the GPUs wait for it; with it a step takes the longer of this and its time on the GPUs.",
)
.computed("the profile's: 4 ms for vllm-v0, else 0");
/// Host time per request.
pub(crate) static HOST_PER_REQUEST: Key =
    Key::new("host_per_request", time(NOT_NEGATIVE), "Host time on top for each request in the step.")
        .computed("the profile's: 0.32 ms for vllm-v0, else 0");
/// Way in.
pub(crate) static CLIENT_TO_ENGINE: Key = Key::new(
    "client_to_engine",
    time(NOT_NEGATIVE),
    "From a request's arrival to the queue of its engine: HTTP, tokenising. Part of TTFT and E2E latency.",
)
.computed("the profile's: 16 ms for vllm-v0, else 0");
/// Way out.
pub(crate) static ENGINE_TO_CLIENT: Key = Key::new(
    "engine_to_client",
    time(NOT_NEGATIVE),
    "From the end of a step until a client has its token: detokenising, streaming. Times of tokens are those at the client.",
)
.computed("the profile's: 0");
/// Gap between steps.
pub(crate) static STEP_GAP: Key = Key::new(
    "step_gap",
    time(NOT_NEGATIVE),
    "Time per step in which the GPUs wait for the host whatever it does beside them.",
)
.computed("the profile's: 0.2 ms on Hopper and 0.3 ms elsewhere for vllm-v1 and vllm-v1-sync, else 0");
/// Gap per request.
pub(crate) static PER_REQUEST: Key =
    Key::new("per_request", time(NOT_NEGATIVE), "Time of the same kind per request in the step.")
        .computed("the profile's: 0");
/// Captured graphs.
pub(crate) static CUDA_GRAPH_SIZES: Key = Key::new(
    "cuda_graph_sizes",
    Kind::List(&Kind::Integer(0, 1 << 20)),
    "Row counts for which CUDA graphs are captured, ascending; smaller steps are padded to the next one. `[0]`: none.",
)
.computed(
    "the profile's: 1, 2, 4, multiples of 8 to 248, of 16 to 512 for vllm-v1 and vllm-v1-sync; 1, 2, 4, multiples of 8 to \
     256 for vllm-v0; `[0]` for none",
);
/// Launches.
pub(crate) static EAGER_LAUNCH: Key =
    Key::new("eager_launch", time(NOT_NEGATIVE), "Host time to launch a kernel outside a graph.")
        .computed("the profile's: 5 us, or 0");

static ENGINE_TABLE: TableDef = TableDef {
    path: "system.engine",
    doc: "What the serving engine adds to kernels. `engine = \"none\"` is short for `engine = { profile = \"none\" }`.",
    tag: Tag::Key(&ENGINE_PROFILE),
    keys: &[
        &ENGINE_PROFILE,
        &ASYNC_SCHEDULING,
        &HOST_PER_STEP,
        &HOST_PER_REQUEST,
        &CLIENT_TO_ENGINE,
        &ENGINE_TO_CLIENT,
        &STEP_GAP,
        &PER_REQUEST,
        &CUDA_GRAPH_SIZES,
        &EAGER_LAUNCH,
    ],
};

/// Bandwidth.
pub(crate) static BANDWIDTH: Key = Key::new(
    "bandwidth",
    Kind::Quantity { dimension: Dimension::Bandwidth, bare: false, bounds: POSITIVE },
    "Bandwidth in one direction, as a datasheet states it.",
)
.computed("the device's");
/// Latency.
pub(crate) static LATENCY: Key =
    Key::new("latency", time(NOT_NEGATIVE), "Time before the first byte of a message arrives.")
        .computed("4.3 us, as measured between two H100");

static LINK_TABLE: TableDef = TableDef {
    path: "system.link",
    doc: "The link between the GPUs of a replica.",
    tag: Tag::None,
    keys: &[&BANDWIDTH, &LATENCY],
};
