//! How the steps of a system are composed.

use profiles::{DeviceSpec, ModelSpec, Parallelism};
use sim::{FirstLevel, GroupOrder, LayerGroups, Policy, QueueOrder, SchedulerSpec};

use crate::diagnostic::Problem;
use crate::file::key::Key;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// How steps are composed; refuses what the policy cannot do on these pipeline stages.
pub(super) fn read(
    reader: &mut Reader<'_>,
    model: &ModelSpec,
    device: &DeviceSpec,
    max_model_len: u32,
    parallelism: Parallelism,
) -> Result<SchedulerSpec, Problem> {
    let read = |table: &mut Reader<'_>| scheduler(table, model, device, max_model_len);
    let scheduler = reader.table(&s::SCHEDULER, read)?.expect("it has a default");
    if let Policy::LayeredPrefill { .. } = scheduler.policy {
        if parallelism.pipeline_parallel_size > 1 {
            let problem = reader.problem(&s::PIPELINE_PARALLEL_SIZE, "layered prefill runs on one pipeline stage");
            return Err(problem.label("expected 1 with `policy = \"layered-prefill\"`").help(
                "a cohort passes one group of layers at a time, and the stages that hold the others would stand still",
            ));
        }
        if reader.has(&s::STEP_COST) {
            let problem =
                reader.problem(&s::STEP_COST, "a step cost prices whole steps, and layered prefill makes none");
            return Err(problem.label("leave it out: kernels have prices layer by layer"));
        }
    }
    Ok(scheduler)
}

fn scheduler(
    reader: &mut Reader<'_>,
    model: &ModelSpec,
    device: &DeviceSpec,
    max_model_len: u32,
) -> Result<SchedulerSpec, Problem> {
    let name: String = reader.get(&s::POLICY);
    let policy = match name.as_str() {
        "chunked-prefill" => Policy::ChunkedPrefill {
            long_prefill_token_threshold: reader.get(&s::LONG_PREFILL_TOKEN_THRESHOLD),
            scheduler_reserve_full_isl: reader.get(&s::SCHEDULER_RESERVE_FULL_ISL),
        },
        "sarathi" => Policy::Sarathi,
        "prefill-first" => Policy::PrefillFirst { watermark_permille: watermark_permille(reader)? },
        "orca" => Policy::Orca,
        "splitwise" => Policy::Splitwise,
        "layered-prefill" => Policy::LayeredPrefill {
            groups: layer_groups(reader, model)?,
            collapse_without_decodes: reader.get(&s::COLLAPSE_WITHOUT_DECODES),
        },
        "batchllm" => Policy::BatchLlm {
            order: group_order(reader),
            token_batching_degree: reader.get(&s::TOKEN_BATCHING_DEGREE),
            watermark_permille: watermark_permille(reader)?,
            first_level: first_level(reader),
        },
        "blendserve" => Policy::BlendServe {
            sample_permille: permille(reader, &s::OUTPUT_SAMPLE)?,
            known_from_tokens: reader.maybe(&s::KNOWN_OUTPUTS_FROM).unwrap_or(u32::MAX),
            kept_sharing_permille: permille(reader, &s::KEPT_SHARING)?,
            watermark_permille: watermark_permille(reader)?,
            group_prefixes: reader.get(&s::GROUP_PREFIXES),
        },
        other => unreachable!("`{other}` is no choice"),
    };
    let (tokens, seqs) = defaults(device, policy, max_model_len);
    let layered = matches!(policy, Policy::LayeredPrefill { .. });
    let max_num_batched_tokens: u32 = reader.or(&s::MAX_NUM_BATCHED_TOKENS, || tokens);
    let max_num_seqs: u32 =
        reader.or(&s::MAX_NUM_SEQS, || if layered { seqs } else { seqs.min(max_num_batched_tokens) });
    if !layered && max_num_seqs > max_num_batched_tokens {
        let label =
            format!("each takes a token of a step, and a step has max_num_batched_tokens = {max_num_batched_tokens}");
        return Err(reader.problem(&s::MAX_NUM_SEQS, "a step has no room for so many requests").label(label));
    }
    let order = order(reader, policy)?;
    if let (Policy::BlendServe { group_prefixes: true, .. }, true) = (policy, order != QueueOrder::Density) {
        let problem = reader.problem(&s::ORDER, "groups of requests are taken from both ends");
        return Err(problem.label("expected density beside `group_prefixes = true`"));
    }
    let spec = SchedulerSpec { policy, max_num_batched_tokens, max_num_seqs, order };
    if let Policy::BatchLlm { .. } = policy {
        check_grouped(reader, spec)?;
    }
    Ok(spec)
}

