//! `[system.attention_offload]`

use super::system as s;
use crate::file::key::{COUNT, Key, Kind, NOT_NEGATIVE, TableDef, Tag, time};

/// Attention on workers of its own.
pub(crate) static ATTENTION_OFFLOAD: Key = Key::new(
    "attention_offload",
    Kind::Table(&OFFLOAD_TABLE),
    "KV cache and attention on GPUs of their own; the replica's own GPUs keep the weights and compute everything else.",
)
.nothing("attention is computed where everything else is");

/// How many.
pub(crate) static WORKERS: Key = Key::new(
    "workers",
    COUNT,
    "Attention workers, each with its share of the KV heads; their number must divide that of the KV heads.",
);
/// Batches on their way.
pub(crate) static BATCHES: Key = Key::new(
    "batches",
    COUNT,
    "Batches that are on their way at a time. n of them take turns on n - 1 replicas of the model workers (one for n = 1) of \
     `tensor_parallel_size` GPUs each, layer by layer, so that neither these nor the attention workers wait if attention takes \
     1/(n - 1) of the time of all else (Lamina: rotational staggered pipelining).",
)
.value("2");
/// Whether queries leave early.
pub(crate) static EARLY_QUERY: Key = Key::new(
    "early_query",
    Kind::Flag,
    "Queries leave before keys and values are computed, and attention to the tokens that are there already begins meanwhile.",
)
.value("true");
/// What is between them.
pub(crate) static NETWORK: Key = Key::new(
    "network",
    Kind::Text,
    "The network between model workers and attention workers: a speed per GPU's adapter and a kind, such as \
     \"400 Gbit/s RoCE\". A message takes as long as the side with fewer GPUs needs; messages of different batches in one \
     direction wait for each other.",
);
/// There and back.
pub(crate) static ROUND_TRIP: Key = Key::new(
    "round_trip",
    time(NOT_NEGATIVE),
    "Time of an empty message there and back, software included: 33 us is Lamina's own GPU-initiated stack, NCCL takes 66.6 us \
     (Lamina, figure 13).",
)
.value("\"33 us\"");

static OFFLOAD_TABLE: TableDef = TableDef {
    path: "system.attention_offload",
    doc: "Attention workers (Lamina). Their keys are those of the system's GPUs; `gpu_memory_utilization` is the system's unless \
          it is said here. Steps are scheduled synchronously, prefixes are not cached, and a model worker or attention worker \
          never fails: replacing one is not simulated.",
    tag: Tag::None,
    keys: &[
        &s::GPU,
        &WORKERS,
        &BATCHES,
        &EARLY_QUERY,
        &NETWORK,
        &ROUND_TRIP,
        &s::GPU_MEMORY_UTILIZATION,
        &s::USD_PER_GPU_HOUR,
        &s::IDLE_POWER,
        &s::POWER_LIMIT,
    ],
};
