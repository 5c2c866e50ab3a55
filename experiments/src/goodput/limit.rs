//! The limit of one system: the highest rate it keeps up with, and what that is per GPU, dollar and joule.

use sim::{Slos, Steadiness, Summary};

use super::probe::{Probe, Question};
use super::search::{Found, Interval, Standing, search};
use crate::experiment::{Experiment, SearchLimits, System};
use crate::failure::Failure;

const SECONDS_PER_HOUR: f64 = 3600.0;
/// Requests that all come within fewer times the longest limit are served by a queue that never settles.
const SETTLED: f64 = 10.0;

/// What was found of a system.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    /// Its name.
    pub(crate) system: String,
    /// Its GPUs.
    pub(crate) gpus: u32,
    /// Price of all of them in US dollars per hour, if they have one.
    pub(crate) usd_per_hour: Option<f64>,
    /// Where the search ended.
    pub(crate) found: Found,
    /// Every rate that was tried, ascending.
    pub(crate) probes: Vec<Probe>,
    /// Index of the demand that fails first.
    pub(crate) tightest: usize,
}

/// Searches the highest rate at which `system` meets every demand; `each` is told of every probe.
pub(crate) fn find(
    question: &Question<'_>,
    system: &System,
    limits: SearchLimits,
    each: &mut impl FnMut(&Probe) -> Result<(), Failure>,
) -> Result<Limited, Failure> {
    let facts = system.facts();
    let mut probes: Vec<Probe> = Vec::new();
    let found = search(limits, f64::from(facts.devices), |rate| {
        let probe = look(question, system, limits, rate)?;
        let standing = probe.standing;
        each(&probe)?;
        probes.push(probe);
        Ok(standing)
    })?;
    probes.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let decisive = match found {
        Found::BelowLowest => probes.first(),
        Found::AboveHighest => probes.last(),
        Found::Between { fails, .. } => probes.iter().find(|probe| probe.rate >= fails),
    };
    let tightest = question.tightest(decisive.expect("a search tries at least one rate"));
    Ok(Limited {
        system: system.name.clone(),
        gpus: facts.devices,
        usd_per_hour: facts.usd_per_hour.filter(|usd| *usd > 0.0),
        found,
        probes,
        tightest,
    })
}

/// Offers a rate with ever more requests until it is certain whether the demands hold, or there may be no more.
fn look(question: &Question<'_>, system: &System, limits: SearchLimits, rate: f64) -> Result<Probe, Failure> {
    let most = if question.can_extend() { limits.most_extension } else { 1 };
    let extensions: Vec<u32> = extensions(most).collect();
    for (place, extension) in extensions.iter().enumerate() {
        let mut probe = question.probe_extended(system, rate, *extension)?;
        let mut standing = question.standing_at_looks(&probe, extensions.len() as u32);
        let overloaded = |run: &Summary| run.steadiness == Steadiness::Overloaded;
        // It holds because the run ends before the queue is long, or for want of time to tell.
        let swallowed = probe.summaries.iter().all(overloaded) || !is_settled(question.slos, &probe);
        let burst = standing.holds && extensions.len() > 1 && swallowed;
        let last = place + 1 == extensions.len();
        if last && burst && probe.summaries.iter().all(overloaded) {
            // That the queue grows is a judgement of trends without an interval, and the shares themselves say otherwise: where the
            // demands fail beyond noise stays to be found, above.
            standing = Standing { holds: false, certain: standing.certain.map(|_| false) };
        }
        probe.standing = standing;
        if last || (standing.certain == Some(true) && !burst) {
            return Ok(probe);
        }
    }
    unreachable!("there is a last look")
}

/// Whether requests come for long enough, against the longest limit, for a queue to show.
fn is_settled(slos: Slos, probe: &Probe) -> bool {
    let longest = [slos.ttft, slos.e2e, slos.tbt, slos.tpot].into_iter().flatten().max();
    let longest_s = longest.map_or(0.0, workloads::SimDuration::as_secs_f64);
    probe.summaries.iter().all(|run| run.requests.issued as f64 >= SETTLED * longest_s * probe.rate)
}

/// 1, 4, 16 … up to `most`.
fn extensions(most: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1_u32), |last| last.checked_mul(4)).take_while(move |extension| *extension <= most)
}

impl Limited {
    /// Whether noise leaves nothing open between the rate that holds and the one that fails.
    pub(crate) fn is_beyond_noise(&self) -> bool {
        matches!(self.found, Found::Between { holds, fails, interval: Some(Interval { low: Some(low), high: Some(high) }) }
            if low >= holds && high <= fails)
    }

    /// Requests of each run at the highest rate that holds.
    pub(crate) fn requests_per_run(&self) -> Option<u64> {
        Some(self.at_limit()?.summaries.first()?.requests.issued)
    }

    /// The highest rate at which the demands hold, in requests per second.
    pub(crate) fn rate(&self) -> Option<f64> {
        match self.found {
            Found::Between { holds, .. } => Some(holds),
            Found::BelowLowest | Found::AboveHighest => None,
        }
    }

    /// That rate per GPU.
    pub(crate) fn per_gpu(&self) -> Option<f64> {
        Some(self.rate()? / f64::from(self.gpus))
    }

    /// Requests per US dollar at that rate.
    pub(crate) fn per_usd(&self) -> Option<f64> {
        Some(self.rate()? * SECONDS_PER_HOUR / self.usd_per_hour?)
    }

    /// Requests per joule at that rate: those completed over the energy of the whole runs, idle power included.
    pub(crate) fn per_joule(&self) -> Option<f64> {
        let runs = &self.at_limit()?.summaries;
        let known = runs.iter().all(|run| run.knows_work);
        let energy_j: f64 = runs.iter().map(Summary::energy_j).sum();
        let requests: u64 = runs.iter().map(|run| run.requests.completed).sum();
        (known && energy_j > 0.0).then(|| requests as f64 / energy_j)
    }

    /// The probe at the highest rate that holds.
    pub(crate) fn at_limit(&self) -> Option<&Probe> {
        let rate = self.rate()?;
        self.probes.iter().find(|probe| probe.rate.total_cmp(&rate).is_eq())
    }

    /// What makes its figures less than they seem.
    pub(crate) fn remarks(&self, experiment: &Experiment) -> Vec<String> {
        let mut remarks: Vec<String> = self.at_limit().map(|probe| probe.remarks.clone()).unwrap_or_default();
        if let Found::Between { holds, fails, .. } = self.found {
            if let Some(above) = self.probes.iter().find(|probe| probe.rate > fails && probe.standing.holds) {
                remarks.push(format!(
                    "warning: `{}` also meets the objectives at {:.4} req/s, above {fails:.4} where it misses them: attainment \
                     does not fall evenly with the rate; more requests or seeds show whether that is noise",
                    self.system, above.rate
                ));
            }
            let slos = experiment.slos;
            let longest = [slos.ttft, slos.e2e, slos.tbt, slos.tpot].into_iter().flatten().max();
            let requests =
                self.at_limit().and_then(|probe| probe.summaries.first()).map_or(0, |run| run.requests.issued);
            if let Some(longest_s) = longest.map(workloads::SimDuration::as_secs_f64)
                && (requests as f64) < SETTLED * longest_s * holds
            {
                remarks.push(format!(
                    "warning: at its limit, all {requests} requests to `{}` arrive within {:.1} s, and the longest limit is {longest_s} s: \
                     the rate found is that of a burst, not one it could keep up; raise workload.requests or goodput.least_duration",
                    self.system,
                    requests as f64 / holds
                ));
            }
        }
        remarks
    }
}