fn watermark_permille(reader: &mut Reader<'_>) -> Result<u32, Problem> {
    permille(reader, &s::WATERMARK)
}

/// A share that the scheduler counts in thousandths.
fn permille(reader: &mut Reader<'_>, key: &'static Key) -> Result<u32, Problem> {
    let share: f64 = reader.get(key);
    let permille = (share * 1000.0).round();
    if (permille / 1000.0 - share).abs() > 1e-9 {
        let problem = reader.problem(key, "this share is finer than the scheduler counts");
        return Err(problem.label("expected thousandths, such as 0.01"));
    }
    Ok(permille as u32)
}

fn group_order(reader: &mut Reader<'_>) -> GroupOrder {
    let name: String = reader.get(&s::GROUP_ORDER);
    match name.as_str() {
        "decode-share" => GroupOrder::DecodeShare,
        "submission" => GroupOrder::Submission,
        other => unreachable!("`{other}` is no choice"),
    }
}

fn first_level(reader: &mut Reader<'_>) -> FirstLevel {
    let name: String = reader.get(&s::FIRST_LEVEL);
    match name.as_str() {
        "enlarged" => FirstLevel::Enlarged,
        "enlarged-together" => FirstLevel::EnlargedTogether,
        "as-is" => FirstLevel::AsIs,
        other => unreachable!("`{other}` is no choice"),
    }
}

fn check_grouped(reader: &Reader<'_>, spec: SchedulerSpec) -> Result<(), Problem> {
    if spec.seats() > spec.max_num_batched_tokens {
        let most = spec.max_num_batched_tokens - spec.max_num_seqs;
        let problem = reader.problem(&s::TOKEN_BATCHING_DEGREE, "a step has no room for so many requests");
        return Err(problem.label(format!(
            "at most {most}: each takes a token of a step, and a step has max_num_batched_tokens = {}",
            spec.max_num_batched_tokens
        )));
    }
    if spec.order != QueueOrder::Fcfs {
        let problem = reader.problem(&s::ORDER, "BatchLLM orders groups, not requests");
        return Err(problem.label("leave it out, and say `group_order`"));
    }
    Ok(())
}

/// In which order waiting requests are let in.
fn order(reader: &mut Reader<'_>, policy: Policy) -> Result<QueueOrder, Problem> {
    let blends = matches!(policy, Policy::BlendServe { .. });
    let name: String = reader.or(&s::ORDER, || if blends { "density" } else { "fcfs" }.to_owned());
    if name == "density" && !blends {
        let problem = reader.problem(&s::ORDER, "only blendserve takes requests from both ends");
        return Err(problem.label("it belongs to `policy = \"blendserve\"`"));
    }
    if ["longest-prefix-match", "shortest-prompt-first", "shortest-job-first"].contains(&name.as_str()) && blends {
        let problem = reader.problem(&s::ORDER, "blendserve needs an order that is settled before the batch runs");
        return Err(problem.label("expected density, dfs, random or fcfs"));
    }
    if name != "longest-prefix-match" && reader.has(&s::LONGEST_PREFIX_MATCH_LIMIT) {
        let message = format!("`longest_prefix_match_limit` has no effect with `order = \"{name}\"`");
        let problem = Problem::at(reader.key_span(&s::LONGEST_PREFIX_MATCH_LIMIT), message);
        return Err(problem.label("it belongs to `order = \"longest-prefix-match\"`"));
    }
    Ok(match name.as_str() {
        "fcfs" => QueueOrder::Fcfs,
        "random" => QueueOrder::Random,
        "dfs" => QueueOrder::DepthFirst,
        "density" => QueueOrder::Density,
        "longest-prefix-match" => QueueOrder::LongestPrefixMatch {
            most: reader.or(&s::LONGEST_PREFIX_MATCH_LIMIT, || QueueOrder::SGLANG_MOST),
        },
        "shortest-prompt-first" => QueueOrder::SHORTEST_PROMPT_FIRST,
        "shortest-job-first" => QueueOrder::SHORTEST_JOB_FIRST,
        other => unreachable!("`{other}` is no choice"),
    })
}

