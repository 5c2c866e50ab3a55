//! What must hold in every schedule, whoever wrote it.

use profiles::{Evidence, Operator};

use super::{RunHeader, ScheduledStep};

/// Times of one step may differ by this part, besides the rounding of their terms to whole nanoseconds: sums of floating-point
/// numbers in another order do.
const ARITHMETIC: f64 = 1e-6;

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
    check_times(step).or_else(say)?;
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

/// Whether the times by stage, by operator and by evidence are those of one step.
fn check_times(step: &ScheduledStep) -> Result<(), String> {
    let stages_ns = step.predicted_ns();
    let sums: [(&str, u64, usize); 2] = [
        ("operators_ns", step.operators_ns.values().sum(), Operator::COUNT),
        ("evidence_ns", step.evidence_ns.values().sum(), Evidence::COUNT),
    ];
    for (field, sum_ns, terms) in sums {
        if !agree(stages_ns, sum_ns, step.stage_ns.len() + terms) {
            return Err(format!(
                "`stage_ns` adds up to {stages_ns} ns, and `{field}` to {sum_ns} ns; expected the same"
            ));
        }
    }
    for (operator, by_evidence) in &step.operator_evidence_ns {
        let all_ns = step.operators_ns.get(operator).copied().unwrap_or(0);
        let sum_ns: u64 = by_evidence.values().sum();
        if !agree(all_ns, sum_ns, 1 + Evidence::COUNT) {
            return Err(format!(
                "`operator_evidence_ns` of {} adds up to {sum_ns} ns, and `operators_ns` has {all_ns} ns; expected the same",
                operator.name()
            ));
        }
    }
    Ok(())
}

/// Whether two sums of so many rounded terms can be the same time.
fn agree(one_ns: u64, other_ns: u64, terms: usize) -> bool {
    one_ns.abs_diff(other_ns) as f64 <= terms as f64 + ARITHMETIC * one_ns as f64
}
