//! The same deployment, workload and seeds give the same run, and other seeds another.

use std::thread;

use profiles::cost::EngineOverheads;
use sim::{DeploymentSpec, KvSpec, RouterSpec};
use workloads::{
    Arrivals, Durations, Lengths, Popularity, PrefixLength, PrefixSpec, PromptLengths, RequestLengths, SessionSpec,
    Synthetic, WorkloadSpec,
};

use crate::deployment::{CHUNKED, llama_8b_on_h100, replica, scheduler};
use crate::engine;

/// Four replicas with a router that draws, and caches small enough for preemption and eviction.
fn deployment(seed: u64) -> DeploymentSpec {
    let cost = llama_8b_on_h100(EngineOverheads::vllm_v1());
    let kv = KvSpec { block_size: 16, blocks: 600, prefix_caching: true };
    let replicas = (0..4).map(|_| replica(scheduler(CHUNKED, 512, 64), kv, cost.clone())).collect();
    DeploymentSpec { replicas, router: RouterSpec::PowerOfTwoChoices, seed, handover: None }
}

/// Conversations behind system prompts.
fn workload(seed: u64) -> Synthetic {
    let normal = |mean, sd, min, max| Lengths::normal(mean, sd, min, max).expect("valid");
    let lengths =
        RequestLengths::Independent { input: normal(300.0, 150.0, 16, 2000), output: normal(150.0, 80.0, 2, 1000) };
    let arrivals = Arrivals::Gamma { rate: 40.0, cv: 2.0 };
    let prefix = PrefixSpec::SystemPrompts {
        prompts: PromptLengths::Given(vec![200, 64, 333]),
        popularity: Popularity::Zipf { exponent: 1.0 },
        length: PrefixLength::OnTop,
    };
    let sessions = SessionSpec {
        turns: Lengths::Uniform { min: 1, max: 4 },
        think: Durations::Exponential { mean_s: 0.5 },
        followup: None,
        max_context: Some(4000),
        kept_messages: None,
    };
    let spec = WorkloadSpec { prefix, sessions: Some(sessions), ..WorkloadSpec::new(arrivals, lengths, 1500) };
    Synthetic::new(&spec, seed).expect("valid")
}

/// Everything a run reports, to the last digit.
fn report(router_seed: u64, workload_seed: u64) -> String {
    let run = engine::simulate(deployment(router_seed), &mut workload(workload_seed)).expect("a valid run");
    assert!(run.outcome.replicas.iter().any(|books| books.preemptions > 0), "caches were to be too small");
    assert!(run.outcome.replicas.iter().all(|books| books.cached_tokens > 0), "prompts were to be shared");
    format!("{run:?}")
}

#[test]
fn equal_seeds_give_equal_runs_in_whatever_thread() {
    let here = report(1, 2);
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| report(1, 2));
        let other = scope.spawn(|| report(1, 2));
        (one.join().expect("it ran"), other.join().expect("it ran"))
    });
    // Not assert_eq!: the difference of two such texts helps nobody.
    assert!(here == one && here == other, "equal runs differ");
    assert!(here != report(1, 3), "the workload's seed changes nothing");
    assert!(here != report(2, 2), "the router's seed changes nothing");
}