/// vLLM's defaults of `max_num_batched_tokens` and `max_num_seqs` for its API server (`EngineArgs` in
/// `vllm/engine/arg_utils.py`, v1: by device memory, A100 apart). Engines that never split prompts (v0) take at least one
/// of `max_model_len`, and 256 requests. For layered prefill and Splitwise those of their public code, for
/// BatchLLM those of its authors' test.
fn defaults(device: &DeviceSpec, policy: Policy, max_model_len: u32) -> (u32, u32) {
    /// The name says 80 GB where the driver reports a little less; vLLM asks the driver.
    const LARGE_BYTES: u64 = 70 << 30;
    let large = device.memory_bytes >= LARGE_BYTES && !device.name.to_lowercase().contains("a100");
    match policy {
        Policy::LayeredPrefill { .. } => return (8192, 256),
        Policy::BatchLlm { .. } => return (2048, 256),
        _ => {}
    }
    if policy == Policy::Splitwise {
        return (2048, 512);
    }
    match (policy.whole_prompts(), large) {
        (true, _) => (max_model_len.max(2048), 256),
        (false, true) => (8192, 1024),
        (false, false) => (2048, 256),
    }
}

/// Into how many groups layered prefill cuts the model's layers.
fn layer_groups(reader: &mut Reader<'_>, model: &ModelSpec) -> Result<LayerGroups, Problem> {
    const SETTINGS: [(&str, &Key); 3] =
        [("per-tokens", &s::REFERENCE_CHUNK), ("table", &s::NUM_STAGES), ("fixed", &s::NUM_GROUPS)];
    let rule: String = reader.get(&s::GROUPS);
    if let Some((other, key)) = SETTINGS.into_iter().find(|(other, key)| *other != rule && reader.has(key)) {
        let message = format!("`{}` has no effect with `groups = \"{rule}\"`", key.name);
        let problem = Problem::at(reader.key_span(key), message);
        return Err(problem.label(format!("it belongs to `groups = \"{other}\"`")));
    }
    let layers = model.layers.len() as u32;
    match rule.as_str() {
        "per-tokens" => Ok(LayerGroups::PerTokens { reference_chunk: reader.or(&s::REFERENCE_CHUNK, || 512) }),
        "table" => {
            let num_stages: u32 = reader.or(&s::NUM_STAGES, || 16);
            if !LayerGroups::NUM_STAGES.contains(&num_stages) {
                return Err(reader
                    .problem(&s::NUM_STAGES, format!("there is no table for {num_stages} stages"))
                    .label("expected 4, 12, 16 or 24: the paper's public code has tables for these alone")
                    .help("`groups = \"fixed\"` takes any number of groups, and `\"per-tokens\"` counts them"));
            }
            no_more_than_layers(reader, &s::NUM_STAGES, num_stages, model, layers)?;
            Ok(LayerGroups::Table { num_stages })
        }
        "fixed" => {
            let Some(groups) = reader.maybe(&s::NUM_GROUPS) else {
                let problem = reader.problem(&s::GROUPS, "how many groups?");
                return Err(problem.label("expected `num_groups` beside it"));
            };
            no_more_than_layers(reader, &s::NUM_GROUPS, groups, model, layers)?;
            Ok(LayerGroups::Fixed(groups))
        }
        other => unreachable!("`{other}` is no choice"),
    }
}

fn no_more_than_layers(
    reader: &Reader<'_>,
    key: &'static Key,
    groups: u32,
    model: &ModelSpec,
    layers: u32,
) -> Result<(), Problem> {
    if groups <= layers {
        return Ok(());
    }
    let key = if reader.has(key) { key } else { &s::GROUPS };
    let problem = reader.problem(key, format!("{} has fewer layers than these groups", model.name));
    Err(problem.label(format!("{groups} groups of {layers} layers: a group has at least one")))
}
