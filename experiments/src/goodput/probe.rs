//! One system under one rate, every seed.

use rayon::prelude::*;
use sim::{
    Ending, Measures, Observer, RequestRecord, Slos, Summary, Window, WithinRun, half_width, student_t_quantile,
};
use workloads::{SimDuration, SimTime};

use super::search::Standing;
use crate::experiment::{Demand, Measuring, System, Workload};
use crate::failure::Failure;
use crate::run::{failed, rejections, unreadable, window};

/// Probability with which an interval is meant to contain the truth.
const CONFIDENCE: f64 = 0.95;

/// What is asked of a system at every rate.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The requests; their rate is replaced.
    pub(crate) workload: &'a Workload,
    /// One run for each.
    pub(crate) seeds: &'a [u64],
    /// What requests are judged by.
    pub(crate) slos: Slos,
    /// In which part of each run.
    pub(crate) measuring: Measuring,
    /// At rates at which they arrive sooner, more requests are made, in seconds.
    pub(crate) least_duration_s: f64,
    /// Whether a request's first token came with its prompt, from elsewhere: then the wait for the first one here is a gap between
    /// tokens, as it is for the client of a disaggregated deployment.
    pub(crate) first_token_elsewhere: bool,
    /// How many have to meet it.
    pub(crate) demands: &'a [Demand],
}

/// A system that was offered a rate.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Of the runs, in the order of the seeds.
    pub(crate) summaries: Vec<Summary>,
    /// Per demand: the share that met it, and the half-width of its 95 % interval.
    pub(crate) shares: Vec<(f64, Option<f64>)>,
    /// What it was judged to be: a rate that overloads every run may fail although the shares suffice.
    pub(crate) standing: Standing,
    /// What was turned away, in words.
    pub(crate) remarks: Vec<String>,
}

impl Question<'_> {
    /// Offers `system` a rate, the seeds in parallel.
    pub(crate) fn probe(&self, system: &System, rate: f64) -> Result<Probe, Failure> {
        self.probe_extended(system, rate, 1)
    }

    /// Whether there can be more requests.
    pub(crate) fn can_extend(&self) -> bool {
        self.workload.extended(1).is_some()
    }

    /// As [`Question::probe`], with `times` as many requests, where there can be more.
    pub(crate) fn probe_extended(&self, system: &System, rate: f64, times: u32) -> Result<Probe, Failure> {
        let workload = self.workload.at_rate(rate, self.least_duration_s).map_err(|error| unreadable(&error))?;
        let workload = workload.extended(times).unwrap_or(workload);
        let one = |&seed: &u64| {
            let (window, unmeasured) = window(self.measuring, &workload, system, seed)?;
            let mut requests = workload.requests(seed).map_err(|error| unreadable(&error))?;
            let mut client = Client {
                measures: Measures::new(self.slos, window),
                first_token_elsewhere: self.first_token_elsewhere,
            };
            let outcome = sim::simulate(system.deployment(seed), &mut requests, &mut client)
                .map_err(|error| failed(&system.name, seed, &error))?;
            let mut measures = client.measures;
            let remark = rejections(&system.name, &outcome).or(unmeasured);
            Ok((Summary::new(&mut measures, &outcome, &system.facts()), remark))
        };
        // All end before the first failure in their order is told, so that it does not depend on who was faster.
        let runs: Vec<Result<(Summary, Option<String>), Failure>> = self.seeds.par_iter().map(one).collect();
        let runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (summaries, remarks): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        let shares: Vec<_> = self.demands.iter().map(|demand| mean_share(demand, &summaries, CONFIDENCE)).collect();
        let standing = self.standing_of(&shares);
        Ok(Probe { rate, summaries, shares, standing, remarks: remarks.into_iter().flatten().collect() })
    }

    /// Whether a probe meets every demand.
    pub(crate) fn standing(&self, probe: &Probe) -> Standing {
        self.standing_of(&probe.shares)
    }

    /// The same if the answer is sought at so many looks, with ever more requests, until it is certain: then each look is given its part
    /// of the 5 % in which chance may mislead (Bonferroni).
    pub(crate) fn standing_at_looks(&self, probe: &Probe, looks: u32) -> Standing {
        let confidence = 1.0 - (1.0 - CONFIDENCE) / f64::from(looks);
        let shares: Vec<_> =
            self.demands.iter().map(|demand| mean_share(demand, &probe.summaries, confidence)).collect();
        self.standing_of(&shares)
    }

    fn standing_of(&self, shares: &[(f64, Option<f64>)]) -> Standing {
        let judged = || self.demands.iter().zip(shares);
        let holds = judged().all(|(demand, (share, _))| share >= &demand.share);
        let certain = judged()
            .map(|(demand, (share, half))| {
                // Of a share of all requests there is no more to know than that all met it.
                let holds = |half| share - half >= demand.share || (*share >= 1.0 && demand.share >= 1.0);
                half.map(|half| (holds(half), share + half < demand.share))
            })
            .collect::<Option<Vec<_>>>()
            .map(
                |sure| if holds { sure.iter().all(|(holds, _)| *holds) } else { sure.iter().any(|(_, fails)| *fails) },
            );
        Standing { holds, certain }
    }

    /// The demand that a probe misses by most, or comes nearest to missing.
    pub(crate) fn tightest(&self, probe: &Probe) -> usize {
        let slack = |index: &usize| probe.shares[*index].0 - self.demands[*index].share;
        let least = (0..self.demands.len()).min_by(|a, b| slack(a).total_cmp(&slack(b)));
        least.expect("something is demanded")
    }
}

