//! What no schedule can beat: the requests that are late whatever happens, because too many tokens come too soon.
//!
//! A phase of a deployment, whatever its schedule, computes no more tokens a second than its replicas' [`Rates`]
//! together. Requests that keep the objectives have deadlines. A single machine of that speed, to which everything is
//! known and there from the start, is late with the fewest jobs if it takes them by deadline and drops the largest whenever one
//! is late (Moore 1968, Management Science 15(1), algorithm of Hodgson): no deployment is late with fewer.

use std::collections::{BTreeSet, BinaryHeap};

use sim::Slos;
use workloads::Source as _;

use super::rates::{Pace, Rates};
use crate::experiment::{Experiment, Limit, Measuring, Requests};
use crate::failure::Failure;
use crate::run::unreadable;

/// Times are compared as if this much longer: their sums are rounded.
const ROUNDING: f64 = 1.0 + 1e-9;

/// One request, its times counted from the first arrival.
#[derive(Clone, Copy, Debug)]
struct Job {
    arrival_s: f64,
    prompt: u32,
    /// Tokens of its answer after the first.
    later: u32,
}

/// The requests that are offered, and what is asked of them.
pub(super) struct Bounds {
    /// By seed.
    seeds: Vec<Vec<Job>>,
    slos: Slos,
    /// Share of requests that need their first token in time, and how long that may take in seconds.
    first: Option<(f64, f64)>,
    /// Share of requests that need all their tokens in time.
    last: Option<f64>,
    pace: Pace,
    shortest_prompt: u32,
}

/// Why a deployment cannot meet the objectives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Late {
    /// Of what too much is to be computed.
    pub(super) phase: &'static str,
    /// The largest share of requests that any schedule serves in time.
    pub(super) at_most: f64,
    /// The share that is asked for.
    pub(super) wanted: f64,
}

impl Bounds {
    /// The bounds on deployments that are offered this experiment's workload at `rate`; `None` where there are none: where
    /// requests wait for answers, or share prompts that need be computed only once, or where only a part of them is judged.
    pub(super) fn of(experiment: &Experiment, rate: f64) -> Result<Option<Self>, Failure> {
        if experiment.workload.waits_for_answers() || experiment.measuring != Measuring::Whole {
            return Ok(None);
        }
        let workload = experiment.workload.at_rate(rate, experiment.search.least_duration_s);
        let workload = workload.map_err(|error| unreadable(&error))?;
        let mut seeds = Vec::new();
        for &seed in &experiment.seeds {
            let Some(jobs) = jobs(workload.requests(seed).map_err(|error| unreadable(&error))?)? else {
                return Ok(None);
            };
            seeds.push(jobs);
        }
        let Some(shortest_prompt) = seeds.iter().flatten().map(|job| job.prompt).min() else { return Ok(None) };
        let slos = experiment.slos;
        let share = |limit: Limit| {
            experiment
                .demands
                .iter()
                .find(|demand| [Limit::All, limit].contains(&demand.limit))
                .map(|demand| demand.share)
        };
        let together = experiment.demands.iter().any(|demand| demand.limit == Limit::All);
        let seconds = |limit: Option<workloads::SimDuration>| limit.map(workloads::SimDuration::as_secs_f64);
        let first = seconds(slos.ttft).zip(share(Limit::Ttft));
        // Where each limit has a share of its own, so many requests at least meet both, and a pace that only some keep binds no other.
        let paced = if slos.tpot.is_some() { Limit::Tpot } else { Limit::Tbt };
        let has_pace = slos.tpot.is_some() || slos.tbt.is_some();
        let last = match (share(Limit::Ttft), share(paced)) {
            (Some(first), Some(paced)) if slos.ttft.is_some() && has_pace => {
                Some(if together { first } else { first + paced - 1.0 })
            }
            _ => None,
        };
        let pace = Pace {
            mean_s: seconds(slos.tpot),
            longest_s: seconds(slos.tbt).filter(|_| together || slos.tpot.is_none()),
        };
        Ok(Some(Bounds { seeds, slos, first, last: last.filter(|share| *share > 0.0), pace, shortest_prompt }))
    }

    /// No prompt is shorter, in tokens.
    pub(super) fn shortest_prompt(&self) -> u32 {
        self.shortest_prompt
    }

