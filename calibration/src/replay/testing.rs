//! A small schedule for tests.

use std::fmt::Write as _;
use std::path::PathBuf;

use profiles::cost::{AnalyticCost, CostOptions};
use profiles::{CostModel as _, DeviceSpec, ModelSpec, StepShape};

use super::schedule::{FileHeader, Line, RunEnd, RunHeader, ScheduledModel, ScheduledPiece, ScheduledStep, VERSION};

/// A run of a small model.
pub(super) fn run(system: &str, seed: u64) -> RunHeader {
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B").expect("it is shipped");
    let device = DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped");
    let options = CostOptions::new(&model, &device);
    RunHeader {
        system: system.to_owned(),
        seed,
        model: ScheduledModel::new(&model),
        device: device.name.clone(),
        parallelism: options.parallelism,
        precision: options.precision,
        routing: options.routing.clone(),
        engine: options.engine.clone(),
        policy: "chunked-prefill".to_owned(),
        max_num_batched_tokens: 2048,
        max_num_seqs: 256,
        max_model_len: 8192,
        block_size: 16,
        kv_blocks: 1000,
        prefix_caching: false,
        sliding_window: None,
    }
}

/// Steps `0..n` of it: one request is prefilled and then decodes, beside a second one that decodes all the time.
pub(super) fn steps(n: u64) -> Vec<ScheduledStep> {
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B").expect("it is shipped");
    let device = DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped");
    let mut cost = AnalyticCost::new(&CostOptions::new(&model, &device)).expect("it can be built");
    (0..n)
        .map(|step| {
            let mut decode = vec![(1, 500 + step as u32)];
            let mut prefill = Vec::new();
            if step == 0 {
                prefill.push(ScheduledPiece { request: 2, new_tokens: 300, context_tokens: 0, completes: true });
            } else {
                decode.push((2, 300 + step as u32));
            }
            let sampled = decode.len() as u32 + u32::from(step == 0);
            let mut scheduled = ScheduledStep {
                step,
                replica: 0,
                slot: 0,
                start_ns: 1000 * step,
                end_ns: 1000 * (step + 1),
                stage_ns: vec![0],
                sampled,
                free_blocks: 100,
                prefill_layers: None,
                prefill,
                decode,
                operators_ns: std::collections::BTreeMap::new(),
                evidence_ns: std::collections::BTreeMap::new(),
                operator_evidence_ns: std::collections::BTreeMap::new(),
            };
            let pieces = scheduled.pieces();
            let shape =
                StepShape { prefill: &pieces, decode: scheduled.decode_batch(None), sampled, prefill_layers: None };
            cost.step(&shape, &mut scheduled.stage_ns);
            scheduled.set_cost(&cost.explain(&shape));
            scheduled
        })
        .collect()
}

/// The lines of a schedule with these runs.
pub(super) fn lines(runs: &[(RunHeader, Vec<ScheduledStep>)]) -> String {
    let mut text = String::new();
    let mut push = |line: &Line| writeln!(text, "{}", serde_json::to_string(line).expect("JSON")).expect("memory");
    push(&Line::Schedule(FileHeader { version: VERSION }));
    for (run, steps) in runs {
        push(&Line::Run(Box::new(run.clone())));
        let mut end = RunEnd::default();
        for step in steps {
            end.add(step);
            push(&Line::Step(Box::new(step.clone())));
        }
        push(&Line::End(end));
    }
    text
}

/// A file with this text in a folder of its own.
pub(super) fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("schedule.jsonl");
    std::fs::write(&path, text).expect("it can be written");
    (folder, path)
}
