//! What no run may lose or make: requests, tokens, time, energy.

use std::collections::BTreeSet;

use sim::{Ending, RequestRecord, StepRecord};

use crate::reference::Run;
use crate::scenario::Scenario;

fn demand(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

pub(super) fn check(scenario: &Scenario, run: &Run) -> Result<(), String> {
    requests(scenario, run)?;
    tokens(run)?;
    time(run)?;
    energy(scenario, run)
}

fn requests(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let counts = run.outcome.requests;
    let ids: BTreeSet<_> = run.records.iter().map(|record| record.id).collect();
    let issued = scenario.requests.len();
    demand(ids.len() == issued && run.records.len() == issued, || {
        format!("{issued} requests came, {} records of {} requests left", run.records.len(), ids.len())
    })?;
    demand(counts.issued == issued as u64 && counts.issued == counts.completed + counts.rejected(), || {
        format!("{issued} requests came, the counts say {counts:?}")
    })?;
    for record in &run.records {
        let ordered = record.arrival <= record.first_scheduled
            && record.first_scheduled <= record.first_token
            && record.first_token <= record.last_token;
        demand(ordered, || format!("times run backwards in {record:?}"))?;
    }
    Ok(())
}

fn completed(run: &Run, replica: usize) -> impl Iterator<Item = &RequestRecord> {
    run.records.iter().filter(move |record| record.ending == Ending::Completed && record.replica as usize == replica)
}

fn tokens(run: &Run) -> Result<(), String> {
    let gaps: u64 = run.gaps.values().sum();
    let after_first: u64 = run.records.iter().map(|record| u64::from(record.output_tokens.saturating_sub(1))).sum();
    demand(gaps == after_first, || format!("{after_first} tokens after the first ones have {gaps} gaps"))?;
    for (number, books) in run.outcome.replicas.iter().enumerate() {
        let generated: u64 = completed(run, number).map(|record| u64::from(record.output_tokens)).sum();
        let prefills = completed(run, number).map(|record| 1 + u64::from(record.preemptions)).sum::<u64>();
        // Every token comes from a decode row or from a completed prefill; a preemption during a prefill costs none.
        demand(books.decode_tokens <= generated && generated <= books.decode_tokens + prefills, || {
            format!(
                "replica {number} generated {generated} tokens with {} rows, {prefills} prefills",
                books.decode_tokens
            )
        })?;
        let input: u64 = completed(run, number).map(|record| u64::from(record.input_tokens)).sum();
        let cached: u64 = completed(run, number).map(|record| u64::from(record.cached_tokens)).sum();
        demand(books.prompt_tokens == input && books.cached_tokens == cached, || {
            format!("replica {number}: prompts of {input} tokens, {cached} cached, booked {books:?}")
        })?;
        demand(books.preemptions > 0 || books.prefill_tokens == input - cached, || {
            format!("replica {number} computed {} of {input} - {cached} prompt tokens", books.prefill_tokens)
        })?;
    }
    Ok(())
}

fn time(run: &Run) -> Result<(), String> {
    let elapsed = run.outcome.elapsed().as_nanos();
    for (number, books) in run.outcome.replicas.iter().enumerate() {
        for (busy, idle) in books.stage_busy.iter().zip(&books.stage_idle) {
            demand(busy.as_nanos() + idle.as_nanos() == elapsed, || {
                format!("replica {number}: busy {busy} + idle {idle} is not {elapsed} ns")
            })?;
        }
    }
    Ok(())
}

fn steps(run: &Run, replica: usize) -> impl Iterator<Item = &StepRecord> {
    run.steps.iter().filter(move |step| step.replica as usize == replica)
}

fn energy(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let deployment = scenario.deployment();
    for (number, books) in run.outcome.replicas.iter().enumerate() {
        let dynamic: f64 = steps(run, number).map(|step| step.dynamic_energy_j).sum();
        demand((dynamic - books.dynamic_energy_j).abs() <= 1e-9 * dynamic, || {
            format!("replica {number}: steps took {dynamic} J, booked {} J", books.dynamic_energy_j)
        })?;
        let idle_w = deployment.replicas[number].idle_power_w;
        let idle = idle_w * run.outcome.elapsed().as_secs_f64();
        demand((idle - books.idle_energy_j).abs() <= 1e-9 * idle, || {
            format!("replica {number}: {idle} J at idle power, booked {} J", books.idle_energy_j)
        })?;
        // What requests are told, but for half a nanojoule of rounding per token.
        let stages = books.stage_busy.len() as f64;
        let with_idle =
            |step: &StepRecord| idle_w * (step.end - step.start).as_secs_f64() / stages + step.dynamic_energy_j;
        let spent_nj: f64 = steps(run, number).map(with_idle).sum::<f64>() * 1e9;
        let told_nj: u64 = completed(run, number).map(|record| record.energy_nj).sum();
        let rows = (books.prefill_tokens + books.decode_tokens) as f64;
        demand((spent_nj - told_nj as f64).abs() <= 0.5 * rows + 1e-9 * spent_nj, || {
            format!("replica {number}: steps took {spent_nj} nJ, requests were told of {told_nj} nJ")
        })?;
    }
    Ok(())
}
