//! `MLPerf` Inference results of LLMs.

use profiles::{DeviceSpec, ModelSpec};

use super::described::Described;
use crate::validate::error::NotScored;
use crate::validate::figure::{Metric, Statistic};
use crate::validate::rows::Row;
use crate::validate::system::quantization;

/// Share of the memory that weights may take where the spread is not published.
const WEIGHT_SHARE: f64 = 0.7;

/// What is published of a benchmark's lengths: mean and longest prompt, longest answer.
struct Lengths {
    model: &'static str,
    input: u32,
    longest_input: u32,
    longest_output: u32,
}

/// From the rules of the benchmarks and the means that the data name.
fn lengths(benchmark: &str) -> Option<Lengths> {
    let known =
        |model, input, longest_input, longest_output| Some(Lengths { model, input, longest_input, longest_output });
    match benchmark {
        "llama2-70b-99" | "llama2-70b-99.9" => known("meta-llama/Llama-2-70b-hf", 294, 1024, 1024),
        "llama3.1-405b" => known("meta-llama/Llama-3.1-405B", 9428, 20_000, 2000),
        "deepseek-r1" => known("deepseek-ai/DeepSeek-R1", 800, 3000, 20_000),
        _ => None,
    }
}

/// A row of the table.
pub(super) fn row(row: Row<'_>) -> Result<Described, NotScored> {
    let text = |column: &str| row.text(column).ok_or_else(|| row.wrong(column, "a name"));
    let (benchmark, system, scenario) = (text("benchmark")?, text("system")?, text("scenario")?);
    let lengths = lengths(benchmark).ok_or_else(|| {
        NotScored::NotSimulated(format!(
            "lengths of prompts of {benchmark} are not in the data, or its model is not shipped"
        ))
    })?;
    let gpu = match text("gpu")? {
        "H100" if system.contains("PCIe") => "H100-PCIe-80GB",
        "H100" if system.contains("NVL") => {
            return Err(NotScored::Experiment("no device H100 NVL is shipped".to_owned()));
        }
        gpu => gpu,
    };
    let mut described = Described::new(lengths.model, gpu, "TensorRT-LLM", None)?;
    "mlperf".clone_into(&mut described.group);
    spread(row, &mut described)?;
    let (tokens, samples) = (row.number("completed_tokens_per_s")?, row.number("completed_samples_per_s")?);
    let mean_output = tokens.zip(samples).map(|(tokens, samples)| tokens / samples).filter(|mean| *mean >= 1.0);
    let mean_output =
        mean_output.ok_or_else(|| row.wrong("completed_tokens_per_s", "tokens and samples per second"))?;
    let lognormal = |mean: f64, longest: u32| {
        format!("{{ distribution = \"lognormal\", mean = {mean}, p90 = {}, max = {longest} }}", 2.0 * mean)
    };
    // At 75 requests/s that take 50 s each, some thousand are over before the engine is full.
    let requests = row.count("dataset_samples", 1)?;
    let is_offline = scenario == "Offline";
    let arrivals = if is_offline {
        "arrivals = \"all-at-once\"".to_owned()
    } else {
        format!("rate = {}", row.needed("target_qps", "samples per second")?)
    };
    described.workload = format!(
        "{arrivals}\nrequests = {requests}\ninput = {}\noutput = {}\n",
        lognormal(f64::from(lengths.input), lengths.longest_input),
        lognormal(mean_output, lengths.longest_output)
    );
    described.assume("lengths are lognormal about their published means, with a 90th percentile of twice the mean");
    described.assume(format!("the {requests} samples of the data set are sent once"));
    if is_offline {
        // The data set is repeated for ten minutes or more, so that the end, when batches run empty, weighs little.
        described.is_steady = true;
        described.assume("throughput is that of the time in which requests wait");
        described.measure(Metric::OutputThroughput, Statistic::Mean, tokens);
        return Ok(described);
    }
    for (metric, name) in [(Metric::Ttft, "ttft"), (Metric::Tpot, "tpot"), (Metric::E2e, "e2e")] {
        for statistic in Statistic::OF_VALUES {
            let column = format!("{name}_{}_s", statistic.name());
            described.measure(metric, statistic, row.number(&column)?);
        }
    }
    Ok(described)
}

/// Tensor parallelism is not in the results: as many GPUs as the weights need in eight bits.
fn spread(row: Row<'_>, described: &mut Described) -> Result<(), NotScored> {
    let gpus = row.count("n_gpus", 1)?;
    let unknown = |error: profiles::ProfileError| NotScored::Experiment(error.to_string());
    let device = DeviceSpec::shipped(&described.system.gpu).map_err(unknown)?;
    let model = ModelSpec::shipped(&described.system.model).map_err(unknown)?;
    let weights = model.parameters().total() as f64;
    let fits = |tensor: &u32| weights <= WEIGHT_SHARE * device.memory_bytes as f64 * f64::from(*tensor);
    let tensor = [1, 2, 4, 8].into_iter().find(fits).filter(|tensor| gpus % tensor == 0);
    let tensor =
        tensor.ok_or_else(|| NotScored::Nothing(format!("how the model was spread over {gpus} GPUs is not said")))?;
    let format = quantization("fp8").filter(|_| device.fp8_flops.is_some());
    let format = format.ok_or_else(|| NotScored::NotSimulated("the device computes no fp8".to_owned()))?;
    described.system.set("quantization", format!("\"{format}\""));
    described.system.set("kv_cache_dtype", "\"fp8\"");
    described.spread(tensor, gpus / tensor, false);
    described.assume(format!(
        "number format and spread are not in the results: fp8 weights and KV cache, {} replicas of {tensor} GPUs",
        gpus / tensor
    ));
    Ok(())
}
