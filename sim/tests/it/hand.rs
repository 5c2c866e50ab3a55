//! Schedules worked out by hand, step by step, for each policy.
//!
//! A step takes 100 ns, 10 ns more for each prompt token and 1 ns more for each decoding request, so that every time
//! below can be checked in the head. The sources are those of the policies: vLLM v1's `Scheduler.schedule`, vLLM v0's
//! `_schedule_default`, algorithm 3 of Sarathi-Serve, and section 4 of Orca.

mod ahead;
mod around;
mod batchllm;
mod checkpoints;
mod layered;

use profiles::cost::simple::{DecodePolynomial, PolynomialCost, PolynomialOptions};
use sim::{EngineSpec, KvSpec, Policy, ReplicaSpec, SchedulerSpec};
use workloads::{ContentId, SimTime, Span};

use crate::deployment::{CHUNKED, FREE, alone, cache, replica, scheduler};
use crate::reference::Run;
use crate::script::{Planned, Release, Script, answer};

fn run(scheduler: SchedulerSpec, kv: KvSpec, requests: &[Planned]) -> Run {
    run_with(EngineSpec::default(), scheduler, kv, requests)
}

fn run_with(engine: EngineSpec, scheduler: SchedulerSpec, kv: KvSpec, requests: &[Planned]) -> Run {
    let decode = DecodePolynomial { base_ns: 0.0, per_context_token_ns: 0.0, per_request_ns: 1.0 };
    let options = PolynomialOptions { per_step_ns: 100.0, per_prompt_token_ns: 10.0, decode, ..FREE };
    let deployment = alone(ReplicaSpec { engine, ..replica(scheduler, kv, PolynomialCost::new(options)) });
    crate::engine::simulate(deployment, &mut Script::new(requests)).expect("a valid run")
}

/// Demands these steps, one row for each: start and end; prompt tokens and the prompts they belong to; decoding
/// requests and what they attend to; let in, preempted; waiting, running, free blocks.
fn assert_steps(run: &Run, expected: &[[u64; 11]]) {
    let row = |step: &sim::StepRecord| {
        let counts = [step.prefill_tokens, step.prefill_requests, step.decode_requests].map(u64::from);
        let queues = [step.admitted, step.preempted, step.waiting, step.running, step.free_blocks].map(u64::from);
        let [tokens, prompts, decodes] = counts;
        let [admitted, preempted, waiting, running, free] = queues;
        let (start, end) = (step.start.as_nanos(), step.end.as_nanos());
        let context = step.decode_context_tokens;
        [start, end, tokens, prompts, decodes, context, admitted, preempted, waiting, running, free]
    };
    for (place, wanted) in expected.iter().enumerate() {
        assert_eq!(run.steps.get(place).map(row).as_ref(), Some(wanted), "step {place}");
    }
    assert_eq!(run.steps.len(), expected.len(), "number of steps");
}

/// Demands of request number `id`: first token, last token, longest gap, preemptions, cached tokens.
fn assert_request(run: &Run, id: u64, expected: [u64; 5]) {
    let record = run.records.iter().find(|record| record.id.0 == id).expect("it ended");
    let [first, last] = [record.first_token, record.last_token].map(SimTime::as_nanos);
    let counts = [record.preemptions, record.cached_tokens].map(u64::from);
    assert_eq!([first, last, record.max_gap.as_nanos(), counts[0], counts[1]], expected, "request {id}");
}

#[test]
fn decodes_and_pieces_share_the_budget_and_the_completing_piece_yields_the_first_token() {
    let requests = [Planned::alone(0, 0, 10, 3), Planned::alone(1, 0, 5, 2), Planned::alone(2, 0, 3, 1)];
    let run = run(scheduler(CHUNKED, 8, 4), cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            // All 8 tokens go to the first prompt of 10; the others wait although sequences and blocks are there.
            [0, 180, 8, 1, 0, 0, 1, 0, 2, 1, 98],
            // Its last 2, all 5 of the second, and the first of the third.
            [180, 360, 8, 3, 0, 0, 2, 0, 0, 3, 94],
            // Two decodes (attending to 11 and 6 tokens) and the last 2 of the third; second and third are done.
            [360, 482, 2, 1, 2, 17, 0, 0, 0, 3, 94],
            [482, 583, 0, 0, 1, 12, 0, 0, 0, 1, 97],
        ],
    );
    assert_request(&run, 0, [360, 583, 122, 0, 0]);
    assert_request(&run, 1, [360, 482, 122, 0, 0]);
    assert_request(&run, 2, [482, 482, 0, 0, 0]);
}

