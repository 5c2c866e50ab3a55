//! `[system.prefill]`, `[system.decode]` and `[system.transfer]`

use super::offload::ATTENTION_OFFLOAD;
use super::system as s;
use crate::file::key::{Bounds, Key, Kind, TableDef, Tag};

/// Prefill replicas.
pub(crate) static PREFILL: Key = Key::new(
    "prefill",
    Kind::Table(&PREFILL_TABLE),
    "Replicas that compute prompts and first tokens, and hand requests over to those of `decode`.",
)
.nothing("replicas serve whole requests");
/// Decode replicas.
pub(crate) static DECODE: Key =
    Key::new("decode", Kind::Table(&DECODE_TABLE), "Replicas that generate answers from KV caches they are handed.")
        .nothing("replicas serve whole requests");
/// How requests get from one to the other.
pub(crate) static TRANSFER: Key = Key::new(
    "transfer",
    Kind::Table(&TRANSFER_TABLE),
    "How KV caches get from prefill to decode replicas. Only beside `prefill` and `decode`.",
)
.value("\"after-prefill\"");
/// Splitwise's mixed pool.
pub(crate) static MIXED: Key = Key::new(
    "mixed",
    Kind::Table(&MIXED_TABLE),
    "Splitwise's mixed pool: prefill and decode replicas leave their pools for it under load and do each other's work. Only \
     beside `prefill` and `decode`.",
)
.nothing("replicas stay in their pools");
/// Prompts that nobody here computes.
pub(crate) static PREFILLED_ELSEWHERE: Key = Key::new(
    "prefilled_elsewhere",
    Kind::Flag,
    "The requests arrive with the KV cache of their prompt in place, and every replica only decodes. TTFT is then the time to \
     the first token decoded here. Not beside `prefill` and `decode`.",
)
.value("false");

/// What a pool may say for itself, and inherits from its system.
static POOL_KEYS: &[&Key] = &[
    &s::GPU,
    &s::ARCHITECTURE,
    &s::KERNEL_TABLES,
    &s::FITTED_PROFILE,
    &s::STEP_COST,
    &s::REPLICAS,
    &s::TENSOR_PARALLEL_SIZE,
    &s::PIPELINE_PARALLEL_SIZE,
    &s::DATA_PARALLEL_SIZE,
    &s::ENABLE_EXPERT_PARALLEL,
    &s::DTYPE,
    &s::QUANTIZATION,
    &s::KV_CACHE_DTYPE,
    &s::SCHEDULER,
    &s::GPU_MEMORY_UTILIZATION,
    &s::BLOCK_SIZE,
    &s::ENABLE_PREFIX_CACHING,
    &s::PREFIX_CACHE,
    &s::MAX_MODEL_LEN,
    &s::FIT_MAX_MODEL_LEN,
    &s::NUM_GPU_BLOCKS_OVERRIDE,
    &s::ROUTING,
    &s::ENGINE,
    &s::LINK,
    &s::NETWORK,
    &s::OVERLAP_COLLECTIVES,
    &s::SEPARATE_ATTENTION,
    &s::PREFIX_ATTENTION,
    &s::SAMPLING,
    &s::COMPOSITION,
    &ATTENTION_OFFLOAD,
    &s::USD_PER_GPU_HOUR,
    &s::IDLE_POWER,
    &s::POWER_LIMIT,
];

/// The prefill pool.
pub(crate) static PREFILL_TABLE: TableDef = TableDef {
    path: "system.prefill",
    doc: "The replicas that compute prompts. What is not said here holds as the system says it, table by table and key by key. \
          `router` spreads the requests over them. A scheduler's first token of a request comes from here.",
    tag: Tag::None,
    keys: POOL_KEYS,
};

/// The decode pool.
pub(crate) static DECODE_TABLE: TableDef = TableDef {
    path: "system.decode",
    doc: "The replicas that generate answers, beside `[system.prefill]`. What is not said here holds as the system says it.",
    tag: Tag::None,
    keys: POOL_KEYS,
};

pub(crate) const PULL: &str = "pull";
pub(crate) const AFTER_PREFILL: &str = "after-prefill";
pub(crate) const PUSH_BY_LAYER: &str = "push-by-layer";

