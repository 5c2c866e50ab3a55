//! Time per step, by number of running requests: it must not grow with them.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use profiles::CostModel;
use profiles::cost::simple::ConstantCost;
use sim::{DeploymentSpec, EngineSpec, KvSpec, Policy, ReplicaSpec, Role, RouterSpec, SchedulerSpec, simulate};
use workloads::{ContentId, Prompt, Request, RequestId, SimTime, Source, Span, WorkloadError};

/// `running` requests at once, each generating `output_tokens`.
struct AllAtOnce {
    issued: u32,
    running: u32,
    input_tokens: u32,
    output_tokens: u32,
}

impl Source for AllAtOnce {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        Ok((self.issued < self.running).then_some(SimTime::ZERO))
    }

    fn take(&mut self) -> Request {
        let id = u64::from(self.issued);
        self.issued += 1;
        Request {
            id: RequestId(id),
            arrival: SimTime::ZERO,
            prompt: Prompt::new(vec![Span { content: ContentId(2 * id), tokens: self.input_tokens }]),
            output_tokens: self.output_tokens,
            answer: ContentId(2 * id + 1),
            session: None,
        }
    }

    fn ended(&mut self, _request: RequestId, _now: SimTime) {}
}

fn spec(cost: Box<dyn CostModel>, max_num_seqs: u32, prefix_caching: bool) -> DeploymentSpec {
    let replica = ReplicaSpec {
        role: Role::Serve,
        scheduler: SchedulerSpec {
            policy: Policy::ChunkedPrefill { long_prefill_token_threshold: 0, scheduler_reserve_full_isl: false },
            max_num_batched_tokens: 8192,
            max_num_seqs,
            order: sim::QueueOrder::Fcfs,
        },
        kv: KvSpec { block_size: 16, blocks: 60_000_000, prefix_caching },
        checkpoints: None,
        max_model_len: 1_000_000,
        cost,
        sliding_window: None,
        devices: 1,
        idle_power_w: 70.0,
        engine: EngineSpec::default(),
    };
    DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None }
}

fn decode_steps(criterion: &mut Criterion) {
    // Long answers, so that letting the requests in and out does not count.
    let output_tokens = 200_000;
    let mut group = criterion.benchmark_group("decode_step");
    group.sample_size(10);
    for running in [8, 64, 512, 4096] {
        group.throughput(Throughput::Elements(u64::from(output_tokens)));
        group.bench_with_input(BenchmarkId::from_parameter(running), &running, |bencher, &running| {
            bencher.iter(|| {
                let mut source = AllAtOnce { issued: 0, running, input_tokens: 16, output_tokens };
                let spec = spec(Box::new(ConstantCost::new(10_000_000)), 4096, true);
                black_box(simulate(spec, &mut source, &mut ()).expect("the run ends"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode_steps);
criterion_main!(benches);