    /// How fast the answers have to come that are counted.
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Why replicas of these rates, so many of each, cannot meet the objectives, if they cannot: `None` says nothing.
    pub(super) fn late(&self, replicas: &[(Rates, u32)]) -> Option<Late> {
        let together = |of: fn(&Rates) -> f64| {
            replicas
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(rates, count)| f64::from(*count) * of(rates))
                .sum::<f64>()
        };
        let alone = |of: fn(&Rates) -> f64| {
            replicas.iter().filter(|(_, count)| *count > 0).map(|(rates, _)| of(rates)).fold(0.0, f64::max)
        };
        let prompts = self.first.and_then(|(ttft_s, wanted)| {
            let (speed, own) = (together(|rates| rates.prompt), alone(|rates| rates.prompt));
            let in_time = |job: &Job| f64::from(job.prompt) <= ttft_s * own * ROUNDING;
            let due = |job: &Job| (job.arrival_s + ttft_s, job.prompt);
            self.verdict("prompts", wanted, speed, in_time, due)
        });
        prompts.or_else(|| {
            let (ttft_s, wanted) = (self.slos.ttft?.as_secs_f64(), self.last?);
            let gap_s = self.pace.mean_s.into_iter().chain(self.pace.longest_s).fold(f64::INFINITY, f64::min);
            let speed = together(|rates| rates.decode);
            let due = |job: &Job| (job.arrival_s + ttft_s + f64::from(job.later) * gap_s, job.later);
            self.verdict("answers", wanted, speed, |_| true, due)
        })
    }

    /// The share that is in time at most, if it is not enough; `can` tells whether a request could be, were it alone.
    fn verdict(
        &self,
        phase: &'static str,
        wanted: f64,
        tokens_per_s: f64,
        can: impl Fn(&Job) -> bool,
        due: impl Fn(&Job) -> (f64, u32),
    ) -> Option<Late> {
        if tokens_per_s.is_infinite() {
            return None;
        }
        let share = |jobs: &Vec<Job>| {
            let due: Vec<(f64, u32)> = jobs.iter().filter(|job| can(job)).map(&due).collect();
            let able = due.len();
            (able - least_late(due, tokens_per_s)) as f64 / jobs.len() as f64
        };
        let at_most = self.seeds.iter().map(share).sum::<f64>() / self.seeds.len() as f64;
        (at_most * ROUNDING < wanted).then_some(Late { phase, at_most, wanted })
    }
}

/// Every request of a run; `None` where a prompt begins as another one or as an answer, so that some may be found in a cache.
fn jobs(mut requests: Requests) -> Result<Option<Vec<Job>>, Failure> {
    let mut jobs = Vec::new();
    let mut contents = BTreeSet::new();
    let mut start = None;
    while let Some(arrival) = requests.next_arrival().map_err(|error| unreadable(&error))? {
        let request = requests.take();
        if !request.prompt.spans().iter().all(|span| contents.insert(span.content)) || !contents.insert(request.answer)
        {
            return Ok(None);
        }
        let start = *start.get_or_insert(arrival);
        jobs.push(Job {
            arrival_s: arrival.since(start).as_secs_f64(),
            prompt: request.prompt.tokens(),
            later: request.output_tokens.saturating_sub(1),
        });
    }
    Ok((!jobs.is_empty()).then_some(jobs))
}

/// The least number of jobs (deadline in seconds, tokens) that are late on one machine.
fn least_late(mut jobs: Vec<(f64, u32)>, tokens_per_s: f64) -> usize {
    jobs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut taken: BinaryHeap<u32> = BinaryHeap::new();
    let mut tokens: u64 = 0;
    let mut late = 0;
    for (deadline_s, of_job) in jobs {
        taken.push(of_job);
        tokens += u64::from(of_job);
        if tokens as f64 > deadline_s * tokens_per_s * ROUNDING {
            tokens -= u64::from(taken.pop().expect("one was just taken"));
            late += 1;
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least over all subsets of jobs that are done, each subset by deadline.
    fn by_trying(jobs: &[(f64, u32)], tokens_per_s: f64) -> usize {
        let mut sorted = jobs.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let in_time = |kept: u32| {
            let mut tokens = 0.0;
            (0..sorted.len()).filter(|job| kept & (1 << job) != 0).all(|job| {
                tokens += f64::from(sorted[job].1);
                tokens <= sorted[job].0 * tokens_per_s
            })
        };
        let most = (0..1u32 << sorted.len()).filter(|kept| in_time(*kept)).map(u32::count_ones).max();
        sorted.len() - most.expect("none at all is in time") as usize
    }

    #[test]
    fn as_few_jobs_are_late_as_by_trying_every_choice() {
        let mut state: u64 = 7;
        let mut draw = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + (state >> 33) % most
        };
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            let jobs: Vec<(f64, u32)> = (0..8).map(|_| (draw(40) as f64, draw(100) as u32)).collect();
            let speed = draw(20) as f64;
            let least = by_trying(&jobs, speed);
            assert_eq!(least_late(jobs.clone(), speed), least, "{jobs:?} at {speed}");
            seen.insert(least);
        }
        assert!(seen.len() > 4, "the cases differ: {seen:?}");
    }
}
