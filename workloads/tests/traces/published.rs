//! The published traces themselves, where they are at hand: row counts and the figures that others found in them.

use std::path::{Path, PathBuf};

use workloads::{ReadOptions, TraceFormat, TraceReader, TraceRow};

use super::{read, shared_data};

/// The folder of public data for the test of this name, or a remark that it is skipped.
#[expect(clippy::print_stdout, reason = "test output is how a reader learns which checks were made")]
fn data(test: &str) -> Option<PathBuf> {
    let folder = shared_data();
    match folder {
        Some(_) => println!("USED: {test}"),
        None => println!("SKIPPED: {test} needs ../shared/data"),
    }
    folder
}

fn all(path: &Path) -> Vec<TraceRow> {
    read(path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Figures of a trace as its statistics list them; `None` where they list nothing.
struct Figures {
    file: &'static str,
    format: TraceFormat,
    rows: usize,
    span_seconds: f64,
    gap_cv: f64,
    /// Mean, median, maximum.
    input: (f64, f64, u32),
    output: (f64, f64, u32),
}

const PUBLISHED: [Figures; 8] = [
    Figures {
        file: "azure2023/AzureLLMInferenceTrace_conv.csv.gz",
        format: TraceFormat::Azure,
        rows: 19_366,
        span_seconds: 3501.7,
        gap_cv: 1.09,
        input: (1154.7, 1020.0, 14_050),
        output: (211.1, 129.0, 1000),
    },
    Figures {
        file: "azure2023/AzureLLMInferenceTrace_code.csv.gz",
        format: TraceFormat::Azure,
        rows: 8819,
        span_seconds: 3435.9,
        gap_cv: 13.15,
        input: (2047.8, 1469.0, 7437),
        output: (27.9, 13.0, 1899),
    },
    Figures {
        file: "mooncake/conversation_trace.jsonl.gz",
        format: TraceFormat::Mooncake,
        rows: 12_031,
        span_seconds: 3537.0,
        gap_cv: 3.03,
        input: (12_035.1, 6909.0, 126_195),
        output: (342.6, 350.0, 2000),
    },
    Figures {
        file: "mooncake/synthetic_trace.jsonl.gz",
        format: TraceFormat::Mooncake,
        rows: 3993,
        span_seconds: 1022.0,
        gap_cv: 1.01,
        input: (15_325.5, 11_587.0, 191_378),
        output: (149.1, 69.0, 893),
    },
    Figures {
        file: "apex/llama_creation_05.jsonl.gz",
        format: TraceFormat::Apex,
        rows: 512,
        span_seconds: 1097.4,
        gap_cv: 0.96,
        input: (307.7, 309.0, 1232),
        output: (1144.3, 1106.5, 3501),
    },
    Figures {
        file: "apex/llama_lmsys_05.jsonl.gz",
        format: TraceFormat::Apex,
        rows: 1024,
        span_seconds: 2023.5,
        gap_cv: 1.0,
        input: (61.7, 17.0, 1037),
        output: (162.1, 117.0, 761),
    },
    Figures {
        file: "apex/mistral_creation_05.jsonl.gz",
        format: TraceFormat::Apex,
        rows: 725,
        span_seconds: 1387.8,
        gap_cv: 1.11,
        input: (356.0, 353.0, 1023),
        output: (761.5, 741.0, 1716),
    },
    Figures {
        file: "apex/mistral_lmsys_05.jsonl.gz",
        format: TraceFormat::Apex,
        rows: 1024,
        span_seconds: 1902.4,
        gap_cv: 0.99,
        input: (73.3, 20.0, 1494),
        output: (189.5, 131.5, 1051),
    },
];

/// Mean, median and maximum.
fn summary(lengths: impl Iterator<Item = u32>) -> (f64, f64, u32) {
    let mut lengths: Vec<u32> = lengths.collect();
    lengths.sort_unstable();
    let mean = lengths.iter().map(|&length| f64::from(length)).sum::<f64>() / lengths.len() as f64;
    let middle = lengths.len() / 2;
    let below = lengths[(lengths.len() - 1) / 2];
    (mean, f64::midpoint(f64::from(below), f64::from(lengths[middle])), lengths[lengths.len() - 1])
}

fn assert_summary(found: (f64, f64, u32), published: (f64, f64, u32), what: &str) {
    assert!((found.0 - published.0).abs() <= 0.051, "{what}: mean {} instead of {}", found.0, published.0);
    assert!((found.1 - published.1).abs() < 1e-9, "{what}: median {} instead of {}", found.1, published.1);
    assert_eq!(found.2, published.2, "{what}: maximum");
}

#[test]
fn published_traces_have_the_figures_that_were_published() {
    let Some(data) = data("published_traces_have_the_figures_that_were_published") else { return };
    for figures in PUBLISHED {
        let path = data.join("traces").join(figures.file);
        let reader = TraceReader::open(&path, &ReadOptions::default()).unwrap();
        assert_eq!(reader.info().format, figures.format, "{}", figures.file);
        let rows: Vec<TraceRow> = reader.map(|row| row.unwrap_or_else(|error| panic!("{error}"))).collect();
        assert_eq!(rows.len(), figures.rows, "{}", figures.file);
        let span = rows[rows.len() - 1].arrival.as_secs_f64();
        assert!((span - figures.span_seconds).abs() <= 0.051, "{}: lasts {span} s", figures.file);
        let gaps: Vec<f64> = rows.windows(2).map(|pair| pair[1].arrival.since(pair[0].arrival).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let cv = variance.sqrt() / mean;
        assert!((cv - figures.gap_cv).abs() <= 0.011, "{}: CV of the gaps {cv}", figures.file);
        assert_summary(summary(rows.iter().map(|row| row.input_tokens)), figures.input, figures.file);
        assert_summary(summary(rows.iter().map(|row| row.output_tokens)), figures.output, figures.file);
    }
}

/// Distinct blocks, all blocks, and the share of prompt tokens that an infinite cache would have had.
fn blocks(rows: &[TraceRow]) -> (usize, usize, f64) {
    let mut seen = std::collections::BTreeSet::new();
    let (mut references, mut tokens, mut hits) = (0, 0, 0);
    for row in rows {
        // Ids are chained to what precedes them, so a hit is a prefix hit.
        for span in row.spans.as_ref().expect("every row of Mooncake has blocks") {
            references += 1;
            tokens += u64::from(span.tokens);
            hits += if seen.insert(span.content) { 0 } else { u64::from(span.tokens) };
        }
    }
    (seen.len(), references, hits as f64 / tokens as f64)
}

#[test]
fn mooncake_blocks_are_shared_as_published() {
    let Some(data) = data("mooncake_blocks_are_shared_as_published") else { return };
    let mooncake = data.join("traces/mooncake");
    let conversation = all(&mooncake.join("conversation_trace.jsonl.gz"));
    let (unique, references, hits) = blocks(&conversation);
    assert_eq!((unique, references), (182_790, 288_500));
    assert!((hits - 0.374).abs() <= 0.0005, "{hits} of all prompt tokens are hits");
    let same_time = conversation.windows(2).filter(|pair| pair[0].arrival == pair[1].arrival).count();
    assert_eq!(same_time, 10_851, "the trace is quantised, and ties are kept");
    let (unique, references, hits) = blocks(&all(&mooncake.join("synthetic_trace.jsonl.gz")));
    assert_eq!((unique, references), (43_924, 121_877));
    assert!((hits - 0.651).abs() <= 0.0005, "{hits} of all prompt tokens are hits");
}

#[test]
fn a_table_of_lengths_has_no_times() {
    let Some(data) = data("a_table_of_lengths_has_no_times") else { return };
    let path = data.join("traces/lengths_only/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv.gz");
    let reader = TraceReader::open(&path, &ReadOptions::default()).unwrap();
    assert!(reader.info().format == TraceFormat::Vidur && !reader.info().has_times);
    let rows: Vec<TraceRow> = reader.map(Result::unwrap).collect();
    assert_eq!(rows.len(), 28_257);
    assert_summary(summary(rows.iter().map(|row| row.input_tokens)), (2588.1, 2730.0, 4054), "input");
    assert_summary(summary(rows.iter().map(|row| row.output_tokens)), (291.4, 167.0, 4056), "output");
}

#[test]
fn requests_of_measured_runs_are_traces_too() {
    let Some(data) = data("requests_of_measured_runs_are_traces_too") else { return };
    let measured = data.join("ground_truth");
    for (folder, format, count) in [
        ("llmservingsim_rtx4090_llama-3_1-8b", TraceFormat::ShareGptBlocks, 300),
        ("llmservingsim_rtxpro6000_qwen3-30b-a3b-instruct-2507", TraceFormat::ShareGptBlocks, 300),
        ("blis_h100_llama-2-70b-tp4-codegen", TraceFormat::Csv, 9000),
        ("residency_h100_qwen3-14b_w5_12rps", TraceFormat::Csv, 7207),
    ] {
        let path = measured.join(folder).join("requests.csv");
        let reader = TraceReader::open(&path, &ReadOptions::default()).unwrap();
        assert_eq!(reader.info().format, format, "{folder}");
        let rows: Vec<TraceRow> = reader.map(|row| row.unwrap_or_else(|error| panic!("{error}"))).collect();
        assert_eq!(rows.len(), count, "{folder}");
        for row in rows {
            let spans = row.spans.unwrap_or_default();
            let tokens: u32 = spans.iter().map(|span| span.tokens).sum();
            assert!(spans.is_empty() || tokens == row.input_tokens, "{folder}, line {}: {tokens} tokens", row.line);
        }
    }
}

#[test]
fn servegen_clients_draw_as_many_requests_as_their_rates_say() {
    let Some(data) = data("servegen_clients_draw_as_many_requests_as_their_rates_say") else { return };
    // The sums of rate · 600 s over the first 6 windows of the clients; their counts vary by 0.4 and 0.3 %.
    for (folder, clients, expected) in [("deepseek-r1", 6, 52_381.0), ("m-small", 6, 745_713.0)] {
        let reader = TraceReader::open(data.join("traces/servegen").join(folder), &ReadOptions::default()).unwrap();
        let note = format!("requests are drawn at random from the description of {clients} clients");
        assert_eq!(reader.info().notes[0], note);
        let rows = reader.map(|row| row.unwrap_or_else(|error| panic!("{error}")));
        let count = rows.take_while(|row| row.arrival.as_secs_f64() < 3600.0).count() as f64;
        assert!((count / expected - 1.0).abs() < 0.02, "{folder}: {count} requests in the first hour, not {expected}");
    }
}
