//! Every figure that `servesim plot` knows.

use super::source::Source;
use super::{
    Asked, Missing, Named, breakdowns, distributions, frontiers, heatmaps, lacks, over_time, plans, steps, swept,
};
use crate::plot::distributions::Latency;

/// A kind of figure.
pub(super) struct Entry {
    /// By which it is asked for; also the name of its files, or their beginning.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) about: &'static str,
    make: fn(&Source, &Asked) -> Result<Vec<Named>, Missing>,
}

impl Entry {
    /// The figures, or what is missing for them.
    pub(super) fn make(&self, source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
        if !asked.held.is_empty() && !TAKE_HELD.contains(&self.name) {
            let takers = TAKE_HELD.join(", ");
            return lacks(format!("it has no swept keys that `--where` could hold; figures that have: {takers}"));
        }
        (self.make)(source, asked)
    }
}

/// Figures of the runs of a sweep, of which some can be chosen.
const TAKE_HELD: [&str; 9] = [
    LINES,
    "heatmap",
    "ttft_tbt_frontier",
    "throughput_vs_latency",
    "attainment_vs_rate",
    "energy_breakdown",
    "cost_breakdown",
    "time_breakdown",
    "expert_bytes",
];

/// Name of the figure that takes any key and any measure.
pub(super) const LINES: &str = "lines";

/// All of them.
pub(super) static FIGURES: [Entry; 23] = [
    Entry {
        name: "ttft_cdf",
        about: "distribution of the time to first token",
        make: |source, asked| distributions::make(Latency::Ttft, source, asked),
    },
    Entry {
        name: "tbt_cdf",
        about: "distribution of the gaps between tokens",
        make: |source, asked| distributions::make(Latency::Tbt, source, asked),
    },
    Entry {
        name: "tpot_cdf",
        about: "distribution of the mean gap per request",
        make: |source, asked| distributions::make(Latency::Tpot, source, asked),
    },
    Entry {
        name: "e2e_cdf",
        about: "distribution of the time to the last token",
        make: |source, asked| distributions::make(Latency::E2e, source, asked),
    },
    Entry {
        name: "ttft_tbt_frontier",
        about: "TBT against TTFT, and what no other point beats",
        make: frontiers::ttft_tbt,
    },
    Entry {
        name: "throughput_vs_latency",
        about: "latency against throughput, as load or a setting varies",
        make: frontiers::throughput_latency,
    },
    Entry {
        name: "attainment_vs_rate",
        about: "share of requests that meet the objectives, over the rate",
        make: swept::attainment,
    },
    Entry { name: LINES, about: "any measure (--y) over any swept key (--x)", make: swept::lines },
    Entry { name: "heatmap", about: "a measure (--y) over two swept keys (--x, twice)", make: heatmaps::make },
    Entry {
        name: "hit_rate_vs_capacity",
        about: "share of prompt tokens that prefix caches reuse, over capacity",
        make: swept::hit_rate,
    },
    Entry { name: "goodput_bars", about: "goodput of each system, or placement", make: breakdowns::goodput },
    Entry {
        name: "frontier",
        about: "deployments of a plan: cost, TTFT, TBT and energy against each other",
        make: plans::frontier,
    },
    Entry {
        name: "deployment_costs",
        about: "the cheapest deployment of a plan on each type of GPU",
        make: plans::costs,
    },
    Entry {
        name: "energy_breakdown",
        about: "energy per output token: idle and dynamic, by pool",
        make: breakdowns::energy,
    },
    Entry {
        name: "energy_by_operator",
        about: "energy per output token: idle, and above it by operator",
        make: breakdowns::energy_by_operator,
    },
    Entry { name: "cost_breakdown", about: "cost per million output tokens, by pool", make: breakdowns::cost },
    Entry { name: "time_breakdown", about: "step time by operator", make: breakdowns::time },
    Entry { name: "expert_bytes", about: "weights of experts read per output token", make: breakdowns::expert_bytes },
    Entry {
        name: "work",
        about: "what each step ran, tokens × layers, systems one above the other",
        make: steps::work,
    },
    Entry { name: "steps", about: "tokens of each step, queue and KV cache in the busiest moment", make: steps::steps },
    Entry { name: "run", about: "tokens, queue and KV cache over the whole run", make: steps::run },
    Entry {
        name: "queue_and_kv",
        about: "requests waiting and running, and KV in use over time, systems together",
        make: over_time::queue_and_kv,
    },
    Entry { name: "load_over_time", about: "power, and weights of experts read, over time", make: over_time::load },
];