/// When KV caches travel.
pub(crate) static MODE: Key = Key::new(
    "mode",
    Kind::Choice(&[
        (
            PULL,
            "the decode replica fetches them, oldest first, as it has blocks to spare, and lets what it has fetched wait for a \
             place (DistServe)",
        ),
        (AFTER_PREFILL, "they are sent when the prompt is complete and the decode replica has a place and blocks"),
        (
            PUSH_BY_LAYER,
            "layers are sent as the prompt's last piece computes them, if the decode replica has a place and blocks by then \
             (Splitwise); where the prefill pool schedules by groups of layers, each group when its pass is done",
        ),
    ]),
    "When a KV cache travels. Until it has arrived its blocks stay taken on the prefill replica, so that a slow decode pool \
     stops the prefill pool.",
)
.value("\"after-prefill\"");
/// Who decodes.
pub(crate) static DECODE_ROUTER: Key = Key::new(
    "decode_router",
    Kind::Table(&s::ROUTER_TABLE),
    "How requests are spread over the decode replicas. Outstanding there are the prompt tokens of requests that were sent to one \
     or will be.",
)
.value("\"least-outstanding-tokens\"");
/// When that is decided.
pub(crate) static DECODE_CHOICE: Key = Key::new(
    "decode_choice",
    Kind::Choice(&[
        ("at-arrival", "when the request arrives (Splitwise)"),
        ("after-prefill", "when its prompt is complete (DistServe)"),
    ]),
    "When a request's decode replica is chosen.",
)
.computed("\"at-arrival\" with push-by-layer and with a mixed pool, which need it, else \"after-prefill\"");
/// How much may be fetched ahead.
pub(crate) static MAX_UNBATCHED: Key = Key::new(
    "max_unbatched",
    Kind::Number(Bounds { min: 0.001, above: false, max: 1.0 }),
    "Nothing more is fetched while fetched requests without a place own this share of the decode replica's KV blocks, in \
     thousandths.",
)
.only(&[PULL])
.value("0.05");
/// Whether fetching stops decoding.
pub(crate) static AWAITED: Key = Key::new(
    "awaited",
    Kind::Flag,
    "Fetch between steps, one request at a time, and run no step in the meantime, as DistServe's released code does. Needs \
     `async_scheduling = false` on the decode replicas.",
)
.only(&[PULL])
.value("false");
/// Where replicas stand.
pub(crate) static PLACEMENT: Key = Key::new(
    "placement",
    Kind::Choice(&[
        ("packed", "prefill and decode replicas in turn, into as few servers as hold them; KV caches may go over NVLink"),
        ("apart", "each pool on servers of its own"),
    ]),
    "How replicas are placed on servers, of eight GPUs unless their `network` says otherwise. A replica is not split between servers unless it is larger than one.",
)
.computed("\"packed\" if both pools have the same GPU and servers, else \"apart\"");
/// What is between servers.
pub(crate) static NETWORK: Key = Key::new(
    "network",
    Kind::Text,
    "The network between servers: a speed per adapter and a kind, such as \"100 Gbit/s Ethernet\", \"400 Gbit/s InfiniBand\", \
     \"NDR InfiniBand\". Adapters, PCIe and NVLink are those of the GPUs' usual servers; transfers share all of them max-min \
     fairly. \"instant\": KV caches take no time, as in DistServe's own simulator.",
)
.computed("the `network` of the pools, if both have the same; else all GPUs have to be in one server");

/// When a queue is long.
pub(crate) static MAX_PENDING_TOKENS: Key = Key::new(
    "max_pending_tokens",
    Kind::Integer(0, 1 << 50),
    "A replica on which prompts wait gets another one only if no more than so many tokens are pending there with that: those of \
     prompts that are not complete, and one for each request that decodes there or will.",
)
.value("8192");

/// The mixed pool.
static MIXED_TABLE: TableDef = TableDef {
    path: "system.mixed",
    doc: "Splitwise's mixed pool, after the paper's public simulator. A request is placed at its arrival: its prompt on the \
          prefill replica with the fewest pending tokens, or else one in the mixed pool, unless queues are long there; its \
          answer on the decode replica whose blocks are promised least, or else one in the mixed pool, where it fits. Where \
          none will do, a replica is taken from the other pool, and goes home when it has nothing to do; where there is none \
          to take, the least loaded replica serves the request from prompt to end. `[system.mixed]` may be empty. Needs \
          `scheduler = \"splitwise\"` or `\"orca\"`, `enable_prefix_caching = false` and a `transfer` that pushes; routers \
          are not asked.",
    tag: Tag::None,
    keys: &[&MAX_PENDING_TOKENS],
};

/// The transfer.
pub(crate) static TRANSFER_TABLE: TableDef = TableDef {
    path: "system.transfer",
    doc: "How KV caches get from prefill to decode replicas. `transfer = \"pull\"` is short for `transfer = { mode = \"pull\" }`.",
    tag: Tag::Key(&MODE),
    keys: &[&MODE, &DECODE_ROUTER, &DECODE_CHOICE, &MAX_UNBATCHED, &AWAITED, &PLACEMENT, &NETWORK],
};
