//! Synthetic kernels whose law is known.

use profiles::predict::attention::{
    DecodePredictor, HeadShape, MixedPredictor, PrefillPredictor, RaggedFactor, Residency, TileKernel,
};
use profiles::table::{DecodeAttentionRow, MixedAttentionRow, PrefillAttentionRow, Timing};
use profiles::{DType, DeviceSpec, Evidence, PrefillPiece};

fn h100() -> DeviceSpec {
    DeviceSpec::shipped("H100").expect("a shipped device")
}

fn heads(query_heads: u32, kv_heads: u32) -> HeadShape {
    HeadShape { query_heads, kv_heads, head_dim: 128, window: 0, activations: DType::Bf16, kv_cache: DType::Bf16 }
}

/// A decode kernel that starts in 8 µs and streams the cache at 2.5 TB/s.
fn stream_us(heads: HeadShape, requests: u32, sum: u64) -> f64 {
    let bytes = sum as f64 * f64::from(heads.kv_heads * heads.head_dim) * 4.0;
    8.0 + 0.01 * f64::from(requests * heads.kv_heads) + bytes / 2.5e6
}

fn decode_row(heads: HeadShape, requests: u32, context: u64) -> DecodeAttentionRow {
    let sum = context * u64::from(requests);
    DecodeAttentionRow {
        requests,
        context_tokens: sum,
        longest_context_tokens: context,
        query_heads: heads.query_heads,
        kv_heads: heads.kv_heads,
        head_dim: heads.head_dim,
        window: heads.window,
        activations: heads.activations,
        kv_cache: heads.kv_cache,
        timing: Timing::of_us(stream_us(heads, requests, sum)),
    }
}

fn decode_rows() -> Vec<DecodeAttentionRow> {
    let mut rows = Vec::new();
    for (query_heads, kv_heads) in [(8, 1), (8, 2), (16, 2), (16, 4), (32, 4), (32, 8), (64, 8)] {
        for requests in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            for context in [16, 64, 256, 1024, 4096, 16_384] {
                rows.push(decode_row(heads(query_heads, kv_heads), requests, context));
            }
        }
    }
    rows
}

#[test]
fn a_measured_decode_shape_takes_what_was_measured() {
    let rows = decode_rows();
    let predictor = DecodePredictor::new(&rows, &h100());
    let shape = heads(32, 8);
    let times = predictor.for_heads(shape, Residency::AsMeasured).expect("measured");
    for row in rows.iter().filter(|row| (row.query_heads, row.kv_heads) == (32, 8)) {
        let predicted = times.ns(row.requests, row.context_tokens, row.longest_context_tokens);
        assert!((predicted.ns * 1e-3 / row.timing.time_us - 1.0).abs() < 1e-9, "{row:?}");
        assert_eq!(predicted.evidence, Evidence::Measured);
    }
}

#[test]
fn a_law_linear_in_the_cache_is_exact_between_measured_contexts_and_near_for_unseen_heads() {
    let predictor = DecodePredictor::new(&decode_rows(), &h100());
    for (shape, tolerance) in [(heads(32, 8), 1e-9), (heads(24, 4), 0.02), (heads(48, 8), 0.02)] {
        let times = predictor.for_heads(shape, Residency::AsMeasured).expect("measured head size");
        for (requests, context) in [(3, 200), (48, 3000), (100, 40), (200, 9000)] {
            let sum = u64::from(requests) * context;
            let predicted = times.ns(requests, sum, context);
            let error = predicted.ns * 1e-3 / stream_us(shape, requests, sum) - 1.0;
            assert!(error.abs() < tolerance, "{shape:?}, {requests} of {context}: {error}");
            assert_eq!(predicted.evidence, Evidence::Measured);
        }
    }
}

#[test]
fn beyond_the_measured_range_decode_goes_on_without_a_jump_and_says_so() {
    let predictor = DecodePredictor::new(&decode_rows(), &h100());
    let times = predictor.for_heads(heads(32, 8), Residency::AsMeasured).expect("measured");
    let at = |requests: u32, context: u64| times.ns(requests, u64::from(requests) * context, context);
    let (edge, beyond) = (at(256, 16_384), at(256, 16_385));
    assert_eq!((edge.evidence, beyond.evidence), (Evidence::Measured, Evidence::Extrapolated));
    assert!(beyond.ns >= edge.ns && beyond.ns < 1.001 * edge.ns, "{} then {}", edge.ns, beyond.ns);
    let ratio = at(512, 32_768).ns / edge.ns;
    assert!((3.8..4.2).contains(&ratio), "four times the cache takes {ratio} times as long");
}

