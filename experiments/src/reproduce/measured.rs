//! What the runs of a figure are, and what is measured of them: served experiments, or prefix caches alone.

use sim::{Column, Summary};

use crate::caches::{CacheMeasure, CacheStudy, CacheSummary};
use crate::diagnostic::{Problem, Span, nearest};
use crate::experiment::Experiment;

/// What a figure runs at one value of its swept key.
pub(super) enum Study {
    /// Systems that serve requests.
    Served(Box<Experiment>),
    /// Caches that see requests; each stands for a system.
    Cached(Box<CacheStudy>),
}

impl Study {
    /// Every system runs once under each.
    pub(super) fn seeds(&self) -> &[u64] {
        match self {
            Study::Served(experiment) => &experiment.seeds,
            Study::Cached(study) => &study.seeds,
        }
    }

    /// Keeps so many seeds.
    pub(super) fn keep_seeds(&mut self, count: usize) {
        match self {
            Study::Served(experiment) => experiment.seeds.truncate(count),
            Study::Cached(study) => study.seeds.truncate(count),
        }
    }

    /// Names of its systems.
    pub(super) fn systems(&self) -> Vec<&str> {
        match self {
            Study::Served(experiment) => experiment.systems.iter().map(|system| system.name.as_str()).collect(),
            Study::Cached(study) => study.caches.iter().map(|cache| cache.name.as_str()).collect(),
        }
    }

    /// The measure of this name, written at `span`.
    pub(super) fn measure(&self, name: &str, span: Span) -> Result<Measure, Problem> {
        let (found, names, page): (_, Vec<&str>, _) = match self {
            Study::Served(_) => (
                Summary::column(name).map(Measure::Served),
                Summary::columns().iter().map(|column| column.name.as_str()).collect(),
                "servesim reference measures",
            ),
            Study::Cached(_) => (
                CacheMeasure::named(name).map(Measure::Cached),
                CacheMeasure::all().iter().map(|measure| measure.name).collect(),
                "servesim reference cache-study",
            ),
        };
        found.ok_or_else(|| {
            let problem = Problem::at(span, format!("there is no measure `{name}`"));
            match nearest(name, names) {
                Some(meant) => problem.label(format!("did you mean `{meant}`?")),
                None => problem.label(format!("measures: {page}")),
            }
        })
    }
}

/// A measure of a run.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// Of an experiment.
    Served(&'static Column),
    /// Of a cache.
    Cached(&'static CacheMeasure),
}

impl Measure {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Measure::Served(column) => &column.name,
            Measure::Cached(measure) => measure.name,
        }
    }

    /// Its unit.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Measure::Served(column) => column.unit,
            Measure::Cached(measure) => measure.unit,
        }
    }

    /// Its value, if the run has it.
    pub(super) fn of(self, run: &RunSummary) -> Option<f64> {
        match (self, run) {
            (Measure::Served(column), RunSummary::Served(summary)) => column.value(summary)?.as_f64(),
            (Measure::Cached(measure), RunSummary::Cached(summary)) => measure.value(summary),
            _ => unreachable!("a measure is one of its figure's study"),
        }
    }
}

/// What a run came to.
pub(super) enum RunSummary {
    /// Of a system that served.
    Served(Box<Summary>),
    /// Of a cache.
    Cached(CacheSummary),
}

impl RunSummary {
    /// Requests turned away, of how many; a cache turns none away.
    pub(super) fn rejected(&self) -> (u64, u64) {
        match self {
            RunSummary::Served(summary) => (summary.requests.rejected(), summary.requests.issued),
            RunSummary::Cached(summary) => (0, summary.report.requests),
        }
    }
}
