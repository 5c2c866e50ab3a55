//! Books add up, and nothing depends on how work is divided.

use std::sync::LazyLock;

use profiles::cost::{AnalyticCost, Composition, CostOptions, ExpertRouting, OperatorTotals};
use profiles::{CostModel, CostTotals, DecodeBatch, LayerRange, Operator, Parallelism, PrefillPiece, StepShape};
use proptest::prelude::*;

use crate::{assert_same, bare, compile, decode, h100, pieces, shape, shipped};

/// A step, owned.
#[derive(Clone, Debug)]
struct Step {
    prompt: Vec<PrefillPiece>,
    decode: DecodeBatch,
    sampled: u32,
    layers: Option<LayerRange>,
}

impl Step {
    fn shape(&self) -> StepShape<'_> {
        StepShape { prefill: &self.prompt, decode: self.decode, sampled: self.sampled, prefill_layers: self.layers }
    }
}

/// Any step of a model with `layers` layers: empty ones, large ones, and prompts in some layers among them.
fn steps(layers: u32) -> impl Strategy<Value = Step> {
    let prompt = prop::collection::vec((1_u32..3000, 0_u32..20_000), 0..4);
    let decode = (0_u32..300, 1_u64..10_000);
    let part = prop::option::of((0..=layers, 0..=layers));
    (prompt, decode, 0_u32..300, part).prop_map(|(prompt, (requests, context), sampled, part)| Step {
        prompt: pieces(&prompt),
        decode: decode_batch(requests, context),
        sampled,
        layers: part.map(|(a, b)| LayerRange { start: a.min(b), end: a.max(b) }),
    })
}

fn decode_batch(requests: u32, context: u64) -> DecodeBatch {
    let windowed = u64::from(requests) * context.min(128);
    DecodeBatch { windowed_context_tokens: windowed, ..decode(requests, context) }
}

/// Cost models of every kind: dense on stages, experts with windows, experts with latent attention, state-space hybrid.
fn models() -> Vec<AnalyticCost> {
    static COMPILED: LazyLock<Vec<AnalyticCost>> = LazyLock::new(compile_models);
    COMPILED.clone()
}

fn compile_models() -> Vec<AnalyticCost> {
    let device = h100();
    let mut costs = Vec::new();
    for (name, tensor, stages) in [
        ("meta-llama/Llama-3.1-8B", 1, 1),
        ("meta-llama/Llama-3.1-8B", 2, 3),
        ("openai/gpt-oss-20b", 1, 1),
        ("Qwen/Qwen3-30B-A3B", 2, 2),
        ("deepseek-ai/DeepSeek-V3", 8, 1),
        ("ai21labs/AI21-Jamba-1.5-Mini", 2, 2),
    ] {
        let model = shipped(name);
        let mut options = CostOptions::new(&model, &device);
        options.parallelism = Parallelism { pipeline_parallel_size: stages, ..Parallelism::tensor(tensor) };
        options.routing = ExpertRouting::qwen3_30b_a3b_measured();
        costs.push(compile(&options));
    }
    costs
}

/// A model whose decode attention runs beside everything else.
fn overlapped() -> AnalyticCost {
    static COMPILED: LazyLock<AnalyticCost> = LazyLock::new(|| {
        let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
        let composition = Composition::Overlapped { interference: Composition::INTERFERENCE };
        compile(&CostOptions { composition, ..CostOptions::new(&model, &device) })
    });
    COMPILED.clone()
}

