//! Branch and bound over families of deployments.
//!
//! Cost grows with every replica and is known before anything is simulated: the cheapest deployment that serves is found by
//! leaving out dearer ones. Fewer replicas of the same kinds are taken to serve no better: where a deployment clearly misses,
//! smaller ones of its family do. And what [`Bounds`] prove to be late is late.

use rayon::prelude::*;

use super::super::judge::Planner;
use super::bound::{Bounds, Late};
use super::family::Family;
use super::judge::Judged;
use super::rates::{Rates, rates};
use crate::experiment::{DeploymentSearch, Experiment, Pool};
use crate::failure::Failure;
use crate::goodput::question;

/// Families that are searched before the next ones are held against the cheapest so far: a fixed number, so that what is
/// simulated does not depend on the number of threads.
const WAVE: usize = 8;
/// Costs are equal if they differ by less than this share: sums of prices are rounded.
pub(super) const SAME_COST: f64 = 1e-9;

/// One deployment of a family.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    /// Replicas by pool.
    pub(super) replicas: Vec<u32>,
    /// GPUs in all.
    pub(super) gpus: u32,
    /// Price of all of them.
    pub(super) usd_per_hour: f64,
    /// Price of those of the decode pool, where there is one.
    pub(super) decode_usd_per_hour: Option<f64>,
    /// What is known of it.
    pub(super) fate: Fate,
}

/// What is known of a deployment.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Nothing: it was not simulated because it costs more than what is asked for.
    Dearer,
    /// Requests come too fast for it, whatever the schedule.
    Late(Late),
    /// One of the same kinds of replicas, none of them fewer, clearly misses the objectives.
    BelowMissing(Vec<u32>),
    /// So many replicas cannot be built; why.
    CannotBe(String),
    /// It was simulated.
    Judged(Box<Judged>),
}

/// A family that can be built, and its deployments by cost.
#[derive(Clone, Debug)]
pub(super) struct Members {
    /// It.
    pub(super) family: Family,
    /// Its deployments, cheapest first.
    pub(super) deployments: Vec<Deployment>,
}

impl Deployment {
    /// What came out, if it was simulated.
    pub(super) fn judged(&self) -> Option<&Judged> {
        if let Fate::Judged(judged) = &self.fate { Some(judged) } else { None }
    }

    fn is_open(&self) -> bool {
        matches!(self.fate, Fate::Dearer)
    }

    pub(super) fn holds(&self) -> bool {
        self.judged().is_some_and(|judged| judged.holds)
    }
}

/// All that searching takes.
pub(super) struct Searcher<'a> {
    /// The planner.
    pub(super) planner: &'a Planner<'a>,
    /// What is searched.
    pub(super) search: &'a DeploymentSearch,
    /// What no deployment can beat, where that is known.
    pub(super) bounds: Option<Bounds>,
}

