//! One placement, judged by the highest rate it holds.

use std::path::Path;

use sim::Slos;

use super::placement::Placement;
use crate::experiment::{
    Algorithm, Demand, Experiment, KernelLibrary, Limit, Objective, PlanSpec, SearchLimits, System, Workload,
};
use crate::failure::Failure;
use crate::file::Variation;
use crate::file::document::Value;
use crate::goodput::search::Found;
use crate::goodput::{Limited, Progress, Question, find};
use crate::run::load_varied;

/// All that judging takes.
pub(super) struct Planner<'a> {
    /// The experiment file.
    pub(super) file: &'a Path,
    /// Values laid over it.
    pub(super) settings: &'a [String],
    /// What it says.
    pub(super) base: &'a Experiment,
    /// What is searched.
    pub(super) spec: &'a PlanSpec,
    /// Kernel tables, read once.
    pub(super) library: KernelLibrary,
    /// How far it is.
    pub(super) progress: Progress,
}

/// A placement that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// For which search.
    pub(super) algorithm: Algorithm,
    /// It.
    pub(super) placement: Placement,
    /// Whether it is a whole plan, with as many replicas as it takes, and not a part of one.
    pub(super) whole: bool,
    /// What came out.
    pub(super) outcome: Outcome,
}

/// What came out.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was not simulated, or does not meet the objectives; in words.
    Out(String),
    /// Its highest rate.
    Holds(Box<Limited>),
}

impl Row {
    /// The highest rate it holds, if it was found.
    pub(super) fn limited(&self) -> Option<&Limited> {
        match &self.outcome {
            Outcome::Holds(limited) => Some(limited),
            Outcome::Out(_) => None,
        }
    }

    /// How the system is called in its file.
    pub(super) fn name(&self) -> String {
        self.placement.to_string()
    }
}

