//! Prefixes that several generating requests begin with, and that attention reads once.

use profiles::cost::{CostOptions, PrefixAttention};
use profiles::{CostModel, DType, DecodeBatch, DeviceSpec, Evidence, Operator, OperatorTotals, SharedPrefixes};

use crate::{assert_same, bare, compile, decode, dense_layer, h100, pieces, shape, shipped, tiny};

const KINDS: [PrefixAttention; 3] = [PrefixAttention::PerRequest, PrefixAttention::Cascade, PrefixAttention::Fused];

/// `prefixes` prefixes of `tokens` tokens, each of `degree` requests with `rest` tokens of their own.
fn groups(prefixes: u32, tokens: u64, degree: u32, rest: u64) -> DecodeBatch {
    let requests = prefixes * degree;
    let (tokens, member_tokens) = (u64::from(prefixes) * tokens, u64::from(requests) * tokens);
    let context = member_tokens / u64::from(requests) + rest;
    DecodeBatch { shared: SharedPrefixes { prefixes, tokens, member_tokens }, ..decode(requests, context) }
}

fn llama_attention(prefix_attention: PrefixAttention, batch: DecodeBatch) -> OperatorTotals {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let cost = compile(&CostOptions { prefix_attention, ..bare(&model, &device) });
    *cost.explain(&shape(&[], batch)).operator(Operator::DecodeAttention)
}

fn time_ns(totals: &OperatorTotals) -> f64 {
    totals.time_ns_by_evidence.iter().sum()
}

/// One layer with 8 query heads and 2 KV heads of 32: 256 B per token in the cache.
#[test]
fn a_shared_prefix_is_read_once_and_computed_with_by_every_request() {
    let (model, device) = (tiny(vec![dense_layer()]), h100());
    let explain = |prefix_attention| {
        let cost = compile(&CostOptions { prefix_attention, ..bare(&model, &device) });
        cost.explain(&shape(&[], groups(3, 1000, 16, 200)))
    };
    let [apart, cascade, fused] = KINDS.map(explain);
    let decode = |totals: &profiles::CostTotals| *totals.operator(Operator::DecodeAttention);

    let (rows, width) = (3.0 * 16.0, 8.0 * 32.0);
    let queries_and_outputs = rows * 2.0 * width * 2.0;
    assert_same(decode(&apart).memory_bytes, 256.0 * rows * 1200.0 + queries_and_outputs, "every request its own");
    // Each merge reads two partial results with their log-sum-exps in 32 bits, and writes 16.
    let merged = rows * (2.0 * (width + 8.0) * 4.0 + 2.0 * width);
    let once = 256.0 * (3.0 * 1000.0 + rows * 200.0) + queries_and_outputs + merged;
    assert_same(decode(&fused).memory_bytes, once, "prefixes once");
    assert_same(decode(&cascade).memory_bytes, once, "the same bytes in more launches");
    assert_same(
        apart.necessary_bytes - fused.necessary_bytes,
        256.0 * 3.0 * 15.0 * 1000.0,
        "15 of 16 readings are saved",
    );
    for shared in [cascade, fused] {
        assert_same(decode(&apart).flops, decode(&shared).flops, "nobody attends to less");
        assert_eq!(
            apart.operator(Operator::DenseFfn),
            shared.operator(Operator::DenseFfn),
            "products see the same rows"
        );
    }
}

#[test]
fn batches_without_shared_prefixes_cost_the_same_whatever_the_kernel() {
    let [apart, cascade, fused] = KINDS.map(|kind| llama_attention(kind, decode(64, 1500)));
    assert_eq!(apart, cascade);
    assert_eq!(apart, fused);
}

#[test]
fn a_kernel_that_reads_every_context_does_not_care_what_is_shared() {
    let batch = groups(4, 2000, 16, 200);
    let alone = DecodeBatch { shared: SharedPrefixes::default(), ..batch };
    let kind = PrefixAttention::PerRequest;
    assert_eq!(llama_attention(kind, batch), llama_attention(kind, alone));
}