#[test]
fn no_decode_time_is_below_the_roofline_where_no_measurement_is() {
    let device = h100();
    let predictor = DecodePredictor::new(&decode_rows(), &device);
    for shape in [heads(32, 8), heads(40, 2), heads(128, 16)] {
        let times = predictor.for_heads(shape, Residency::AsMeasured).expect("measured head size");
        for (requests, context) in [(1, 10_u64), (7, 1000), (256, 16_384), (1000, 100_000)] {
            let sum = context * u64::from(requests);
            let bytes = sum as f64 * f64::from(shape.kv_heads) * 512.0;
            let least_ns = bytes / device.memory_bandwidth * 1e9;
            assert!(times.ns(requests, sum, context).ns >= least_ns, "{shape:?}, {requests} of {context}");
        }
    }
}

#[test]
fn nothing_is_predicted_for_heads_of_another_size_or_cache_of_another_format() {
    let predictor = DecodePredictor::new(&decode_rows(), &h100());
    assert!(predictor.for_heads(HeadShape { head_dim: 96, ..heads(32, 8) }, Residency::AsMeasured).is_none());
    assert!(predictor.for_heads(HeadShape { kv_cache: DType::Fp8, ..heads(32, 8) }, Residency::AsMeasured).is_none());
    assert!(predictor.for_heads(HeadShape { window: 128, ..heads(32, 8) }, Residency::AsMeasured).is_none());
}

#[test]
fn a_cache_that_fits_in_l2_is_read_from_device_memory_in_a_serving_step() {
    // Caches up to 40 MB stream three times as fast as larger ones, as a repeated benchmark finds them.
    let mut rows = decode_rows();
    for row in &mut rows {
        let bytes = row.context_tokens as f64 * f64::from(row.kv_heads) * 512.0;
        row.timing.time_us = 8.0 + bytes / if bytes < 40e6 { 7.5e6 } else { 2.5e6 };
    }
    let predictor = DecodePredictor::new(&rows, &h100());
    let time = |residency, requests: u32, context: u64| {
        let times = predictor.for_heads(heads(32, 8), residency).expect("measured");
        times.ns(requests, u64::from(requests) * context, context).ns * 1e-3
    };
    // 32 · 256 · 4 KB = 33.6 MB.
    let (warm, cold) = (time(Residency::AsMeasured, 32, 256), time(Residency::DeviceMemory, 32, 256));
    assert!((warm - 12.5).abs() < 0.1, "{warm}");
    assert!((19.0..22.0).contains(&cold), "at 2.5 TB/s 33.6 MB take 13.4 µs more than the launch: {cold}");
    let (large, same) = (time(Residency::AsMeasured, 128, 4096), time(Residency::DeviceMemory, 128, 4096));
    assert!((large / same - 1.0).abs() < 1e-9, "a large cache never was in L2");
}

#[test]
fn unequal_contexts_cost_more_and_stand_on_less() {
    let predictor = DecodePredictor::new(&decode_rows(), &h100());
    let times = predictor.for_heads(heads(32, 8), Residency::AsMeasured).expect("measured");
    let (equal, unequal) = (times.ns(64, 64_000, 1000), times.ns(64, 64_000, 4000));
    let factor = RaggedFactor::SHIPPED.factor(64.0, 8.0, 132.0, 4.0);
    assert!((unequal.ns / equal.ns - factor).abs() < 1e-9 && factor > 1.05);
    assert_eq!((equal.evidence, unequal.evidence), (Evidence::Measured, Evidence::Extrapolated));
}

