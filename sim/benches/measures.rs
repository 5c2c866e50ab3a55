//! What it costs to measure: one gap per step, seven distributions per request.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sim::{Ending, Measures, Observer, RequestRecord, Slos};
use workloads::{RequestId, SimDuration, SimTime};

/// Step times as a busy replica has them: 8 to 40 ms, each unlike the one before.
fn step_times(count: u64) -> Vec<SimDuration> {
    (0..count)
        .map(|step| SimDuration::from_nanos(8_000_000 + (step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 39)))
        .collect()
}

fn request(id: u64) -> RequestRecord {
    let arrival = SimTime::from_nanos(id * 100_000_000);
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
        energy_nj: 1_000_000,
        handover: None,
    }
}

fn measures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("measures");
    let gaps = step_times(10_000);
    group.throughput(Throughput::Elements(gaps.len() as u64));
    group.bench_function("gaps", |bencher| {
        let mut measures = Measures::default();
        bencher.iter(|| {
            for &gap in &gaps {
                Observer::gaps(&mut measures, SimTime::ZERO, black_box(gap), 200);
            }
        });
    });

    // More than the samples that are kept, so that this is the cost per request of a long run.
    let records: Vec<_> = (0..10_000).map(request).collect();
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("requests", |bencher| {
        let slos = Slos { ttft: Some(SimDuration::from_nanos(500_000_000)), ..Slos::default() };
        let mut measures = Measures::new(slos, None);
        bencher.iter(|| {
            for record in &records {
                measures.request(black_box(record));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, measures);
criterion_main!(benches);