impl Searcher<'_> {
    /// The experiment with this deployment as its only system, or why there cannot be one.
    pub(super) fn build(&self, family: &Family, replicas: &[u32]) -> Result<Experiment, String> {
        let changes = family.changes(replicas, self.planner.spec)?;
        self.planner.varied(Some(family.system.clone()), family.name(replicas), changes)
    }

    /// The deployments of a family with what the bounds say of them, or why it cannot be built.
    pub(super) fn members(&self, family: &Family) -> Result<Members, String> {
        let one = self.build(family, &vec![1; family.shapes.len()])?;
        let system = &one.systems[0];
        let pools = &system.pools;
        if let Some(free) = pools.iter().find(|pool| pool.usd_per_hour() <= 0.0) {
            return Err(format!("{} has no price", free.device.name));
        }
        let gpus: Vec<u32> = pools.iter().map(Pool::devices).collect();
        let bounds = self.bounds.as_ref().filter(|_| self.search.prune);
        let speeds: Vec<(Rates, u32)> =
            pools.iter().map(|pool| (self.rates(pool, system.mixes()), pool.engines)).collect();
        let of = |replicas: Vec<u32>| {
            let each: Vec<(Rates, u32)> =
                speeds.iter().zip(&replicas).map(|((rates, engines), count)| (*rates, engines * count)).collect();
            let late = bounds.and_then(|bounds| bounds.late(&each));
            let sum = |of: &dyn Fn(usize) -> f64| {
                replicas.iter().enumerate().map(|(pool, count)| f64::from(*count) * of(pool)).sum::<f64>()
            };
            Deployment {
                gpus: replicas.iter().zip(&gpus).map(|(count, gpus)| count * gpus).sum(),
                usd_per_hour: sum(&|pool| pools[pool].usd_per_hour()),
                decode_usd_per_hour: replicas.get(1).map(|count| f64::from(*count) * pools[1].usd_per_hour()),
                fate: late.map_or(Fate::Dearer, Fate::Late),
                replicas,
            }
        };
        let counts = Family::counts(&gpus, self.planner.spec.total_gpus());
        let mut deployments: Vec<Deployment> = counts.into_iter().map(of).collect();
        deployments.sort_by(|a, b| a.usd_per_hour.total_cmp(&b.usd_per_hour).then_with(|| a.replicas.cmp(&b.replicas)));
        Ok(Members { family: family.clone(), deployments })
    }

    /// What a replica of a pool computes at most; nothing of what only replicas of other pools do.
    fn rates(&self, pool: &Pool, mixed: bool) -> Rates {
        let Some(bounds) = self.bounds.as_ref().filter(|_| self.search.prune) else {
            return Rates { prompt: f64::INFINITY, decode: f64::INFINITY };
        };
        let most = rates(pool, bounds.shortest_prompt(), bounds.pace());
        match pool.role {
            sim::Role::Prefill if !mixed => Rates { decode: 0.0, ..most },
            sim::Role::Decode if !mixed => Rates { prompt: 0.0, ..most },
            _ => most,
        }
    }

    /// Simulates what it takes to know the cheapest deployments that serve, and all up to `frontier_cost` times as dear.
    pub(super) fn search(&self, families: &mut [Members]) -> Result<(), Failure> {
        if !self.search.prune {
            return self.waves(families, Some(f64::INFINITY));
        }
        // Families whose cheapest deployment that is not ruled out is cheap first: they are likely to bring the limit down.
        let least = |members: &Members| {
            members
                .deployments
                .iter()
                .find(|deployment| deployment.is_open())
                .map_or(f64::INFINITY, |open| open.usd_per_hour)
        };
        families.sort_by(|a, b| least(a).total_cmp(&least(b)));
        self.waves(families, None)?;
        let limit = cheapest(families).map_or(f64::INFINITY, |usd| usd * self.search.frontier_cost);
        self.waves(families, Some(limit))
    }

    /// Goes through the families, several at a time: to simulate all that cost up to `all_up_to`, or, without it, to find the
    /// cheapest.
    fn waves(&self, families: &mut [Members], all_up_to: Option<f64>) -> Result<(), Failure> {
        let mut best = cheapest(families);
        for wave in families.chunks_mut(WAVE) {
            let limit = all_up_to.or(best).unwrap_or(f64::INFINITY);
            let done: Vec<Result<(), Failure>> =
                wave.par_iter_mut().map(|members| self.settle(members, limit, all_up_to.is_none())).collect();
            done.into_iter().collect::<Result<(), Failure>>()?;
            best = best.into_iter().chain(cheapest(wave)).reduce(f64::min);
        }
        Ok(())
    }

    /// Simulates the deployments of a family that cost up to `limit` until nothing is open; if the cheapest is searched, the
    /// limit is lowered to each that serves.
    fn settle(&self, members: &mut Members, limit: f64, cheapest_only: bool) -> Result<(), Failure> {
        let mut limit = limit * (1.0 + SAME_COST);
        loop {
            let open: Vec<usize> = (0..members.deployments.len())
                .filter(|index| members.deployments[*index].is_open())
                .filter(|index| members.deployments[*index].usd_per_hour <= limit)
                .collect();
            let Some(&middle) = open.get(open.len() / 2) else { return Ok(()) };
            let judged = match self.judge(&members.family, &members.deployments[middle].replicas)? {
                Ok(judged) => judged,
                Err(reason) => {
                    members.deployments[middle].fate = Fate::CannotBe(reason);
                    continue;
                }
            };
            if judged.clearly_misses && self.search.prune {
                let missing = members.deployments[middle].replicas.clone();
                let smaller = |other: &Deployment| other.replicas.iter().zip(&missing).all(|(a, b)| a <= b);
                for other in members.deployments.iter_mut().filter(|other| other.is_open() && smaller(other)) {
                    other.fate = Fate::BelowMissing(missing.clone());
                }
            }
            let chosen = &mut members.deployments[middle];
            if judged.holds && cheapest_only {
                limit = limit.min(chosen.usd_per_hour * (1.0 + SAME_COST));
            }
            chosen.fate = Fate::Judged(Box::new(judged));
        }
    }

    /// What comes out of a deployment, or why it cannot be.
    fn judge(&self, family: &Family, replicas: &[u32]) -> Result<Result<Judged, String>, Failure> {
        let experiment = match self.build(family, replicas) {
            Ok(experiment) => experiment,
            Err(reason) => return Ok(Err(reason)),
        };
        let judged = Judged::of(&question(self.planner.base), &experiment.systems[0], self.search.rate)?;
        self.planner.progress.probed();
        Ok(Ok(judged))
    }
}

/// Price of the cheapest deployment that serves, in US dollars per hour.
pub(super) fn cheapest(families: &[Members]) -> Option<f64> {
    cheapest_of(families.iter().flat_map(|members| &members.deployments))
}

/// As [`cheapest`].
pub(super) fn cheapest_of<'a>(deployments: impl Iterator<Item = &'a Deployment>) -> Option<f64> {
    deployments.filter(|deployment| deployment.holds()).map(|deployment| deployment.usd_per_hour).reduce(f64::min)
}
