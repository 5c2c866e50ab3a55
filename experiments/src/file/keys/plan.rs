//! `[plan]`

use crate::file::key::{Bounds, COUNT, Key, Kind, POSITIVE, RATE, TableDef, Tag};
use crate::file::quantity::Dimension;

/// Where it starts.
pub(crate) static SYSTEM: Key = Key::new(
    "system",
    Kind::Text,
    "The system of this file that candidates are made of: what `[plan]` does not vary is as it says.",
)
.computed("the first one");
/// Whole deployments.
pub(crate) static DEPLOYMENTS: Key = Key::new(
    "deployments",
    Kind::List(&Kind::Text),
    "Systems of this file that are deployed in every way there is, in place of `algorithms`: on every GPU type, parallelism and \
     token budget, in every number of replicas. Of a system with `prefill` and `decode` each pool gets its own. Every deployment is \
     judged as a whole at `rate`; the answer is the cheapest within `[slo]`, and what nothing beats in TTFT, time between tokens, \
     dollars and energy at once (docs/plan.md).",
)
.nothing("placements are searched by `algorithms`");
/// How far the frontier reaches.
pub(crate) static FRONTIER_COST: Key = Key::new(
    "frontier_cost",
    Kind::Number(Bounds { min: 1.0, above: false, max: 1000.0 }),
    "With `deployments`: those are simulated for the frontier that cost up to so many times the cheapest one that serves.",
)
.value("1.5");
/// Pruning.
pub(crate) static PRUNE: Key = Key::new(
    "prune",
    Kind::Flag,
    "With `deployments`: leave out what provably is no answer (docs/plan.md); what was left out, and why, is in the table. `false` \
     simulates everything, to check that nothing is lost.",
)
.value("true");
/// Prices.
pub(crate) static PRICES: Key = Key::new(
    "prices",
    Kind::List(&Kind::Quantity { dimension: Dimension::Price, bare: false, bounds: POSITIVE }),
    "Price of one GPU of each type, in the order of `gpus`.",
)
.computed("the devices' own (`servesim profiles list`)");
/// Which searches.
pub(crate) static ALGORITHMS: Key = Key::new(
    "algorithms",
    Kind::List(&Kind::Choice(&[
        (CO_LOCATED, "every replica prefills and decodes"),
        (
            HIGH_AFFINITY,
            "prefill and decode replicas planned each by itself, for networks that carry KV caches between servers (DistServe, \
             algorithm 1)",
        ),
        (
            LOW_AFFINITY,
            "prefill and decode replicas in pairs, each stage's GPUs of both in one server, so that KV caches stay on its links \
             (DistServe, algorithm 2)",
        ),
    ])),
    "Which placements are searched.",
)
.value("[\"co-located\", \"high-affinity\", \"low-affinity\"]");
/// Co-located.
pub(crate) const CO_LOCATED: &str = "co-located";
/// By phase.
pub(crate) const HIGH_AFFINITY: &str = "high-affinity";
/// In pairs.
pub(crate) const LOW_AFFINITY: &str = "low-affinity";
/// Objective.
pub(crate) static OBJECTIVE: Key = Key::new(
    "objective",
    Kind::Choice(&[
        (PER_GPU, "the highest rate within `[slo]` per GPU"),
        (PER_USD, "the most requests per dollar at that rate"),
        (PER_JOULE, "the most requests per joule at that rate"),
        (COST, "the fewest dollars per hour that serve `rate`"),
    ]),
    "What makes one plan better than another.",
)
.computed("`goodput-per-gpu`; with `deployments` `cost`");
/// Rate per GPU.
pub(crate) const PER_GPU: &str = "goodput-per-gpu";
/// Requests per dollar.
pub(crate) const PER_USD: &str = "goodput-per-usd";
/// Requests per joule.
pub(crate) const PER_JOULE: &str = "goodput-per-joule";
/// Dollars per hour.
pub(crate) const COST: &str = "cost";
/// Rate to be served.
pub(crate) static SERVED_RATE: Key =
    Key::new("rate", RATE, "Rate that the plan has to serve: it gets as many replicas as that takes.").nothing(
        "one replica of each kind; high-affinity: the mix of both that wastes least within the GPUs there are",
    );
