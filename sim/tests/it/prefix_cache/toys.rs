//! Small cases worked out by hand.

use sim::prefix_cache::{CacheError, CacheModel, CachePolicy, HostTier, HybridShape, MarconiMode, Turn, replay};

use super::{marconi, run, span};

fn hybrid() -> CacheModel {
    CacheModel::of_shape(&HybridShape::MARCONI_7B)
}

fn transformer() -> CacheModel {
    CacheModel::of_shape(&HybridShape { ssm_layers: 0, attention_layers: 36, ..HybridShape::MARCONI_7B })
}

/// Requests whose prompts are these spans, with an answer of one token.
fn turns(prompts: &[&[(u64, u32)]]) -> Vec<Turn> {
    let turn = |(number, prompt): (usize, &&[(u64, u32)])| {
        let mut spans: Vec<_> = prompt.iter().map(|&(content, tokens)| span(content, tokens)).collect();
        spans.push(span(1_000 + number as u64, 1));
        let input_spans = spans.len() - 1;
        Turn::new(spans, input_spans)
    };
    prompts.iter().enumerate().map(turn).collect()
}

fn hits(policy: CachePolicy, model: &CacheModel, capacity: u64, turns: &[Turn]) -> Vec<u32> {
    let mut cache = policy.build(model, capacity, turns).unwrap();
    let mut hits = Vec::new();
    replay(cache.as_mut(), model, turns, |_, hit| hits.push(hit.tokens));
    hits
}

const LARGE: u64 = 1 << 50;

/// Marconi, section 4.1: what prompts have in common is found when it occurs again and reused from then on.
#[test]
fn a_shared_text_is_reused_from_its_third_occurrence_on() {
    let turns = turns(&[&[(1, 100), (2, 10)], &[(1, 100), (3, 10)], &[(1, 100), (4, 10)], &[(1, 100), (2, 10)]]);
    for policy in [CachePolicy::SglangPlus, marconi(MarconiMode::Paper, 1.0)] {
        assert_eq!(hits(policy, &hybrid(), LARGE, &turns), [0, 0, 100, 100], "{policy:?}");
        let mut held = Vec::new();
        for count in 1..=3 {
            held.push(run(policy, &hybrid(), LARGE, &turns[..count]).held.entries);
        }
        assert_eq!(held, [1, 3, 4], "one checkpoint, then two more, then one");
    }
}

#[test]
fn an_answer_is_reused_by_the_next_turn_and_by_the_same_prompt_only_with_its_answer() {
    let first: Vec<_> = vec![span(1, 100), span(9, 20)];
    let follow_up = vec![span(1, 100), span(9, 20), span(2, 5), span(10, 1)];
    let turns = [Turn::new(first, 1), Turn::new(follow_up, 3)];
    assert_eq!(hits(CachePolicy::SglangPlus, &hybrid(), LARGE, &turns), [0, 120]);
}

#[test]
fn kv_alone_is_reused_from_the_second_occurrence_on() {
    let turns = turns(&[&[(1, 100), (2, 10)], &[(1, 100), (3, 10)]]);
    assert_eq!(hits(CachePolicy::RadixLru, &transformer(), LARGE, &turns), [0, 100]);
    assert_eq!(hits(CachePolicy::HashLru { block_tokens: 16 }, &transformer(), LARGE, &turns), [0, 96]);
    assert_eq!(hits(CachePolicy::Belady, &transformer(), LARGE, &turns), [0, 100]);
    assert_eq!(hits(CachePolicy::None, &transformer(), LARGE, &turns), [0, 0]);
}

