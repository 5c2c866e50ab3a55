//! A measured run, ready to be simulated and compared.

use std::path::PathBuf;

use super::figure::Figure;

/// A measured run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// Its name: that of its folder; of a row of a table, the folder's and the row's.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The model, as an experiment file names it.
    pub(crate) model: String,
    /// The device, as an experiment file names it.
    pub(crate) gpu: String,
    /// Keys of `[[system]]` with dots, and their values as TOML.
    pub(crate) settings: Vec<(String, String)>,
    /// What was asked of the engine.
    pub(crate) workload: Workload,
    /// What is compared.
    pub(crate) parts: Vec<Part>,
    /// How a request's tokens are timed.
    pub(crate) tpot: TpotDefinition,
    /// The engine's own log, second by second.
    pub(crate) series: Vec<Second>,
    /// What the data did not say and had to be assumed, in sentences.
    pub(crate) assumptions: Vec<String>,
    /// Columns of its tables that nobody reads, in sentences.
    pub(crate) unread_columns: Vec<String>,
}

/// The requests of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Workload {
    /// Requests with their own times and lengths.
    Requests {
        /// In the order in which they are sent.
        requests: Vec<Request>,
        /// Most under way at a time, where the client held more back.
        max_concurrency: Option<u32>,
    },
    /// Requests described by distributions.
    Described {
        /// The `[workload]` table as TOML.
        toml: String,
        /// Whether throughput was measured while the batch was full only.
        is_steady: bool,
    },
}

/// A request of a measured run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// Its name in the data.
    pub(crate) id: String,
    /// When it is to be sent, in seconds.
    pub(crate) arrival_s: f64,
    /// When it really was sent, in seconds.
    pub(crate) sent_s: f64,
    /// Tokens of its prompt.
    pub(crate) input_tokens: u32,
    /// Tokens of its answer.
    pub(crate) output_tokens: u32,
    /// What its prompt shares with others.
    pub(crate) content: Content,
    /// Load stage, from 0.
    pub(crate) stage: u32,
    /// What it experienced; `None` if it failed or nothing was recorded.
    pub(crate) measured: Option<Latency>,
}

/// What a prompt is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// It is shared with no other.
    Own,
    /// It is the prompt of this number, whole.
    Prompt(u64),
    /// Ids of its leading blocks of so many tokens; the rest is its own.
    Blocks {
        /// Ids, each standing for its block and everything before it.
        ids: Vec<u64>,
        /// Tokens per block.
        tokens: u32,
    },
}

/// What a request experienced, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Latency {
    /// When it was sent.
    pub(crate) sent_s: f64,
    /// Time to first token.
    pub(crate) ttft_s: f64,
    /// Time to last token.
    pub(crate) e2e_s: f64,
    /// Tokens generated.
    pub(crate) output_tokens: u32,
}

impl Latency {
    /// Time per output token after the first; `None` for answers of one token.
    pub(crate) fn tpot_s(&self) -> Option<f64> {
        (self.output_tokens > 1).then(|| (self.e2e_s - self.ttft_s) / f64::from(self.output_tokens - 1))
    }
}

/// A part of a case that is scored by itself, such as a load stage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// Its name; empty where the case has but one.
    pub(crate) name: String,
    /// Cases it is summed up with.
    pub(crate) group: String,
    /// Requests that count, by their place among those of the case.
    pub(crate) members: Members,
    /// What was measured.
    pub(crate) measured: Vec<Figure>,
}

/// Which requests count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Members {
    /// These.
    Listed(Vec<usize>),
    /// All from this one on.
    From(usize),
    /// Those sent from one moment to before another, in seconds.
    Sent {
        /// The first.
        from_s: f64,
        /// The second.
        to_s: f64,
    },
}

/// What "time per output token" of a run means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TpotDefinition {
    /// Statistics over requests of (E2E − TTFT) / (tokens − 1).
    PerRequest,
    /// One mean: Σ (E2E − TTFT) over all requests / Σ tokens.
    TimeOverTokens,
}

/// A second of the engine's log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Second {
    /// End of the second, since the first arrival.
    pub(crate) end_s: f64,
    /// Prompt tokens per second.
    pub(crate) prompt_throughput: f64,
    /// Generated tokens per second.
    pub(crate) output_throughput: f64,
    /// Requests running at its end.
    pub(crate) running: f64,
    /// Requests waiting at its end.
    pub(crate) waiting: f64,
    /// Share of KV blocks in use at its end.
    pub(crate) kv_usage: f64,
}
