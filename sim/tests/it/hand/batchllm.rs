//! `BatchLLM`'s groups: a prefix first, its members when it is there, and its blocks until the last of them has ended.

use sim::{FirstLevel, GroupOrder, Policy};
use workloads::{ContentId, Span};

use super::{assert_request, assert_steps, run};
use crate::deployment::{cache, scheduler};
use crate::script::{Planned, Release};

const SUBMITTED: Policy = Policy::BatchLlm {
    order: GroupOrder::Submission,
    token_batching_degree: 0,
    watermark_permille: 0,
    first_level: FirstLevel::Enlarged,
};

/// A request at time zero whose prompt begins with `shared` tokens of prefix number `prefix`.
fn member(place: u64, prefix: u64, shared: u32, own: u32, output_tokens: u32) -> Planned {
    let shared = Span { content: ContentId::shared(prefix), tokens: shared };
    let own = Span { content: ContentId::unique(place), tokens: own };
    Planned { release: Release::At(0), spans: vec![shared, own], output_tokens, session: None }
}

#[test]
fn members_start_when_their_prefix_is_computed_and_the_first_one_pays_for_it() {
    let requests = [member(0, 0, 8, 2, 3), member(1, 0, 8, 2, 2), member(2, 0, 8, 2, 1), Planned::alone(3, 0, 5, 1)];
    let run = run(scheduler(SUBMITTED, 16, 8), cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            // The prefix of 8 and the request alone; three members wait although tokens and blocks are there.
            [0, 230, 13, 2, 0, 0, 2, 0, 3, 2, 96],
            // Each member computes its own 2 tokens in one block.
            [230, 390, 6, 3, 0, 0, 3, 0, 0, 3, 95],
            [390, 492, 0, 0, 2, 22, 0, 0, 0, 2, 96],
            // The prefix's two blocks are there for the last member.
            [492, 593, 0, 0, 1, 12, 0, 0, 0, 1, 97],
        ],
    );
    assert_request(&run, 0, [390, 593, 102, 0, 0]);
    assert_request(&run, 1, [390, 492, 102, 0, 8]);
    assert_request(&run, 2, [390, 390, 0, 0, 8]);
    assert_request(&run, 3, [230, 230, 0, 0, 0]);
    let first = run.records.iter().find(|record| record.id.0 == 0).expect("it ended");
    assert_eq!(first.first_scheduled.as_nanos(), 0, "its prefix was computed in the first step");
    assert_eq!(run.outcome.replicas[0].prefill_tokens, 8 + 3 * 2 + 5, "the prefix once");
}

#[test]
fn prefixes_are_whole_blocks_and_the_rest_belongs_to_each_member() {
    let requests = [member(0, 0, 7, 1, 1), member(1, 0, 7, 1, 1), member(2, 1, 3, 1, 1), member(3, 1, 3, 1, 1)];
    let run = run(scheduler(SUBMITTED, 32, 8), cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            // 4 of the 7 shared tokens are a block; 3 are none, so that the others stand alone.
            [0, 220, 12, 3, 0, 0, 3, 0, 2, 3, 97],
            [220, 400, 8, 2, 0, 0, 2, 0, 0, 2, 97],
        ],
    );
    assert_request(&run, 1, [400, 400, 0, 0, 4]);
    assert_request(&run, 3, [220, 220, 0, 0, 0]);
}

#[test]
fn groups_that_generate_more_per_prompt_token_come_first() {
    let requests =
        [Planned::alone(0, 0, 8, 1), member(1, 0, 4, 4, 2), member(2, 0, 4, 4, 2), Planned::alone(3, 0, 4, 8)];
    let policy = Policy::BatchLlm {
        order: GroupOrder::DecodeShare,
        token_batching_degree: 0,
        watermark_permille: 0,
        first_level: FirstLevel::Enlarged,
    };
    // 8 / 4, then 4 / 12, then 1 / 8: in a step of 4 tokens one after the other.
    let run = run(scheduler(policy, 4, 4), cache(4, 100), &requests);
    let first_scheduled =
        |id: u64| run.records.iter().find(|record| record.id.0 == id).expect("it ended").first_scheduled;
    assert!(first_scheduled(3) < first_scheduled(1) && first_scheduled(1) < first_scheduled(0));
    assert!(first_scheduled(1) < first_scheduled(2), "members keep their order");
}