#[test]
fn rows_of_unequal_contexts_fit_the_factor_for_them() {
    let mut rows = decode_rows();
    let law = RaggedFactor { unsplit: 0.4, split: 0.1 };
    for requests in [2, 4, 8, 16, 32, 64, 128] {
        for longest in [512_u64, 768, 1024, 2048, 4096, 8192, 16_384] {
            let equal = decode_row(heads(32, 8), requests, 256);
            let factor = law.factor(f64::from(requests), 8.0, 132.0, longest as f64 / 256.0);
            let timing = Timing::of_us(equal.timing.time_us * factor);
            rows.push(DecodeAttentionRow { longest_context_tokens: longest, timing, ..equal });
        }
    }
    let predictor = DecodePredictor::new(&rows, &h100());
    let fitted = predictor.ragged();
    assert!((fitted.unsplit - 0.4).abs() < 1e-6 && (fitted.split - 0.1).abs() < 1e-6, "{fitted:?}");
    let times = predictor.for_heads(heads(32, 8), Residency::AsMeasured).expect("measured");
    assert_eq!(times.ns(64, 64 * 256, 1024).evidence, Evidence::Fitted);
}

/// A prefill kernel: 9 µs and the visible pairs at 400 TFLOP/s.
fn prompt_us(heads: HeadShape, requests: f64, new_tokens: u32, context: u32) -> f64 {
    let (new_tokens, context) = (f64::from(new_tokens), f64::from(context));
    let pairs = requests * (new_tokens * context + new_tokens * (new_tokens + 1.0) / 2.0);
    9.0 + pairs * 4.0 * f64::from(heads.query_heads * heads.head_dim) / 400e6
}

fn prefill_rows() -> Vec<PrefillAttentionRow> {
    let mut rows = Vec::new();
    for (query_heads, kv_heads) in [(8, 1), (8, 2), (16, 2), (16, 4), (32, 4), (32, 8), (64, 8)] {
        let heads = heads(query_heads, kv_heads);
        for requests in [1, 2, 4, 8, 16] {
            for new_tokens in [64, 128, 256, 512, 1024, 2048, 4096, 8192] {
                for context_tokens in [0, 1024, 4096] {
                    let time_us = prompt_us(heads, f64::from(requests), new_tokens, context_tokens);
                    rows.push(PrefillAttentionRow {
                        requests,
                        new_tokens,
                        context_tokens,
                        query_heads,
                        kv_heads,
                        head_dim: 128,
                        window: 0,
                        activations: DType::Bf16,
                        kv_cache: DType::Bf16,
                        timing: Timing::of_us(time_us),
                    });
                }
            }
        }
    }
    rows
}

fn piece(new_tokens: u32, context_tokens: u32) -> PrefillPiece {
    PrefillPiece { new_tokens, context_tokens }
}

#[test]
fn a_law_of_pairs_is_exact_where_measured_and_near_between_and_for_unseen_heads() {
    let predictor = PrefillPredictor::new(&prefill_rows(), &h100());
    for (shape, tolerance) in [(heads(32, 8), 0.07), (heads(24, 4), 0.07), (heads(28, 4), 0.07)] {
        let times = predictor.for_heads(shape).expect("measured head size");
        for (requests, new_tokens, context) in [(1, 700, 0), (3, 1500, 2000), (5, 3000, 0), (16, 6000, 4096)] {
            let predicted = times.ns(&vec![piece(new_tokens, context); requests]);
            let error = predicted.ns * 1e-3 / prompt_us(shape, requests as f64, new_tokens, context) - 1.0;
            assert!(error.abs() < tolerance, "{shape:?}: {requests} × {new_tokens} after {context}: {error}");
            assert_eq!(predicted.evidence, Evidence::Measured);
        }
        let exact = times.ns(&[piece(1024, 4096); 2]).ns * 1e-3 / prompt_us(shape, 2.0, 1024, 4096) - 1.0;
        assert!(shape != heads(32, 8) || exact.abs() < 1e-9, "{exact}");
    }
}

#[test]
fn pieces_that_differ_take_between_the_work_of_each() {
    let times = PrefillPredictor::new(&prefill_rows(), &h100()).for_heads(heads(32, 8)).expect("measured");
    let together = times.ns(&[piece(4096, 0), piece(512, 1024), piece(512, 1024)]);
    let law = prompt_us(heads(32, 8), 1.0, 4096, 0) + prompt_us(heads(32, 8), 2.0, 512, 1024) - 9.0;
    assert!((together.ns * 1e-3 / law - 1.0).abs() < 0.1, "{} against {law}", together.ns * 1e-3);
    assert_eq!(together.evidence, Evidence::Fitted);
    let swapped = times.ns(&[piece(512, 1024), piece(4096, 0), piece(512, 1024)]);
    assert!((swapped.ns / together.ns - 1.0).abs() < 1e-12, "their order does not matter");
}

