//! What must hold in every schedule, whoever wrote it.

use super::{RunHeader, ScheduledStep};

/// What is wrong with the head of a run.
pub(super) fn check_run(run: &RunHeader) -> Result<(), String> {
    let positive = [
        ("model.hidden_size", run.model.hidden_size),
        ("model.vocab_size", run.model.vocab_size),
        ("model.layers", run.model.layer_count()),
        ("parallelism.tensor_parallel_size", run.parallelism.tensor_parallel_size),
        ("parallelism.pipeline_parallel_size", run.parallelism.pipeline_parallel_size),
        ("parallelism.data_parallel_size", run.parallelism.data_parallel_size),
        ("block_size", run.block_size),
        ("kv_blocks", run.kv_blocks),
        ("max_num_batched_tokens", run.max_num_batched_tokens),
        ("max_num_seqs", run.max_num_seqs),
    ];
    match positive.iter().find(|(_, value)| *value == 0) {
        Some((field, _)) => Err(format!("`{field}` is 0; expected at least 1")),
        None => Ok(()),
    }
}

/// What is wrong with the step that should have number `number`.
pub(super) fn check_step(step: &ScheduledStep, number: u64, run: &RunHeader) -> Result<(), String> {
    let say = |message: String| Err(format!("step {number}: {message}"));
    if step.step != number {
        return Err(format!("step {} where step {number} was expected: lines are missing", step.step));
    }
    if step.rows() == 0 {
        return say("nobody is in it".to_owned());
    }
    if step.end_ns < step.start_ns {
        return say(format!("ends at {} ns, before it starts at {} ns", step.end_ns, step.start_ns));
    }
    if step.stage_ns.len() != run.parallelism.pipeline_parallel_size as usize {
        let stages = run.parallelism.pipeline_parallel_size;
        return say(format!("{} stage times for {stages} pipeline stages", step.stage_ns.len()));
    }
    let completing = step.prefill.iter().filter(|piece| piece.completes).count();
    if step.sampled as usize != step.decode.len() + completing {
        return say(format!(
            "samples {} positions; {} requests decode and {completing} prompts complete",
            step.sampled,
            step.decode.len()
        ));
    }
    for piece in &step.prefill {
        let end = u64::from(piece.context_tokens) + u64::from(piece.new_tokens);
        if piece.new_tokens == 0 || end > u64::from(run.max_model_len) {
            return say(format!(
                "request {} has a piece of {} tokens after {}; expected 1 to max_model_len = {} tokens in all",
                piece.request, piece.new_tokens, piece.context_tokens, run.max_model_len
            ));
        }
    }
    for &(request, context_tokens) in &step.decode {
        if context_tokens == 0 || context_tokens > run.max_model_len {
            return say(format!(
                "request {request} attends to {context_tokens} tokens; expected 1 to max_model_len = {}",
                run.max_model_len
            ));
        }
    }
    let layers = run.model.layer_count();
    match step.prefill_layers {
        Some(part) if part.start > part.end || part.end > layers => {
            say(format!("prompts pass through layers {} to {} of {layers}", part.start, part.end))
        }
        _ => Ok(()),
    }
}
