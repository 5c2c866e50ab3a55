//! The simple models do what their formulas say.

use profiles::cost::Composition;
use profiles::cost::simple::{
    ConstantCost, DecodePolynomial, PolynomialCost, PolynomialOptions, RooflineCost, RooflineFile,
};
use profiles::{CostModel, DType, Evidence};

use crate::{assert_same, decode, pieces, shape, shipped};

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

const RATES: &str =
    "form = \"roofline\"\nsource = \"BlendServe, table 1\"\nflops_per_s = 255e12\nbytes_per_s = 1.733e12\n";

fn llama_8b(gpus: u32, composition: Composition) -> RooflineCost {
    let file = RooflineFile::from_toml(RATES, "a100.toml").expect("it is right");
    file.cost(&shipped("meta-llama/Llama-3.1-8B"), DType::Bf16, gpus, composition)
}

/// *`BlendServe`*, table 1: attention of Llama-3-8B over 512 contexts of 1024 tokens takes 1.239 ms a layer.
#[test]
fn a_roofline_gives_blendserves_times() {
    let step = llama_8b(1, Composition::Serial).explain(&shape(&[], decode(512, 1024)));
    assert!((step.parts.memory.sum_ns / 32e6 - 1.239).abs() < 1e-3, "{} ns", step.parts.memory.sum_ns);
    // A prompt of 1024 tokens and 256 of answer: 82.77 ms of compute in all (section 3 with these rates).
    let prompt = llama_8b(1, Composition::Serial).explain(&shape(&pieces(&[(1024, 0)]), decode(256, 1)));
    assert!((prompt.parts.compute.sum_ns / 1e6 - 82.77).abs() < 0.05, "{} ns", prompt.parts.compute.sum_ns);
}

#[test]
fn chunks_add_up_gpus_share_and_parts_overlap_on_a_roofline() {
    let compute = |cost: &RooflineCost, prompt: &[(u32, u32)]| {
        cost.explain(&shape(&pieces(prompt), decode(0, 0))).parts.compute.sum_ns
    };
    let serial = llama_8b(1, Composition::Serial);
    assert_same(compute(&serial, &[(1000, 0)]), compute(&serial, &[(400, 0), (600, 400)]), "chunks");
    let two = llama_8b(2, Composition::Serial);
    assert_same(compute(&serial, &[(1000, 0)]), 2.0 * compute(&two, &[(1000, 0)]), "two GPUs");
    let mut beside = llama_8b(1, Composition::Overlapped { interference: 0.25 });
    for (prompt, batch) in [(&[(2000, 0)][..], decode(100, 1000)), (&[], decode(64, 9000))] {
        let (prompt, mut ns) = (pieces(prompt), [0]);
        let parts = serial.explain(&shape(&prompt, batch)).parts;
        let (compute, memory) = (parts.compute.sum_ns, parts.memory.sum_ns);
        let step_ns = beside.step(&shape(&prompt, batch), &mut ns).duration_ns as f64;
        let expected = compute.max(memory) + 0.25 * compute.min(memory);
        assert!((step_ns - expected).abs() <= 1.0, "{step_ns} ns, expected {expected}");
        let booked = beside.explain(&shape(&prompt, batch)).time_ns();
        assert!((booked - expected).abs() <= 1.0, "operators have {booked} ns of {expected}");
    }
}

#[test]
fn rates_that_cannot_be_are_refused() {
    for (old, new, expected) in [
        ("255e12", "0.0", "a100.toml: `flops_per_s`: 0 is out of range; expected a rate above 0"),
        ("1.733e12", "-1.0", "a100.toml: `bytes_per_s`: -1 is out of range; expected a rate above 0"),
        ("\"roofline\"", "\"roof\"", "a100.toml: `form`: `roof` is no form of step cost; expected `roofline`"),
        ("\"BlendServe, table 1\"", "\" \"", "a100.toml: `source`: is empty; expected where the rates come from"),
    ] {
        let error = RooflineFile::from_toml(&RATES.replace(old, new), "a100.toml").expect_err(new).to_string();
        assert_eq!(error, expected);
    }
}
