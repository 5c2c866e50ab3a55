//! Asynchronous scheduling: each step is composed when the one before it starts. The source is vLLM's `AsyncScheduler`
//! under `EngineCore.step_with_batch_queue` with room for two batches.

use sim::{EngineSpec, KvSpec};

use super::{assert_request, assert_steps, interrupted, run, run_with};
use crate::deployment::{CHUNKED, cache, scheduler};
use crate::reference::Run;
use crate::script::Planned;

fn ahead() -> EngineSpec {
    EngineSpec { async_scheduling: true, ..EngineSpec::default() }
}

fn scheduled(run: &Run) -> Vec<u64> {
    run.steps.iter().map(|step| step.scheduled.as_nanos()).collect()
}

#[test]
fn an_arrival_waits_for_the_rest_of_the_running_step_and_a_whole_one_more() {
    let run = run_with(ahead(), scheduler(CHUNKED, 16, 4), cache(4, 10), &interrupted());
    assert_steps(
        &run,
        &[
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 9],
            // The second prompt arrives at 150, while this step runs and the next is composed.
            [140, 241, 0, 0, 1, 5, 0, 0, 0, 1, 8],
            [241, 342, 0, 0, 1, 6, 0, 0, 0, 1, 8],
            [342, 503, 6, 1, 1, 7, 1, 0, 0, 2, 6],
            // The first request has its four tokens with the step before, but that has not ended.
            [503, 604, 0, 0, 1, 7, 0, 0, 0, 2, 6],
        ],
    );
    // Each when the one before starts; the first and the second at once.
    assert_eq!(scheduled(&run), [0, 0, 140, 241, 342]);
    assert_request(&run, 0, [140, 503, 161, 0, 0]);
    assert_request(&run, 1, [503, 604, 101, 0, 0]);
    let ttft = run.records[1].ttft().as_nanos();
    assert_eq!(ttft, (241 - 150) + 101 + 161, "rest of a step, a step, and its own");
}

#[test]
fn an_arrival_does_not_wait_for_a_step_that_nobody_needs() {
    let requests = [Planned::alone(0, 0, 4, 1), Planned::alone(1, 50, 3, 1)];
    let run = run_with(ahead(), scheduler(CHUNKED, 16, 4), cache(4, 10), &requests);
    assert_steps(
        &run,
        &[
            // One token is all it wants: the step composed beside it is empty.
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 9],
            [140, 270, 3, 1, 0, 0, 1, 0, 0, 1, 9],
        ],
    );
    assert_eq!(scheduled(&run), [0, 140]);
}

/// Two requests may run; a third waits for the second to end.
fn full_house() -> [Planned; 3] {
    [Planned::alone(0, 0, 2, 4), Planned::alone(1, 0, 4, 2), Planned::alone(2, 0, 4, 1)]
}

#[test]
fn a_finishing_request_keeps_place_and_blocks_for_the_step_composed_meanwhile() {
    let asynchronous = run_with(ahead(), scheduler(CHUNKED, 16, 2), cache(2, 100), &full_house());
    assert_steps(
        &asynchronous,
        &[
            [0, 160, 6, 2, 0, 0, 2, 0, 1, 2, 97],
            [160, 262, 0, 0, 2, 8, 0, 0, 1, 2, 95],
            // Composed at 160: the second request has nothing left to generate, but is there until 262.
            [262, 363, 0, 0, 1, 4, 0, 0, 1, 2, 95],
            // Composed at 262, with its three blocks back.
            [363, 504, 4, 1, 1, 5, 1, 0, 0, 2, 95],
        ],
    );
    assert_request(&asynchronous, 1, [160, 262, 102, 0, 0]);
    assert_request(&asynchronous, 2, [504, 504, 0, 0, 0]);
    // Synchronously the third request is let in as soon as the second has ended.
    let synchronous = run(scheduler(CHUNKED, 16, 2), cache(2, 100), &full_house());
    assert_request(&synchronous, 1, [160, 262, 102, 0, 0]);
    assert_request(&synchronous, 2, [403, 403, 0, 0, 0]);
}

