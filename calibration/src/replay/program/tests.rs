use std::sync::Arc;

use profiles::cost::{AnalyticCost, CostOptions, EngineOverheads, ExpertRouting};
use profiles::{CostModel as _, DeviceSpec, ModelSpec, Parallelism, StepShape};

use super::*;
use crate::kernels::Arg;
use crate::replay::blocks::BlockTables;
use crate::replay::bounds::{bounds, step_rows};
use crate::replay::experts::ExpertDraws;
use crate::replay::lists::Layout;
use crate::replay::memory::MemoryNeeds;
use crate::replay::schedule::{RunHeader, ScheduledLayers, ScheduledModel, ScheduledPiece};
use crate::replay::testing::{run, steps};

const MULTIPROCESSORS: u32 = 132;

/// A step of mixed work: pieces as (new tokens, context), decoding requests by context.
fn step(pieces: &[(u32, u32)], contexts: &[u32]) -> ScheduledStep {
    let mut step = steps(1).remove(0);
    step.prefill = (100..)
        .zip(pieces)
        .map(|(request, &(new_tokens, context_tokens))| ScheduledPiece {
            request,
            new_tokens,
            context_tokens,
            completes: true,
        })
        .collect();
    step.decode = (0..).zip(contexts).map(|(request, &context)| (request, context)).collect();
    step.sampled = (pieces.len() + contexts.len()) as u32;
    step
}

fn of_model(name: &str, parallelism: Parallelism) -> RunHeader {
    let model = ModelSpec::shipped(name).expect("it is shipped");
    RunHeader {
        model: ScheduledModel::new(&model),
        parallelism,
        kv_blocks: 4000,
        routing: ExpertRouting::Uniform,
        ..run("a", 1)
    }
}

/// Memory that is nowhere, but as large and as aligned as it would be.
fn nowhere() -> impl Fn(u64) -> Result<View, LaunchError> {
    let next = std::cell::Cell::new(1 << 20);
    move |bytes| {
        let address = next.get();
        next.set((address + bytes).next_multiple_of(256));
        Ok(View::new(address, bytes, Arc::new(())))
    }
}

/// What a step runs, and the bytes of all weights.
fn program(run: &RunHeader, step: &ScheduledStep, layers: Option<u32>, eager: bool) -> (Program, u64) {
    let shard = Shard::new(run, layers).expect("it can be executed");
    let mut tables = BlockTables::new(run.kv_blocks, run.block_size, 1);
    let steps = std::slice::from_ref(step);
    let bounds = bounds(MULTIPROCESSORS, &shard, run, steps, eager, tables.clone());
    let needs = MemoryNeeds::new(&shard, bounds, MULTIPROCESSORS);
    let take = nowhere();
    let angles = take(shard.positions * shard.head_dim * 4).expect("nowhere is large");
    let memory = needs.take::<LaunchError>(angles, &take, &take).expect("nowhere is large");
    let rows = step_rows(run, step, eager);
    let draws = match shard.feed_forward {
        ShardFfn::Experts { experts, top_k, .. } => {
            let draws = ExpertDraws::new(run.routing.clone(), experts as u32, top_k as u32, 1);
            Some(draws.step(step.step, step.prefill_tokens(), step.decode.len() as u32))
        }
        ShardFfn::Dense { .. } => None,
    };
    let multiprocessors = MULTIPROCESSORS;
    let layout = Layout { shard: &shard, step, rows: rows.all, multiprocessors, draws: draws.as_ref() };
    let lists = StepLists::new(&layout, &mut tables);
    assert!(lists.bytes.len() as u64 <= bounds.list_bytes, "lists fit into the memory that was kept for them");
    let views = lists.views(&memory.lists, &memory.shared.decode).expect("lists lie inside their memory");
    let program = ProgramBuilder::new(&shard, &memory, &lists, &views, step, rows).build().expect("memory is enough");
    let of_layer = |layer: &LayerMemory| {
        let views = [&layer.norm, &layer.qkv, &layer.head_norm, &layer.out, &layer.ffn_norm, &layer.router];
        views.into_iter().chain([&layer.up, &layer.down]).map(View::bytes).sum::<u64>()
    };
    let ends = memory.shared.embedding.bytes() + memory.shared.final_norm.bytes() + memory.shared.head.bytes();
    (program, memory.layers.iter().map(of_layer).sum::<u64>() + ends)
}