/// Measures what clients see.
struct Client {
    measures: Measures,
    first_token_elsewhere: bool,
}

impl Observer for Client {
    fn gaps_of(&self) -> Option<Window> {
        self.measures.gaps_of()
    }

    fn request(&mut self, record: &RequestRecord) {
        if !self.first_token_elsewhere || record.ending != Ending::Completed {
            return self.measures.request(record);
        }
        self.measures.request(&RequestRecord {
            max_gap: record.max_gap.max(record.ttft()),
            first_token: record.arrival,
            output_tokens: record.output_tokens + 1,
            ..record.clone()
        });
    }

    #[inline]
    fn gaps(&mut self, now: SimTime, gap: SimDuration, requests: u64) {
        Observer::gaps(&mut self.measures, now, gap, requests);
    }
}

/// Mean over seeds of the share of requests that met a limit, and half of its interval: by the batch means of all runs together, or,
/// where a run is too short for these, over seeds.
fn mean_share(demand: &Demand, summaries: &[Summary], confidence: f64) -> (f64, Option<f64>) {
    let share = |summary: &Summary| demand.limit.share_in(summary).expect("demands are made of limits that are given");
    let shares: Vec<f64> = summaries.iter().map(share).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let runs: Vec<&WithinRun> = summaries.iter().map(|summary| &*summary.within_run).collect();
    let pooled = WithinRun::pooled_mean(&runs, demand.limit.figure(), confidence).and_then(|(_, half)| half);
    let requests: u64 = summaries.iter().map(|summary| summary.requests.issued).sum();
    // Where none, or all, of n requests meet it, up to −ln(5 %) ÷ n may (Hanley & Lippman-Hand 1983: the rule of three).
    let least = -(1.0 - confidence).ln() / requests as f64;
    let half = pooled.or_else(|| half_width_at(&shares, confidence)).map(|half| half.max(least));
    (mean, half)
}

/// Half of the interval of the mean of one figure per seed.
fn half_width_at(figures: &[f64], confidence: f64) -> Option<f64> {
    let degrees = figures.len().checked_sub(1).filter(|degrees| *degrees > 0)? as u32;
    let quantile = |confidence: f64| student_t_quantile(f64::midpoint(1.0, confidence), degrees);
    Some(half_width(figures)? * quantile(confidence) / quantile(CONFIDENCE))
}