impl Planner<'_> {
    /// The experiment with this placement as its only system, or why there cannot be one.
    pub(super) fn build(&self, placement: &Placement, name: String) -> Result<Experiment, String> {
        self.varied(self.spec.system.clone(), name, placement.changes(self.spec)?)
    }

    /// The experiment with one of its systems, changed, as the only one, or why there cannot be one.
    pub(super) fn varied(
        &self,
        system: Option<String>,
        name: String,
        changes: Vec<(String, Value)>,
    ) -> Result<Experiment, String> {
        let variation = Variation { system, name, changes };
        let loaded = load_varied(self.file, self.settings, Some(&variation), &self.library);
        loaded.map(|loaded| loaded.experiment).map_err(|failure| failure.brief())
    }

    /// Searches the highest rate of a placement.
    /// Below the value `best`, which others have, it need not be found exactly.
    pub(super) fn judge(
        &self,
        algorithm: Algorithm,
        placement: Placement,
        whole: bool,
        best: Option<f64>,
    ) -> Result<Row, Failure> {
        let outcome = self.outcome(&placement, best)?;
        self.progress.done();
        Ok(Row { algorithm, placement, whole, outcome })
    }

    fn outcome(&self, placement: &Placement, best: Option<f64>) -> Result<Outcome, Failure> {
        let experiment = match self.build(placement, placement.to_string()) {
            Ok(experiment) => experiment,
            Err(reason) => return Ok(Outcome::Out(reason)),
        };
        let system = &experiment.systems[0];
        let (workload, slos, demands) = self.asked(placement);
        let question = Question {
            workload: &workload,
            seeds: &self.base.seeds,
            slos,
            measuring: self.base.measuring,
            first_token_elsewhere: matches!(placement, Placement::DecodeOnly(_)),
            demands: &demands,
            least_duration_s: self.base.search.least_duration_s,
        };
        // Placements are told apart by far more than noise, and there are many.
        let limits = SearchLimits { most_extension: 1, ..self.base.search };
        if let (Some(best), Some(rate)) = (best, self.roofline(placement, system)) {
            let facts = system.facts();
            let bound = self.value_at(rate, facts.devices, facts.usd_per_hour);
            if bound.is_some_and(|bound| bound < best) {
                return Ok(Outcome::Out(format!("bounded by its peak FLOP/s, {rate:.3} req/s, below the best")));
            }
        }
        // A placement that is too slow for a lone request is found out at once, not after halving its rate many times.
        let lone = question.probe(system, limits.lowest_rate)?;
        self.progress.probed();
        if !question.standing(&lone).holds() {
            let index = question.tightest(&lone);
            return Ok(Outcome::Out(format!(
                "misses the objectives at the lowest rate: {} met by {:.1} % of requests",
                demands[index].limit.name(),
                100.0 * lone.shares[index].0
            )));
        }
        let limited = find(&question, system, limits, &mut |_| {
            self.progress.probed();
            Ok(())
        })?;
        Ok(match limited.found {
            Found::Between { .. } => Outcome::Holds(Box::new(limited)),
            Found::AboveHighest => {
                Outcome::Out(format!("holds even at goodput.highest_rate = {}", limits.highest_rate))
            }
            Found::BelowLowest => Outcome::Out("misses the objectives at the lowest rate".to_owned()),
        })
    }

    /// What is asked of a placement: of one phase by itself, only what that phase decides.
    fn asked(&self, placement: &Placement) -> (Workload, Slos, Vec<Demand>) {
        let Slos { ttft, tbt, tpot, .. } = self.base.slos;
        match placement {
            Placement::Serve { .. } | Placement::Split { .. } => {
                (self.base.workload.clone(), self.base.slos, self.base.demands.clone())
            }
            Placement::PrefillOnly(_) => {
                let slos = Slos { ttft, ..Slos::default() };
                (self.base.workload.prompts_only(), slos, self.demands_on(&[Limit::Ttft]))
            }
            Placement::DecodeOnly(_) => {
                let slos = Slos { tbt, tpot, ..Slos::default() };
                (self.base.workload.clone(), slos, self.demands_on(&[Limit::Tbt, Limit::Tpot]))
            }
        }
    }

    fn demands_on(&self, limits: &[Limit]) -> Vec<Demand> {
        let kept = |demand: &&Demand| demand.limit == Limit::All || limits.contains(&demand.limit);
        self.base.demands.iter().filter(kept).copied().collect()
    }

    /// The rate that the FLOPs of its prompts alone bound, in requests per second; `None` where they are not known or bound
    /// nothing. Prompts may pile up for as long as the limit on TTFT: with N requests, a share s of which has to make it, of w
    /// seconds of peak each, N / rate + ttft ≥ s N w.
    fn roofline(&self, placement: &Placement, system: &System) -> Option<f64> {
        /// Room for the sample's mean length to lie below that of its distribution.
        const SAMPLE: f64 = 0.9;
        if matches!(placement, Placement::DecodeOnly(_)) {
            return None;
        }
        let ttft_s = self.base.slos.ttft?.as_secs_f64();
        let share = self.base.demands.iter().find(|demand| matches!(demand.limit, Limit::All | Limit::Ttft))?.share;
        let parameters = system.model.active_parameters();
        let flops = 2.0
            * (parameters.total() - parameters.embedding - parameters.head - parameters.norms) as f64
            * self.base.workload.mean_computed_prompt()?;
        let peak = system.facts().peak_flops;
        let requests = self.base.workload.requests_made()? as f64;
        if self.base.search.least_duration_s > 0.0 {
            // Then there are at least so many requests that the slack is shared among more: no less than this.
            let rate = peak / (SAMPLE * share * flops);
            return Some(rate * (1.0 + ttft_s / self.base.search.least_duration_s))
                .filter(|rate| rate.is_finite() && peak > 0.0);
        }
        let least_s = SAMPLE * share * flops / peak - ttft_s / requests;
        (peak > 0.0 && least_s > 0.0).then(|| 1.0 / least_s)
    }

    /// How good a whole plan is: the value of its limit; for the least cost, its dollars per hour, negative.
    pub(super) fn plan_value(&self, row: &Row) -> Option<f64> {
        let limited = row.limited()?;
        match self.spec.objective {
            Objective::Cost => limited.usd_per_hour.map(|usd| -usd),
            _ => self.value(limited),
        }
    }

    /// How good a limit is, more being better; `None` where the objective does not exist, as energy without a model of it.
    pub(super) fn value(&self, limited: &Limited) -> Option<f64> {
        match self.spec.objective {
            Objective::PerGpu => limited.per_gpu(),
            Objective::PerUsd => limited.per_usd(),
            Objective::PerJoule => limited.per_joule(),
            Objective::Cost => {
                let replicas = (self.spec.rate? / limited.rate()?).ceil();
                Some(-replicas * limited.usd_per_hour?)
            }
        }
    }

    /// The best value that a placement of `gpus` GPUs could have if it held `rate`; `None` where rates alone do not tell.
    pub(super) fn value_at(&self, rate: f64, gpus: u32, usd_per_hour: Option<f64>) -> Option<f64> {
        match self.spec.objective {
            Objective::PerGpu => Some(rate / f64::from(gpus)),
            Objective::PerUsd => Some(rate * 3600.0 / usd_per_hour?),
            Objective::PerJoule => None,
            Objective::Cost => Some(-(self.spec.rate? / rate).ceil() * usd_per_hour?),
        }
    }
}
