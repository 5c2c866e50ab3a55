//! Layered prefill: each step takes 100 ns, 2 ns for each prompt token and layer that it passes, and 1 ns for each decoding
//! request; the model has five layers. The source is `scheduler.py` of the public code of *Layered Prefill*.

use profiles::{CostModel, CostTotals, StepCost, StepShape};
use sim::{EngineSpec, KvSpec, LayerGroups, Policy, ReplicaSpec, SchedulerSpec};
use workloads::{ContentId, Span};

use super::{assert_request, assert_steps};
use crate::deployment::{alone, cache, replica, scheduler};
use crate::reference::Run;
use crate::script::{Planned, Release, Script};

const LAYERS: u32 = 5;
const TWO_GROUPS: Policy = fixed(2, false);

const fn fixed(groups: u32, collapse_without_decodes: bool) -> Policy {
    Policy::LayeredPrefill { groups: LayerGroups::Fixed(groups), collapse_without_decodes }
}

pub(super) struct ByLayer;

impl CostModel for ByLayer {
    fn layers(&self) -> Option<u32> {
        Some(LAYERS)
    }

    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        let tokens: u32 = shape.prefill.iter().map(|piece| piece.new_tokens).sum();
        let layers = shape.prefill_layers.map_or(LAYERS, |part| part.end - part.start);
        stage_ns[0] = u64::from(100 + 2 * tokens * layers + shape.decode.requests);
        StepCost { duration_ns: stage_ns[0], dynamic_energy_j: 0.0 }
    }

    fn totals(&self) -> CostTotals {
        CostTotals::default()
    }

    fn explain(&self, _shape: &StepShape<'_>) -> CostTotals {
        CostTotals::default()
    }
}

fn run(scheduler: SchedulerSpec, kv: KvSpec, requests: &[Planned]) -> Run {
    run_with(EngineSpec::default(), scheduler, kv, requests)
}

fn run_with(engine: EngineSpec, scheduler: SchedulerSpec, kv: KvSpec, requests: &[Planned]) -> Run {
    let deployment = alone(ReplicaSpec { engine, ..replica(scheduler, kv, ByLayer) });
    crate::engine::simulate(deployment, &mut Script::new(requests)).expect("a valid run")
}

/// Demands that the prompts of each step pass these layers.
fn assert_layers(run: &Run, expected: &[Option<(u32, u32)>]) {
    assert_eq!(run.steps.iter().map(|step| step.prefill_layers).collect::<Vec<_>>(), expected);
}

const FIRST: Option<(u32, u32)> = Some((0, 3));
const SECOND: Option<(u32, u32)> = Some((3, 5));

#[test]
fn a_prompt_passes_a_group_per_step_and_the_next_cohort_follows_at_once() {
    // The second and third arrive while the first is half way: they wait for it, and then go together.
    let requests = [Planned::alone(0, 0, 4, 3), Planned::alone(1, 10, 3, 1), Planned::alone(2, 20, 2, 2)];
    let run = run(scheduler(TWO_GROUPS, 16, 4), cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            [0, 124, 4, 1, 0, 0, 1, 0, 0, 1, 99],
            // No step is without a prompt between the two cohorts, and nobody is let in while one is under way.
            [124, 240, 4, 1, 0, 0, 0, 0, 2, 1, 99],
            [240, 371, 5, 2, 1, 5, 2, 0, 0, 3, 96],
            [371, 492, 5, 2, 1, 6, 0, 0, 0, 3, 96],
            // The third prompt's second token.
            [492, 593, 0, 0, 1, 3, 0, 0, 0, 1, 99],
        ],
    );
    assert_layers(&run, &[FIRST, SECOND, FIRST, SECOND, None]);
    let sampled: Vec<u32> = run.members.iter().map(|members| members.sampled).collect();
    assert_eq!(sampled, [0, 1, 1, 3, 1], "prompts are sampled when they have passed the last layer");
    assert_request(&run, 0, [240, 492, 131, 0, 0]);
    assert_request(&run, 1, [492, 492, 0, 0, 0]);
    assert_request(&run, 2, [492, 593, 101, 0, 0]);
    let books = &run.outcome.replicas[0];
    assert_eq!((books.prefill_tokens, books.decode_tokens), (9, 3), "a token is computed once, in however many steps");
}

