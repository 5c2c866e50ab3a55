//! One system under one rate, every seed.

use rayon::prelude::*;
use sim::{Ending, Measures, Observer, RequestRecord, Slos, Summary};
use workloads::{SimDuration, SimTime};

use super::search::Standing;
use crate::experiment::{Demand, Measuring, System, Workload};
use crate::failure::Failure;
use crate::run::{failed, rejections, unreadable, window};
use sim::half_width;

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
    /// Per demand: the share that met it, and the half-width of its 95 % interval over seeds.
    pub(crate) shares: Vec<(f64, Option<f64>)>,
    /// What was turned away, in words.
    pub(crate) remarks: Vec<String>,
}

impl Question<'_> {
    /// Offers `system` a rate, the seeds in parallel.
    pub(crate) fn probe(&self, system: &System, rate: f64) -> Result<Probe, Failure> {
        let workload = self.workload.at_rate(rate, self.least_duration_s).map_err(|error| unreadable(&error))?;
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
        let shares = self.demands.iter().map(|demand| mean_share(demand, &summaries)).collect();
        Ok(Probe { rate, summaries, shares, remarks: remarks.into_iter().flatten().collect() })
    }

    /// Whether a probe meets every demand.
    pub(crate) fn standing(&self, probe: &Probe) -> Standing {
        let judged = || self.demands.iter().zip(&probe.shares);
        let holds = judged().all(|(demand, (share, _))| share >= &demand.share);
        let certain = judged()
            .map(|(demand, (share, half))| half.map(|half| (share - half >= demand.share, share + half < demand.share)))
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

/// Mean over seeds of the share of requests that met a limit, and half of its 95 % interval.
fn mean_share(demand: &Demand, summaries: &[Summary]) -> (f64, Option<f64>) {
    let share = |summary: &Summary| demand.limit.share_in(summary).expect("demands are made of limits that are given");
    let shares: Vec<f64> = summaries.iter().map(share).collect();
    (shares.iter().sum::<f64>() / shares.len() as f64, half_width(&shares))
}
