//! What published runs say of themselves in words only: who drove them, which requests are cold, what is known to be wrong.
//!
//! Everything here is a fact of the data with a place to look it up, never a figure fitted to it.

use super::case::Request;
use super::meta::Meta;
use super::requests::Arrivals;

/// What is known of a run beside the fields of its metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// Cases it is summed up with.
    pub(super) group: String,
    /// Which column drives it.
    pub(super) arrivals: Arrivals,
    /// Most requests that the client had in flight.
    pub(super) max_concurrency: Option<u32>,
    /// Requests at the start, in the order of sending, that met a cold engine.
    pub(super) skip_requests: usize,
    /// Seconds at the start of each load stage that are left out.
    pub(super) skip_s: f64,
    /// Whether latencies were measured by a client over HTTP, and not by the engine itself.
    pub(super) is_over_http: bool,
    /// Keys of `[[system]]` and their values as TOML.
    pub(super) settings: Vec<(String, String)>,
    /// In sentences.
    pub(super) assumptions: Vec<String>,
}

impl Known {
    /// A run of which nothing more is known.
    pub(super) fn nothing(group: &str) -> Self {
        Known {
            group: group.to_owned(),
            arrivals: Arrivals::Sent,
            max_concurrency: None,
            skip_requests: 0,
            skip_s: 0.0,
            is_over_http: false,
            settings: Vec::new(),
            assumptions: Vec::new(),
        }
    }

    fn set(&mut self, key: &str, toml: impl Into<String>) {
        self.settings.push((key.to_owned(), toml.into()));
    }

    fn assume(&mut self, sentence: impl Into<String>) {
        self.assumptions.push(sentence.into());
    }

    /// What is known of the run that `meta` describes: by the repository it was published in.
    pub(super) fn of(meta: &Meta, folder: &str) -> Self {
        let repository = meta.text("source_repo").ok().flatten().unwrap_or_default();
        let model = meta.text("model").ok().flatten().unwrap_or_default();
        let gpu = meta.text("gpu").ok().flatten().unwrap_or_default();
        match repository {
            "inference-sim/residency-vllm" => residency(),
            "inference-sim/training" => blis(folder),
            "casys-kaist/LLMServingSim" => llmservingsim(gpu, model),
            "microsoft/apex_plus" => apex(model),
            _ => Known::nothing("own"),
        }
    }
}

/// vLLM 0.23 on one H100; `blis observe` in the same pod never has more than 256 requests in flight.
fn residency() -> Known {
    let mut known = Known::nothing("residency_h100");
    known.arrivals = Arrivals::Planned;
    known.max_concurrency = Some(256);
    known.skip_s = 5.0;
    known.is_over_http = true;
    known.assume(
        "driven by the arrivals that the client had planned and its cap of 256 in flight, not by the times of \
                  sending, which depend on the engine",
    );
    known.assume("the first 5 s are left out of the score: the engine is cold");
    known.assume(
        "prompts share nothing: they are random words, and the head of the chat template is shorter than a block",
    );
    known
}

/// vLLM 0.15.1 on H100s; inference-perf cycles through 100 prompts.
fn blis(folder: &str) -> Known {
    let mut known = Known::nothing("blis_h100");
    known.skip_requests = 100;
    known.skip_s = 40.0;
    known.is_over_http = true;
    known.assume(
        "the first 100 requests (every prompt is new, kernels are cold) and the first 40 s of each load stage are \
                  left out of the score",
    );
    known.assume(
        "prompts with the same prompt_id are equal token for token as far as both go; different ones share nothing",
    );
    if folder.contains("mixtral") {
        // exps 10, 11, 12 of `blis_sim2real_summary`, which are these runs.
        known.assume(
            "the KV cache was offloaded to the CPU too (another publication of this run says so): not simulated",
        );
    }
    known
}

/// vLLM 0.19 in process on RTX 4090 and RTX PRO 6000: latencies on the engine's clock.
fn llmservingsim(gpu: &str, model: &str) -> Known {
    let device = if gpu.contains("4090") { "rtx4090" } else { "rtxpro6000" };
    let kind = if model.contains("A3B") { "moe_dp2_ep" } else { "8b" };
    let mut known = Known::nothing(&format!("llmservingsim_{device}_{kind}"));
    known.assume("latencies are on the engine's clock: no client is simulated");
    // vLLM's default of its OpenAI-compatible server and of AsyncLLM is 1024 or 256; the metadata give it.
    known
}

/// vLLM 0.6.0 on H100s: only means are published.
fn apex(model: &str) -> Known {
    let mut known = Known::nothing("apex");
    // vLLM 0.6.0 turns chunked prefill on for models longer than 32k, with 512 tokens, decodes first
    // (`EngineArgs.create_engine_config`, `Scheduler._schedule_chunked_prefill`).
    known.set("scheduler.policy", "\"sarathi\"");
    known.set("scheduler.max_num_batched_tokens", "512");
    known.set("scheduler.max_num_seqs", "256");
    known.assume("chunked prefill with 512 tokens, decodes first: what vLLM 0.6.0 does with models longer than 32k");
    known.assume("the longest request is what the model was made for");
    if model.to_lowercase().contains("fp8 kv cache") {
        known.set("kv_cache_dtype", "\"fp8\"");
    }
    known
}

/// Whether a load stage asked for more than the engine could serve: requests of it failed.
pub(super) fn is_overloaded(requests: &[Request], stage: u32) -> bool {
    requests.iter().any(|request| request.stage == stage && request.measured.is_none())
}
