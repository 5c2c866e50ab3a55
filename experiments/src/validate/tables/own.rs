//! A table in the format of docs/ground-truth.md.

use super::described::Described;
use crate::validate::error::NotScored;
use crate::validate::figure::{Metric, Statistic};
use crate::validate::rows::Row;
use crate::validate::system::quantization;

/// A row of the table.
pub(super) fn row(row: Row<'_>) -> Result<Described, NotScored> {
    let text = |column: &str| row.text(column).ok_or_else(|| row.wrong(column, "a name"));
    let mut described = Described::new(text("model")?, text("gpu")?, text("engine")?, row.text("engine_version"))?;
    row.text("group").unwrap_or("own").clone_into(&mut described.group);
    let size = |column: &str| Ok(row.maybe_count(column)?.unwrap_or(1).max(1));
    let experts = match row.text("expert_parallel") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(row.wrong("expert_parallel", "true or false")),
    };
    described.spread(size("tensor_parallel")?, size("data_parallel")?, experts);
    if let Some(dtype) = row.text("weights_dtype") {
        let format = quantization(dtype).ok_or_else(|| row.wrong("weights_dtype", "bfloat16, fp8, int8 or int4"))?;
        described.system.set("quantization", format!("\"{format}\""));
    }
    if let Some(dtype) = row.text("kv_cache_dtype") {
        described.system.set("kv_cache_dtype", format!("\"{dtype}\""));
    }
    for key in ["max_num_seqs", "max_num_batched_tokens"] {
        match row.maybe_count(key)? {
            Some(limit) => described.system.set(&format!("scheduler.{key}"), limit),
            None => described.assume(format!("`{key}` is not recorded: the engine's default")),
        }
    }
    workload(row, &mut described)?;
    for (metric, name) in [(Metric::Ttft, "ttft"), (Metric::Tpot, "tpot"), (Metric::Itl, "itl"), (Metric::E2e, "e2e")] {
        for statistic in Statistic::OF_VALUES {
            described.measure(metric, statistic, row.number(&format!("{name}_{}_s", statistic.name()))?);
        }
    }
    described.measure(Metric::OutputThroughput, Statistic::Mean, row.number("output_tokens_per_s")?);
    described.measure(Metric::Power, Statistic::Mean, row.number("power_w")?);
    Ok(described)
}

fn workload(row: Row<'_>, described: &mut Described) -> Result<(), NotScored> {
    let arrivals = match (row.maybe_count("concurrency")?, row.number("rate_rps")?) {
        (Some(clients), None) => format!("arrivals = {{ process = \"closed-loop\", concurrency = {clients} }}"),
        (None, Some(rate)) if rate > 0.0 => format!("rate = {rate}"),
        (None, None) => {
            return Err(row.wrong("concurrency", "a number of clients, or requests per second in `rate_rps`"));
        }
        _ => return Err(row.wrong("rate_rps", "nothing beside `concurrency`, or a rate above 0")),
    };
    let fixed = |tokens: u32| format!("{{ distribution = \"fixed\", tokens = {tokens} }}");
    described.workload = format!(
        "{arrivals}\nrequests = {}\ninput = {}\noutput = {}\n",
        row.count("requests", 1)?,
        fixed(row.count("input_tokens", 1)?),
        fixed(row.count("output_tokens", 1)?)
    );
    described.skip = row.maybe_count("warmup_requests")?.unwrap_or(0) as usize;
    Ok(())
}
