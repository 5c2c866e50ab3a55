//! Deployments of every kind end, and lose nothing: no request, no token, no block, no byte of a transfer.
//!
//! A run that does not end is a failure that names its seed: after more steps than any scenario can need, or, if it takes no
//! steps, after a time that no scenario can take.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use sim::{Observer, StepRecord, TransferMode};

use super::{caught, conservation};
use crate::engine;
use crate::scenario::Scenario;

/// Far more than the slowest scenario takes on a busy machine.
const LONGEST: Duration = Duration::from_mins(2);

/// Counts steps, and stops a run that takes too many.
struct Budget {
    steps: u64,
}

impl Observer for Budget {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, record: &StepRecord) {
        assert!(self.steps > 0, "still working after more steps than all tokens need, at {}", record.end);
        self.steps -= 1;
    }
}

/// Steps for computing every token of every request twenty times, one at a time.
fn budget(scenario: &Scenario) -> u64 {
    let tokens = |request: &crate::script::Planned| {
        let prompt: u32 = request.spans.iter().map(|span| span.tokens).sum();
        u64::from(prompt + request.output_tokens)
    };
    1_000 + 20 * scenario.requests.iter().map(tokens).sum::<u64>()
}

/// Runs the scenario to its end and checks what has to be conserved; what is wrong, if something is.
fn run(scenario: &Scenario) -> Result<(), String> {
    let mut budget = Budget { steps: budget(scenario) };
    caught("engine", || sim::simulate(scenario.deployment(), &mut scenario.source(), &mut budget))?
        .map_err(|error| format!("engine: {error}"))?;
    let run = caught("engine", || engine::simulate(scenario.deployment(), &mut scenario.source()))?
        .map_err(|error| format!("engine: {error}"))?;
    conservation::check(scenario, &run)
}

/// The kinds of things that a deployment has.
fn features(scenario: &Scenario) -> BTreeSet<String> {
    let deployment = scenario.deployment();
    let mut features = BTreeSet::new();
    for replica in &deployment.replicas {
        features.insert(format!("{:?}", replica.role));
        let policy = format!("{:?}", replica.scheduler.policy);
        features.insert(policy.split(' ').next().unwrap_or_default().to_owned());
        let several_stages = replica.cost.stages() > 1 && replica.cost.offloaded_batches().is_none();
        let of_replica = [
            ("prefix caching", replica.kv.prefix_caching),
            ("pipeline stages", several_stages),
            ("offloaded attention", replica.cost.offloaded_batches().is_some()),
            ("asynchronous", replica.engine.async_scheduling),
            (
                "tiny memory",
                replica.kv.blocks * replica.kv.block_size < replica.max_model_len + 2 * replica.kv.block_size,
            ),
        ];
        features.extend(of_replica.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()));
    }
    if deployment.handover.as_ref().is_some_and(|handover| handover.mixing.is_some()) {
        features.insert("mixed pool".to_owned());
    }
    match deployment.handover.map(|handover| handover.mode) {
        Some(TransferMode::Pull { awaited, .. }) => features.insert(format!("pull, awaited: {awaited}")),
        Some(TransferMode::AfterPrefill) => features.insert("after prefill".to_owned()),
        Some(TransferMode::PushByLayer { .. }) => features.insert("push by layer".to_owned()),
        None => false,
    };
    features
}

/// All that [`features`] can find.
const ALL: [&str; 20] = [
    "BatchLlm",
    "ChunkedPrefill",
    "Decode",
    "LayeredPrefill",
    "Orca",
    "Prefill",
    "PrefillFirst",
    "Sarathi",
    "Serve",
    "Splitwise",
    "after prefill",
    "asynchronous",
    "mixed pool",
    "offloaded attention",
    "pipeline stages",
    "prefix caching",
    "pull, awaited: false",
    "pull, awaited: true",
    "push by layer",
    "tiny memory",
];

fn all_end(seeds: std::ops::Range<u64>) {
    let mut seen = BTreeSet::new();
    for seed in seeds {
        let scenario = Scenario::draw_any(seed);
        seen.extend(features(&scenario));
        let (tell, told) = mpsc::channel();
        let here = scenario.clone();
        thread::spawn(move || tell.send(run(&here)));
        match told.recv_timeout(LONGEST) {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => panic!("seed {seed}: {problem}\n\n{scenario}"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("seed {seed}: no end after {LONGEST:?}\n\n{scenario}")
            }
        }
    }
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), ALL, "kinds of things that deployments had");
}

#[test]
fn three_hundred_random_deployments_end_and_lose_nothing() {
    all_end(0..300);
}

#[test]
#[ignore = "three hundred of them do for every build, and more take time without optimisation: .ci/run runs it in release"]
fn a_thousand_random_deployments_end_and_lose_nothing() {
    all_end(1_000_000..1_001_000);
}

#[test]
fn a_run_that_does_not_get_ahead_is_stopped() {
    let scenario = Scenario::draw_any(0);
    let mut budget = Budget { steps: 3 };
    let run = caught("engine", || sim::simulate(scenario.deployment(), &mut scenario.source(), &mut budget));
    assert!(run.unwrap_err().contains("still working after more steps"));
}
