//! What no run may lose or make: requests, tokens, time, energy.

use std::collections::BTreeSet;

use sim::{Ending, Policy, ReplicaOutcome, ReplicaSpec, RequestRecord, Role, StepRecord, TransferMode};

use crate::reference::Run;
use crate::scenario::Scenario;

fn demand(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

pub(super) fn check(scenario: &Scenario, run: &Run) -> Result<(), String> {
    requests(scenario, run)?;
    tokens(scenario, run)?;
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

/// Replicas whose books are about the same requests: each alone, or all where requests are handed over.
fn parts(run: &Run) -> Vec<Vec<usize>> {
    let all = 0..run.outcome.replicas.len();
    if run.outcome.transfers.is_some() { vec![all.collect()] } else { all.map(|number| vec![number]).collect() }
}

fn completed<'a>(run: &'a Run, part: &'a [usize]) -> impl Iterator<Item = &'a RequestRecord> {
    let here = |record: &&RequestRecord| part.contains(&(record.replica as usize));
    run.records.iter().filter(|record| record.ending == Ending::Completed).filter(here)
}

fn tokens(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let gaps: u64 = run.gaps.values().sum();
    let after_first: u64 = run.records.iter().map(|record| u64::from(record.output_tokens.saturating_sub(1))).sum();
    demand(gaps == after_first, || format!("{after_first} tokens after the first ones have {gaps} gaps"))?;
    for part in parts(run) {
        let sum =
            |of: fn(&ReplicaOutcome) -> u64| part.iter().map(|&number| of(&run.outcome.replicas[number])).sum::<u64>();
        let (decoded, prefilled) = (sum(|books| books.decode_tokens), sum(|books| books.prefill_tokens));
        let preemptions = sum(|books| books.preemptions);
        let generated: u64 = completed(run, &part).map(|record| u64::from(record.output_tokens)).sum();
        let prefills = completed(run, &part).map(|record| 1 + u64::from(record.preemptions)).sum::<u64>();
        // Every token comes from a decode row or from a completed prefill; a preemption during a prefill costs none.
        demand(decoded <= generated && generated <= decoded + prefills, || {
            format!("replicas {part:?} generated {generated} tokens with {decoded} rows, {prefills} prefills")
        })?;
        // Prompts that were computed elsewhere are nobody's work.
        let elsewhere = run.outcome.transfers.is_none() && run.outcome.replicas[part[0]].role == Role::Decode;
        let share = u64::from(!elsewhere);
        let input: u64 = completed(run, &part).map(|record| u64::from(record.input_tokens) * share).sum();
        let cached: u64 = completed(run, &part).map(|record| u64::from(record.cached_tokens)).sum();
        let booked = (sum(|books| books.prompt_tokens), sum(|books| books.cached_tokens));
        demand(booked == (input, cached), || {
            format!("replicas {part:?}: prompts of {input} tokens, {cached} cached, booked {booked:?}")
        })?;
        demand(preemptions > 0 || prefilled == input - cached, || {
            format!("replicas {part:?} computed {prefilled} of {input} - {cached} prompt tokens")
        })?;
    }
    handovers(scenario, run)
}

/// Every request with a second token that did not stay on one replica of a mixed pool went over once, with its bytes, on the
/// links that books and records name.
fn handovers(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let records: Vec<_> = run.records.iter().filter_map(|record| record.handover).collect();
    let (Some(transfers), Some(spec)) = (&run.outcome.transfers, scenario.deployment().handover) else {
        return demand(records.is_empty(), || format!("{} handovers in a deployment without any", records.len()));
    };
    for record in &run.records {
        let Some(handover) = record.handover else { continue };
        let whole = spec.kv_bytes_per_token * u64::from(record.input_tokens) + spec.state_bytes;
        let ordered = handover.accepted <= handover.arrived && handover.prompt_done <= handover.arrived;
        demand(handover.kv_bytes == whole && ordered && handover.arrived <= record.last_token, || {
            format!("a KV cache of {whole} bytes did not go over once and in time: {record:?}")
        })?;
    }
    let whole = run.outcome.mixed.map_or(0, |mixed| mixed.whole_requests as usize);
    let answered = |record: &&RequestRecord| record.ending == Ending::Completed && record.output_tokens > 1;
    let due = run.records.iter().filter(answered).count() - whole;
    let bytes: u64 = records.iter().map(|handover| handover.kv_bytes).sum();
    demand(records.len() == due && transfers.requests == due as u64 && transfers.bytes == bytes, || {
        format!("{due} requests of {bytes} bytes were to be handed over, {} were: {transfers:?}", records.len())
    })?;
    let mut carried = vec![0; spec.network.links.len()];
    for handover in &records {
        let paths = spec.network.paths_of(spec.routes[&(handover.from, handover.to)]);
        let parts: u64 = paths.iter().map(|path| u64::from(path.parts)).sum();
        let mut before = 0;
        for path in paths {
            let until = before + u64::from(path.parts);
            let bytes = handover.kv_bytes * until / parts - handover.kv_bytes * before / parts;
            path.links.iter().for_each(|&link| carried[link as usize] += bytes);
            before = until;
        }
    }
    let booked: Vec<u64> = transfers.links.iter().map(|link| link.bytes).collect();
    // What leaves by groups of layers is several messages, each of which the paths of its route share to the byte.
    let most_layers = scenario.deployment().replicas.iter().filter_map(most_groups).max().unwrap_or(0);
    let pushes = matches!(spec.mode, TransferMode::PushByLayer { .. });
    let shared = spec.routes.values().any(|&route| spec.network.paths_of(route).len() > 1);
    let rounded = if pushes && shared { most_layers * records.len() as u64 } else { 0 };
    demand(carried.iter().zip(&booked).all(|(sent, booked)| sent.abs_diff(*booked) <= rounded), || {
        format!("links carried {booked:?} bytes, and {carried:?} were sent over them")
    })?;
    for (number, books) in run.outcome.replicas.iter().enumerate() {
        let from = records.iter().filter(|handover| handover.from as usize == number).count() as u64;
        let to = records.iter().filter(|handover| handover.to as usize == number).count() as u64;
        demand((books.handed_over, books.taken_over) == (from, to), || {
            format!("replica {number} handed {from} over and took {to}, booked {books:?}")
        })?;
    }
    Ok(())
}

/// Groups in which a prompt may pass the layers of a replica, if it is in any.
fn most_groups(replica: &ReplicaSpec) -> Option<u64> {
    let layered = matches!(replica.scheduler.policy, Policy::LayeredPrefill { .. });
    replica.cost.layers().filter(|_| layered).map(u64::from)
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

fn steps<'a>(run: &'a Run, part: &'a [usize]) -> impl Iterator<Item = &'a StepRecord> {
    run.steps.iter().filter(|step| part.contains(&(step.replica as usize)))
}

fn energy(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let deployment = scenario.deployment();
    for (number, books) in run.outcome.replicas.iter().enumerate() {
        let dynamic: f64 = steps(run, &[number]).map(|step| step.dynamic_energy_j).sum();
        demand((dynamic - books.dynamic_energy_j).abs() <= 1e-9 * dynamic, || {
            format!("replica {number}: steps took {dynamic} J, booked {} J", books.dynamic_energy_j)
        })?;
        let idle = deployment.replicas[number].idle_power_w * run.outcome.elapsed().as_secs_f64();
        demand((idle - books.idle_energy_j).abs() <= 1e-9 * idle, || {
            format!("replica {number}: {idle} J at idle power, booked {} J", books.idle_energy_j)
        })?;
    }
    for part in parts(run) {
        // What requests are told, but for half a nanojoule of rounding per token.
        let with_idle = |step: &StepRecord| {
            let replica = step.replica as usize;
            let cost = &deployment.replicas[replica].cost;
            let sharing = cost.offloaded_batches().unwrap_or_else(|| cost.stages()) as f64;
            let idle_w = deployment.replicas[replica].idle_power_w;
            idle_w * (step.end - step.start).as_secs_f64() / sharing + step.dynamic_energy_j
        };
        let spent_nj: f64 = steps(run, &part).map(with_idle).sum::<f64>() * 1e9;
        let told_nj: u64 = completed(run, &part).map(|record| record.energy_nj).sum();
        let rows: f64 = steps(run, &part).map(|step| f64::from(step.prefill_tokens + step.decode_requests)).sum();
        demand((spent_nj - told_nj as f64).abs() <= 0.5 * rows + 1e-9 * spent_nj, || {
            format!("replicas {part:?}: steps took {spent_nj} nJ, requests were told of {told_nj} nJ")
        })?;
    }
    Ok(())
}