/// Two requests of 4 + 6 tokens and a prefix of 12 that is not computed when they run out of blocks.
#[test]
fn a_prefix_that_is_not_computed_can_be_preempted() {
    let requests =
        [Planned::alone(0, 0, 4, 6), Planned::alone(1, 0, 4, 6), member(2, 0, 12, 1, 1), member(3, 0, 12, 1, 1)];
    let run = run(scheduler(SUBMITTED, 10, 4), cache(2, 11), &requests);
    assert_steps(
        &run,
        &[
            [0, 200, 10, 3, 0, 0, 3, 0, 2, 3, 1],
            // Both need a third block, and one is left.
            [200, 302, 0, 0, 2, 10, 0, 1, 3, 2, 5],
            // It needs six.
            [302, 404, 0, 0, 2, 12, 0, 0, 3, 2, 5],
            [404, 506, 0, 0, 2, 14, 0, 0, 3, 2, 3],
            [506, 608, 0, 0, 2, 16, 0, 0, 3, 2, 3],
            [608, 710, 0, 0, 2, 18, 0, 0, 3, 2, 1],
            [710, 910, 10, 1, 0, 0, 1, 0, 2, 1, 5],
            [910, 1030, 2, 1, 0, 0, 0, 0, 2, 1, 5],
            [1030, 1150, 2, 2, 0, 0, 2, 0, 0, 2, 3],
        ],
    );
    assert_request(&run, 2, [1150, 1150, 0, 1, 0]);
    assert_request(&run, 3, [1150, 1150, 0, 0, 12]);
}

/// Prefixes of 4 blocks whose members need 2 more: with 9 blocks two prefixes and a member do not fit.
#[test]
fn a_prefix_waits_while_those_that_stay_would_leave_no_room_to_finish() {
    let requests: Vec<Planned> = (0..4).map(|place| member(place, place / 2, 8, 2, 3)).collect();
    let wait = run(scheduler(SUBMITTED, 32, 8), cache(2, 9), &requests);
    assert_steps(
        &wait,
        &[
            // Five blocks are free, and the second prefix needs four.
            [0, 180, 8, 1, 0, 0, 1, 0, 5, 1, 5],
            [180, 320, 4, 2, 0, 0, 2, 0, 3, 2, 3],
            [320, 422, 0, 0, 2, 22, 0, 0, 3, 2, 1],
            [422, 524, 0, 0, 2, 24, 0, 0, 3, 2, 1],
            [524, 704, 8, 1, 0, 0, 1, 0, 2, 1, 5],
            [704, 844, 4, 2, 0, 0, 2, 0, 0, 2, 3],
            [844, 946, 0, 0, 2, 22, 0, 0, 0, 2, 1],
            [946, 1048, 0, 0, 2, 24, 0, 0, 0, 2, 1],
        ],
    );
    let beside = run(scheduler(SUBMITTED, 32, 8), cache(2, 10), &requests);
    assert_eq!(beside.steps[0].prefill_requests, 2, "ten blocks hold both prefixes and a member");
}

#[test]
fn token_batching_degree_is_seats_beyond_max_num_seqs() {
    let requests: Vec<Planned> = (0..4).map(|place| Planned::alone(place, 0, 2, 2)).collect();
    let running = |token_batching_degree| {
        let policy = Policy::BatchLlm {
            order: GroupOrder::Submission,
            token_batching_degree,
            watermark_permille: 0,
            first_level: FirstLevel::Enlarged,
        };
        run(scheduler(policy, 16, 2), cache(2, 100), &requests).steps[0].running
    };
    assert_eq!([0, 1, 2].map(running), [2, 3, 4]);
}
