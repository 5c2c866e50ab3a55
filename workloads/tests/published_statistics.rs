//! Statistics of published traces, against those their publishers and others give.

use std::path::PathBuf;

use workloads::stats::{Statistics, TraceStatistics};
use workloads::{ReadOptions, Replay, ReplaySpec, Source, Timing, TraceReader};

/// The folder with published traces: `../shared/data` beside the repository, or `$SERVESIM_SHARED_DATA`.
fn shared_data() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("SERVESIM_SHARED_DATA").map_or(beside, PathBuf::from);
    path.is_dir().then_some(path)
}

#[expect(clippy::print_stderr, reason = "says whether a test that needs data ran")]
fn trace(test: &str, path: &str) -> Option<PathBuf> {
    let found = shared_data().map(|data| data.join("traces").join(path));
    let verdict = if found.is_some() { "USED" } else { "SKIPPED" };
    eprintln!("{verdict}: {test}{}", if found.is_some() { "" } else { " needs ../shared/data" });
    found
}

fn statistics(path: &PathBuf) -> TraceStatistics {
    let mut statistics = Statistics::new();
    for row in TraceReader::open(path, &ReadOptions::default()).unwrap() {
        statistics.add_row(&row.unwrap());
    }
    statistics.finish().unwrap()
}

#[track_caller]
fn to_digits(got: f64, published: f64, half_a_digit: f64) {
    assert!((got - published).abs() <= half_a_digit * 1.0001, "{got}, published {published}");
}

#[test]
fn azure_conversations_have_their_known_statistics() {
    let test = "azure_conversations_have_their_known_statistics";
    let Some(path) = trace(test, "azure2023/AzureLLMInferenceTrace_conv.csv.gz") else { return };
    let found = statistics(&path);
    assert_eq!((found.rows, found.out_of_order, found.output.zeros), (19_366, 0, 0));
    to_digits(found.span_s, 3501.7, 0.05);
    to_digits(found.rate_rps.unwrap(), 5.53, 0.005);
    to_digits(found.interarrival_cv.unwrap(), 1.09, 0.005);
    to_digits(found.peak_minute_rps, 8.45, 0.005);
    to_digits(found.input.mean, 1154.7, 0.05);
    assert_eq!((found.input.p50, found.input.p90, found.input.p99, found.input.max), (1020.0, 2734.5, 4142.0, 14_050));
    assert_eq!((found.output.p50, found.output.p90, found.output.p99, found.output.max), (129.0, 424.0, 601.0, 1000));
}

#[test]
fn azure_code_has_its_known_burstiness() {
    let test = "azure_code_has_its_known_burstiness";
    let Some(path) = trace(test, "azure2023/AzureLLMInferenceTrace_code.csv.gz") else { return };
    let found = statistics(&path);
    to_digits(found.rate_rps.unwrap(), 2.566, 0.0005);
    to_digits(found.interarrival_cv.unwrap(), 13.15, 0.005);
    to_digits(found.peak_minute_rps, 10.53, 0.005);
    to_digits(found.output.p99, 251.46, 0.005);
}

/// An infinite cache hits 37.4 % of the tokens; 36.6 % of the blocks, since the last block of a prompt is partial and
/// seldom shared.
#[test]
fn mooncake_prompts_share_what_their_hash_ids_say() {
    let test = "mooncake_prompts_share_what_their_hash_ids_say";
    let Some(path) = trace(test, "mooncake/conversation_trace.jsonl.gz") else { return };
    let prefix = statistics(&path).prefix;
    assert_eq!((prefix.spans, prefix.unique_spans), (288_500, 182_790));
    to_digits(prefix.token_hit_ratio, 0.374, 0.0005);
    to_digits(prefix.span_hit_ratio.unwrap(), 0.3664, 0.00005);
    let synthetic = path.with_file_name("synthetic_trace.jsonl.gz");
    let prefix = statistics(&synthetic).prefix;
    assert_eq!((prefix.spans, prefix.unique_spans), (121_877, 43_924));
    to_digits(prefix.token_hit_ratio, 0.651, 0.0005);
}

#[test]
fn a_published_trace_replays_whole_at_any_rate() {
    let test = "a_published_trace_replays_whole_at_any_rate";
    let Some(path) = trace(test, "azure2023/AzureLLMInferenceTrace_conv.csv.gz") else { return };
    for (timing, span_s) in [(Timing::Own, 3501.7), (Timing::Rate(22.12), 19_365.0 / 22.12)] {
        let open = || TraceReader::open(&path, &ReadOptions::default());
        let spec = ReplaySpec { timing, ..ReplaySpec::default() };
        let mut source = Replay::new(path.display().to_string(), open, &spec, 0).unwrap();
        let (mut count, mut tokens, mut last) = (0_u32, 0_u64, 0.0);
        while let Some(arrival) = source.next_arrival().unwrap() {
            tokens += u64::from(source.take().prompt.tokens());
            last = arrival.as_secs_f64();
            count += 1;
        }
        assert_eq!(count, 19_366);
        to_digits(tokens as f64 / f64::from(count), 1154.7, 0.05);
        to_digits(last, span_s, 0.05);
    }
}
