//! The limit of one system: the highest rate it keeps up with, and what that is per GPU, dollar and joule.

use sim::{Slos, Steadiness, Summary};

use super::probe::{Probe, Question};
use super::search::{Found, search};
use crate::experiment::{Experiment, Limit, SearchLimits, System};
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
    let most_extension = if question.can_extend() { limits.most_extension } else { 1 };
    let limits = SearchLimits { most_extension, ..limits };
    let found = search(limits, f64::from(facts.devices), |rate, times| {
        let probe = look(question, system, most_extension, rate, times)?;
        let standing = probe.standing;
        each(&probe)?;
        probes.retain(|shorter| shorter.rate.total_cmp(&rate).is_ne());
        probes.push(probe);
        Ok(standing)
    })?;
    probes.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let mut limited = Limited {
        system: system.name.clone(),
        gpus: facts.devices,
        usd_per_hour: facts.usd_per_hour.filter(|usd| *usd > 0.0),
        found,
        probes,
        tightest: 0,
    };
    limited.tightest = question.tightest(limited.decisive());
    Ok(limited)
}

/// Offers a rate with so many times the requests, and with more, up to `most` times, where the demands may hold only because the run ends
/// before the queue is long. These come to fail, so that the limit can only be lower for it.
fn look(question: &Question<'_>, system: &System, most: u32, rate: f64, times: u32) -> Result<Probe, Failure> {
    let mut longer = times;
    loop {
        let mut probe = Probe { times, ..question.probe_extended(system, rate, longer)? };
        let overloaded = probe.summaries.iter().all(|run| run.steadiness == Steadiness::Overloaded);
        let settling = times_to_settle(question.slos, &probe, longer);
        if !probe.standing.holds() || !(overloaded || settling > longer) {
            return Ok(probe);
        }
        if longer == most {
            if overloaded && most > 1 {
                probe.standing = probe.standing.doubted();
            }
            return Ok(probe);
        }
        longer = settling.max(longer.saturating_mul(4)).min(most);
    }
}

/// How many times the requests of a probe come for long enough, against the longest limit, for a queue to show.
fn times_to_settle(slos: Slos, probe: &Probe, times: u32) -> u32 {
    let longest = [slos.ttft, slos.e2e, slos.tbt, slos.tpot].into_iter().flatten().max();
    let longest_s = longest.map_or(0.0, workloads::SimDuration::as_secs_f64);
    let issued = probe.summaries.iter().map(|run| run.requests.issued).min().unwrap_or(1).max(1) as f64;
    (SETTLED * longest_s * probe.rate / issued * f64::from(times)).ceil() as u32
}

impl Limited {
    /// Where the demands fail, or what comes nearest to it.
    fn decisive(&self) -> &Probe {
        let probe = match self.found {
            Found::BelowLowest => self.probes.first(),
            Found::AboveHighest => self.probes.last(),
            Found::Between { fails, .. } => self.probes.iter().find(|probe| probe.rate >= fails),
        };
        probe.expect("a search tries at least one rate")
    }

    /// The limit that fewest requests met by itself where the demands fail.
    pub(crate) fn worst_limit(&self) -> Option<Limit> {
        Some(self.decisive().worst_limit()?.0)
    }

    /// Whether noise leaves no more open than `tolerance` on either side.
    pub(crate) fn is_within(&self, tolerance: f64) -> bool {
        matches!(self.found, Found::Between { interval: Some(interval), .. } if interval.is_within(tolerance))
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
            let times = self.at_limit().map_or(1, |probe| probe.times);
            let misses = |probe: &&Probe| probe.rate > fails && probe.times >= times && probe.standing.holds();
            if let Some(above) = self.probes.iter().find(misses) {
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
