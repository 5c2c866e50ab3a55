//! Closed loops of vLLM on eight GPUs, published by `InferenceX`.

use super::described::Described;
use crate::validate::error::NotScored;
use crate::validate::figure::{Metric, Statistic};
use crate::validate::rows::Row;

/// A row of the table.
pub(super) fn row(row: Row<'_>) -> Result<Described, NotScored> {
    if let Some(how) = row.text("speculative").filter(|how| how.starts_with("MTP")) {
        return Err(NotScored::NotSimulated(format!("speculative decoding ({how}) is not simulated")));
    }
    let text = |column: &str| row.text(column).ok_or_else(|| row.wrong(column, "a name"));
    let mut described = Described::new(text("model")?, text("gpu")?, "vLLM", Some("nightly of February 2026"))?;
    "inferencex".clone_into(&mut described.group);
    described.over_http();
    described.spread(8, 1, text("parallel")?.contains("ep"));
    let (input, output) = (row.count("isl", 1)?, row.count("osl", 1)?);
    described.workload = format!(
        "arrivals = {{ process = \"closed-loop\", concurrency = {} }}\nrequests = {}\ninput = {{ distribution = \"fixed\", \
         tokens = {input} }}\noutput = {{ distribution = \"fixed\", tokens = {output} }}\n",
        row.count("max_concurrency", 1)?,
        row.count("num_prompts", 1)?,
    );
    let of = |name: &'static str| [(name, Statistic::P50)];
    described.times(row, Metric::Ttft, &of("ttft_median_s"), 1.0)?;
    described.times(row, Metric::Ttft, &[("ttft_p99_s", Statistic::P99)], 1.0)?;
    described.times(row, Metric::Tpot, &of("tpot_median_s"), 1.0)?;
    described.times(row, Metric::Tpot, &[("tpot_p99_s", Statistic::P99)], 1.0)?;
    described.times(row, Metric::E2e, &of("e2e_median_s"), 1.0)?;
    described.times(row, Metric::E2e, &[("e2e_p99_s", Statistic::P99)], 1.0)?;
    described.measure(Metric::OutputThroughput, Statistic::Mean, row.number("output_tokens_per_s")?);
    Ok(described)
}
