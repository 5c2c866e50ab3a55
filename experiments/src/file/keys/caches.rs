//! Every key of the cache study.

use super::{NAME, SEEDS, WORKLOAD};
use crate::file::key::{Bounds, COUNT, Key, Kind, NOT_NEGATIVE, POSITIVE, TableDef, Tag, time};
use crate::file::quantity::Dimension;

const BYTES: Kind = Kind::Quantity { dimension: Dimension::Data, bare: true, bounds: POSITIVE };

/// The model.
pub(crate) static MODEL: Key = Key::new(
    "model",
    Kind::Table(&MODEL_TABLE),
    "Shape of the model whose caches these are; as it is, the 7B hybrid of the Marconi paper.",
)
.value("{}");
/// Capacity.
pub(crate) static CAPACITY: Key =
    Key::new("capacity", BYTES, "Bytes of every cache. A bare number is bytes.").nothing("`capacities` lists several");
/// Capacities.
pub(crate) static CAPACITIES: Key = Key::new(
    "capacities",
    Kind::List(&BYTES),
    "Capacities at which every cache is run, ascending; not beside `capacity`.",
)
.nothing("`capacity` is the only one");
/// Time of an empty prefill.
pub(crate) static TTFT_BASE: Key = Key::new(
    "ttft_base",
    time(NOT_NEGATIVE),
    "TTFT of a prompt that is cached whole. The defaults of both are a straight line through the prefill times that the Marconi \
     study measured for Jamba-1.5-Mini on four A100-40GB.",
)
.value("\"17.8 ms\"");
/// Time per token.
pub(crate) static TTFT_PER_TOKEN: Key = Key::new(
    "ttft_per_token",
    time(NOT_NEGATIVE),
    "What each prompt token that is not cached adds to TTFT. Nothing queues in a cache study.",
)
.value("\"0.05296 ms\"");
/// Link to the second tier.
pub(crate) static HOST_BANDWIDTH: Key = Key::new(
    "host_bandwidth",
    Kind::Quantity { dimension: Dimension::Bandwidth, bare: false, bounds: POSITIVE },
    "Bandwidth from the second tier to the device; what is fetched adds its time to TTFT.",
)
.value("\"25 GB/s\"");
/// The caches.
pub(crate) static CACHE: Key = Key::new("cache", Kind::Tables(&CACHE_TABLE), "The caches to compare.");

/// The top of the file.
pub(crate) static ROOT: TableDef = TableDef {
    path: "",
    doc: "A cache study: prefix caches that see the same requests, one after the other.",
    tag: Tag::None,
    keys: &[
        &NAME,
        &SEEDS,
        &MODEL,
        &CAPACITY,
        &CAPACITIES,
        &TTFT_BASE,
        &TTFT_PER_TOKEN,
        &HOST_BANDWIDTH,
        &WORKLOAD,
        &CACHE,
    ],
};

/// A real model.
pub(crate) static MODEL_NAME: Key = Key::new(
    "name",
    Kind::NameOrPath("shipped model (`servesim profiles list`)"),
    "A model as it is served: grouped queries, experts and states as its `config.json` has them, 16 bits per value, whole (not spread \
     over GPUs), attention counted over the pairs of tokens that see each other. Not beside the other keys.",
)
.nothing("the other keys describe it");
/// Recurrent layers.
pub(crate) static SSM_LAYERS: Key =
    Key::new("ssm_layers", Kind::Integer(0, 10_000), "Recurrent layers, each with a state per checkpoint.").value("24");
/// Attention layers.
pub(crate) static ATTENTION_LAYERS: Key =
    Key::new("attention_layers", Kind::Integer(0, 10_000), "Attention layers, each with KV per token.").value("4");
/// Feed-forward layers.
pub(crate) static MLP_LAYERS: Key =
    Key::new("mlp_layers", Kind::Integer(0, 10_000), "Feed-forward layers; they count in FLOPs only.").value("28");
/// Hidden size.
pub(crate) static WIDTH: Key = Key::new(
    "width",
    Kind::Integer(1, 1 << 20),
    "Hidden size D. KV is 2·D values per token and attention layer, without grouped queries.",
)
.value("4096");
/// State size.
pub(crate) static STATE: Key = Key::new(
    "state",
    Kind::Integer(1, 1 << 20),
    "State size N. A checkpoint is D·N + 4·(2D + 2N) values per recurrent layer.",
)
.value("128");
/// Bytes of a value.
pub(crate) static VALUE_BYTES: Key =
    Key::new("value_bytes", Kind::Integer(1, 8), "Bytes of a stored value.").value("2");