#[test]
fn long_prefill_token_threshold_limits_one_request_and_not_the_step() {
    let policy = Policy::ChunkedPrefill { long_prefill_token_threshold: 4, scheduler_reserve_full_isl: false };
    let requests = [Planned::alone(0, 0, 10, 2), Planned::alone(1, 0, 3, 1)];
    let run = run(scheduler(policy, 16, 4), cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            // The budget would hold both prompts whole.
            [0, 170, 7, 2, 0, 0, 2, 0, 0, 2, 98],
            [170, 310, 4, 1, 0, 0, 0, 0, 0, 1, 98],
            [310, 430, 2, 1, 0, 0, 0, 0, 0, 1, 97],
            [430, 531, 0, 0, 1, 11, 0, 0, 0, 1, 97],
        ],
    );
    assert_request(&run, 0, [430, 531, 101, 0, 0]);
    assert_request(&run, 1, [170, 170, 0, 0, 0]);
}

/// Two requests whose 4 + 6 tokens need 5 blocks of 2 each, and a third that arrives at 150 ns and needs one.
fn crowd() -> [Planned; 3] {
    [Planned::alone(0, 0, 4, 6), Planned::alone(1, 0, 4, 6), Planned::alone(2, 150, 2, 1)]
}

#[test]
fn the_last_one_in_is_preempted_to_the_front_of_the_queue_and_recomputes_what_it_had_generated() {
    let run = run(scheduler(CHUNKED, 16, 4), cache(2, 6), &crowd());
    assert_steps(
        &run,
        &[
            [0, 180, 8, 2, 0, 0, 2, 0, 0, 2, 2],
            // Both need a third block; none is left for the third request.
            [180, 282, 0, 0, 2, 10, 0, 0, 1, 2, 0],
            [282, 384, 0, 0, 2, 12, 0, 0, 1, 2, 0],
            // The first needs a fourth block: the second is preempted and gives back three.
            [384, 485, 0, 0, 1, 7, 0, 1, 2, 1, 2],
            // The head of the queue is the preempted one: 4 + 3 tokens need four blocks. Those behind it wait too.
            [485, 586, 0, 0, 1, 8, 0, 0, 2, 1, 2],
            [586, 687, 0, 0, 1, 9, 0, 0, 2, 1, 1],
            // It comes back before the third request, and computes its 4 prompt and 3 generated tokens.
            [687, 877, 9, 2, 0, 0, 2, 0, 0, 2, 1],
            [877, 978, 0, 0, 1, 8, 0, 0, 0, 1, 2],
            [978, 1079, 0, 0, 1, 9, 0, 0, 0, 1, 1],
        ],
    );
    assert_request(&run, 0, [180, 687, 102, 0, 0]);
    // Its fourth token comes with the recomputation, at 877, after the third at 384.
    assert_request(&run, 1, [180, 1079, 493, 1, 0]);
    assert_request(&run, 2, [877, 877, 0, 0, 0]);
    let books = &run.outcome.replicas[0];
    assert_eq!((books.prefill_tokens, books.decode_tokens, books.preemptions), (10 + 7, 9, 1));
}

