//! One system under one rate, every seed.

use std::f64::consts::LN_2;

use rayon::prelude::*;
use sim::{Ending, GapsOf, Measures, Observer, RequestFigure, RequestRecord, Slos, Summary, WithinRun, half_width};
use workloads::{SimDuration, SimTime};

use super::known::Standing;
use crate::experiment::{Demand, Limit, Measuring, System, Workload};
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
    /// How many times the requests that were asked for, or more where these came too soon for a queue to show.
    pub(crate) times: u32,
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
        let nothing =
            self.demands.iter().any(|demand| summaries.iter().any(|run| demand.limit.share_in(run).is_none()));
        if nothing {
            return Err(Failure::Run(format!(
                "system `{}`: at {rate:.4} req/s no request arrives in the measured window: `measure` leaves out more than the time in \
                 which requests come; raise workload.requests or goodput.least_duration, or lower goodput.highest_rate",
                system.name
            )));
        }
        let shares: Vec<_> = self.demands.iter().map(|demand| mean_share(demand, &summaries)).collect();
        let remarks = remarks.into_iter().flatten().collect();
        let standing = standing(self.demands, &shares, judged(&summaries));
        Ok(Probe { rate, times, summaries, shares, standing, remarks })
    }

    /// How far a probe is from the demands.
    pub(crate) fn standing(&self, probe: &Probe) -> Standing {
        standing(self.demands, &probe.shares, judged(&probe.summaries))
    }

    /// The demand that a probe misses by most, or comes nearest to missing.
    pub(crate) fn tightest(&self, probe: &Probe) -> usize {
        let slack = |index: &usize| probe.shares[*index].0 - self.demands[*index].share;
        let least = (0..self.demands.len()).min_by(|a, b| slack(a).total_cmp(&slack(b)));
        least.expect("something is demanded")
    }
}

impl Probe {
    /// The limit that fewest requests met by itself, and their share, mean over seeds.
    pub(crate) fn worst_limit(&self) -> Option<(Limit, f64)> {
        let share = |limit: Limit| {
            let shares = self.summaries.iter().map(|summary| limit.share_in(summary));
            let sum: f64 = shares.sum::<Option<f64>>()?;
            Some((limit, sum / self.summaries.len() as f64))
        };
        let each = [Limit::Ttft, Limit::Tbt, Limit::Tpot, Limit::E2e].into_iter().filter_map(share);
        each.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Measures what clients see.
struct Client {
    measures: Measures,
    first_token_elsewhere: bool,
}

impl Observer for Client {
    fn gaps_of(&self) -> GapsOf {
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

/// The least over the demands of the log-odds of the attained share over those of the wanted one, at the mean and at the ends of its
/// interval. Shares of 0 and 1 count as half a request of all. A demand on all requests that all meet does not tell how far it is from being
/// missed, so the others decide; where there is no other it is as far as from half a request to a quarter.
fn standing(demands: &[Demand], shares: &[(f64, Option<f64>)], judged: f64) -> Standing {
    let least = 0.5 / judged.max(1.0);
    let log_odds = |share: f64| {
        let share = share.clamp(least, 1.0 - least);
        (share / (1.0 - share)).ln()
    };
    let over = |demand: &Demand, share: f64| log_odds(share) - log_odds(demand.share);
    let telling = || demands.iter().zip(shares).filter(|(demand, (share, _))| *share < 1.0 || demand.share < 1.0);
    if telling().next().is_none() {
        return Standing { margin: LN_2, interval: Some((LN_2, LN_2)), in_doubt: false };
    }
    let ends = |(demand, (share, half)): (&Demand, &(f64, Option<f64>))| {
        let half = (*half)?;
        Some((over(demand, share - half), over(demand, share + half)))
    };
    let least_of = |low: (f64, f64), next: (f64, f64)| (low.0.min(next.0), low.1.min(next.1));
    Standing {
        margin: telling().map(|(demand, (share, _))| over(demand, *share)).fold(f64::INFINITY, f64::min),
        interval: telling()
            .map(ends)
            .try_fold((f64::INFINITY, f64::INFINITY), |least, ends| Some(least_of(least, ends?))),
        in_doubt: false,
    }
}

/// Requests that were measured, of all runs.
fn judged(summaries: &[Summary]) -> f64 {
    summaries.iter().map(|summary| summary.within_run.requests(RequestFigure::Attained)).sum()
}

/// Mean over seeds of the share of requests that met a limit, and half of its interval: by the batch means of all runs together, or,
/// where a run is too short for these, over seeds.
fn mean_share(demand: &Demand, summaries: &[Summary]) -> (f64, Option<f64>) {
    let share = |summary: &Summary| demand.limit.share_in(summary).expect("demands are made of limits that are given");
    let shares: Vec<f64> = summaries.iter().map(share).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let runs: Vec<&WithinRun> = summaries.iter().map(|summary| &*summary.within_run).collect();
    let pooled = WithinRun::pooled_mean(&runs, demand.limit.figure(), CONFIDENCE).and_then(|(_, half)| half);
    // Where none, or all, of n requests meet it, up to −ln(5 %) ÷ n may (Hanley & Lippman-Hand 1983: the rule of three).
    let least = -(1.0 - CONFIDENCE).ln() / judged(summaries).max(1.0);
    let half = pooled.or_else(|| half_width(&shares)).map(|half| half.max(least));
    (mean, half)
}
