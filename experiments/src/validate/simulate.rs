//! Simulates a case and reads off what was measured of the real run.

use profiles::Evidence;
use sim::{Ending, Observer, Outcome, Rejection, RequestRecord, StepRecord, Summary};

use super::case::{Case, Latency, Members, Part, Second, Workload};
use super::error::{NotScored, Rejections};
use super::figure::{Figure, Metric, Statistic};
use super::folder::figures;
use super::series;
use crate::experiment::Experiment;

/// What a simulated run came to.
#[derive(Clone, Debug)]
pub(crate) struct Simulated {
    /// Per request in the order of sending; `None` if it was rejected.
    pub(crate) latencies: Vec<Option<Latency>>,
    /// What was rejected though the real engine served it.
    pub(crate) rejections: Rejections,
    /// Second by second, where the case has such a log.
    pub(crate) series: Vec<Second>,
    /// Mean power of all GPUs in watts while no request that can run is missing from the batch.
    pub(crate) steady_power_w: Option<f64>,
    /// Tokens generated per second over the same time.
    pub(crate) steady_throughput: Option<f64>,
    /// Gaps between tokens, as statistics in seconds.
    pub(crate) itl: Vec<Figure>,
    /// Requests that were preempted at least once.
    pub(crate) preemptions: u64,
    /// Shares of step time that stand on measured, fitted and extrapolated kernels.
    pub(crate) evidence: [f64; 3],
    /// Share of prompt tokens found in the prefix cache.
    pub(crate) cached_share: f64,
}

/// Watches a run.
struct Watch {
    latencies: Vec<Option<Latency>>,
    /// By place of the request.
    rejected: Vec<(usize, Rejection)>,
    steps: Option<series::Recorder>,
    power: Steady,
    measures: sim::Measures,
}

/// Energy and time of the steps that ran while requests were waiting.
#[derive(Default)]
struct Steady {
    wanted: bool,
    energy_j: f64,
    tokens: f64,
    from_s: Option<f64>,
    to_s: f64,
}

impl Observer for Watch {
    fn wants_steps(&self) -> bool {
        self.steps.is_some() || self.power.wanted
    }

    fn gaps_of(&self) -> sim::GapsOf {
        self.measures.gaps_of()
    }

    fn request(&mut self, record: &RequestRecord) {
        self.measures.request(record);
        let index = record.id.0 as usize;
        if index >= self.latencies.len() {
            self.latencies.resize(index + 1, None);
        }
        match record.ending {
            Ending::Rejected(why) => self.rejected.push((index, why)),
            Ending::Completed => {
                self.latencies[index] = Some(Latency {
                    sent_s: record.arrival.as_secs_f64(),
                    ttft_s: record.ttft().as_secs_f64(),
                    e2e_s: record.e2e().as_secs_f64(),
                    output_tokens: record.output_tokens,
                });
            }
        }
    }

    fn gaps(&mut self, now: workloads::SimTime, gap: workloads::SimDuration, requests: u64) {
        Observer::gaps(&mut self.measures, now, gap, requests);
    }

    fn step(&mut self, record: &StepRecord) {
        if let Some(steps) = &mut self.steps {
            steps.step(record);
        }
        if self.power.wanted && record.waiting > 0 {
            self.power.energy_j += record.dynamic_energy_j;
            self.power.tokens += f64::from(record.decode_requests);
            self.power.from_s.get_or_insert(record.start.as_secs_f64());
            self.power.to_s = record.end.as_secs_f64();
        }
    }
}

