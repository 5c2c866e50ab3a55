//! Load stages of vLLM on H100, A100 and L40S, with means and percentiles of each stage.

use std::path::Path;

use super::Named;
use super::described::Described;
use crate::validate::case::{Members, Part};
use crate::validate::error::NotScored;
use crate::validate::figure::{Figure, Metric, Statistic};
use crate::validate::rows::{Row, Table};
use crate::validate::system::quantization;

/// Prompts that the load generator cycles through.
const PROMPTS: u32 = 100;
/// Stages whose mean TTFT is longer than this queue: they were asked for more than they can serve.
const OVERLOADED_FROM_S: f64 = 2.0;

/// One case per experiment, with a part per load stage.
pub(super) fn cases(table: &Table, folder: &Path, name: &str) -> Vec<Named> {
    let mut experiments: Vec<(&str, Vec<Row<'_>>)> = Vec::new();
    for row in table.rows() {
        let key = row.text("exp").unwrap_or_default();
        match experiments.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rows)) => rows.push(row),
            None => experiments.push((key, vec![row])),
        }
    }
    let named = |(experiment, rows): (&str, Vec<Row<'_>>)| {
        let name = format!("{name}/{experiment}");
        let case = described(&rows).and_then(|(described, parts)| {
            let mut case = described.case(folder, &name)?;
            case.parts = parts;
            Ok(case)
        });
        (name, case)
    };
    experiments.into_iter().map(named).collect()
}

fn described(rows: &[Row<'_>]) -> Result<(Described, Vec<Part>), NotScored> {
    let first = rows[0];
    let text = |column: &str| first.text(column).ok_or_else(|| first.wrong(column, "a name"));
    let mut described = Described::new(text("model")?, text("gpu")?, "vLLM", Some("0.15.1"))?;
    described.over_http();
    described.spread(first.count("tp", 1)?, first.maybe_count("dp")?.unwrap_or(1).max(1), false);
    let dtype = text("precision")?;
    let format = quantization(dtype).ok_or_else(|| first.wrong("precision", "FP16 or FP8"))?;
    described.system.set("quantization", format!("\"{format}\""));
    for key in ["max_num_batched_tokens", "max_num_seqs"] {
        described.system.set(&format!("scheduler.{key}"), first.count(key, 1)?);
    }
    if let Some(blocks) = first.maybe_count("total_kv_blocks")? {
        described.system.set("num_gpu_blocks_override", blocks);
        described.system.set("gpu_memory_utilization", 1);
    } else if let Some(share) = first.number("gpu_mem_util")? {
        described.system.set("gpu_memory_utilization", share);
        described.assume("the number of KV blocks is not recorded: as many as fit beside weights and workspace");
    }
    if first.text("cpu_offload") == Some("True") {
        described.assume("KV blocks were offloaded to the CPU too: not simulated");
    }
    described
        .assume(format!("{PROMPTS} prompts of equal length, each as likely as another (the load generator cycles)"));
    let stages: Vec<Row<'_>> = rows.iter().copied().filter(|row| row.text("stage") != Some("all")).collect();
    let mut pieces = Vec::new();
    let mut parts = Vec::new();
    let (mut from_s, mut requests) = (0.0, 0.0);
    for stage in &stages {
        let rate = stage.needed("rate_rps", "requests per second")?;
        let duration_s = stage.needed("duration_s", "seconds")?;
        pieces.push(format!("{{ duration = \"{duration_s} s\", rate = {rate} }}"));
        let several = stages.len() > 1;
        parts.push(part(*stage, several, from_s, from_s + duration_s)?);
        described.measured.clone_from(&parts[0].measured);
        from_s += duration_s;
        requests += rate * duration_s;
    }
    let input = first.count("system_prompt_len", 0)? + first.count("question_len", 0)?;
    let lengths = vec![input.to_string(); PROMPTS as usize].join(", ");
    described.workload = format!(
        "arrivals = {{ process = \"piecewise\", pieces = [{}], repeat = false }}\nrequests = {requests}\ninput = {{ \
         distribution = \"fixed\", tokens = {input} }}\noutput = {{ distribution = \"fixed\", tokens = {} }}\nprefix = {{ \
         structure = \"system-prompts\", lengths = [{lengths}] }}\n",
        pieces.join(", "),
        first.count("output_len", 1)?
    );
    Ok((described, parts))
}

fn part(row: Row<'_>, several: bool, from_s: f64, to_s: f64) -> Result<Part, NotScored> {
    let columns = [
        ("ttft_mean_ms", Metric::Ttft, Statistic::Mean),
        ("ttft_p90_ms", Metric::Ttft, Statistic::P90),
        ("ttft_p99_ms", Metric::Ttft, Statistic::P99),
        ("itl_mean_ms", Metric::Tpot, Statistic::Mean),
        ("e2e_mean_ms", Metric::E2e, Statistic::Mean),
        ("e2e_p90_ms", Metric::E2e, Statistic::P90),
        ("e2e_p99_ms", Metric::E2e, Statistic::P99),
    ];
    let mut measured = Vec::new();
    for (column, metric, statistic) in columns {
        measured.extend(row.number(column)?.map(|ms| Figure { metric, statistic, value: ms * 1e-3 }));
    }
    let is_mean_ttft = |figure: &&Figure| (figure.metric, figure.statistic) == (Metric::Ttft, Statistic::Mean);
    let queues = measured.iter().find(is_mean_ttft).is_some_and(|figure| figure.value > OVERLOADED_FROM_S);
    let stage = row.text("stage").unwrap_or_default();
    Ok(Part {
        name: if several { format!("stage {stage}") } else { String::new() },
        group: if queues { "blis_sim2real_overloaded" } else { "blis_sim2real" }.to_owned(),
        members: Members::Sent { from_s, to_s },
        measured,
    })
}