/// Every prefix more is a launch more for cascades, and none for the fused kernel.
#[test]
fn the_fused_kernel_saves_a_launch_for_every_prefix() {
    let gap = |prefixes| {
        let batch = groups(prefixes, 64, 2, 40);
        let [_, cascade, fused] = KINDS.map(|kind| time_ns(&llama_attention(kind, batch)));
        (cascade - fused) / f64::from(prefixes)
    };
    let (few, many) = (gap(8), gap(64));
    assert!(many > 32.0 * 1e3, "a launch is over 1 us in each of 32 layers, not {many} ns per prefix");
    assert!((few / many - 1.0).abs() < 0.25, "{few} and {many} ns per prefix");
}

/// 64 requests with 2000 of 2200 tokens shared by 16 each read (200 + 2000/16) / 2200 of the bytes.
#[test]
fn reading_long_prefixes_once_pays_as_much_as_it_saves_bytes() {
    let batch = groups(4, 2000, 16, 200);
    let [apart, _, fused] = KINDS.map(|kind| llama_attention(kind, batch));
    let (time, bytes) = (time_ns(&fused) / time_ns(&apart), fused.memory_bytes / apart.memory_bytes);
    assert!((0.14..0.18).contains(&bytes), "{bytes} of the bytes");
    assert!(bytes < time && time < 0.5, "{time} of the time with {bytes} of the bytes: floors remain");
    let extrapolated = fused.time_ns_by_evidence[Evidence::Extrapolated as usize];
    assert_same(extrapolated, time_ns(&fused), "nobody has measured this kernel");
}

/// On GPUs whose kernels have prompts and decodes in one launch, that costs more than both apart; on Hopper it is not known to.
#[test]
fn separate_launches_cost_the_sum_of_both() {
    let model = shipped("meta-llama/Llama-3.1-8B");
    let prompt = pieces(&[(512, 1000)]);
    let attention_ns = |device: &str, separate_attention, prefill: &[profiles::PrefillPiece], batch| {
        let device = profiles::DeviceSpec::shipped(device).expect("a shipped device");
        let cost = compile(&CostOptions { separate_attention, ..bare(&model, &device) });
        let totals = cost.explain(&shape(prefill, batch));
        time_ns(totals.operator(Operator::DecodeAttention)) + time_ns(totals.operator(Operator::PrefillAttention))
    };
    let batch = decode(128, 2000);
    for device in ["A100", "H100"] {
        let apart = attention_ns(device, true, &prompt, batch);
        let sum = attention_ns(device, true, &prompt, decode(0, 0)) + attention_ns(device, true, &[], batch);
        assert_same(apart, sum, device);
        let together = attention_ns(device, false, &prompt, batch);
        assert!(if device == "A100" { together > apart } else { together.to_bits() == apart.to_bits() }, "{device}");
    }
}

/// Reading once stops paying where so many requests attend that computing takes longer.
#[test]
fn no_prefix_is_computed_with_faster_than_the_peak() {
    for degree in [16, 64, 256, 1024] {
        let fused = llama_attention(PrefixAttention::Fused, groups(1, 16_000, degree, 10));
        let peak_ns = fused.flops / h100().bf16_flops * 1e9;
        assert!(time_ns(&fused) > peak_ns, "{degree} requests: {} ns, {peak_ns} at the peak", time_ns(&fused));
    }
}

/// What a fused kernel could save of prompt pieces: reading a prefix once for all of a group. Hundreds of queries attend to each key
/// that is read, so that the pieces take several times what their reads take at the datasheet's bandwidth.
#[test]
fn reading_a_prefix_once_would_not_make_prompt_pieces_faster() {
    let model = shipped("meta-llama/Llama-3.1-8B");
    for device in ["A100-SXM-80GB", "H100-SXM-80GB"] {
        let device = DeviceSpec::shipped(device).expect("a shipped device");
        for (new, prefix) in [(200, 2000), (200, 16_000), (64, 16_000)] {
            let pieces = pieces(&[(new, prefix); 8]);
            let totals = compile(&CostOptions::new(&model, &device)).explain(&shape(&pieces, decode(0, 0)));
            let attention = totals.operator(Operator::PrefillAttention);
            let read_ns =
                8.0 * f64::from(prefix) * model.kv_bytes_per_token(DType::Bf16) as f64 / device.memory_bandwidth * 1e9;
            assert!(
                attention.time_ns() > 1.5 * read_ns,
                "{}: {new} after {prefix}: {} ns, reads {read_ns} ns",
                device.name,
                attention.time_ns()
            );
        }
    }
}
