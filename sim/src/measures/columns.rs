//! The one list of figures: name, unit, meaning, and how to read each from a [`Summary`].

use std::sync::LazyLock;

use profiles::{Evidence, Operator};

use super::pools;
use super::statistics::Statistics;
use super::summary::{Summary, per};

/// One figure of a [`Summary`].
pub struct Column {
    /// Its name in CSV and JSON, unit included where there is one.
    pub name: String,
    /// Its unit, as printed in tables; empty for counts and names.
    pub unit: &'static str,
    /// What it means, in one or two sentences.
    pub doc: String,
    /// What it belongs to.
    pub section: Section,
    /// Which way is better.
    pub better: Better,
    /// Whether the terminal's table shows it.
    pub headline: bool,
    get: Box<Getter>,
}

type Getter = dyn Fn(&Summary) -> Option<Value> + Send + Sync;

impl Column {
    /// The figure itself; `None` where it does not exist.
    pub fn value(&self, summary: &Summary) -> Option<Value> {
        (self.get)(summary)
    }
}

/// A figure's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A quantity in the column's unit; shares are 0 to 1.
    Real(f64),
    /// A word.
    Word(&'static str),
}

impl Value {
    /// As a number, unless it is a word.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(count as f64),
            Self::Real(real) => Some(real),
            Self::Word(_) => None,
        }
    }
}

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither: it describes.
    Neither,
}

/// What a figure belongs to; sections of the reference page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What was run.
    Run,
    /// Times that requests experienced.
    Latency,
    /// Work per second.
    Throughput,
    /// Service-level objectives.
    Objectives,
    /// Energy and power.
    Energy,
    /// Money.
    Cost,
    /// KV and prefix cache.
    Cache,
    /// Steps and what they did to the hardware.
    Hardware,
    /// Prefill and decode on replicas of their own.
    Pools,
    /// What step times consist of and stand on.
    Evidence,
}

impl Section {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Latency => "Latency",
            Self::Throughput => "Throughput",
            Self::Objectives => "Service-level objectives",
            Self::Energy => "Energy",
            Self::Cost => "Cost",
            Self::Cache => "KV and prefix cache",
            Self::Hardware => "Steps and hardware",
            Self::Pools => "Prefill and decode replicas",
            Self::Evidence => "Step time and its evidence",
        }
    }
}

impl Summary {
    /// Every figure, in the order of `summary.csv`.
    pub fn columns() -> &'static [Column] {
        static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
            let mut list = List { columns: Vec::new(), section: Section::Run };
            run(&mut list);
            latency(&mut list);
            throughput(&mut list);
            objectives(&mut list);
            energy(&mut list);
            cost(&mut list);
            cache(&mut list);
            hardware(&mut list);
            pools::columns(&mut list);
            evidence(&mut list);
            list.columns
        });
        &COLUMNS
    }

    /// The figure called `name`.
    pub fn column(name: &str) -> Option<&'static Column> {
        Self::columns().iter().find(|column| column.name == name)
    }
}

/// Columns in the making.
pub(super) struct List {
    columns: Vec<Column>,
    pub(super) section: Section,
}