#[test]
fn longer_prompts_and_contexts_than_measured_are_extrapolated_from_the_edge() {
    let times = PrefillPredictor::new(&prefill_rows(), &h100()).for_heads(heads(32, 8)).expect("measured");
    let (edge, beyond) = (times.ns(&[piece(8192, 4096)]), times.ns(&[piece(8192, 4100)]));
    assert_eq!((edge.evidence, beyond.evidence), (Evidence::Measured, Evidence::Extrapolated));
    assert!((1.0..1.01).contains(&(beyond.ns / edge.ns)), "{} then {}", edge.ns, beyond.ns);
    let twice = times.ns(&[piece(16_384, 0)]).ns / times.ns(&[piece(8192, 0)]).ns;
    assert!((3.5..4.2).contains(&twice), "twice the prompt takes {twice} times as long");
}

fn mixed_us(new_tokens: u32, context: u32, requests: u32, sum: u64) -> f64 {
    let prompt = f64::from(new_tokens) * f64::from(context + new_tokens / 2);
    12.0 + prompt / 20_000.0 + f64::from(requests) * 0.3 + sum as f64 / 800.0
}

fn mixed_rows() -> Vec<MixedAttentionRow> {
    let mut rows = Vec::new();
    for new_tokens in [64, 256, 1024] {
        for prefill_context_tokens in [0, 1024, 8192] {
            for decode_requests in [1, 4, 16, 64] {
                for context in [128, 1024, 8192] {
                    let sum = context * u64::from(decode_requests);
                    let time_us = mixed_us(new_tokens, prefill_context_tokens, decode_requests, sum);
                    rows.push(MixedAttentionRow {
                        prefill_requests: 1,
                        new_tokens,
                        prefill_context_tokens,
                        decode_requests,
                        decode_context_tokens: sum,
                        longest_context_tokens: context,
                        query_heads: 32,
                        kv_heads: 8,
                        head_dim: 128,
                        window: 0,
                        activations: DType::Bf16,
                        kv_cache: DType::Bf16,
                        timing: Timing::of_us(time_us),
                    });
                }
            }
        }
    }
    rows
}

#[test]
fn a_measured_mixed_batch_takes_what_was_measured_and_what_differs_says_so() {
    let rows = mixed_rows();
    let predictor = MixedPredictor::new(&rows, &h100(), TileKernel::PerQueryHead);
    let times = predictor.for_heads(heads(32, 8)).expect("measured");
    for row in &rows {
        let pieces = [piece(row.new_tokens, row.prefill_context_tokens)];
        let predicted = times.ns(&pieces, row.decode_requests, row.decode_context_tokens, row.longest_context_tokens);
        assert!((predicted.ns * 1e-3 / row.timing.time_us - 1.0).abs() < 1e-9, "{row:?}");
        assert_eq!(predicted.evidence, Evidence::Measured);
    }
    let evidence = |pieces: &[PrefillPiece], requests, sum, longest| times.ns(pieces, requests, sum, longest).evidence;
    assert_eq!(evidence(&[piece(256, 0)], 16, 16_384, 4096), Evidence::Fitted, "unequal contexts");
    assert_eq!(evidence(&[piece(128, 0), piece(128, 64)], 16, 16_384, 1024), Evidence::Fitted, "two pieces");
    assert_eq!(evidence(&[piece(4096, 0)], 16, 16_384, 1024), Evidence::Extrapolated, "a longer piece");
    assert!(predictor.for_heads(heads(64, 8)).is_none(), "heads that were not measured");
}

#[test]
fn a_batch_that_was_left_out_is_predicted_from_its_neighbours() {
    let hidden = |row: &MixedAttentionRow| (row.new_tokens, row.prefill_context_tokens) == (256, 1024);
    let (out, seen): (Vec<_>, Vec<_>) = mixed_rows().into_iter().partition(hidden);
    let times = MixedPredictor::new(&seen, &h100(), TileKernel::PerQueryHead).for_heads(heads(32, 8)).expect("seen");
    for row in &out {
        let predicted =
            times.ns(&[piece(256, 1024)], row.decode_requests, row.decode_context_tokens, row.longest_context_tokens);
        let error = predicted.ns * 1e-3 / row.timing.time_us - 1.0;
        assert!(error.abs() < 0.25, "{row:?}: {error}");
        assert_eq!(predicted.evidence, Evidence::Measured);
    }
}
