//! A long prompt among decodes: how long the decodes stand still depends on the policy, and on nothing else.
//!
//! 32 requests decode on Llama-3.1-8B and one H100 when a prompt of 4,096 tokens arrives.

use profiles::cost::{AnalyticCost, EngineOverheads};
use profiles::{CostModel, DecodeBatch, PrefillPiece, StepShape};
use sim::{Policy, SchedulerSpec, StepRecord};

use crate::deployment::{CHUNKED, alone, cache, llama_8b_on_h100, replica, scheduler};
use crate::engine;
use crate::reference::Run;
use crate::script::{Planned, Script};

const DECODES: u32 = 32;
const LONG_PROMPT: u32 = 4096;
const CHUNK: u32 = 512;

fn cost() -> AnalyticCost {
    llama_8b_on_h100(EngineOverheads::vllm_v1())
}

/// 32 prompts of 256 tokens and answers of 400 at time zero; the long prompt after a second, when all of them decode.
fn run(scheduler: SchedulerSpec) -> Run {
    let mut requests: Vec<_> = (0..u64::from(DECODES)).map(|place| Planned::alone(place, 0, 256, 400)).collect();
    requests.push(Planned::alone(u64::from(DECODES), 1_000_000_000, LONG_PROMPT, 10));
    let deployment = alone(replica(scheduler, cache(16, 4000), cost()));
    engine::simulate(deployment, &mut Script::new(&requests)).expect("a valid run")
}

/// Longest gap that any of the decoding requests saw.
fn longest_gap_ns(run: &Run) -> u64 {
    let decoding = run.records.iter().filter(|record| record.input_tokens != LONG_PROMPT);
    decoding.map(|record| record.max_gap.as_nanos()).max().expect("they ended")
}

fn ttft_of_long_prompt_ns(run: &Run) -> u64 {
    let long = run.records.iter().find(|record| record.input_tokens == LONG_PROMPT);
    long.expect("it ended").ttft().as_nanos()
}

/// The cost model's own price of a piece of the prompt beside decodes that attend to `context_tokens` in all.
fn price_ns(piece: Option<PrefillPiece>, decodes: u32, context_tokens: u64) -> u64 {
    let completes = piece.is_some_and(|piece| piece.new_tokens + piece.context_tokens == LONG_PROMPT);
    let shape = StepShape {
        prefill: piece.as_slice(),
        decode: DecodeBatch {
            requests: decodes,
            context_tokens,
            windowed_context_tokens: context_tokens,
            ..DecodeBatch::default()
        },
        sampled: decodes + u32::from(completes),
        prefill_layers: None,
    };
    cost().step(&shape, &mut [0]).duration_ns
}

/// The first step that works on the long prompt.
fn first_step_of_long_prompt(run: &Run) -> usize {
    let of_long = |step: &StepRecord| step.prefill_tokens > 0 && step.start.as_nanos() >= 1_000_000_000;
    run.steps.iter().position(of_long).expect("it was served")
}

#[test]
fn chunking_bounds_the_stall_of_decodes_by_a_chunk() {
    // Prompts of 8,192 tokens in all come first, whole under either policy's budget or in chunks: all 32 decode after it.
    let whole = run(scheduler(Policy::PrefillFirst { watermark_permille: 10 }, 8192, 64));
    let chunked = run(scheduler(CHUNKED, CHUNK, 64));

    // Under prefill-first a token of each follows the whole prompt, alone in its step, and then a step of 33 decodes.
    let at = first_step_of_long_prompt(&whole);
    let decodes = |step: &StepRecord| (step.decode_requests, step.decode_context_tokens);
    assert_eq!((decodes(&whole.steps[at - 1]).0, decodes(&whole.steps[at]).0), (DECODES, 0));
    let (_, before) = decodes(&whole.steps[at - 1]);
    let after = before + u64::from(DECODES) + u64::from(LONG_PROMPT + 1);
    let prompt_ns = price_ns(Some(PrefillPiece { new_tokens: LONG_PROMPT, context_tokens: 0 }), 0, 0);
    let whole_ns = prompt_ns + price_ns(None, DECODES + 1, after);
    assert_eq!(longest_gap_ns(&whole), whole_ns, "the whole prompt and a decode step");

    // Under chunked prefill each step of 512 tokens has 32 decodes and 480 tokens of the prompt; the longest is a late one.
    let at = first_step_of_long_prompt(&chunked);
    let (_, mut context_tokens) = decodes(&chunked.steps[at]);
    let mut done = 0;
    let mut prices = Vec::new();
    while done < LONG_PROMPT {
        let new_tokens = (CHUNK - DECODES).min(LONG_PROMPT - done);
        let piece = PrefillPiece { new_tokens, context_tokens: done };
        prices.push(price_ns(Some(piece), DECODES, context_tokens));
        done += new_tokens;
        context_tokens += u64::from(DECODES);
    }
    assert_eq!(prices.len(), 9, "4,096 tokens in chunks of 480");
    let chunk_ns = prices.into_iter().max().expect("nine of them");
    assert_eq!(longest_gap_ns(&chunked), chunk_ns, "one chunk beside the decodes");

    // A whole prompt is 8.5 chunks, cheaper per token than they are; the step of decodes comes on top.
    let ratio = whole_ns as f64 / chunk_ns as f64;
    let decode_ns = price_ns(None, DECODES, before);
    let ms = |ns: u64| ns as f64 / 1e6;
    println!("one decode step of 32 requests: {:.2} ms", ms(decode_ns));
    println!("longest gap, prefill-first: {:.2} ms, of which the prompt {:.2} ms", ms(whole_ns), ms(prompt_ns));
    println!("longest gap, chunked-prefill 512: {:.2} ms; {ratio:.2} times shorter", ms(chunk_ns));
    let ttft = [&whole, &chunked].map(|run| ms(ttft_of_long_prompt_ns(run)));
    println!("TTFT of the long prompt: prefill-first {:.2} ms, chunked-prefill 512 {:.2} ms", ttft[0], ttft[1]);
    assert!(decode_ns < chunk_ns, "a chunk is not free");
    assert!((4.0..9.0).contains(&ratio), "whole prompt to chunk: {ratio}");
    assert!(ttft[0] < ttft[1], "the long prompt itself is faster where it is not cut");
}