/// Runs the experiment of a case.
///
/// # Errors
/// If the simulation cannot run.
pub(super) fn run(case: &Case, experiment: &Experiment) -> Result<Simulated, NotScored> {
    let failed = |error: String| NotScored::Simulation(error);
    let system = &experiment.systems[0];
    let seed = experiment.seeds[0];
    let mut requests = experiment.workload.requests(seed).map_err(|error| failed(error.to_string()))?;
    let is_steady = matches!(case.workload, Workload::Described { is_steady: true, .. });
    let wants_power =
        is_steady || case.parts.iter().flat_map(|part| &part.measured).any(|figure| figure.metric == Metric::Power);
    let mut watch = Watch {
        latencies: Vec::new(),
        rejected: Vec::new(),
        steps: (!case.series.is_empty())
            .then(|| series::Recorder::new((0..system.engines()).map(|engine| system.kv_blocks(engine)))),
        power: Steady { wanted: wants_power, ..Steady::default() },
        measures: sim::Measures::new(sim::Slos::default(), None),
    };
    let outcome =
        sim::simulate(system.deployment(seed), &mut requests, &mut watch).map_err(|error| failed(error.to_string()))?;
    if let Workload::Requests { requests, .. } = &case.workload {
        watch.latencies.resize(requests.len(), None);
    }
    let facts = system.facts();
    let summary = Summary::new(&mut watch.measures, &outcome, &facts);
    Ok(Simulated {
        rejections: rejections(case, &watch.rejected, watch.latencies.len()),
        latencies: watch.latencies,
        series: watch.steps.map(|steps| steps.seconds(&case.series)).unwrap_or_default(),
        steady_power_w: steady_power_w(&watch.power, &outcome),
        steady_throughput: watch.power.seconds().map(|seconds| watch.power.tokens / seconds),
        itl: itl(&summary),
        preemptions: summary.preemptions,
        evidence: Evidence::ALL.map(|evidence| summary.evidence_share(evidence).unwrap_or(0.0)),
        cached_share: summary.cached_tokens as f64 / (summary.prompt_tokens.max(1)) as f64,
    })
}

/// Counts what was rejected though the real engine served it; of `simulated` requests.
fn rejections(case: &Case, rejected: &[(usize, Rejection)], simulated: usize) -> Rejections {
    // Where no latency of a single request is known, all were served.
    let failed = |index: usize| match &case.workload {
        Workload::Requests { requests, .. } if requests.iter().any(|request| request.measured.is_some()) => {
            requests.get(index).is_some_and(|request| request.measured.is_none())
        }
        _ => false,
    };
    let mut counts =
        Rejections { served: (0..simulated).filter(|index| !failed(*index)).count(), ..Rejections::default() };
    for (_, why) in rejected.iter().filter(|(index, _)| !failed(*index)) {
        match why {
            Rejection::ExceedsModelLength => counts.model_length += 1,
            Rejection::ExceedsKvCache => counts.kv_cache += 1,
            Rejection::ExceedsBatch => counts.batch += 1,
        }
    }
    counts
}

impl Steady {
    /// How long requests were waiting.
    fn seconds(&self) -> Option<f64> {
        Some(self.to_s - self.from_s?).filter(|seconds| *seconds > 0.0)
    }
}

/// Idle power of all devices, and what the steps of the steady time added.
fn steady_power_w(steady: &Steady, outcome: &Outcome) -> Option<f64> {
    let idle_j: f64 = outcome.replicas.iter().map(|replica| replica.idle_energy_j).sum();
    Some(idle_j / outcome.elapsed().as_secs_f64() + steady.energy_j / steady.seconds()?)
}

fn itl(summary: &Summary) -> Vec<Figure> {
    let Some(itl) = &summary.itl else { return Vec::new() };
    let of = |statistic, ns: f64| Figure { metric: Metric::Itl, statistic, value: ns * 1e-9 };
    vec![
        of(Statistic::Mean, itl.mean_ns),
        of(Statistic::P50, itl.median_ns),
        of(Statistic::P90, itl.p90_ns),
        of(Statistic::P95, itl.p95_ns),
        of(Statistic::P99, itl.p99_ns),
    ]
}

impl Simulated {
    /// The figures of a part, as the measured ones are defined.
    pub(super) fn figures(&self, case: &Case, part: &Part) -> Vec<Figure> {
        let latencies: Vec<Latency> = self.members(part).into_iter().flatten().collect();
        let mut all = if latencies.is_empty() { Vec::new() } else { figures(&latencies, case.tpot) };
        if let (Workload::Described { is_steady: true, .. }, Some(steady)) = (&case.workload, self.steady_throughput) {
            all.retain(|figure| figure.metric != Metric::OutputThroughput);
            all.push(Figure { metric: Metric::OutputThroughput, statistic: Statistic::Mean, value: steady });
        }
        all.extend(self.itl.iter().copied());
        let power =
            self.steady_power_w.map(|value| Figure { metric: Metric::Power, statistic: Statistic::Mean, value });
        all.extend(power);
        all
    }

    fn members(&self, part: &Part) -> Vec<Option<Latency>> {
        match &part.members {
            Members::Listed(members) => members.iter().map(|&index| self.latencies[index]).collect(),
            Members::From(first) => self.latencies.iter().skip(*first).copied().collect(),
            Members::Sent { from_s, to_s } => {
                let is_sent = |latency: &Latency| (*from_s..*to_s).contains(&latency.sent_s);
                self.latencies.iter().copied().filter(|latency| latency.as_ref().is_some_and(is_sent)).collect()
            }
        }
    }
}
