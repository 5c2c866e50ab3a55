//! What is timed runs: the launches of small points, executed on the CPU within guarded memory.

use std::sync::OnceLock;

use calibration::kernels::{Arg, Launch};
use calibration::measure::{Item, Operands, Point, Workload, WorkloadError, workload};
use calibration::numbers::bf16_values;
use profiles::DType;
use profiles::table::{
    DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow, MixedAttentionRow, PrefillAttentionRow, Scaling,
    StateSpacePhase, StateSpaceRow, Timing,
};

use super::machine::Emulator;
use super::program;
use calibration::machine::Machine as _;

fn operands() -> &'static Operands {
    static OPERANDS: OnceLock<Operands> = OnceLock::new();
    OPERANDS.get_or_init(|| Operands::new(7))
}

/// Runs every variant of a point, and returns the workload.
fn run(emulator: &mut Emulator<'_>, point: &Point) -> Workload {
    let built = workload(point, emulator, operands()).unwrap_or_else(|error| panic!("{point:?}: {error}"));
    for variant in &built.variants {
        let launches: Vec<Launch> = variant
            .iter()
            .map(|item| match item {
                Item::Kernel(launch) => launch.clone(),
                Item::Product { .. } => panic!("{point:?} has a product, which is not ours"),
            })
            .collect();
        emulator.run(&launches).unwrap_or_else(|error| panic!("{point:?}: {error}"));
    }
    built
}

/// The bfloat16 numbers in argument `index` of the last launch of the last variant.
fn results(emulator: &mut Emulator<'_>, built: &Workload, index: usize) -> Vec<f32> {
    let Some(Item::Kernel(launch)) = built.variants.last().and_then(|variant| variant.last()) else {
        panic!("there is a last launch");
    };
    let Arg::Memory(view) = &launch.args[index] else { panic!("argument {index} is memory") };
    bf16_values(&emulator.download(view).expect("it is there"))
}

fn all_are_numbers_and_not_all_zero(values: &[f32]) {
    assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    assert!(values.iter().any(|value| *value != 0.0), "everything is zero");
}

#[test]
fn attention_points_run_on_rotating_pools() {
    let Some(program) = program() else { return };
    let (query_heads, kv_heads, head_dim, window) = (2, 1, 64, 0);
    let (activations, kv_cache, timing) = (DType::Bf16, DType::Bf16, Timing::default());
    let mut emulator = Emulator::new(program);
    let prefill = Point::PrefillAttention(PrefillAttentionRow {
        requests: 2,
        new_tokens: 20,
        context_tokens: 5,
        query_heads,
        kv_heads,
        head_dim,
        window,
        activations,
        kv_cache,
        timing,
    });
    let built = run(&mut emulator, &prefill);
    all_are_numbers_and_not_all_zero(&results(&mut emulator, &built, 3));
    let decode = Point::DecodeAttention(DecodeAttentionRow {
        requests: 3,
        context_tokens: 50,
        longest_context_tokens: 40,
        query_heads,
        kv_heads,
        head_dim,
        window,
        activations,
        kv_cache,
        timing,
    });
    let built = run(&mut emulator, &decode);
    all_are_numbers_and_not_all_zero(&results(&mut emulator, &built, 3));
    let mixed = Point::MixedAttention(MixedAttentionRow {
        prefill_requests: 1,
        new_tokens: 9,
        prefill_context_tokens: 3,
        decode_requests: 2,
        decode_context_tokens: 30,
        longest_context_tokens: 20,
        query_heads,
        kv_heads,
        head_dim,
        window,
        activations,
        kv_cache,
        timing,
    });
    let built = run(&mut emulator, &mixed);
    assert_eq!(built.variants[0].len(), 2, "prefill and decode");
    all_are_numbers_and_not_all_zero(&results(&mut emulator, &built, 3));
}

fn experts(routing: &str, touched_experts: Option<u32>) -> Point {
    Point::Experts(ExpertsRow {
        tokens: 6,
        hidden_size: 64,
        intermediate_size: 32,
        top_k: 2,
        experts: 8,
        local_experts: 8,
        routing: routing.to_owned(),
        touched_experts,
        weights: DType::Bf16,
        activations: DType::Bf16,
        scaling: Scaling::None,
        timing: Timing::default(),
    })
}

#[test]
fn expert_points_run_under_every_routing_and_say_how_many_experts_they_touch() {
    let Some(program) = program() else { return };
    for (routing, given, touched) in
        [("uniform", None, 4..=8), ("balanced", None, 8..=8), ("zipf_1.2", None, 3..=8), ("touched", Some(2), 2..=2)]
    {
        let mut emulator = Emulator::new(program);
        let built = run(&mut emulator, &experts(routing, given));
        let found = built.touched_experts.expect("it says");
        assert!(touched.contains(&found), "{routing}: {found}");
        all_are_numbers_and_not_all_zero(&results(&mut emulator, &built, 3));
    }
}

#[test]
fn state_space_points_run() {
    let Some(program) = program() else { return };
    for (phase, sequences, tokens) in [(StateSpacePhase::Scan, 2, 140), (StateSpacePhase::Update, 2, 2)] {
        let mut emulator = Emulator::new(program);
        let timing = Timing::default();
        let (d_inner, d_state, heads, groups) = (64, 64, 1, 1);
        let row = StateSpaceRow { phase, sequences, tokens, d_inner, d_state, heads, groups, timing };
        let built = run(&mut emulator, &Point::StateSpace(row));
        let out = if phase == StateSpacePhase::Scan { 11 } else { 9 };
        all_are_numbers_and_not_all_zero(&results(&mut emulator, &built, out));
    }
}

#[test]
fn elementwise_points_run() {
    let Some(program) = program() else { return };
    for (operation, width, bytes, out) in [
        ("plain_rms_norm", 64, 4 * 192, 2),
        ("rms_norm", 64, 8 * 192, 3),
        ("silu_mul", 64, 6 * 192, 1),
        ("embedding", 64, 4 * 192, 2),
        ("copy", 64, 4 * 192, 1),
        ("rotary_kv_append", 768, 4 * 3 * 768, 4),
    ] {
        let mut emulator = Emulator::new(program);
        let (operation, timing) = (operation.to_owned(), Timing::default());
        let built =
            run(&mut emulator, &Point::Elementwise(ElementwiseRow { operation, rows: 3, width, bytes, timing }));
        all_are_numbers_and_not_all_zero(&results(&mut emulator, &built, out));
    }
}

/// What `workload` says of a point that it refuses.
fn refusal(emulator: &mut Emulator<'_>, point: &Point) -> String {
    match workload(point, emulator, operands()) {
        Err(error @ (WorkloadError::NoKernel(_) | WorkloadError::Memory { .. })) => error.to_string(),
        other => panic!("{point:?}: {other:?}"),
    }
}

#[test]
fn what_no_kernel_does_is_refused_with_the_reason() {
    let Some(program) = program() else { return };
    let emulator = &mut Emulator::new(program);
    assert!(refusal(emulator, &experts("power_law_1.01", None)).contains("`power_law_1.01`"));
    assert!(refusal(emulator, &experts("touched", Some(1))).contains("at least as many"));
    let product = |m, weights, scaling| {
        let (n, k, activations, timing) = (64, 64, weights, Timing::default());
        Point::Gemm(GemmRow { m, n, k, weights, activations, scaling, timing })
    };
    assert!(refusal(emulator, &product(1, DType::Fp8, Scaling::Block)).contains("scaling block"));
    let said = refusal(emulator, &product(1 << 20, DType::Bf16, Scaling::None));
    assert!(said.contains("bytes of memory"), "{said}");
}
