//! `[system.prefix_cache]`

use crate::file::key::{Bounds, COUNT, Key, Kind, TableDef, Tag};

const SGLANG_PLUS: &str = "sglang-plus";
const MARCONI: &str = "marconi";

/// Its policy.
pub(crate) static PREFIX_POLICY: Key = Key::new(
    "policy",
    Kind::Choice(&[
        ("none", "nothing is kept"),
        ("vllm", "full blocks of KV, least recently used first out; transformers only"),
        (
            "vllm-plus",
            "full blocks that each carry the states of all recurrent layers at their end, those of running requests too (vLLM+ of the \
             Marconi paper, vLLM's `mamba_cache_mode = \"all\"`)",
        ),
        (
            SGLANG_PLUS,
            "a tree of tokens with states where prompts part and where sequences end, the least recently used leaf first out \
             (SGLang+ of the Marconi paper)",
        ),
        (MARCONI, "the same; the node with the least of recency and FLOPs saved per byte first out (Marconi)"),
    ]),
    "What is kept for later requests with the same prefix, and what goes first.",
);
/// Alpha.
pub(crate) static PREFIX_ALPHA: Key = Key::new(
    "alpha",
    Kind::Number(Bounds { min: 0.0, above: false, max: 1e6 }),
    "Weight of saved FLOPs against recency.",
)
.only(&[MARCONI])
.nothing(
    "it is 0 until `tuning_window` times the requests before the first eviction have ended, then the best of 0, 0.1 … 2 for \
     those since: replayed from what was kept at the first eviction, in caches of the size that running requests leave at \
     that moment, most FLOPs saved over the last 500 of them",
);
/// Window of its tuning.
pub(crate) static PREFIX_TUNING_WINDOW: Key = Key::new(
    "tuning_window",
    Kind::Integer(1, 1_000_000),
    "Requests by which alpha is found, in multiples of those before the first eviction; the paper uses 5 to 15. Not beside `alpha`.",
)
.only(&[MARCONI])
.computed("5, unless `alpha` is given");
/// Whose FLOPs.
pub(crate) static PREFIX_FLOPS: Key = Key::new(
    "flops",
    Kind::Choice(&[
        ("paper", "those that the prefix saves"),
        (
            "artifact",
            "with the slip of the published code, which takes attention FLOPs off those of feed-forward layers",
        ),
    ]),
    "How saved FLOPs are reckoned.",
)
.only(&[MARCONI])
.value("\"paper\"");
/// Where states are written.
pub(crate) static CHECKPOINT_INTERVAL: Key = Key::new(
    "checkpoint_interval",
    COUNT,
    "Tokens of a sequence at whose multiples kernels write states in passing, of which the last one before a prompt leaves what is \
     kept becomes a checkpoint (SGLang's `mamba_track_interval` is 256). Writing them costs nothing here.",
)
.only(&[SGLANG_PLUS, MARCONI])
.nothing(
    "states are there only where a step's piece ends: a prompt is cut where it leaves what is kept, and the rest follows in \
     the next step (under layered prefill: after another round through all groups)",
);

pub(crate) static PREFIX_CACHE_TABLE: TableDef = TableDef {
    path: "system.prefix_cache",
    doc: "The prefix cache. `prefix_cache = \"marconi\"` is short for `prefix_cache = { policy = \"marconi\" }`. Trees have the memory \
          that running requests leave of the KV cache, and give way to them; what running requests started from stays. \
          With pipeline stages each keeps its layers' share of the tree; of pools, that which computes prompts has it. \
          Copies of states and of begun blocks take no time. Rules: sim/SEMANTICS.md.",
    tag: Tag::Key(&PREFIX_POLICY),
    keys: &[&PREFIX_POLICY, &PREFIX_ALPHA, &PREFIX_TUNING_WINDOW, &PREFIX_FLOPS, &CHECKPOINT_INTERVAL],
};
