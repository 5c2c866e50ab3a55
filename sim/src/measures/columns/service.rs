//! Figures of the requests, and of how they were served.

use super::{Better, List, OfRequests, Section, Value};
use crate::measures::statistics::Statistics;
use crate::measures::summary::{Summary, per};
use crate::uncertainty::RequestFigure;

pub(super) fn run(list: &mut List) {
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
    list.real(
        ("measured_from_s", "s", Neither),
        "From the first arrival to the start of the measuring window; 0 without one. Systems whose window was found (`measure = \"auto\"`) \
         have the same under the same seed.",
        |summary| Some(summary.measured_from_s),
    );
    list.real(
        ("warmup_s", "s", Neither),
        "How much of the beginning of what was measured MSER-5 would leave out (the larger of the cuts for TTFT and end-to-end \
         latency, over means of five requests in order of arrival, or of more in runs of over 20,480). Nothing is left out \
         unless the file asks for it.",
        |summary| summary.warm_up.map(|warm_up| warm_up.time.as_secs_f64()),
    );
    list.push(
        ("steadiness", "", Neither),
        "What the measured part was like: `steady`; `overloaded` (TTFT or end-to-end latency grew through all of it: over 20 \
         stretches of requests, Kendall's τ with time is 0.6 or more and the last quarter 1.5 times the second); `unsteady` \
         (MSER-5 would leave out more than half, and there is a trend, |τ| ≥ 0.3); `short` (fewer than 96 requests, or than ten stretches with one that was answered); `batch` \
         (all requests came at once).",
        |summary| Some(Value::Word(summary.steadiness.name())),
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

/// A latency: key in column names, what it is, how to get its statistics, which of its figures lead, and what it is of the requests.
type Latency =
    (&'static str, &'static str, fn(&Summary) -> Option<&Statistics>, &'static [&'static str], RequestFigure);

const LATENCIES: [Latency; 7] = [
    (
        "ttft",
        "time to first token (first token − arrival, queueing included)",
        |summary| summary.ttft.as_ref(),
        &["mean", "p99"],
        RequestFigure::Ttft,
    ),
    (
        "tpot",
        "time per output token ((last token − first token) ÷ (output tokens − 1), per request; one-token answers are \
         left out)",
        |summary| summary.tpot.as_ref(),
        &["mean"],
        RequestFigure::Tpot,
    ),
    (
        "itl",
        "inter-token latency, also called TBT (gap between consecutive tokens of a request, over all gaps of all \
         requests)",
        |summary| summary.itl.as_ref(),
        &["p99"],
        RequestFigure::Gap,
    ),
    (
        "request_max_itl",
        "longest gap between consecutive tokens of each request, over requests; one-token answers are left out",
        |summary| summary.request_max_itl.as_ref(),
        &[],
        RequestFigure::MaxGap,
    ),
    (
        "e2el",
        "end-to-end latency (last token − arrival)",
        |summary| summary.e2el.as_ref(),
        &["mean"],
        RequestFigure::E2e,
    ),
    (
        "normalized_latency",
        "end-to-end latency ÷ output tokens, per request",
        |summary| summary.normalized_latency.as_ref(),
        &[],
        RequestFigure::NormalizedLatency,
    ),
    (
        "queue",
        "time from arrival to the first step that works on the request",
        |summary| summary.queue_time.as_ref(),
        &[],
        RequestFigure::QueueTime,
    ),
];

/// A figure of a latency: key in column names, title, how to read it in nanoseconds, and which one it is.
type Figure = (&'static str, &'static str, fn(&Statistics) -> f64, Which);

enum Which {
    Mean,
    Quantile(f64),
    Largest,
}

pub(super) fn latency(list: &mut List) {
    let figures: [Figure; 6] = [
        ("mean", "Mean", |statistics| statistics.mean_ns, Which::Mean),
        ("median", "Median", |statistics| statistics.median_ns, Which::Quantile(0.5)),
        ("p90", "90th percentile", |statistics| statistics.p90_ns, Which::Quantile(0.9)),
        ("p95", "95th percentile", |statistics| statistics.p95_ns, Which::Quantile(0.95)),
        ("p99", "99th percentile", |statistics| statistics.p99_ns, Which::Quantile(0.99)),
        ("max", "Largest", |statistics| statistics.max_ns, Which::Largest),
    ];
    list.section = Section::Latency;
    for (key, what, statistics, headlines, of) in LATENCIES {
        for (figure, title, read, which) in &figures {
            let (name, read) = (format!("{figure}_{key}_ms"), *read);
            let column = list.push((name, "ms", Better::Lower), format!("{title} {what}."), move |summary| {
                statistics(summary).map(|statistics| Value::Real(read(statistics) / 1e6))
            });
            column.headline = headlines.contains(figure);
            column.of_requests = match which {
                Which::Mean => Some(OfRequests::Mean(of)),
                Which::Quantile(q) => Some(OfRequests::Quantile(of, *q)),
                Which::Largest => None,
            };
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

pub(super) fn throughput(list: &mut List) {
    use Better::Higher;
    list.section = Section::Throughput;
    list.real(("request_throughput", "req/s", Higher), "Requests completed per second.", |summary| {
        summary.request_throughput
    })
    .headline();
    list.real(("output_throughput", "tok/s", Higher), "Output tokens per second.", |summary| summary.output_throughput)
        .headline();
    list.real(
        ("total_token_throughput", "tok/s", Higher),
        "Prompt and output tokens per second, prompt tokens found in a prefix cache included (logical tokens).",
        |summary| summary.total_token_throughput,
    );
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

pub(super) fn objectives(list: &mut List) {
    use Better::Higher;
    list.section = Section::Objectives;
    list.real(
        ("slo_attainment", "", Higher),
        "Share of requests that completed and met every objective (0 to 1); rejected requests count as misses.",
        |summary| summary.slo_attainment,
    )
    .headline()
    .of_requests(OfRequests::Mean(RequestFigure::Attained));
    list.real(("ttft_attainment", "", Higher), "Share of requests that met the TTFT objective.", |summary| {
        summary.ttft_attainment
    })
    .of_requests(OfRequests::Mean(RequestFigure::TtftAttained));
    list.real(
        ("tpot_attainment", "", Higher),
        "Share of requests that met the TPOT objective; one-token answers pass.",
        |summary| summary.tpot_attainment,
    )
    .of_requests(OfRequests::Mean(RequestFigure::TpotAttained));
    list.real(
        ("tbt_attainment", "", Higher),
        "Share of requests whose longest gap met the TBT objective; one-token answers pass.",
        |summary| summary.tbt_attainment,
    )
    .of_requests(OfRequests::Mean(RequestFigure::TbtAttained));
    list.real(("e2e_attainment", "", Higher), "Share of requests that met the E2E objective.", |summary| {
        summary.e2e_attainment
    })
    .of_requests(OfRequests::Mean(RequestFigure::E2eAttained));
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