impl List {
    pub(super) fn push(
        &mut self,
        (name, unit, better): (impl Into<String>, &'static str, Better),
        doc: impl Into<String>,
        get: impl Fn(&Summary) -> Option<Value> + Send + Sync + 'static,
    ) -> &mut Column {
        let (name, doc, get) = (name.into(), doc.into(), Box::new(get));
        self.columns.push(Column { name, unit, doc, section: self.section, better, headline: false, get });
        self.columns.last_mut().expect("one was just pushed")
    }

    fn count(&mut self, name: &str, better: Better, doc: &str, get: fn(&Summary) -> u64) -> &mut Column {
        self.push((name, "", better), doc, move |summary| Some(Value::Count(get(summary))))
    }

    fn real(&mut self, name: (&str, &'static str, Better), doc: &str, get: fn(&Summary) -> Option<f64>) -> &mut Column {
        self.push(name, doc, move |summary| get(summary).map(Value::Real))
    }
}

impl Column {
    fn headline(&mut self) {
        self.headline = true;
    }
}

fn run(list: &mut List) {
    use Better::{Lower, Neither};
    list.section = Section::Run;
    list.real(("duration_s", "s", Neither), "Simulated time from the first arrival to the last ending.", |summary| {
        Some(summary.duration_s)
    });
    list.real(
        ("measured_s", "s", Neither),
        "The part of it in the measuring window, if one is set; rates are over this time.",
        |summary| Some(summary.measured_s),
    );
    list.count("devices", Neither, "Devices of the deployment.", |summary| u64::from(summary.devices));
    list.count("requests", Neither, "Requests issued.", |summary| summary.requests.issued);
    list.count("completed", Neither, "Requests answered in full.", |summary| summary.requests.completed);
    list.count("rejected", Lower, "Requests that could not be served, for whatever reason.", |summary| {
        summary.requests.rejected()
    })
    .headline();
    list.count("rejected_model_length", Lower, "Requests longer than `max_model_len`.", |summary| {
        summary.requests.rejected_model_length
    });
    list.count("rejected_kv_cache", Lower, "Requests that need more KV blocks than a replica has.", |summary| {
        summary.requests.rejected_kv_cache
    });
    list.count(
        "rejected_batch",
        Lower,
        "Requests whose prompt exceeds `max_num_batched_tokens` under a policy that never splits prompts.",
        |summary| summary.requests.rejected_batch,
    );
    list.count("total_input_tokens", Neither, "Prompt tokens of completed requests.", |summary| {
        summary.total_input_tokens
    });
    list.count("total_output_tokens", Neither, "Tokens generated for completed requests.", |summary| {
        summary.total_output_tokens
    });
}

/// A latency: key in column names, what it is, how to get its statistics, and which of its figures lead.
type Latency = (&'static str, &'static str, fn(&Summary) -> Option<&Statistics>, &'static [&'static str]);

const LATENCIES: [Latency; 7] = [
    (
        "ttft",
        "time to first token (first token − arrival, queueing included)",
        |summary| summary.ttft.as_ref(),
        &["mean", "p99"],
    ),
    (
        "tpot",
        "time per output token ((last token − first token) ÷ (output tokens − 1), per request; one-token answers are \
         left out)",
        |summary| summary.tpot.as_ref(),
        &["mean"],
    ),
    (
        "itl",
        "inter-token latency, also called TBT (gap between consecutive tokens of a request, over all gaps of all \
         requests)",
        |summary| summary.itl.as_ref(),
        &["p99"],
    ),
    (
        "request_max_itl",
        "longest gap between consecutive tokens of each request, over requests; one-token answers are left out",
        |summary| summary.request_max_itl.as_ref(),
        &[],
    ),
    ("e2el", "end-to-end latency (last token − arrival)", |summary| summary.e2el.as_ref(), &["mean"]),
    (
        "normalized_latency",
        "end-to-end latency ÷ output tokens, per request",
        |summary| summary.normalized_latency.as_ref(),
        &[],
    ),
    (
        "queue",
        "time from arrival to the first step that works on the request",
        |summary| summary.queue_time.as_ref(),
        &[],
    ),
];

/// A figure of a latency: key in column names, title, and how to read it in nanoseconds.
type Figure = (&'static str, &'static str, fn(&Statistics) -> f64);

fn latency(list: &mut List) {
    let figures: [Figure; 6] = [
        ("mean", "Mean", |statistics| statistics.mean_ns),
        ("median", "Median", |statistics| statistics.median_ns),
        ("p90", "90th percentile", |statistics| statistics.p90_ns),
        ("p95", "95th percentile", |statistics| statistics.p95_ns),
        ("p99", "99th percentile", |statistics| statistics.p99_ns),
        ("max", "Largest", |statistics| statistics.max_ns),
    ];
    list.section = Section::Latency;
    for (key, what, statistics, headlines) in LATENCIES {
        for (figure, title, read) in figures {
            let name = format!("{figure}_{key}_ms");
            let column = list.push((name, "ms", Better::Lower), format!("{title} {what}."), move |summary| {
                statistics(summary).map(|statistics| Value::Real(read(statistics) / 1e6))
            });
            column.headline = headlines.contains(&figure);
        }
    }
    list.push(
        ("percentile_method", "", Better::Neither),
        "How percentiles over requests were found: `exact` from all values, or `buckets` from logarithmic buckets \
         0.05 % wide when there are more than 262,144. Those of `itl` always come from buckets. All interpolate \
         linearly between order statistics (numpy's default).",
        |summary| summary.ttft.as_ref().map(|statistics| Value::Word(statistics.method.name())),
    );
}

fn throughput(list: &mut List) {
    use Better::Higher;
    list.section = Section::Throughput;
    list.real(("request_throughput", "req/s", Higher), "Requests completed per second.", |summary| {
        summary.request_throughput
    })
    .headline();
    list.real(("output_throughput", "tok/s", Higher), "Output tokens per second.", |summary| summary.output_throughput)
        .headline();
    list.real(("total_token_throughput", "tok/s", Higher), "Prompt and output tokens per second.", |summary| {
        summary.total_token_throughput
    });
    list.real(("output_throughput_per_gpu", "tok/s", Higher), "Output tokens per second and device.", |summary| {
        per_device(summary.output_throughput, summary)
    });
    list.real(
        ("total_token_throughput_per_gpu", "tok/s", Higher),
        "Prompt and output tokens per second and device.",
        |summary| per_device(summary.total_token_throughput, summary),
    );
}

fn per_device(rate: Option<f64>, summary: &Summary) -> Option<f64> {
    per(rate?, f64::from(summary.devices))
}

fn objectives(list: &mut List) {
    use Better::Higher;
    list.section = Section::Objectives;
    list.real(
        ("slo_attainment", "", Higher),
        "Share of requests that completed and met every objective (0 to 1); rejected requests count as misses.",
        |summary| summary.slo_attainment,
    )
    .headline();
    list.real(("ttft_attainment", "", Higher), "Share of requests that met the TTFT objective.", |summary| {
        summary.ttft_attainment
    });
    list.real(
        ("tpot_attainment", "", Higher),
        "Share of requests that met the TPOT objective; one-token answers pass.",
        |summary| summary.tpot_attainment,
    );
    list.real(
        ("tbt_attainment", "", Higher),
        "Share of requests whose longest gap met the TBT objective; one-token answers pass.",
        |summary| summary.tbt_attainment,
    );
    list.real(("e2e_attainment", "", Higher), "Share of requests that met the E2E objective.", |summary| {
        summary.e2e_attainment
    });
    list.real(
        ("request_goodput", "req/s", Higher),
        "Requests per second that completed and met every objective.",
        |summary| summary.request_goodput,
    )
    .headline();
    list.real(("request_goodput_per_gpu", "req/s", Higher), "Goodput per device.", |summary| {
        per_device(summary.request_goodput, summary)
    });
}

fn tokens(summary: &Summary) -> f64 {
    (summary.total_input_tokens + summary.total_output_tokens) as f64
}

fn energy(list: &mut List) {
    use Better::Lower;
    list.section = Section::Energy;
    list.real(("energy_j", "J", Lower), "Energy of all devices over the run, idle power included.", |summary| {
        summary.of_work(summary.energy_j())
    });
    list.real(("idle_energy_j", "J", Lower), "The part of it that idle power takes, busy or not.", |summary| {
        Some(summary.idle_energy_j)
    });
    list.real(("dynamic_energy_j", "J", Lower), "The part of it above idle power.", |summary| {
        summary.of_work(summary.dynamic_energy_j)
    });
    list.real(
        ("energy_j_per_token", "J/tok", Lower),
        "Energy of all devices ÷ (prompt + output tokens) of completed requests.",
        |summary| per(summary.of_work(summary.energy_j())?, tokens(summary)),
    );
    list.real(
        ("energy_j_per_output_token", "J/tok", Lower),
        "Energy of all devices ÷ output tokens of completed requests.",
        |summary| per(summary.of_work(summary.energy_j())?, summary.total_output_tokens as f64),
    )
    .headline();
    list.real(("mean_power_w", "W", Lower), "Mean power of all devices together.", |summary| {
        per(summary.of_work(summary.energy_j())?, summary.duration_s)
    });
}

fn cost(list: &mut List) {
    use Better::{Higher, Lower};
    list.section = Section::Cost;
    list.real(("cost_usd", "$", Lower), "Device-hours × price.", |summary| summary.cost_usd);
    list.real(
        ("usd_per_million_output_tokens", "$", Lower),
        "Cost per million output tokens of completed requests.",
        |summary| per(summary.cost_usd? * 1e6, summary.total_output_tokens as f64),
    )
    .headline();
    list.real(
        ("output_tokens_per_usd", "tok/$", Higher),
        "Output tokens of completed requests per US dollar.",
        |summary| per(summary.total_output_tokens as f64, summary.cost_usd?),
    );
}

fn cache(list: &mut List) {
    use Better::{Higher, Neither};
    list.section = Section::Cache;
    list.real(
        ("token_hit_rate", "", Higher),
        "Prompt tokens found in a prefix cache ÷ prompt tokens, when requests are first let in (0 to 1).",
        |summary| per(summary.cached_tokens as f64, summary.prompt_tokens as f64),
    )
    .headline();
    list.count("cached_tokens", Higher, "Prompt tokens found in a prefix cache.", |summary| summary.cached_tokens);
    list.real(
        ("kv_cache_peak", "", Neither),
        "Largest share of a replica's KV blocks that was in use at a time, over replicas (0 to 1).",
        |summary| Some(summary.kv_cache_peak),
    );
}

fn hardware(list: &mut List) {
    use Better::{Higher, Lower, Neither};
    list.section = Section::Hardware;
    list.count("steps", Neither, "Steps, all replicas.", |summary| summary.steps);
    list.count("preemptions", Lower, "Times a request lost its KV cache and had to compute it again.", |summary| {
        summary.preemptions
    })
    .headline();
    list.count(
        "prefill_tokens",
        Neither,
        "Prompt tokens computed, recomputation after preemptions included, cached ones not.",
        |summary| summary.prefill_tokens,
    );
    list.count("decode_tokens", Neither, "Tokens generated by decoding.", |summary| summary.decode_tokens);
    list.real(
        ("busy_share", "", Neither),
        "Share of time in which pipeline stages compute, over replicas and stages (0 to 1).",
        |summary| summary.busy_share,
    );
    list.real(
        ("attention_busy_share", "", Neither),
        "Where attention is offloaded: share of time in which attention workers compute, or wait for keys and values with a query at \
         hand.",
        |summary| summary.attention_busy_share,
    );
    list.real(
        ("model_busy_share", "", Neither),
        "Where attention is offloaded: share of time in which the replicas of the model workers compute.",
        |summary| summary.model_busy_share,
    );
    list.real(("flops", "FLOP", Neither), "Floating-point operations, all devices.", |summary| {
        summary.of_work(summary.flops)
    });
    list.real(("memory_bytes", "B", Neither), "Bytes moved to and from device memory, all devices.", |summary| {
        summary.of_work(summary.memory_bytes)
    });
    list.real(("link_bytes", "B", Neither), "Bytes sent over links between devices.", |summary| {
        summary.of_work(summary.link_bytes)
    });
    list.real(
        ("expert_load_bytes", "B", Lower),
        "Bytes of routed experts' weights read from device memory, all devices.",
        |summary| summary.of_work(summary.expert_load_bytes),
    );
    list.real(
        ("mfu", "", Higher),
        "Model FLOP utilisation: FLOPs that the tokens need ÷ (peak rate × time), over the whole run (0 to 1).",
        |summary| summary.mfu,
    )
    .headline();
    list.real(
        ("mbu", "", Higher),
        "Model bandwidth utilisation: bytes that cannot be avoided ÷ (peak bandwidth × time), over the whole run (0 \
         to 1).",
        |summary| summary.mbu,
    );
}

fn evidence(list: &mut List) {
    list.section = Section::Evidence;
    for evidence in Evidence::ALL {
        let better = if evidence == Evidence::Measured { Better::Higher } else { Better::Neither };
        let doc = format!("Share of step time that stands on {} values (0 to 1).", evidence.name());
        list.push((format!("{}_time_share", evidence.name()), "", better), doc, move |summary| {
            summary.evidence_share(evidence).map(Value::Real)
        });
    }
    for operator in Operator::ALL {
        let name = operator.name();
        let doc = format!("Share of step time spent in `{name}` (0 to 1).");
        list.push((format!("{name}_time_share"), "", Better::Neither), doc, move |summary| {
            summary.operator_share(operator).map(Value::Real)
        });
        for evidence in Evidence::ALL {
            let kind = evidence.name();
            let doc = format!("Share of step time spent in `{name}` and standing on {kind} values (0 to 1).");
            list.push((format!("{name}_{kind}_time_share"), "", Better::Neither), doc, move |summary| {
                let time_s = summary.operator_time_s[operator as usize][evidence as usize];
                per(time_s, summary.step_time_s()).map(Value::Real)
            });
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures of these examples are exact in floating point")]
mod tests {
    use std::collections::BTreeSet;

    use super::super::summary::tests::summary;
    use super::*;

    fn real(name: &str) -> f64 {
        let column = Summary::column(name).unwrap_or_else(|| panic!("there is no column {name}"));
        column.value(&summary()).and_then(Value::as_f64).unwrap_or_else(|| panic!("{name} has no value"))
    }

    #[test]
    fn every_column_has_a_name_of_its_own_and_says_what_it_is() {
        let names: BTreeSet<_> = Summary::columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names.len(), Summary::columns().len());
        for column in Summary::columns() {
            assert!(column.doc.ends_with('.') && column.doc.len() > 10, "{} says {:?}", column.name, column.doc);
        }
        let sections: Vec<_> = Summary::columns().iter().map(|column| column.section).collect();
        assert!(sections.is_sorted(), "each section is in one piece");
    }

    #[test]
    fn columns_keep_the_names_that_serving_benchmarks_use() {
        for name in [
            "mean_ttft_ms",
            "median_ttft_ms",
            "p90_ttft_ms",
            "p99_ttft_ms",
            "mean_tpot_ms",
            "mean_itl_ms",
            "mean_e2el_ms",
            "request_throughput",
            "output_throughput",
            "total_token_throughput",
            "slo_attainment",
            "request_goodput",
            "energy_j_per_token",
            "usd_per_million_output_tokens",
            "token_hit_rate",
            "expert_load_bytes",
            "mfu",
            "mbu",
            "preemptions",
            "steps",
            "measured_time_share",
        ] {
            assert!(Summary::column(name).is_some(), "{name} is missing");
        }
    }

    #[test]
    fn derived_figures_follow_from_their_definitions() {
        assert_eq!(real("mean_ttft_ms"), 2000.0);
        assert_eq!(real("max_e2el_ms"), 9000.0);
        assert_eq!(real("energy_j_per_token"), 3000.0 / 2010.0);
        assert_eq!(real("energy_j_per_output_token"), 300.0);
        assert_eq!(real("mean_power_w"), 300.0);
        assert_eq!(real("usd_per_million_output_tokens"), 2000.0);
        assert_eq!(real("output_tokens_per_usd"), 500.0);
        assert_eq!(real("token_hit_rate"), 0.25);
        assert_eq!(real("request_goodput_per_gpu"), 0.05);
        assert_eq!(real("rejected"), 1.0);
        assert_eq!(real("dense_ffn_fitted_time_share"), 0.5);
    }

    #[test]
    fn shares_of_step_time_add_up_to_one() {
        let sum = |names: Vec<String>| names.iter().map(|name| real(name)).sum::<f64>();
        let operators = Operator::ALL.map(|operator| format!("{}_time_share", operator.name()));
        assert_eq!(sum(operators.to_vec()), 1.0);
        let evidence = Evidence::ALL.map(|evidence| format!("{}_time_share", evidence.name()));
        assert_eq!(sum(evidence.to_vec()), 1.0);
    }

    #[test]
    fn what_does_not_exist_has_no_value_rather_than_zero() {
        let mut summary = summary();
        summary.ttft = None;
        summary.cost_usd = None;
        for name in ["mean_ttft_ms", "percentile_method", "usd_per_million_output_tokens", "tpot_attainment"] {
            let column = Summary::column(name).unwrap_or_else(|| panic!("there is no column {name}"));
            assert_eq!(column.value(&summary), None, "{name}");
        }
    }
}
