//! How fast prompts go into a radix tree: a million with deep sharing, in prompts per second.

#![allow(clippy::print_stderr, reason = "bytes per node are told beside the times that criterion tells")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use workloads::radix::RadixTree;
use workloads::{ContentId, Span};

const PROMPTS: u64 = 1_000_000;

/// Prompts of 24 spans of 512 tokens, as in Mooncake's trace: a node of a tree with three branches at each of the first
/// ten depths, then content of their own.
fn prompt(number: u64, spans: &mut Vec<Span>) {
    spans.clear();
    let mut path = 1;
    for depth in 0..10 {
        path = path * 3 + (number / 3_u64.pow(depth)) % 3;
        spans.push(Span { content: ContentId::shared(path), tokens: 512 });
    }
    spans.extend((0..14).map(|part| Span { content: ContentId::unique(number * 14 + part), tokens: 512 }));
}

/// Resident memory of this process, bytes, where the system tells it.
fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

fn build() -> RadixTree {
    let mut tree = RadixTree::new();
    let mut spans = Vec::new();
    for number in 0..PROMPTS {
        prompt(number, &mut spans);
        tree.insert(&spans);
    }
    tree
}

fn radix(criterion: &mut Criterion) {
    let before = resident_bytes();
    let tree = build();
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let nodes = tree.len();
        eprintln!("{nodes} nodes, {} bytes each, 14 runs of 16 bytes in most", (after - before) / nodes as u64);
    }
    let mut group = criterion.benchmark_group("radix");
    group.sample_size(10).throughput(Throughput::Elements(PROMPTS));
    group.bench_function("insert", |bencher| bencher.iter(build));
    group.bench_function("find", |bencher| {
        let mut spans = Vec::new();
        bencher.iter(|| {
            let mut tokens = 0;
            for number in 0..PROMPTS {
                prompt(number, &mut spans);
                tokens += u64::from(tree.find(&spans).tokens);
            }
            tokens
        });
    });
    group.finish();
}

criterion_group!(benches, radix);
criterion_main!(benches);