#[test]
fn a_long_prompt_passes_in_several_cohorts_each_with_groups_of_its_own() {
    // One group for each three tokens; at most four tokens in a cohort.
    let groups = LayerGroups::PerTokens { reference_chunk: 3 };
    let policy = Policy::LayeredPrefill { groups, collapse_without_decodes: false };
    let requests = [Planned::alone(0, 0, 9, 2), Planned::alone(1, 0, 1, 1), Planned::alone(2, 0, 5, 1)];
    let run = run(SchedulerSpec { max_num_batched_tokens: 4, ..scheduler(policy, 4, 4) }, cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            // The blocks of all nine tokens at once.
            [0, 124, 4, 1, 0, 0, 1, 0, 2, 1, 97],
            [124, 240, 4, 1, 0, 0, 0, 0, 2, 1, 97],
            [240, 364, 4, 1, 0, 0, 0, 0, 2, 1, 97],
            [364, 480, 4, 1, 0, 0, 0, 0, 2, 1, 97],
            // Its rest, the second prompt, and two tokens of the third: two groups for four tokens.
            [480, 604, 4, 3, 0, 0, 2, 0, 0, 3, 94],
            [604, 720, 4, 3, 0, 0, 0, 0, 0, 3, 94],
            // Three tokens are one group.
            [720, 851, 3, 1, 1, 10, 0, 0, 0, 2, 95],
        ],
    );
    assert_layers(&run, &[FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, Some((0, 5))]);
    assert_request(&run, 0, [720, 851, 131, 0, 0]);
    assert_request(&run, 2, [851, 851, 0, 0, 0]);
}

#[test]
fn decodes_cost_none_of_the_budget() {
    // Three may run, and a cohort has two tokens.
    let requests = [Planned::alone(0, 0, 1, 9), Planned::alone(1, 0, 1, 9), Planned::alone(2, 0, 2, 1)];
    let run = run(SchedulerSpec { max_num_batched_tokens: 2, ..scheduler(TWO_GROUPS, 3, 3) }, cache(4, 100), &requests);
    let step = &run.steps[2];
    assert_eq!((step.prefill_tokens, step.decode_requests), (2, 2), "a whole cohort beside two decodes");
}

#[test]
fn the_last_decoding_request_is_preempted_and_never_one_of_the_cohort() {
    // Six blocks of two. The third prompt takes two of them while the first two decode.
    let requests = [Planned::alone(0, 0, 3, 5), Planned::alone(1, 0, 3, 5), Planned::alone(2, 120, 4, 1)];
    let run = run(scheduler(TWO_GROUPS, 16, 4), cache(2, 6), &requests);
    assert_steps(
        &run,
        &[
            [0, 136, 6, 2, 0, 0, 2, 0, 0, 2, 2],
            [136, 260, 6, 2, 0, 0, 0, 0, 1, 2, 2],
            // Both write their fourth token into the blocks they have.
            [260, 386, 4, 1, 2, 8, 1, 0, 0, 3, 0],
            // Both need a third block: the second gives up its two, and the first takes one.
            [386, 503, 4, 1, 1, 5, 0, 1, 1, 2, 1],
            // The third prompt has left. The second one's 3 + 2 tokens need three blocks, and three are free.
            [503, 634, 5, 1, 1, 6, 1, 0, 0, 2, 0],
            // The first needs a fourth block, and only a cohort beside it has any: it gives up its own.
            [634, 754, 5, 1, 0, 0, 0, 1, 1, 1, 3],
            // Its 3 + 4 tokens need four.
            [754, 855, 0, 0, 1, 6, 0, 0, 1, 1, 3],
            [855, 956, 0, 0, 1, 7, 0, 0, 1, 1, 2],
            [956, 1098, 7, 1, 0, 0, 1, 0, 0, 1, 2],
            [1098, 1226, 7, 1, 0, 0, 0, 0, 0, 1, 2],
        ],
    );
    assert_request(&run, 0, [260, 1226, 1226 - 634, 1, 0]);
    assert_request(&run, 1, [260, 956, 754 - 386, 1, 0]);
    assert_request(&run, 2, [503, 503, 0, 0, 0]);
}