/// The first needs a block for its third token, and the second holds the last one.
fn one_block_short(output_tokens: u32) -> [Planned; 2] {
    [Planned::alone(0, 0, 5, 4), Planned::alone(1, 0, 4, output_tokens)]
}

#[test]
fn a_finishing_request_may_be_preempted_and_ends_out_of_the_queue() {
    let run = run_with(ahead(), scheduler(CHUNKED, 16, 4), cache(2, 6), &one_block_short(2));
    assert_steps(
        &run,
        &[
            [0, 190, 9, 2, 0, 0, 2, 0, 0, 2, 1],
            [190, 292, 0, 0, 2, 11, 0, 0, 0, 2, 0],
            // Composed at 190, while the second request is given its last token.
            [292, 393, 0, 0, 1, 7, 0, 1, 1, 1, 2],
            [393, 494, 0, 0, 1, 8, 0, 0, 0, 1, 2],
        ],
    );
    assert_request(&run, 0, [190, 494, 102, 0, 0]);
    assert_request(&run, 1, [190, 292, 102, 1, 0]);
    let books = &run.outcome.replicas[0];
    assert_eq!((books.prefill_tokens, books.preemptions), (9, 1), "nothing is computed again");
}

#[test]
fn who_is_preempted_in_flight_gets_that_token_and_computes_it_again() {
    let run = run_with(ahead(), scheduler(CHUNKED, 16, 4), cache(2, 6), &one_block_short(3));
    assert_steps(
        &run,
        &[
            [0, 190, 9, 2, 0, 0, 2, 0, 0, 2, 1],
            [190, 292, 0, 0, 2, 11, 0, 0, 0, 2, 0],
            [292, 393, 0, 0, 1, 7, 0, 1, 1, 1, 2],
            [393, 494, 0, 0, 1, 8, 0, 0, 1, 1, 2],
            // At 393 the first request still held its blocks. Four prompt tokens and two generated ones.
            [494, 654, 6, 1, 0, 0, 1, 0, 0, 1, 3],
        ],
    );
    assert_request(&run, 1, [190, 654, 654 - 292, 1, 0]);
}

#[test]
fn a_block_that_a_step_in_flight_fills_is_not_found_after_a_preemption() {
    let kv = KvSpec { prefix_caching: true, ..cache(1, 11) };
    let requests = [Planned::alone(0, 0, 5, 2), Planned::alone(1, 0, 4, 4)];
    let run = run_with(ahead(), scheduler(CHUNKED, 16, 4), kv, &requests);
    assert_steps(
        &run,
        &[
            [0, 190, 9, 2, 0, 0, 2, 0, 0, 2, 2],
            [190, 292, 0, 0, 2, 11, 0, 0, 0, 2, 0],
            // At 190 the second request needed a block and gave up its own: those of its four prompt tokens are known, the
            // fifth was being filled. So of six tokens two are computed again.
            [292, 412, 2, 1, 0, 0, 1, 0, 0, 1, 5],
            [412, 513, 0, 0, 1, 7, 0, 0, 0, 1, 4],
        ],
    );
    assert_request(&run, 1, [190, 513, 120, 1, 0]);
}

#[test]
fn pipelines_schedule_synchronously() {
    let scheduler = scheduler(CHUNKED, 16, 4);
    let cost = crate::cost::ShapeCost {
        stages: 2,
        base_ns: 1,
        quantum_ns: 1,
        layers: None,
        handover_base_ns: 0,
        handover_row_ns: 0,
        totals: profiles::CostTotals::default(),
    };
    let replica = crate::deployment::replica(scheduler, cache(4, 10), cost);
    let deployment = crate::deployment::alone(sim::ReplicaSpec { engine: ahead(), ..replica });
    let error = crate::engine::simulate(deployment, &mut crate::script::Script::new(&interrupted()));
    assert_eq!(
        error.expect_err("two stages").to_string(),
        "replica 0: async_scheduling = true: false with 2 pipeline stages: vLLM turns it off there, and the stages keep \
         several steps in flight anyway"
    );
}
