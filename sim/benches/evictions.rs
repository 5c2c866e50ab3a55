//! Time per eviction from a prefix cache with checkpoints, by number of requests that hold something in it: it must not
//! grow with them.
//!
//! Requests that stay have started from prompts kept before and own all memory but a little: Orca reserves it when it lets
//! them in. The requests after them come one by one, have nothing in common, and drive out what one before them left.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use profiles::cost::simple::ConstantCost;
use sim::prefix_cache::{Alpha, CacheModel, HybridShape, MarconiMode};
use sim::{
    BranchStates, CheckpointEviction, CheckpointSpec, DeploymentSpec, EngineSpec, KvSpec, Policy, QueueOrder,
    ReplicaSpec, Role, RouterSpec, SchedulerSpec, simulate,
};
use workloads::{ContentId, Prompt, Request, RequestId, SimTime, Source, Span, WorkloadError};

/// Requests of which each drives out another.
const PASSING: u64 = 100_000;
/// Prompt tokens of all requests: as much KV as two checkpoints.
const PROMPT: u32 = 1600;
/// A step takes 1 ms, and whoever passes is done in one.
const STEP_NS: u64 = 1_000_000;

/// Requests that leave `held` prompts, as many that start from them and stay, and those that pass.
struct Holding {
    held: u64,
    issued: u64,
}

/// When a request arrives: whoever leaves or passes has ended when the next one comes.
fn arrival(number: u64) -> SimTime {
    SimTime::from_nanos(4 * STEP_NS * number)
}

impl Source for Holding {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        Ok((self.issued < 2 * self.held + PASSING).then(|| arrival(self.issued)))
    }

    fn take(&mut self) -> Request {
        let number = self.issued;
        self.issued += 1;
        let stays = (self.held..2 * self.held).contains(&number);
        let content = if stays { number - self.held } else { number };
        Request {
            id: RequestId(number),
            arrival: arrival(number),
            prompt: Prompt::new(vec![Span { content: ContentId(content), tokens: PROMPT + u32::from(stays) }]),
            // Until the last one has passed.
            output_tokens: if stays { (4 * (self.held + PASSING)) as u32 } else { 1 },
            answer: ContentId(1_000_000_000 + number),
            session: None,
        }
    }

    fn ended(&mut self, _request: RequestId, _now: SimTime) {}
}

fn spec(held: u64, eviction: CheckpointEviction) -> DeploymentSpec {
    let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
    let (block_size, token) = (16, model.kv_bytes_per_token());
    let kept = model.checkpoint_bytes() + u64::from(PROMPT) * token;
    // The first prompt token that is not kept, and the answer.
    let own = u64::from(block_size) + 4 * (held + PASSING);
    let spare = 5 * kept / 2;
    let blocks = (held * (kept + own * token) + spare).div_ceil(u64::from(block_size) * token);
    let replica = ReplicaSpec {
        role: Role::Serve,
        scheduler: SchedulerSpec {
            policy: Policy::Orca,
            max_num_batched_tokens: 65_536,
            max_num_seqs: 1 + held as u32,
            order: QueueOrder::Fcfs,
        },
        kv: KvSpec { block_size, blocks: u32::try_from(blocks).expect("they are few"), prefix_caching: false },
        checkpoints: Some(CheckpointSpec { model, eviction, branches: BranchStates::Every(16) }),
        max_model_len: u32::MAX,
        cost: Box::new(ConstantCost::new(STEP_NS)),
        sliding_window: None,
        devices: 1,
        idle_power_w: 70.0,
        engine: EngineSpec::default(),
    };
    DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None }
}

fn evictions(criterion: &mut Criterion) {
    let marconi = CheckpointEviction::FlopAware { mode: MarconiMode::Paper, alpha: Alpha::Fixed(1.0) };
    for (name, eviction) in [("leaf_lru", CheckpointEviction::LeafLru), ("flop_aware", marconi)] {
        let mut group = criterion.benchmark_group(format!("eviction/{name}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(PASSING));
        for held in [1, 16, 256, 4096] {
            group.bench_with_input(BenchmarkId::from_parameter(held), &held, |bencher, &held| {
                bencher.iter(|| {
                    let mut source = Holding { held, issued: 0 };
                    black_box(simulate(spec(held, eviction), &mut source, &mut ()).expect("the run ends"))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, evictions);
criterion_main!(benches);
