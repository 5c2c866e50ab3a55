//! Predictions against measured steps and kernels.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use profiles::cost::CostOptions;
use profiles::{CostModel, DType, DeviceSpec, FeedForward, Mixer, ModelSpec, Operator, StepShape};

use crate::{bare, compile, decode, dense_layer, h100, milliseconds, pieces, shape, shared_data, shipped, tiny};

/// Qwen3-14B in 16 bits on one H100 under vLLM 0.23: steps between tokens of measured runs.
#[test]
fn steps_of_qwen3_14b_take_what_they_took_in_vllm() {
    let (model, device) = (shipped("Qwen/Qwen3-14B"), h100());
    let cost = compile(&CostOptions::new(&model, &device));
    let near = |what: &str, predicted: f64, measured: f64, tolerance: f64| {
        let error = predicted / measured - 1.0;
        assert!(error.abs() < tolerance, "{what}: {predicted:.2} ms, measured {measured} ms ({:+.1} %)", error * 100.0);
    };
    let decode_step = |requests, each| milliseconds(&cost, &shape(&[], decode(requests, each)));
    near("one request", decode_step(1, 1088), 11.25, 0.06);
    near("43 requests", decode_step(43, 1088), 13.65, 0.10);
    let prompt_step = |tokens| milliseconds(&cost, &shape(&pieces(&[(tokens, 0)]), decode(1, 1088)));
    near("a prompt of 1012 tokens", prompt_step(1012), 40.7, 0.06);
    near("a prompt of 1028 tokens", prompt_step(1028), 46.0, 0.06);
}

/// Orders of magnitude for Llama-3.1-8B on one H100.
#[test]
fn llama_8b_decodes_in_milliseconds_and_reads_a_prompt_in_tens() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let cost = compile(&CostOptions::new(&model, &device));
    for requests in [8, 16, 32] {
        let step = milliseconds(&cost, &shape(&[], decode(requests, 1024)));
        assert!((6.0..9.0).contains(&step), "{requests} requests: {step} ms");
    }
    let prompt = milliseconds(&cost, &shape(&pieces(&[(2048, 0)]), decode(0, 0)));
    assert!((40.0..60.0).contains(&prompt), "2048 tokens: {prompt} ms");
}

/// Median and 95th percentile of |predicted ÷ measured − 1|.
fn spread(mut errors: Vec<f64>) -> (f64, f64) {
    errors.sort_by(f64::total_cmp);
    (errors[errors.len() / 2], errors[errors.len() * 95 / 100])
}

/// Calls `row` with the columns asked for and the time in milliseconds, for each row of a table that `keep`s.
fn read<const N: usize>(path: &Path, columns: [&str; N], filters: &[(&str, &str)], mut row: impl FnMut([u32; N], f64)) {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut table = csv::Reader::from_reader(GzDecoder::new(file));
    let header = table.headers().expect("a header").clone();
    let find = |name: &str| header.iter().position(|column| column == name);
    let indices = columns.map(|name| find(name).unwrap_or_else(|| panic!("{}: no `{name}`", path.display())));
    let time = find("latency_ms").expect("a time");
    for record in table.records() {
        let record = record.expect("a row");
        let kept = |&(name, value): &(&str, &str)| find(name).is_none_or(|index| &record[index] == value);
        if filters.iter().all(kept) {
            row(indices.map(|index| record[index].parse().expect("a number")), record[time].parse().expect("a time"));
        }
    }
}

/// Time of one operator of a model of one layer, in milliseconds.
fn kernel_ms(model: &ModelSpec, device: &DeviceSpec, step: &StepShape<'_>, operator: Operator) -> f64 {
    let options = CostOptions { max_num_batched_tokens: 1, max_num_seqs: 1, ..bare(model, device) };
    compile(&options).explain(step).operator(operator).time_ns() * 1e-6
}

const DEVICES: [(&str, &str); 4] = [
    ("H100", "H100_vllm_0.24.0"),
    ("H200", "H200_vllm_0.24.0"),
    ("A100", "A100_vllm_0.14.0"),
    ("L40S", "L40S_vllm_0.24.0"),
];

fn tables() -> Option<impl Iterator<Item = (DeviceSpec, std::path::PathBuf)>> {
    let folder = shared_data()?.join("kernels/aiconfigurator");
    Some(
        DEVICES
            .into_iter()
            .map(move |(name, table)| (DeviceSpec::shipped(name).expect("a shipped device"), folder.join(table))),
    )
}

