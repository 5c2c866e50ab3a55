//! The replays of a study, as many at a time as there are processors.

use std::time::Instant;

use rayon::prelude::*;
use sim::prefix_cache::{Alpha, CachePolicy, HostTier, Turn, best_alpha, replay};
use workloads::{Span, Unserved};

use super::CacheRun;
use super::measures::CacheSummary;
use super::study::{Cache, CacheStudy};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// The requests of a study under one seed, in order of arrival, as if each was answered at once.
pub(crate) struct Requests(Vec<Turn>);

impl Requests {
    /// Makes or reads them.
    ///
    /// # Errors
    /// What is wrong with the trace.
    pub(crate) fn of(study: &CacheStudy, seed: u64) -> Result<Self, String> {
        let source = study.workload.requests(seed).map_err(|error| error.to_string())?;
        let turn = |request: workloads::Request| {
            let mut sequence = request.prompt.spans().to_vec();
            let input_spans = sequence.len();
            sequence.push(Span { content: request.answer, tokens: request.output_tokens });
            Turn::new(sequence, input_spans)
        };
        let turns = Unserved::new(source).map(|request| request.map(turn));
        turns.collect::<Result<_, _>>().map(Requests).map_err(|error| error.to_string())
    }
}

/// One replay to be done.
pub(crate) struct Job<'a> {
    pub(crate) study: &'a CacheStudy,
    pub(crate) cache: &'a Cache,
    pub(crate) capacity: u64,
}

impl Job<'_> {
    /// Does it.
    pub(crate) fn run(&self, requests: &Requests) -> CacheSummary {
        let Job { study, cache, capacity } = *self;
        let turns = &requests.0;
        let policy = match cache.policy {
            CachePolicy::Marconi { mode, alpha: Alpha::Oracle } => {
                let alpha = Alpha::Fixed(best_alpha(&study.model, capacity, mode, turns));
                CachePolicy::Marconi { mode, alpha }
            }
            policy => policy,
        };
        let build =
            |capacity| policy.build(&study.model, capacity, turns).expect("it was built when the study was read");
        let mut whole = build(capacity);
        if let Some(host) = cache.host {
            whole = Box::new(HostTier::new(whole, build(host), study.model));
        }
        let mut ttft_s = Vec::with_capacity(turns.len());
        let report = replay(whole.as_mut(), &study.model, turns, |index, hit| {
            let computed = f64::from(turns[index].input_tokens() - hit.tokens);
            let fetch_s = hit.fetched_bytes as f64 / study.ttft.host_bandwidth;
            ttft_s.push(study.ttft.base_s + study.ttft.per_token_s * computed + fetch_s);
        });
        ttft_s.sort_by(f64::total_cmp);
        let alpha = match policy {
            CachePolicy::Marconi { alpha: Alpha::Fixed(alpha), .. } => Some(alpha),
            _ => report.tuned.map(|tuned| tuned.alpha),
        };
        CacheSummary { report, capacity, alpha, ttft_s }
    }
}

/// Every cache at every capacity under every seed, in that order.
pub(super) fn all<'a>(
    study: &'a CacheStudy,
    jobs: Option<usize>,
    terminal: Terminal,
) -> Result<Vec<CacheRun<'a>>, Failure> {
    let requests = study.seeds.iter().map(|&seed| Requests::of(study, seed));
    let requests: Vec<Requests> = requests.collect::<Result<_, _>>().map_err(Failure::Request)?;
    if requests.iter().any(|requests| requests.0.is_empty()) {
        return Err(Failure::Request("the workload has no requests".to_owned()));
    }
    let mut todo = Vec::new();
    for cache in &study.caches {
        for &capacity in &study.capacities {
            todo.extend(requests.iter().zip(&study.seeds).map(|(requests, &seed)| (cache, capacity, requests, seed)));
        }
    }
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|error| Failure::Run(format!("cannot start {jobs} threads: {error}")))?;
    let run = |&(cache, capacity, requests, seed): &(&'a Cache, u64, &Requests, u64)| {
        let started = Instant::now();
        let summary = Job { study, cache, capacity }.run(requests);
        let seconds = started.elapsed().as_secs_f64();
        (CacheRun { cache, capacity, seed, summary }, seconds)
    };
    let runs: Vec<(CacheRun<'a>, f64)> = pool.install(|| todo.par_iter().with_max_len(1).map(run).collect());
    let finished = |(run, seconds): (CacheRun<'a>, f64)| {
        let rate = run.summary.report.requests as f64 / seconds;
        terminal.detail(&format!(
            "{} at {} bytes, seed {}: {rate:.0} lookups and insertions a second, tuning included",
            run.cache.name, run.capacity, run.seed
        ));
        run
    };
    Ok(runs.into_iter().map(finished).collect())
}