#[test]
fn without_decodes_a_cohort_may_pass_the_layers_that_are_left_in_one_step() {
    let requests = [Planned::alone(0, 0, 4, 2), Planned::alone(1, 10, 3, 1)];
    let collapsed = run(scheduler(fixed(3, true), 16, 4), cache(4, 100), &requests);
    assert_steps(
        &collapsed,
        &[
            [0, 140, 4, 1, 0, 0, 1, 0, 0, 1, 99],
            [140, 253, 3, 1, 1, 5, 1, 0, 0, 2, 97],
            // The first request has its two tokens: nobody decodes any more.
            [253, 371, 3, 1, 0, 0, 0, 0, 0, 1, 99],
        ],
    );
    assert_layers(&collapsed, &[Some((0, 5)), Some((0, 2)), Some((2, 5))]);
}

#[test]
fn what_a_cohort_computes_is_found_when_it_has_passed_all_layers() {
    let shared = |at_ns| Planned {
        release: Release::At(at_ns),
        spans: vec![Span { content: ContentId::shared(7), tokens: 9 }],
        output_tokens: 1,
        session: None,
    };
    let kv = KvSpec { prefix_caching: true, ..cache(4, 100) };
    let together = run(scheduler(TWO_GROUPS, 64, 4), kv, &[shared(0), shared(0), shared(50), shared(1000)]);
    let cached: Vec<u32> = together.records.iter().map(|record| record.cached_tokens).collect();
    // Those of one cohort find nothing of each other; the third, which arrives while it is under way and is let in after it,
    // finds all blocks but that of its last token, and brings one token to its cohort.
    assert_eq!(cached, [0, 0, 8, 8]);
    assert_eq!(together.steps[2].prefill_tokens, 1);
}

#[test]
fn asynchronously_the_next_group_is_composed_while_the_one_before_runs() {
    let engine = EngineSpec { async_scheduling: true, ..EngineSpec::default() };
    let requests = [Planned::alone(0, 0, 4, 2), Planned::alone(1, 10, 3, 1)];
    let run = run_with(engine, scheduler(TWO_GROUPS, 16, 4), cache(4, 100), &requests);
    assert_steps(
        &run,
        &[
            [0, 124, 4, 1, 0, 0, 1, 0, 0, 1, 99],
            [124, 240, 4, 1, 0, 0, 0, 0, 0, 1, 99],
            // Composed at 124, when the first request's last group starts and its first token counts as done.
            [240, 359, 3, 1, 1, 5, 1, 0, 0, 2, 97],
            [359, 471, 3, 1, 0, 0, 0, 0, 0, 2, 97],
        ],
    );
    let scheduled: Vec<u64> = run.steps.iter().map(|step| step.scheduled.as_nanos()).collect();
    assert_eq!(scheduled, [0, 0, 124, 240]);
    assert_request(&run, 0, [240, 359, 119, 0, 0]);
    assert_request(&run, 1, [471, 471, 0, 0, 0]);
}

#[test]
fn energy_of_a_step_is_shared_by_tokens_and_layers() {
    // 1 W of idle power: as many nanojoules as nanoseconds. Five layers, so a prompt token in three of them counts as 0.6.
    let requests = [Planned::alone(0, 0, 4, 3), Planned::alone(1, 10, 3, 1)];
    let replica = ReplicaSpec { idle_power_w: 1.0, ..replica(scheduler(TWO_GROUPS, 16, 4), cache(4, 100), ByLayer) };
    let run = crate::engine::simulate(alone(replica), &mut Script::new(&requests)).expect("a valid run");
    let told: Vec<u64> = run.records.iter().map(|record| record.energy_nj).collect();
    // Third step: 119 nJ over 3 · 0.6 + 1 = 2.8 rows; fourth: 113 over 3 · 0.4 + 1 = 2.2.
    let decode = (119.0_f64 / 2.8).round() + (113.0_f64 / 2.2).round();
    let prompt = 3.0 * ((119.0_f64 * 0.6 / 2.8).round() + (113.0_f64 * 0.4 / 2.2).round());
    assert_eq!(told, [124 + 116 + decode as u64, prompt as u64]);
}