#[test]
fn an_evicted_node_in_the_middle_leaves_its_kv_to_its_child() {
    // The first turn's end is a node with one child once the second turn is there. It is the older of the two, so alpha 0
    // evicts it when the third request needs room; the second turn's end is still reused by the last request.
    let first = vec![span(1, 100)];
    let second = vec![span(1, 100), span(2, 100)];
    let other = vec![span(3, 100)];
    let third = vec![span(1, 100), span(2, 100), span(4, 1)];
    let turns = [Turn::new(first, 1), Turn::new(second, 2), Turn::new(other, 1), Turn::new(third, 3)];
    let model = hybrid();
    let capacity = 2 * model.checkpoint_bytes() + 300 * model.kv_bytes_per_token();
    let policy = marconi(MarconiMode::Paper, 0.0);
    assert_eq!(hits(policy, &model, capacity, &turns), [0, 100, 0, 200]);
    assert_eq!(run(policy, &model, capacity, &turns[..3]).held.bytes, capacity, "one checkpoint went, no KV");
}

#[test]
fn blocks_with_checkpoints_reuse_a_partial_tail_and_fill_it_in_place() {
    let policy = CachePolicy::VllmPlus { block_tokens: 32 };
    let first = vec![span(1, 40)];
    let second = vec![span(1, 40), span(2, 30)];
    let third = vec![span(1, 40), span(2, 30), span(3, 1)];
    let turns = [Turn::new(first, 1), Turn::new(second, 2), Turn::new(third, 3)];
    assert_eq!(hits(policy, &hybrid(), LARGE, &turns), [0, 40, 70], "32 + 8, then 64 + 6 tokens");
    assert_eq!(run(policy, &hybrid(), LARGE, &turns).held.entries, 3, "71 tokens: the tail of 8 became a full block");
    let reuse = run(policy, &hybrid(), LARGE, &turns).block_reuse.expect("its blocks have checkpoints");
    let counts = (reuse.stored, reuse.kv_reused, reuse.checkpoints_reused);
    assert_eq!(counts, (3, 3, 2), "all KV was reused, and the checkpoint behind the first 32 tokens never");
}

#[test]
fn a_sequence_larger_than_a_radix_cache_is_stored_and_reported() {
    let turns = turns(&[&[(1, 1_000)], &[(2, 10)]]);
    let model = hybrid();
    let capacity = model.checkpoint_bytes() + 500 * model.kv_bytes_per_token();
    let held = run(CachePolicy::SglangPlus, &model, capacity, &turns).held;
    assert_eq!(held.peak_bytes, model.checkpoint_bytes() + 1_001 * model.kv_bytes_per_token());
    assert!(held.bytes <= capacity, "the next request makes room again");
}

#[test]
fn the_second_tier_has_what_the_device_had_to_forget() {
    let model = hybrid();
    let turns = turns(&[&[(1, 100)], &[(2, 100)], &[(1, 100), (1_000, 1), (3, 1)]]);
    let one = model.checkpoint_bytes() + 101 * model.kv_bytes_per_token();
    let build = |capacity| CachePolicy::SglangPlus.build(&model, capacity, &turns).unwrap();
    let mut tiers = HostTier::new(build(one), build(LARGE), model);
    let report = replay(&mut tiers, &model, &turns, |_, _| ());
    assert_eq!((report.hit_tokens, report.fetched_tokens), (101, 101));
    assert_eq!(report.fetched_bytes, one, "the KV of 101 tokens and one checkpoint");
    assert_eq!(run(CachePolicy::SglangPlus, &model, one, &turns).hit_tokens, 0, "the device alone has forgotten it");
}

#[test]
fn policies_of_kv_alone_refuse_hybrids_and_say_which_policy_serves_them() {
    let error = CachePolicy::RadixLru.build(&hybrid(), LARGE, &[]).unwrap_err();
    assert_eq!(error, CacheError::NeedsCheckpoints { policy: "radix-lru", instead: "sglang-plus" });
    let error = CachePolicy::HashLru { block_tokens: 16 }.build(&hybrid(), LARGE, &[]).unwrap_err();
    let message = "hash-lru keeps KV alone and cannot serve a model with recurrent layers; vllm-plus does";
    assert_eq!(error.to_string(), message);
    let error = CachePolicy::HashLru { block_tokens: 16 }.build(&transformer(), 1_000, &[]).unwrap_err();
    assert_eq!(error.to_string(), "a cache of 1000 bytes does not hold one block of 9437184 bytes");
}