fn assert_same_totals(left: &CostTotals, right: &CostTotals) {
    assert_eq!(left.steps, right.steps);
    for ((operator, left), (_, right)) in left.operators().zip(right.operators()) {
        for (left, right) in left.time_ns_by_evidence.iter().zip(right.time_ns_by_evidence) {
            assert_same(*left, right, operator.name());
        }
        assert_same(left.flops, right.flops, operator.name());
        assert_same(left.memory_bytes, right.memory_bytes, operator.name());
        assert_same(left.link_bytes, right.link_bytes, operator.name());
    }
    assert_same(left.expert_load_bytes, right.expert_load_bytes, "expert bytes");
    assert_same(left.useful_flops, right.useful_flops, "useful FLOPs");
    assert_same(left.necessary_bytes, right.necessary_bytes, "necessary bytes");
    assert_same(left.dynamic_energy_j, right.dynamic_energy_j, "energy");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The books are counts; what they add up to must be what the steps cost one by one.
    #[test]
    fn totals_are_the_sum_of_explanations(steps in prop::collection::vec(steps(24), 1..12)) {
        for mut cost in models() {
            let mut sum = CostTotals::default();
            let mut stage_ns = vec![0; cost.stages()];
            for step in &steps {
                sum += &cost.explain(&step.shape());
                cost.step(&step.shape(), &mut stage_ns);
            }
            assert_same_totals(&cost.totals(), &sum);
        }
    }

    /// A step's duration is the sum over operators of an explanation, up to the rounding of each stage.
    #[test]
    fn operators_add_up_to_the_duration(step in steps(24)) {
        for mut cost in models() {
            let mut stage_ns = vec![0; cost.stages()];
            let explained = cost.explain(&step.shape());
            let priced = cost.step(&step.shape(), &mut stage_ns);
            prop_assert_eq!(priced.duration_ns, stage_ns.iter().sum::<u64>());
            let difference = (explained.time_ns() - priced.duration_ns as f64).abs();
            prop_assert!(difference <= stage_ns.len() as f64 + 1e-9 * explained.time_ns(), "{}", difference);
        }
    }

    /// What operators draw is what steps draw, within the board limit or cut off by it, serial or overlapped.
    #[test]
    fn energy_of_operators_adds_up_to_that_of_steps(steps in prop::collection::vec(steps(24), 1..12)) {
        for mut cost in models().into_iter().chain(std::iter::once(overlapped())) {
            let mut stage_ns = vec![0; cost.stages()];
            let drawn_j: f64 = steps.iter().map(|step| cost.step(&step.shape(), &mut stage_ns).dynamic_energy_j).sum();
            let totals = cost.totals();
            assert_same(totals.sum().dynamic_energy_j, drawn_j, "energy of all operators");
            prop_assert!(totals.operators().all(|(_, of)| of.dynamic_energy_j >= 0.0), "{:?}", totals);
            assert_same(totals.operator(Operator::Host).dynamic_energy_j, 0.0, "waiting draws idle power alone");
        }
    }

    /// A replica within its board limits: idle and dynamic power together.
    #[test]
    fn power_never_exceeds_the_limit(step in steps(24)) {
        let device = h100();
        for mut cost in models() {
            let mut stage_ns = vec![0; cost.stages()];
            let priced = cost.step(&step.shape(), &mut stage_ns);
            let watts = priced.dynamic_energy_j / (priced.duration_ns as f64 * 1e-9);
            prop_assert!(watts <= 8.0 * (device.power_limit_w - device.idle_power_w) * (1.0 + 1e-12), "{}", watts);
            prop_assert!(priced.dynamic_energy_j >= 0.0);
        }
    }

    /// Steps beyond the tables are computed directly; both ways must agree.
    #[test]
    fn tables_hold_what_would_be_computed(step in steps(48)) {
        let (model, device) = (shipped("Qwen/Qwen3-30B-A3B"), h100());
        let routing = ExpertRouting::qwen3_30b_a3b_measured();
        let options = CostOptions { routing, ..CostOptions::new(&model, &device) };
        let computed = compile(&CostOptions { max_num_batched_tokens: 1, max_num_seqs: 1, ..options.clone() });
        let tabulated = compile(&CostOptions { max_num_batched_tokens: 9000, max_num_seqs: 300, ..options });
        assert_same_totals(&tabulated.explain(&step.shape()), &computed.explain(&step.shape()));
        let mut times = [[0], [0]];
        tabulated.clone().step(&step.shape(), &mut times[0]);
        computed.clone().step(&step.shape(), &mut times[1]);
        prop_assert!(times[0][0].abs_diff(times[1][0]) <= 1);
    }

    /// Stages divide layers among GPUs; the work stays the same.
    #[test]
    fn stages_conserve_flops_and_bytes(step in steps(32), stages in 2_u32..8) {
        let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
        let one = compile(&bare(&model, &device)).explain(&step.shape());
        let mut options = bare(&model, &device);
        options.parallelism.pipeline_parallel_size = stages;
        let staged = compile(&options);
        prop_assert_eq!(staged.stages(), stages as usize);
        let mut staged = staged.explain(&step.shape());
        prop_assert!(staged.dynamic_energy_j >= one.dynamic_energy_j * (1.0 - 1e-9), "handing over takes energy");
        staged.dynamic_energy_j = one.dynamic_energy_j;
        *staged.operator_mut(Operator::Handover) = OperatorTotals::default();
        assert_same_totals(&staged, &one);
    }

    /// Prompts that cross the layers group by group cost the same FLOPs as in one pass.
    #[test]
    fn groups_of_layers_conserve_prompt_flops(cut in 1_u32..32, size in 1_u32..4000, context in 0_u32..4000) {
        let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
        let mut options = bare(&model, &device);
        options.parallelism.pipeline_parallel_size = 4;
        let cost = compile(&options);
        let prompt = pieces(&[(size, context)]);
        let whole = cost.explain(&shape(&prompt, DecodeBatch::default()));
        let mut parts = CostTotals::default();
        for (start, end) in [(0, cut), (cut, 32)] {
            let sampled = u32::from(end == 32);
            let decode = DecodeBatch::default();
            let layers = Some(LayerRange { start, end });
            parts += &cost.explain(&StepShape { prefill: &prompt, decode, sampled, prefill_layers: layers });
        }
        parts.steps = whole.steps;
        assert_same(parts.flops(), whole.flops(), "FLOPs");
        assert_same(parts.time_ns(), whole.time_ns(), "time without overheads per step");
        assert_same(parts.necessary_bytes, whole.necessary_bytes, "bytes");
        assert_same(parts.sum().link_bytes, whole.sum().link_bytes, "handed from stage to stage");
    }
}