static MODEL_TABLE: TableDef = TableDef {
    path: "model",
    doc: "A model by name, or its shape, counted as the Marconi paper counts (appendix A).",
    tag: Tag::None,
    keys: &[&MODEL_NAME, &SSM_LAYERS, &ATTENTION_LAYERS, &MLP_LAYERS, &WIDTH, &STATE, &VALUE_BYTES],
};

const HASH_LRU: &str = "hash-lru";
const VLLM_PLUS: &str = "vllm-plus";
const MARCONI: &str = "marconi";
const MARCONI_ARTIFACT: &str = "marconi-artifact";

/// Its name.
pub(crate) static CACHE_NAME: Key =
    Key::new("name", Kind::Text, "What it is called in tables and figures.").computed("its policy");
/// Its policy.
pub(crate) static POLICY: Key = Key::new(
    "policy",
    Kind::Choice(&[
        ("none", "nothing is kept"),
        (HASH_LRU, "full blocks of KV, least recently used first out (vLLM); transformers only"),
        ("radix-lru", "a radix tree of KV, its least recently used leaf first out (SGLang); transformers only"),
        (VLLM_PLUS, "blocks that each carry a checkpoint of all states (vLLM+ of the Marconi paper)"),
        (
            "sglang-plus",
            "a radix tree with checkpoints where prompts branch and where sequences end, its least recently used leaf first out (SGLang+ of the Marconi paper)",
        ),
        (MARCONI, "the same checkpoints; the node with the least of recency and FLOPs saved per byte first out"),
        (
            MARCONI_ARTIFACT,
            "the same with two slips of the published code, whose results must not be compared with those without",
        ),
        ("belady", "the bound: what a cache could reuse that knew the future and whose checkpoints weighed nothing"),
    ]),
    "What is kept and what goes first.",
);
/// Block size.
pub(crate) static BLOCK_TOKENS: Key = Key::new("block_tokens", COUNT, "Tokens per block.")
    .only(&[HASH_LRU, VLLM_PLUS])
    .computed("16 for hash-lru, as in vLLM; 32 for vllm-plus, as in the paper");
/// Given alpha.
pub(crate) static ALPHA: Key = Key::new(
    "alpha",
    Kind::Number(Bounds { min: 0.0, above: false, max: 1e6 }),
    "Weight of saved FLOPs against recency; not beside `tuning`.",
)
.only(&[MARCONI, MARCONI_ARTIFACT])
.nothing("`tuning` finds it");
/// How alpha is found.
pub(crate) static TUNING: Key = Key::new(
    "tuning",
    Kind::Choice(&[
        ("once", "0 until `tuning_window` times the requests before the first eviction were seen, then the best of 0, 0.1 … 2 for them"),
        ("oracle", "the best of 0, 0.1 … 2 for all requests, known beforehand"),
    ]),
    "How alpha is found.",
)
.only(&[MARCONI, MARCONI_ARTIFACT])
.computed("once, unless `alpha` is given");
/// Window of the tuning.
pub(crate) static TUNING_WINDOW: Key = Key::new(
    "tuning_window",
    Kind::Integer(1, 1_000_000),
    "Requests replayed to find alpha, in multiples of those before the first eviction; the paper uses 5 to 15.",
)
.only(&[MARCONI, MARCONI_ARTIFACT])
.computed("5, where alpha is tuned once");
/// What the tuning maximises.
pub(crate) static OBJECTIVE: Key = Key::new(
    "tuning_objective",
    Kind::Choice(&[
        ("flops", "most FLOPs saved over the last 500 of them, as in the published code"),
        ("hit-rate", "most tokens reused over all of them, as in the paper's text"),
    ]),
    "Which alpha is best.",
)
.only(&[MARCONI, MARCONI_ARTIFACT])
.computed("flops, where alpha is tuned once");
/// Second tier.
pub(crate) static HOST: Key = Key::new(
    "host",
    BYTES,
    "Bytes of a second tier in host memory under the same policy. Everything is written to both; what only the second has is \
     fetched at `host_bandwidth`.",
)
.nothing("there is none");

static CACHE_TABLE: TableDef = TableDef {
    path: "cache",
    doc: "A prefix cache.",
    tag: Tag::Key(&POLICY),
    keys: &[&CACHE_NAME, &POLICY, &BLOCK_TOKENS, &ALPHA, &TUNING, &TUNING_WINDOW, &OBJECTIVE, &HOST],
};
