//! Results of benchmark clients, turned into cases.

mod guidellm;
mod inference_perf;
mod vllm_bench;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::names;
use super::system::{WEIGHTS_DTYPES, quantization};
use crate::failure::Failure;
use crate::terminal::{self, Terminal, short};

/// Which client wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ImportFormat {
    /// `vllm bench serve --save-result --save-detailed`
    VllmBench,
    /// `guidellm benchmark --output-path FILE.json`
    Guidellm,
    /// `per_request_lifecycle_metrics.json` of inference-perf
    InferencePerf,
}

/// What is imported, and what its file does not say.
#[derive(Clone, Debug)]
pub(crate) struct ImportRequest {
    /// Which client.
    pub(crate) format: ImportFormat,
    /// Its file.
    pub(crate) file: PathBuf,
    /// Folder of the new case.
    pub(crate) directory: PathBuf,
    /// Which of the benchmarks in the file, from 0, where there are several.
    pub(crate) benchmark: Option<usize>,
    /// The model; `None`: as the file says.
    pub(crate) model: Option<String>,
    /// The GPU.
    pub(crate) gpu: String,
    /// The engine's version.
    pub(crate) engine_version: Option<String>,
    /// GPUs that share every layer.
    pub(crate) tensor_parallel: u32,
    /// Number format of the weights.
    pub(crate) weights_dtype: Option<String>,
    /// The engine's limit.
    pub(crate) max_num_seqs: Option<u32>,
    /// The engine's limit.
    pub(crate) max_num_batched_tokens: Option<u32>,
    /// KV blocks, as the engine's log says.
    pub(crate) kv_blocks: Option<u32>,
    /// Replace a case that is there.
    pub(crate) force: bool,
}

/// What a client's file says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Run {
    model: Option<String>,
    max_concurrency: Option<u32>,
    requests: Vec<Seen>,
    /// What had to be assumed, in sentences.
    assumptions: Vec<String>,
}

/// A request as a client saw it; seconds, on any clock.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    /// When it was sent.
    sent_s: f64,
    /// When the client had planned to send it, where that is another time.
    planned_s: Option<f64>,
    input_tokens: u32,
    output_tokens: u32,
    /// Time to first and to last token; `None` if it failed.
    latency_s: Option<(f64, f64)>,
}

/// Makes the case.
pub(crate) fn import(request: &ImportRequest, terminal: Terminal) -> Result<(), Failure> {
    if let Some(dtype) = request.weights_dtype.as_deref().filter(|dtype| quantization(dtype).is_none()) {
        return Err(Failure::Request(format!("--weights-dtype {dtype}: expected {WEIGHTS_DTYPES}")));
    }
    let wrong = |why: String| Failure::Request(format!("{}: {why}", request.file.display()));
    let text = std::fs::read_to_string(&request.file).map_err(|error| wrong(error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(format!("this is not JSON: {error}")))?;
    let mut run = match request.format {
        ImportFormat::VllmBench => vllm_bench::read(&value),
        ImportFormat::Guidellm => guidellm::read(&value, request.benchmark),
        ImportFormat::InferencePerf => inference_perf::read(&value),
    }
    .map_err(wrong)?;
    if run.requests.is_empty() {
        return Err(wrong("it holds no request".to_owned()));
    }
    possible(&run.requests).map_err(wrong)?;
    let failed = run.requests.iter().filter(|sent| sent.latency_s.is_none()).count();
    if failed > 0 {
        run.assumptions
            .push(format!("{failed} failed requests load the simulated engine with the tokens that were counted"));
    }
    let model = request.model.clone().or(run.model.clone());
    let model = model.ok_or_else(|| wrong("it does not say which model was served: give --model".to_owned()))?;
    for known in [names::model(&model).map(|_| ()), names::device(&request.gpu).map(|_| ())] {
        known.map_err(|why| Failure::Request(why.to_string()))?;
    }
    let paths = write(request, &run, &model)?;
    if terminal.talks() {
        terminal::print_line(&format!("Wrote {} requests to {}", run.requests.len(), short(&request.directory)));
        for path in paths {
            terminal::print_line(&format!("  {}", short(&path)));
        }
    }
    for assumption in &run.assumptions {
        terminal.note(&format!("note: {assumption}"));
    }
    Ok(())
}

/// Refuses latencies that no request can have, whichever client wrote them.
fn possible(requests: &[Seen]) -> Result<(), String> {
    for (sent_s, (ttft_s, e2e_s)) in requests.iter().filter_map(|sent| Some((sent.sent_s, sent.latency_s?))) {
        if !(ttft_s > 0.0 && e2e_s >= ttft_s && e2e_s.is_finite()) {
            return Err(format!(
                "the request sent at {sent_s} s has its first token after {ttft_s} s and its last after {e2e_s} s; expected \
                 times above 0, the last not before the first"
            ));
        }
    }
    Ok(())
}

fn write(request: &ImportRequest, run: &Run, model: &str) -> Result<[PathBuf; 2], Failure> {
    let paths = [request.directory.join("meta.json"), request.directory.join("requests.csv")];
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| Failure::Request(format!("cannot write {}: {error}", path.display()))
    };
    if let Some(there) = paths.iter().find(|path| path.exists() && !request.force) {
        return Err(Failure::Request(format!("{} is there already; replace it with --force", there.display())));
    }
    std::fs::create_dir_all(&request.directory).map_err(failed(&request.directory))?;
    let mut meta = serde_json::to_string_pretty(&metadata(request, run, model)).unwrap_or_default();
    meta.push('\n');
    std::fs::write(&paths[0], meta).map_err(failed(&paths[0]))?;
    std::fs::write(&paths[1], table(run)).map_err(failed(&paths[1]))?;
    Ok(paths)
}

