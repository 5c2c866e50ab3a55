//! Prefixes of a hybrid model: KV of a token has 16 bytes and a checkpoint 256, so that a block of four tokens has 64 bytes
//! and a checkpoint weighs as much as four blocks.

use sim::prefix_cache::{Alpha, CacheModel, HybridShape, MarconiMode};
use sim::{BranchStates, CheckpointEviction, CheckpointSpec, LayerGroups, Policy, ReplicaSpec, SchedulerSpec};
use workloads::{ContentId, Span};

use super::assert_steps;
use super::layered::ByLayer;
use crate::deployment::{CHUNKED, FREE, alone, cache, replica, scheduler};
use crate::reference::Run;
use crate::script::{Planned, Release, Script, answer};
use profiles::cost::simple::{PolynomialCost, PolynomialOptions};

const MARCONI: CheckpointEviction =
    CheckpointEviction::FlopAware { mode: MarconiMode::Paper, alpha: Alpha::Fixed(1.0) };

fn spec(eviction: CheckpointEviction, branches: BranchStates) -> CheckpointSpec {
    let shape = HybridShape { ssm_layers: 1, attention_layers: 1, mlp_layers: 1, width: 4, state: 8, value_bytes: 2 };
    let model = CacheModel::of_shape(&shape);
    assert_eq!((model.kv_bytes_per_token(), model.checkpoint_bytes()), (16, 256));
    CheckpointSpec { model, eviction, branches }
}

/// A step takes 100 ns, and 10 more for each prompt token.
fn chunked(checkpoints: CheckpointSpec, blocks: u32, requests: &[Planned]) -> Run {
    let cost = PolynomialCost::new(PolynomialOptions { per_step_ns: 100.0, per_prompt_token_ns: 10.0, ..FREE });
    let one = replica(scheduler(CHUNKED, 64, 4), cache(4, blocks), cost);
    run(ReplicaSpec { checkpoints: Some(checkpoints), ..one }, requests)
}

fn run(replica: ReplicaSpec, requests: &[Planned]) -> Run {
    crate::engine::simulate(alone(replica), &mut Script::new(requests)).expect("a valid run")
}

/// Eight tokens that all share, and three of its own.
fn shared(place: u64, at_ns: u64) -> Planned {
    let spans = [(ContentId::shared(7), 8), (ContentId::unique(place), 3)];
    let spans = spans.map(|(content, tokens)| Span { content, tokens }).to_vec();
    Planned { release: Release::At(at_ns), spans, output_tokens: 1, session: None }
}

fn cached(run: &Run) -> Vec<u32> {
    run.records.iter().map(|record| record.cached_tokens).collect()
}

#[test]
fn a_shared_text_is_computed_twice_and_found_from_the_third_time_on() {
    let requests = [shared(0, 0), shared(1, 1000), shared(2, 2000)];
    let run = chunked(spec(MARCONI, BranchStates::Cut), 100, &requests);
    assert_steps(
        &run,
        &[
            [0, 210, 11, 1, 0, 0, 1, 0, 0, 1, 97],
            // The second leaves what the first left behind 8 tokens: it is cut there, and its state is kept.
            [1000, 1180, 8, 1, 0, 0, 1, 0, 0, 1, 98],
            [1180, 1310, 3, 1, 0, 0, 0, 0, 0, 1, 97],
            // The third starts from that: two blocks of tokens and a checkpoint are held for it, one block is its own.
            [2000, 2130, 3, 1, 0, 0, 1, 0, 0, 1, 93],
        ],
    );
    assert_eq!(cached(&run), [0, 0, 8]);
}

#[test]
fn where_kernels_write_states_in_passing_nothing_is_cut_and_the_rest_is_computed_again() {
    let requests = [shared(0, 0), shared(1, 1000), shared(2, 2000)];
    let run = chunked(spec(MARCONI, BranchStates::Every(3)), 100, &requests);
    let took: Vec<u64> = run.records.iter().map(|record| record.first_token.since(record.arrival).as_nanos()).collect();
    assert_eq!((cached(&run), took), (vec![0, 0, 6], vec![210, 210, 150]), "the last state before 8 is that behind 6");
}

#[test]
fn the_next_turn_starts_where_the_answer_ended() {
    let first = Planned::alone(0, 0, 9, 6);
    let mut next = Planned { release: Release::After { of: 0, think_ns: 0 }, ..first.clone() };
    next.spans.push(Span { content: answer(0), tokens: 6 });
    next.spans.push(Span { content: ContentId::unique(1), tokens: 4 });
    for eviction in [MARCONI, CheckpointEviction::LeafLru] {
        let run = chunked(spec(eviction, BranchStates::Cut), 100, &[first.clone(), next.clone()]);
        assert_eq!(cached(&run), [0, 14], "the last token of an answer is never computed");
    }
}

#[test]
fn what_requests_need_is_taken_from_what_nobody_holds() {
    // Ten blocks: what the first leaves takes three for its tokens and four for its checkpoint.
    let requests = [shared(0, 0), Planned::alone(1, 1000, 24, 1), shared(2, 2000)];
    let run = chunked(spec(MARCONI, BranchStates::Cut), 10, &requests);
    assert_eq!(run.steps[1].free_blocks, 4, "the second has the six blocks of its prompt");
    assert_eq!(cached(&run), [0, 0, 0]);
    assert_eq!(run.steps.len(), 3, "nothing was left that the third could have left");
}

#[test]
fn with_layered_prefill_a_cut_is_a_round_through_all_groups_more() {
    let policy = Policy::LayeredPrefill { groups: LayerGroups::Fixed(2), collapse_without_decodes: false };
    let prompts = [shared(0, 0), shared(1, 1000), shared(2, 2000)];
    let steps = |branches| {
        let scheduler = SchedulerSpec { max_num_batched_tokens: 64, ..scheduler(policy, 4, 4) };
        let checkpoints = Some(spec(MARCONI, branches));
        let run = run(ReplicaSpec { checkpoints, ..replica(scheduler, cache(4, 100), ByLayer) }, &prompts);
        let steps = run.steps.iter().map(|step| step.prefill_tokens).collect::<Vec<_>>();
        (steps, cached(&run))
    };
    assert_eq!(steps(BranchStates::Cut), (vec![11, 11, 8, 8, 3, 3, 3, 3], vec![0, 0, 8]));
    assert_eq!(steps(BranchStates::Every(4)), (vec![11, 11, 11, 11, 3, 3], vec![0, 0, 8]));
}
