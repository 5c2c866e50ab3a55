//! What an engine adds around its steps: the host's time before each, and the way from and to the client.

use sim::EngineSpec;
use workloads::SimDuration;

use super::{assert_request, run_with};
use crate::deployment::{CHUNKED, cache, scheduler};
use crate::reference::Run;
use crate::script::{Planned, Release};

fn nanos(nanos: u64) -> SimDuration {
    SimDuration::from_nanos(nanos)
}

fn play(engine: EngineSpec, requests: &[Planned]) -> Run {
    run_with(engine, scheduler(CHUNKED, 16, 4), cache(4, 10), requests)
}

/// When each step was composed, started, and ended.
fn times(run: &Run) -> Vec<[u64; 3]> {
    run.steps.iter().map(|step| [step.scheduled, step.start, step.end].map(workloads::SimTime::as_nanos)).collect()
}

#[test]
fn synchronously_the_device_waits_for_the_host_before_every_step() {
    let engine = EngineSpec { host_per_step: nanos(50), host_per_request: nanos(5), ..EngineSpec::default() };
    let run = play(engine, &[Planned::alone(0, 0, 4, 3), Planned::alone(1, 0, 4, 3)]);
    // 50 + 2 · 5 of host, then 180 of device for two prompts and 102 for two decodes.
    assert_eq!(times(&run), [[0, 60, 240], [240, 300, 402], [402, 462, 564]]);
    let books = &run.outcome.replicas[0];
    assert_eq!(books.stage_idle, [nanos(3 * 60)]);
    assert_eq!(books.stage_busy, [nanos(180 + 2 * 102)]);
    assert_request(&run, 0, [240, 564, 162, 0, 0]);
}

#[test]
fn asynchronously_the_host_works_beside_the_device() {
    let engine = EngineSpec {
        async_scheduling: true,
        host_per_step: nanos(50),
        host_per_request: nanos(5),
        ..EngineSpec::default()
    };
    let run = play(engine, &[Planned::alone(0, 0, 4, 3), Planned::alone(1, 0, 4, 3)]);
    // Only the first step, which the device does nothing beside, waits for it.
    assert_eq!(times(&run), [[0, 60, 240], [60, 240, 342], [240, 342, 444]]);
    assert_eq!(run.outcome.replicas[0].stage_idle, [nanos(60)]);
}

#[test]
fn a_step_takes_as_long_as_the_slower_of_host_and_device() {
    let engine = EngineSpec { async_scheduling: true, host_per_step: nanos(200), ..EngineSpec::default() };
    // The second arrives when its step's predecessor is being prepared; that step is composed before, its own at 400.
    let run = play(engine, &[Planned::alone(0, 0, 4, 3), Planned::alone(1, 350, 3, 1)]);
    assert_eq!(times(&run), [[0, 200, 340], [200, 400, 501], [400, 600, 731]]);
    let prompts: Vec<_> = run.steps.iter().map(|step| step.prefill_tokens).collect();
    assert_eq!(prompts, [4, 0, 3]);
}

#[test]
fn clients_are_a_way_off() {
    let engine = EngineSpec { client_to_engine: nanos(30), engine_to_client: nanos(7), ..EngineSpec::default() };
    let mut follower = Planned::alone(1, 0, 4, 1);
    follower.release = Release::After { of: 0, think_ns: 100 };
    let run = play(engine, &[Planned::alone(0, 10, 4, 2), follower]);
    // In the queue at 40. The last token is out at 281 and with the client at 288, who thinks until 388.
    assert_eq!(times(&run), [[40, 40, 180], [180, 180, 281], [418, 418, 558]]);
    assert_request(&run, 0, [187, 288, 101, 0, 0]);
    assert_request(&run, 1, [565, 565, 0, 0, 0]);
    let [first, second] = &run.records[..] else { panic!("two requests") };
    assert_eq!((first.arrival.as_nanos(), second.arrival.as_nanos()), (10, 388));
    assert_eq!(first.ttft(), nanos(30 + 140 + 7));
    assert_eq!(run.gaps.keys().copied().collect::<Vec<_>>(), [(288, 101)], "reported when the client sees it");
    assert_eq!(run.outcome.end.as_nanos(), 565);
}