#[test]
fn a_step_that_preempted_lets_nobody_in_and_half_a_recomputation_can_be_preempted_again() {
    let policy = Policy::ChunkedPrefill { long_prefill_token_threshold: 4, scheduler_reserve_full_isl: false };
    let run = run(scheduler(policy, 16, 4), cache(2, 6), &crowd());
    assert_steps(
        &run,
        &[
            [0, 180, 8, 2, 0, 0, 2, 0, 0, 2, 2],
            [180, 282, 0, 0, 2, 10, 0, 0, 1, 2, 0],
            [282, 384, 0, 0, 2, 12, 0, 0, 1, 2, 0],
            // The second is preempted. A piece of 4 tokens of it would fit into the two free blocks, but not in this step.
            [384, 485, 0, 0, 1, 7, 0, 1, 2, 1, 2],
            [485, 626, 4, 1, 1, 8, 1, 0, 1, 2, 0],
            // The first needs its fifth block, and takes it from the second once more.
            [626, 727, 0, 0, 1, 9, 0, 1, 2, 1, 1],
            [727, 887, 6, 2, 0, 0, 2, 0, 0, 2, 3],
            [887, 1017, 3, 1, 0, 0, 0, 0, 0, 1, 2],
            [1017, 1118, 0, 0, 1, 8, 0, 0, 0, 1, 2],
            [1118, 1219, 0, 0, 1, 9, 0, 0, 0, 1, 1],
        ],
    );
    assert_request(&run, 0, [180, 727, 141, 0, 0]);
    assert_request(&run, 1, [180, 1219, 1017 - 384, 2, 0]);
    assert_request(&run, 2, [887, 887, 0, 0, 0]);
}

#[test]
fn without_the_preemption_the_same_requests_take_as_long_as_their_steps() {
    let run = run(scheduler(CHUNKED, 16, 4), cache(2, 100), &crowd());
    // 100 + 8 · 10 for two prompts; 100 + 2 · 10 + 2 with the third; then four decodes of both.
    assert_request(&run, 0, [180, 180 + 122 + 4 * 102, 122, 0, 0]);
    assert_request(&run, 1, [180, 710, 122, 0, 0]);
    assert_request(&run, 2, [302, 302, 0, 0, 0]);
    // Recomputing cost the second request 369 ns more: three steps alone for the first (303) and the recomputation
    // with the third prompt (190) in its way, two decodes alone (202) instead of three together (306), the prompt of the
    // third (20) no longer beside its second token.
    assert_eq!(1079 - 710, 303 + 190 + 202 - 306 - 20);
}

#[test]
fn prefixes_are_found_in_the_same_step_up_to_one_token_less_than_the_whole() {
    let shared = |own: u32, output_tokens: u32, release: Release| {
        let spans = [(ContentId::shared(7), 8), (ContentId::unique(u64::from(own)), own)];
        let spans = spans.map(|(content, tokens)| Span { content, tokens }).into_iter().filter(|span| span.tokens > 0);
        Planned { release, spans: spans.collect(), output_tokens, session: None }
    };
    let mut next_turn = shared(3, 1, Release::After { of: 2, think_ns: 0 });
    next_turn.spans.push(Span { content: answer(2), tokens: 6 });
    next_turn.spans.push(Span { content: ContentId::unique(99), tokens: 2 });
    let requests =
        [shared(0, 1, Release::At(0)), shared(0, 1, Release::At(0)), shared(3, 6, Release::At(1000)), next_turn];
    let run = run(scheduler(CHUNKED, 32, 4), KvSpec { prefix_caching: true, ..cache(4, 10) }, &requests);
    assert_steps(
        &run,
        &[
            // The second prompt finds the first one's blocks although they are computed in this very step; of its 8 tokens
            // at most 7 may be found, so one block of 4, and the other is computed again into a block of its own.
            [0, 220, 12, 2, 0, 0, 2, 0, 0, 2, 7],
            // Of 11 tokens two blocks are found.
            [1000, 1130, 3, 1, 0, 0, 1, 0, 0, 1, 7],
            [1130, 1231, 0, 0, 1, 12, 0, 0, 0, 1, 7],
            [1231, 1332, 0, 0, 1, 13, 0, 0, 0, 1, 6],
            [1332, 1433, 0, 0, 1, 14, 0, 0, 0, 1, 6],
            [1433, 1534, 0, 0, 1, 15, 0, 0, 0, 1, 6],
            [1534, 1635, 0, 0, 1, 16, 0, 0, 0, 1, 6],
            // The next turn has 11 + 6 + 2 tokens; 16 of them were computed (the last token of an answer never is).
            [1635, 1765, 3, 1, 0, 0, 1, 0, 0, 1, 5],
        ],
    );
    let cached: Vec<_> = run.records.iter().map(|record| record.cached_tokens).collect();
    assert_eq!(cached, [0, 4, 8, 16]);
}

