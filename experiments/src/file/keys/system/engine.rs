//! `[system.engine]`

use crate::file::key::{Key, Kind, NOT_NEGATIVE, TableDef, Tag, time};

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

pub(super) static ENGINE_TABLE: TableDef = TableDef {
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
