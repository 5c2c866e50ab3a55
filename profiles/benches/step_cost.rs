//! What pricing a step costs the simulator: must stay far below a microsecond, whatever the model.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use profiles::cost::{AnalyticCost, CostOptions, ExpertRouting};
use profiles::{CostModel, DecodeBatch, DeviceSpec, LayerRange, ModelSpec, Parallelism, PrefillPiece, StepShape};

fn compile(model: &str, change: impl FnOnce(&mut CostOptions<'_>)) -> AnalyticCost {
    let model = ModelSpec::shipped(model).expect("a shipped model");
    let device = DeviceSpec::shipped("H100").expect("a shipped device");
    let mut options = CostOptions::new(&model, &device);
    change(&mut options);
    AnalyticCost::new(&options).expect("valid options")
}

/// A step like those of a loaded replica: 64 generating requests, each a token further than in the step before.
struct Steps {
    cost: AnalyticCost,
    stage_ns: Vec<u64>,
    prompt: Vec<PrefillPiece>,
    layers: Option<LayerRange>,
    step: u64,
}

impl Steps {
    fn new(cost: AnalyticCost, prompt: &[u32]) -> Self {
        let stage_ns = vec![0; cost.stages()];
        let prompt = prompt.iter().map(|&new_tokens| PrefillPiece { new_tokens, context_tokens: 512 }).collect();
        Self { cost, stage_ns, prompt, layers: None, step: 0 }
    }

    fn next(&mut self) -> u64 {
        self.step += 1;
        let context_tokens = 64 * (1024 + self.step % 512);
        if let Some(piece) = self.prompt.first_mut() {
            piece.new_tokens = 256 + (self.step % 1024) as u32;
        }
        let decode = DecodeBatch {
            requests: 64,
            context_tokens,
            windowed_context_tokens: context_tokens,
            ..DecodeBatch::default()
        };
        let sampled = 64 + (self.step % 2) as u32;
        let shape = StepShape { prefill: &self.prompt, decode, sampled, prefill_layers: self.layers };
        self.cost.step(black_box(&shape), &mut self.stage_ns).duration_ns
    }
}

fn step_cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step_cost");
    let dense = compile("meta-llama/Llama-3.1-8B", |_| {});
    let mut bench = |name: &str, mut steps: Steps| {
        group.bench_function(name, |bencher| bencher.iter(|| steps.next()));
    };
    bench("dense, decode only", Steps::new(dense.clone(), &[]));
    bench("dense, decode and one piece", Steps::new(dense.clone(), &[256]));
    bench("dense, decode and four pieces", Steps::new(dense, &[256; 4]));
    let experts = compile("Qwen/Qwen3-30B-A3B", |options| options.routing = ExpertRouting::qwen3_30b_a3b_measured());
    bench("experts, decode and one piece", Steps::new(experts.clone(), &[256]));
    let mut layered = Steps::new(experts, &[256]);
    layered.layers = Some(LayerRange { start: 12, end: 24 });
    bench("experts, one piece in a quarter of the layers", layered);
    let staged = compile("meta-llama/Llama-3.1-70B", |options| {
        options.parallelism = Parallelism { pipeline_parallel_size: 4, ..Parallelism::tensor(2) };
    });
    bench("dense, 4 stages, decode and one piece", Steps::new(staged, &[256]));
    group.finish();

    let mut group = criterion.benchmark_group("compile");
    group.bench_function("Llama-3.1-8B", |bencher| bencher.iter(|| compile("meta-llama/Llama-3.1-8B", |_| {})));
    group.bench_function("Qwen3-30B-A3B", |bencher| bencher.iter(|| compile("Qwen/Qwen3-30B-A3B", |_| {})));
    group.finish();
}

criterion_group!(benches, step_cost);
criterion_main!(benches);