/// A prompt of 8 and one of 6 tokens for 6 blocks of 2, six tokens a step.
fn two_long_prompts() -> [Planned; 2] {
    [Planned::alone(0, 0, 8, 1), Planned::alone(1, 0, 6, 1)]
}

#[test]
fn chunked_prefill_takes_the_blocks_of_a_piece_at_a_time() {
    let run = run(scheduler(CHUNKED, 6, 4), cache(2, 6), &two_long_prompts());
    assert_steps(
        &run,
        &[
            [0, 160, 6, 1, 0, 0, 1, 0, 1, 1, 3],
            [160, 320, 6, 2, 0, 0, 1, 0, 0, 2, 0],
            [320, 440, 2, 1, 0, 0, 0, 0, 0, 1, 3],
        ],
    );
}

#[test]
fn sarathi_reserves_the_blocks_of_the_whole_prompt() {
    let run = run(scheduler(Policy::Sarathi, 6, 4), cache(2, 6), &two_long_prompts());
    assert_steps(
        &run,
        &[
            // Four blocks from the start.
            [0, 160, 6, 1, 0, 0, 1, 0, 1, 1, 2],
            // So the second prompt, which needs three, is not let in although four tokens of budget are left.
            [160, 280, 2, 1, 0, 0, 0, 0, 1, 1, 2],
            [280, 440, 6, 1, 0, 0, 1, 0, 0, 1, 3],
        ],
    );
}

#[test]
fn scheduler_reserve_full_isl_asks_for_the_whole_prompt_and_takes_a_piece() {
    let policy = Policy::ChunkedPrefill { long_prefill_token_threshold: 0, scheduler_reserve_full_isl: true };
    let run = run(scheduler(policy, 6, 4), cache(2, 6), &two_long_prompts());
    assert_steps(
        &run,
        &[
            [0, 160, 6, 1, 0, 0, 1, 0, 1, 1, 3],
            // Two blocks are left when the first prompt has its fourth; the second prompt would need three in the end.
            [160, 280, 2, 1, 0, 0, 0, 0, 1, 1, 2],
            [280, 440, 6, 1, 0, 0, 1, 0, 0, 1, 3],
        ],
    );
}

/// A request that decodes when a prompt of 6 tokens arrives at 150 ns.
fn interrupted() -> [Planned; 2] {
    [Planned::alone(0, 0, 4, 4), Planned::alone(1, 150, 6, 2)]
}

#[test]
fn prefill_first_stalls_decodes_for_a_whole_prompt() {
    let policy = Policy::PrefillFirst { watermark_permille: 100 };
    let run = run(scheduler(policy, 16, 4), cache(4, 10), &interrupted());
    assert_steps(
        &run,
        &[
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 9],
            [140, 241, 0, 0, 1, 5, 0, 0, 0, 1, 8],
            // The prompt alone.
            [241, 401, 6, 1, 0, 0, 1, 0, 0, 2, 6],
            [401, 503, 0, 0, 2, 13, 0, 0, 0, 2, 6],
            [503, 604, 0, 0, 1, 7, 0, 0, 0, 1, 8],
        ],
    );
    assert_request(&run, 0, [140, 604, 160 + 102, 0, 0]);
    assert_request(&run, 1, [401, 503, 102, 0, 0]);
}

#[test]
fn chunked_prefill_lets_decodes_go_on_beside_the_prompt() {
    let run = run(scheduler(CHUNKED, 16, 4), cache(4, 10), &interrupted());
    assert_steps(
        &run,
        &[
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 9],
            [140, 241, 0, 0, 1, 5, 0, 0, 0, 1, 8],
            [241, 402, 6, 1, 1, 6, 1, 0, 0, 2, 6],
            [402, 504, 0, 0, 2, 14, 0, 0, 0, 2, 6],
        ],
    );
    assert_request(&run, 0, [140, 504, 161, 0, 0]);
    assert_request(&run, 1, [402, 504, 102, 0, 0]);
}

