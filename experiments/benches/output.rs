//! What it costs to write rows: `requests.csv`, `steps.csv` and the Perfetto trace.

#[path = "../src"]
#[allow(
    dead_code,
    unused_imports,
    reason = "a binary has no library to import, so its module is compiled again here, and only its row writers are called"
)]
mod servesim {
    pub(crate) mod output;
}

use std::hint::black_box;
use std::path::Path;

use self::servesim::output::{OutputOptions, OutputPlan, RunLabel, RunOutputs};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sim::{Ending, Observer, RequestRecord, StepRecord, StepWork, WeightedHistogram};
use workloads::{RequestId, SimDuration, SimTime};

const ROWS: u64 = 100_000;

fn request(id: u64) -> RequestRecord {
    let arrival = SimTime::from_nanos(id * 100_003_017);
    let noise = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 36;
    let after = |base: u64| arrival + SimDuration::from_nanos(base + noise);
    RequestRecord {
        id: RequestId(id),
        session: None,
        ending: Ending::Completed,
        replica: 0,
        arrival,
        first_scheduled: after(1_000_000),
        first_token: after(50_000_000),
        last_token: after(3_000_000_000),
        input_tokens: 512,
        cached_tokens: 0,
        output_tokens: 128,
        preemptions: 0,
        max_gap: SimDuration::from_nanos(noise),
        energy_nj: 41_234_567_891,
        handover: None,
    }
}

fn step(number: u64) -> StepRecord {
    let start = SimTime::from_nanos(number * 20_000_000);
    StepRecord {
        replica: 0,
        slot: 0,
        scheduled: start,
        start,
        end: start + SimDuration::from_nanos(19_000_000),
        prefill_tokens: 512,
        prefill_requests: 2,
        decode_requests: 200,
        decode_context_tokens: 123_456,
        admitted: 1,
        preempted: 0,
        waiting: 4,
        running: 202,
        free_blocks: 12_345,
        prefill_layers: None,
        dynamic_energy_j: 7.5,
        work: Some(StepWork { flops: 9e12, memory_bytes: 2e10, link_bytes: 0.0, expert_load_bytes: 0.0 }),
    }
}

/// Opens, observes and ends one run that writes what `options` ask for.
fn write(directory: &Path, options: OutputOptions, observe: impl FnOnce(&mut RunOutputs<'_>)) {
    let plan = OutputPlan::new(directory, options, vec![RunLabel::new("chunked", 1)], &[]).expect("writable");
    let mut outputs = plan.start(0, 100.0, None).expect("writable");
    observe(&mut outputs);
    outputs.finish(SimTime::ZERO..step(ROWS).end, &WeightedHistogram::new()).expect("writable");
}

fn rows(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a folder");
    let none = OutputOptions {
        handovers: false,
        requests: false,
        steps: false,
        power: false,
        perfetto: false,
        schedule: false,
        parquet: false,
        force: true,
    };
    let requests: Vec<_> = (0..ROWS).map(request).collect();
    let steps: Vec<_> = (0..ROWS).map(step).collect();
    let mut group = criterion.benchmark_group("rows");
    group.throughput(Throughput::Elements(ROWS)).sample_size(20);
    group.bench_function("requests.csv", |bencher| {
        bencher.iter(|| {
            write(directory.path(), OutputOptions { requests: true, ..none }, |outputs| {
                for record in &requests {
                    outputs.request(black_box(record));
                }
            });
        });
    });
    group.bench_function("steps.csv", |bencher| {
        bencher.iter(|| {
            write(directory.path(), OutputOptions { steps: true, ..none }, |outputs| {
                for record in &steps {
                    outputs.step(black_box(record));
                }
            });
        });
    });
    group.bench_function("trace.json.gz, steps", |bencher| {
        bencher.iter(|| {
            write(directory.path(), OutputOptions { perfetto: true, ..none }, |outputs| {
                for record in &steps {
                    outputs.step(black_box(record));
                }
            });
        });
    });
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