fn table(stem: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// An output projection is a product with n = hidden size and k = heads · head size.
fn projection(n: u32, k: u32) -> ModelSpec {
    let mut layer = dense_layer();
    layer.feed_forward = FeedForward::None;
    let Mixer::Attention(attention) = &mut layer.mixer else { unreachable!("the dense layer has attention") };
    (attention.query_heads, attention.kv_heads, attention.head_dim) = (k / 32, 1, 32);
    ModelSpec { hidden_size: n, ..tiny(vec![layer]) }
}

#[test]
fn gemm_times_are_near_the_measured_ones() {
    let Some(tables) = tables() else { return skipped("gemm_times_are_near_the_measured_ones") };
    for (device, stem) in tables {
        let mut errors = Vec::new();
        let filters = [("gemm_dtype", "bfloat16")];
        read(&table(&stem, "_gemm.csv.gz"), ["m", "n", "k"], &filters, |[m, n, k], measured| {
            // A sample of realistic shapes; smaller weights stay in the L2 of the larger devices.
            if n >= 1024 && k >= 1024 && n <= 16384 && k <= 16384 && (n + 3 * k + m) % 7 < 2 {
                let step = pieces(&[(m, 0)]);
                let predicted =
                    kernel_ms(&projection(n, k), &device, &shape(&step, decode(0, 0)), Operator::OutputProjection);
                errors.push((predicted / measured - 1.0).abs());
            }
        });
        judge("GEMM", &device, errors);
    }
}

/// A layer with attention of this shape.
fn attention(query_heads: u32, kv_heads: u32, head_dim: u32) -> ModelSpec {
    let mut layer = dense_layer();
    layer.feed_forward = FeedForward::None;
    let Mixer::Attention(attention) = &mut layer.mixer else { unreachable!("the dense layer has attention") };
    (attention.query_heads, attention.kv_heads, attention.head_dim) = (query_heads, kv_heads, head_dim);
    tiny(vec![layer])
}

#[test]
fn decode_attention_times_are_near_the_measured_ones() {
    let Some(tables) = tables() else { return skipped("decode_attention_times_are_near_the_measured_ones") };
    let columns = ["batch_size", "num_heads", "num_key_value_heads", "head_dim", "kv_len"];
    let filters = [("kv_cache_dtype", "bfloat16"), ("window_size", "0")];
    for (device, stem) in tables {
        let mut errors = Vec::new();
        read(&table(&stem, "_attention_decode.csv.gz"), columns, &filters, |[batch, heads, kv_heads, dim, kv], ms| {
            let bytes = 4.0 * f64::from(batch * kv_heads * dim) * f64::from(kv);
            // A cache that the benchmark keeps in L2 is not there in a serving step.
            if bytes > 1.3 * device.l2_bytes as f64 && matches!(dim, 64 | 128) && (heads + kv / 2 + batch) % 5 == 0 {
                let model = attention(heads, kv_heads, dim);
                let step = shape(&[], decode(batch, u64::from(kv)));
                errors.push((kernel_ms(&model, &device, &step, Operator::DecodeAttention) / ms - 1.0).abs());
            }
        });
        judge("decode attention", &device, errors);
    }
}

#[test]
fn prefill_attention_times_are_near_the_measured_ones() {
    let Some(tables) = tables() else { return skipped("prefill_attention_times_are_near_the_measured_ones") };
    let columns = ["batch_size", "num_heads", "num_key_value_heads", "head_dim", "query_len"];
    let filters = [("kv_cache_dtype", "bfloat16"), ("window_size", "0"), ("prefix_len", "0")];
    for (device, stem) in tables {
        let mut errors = Vec::new();
        read(&table(&stem, "_attention_prefill.csv.gz"), columns, &filters, |[batch, heads, kv_heads, dim, q], ms| {
            if matches!(dim, 64 | 128) && q >= 128 && q * batch <= 32_768 && (heads + q / 128 + batch) % 4 == 0 {
                let prompts = pieces(&vec![(q, 0); batch as usize]);
                let step = shape(&prompts, decode(0, 0));
                let predicted = kernel_ms(&attention(heads, kv_heads, dim), &device, &step, Operator::PrefillAttention);
                errors.push((predicted / ms - 1.0).abs());
            }
        });
        judge("prefill attention", &device, errors);
    }
}

#[test]
fn eight_bits_halve_the_time_of_reading_weights() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let at = |weights, activations| {
        let mut options = CostOptions::new(&model, &device);
        options.precision.weights = weights;
        options.precision.activations = activations;
        compile(&options).explain(&shape(&[], decode(8, 100))).operator(Operator::DenseFfn).time_ns()
    };
    let ratio = at(DType::Bf16, DType::Bf16) / at(DType::Fp8, DType::Fp8);
    assert!((1.6..2.0).contains(&ratio), "{ratio}");
}

/// Tests say which of them had data.
#[expect(clippy::print_stdout, reason = "the output of a test is where a reader looks")]
fn say(line: &str) {
    println!("{line}");
}

fn skipped(test: &str) {
    say(&format!("SKIPPED: {test} needs ../shared/data"));
}

/// Reports the errors of a table and asserts that their median is small.
fn judge(kernel: &str, device: &DeviceSpec, errors: Vec<f64>) {
    let (median, p95) = spread(errors);
    say(&format!("USED: {kernel} on {}: median {:.1} %, p95 {:.1} %", device.name, median * 100.0, p95 * 100.0));
    assert!(median < 0.12, "{kernel} on {}: median {median}", device.name);
}