/// Tables end at 16,384 rows. A step must not cost another nanosecond or joule for lying beyond them.
#[test]
fn steps_around_the_end_of_the_tables_cost_the_same_to_the_last_bit() {
    let device = h100();
    for (name, stages) in [("meta-llama/Llama-3.1-8B", 2), ("deepseek-ai/DeepSeek-V3", 1)] {
        let model = shipped(name);
        let mut options = CostOptions::new(&model, &device);
        options.parallelism.pipeline_parallel_size = stages;
        let limited = |max_num_batched_tokens, max_num_seqs| {
            compile(&CostOptions { max_num_batched_tokens, max_num_seqs, ..options.clone() })
        };
        // What the first tabulates up to the end, the second computes.
        let (mut tabulated, mut computed) = (limited(131_072, 131_072), limited(1, 1));
        for rows in [1, 500, 16_383, 16_384, 16_385, 131_072] {
            let prompt = pieces(&[(rows, 100)]);
            for (prompt, batch) in [(prompt.as_slice(), decode(0, 0)), (&[], decode(rows, 1000))] {
                let step = shape(prompt, batch);
                let mut times = [[0; 2], [0; 2]];
                let from_table = tabulated.step(&step, &mut times[0][..stages as usize]);
                let direct = computed.step(&step, &mut times[1][..stages as usize]);
                assert_eq!(times[0], times[1], "{name}, {rows} rows");
                assert_eq!(from_table.dynamic_energy_j.to_bits(), direct.dynamic_energy_j.to_bits(), "{name}, {rows}");
            }
        }
    }
}

#[test]
fn all_layers_named_are_all_layers() {
    let (model, device) = (shipped("Qwen/Qwen3-30B-A3B"), h100());
    let cost = compile(&CostOptions::new(&model, &device));
    let prompt = pieces(&[(300, 0)]);
    let implied = shape(&prompt, decode(20, 100));
    let named = StepShape { prefill_layers: Some(LayerRange { start: 0, end: 48 }), ..implied };
    assert_same_totals(&cost.explain(&implied), &cost.explain(&named));
}

#[test]
fn a_clone_has_books_of_its_own() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let mut cost = compile(&CostOptions::new(&model, &device));
    cost.step(&shape(&[], decode(4, 100)), &mut [0]);
    let mut replica = cost.clone();
    assert_eq!(replica.totals().steps, 0);
    replica.step(&shape(&[], decode(4, 100)), &mut [0]);
    assert_same_totals(&replica.totals(), &cost.totals());
}

#[test]
fn a_step_without_rows_costs_the_gap_and_nothing_else() {
    let (model, device) = (shipped("Qwen/Qwen3-30B-A3B"), h100());
    let totals = compile(&CostOptions::new(&model, &device)).explain(&shape(&[], DecodeBatch::default()));
    assert_same(totals.time_ns(), totals.operator(Operator::Host).time_ns(), "host only");
    assert_same(totals.dynamic_energy_j, 0.0, "no energy");
}
