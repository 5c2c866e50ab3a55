//! Time per flow, by number under way at once. It grows with the paths that have flows: whenever one begins or ends, the rates of
//! all paths that share links with its own are found anew (here of 64, once there are flows on each), and with them when the
//! next flow of each ends. More flows than paths cost no more; what begins at one nanosecond is shared out once.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sim::network::{FlowLink, Network, NetworkSpec, Path, Release, RouteId};
use workloads::{SimDuration, SimTime};

/// Flows of each run.
const FLOWS: u64 = 100_000;

/// Adapters of senders and receivers, a switch between them: each sender can reach each receiver.
const ENDPOINTS: u32 = 8;

fn cluster() -> (NetworkSpec, Vec<RouteId>) {
    let link = |number| FlowLink {
        name: format!("adapter {number}"),
        bytes_per_s: 50_000_000_000,
        latency: SimDuration::from_nanos(2_000),
    };
    let mut spec = NetworkSpec::new((0..2 * ENDPOINTS).map(link).collect());
    let pairs = (0..ENDPOINTS).flat_map(|from| (0..ENDPOINTS).map(move |to| vec![from, ENDPOINTS + to]));
    let routes = pairs.map(|links| spec.add_route(vec![Path { links, parts: 1 }])).collect();
    (spec, routes)
}

/// Keeps `under_way` flows of 1 to 8 MB under way on the cluster until all have ended.
fn run(under_way: u64, released: bool) -> u64 {
    let (spec, routes) = cluster();
    let mut network = Network::new(spec).expect("the network makes sense");
    let mut now = SimTime::ZERO;
    let (mut sent, mut ended) = (0, 0);
    while ended < FLOWS {
        while sent < FLOWS && sent - ended < under_way {
            let route = routes[(sent * 29 % routes.len() as u64) as usize];
            let bytes = (1 + sent * 7 % 8) * 1_000_000;
            if released {
                let release = Release { first: now, last: now + SimDuration::from_nanos(100_000), portions: 80 };
                network.send_as_released(now, route, bytes, release, sent);
            } else {
                network.send(now, route, bytes, sent);
            }
            sent += 1;
        }
        now = network.next_due().expect("flows are under way");
        network.advance(now, |_| ended += 1);
    }
    network.close().iter().map(|link| link.bytes).sum()
}

fn flows(criterion: &mut Criterion) {
    for (name, released, most) in [("flow", false, 100_000), ("flow_released_in_80_portions", true, 64)] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.throughput(Throughput::Elements(FLOWS));
        for under_way in [1, 8, 64, 1_000, 100_000].into_iter().filter(|&under_way| under_way <= most) {
            group.bench_with_input(BenchmarkId::from_parameter(under_way), &under_way, |bencher, &under_way| {
                bencher.iter(|| black_box(run(under_way, released)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, flows);
criterion_main!(benches);
