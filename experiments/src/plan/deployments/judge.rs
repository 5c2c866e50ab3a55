//! One deployment under the rate that has to be served, every seed.

use profiles::Evidence;
use sim::{Statistics, Summary, Value, half_width};

use crate::experiment::{Experiment, System};
use crate::failure::Failure;
use crate::goodput::{Probe, Question};

const NANOS_PER_MS: f64 = 1e6;

/// What came out.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// Whether every demand is met, on the mean over seeds.
    pub(super) holds: bool,
    /// Whether that is beyond the 95 % interval over seeds; `None` with one seed.
    pub(super) certain: Option<bool>,
    /// Whether it misses by more than chance of this sample leaves open.
    pub(super) clearly_misses: bool,
    /// Of the demand that is missed by most, or met by least: its index, and the share that met it by seed.
    pub(super) tightest: (usize, Vec<f64>),
    /// Mean over seeds.
    pub(super) figures: Figures,
    /// What was turned away, in words.
    pub(super) remarks: Vec<String>,
}

/// What a frontier is made of, means over seeds; `None` where a figure does not exist.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) median_ttft_ms: Option<f64>,
    pub(super) p99_ttft_ms: Option<f64>,
    pub(super) mean_tpot_ms: Option<f64>,
    pub(super) p99_itl_ms: Option<f64>,
    pub(super) energy_j_per_output_token: Option<f64>,
    /// Shares of the step time that stand on each kind of evidence, best first (0 to 1).
    pub(super) evidence: [Option<f64>; Evidence::COUNT],
}

impl Judged {
    /// Offers `system` the rate.
    pub(super) fn of(question: &Question<'_>, system: &System, rate: f64) -> Result<Self, Failure> {
        let probe = question.probe(system, rate)?;
        let standing = question.standing(&probe);
        let tightest = question.tightest(&probe);
        let limit = question.demands[tightest].limit;
        let shares =
            probe.summaries.iter().map(|summary| limit.share_in(summary).expect("the limit is given")).collect();
        Ok(Judged {
            holds: standing.holds(),
            certain: standing.certain(),
            clearly_misses: !standing.holds() && clearly(question, &probe),
            tightest: (tightest, shares),
            figures: Figures::of(&probe.summaries),
            remarks: probe.remarks,
        })
    }

    /// Share of requests that met the tightest demand, mean over seeds.
    pub(super) fn attainment(&self) -> f64 {
        self.tightest.1.iter().sum::<f64>() / self.tightest.1.len() as f64
    }

    /// Half of its 95 % interval; `None` with one seed.
    pub(super) fn half_width(&self) -> Option<f64> {
        half_width(&self.tightest.1)
    }

    /// What is wanted of it.
    pub(super) fn wanted(&self, experiment: &Experiment) -> f64 {
        experiment.demands[self.tightest.0].share
    }
}

/// Whether a demand is missed by more than its 95 % interval over seeds, and by more than two standard deviations of that
/// share of so many independent requests.
fn clearly(question: &Question<'_>, probe: &Probe) -> bool {
    let requests: u64 = probe.summaries.iter().map(|summary| summary.requests.issued).sum();
    question.demands.iter().zip(&probe.shares).any(|(demand, (share, half))| {
        let by_chance = 2.0 * (demand.share * (1.0 - demand.share) / requests.max(1) as f64).sqrt();
        share + half.unwrap_or(0.0).max(by_chance) < demand.share
    })
}

/// Share of a run's step time that stands on this kind of evidence; `None` where no step ran.
fn share_on(kind: Evidence, summary: &Summary) -> Option<f64> {
    let column = Summary::column(&format!("{}_time_share", kind.name())).expect("every kind has a measure");
    match column.value(summary)? {
        Value::Real(share) => Some(share),
        Value::Count(_) | Value::Word(_) => unreachable!("a share is a real number"),
    }
}

impl Figures {
    fn of(summaries: &[Summary]) -> Self {
        let mean = |of: &dyn Fn(&Summary) -> Option<f64>| {
            let values = summaries.iter().map(of).collect::<Option<Vec<f64>>>()?;
            Some(values.iter().sum::<f64>() / values.len() as f64)
        };
        let ms = |of: fn(&Summary) -> Option<&Statistics>, ns: fn(&Statistics) -> f64| {
            mean(&|summary| of(summary).map(|statistics| ns(statistics) / NANOS_PER_MS))
        };
        let energy = |summary: &Summary| {
            let known = summary.knows_work && summary.total_output_tokens > 0;
            known.then(|| summary.energy_j() / summary.total_output_tokens as f64)
        };
        Figures {
            median_ttft_ms: ms(|summary| summary.ttft.as_ref(), |ttft| ttft.median_ns),
            p99_ttft_ms: ms(|summary| summary.ttft.as_ref(), |ttft| ttft.p99_ns),
            mean_tpot_ms: ms(|summary| summary.tpot.as_ref(), |tpot| tpot.mean_ns),
            p99_itl_ms: ms(|summary| summary.itl.as_ref(), |itl| itl.p99_ns),
            energy_j_per_output_token: mean(&energy),
            evidence: Evidence::ALL.map(|kind| mean(&|summary| share_on(kind, summary))),
        }
    }
}
