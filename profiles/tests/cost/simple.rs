//! The simple models do what their formulas say.

use profiles::cost::simple::{ConstantCost, DecodePolynomial, PolynomialCost, PolynomialOptions};
use profiles::{CostModel, Evidence};

use crate::{decode, pieces, shape};

/// `DistServe`'s engine, OPT-13B on one A100, without its Ray overheads.
fn opt_13b() -> PolynomialOptions {
    let decode = |base, context, request| DecodePolynomial {
        base_ns: base * 1e6,
        per_context_token_ns: context * 1e6,
        per_request_ns: request * 1e6,
    };
    PolynomialOptions {
        prefill_base_ns: 18.103e6,
        per_prompt_token_ns: 0.101_912e6,
        per_prompt_token_squared_ns: 7.122e-6 * 1e6,
        decode: decode(19.935, 6.269e-4, 0.038_507),
        decode_large: decode(7.166, 5.798e-4, 0.158_311),
        large_batch_requests: 95,
        stages: 1,
        per_stage_prefill_ns: 0.0,
        per_step_ns: 0.0,
        per_step_token_ns: 0.0,
    }
}

fn duration_ms(options: PolynomialOptions, prompt: &[(u32, u32)], requests: u32, context: u64) -> f64 {
    let mut cost = PolynomialCost::new(options);
    let mut stage_ns = vec![0; cost.stages()];
    cost.step(&shape(&pieces(prompt), decode(requests, context)), &mut stage_ns).duration_ns as f64 * 1e-6
}

#[test]
fn a_constant_step_takes_the_same_time_whatever_it_does() {
    let mut cost = ConstantCost::new(5_000);
    assert_eq!(cost.step(&shape(&[], decode(1, 1)), &mut [0]).duration_ns, 5_000);
    assert_eq!(cost.step(&shape(&pieces(&[(9_000, 0)]), decode(100, 900)), &mut [0]).duration_ns, 5_000);
    assert_eq!(cost.totals().steps, 2);
}

#[test]
fn the_polynomial_gives_distserves_times() {
    let prefill = duration_ms(opt_13b(), &[(512, 0)], 0, 0);
    assert!((prefill - 72.1).abs() < 0.1, "512-token prompt: {prefill} ms");
    let step = duration_ms(opt_13b(), &[], 32, 512);
    assert!((step - 31.4).abs() < 0.1, "32 requests with 512 tokens: {step} ms");
    let large = duration_ms(opt_13b(), &[], 95, 100);
    assert!((large - (7.166 + 9500.0 * 5.798e-4 + 95.0 * 0.158_311)).abs() < 1e-5, "95 requests: {large} ms");
}

#[test]
fn chunks_of_a_prompt_add_up_to_the_prompt() {
    let base = opt_13b().prefill_base_ns * 1e-6;
    let whole = duration_ms(opt_13b(), &[(1000, 0)], 0, 0);
    let halves = duration_ms(opt_13b(), &[(400, 0)], 0, 0) + duration_ms(opt_13b(), &[(600, 400)], 0, 0);
    assert!((halves - base - whole).abs() < 1e-5, "{halves} ms in two, {whole} ms at once");
}

#[test]
fn stages_share_the_polynomial_and_add_their_overheads() {
    let options = PolynomialOptions {
        stages: 2,
        per_stage_prefill_ns: 1e6,
        per_step_ns: 2e6,
        per_step_token_ns: 100.0,
        ..opt_13b()
    };
    let one = duration_ms(opt_13b(), &[(512, 0)], 0, 0);
    let two = duration_ms(options, &[(512, 0)], 0, 0);
    assert!((two - (one + 2.0 * 1.0 + 2.0 + 512.0 * 1e-4)).abs() < 1e-5, "{two} ms");
}

#[test]
fn what_no_fit_has_seen_counts_as_extrapolated() {
    let cost = PolynomialCost::new(opt_13b()).fitted_up_to(2048);
    let extrapolated = |prompt: &[(u32, u32)], requests: u32| {
        let totals = cost.explain(&shape(&pieces(prompt), decode(requests, 512))).sum();
        totals.time_ns_by_evidence[Evidence::Extrapolated as usize] > 0.0
    };
    assert!(!extrapolated(&[(2048, 0), (1000, 0)], 0), "whole prompts");
    assert!(!extrapolated(&[], 300), "decodes");
    assert!(extrapolated(&[(2049, 0)], 0), "a prompt beyond the fit");
    assert!(extrapolated(&[(512, 512)], 0), "the second half of a prompt");
    assert!(extrapolated(&[(512, 0)], 8), "prompts beside decodes");
}