/// GPU types.
pub(crate) static GPUS: Key = Key::new(
    "gpus",
    Kind::List(&Kind::NameOrPath("shipped device (`servesim profiles list`)")),
    "GPU types to choose from. high-affinity may take one for prefill and another for decode.",
)
.computed("that of the system");
/// Servers.
pub(crate) static NODES: Key = Key::new("nodes", Kind::Integer(1, 1024), "Servers there are.").value("1");
/// GPUs of a server.
pub(crate) static GPUS_PER_NODE: Key = Key::new("gpus_per_node", Kind::Integer(1, 64), "GPUs of each.").value("8");
/// Tensor parallelism.
pub(crate) static TENSOR_PARALLEL_SIZES: Key =
    Key::new("tensor_parallel_sizes", Kind::List(&Kind::Integer(1, 1024)), "Sizes to try.")
        .computed("all that divide the model's heads and fit a server");
/// Pipeline parallelism.
pub(crate) static PIPELINE_PARALLEL_SIZES: Key = Key::new(
    "pipeline_parallel_sizes",
    Kind::List(&Kind::Integer(1, 1024)),
    "Sizes to try; low-affinity: stages within a server.",
)
.computed("all that divide the model's layers and fit the GPUs there are");
/// Data parallelism.
pub(crate) static DATA_PARALLEL_SIZES: Key = Key::new(
    "data_parallel_sizes",
    Kind::List(&Kind::Integer(1, 1024)),
    "Sizes to try: `data_parallel_size`, for models with experts and systems with `enable_expert_parallel`.",
)
.computed("that of the system");
/// Token budgets.
pub(crate) static MAX_NUM_BATCHED_TOKENS: Key = Key::new(
    "max_num_batched_tokens",
    Kind::List(&COUNT),
    "Token budgets to try with co-located replicas; with `deployments`, with systems without pools.",
)
.computed("that of the system");
/// Fitted step costs.
pub(crate) static STEP_COSTS: Key = Key::new(
    "step_costs",
    Kind::List(&Kind::Path),
    "Step-cost files (docs/importers.md), one for each tensor-parallel size: candidates are priced from the one of their size, \
     and sizes without one are left out.",
)
.nothing("every candidate is priced as the system is");

/// The network.
pub(crate) static NETWORK: Key = Key::new(
    "network",
    Kind::Text,
    "What KV caches travel over from prefill to decode replicas, which fetch them: `network` of `[system.transfer]` with the mode \
     pull. \"instant\" takes no time, as \
     in the planner of DistServe. With `deployments` the systems say so themselves.",
)
.value("\"instant\"");

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "plan",
    doc: "What `servesim plan` searches. With `deployments`: systems of this file on GPUs of several types and counts, each judged as \
          a whole at `rate`, for the cheapest that serves. Without: placements of a model's replicas on GPUs, each judged by its \
          highest rate within `[slo]` as `[goodput]` searches it.",
    tag: Tag::None,
    keys: &[
        &SYSTEM,
        &DEPLOYMENTS,
        &FRONTIER_COST,
        &PRUNE,
        &ALGORITHMS,
        &OBJECTIVE,
        &SERVED_RATE,
        &GPUS,
        &PRICES,
        &NODES,
        &GPUS_PER_NODE,
        &TENSOR_PARALLEL_SIZES,
        &PIPELINE_PARALLEL_SIZES,
        &DATA_PARALLEL_SIZES,
        &MAX_NUM_BATCHED_TOKENS,
        &STEP_COSTS,
        &NETWORK,
    ],
};
