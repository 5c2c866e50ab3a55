//! What a replay came to: every measure, defined once.

use sim::prefix_cache::{BlockReuse, CacheReport};

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CacheSummary {
    /// Of the cache.
    pub(crate) report: CacheReport,
    /// Bytes it may hold.
    pub(crate) capacity: u64,
    /// Weight of saved FLOPs, given or found.
    pub(crate) alpha: Option<f64>,
    /// TTFT of each request, ascending.
    pub(crate) ttft_s: Vec<f64>,
}

/// A measure of a replay.
pub(crate) struct CacheMeasure {
    /// Its name, as a column of `caches.csv`.
    pub(crate) name: &'static str,
    /// Its unit; empty for counts and shares.
    pub(crate) unit: &'static str,
    /// What it is.
    pub(crate) doc: &'static str,
    value: fn(&CacheSummary) -> Option<f64>,
}

impl CacheMeasure {
    /// Its value, if the replay has it.
    pub(crate) fn value(&self, summary: &CacheSummary) -> Option<f64> {
        (self.value)(summary)
    }

    /// The measure of this name.
    pub(crate) fn named(name: &str) -> Option<&'static CacheMeasure> {
        MEASURES.iter().find(|measure| measure.name == name)
    }

    /// All of them, in the order of the columns.
    pub(crate) fn all() -> &'static [CacheMeasure] {
        &MEASURES
    }
}

const fn measure(
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
    value: fn(&CacheSummary) -> Option<f64>,
) -> CacheMeasure {
    CacheMeasure { name, unit, doc, value }
}

static MEASURES: [CacheMeasure; 21] = [
    measure("requests", "", "Requests replayed.", |run| Some(run.report.requests as f64)),
    measure("requests_hit", "", "Requests with any token reused.", |run| Some(run.report.requests_hit as f64)),
    measure("input_tokens", "", "Tokens of all prompts.", |run| Some(run.report.input_tokens as f64)),
    measure("hit_tokens", "", "Prompt tokens reused.", |run| Some(run.report.hit_tokens as f64)),
    measure("token_hit_rate", "", "Prompt tokens reused of all prompt tokens, 0 to 1.", |run| {
        Some(run.report.token_hit_rate())
    }),
    measure("token_hit_percent", "%", "The same in percent.", |run| Some(100.0 * run.report.token_hit_rate())),
    measure("saved_tflops", "TFLOP", "Prefill FLOPs that reuse saved, by the formulas of the Marconi paper.", |run| {
        Some(run.report.saved_flops / 1e12)
    }),
    measure("mean_ttft_ms", "ms", "Mean TTFT by the straight line of the study.", |run| {
        (!run.ttft_s.is_empty()).then(|| 1e3 * run.ttft_s.iter().sum::<f64>() / run.ttft_s.len() as f64)
    }),
    measure("p5_ttft_ms", "ms", "5th percentile of TTFT.", |run| percentile_ms(run, 0.05)),
    measure("p50_ttft_ms", "ms", "Median TTFT.", |run| percentile_ms(run, 0.5)),
    measure("p95_ttft_ms", "ms", "95th percentile of TTFT.", |run| percentile_ms(run, 0.95)),
    measure("fetched_tokens", "", "Prompt tokens fetched from the second tier.", |run| {
        Some(run.report.fetched_tokens as f64)
    }),
    measure("fetched_bytes", "B", "Bytes fetched from the second tier.", |run| Some(run.report.fetched_bytes as f64)),
    measure("entries", "", "Nodes or blocks held at the end.", |run| Some(run.report.held.entries as f64)),
    measure("bytes", "B", "Bytes held at the end.", |run| Some(run.report.held.bytes as f64)),
    measure("peak_bytes", "B", "Most bytes held between two requests.", |run| Some(run.report.held.peak_bytes as f64)),
    measure(
        "over_capacity_bytes",
        "B",
        "How far the most bytes held went beyond the capacity, as published policies let them.",
        |run| Some(run.report.held.peak_bytes.saturating_sub(run.capacity) as f64),
    ),
    measure(
        "kv_reused_percent",
        "%",
        "Blocks with checkpoints whose KV any prompt reused, of all that were stored.",
        |run| blocks_percent(run, |reuse| reuse.kv_reused),
    ),
    measure("checkpoints_reused_percent", "%", "Those whose checkpoint any prompt went on from.", |run| {
        blocks_percent(run, |reuse| reuse.checkpoints_reused)
    }),
    measure("alpha", "", "Weight of saved FLOPs, given or found.", |run| run.alpha),
    measure("tuned_after", "", "Requests seen when alpha was found.", |run| {
        run.report.tuned.map(|tuned| tuned.after as f64)
    }),
];

fn blocks_percent(run: &CacheSummary, of: fn(&BlockReuse) -> u64) -> Option<f64> {
    let reuse = run.report.block_reuse.filter(|reuse| reuse.stored > 0)?;
    Some(100.0 * of(&reuse) as f64 / reuse.stored as f64)
}

/// By straight lines between the ordered values.
fn percentile_ms(run: &CacheSummary, share: f64) -> Option<f64> {
    let place = share * run.ttft_s.len().checked_sub(1)? as f64;
    let (low, high) = (run.ttft_s[place.floor() as usize], run.ttft_s[place.ceil() as usize]);
    Some(1e3 * (low + (high - low) * place.fract()))
}