#[test]
fn prefill_first_keeps_its_watermark_free() {
    let requests = [Planned::alone(0, 0, 4, 1), Planned::alone(1, 0, 4, 1)];
    for (watermark_permille, steps) in [(0, 1), (250, 2)] {
        // Two blocks for each prompt, and one of four to be kept free.
        let policy = Policy::PrefillFirst { watermark_permille };
        let run = run(scheduler(policy, 16, 4), cache(2, 4), &requests);
        assert_eq!(run.steps.len(), steps, "{watermark_permille} thousandths");
    }
}

#[test]
fn orca_reserves_prompt_and_answer() {
    let requests = [Planned::alone(0, 0, 4, 5), Planned::alone(1, 0, 4, 7)];
    let run = run(scheduler(Policy::Orca, 16, 4), cache(2, 8), &requests);
    let alone = |start: u64, context: u64, waiting: u64, free: u64| {
        [start, start + 101, 0, 0, 1, context, 0, 0, waiting, 1, free]
    };
    assert_steps(
        &run,
        &[
            // 4 + 5 − 1 tokens reserve four blocks. The second prompt would fit into the other four, but its answer not.
            [0, 140, 4, 1, 0, 0, 1, 0, 1, 1, 4],
            alone(140, 5, 1, 4),
            alone(241, 6, 1, 4),
            alone(342, 7, 1, 4),
            alone(443, 8, 1, 4),
            [544, 684, 4, 1, 0, 0, 1, 0, 0, 1, 3],
            alone(684, 5, 0, 3),
            alone(785, 6, 0, 3),
            alone(886, 7, 0, 3),
            alone(987, 8, 0, 3),
            alone(1088, 9, 0, 3),
            alone(1189, 10, 0, 3),
        ],
    );
    assert_request(&run, 0, [140, 544, 101, 0, 0]);
    assert_request(&run, 1, [684, 1290, 101, 0, 0]);
}

#[test]
fn splitwise_computes_prompts_first_and_a_long_one_alone() {
    let run = run(scheduler(Policy::Splitwise, 4, 4), cache(4, 10), &interrupted());
    assert_steps(
        &run,
        &[
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 8],
            [140, 241, 0, 0, 1, 5, 0, 0, 0, 1, 8],
            // Six prompt tokens where four fit: nobody decodes beside them.
            [241, 401, 6, 1, 0, 0, 1, 0, 0, 2, 6],
            [401, 503, 0, 0, 2, 13, 0, 0, 0, 2, 6],
            [503, 604, 0, 0, 1, 7, 0, 0, 0, 1, 8],
        ],
    );
}

#[test]
fn splitwise_leaves_out_the_decodes_that_were_let_in_last() {
    // Two decode when a third prompt takes three of four tokens: one of them has a turn beside it, the older one.
    let requests = [Planned::alone(0, 0, 1, 3), Planned::alone(1, 0, 1, 3), Planned::alone(2, 10, 3, 1)];
    let run = run(scheduler(Policy::Splitwise, 4, 4), cache(4, 10), &requests);
    assert_steps(
        &run,
        &[
            [0, 120, 2, 2, 0, 0, 2, 0, 0, 2, 8],
            [120, 251, 3, 1, 1, 2, 1, 0, 0, 3, 7],
            [251, 353, 0, 0, 2, 5, 0, 0, 0, 2, 8],
            [353, 454, 0, 0, 1, 3, 0, 0, 0, 1, 9],
        ],
    );
}

#[test]
fn orca_puts_whole_prompts_beside_decodes() {
    let run = run(scheduler(Policy::Orca, 16, 4), cache(4, 10), &interrupted());
    assert_steps(
        &run,
        &[
            // 4 + 4 − 1 tokens: two blocks; 6 + 2 − 1: two.
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 8],
            [140, 241, 0, 0, 1, 5, 0, 0, 0, 1, 8],
            [241, 402, 6, 1, 1, 6, 1, 0, 0, 2, 6],
            [402, 504, 0, 0, 2, 14, 0, 0, 0, 2, 6],
        ],
    );
}
