//! How fast workloads are made: requests per second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use workloads::generators::named;
use workloads::{Arrivals, Lengths, RequestLengths, Source, Synthetic, WorkloadSpec};

const REQUESTS: u64 = 10_000;

/// Takes everything, each request ending as it arrives; the sum keeps the work from being optimised away.
fn drain(spec: &WorkloadSpec) -> u64 {
    let mut source = Synthetic::new(spec, 1).expect("the workload is valid");
    let mut tokens = 0;
    while let Some(arrival) = source.next_arrival().expect("rules do not fail") {
        let request = source.take();
        tokens += u64::from(request.prompt.tokens()) + u64::from(request.output_tokens);
        source.ended(request.id, arrival);
    }
    tokens
}

/// Poisson at 10 requests/s, input normal(512, 256) in [16, 4096], output normal(128, 64) in [2, 1024].
fn load_a() -> WorkloadSpec {
    let lengths = RequestLengths::Independent {
        input: Lengths::normal(512.0, 256.0, 16, 4096).expect("valid"),
        output: Lengths::normal(128.0, 64.0, 2, 1024).expect("valid"),
    };
    WorkloadSpec::new(Arrivals::poisson(10.0).expect("valid"), lengths, REQUESTS)
}

fn generation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("generation");
    group.throughput(Throughput::Elements(REQUESTS));
    let shipped = |name| named(name).expect("it is shipped").spec(REQUESTS);
    for (name, spec) in [
        ("load-a", load_a()),
        ("azure-conv-2023", shipped("azure-conv-2023")),
        ("mooncake-conversation", shipped("mooncake-conversation")),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| drain(&spec)));
    }
    group.finish();
}

criterion_group!(benches, generation);
criterion_main!(benches);