/// Floating-point operations of products, by operator.
fn product_flops(program: &Program, operator: Operator) -> f64 {
    let of_item = |item: &Item| match item {
        Item::Product { shape, .. } => 2.0 * shape.iter().map(|&size| size as f64).product::<f64>(),
        Item::Kernel(launch) if launch.kernel.name.starts_with("grouped_gemm") => {
            // n, k and choices are the last three arguments.
            let counts: Vec<f64> = launch
                .args
                .iter()
                .filter_map(|arg| if let Arg::I32(count) = arg { Some(f64::from(*count)) } else { None })
                .collect();
            2.0 * counts[0] * counts[1]
        }
        Item::Kernel(_) => 0.0,
    };
    program.iter().filter(|(of, _)| *of == operator).map(|(_, item)| of_item(item)).sum()
}

fn explain(run: &RunHeader, name: &str, step: &ScheduledStep) -> profiles::CostTotals {
    let (model, device) =
        (ModelSpec::shipped(name).expect("shipped"), DeviceSpec::shipped(&run.device).expect("shipped"));
    let options = CostOptions {
        parallelism: run.parallelism,
        engine: EngineOverheads::none(),
        max_num_batched_tokens: 8192,
        ..CostOptions::new(&model, &device)
    };
    let cost = AnalyticCost::new(&options).expect("it can be built");
    cost.explain(&StepShape {
        prefill: &step.pieces(),
        decode: step.decode_batch(None),
        sampled: step.sampled,
        prefill_layers: step.layer_range(),
    })
}

fn assert_same_work(name: &str, parallelism: Parallelism, step: &ScheduledStep) {
    let run = of_model(name, parallelism);
    let (program, _) = program(&run, step, None, true);
    let predicted = explain(&run, name, step);
    let gpus = f64::from(parallelism.tensor_parallel_size);
    for operator in
        [Operator::QkvProjection, Operator::OutputProjection, Operator::DenseFfn, Operator::Router, Operator::LmHead]
    {
        let (run, said) = (product_flops(&program, operator), predicted.operator(operator).flops / gpus);
        assert!((run - said).abs() <= 1e-9 * said, "{name}, {operator:?}: {run:e} run, {said:e} predicted");
    }
    let has = |operator| program.iter().any(|(of, _)| *of == operator);
    assert_eq!(has(Operator::PrefillAttention), !step.prefill.is_empty());
    assert_eq!(has(Operator::DecodeAttention), !step.decode.is_empty());
}

#[test]
fn products_do_the_work_that_was_predicted() {
    let mixed = step(&[(700, 0), (33, 1000)], &[17, 500, 8000]);
    let decode = step(&[], &[100; 64]);
    let prompt = step(&[(2048, 0)], &[]);
    for step in [&mixed, &decode, &prompt] {
        assert_same_work("meta-llama/Llama-3.1-8B", Parallelism::tensor(1), step);
        assert_same_work("meta-llama/Llama-3.1-70B", Parallelism::tensor(4), step);
        assert_same_work("Qwen/Qwen3-30B-A3B", Parallelism::tensor(1), step);
    }
}

/// Each row passes through `top_k` experts, however they are chosen.
#[test]
fn experts_do_the_work_that_was_predicted() {
    let name = "Qwen/Qwen3-30B-A3B";
    let step = step(&[(300, 10)], &[50; 20]);
    let run = of_model(name, Parallelism::tensor(1));
    let (program, _) = program(&run, &step, None, true);
    let per_pair = product_flops(&program, Operator::Experts);
    let said = explain(&run, name, &step).operator(Operator::Experts).flops;
    assert!((per_pair * 320.0 * 8.0 - said).abs() <= 1e-9 * said, "{per_pair:e} per pair, {said:e} predicted");
}