fn metadata(request: &ImportRequest, run: &Run, model: &str) -> Value {
    let planned = run.requests.iter().any(|sent| sent.planned_s.is_some());
    let mut meta = json!({
        "source_path": request.file.display().to_string(),
        "model": model,
        "gpu": request.gpu,
        "n_gpus": request.tensor_parallel,
        "tensor_parallel": request.tensor_parallel,
        "engine": "vLLM",
        "units": "seconds, tokens",
        "client": { "clock": "client", "arrivals": if planned { "planned" } else { "sent" } },
        "assumptions": run.assumptions,
    });
    let mut put = |pointer: [&str; 2], value: Option<Value>| {
        let Some(value) = value else { return };
        let [table, key] = pointer;
        if table.is_empty() { meta[key] = value } else { meta[table][key] = value }
    };
    put(["", "engine_version"], request.engine_version.clone().map(Value::from));
    put(["", "weights_dtype"], request.weights_dtype.clone().map(Value::from));
    put(["scheduler", "max_num_seqs"], request.max_num_seqs.map(Value::from));
    put(["scheduler", "max_num_batched_tokens"], request.max_num_batched_tokens.map(Value::from));
    put(["kv_cache", "total_gpu_blocks"], request.kv_blocks.map(Value::from));
    put(["client", "max_concurrency"], run.max_concurrency.map(Value::from));
    meta
}

/// `requests.csv`, with times from the first one on.
fn table(run: &Run) -> String {
    let planned = |sent: &Seen| sent.planned_s.unwrap_or(sent.sent_s);
    let earliest = |of: &dyn Fn(&Seen) -> f64| run.requests.iter().map(of).fold(f64::INFINITY, f64::min);
    let (first_s, first_planned_s) = (earliest(&|sent| sent.sent_s), earliest(&planned));
    let is_planned = run.requests.iter().any(|sent| sent.planned_s.is_some());
    let column = if is_planned { "scheduled_arrival_s," } else { "" };
    let mut text = format!("request_id,arrival_s,{column}input_tokens,output_tokens,ttft_s,e2e_s,status\n");
    for (number, sent) in run.requests.iter().enumerate() {
        let times = sent.latency_s.map_or_else(|| ",".to_owned(), |(ttft, e2e)| format!("{ttft:.6},{e2e:.6}"));
        let status = if sent.latency_s.is_some() { "ok" } else { "error" };
        let planned = if is_planned { format!("{:.6},", planned(sent) - first_planned_s) } else { String::new() };
        let (sent_s, input, output) = (sent.sent_s - first_s, sent.input_tokens, sent.output_tokens);
        let _ = writeln!(text, "{number},{sent_s:.6},{planned}{input},{output},{times},{status}");
    }
    text
}

/// A number of an object.
fn number(object: &Value, keys: &[&str]) -> Option<f64> {
    keys.iter().find_map(|key| object.pointer(&format!("/{}", key.replace('.', "/")))).and_then(Value::as_f64)
}

/// A count of tokens, at least 1: a request without any cannot be replayed.
fn tokens(object: &Value, keys: &[&str]) -> u32 {
    number(object, keys).map_or(1, |count| count.max(1.0) as u32)
}