#[test]
fn weights_are_those_of_the_model_and_no_two_layers_share_any() {
    for name in ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-30B-A3B"] {
        let run = of_model(name, Parallelism::tensor(1));
        let (program, bytes) = program(&run, &step(&[], &[10]), None, true);
        let parameters = ModelSpec::shipped(name).expect("it is shipped").parameters().total();
        assert!((bytes as f64 / (2.0 * parameters as f64) - 1.0).abs() < 1e-3, "{name}: {bytes} bytes");
        let mut weights: Vec<u64> = program
            .iter()
            .filter_map(|(_, item)| if let Item::Product { w, .. } = item { Some(w.address()) } else { None })
            .collect();
        let all = weights.len();
        weights.sort_unstable();
        weights.dedup();
        assert_eq!(weights.len(), all, "{name}");
    }
}

#[test]
fn steps_are_padded_as_the_engine_pads_and_attention_is_not() {
    let run = of_model("meta-llama/Llama-3.1-8B", Parallelism::tensor(1));
    let step = step(&[], &[300; 61]);
    let rows = |eager| {
        let (program, _) = program(&run, &step, Some(1), eager);
        let first = program.iter().find_map(|(_, item)| match item {
            Item::Product { shape, .. } => Some(shape[0]),
            Item::Kernel(_) => None,
        });
        first.expect("there are products")
    };
    assert_eq!((rows(false), rows(true)), (64, 61));
}

#[test]
fn prompts_pass_through_their_layers_only() {
    let name = "Qwen/Qwen3-30B-A3B";
    let mut step = step(&[(513, 0)], &[40; 7]);
    step.prefill_layers = Some(ScheduledLayers { start: 12, end: 24 });
    assert_same_work(name, Parallelism::tensor(1), &step);
    let run = of_model(name, Parallelism::tensor(1));
    let (program, _) = program(&run, &step, None, false);
    let prefills = program.iter().filter(|(operator, _)| *operator == Operator::PrefillAttention).count();
    let rows: Vec<u64> = program
        .iter()
        .filter_map(|(operator, item)| match item {
            Item::Product { shape, .. } if *operator == Operator::QkvProjection => Some(shape[0]),
            _ => None,
        })
        .collect();
    assert_eq!(prefills, 12);
    assert_eq!(rows[11..13], [8, 520], "7 decoding requests padded to 8; 520 rows are beyond every captured graph");
    assert_eq!(rows[23..25], [520, 8]);
}

#[test]
fn what_has_no_kernels_here_is_refused_with_the_reason() {
    let refused = |run: RunHeader| match Shard::new(&run, None) {
        Err(error) => error.to_string(),
        Ok(shard) => panic!("{shard:?}"),
    };
    let of = |name| of_model(name, Parallelism::tensor(1));
    assert!(refused(of("deepseek-ai/DeepSeek-V3")).contains("layers differ"));
    assert!(refused(of("openai/gpt-oss-20b")).contains("layers differ"));
    let mut fp8 = of("meta-llama/Llama-3.1-8B");
    fp8.precision.kv_cache = profiles::DType::Fp8;
    assert_eq!(
        refused(fp8),
        "cannot replay bf16 weights, bf16 activations, fp8 KV cache: the kernels of a replay compute in bf16 only"
    );
    let spread = Parallelism { enable_expert_parallel: true, ..Parallelism::tensor(2) };
    assert!(refused(of_model("Qwen/Qwen3-30B-A3B", spread)).contains("expert parallelism"));
    let run = of("meta-llama/Llama-3.1-8B");
    assert!(Shard::new(&run, Some(33)).is_err(), "it has 32 layers");
}
