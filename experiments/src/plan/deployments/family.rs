//! Deployments that differ in nothing but how many replicas they have.

use sim::Role;

use super::super::candidates::shapes;
use super::super::placement::{Shape, put_shape};
use crate::experiment::{DeploymentSearch, Experiment, PlanSpec, System};
use crate::file::document::Value;

/// A system of the file on GPUs of some type and parallelism, in any number of replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// The system.
    pub(super) system: String,
    /// Its replicas: of all of it, or those of its prefill and of its decode pool.
    pub(super) shapes: Vec<Shape>,
    /// `max_num_batched_tokens`, if not the system's.
    pub(super) budget: Option<u32>,
}

impl Family {
    /// What the deployment of so many replicas is called: also the name of its system.
    pub(super) fn name(&self, replicas: &[u32]) -> String {
        let of_pool = |pool: usize| {
            let role = match (self.shapes.len(), pool) {
                (1, _) => "",
                (_, 0) => "prefill ",
                _ => "decode ",
            };
            format!("{} x {role}{}", replicas[pool], self.shapes[pool])
        };
        let pools: Vec<String> = (0..self.shapes.len()).map(of_pool).collect();
        let budget = self.budget.map_or(String::new(), |budget| format!(", {budget} tokens a step"));
        format!("{}: {}{budget}", self.system, pools.join(" + "))
    }

    /// The keys of `[[system]]` that make it of so many replicas, or why none do.
    pub(super) fn changes(&self, replicas: &[u32], spec: &PlanSpec) -> Result<Vec<(String, Value)>, String> {
        let tables: &[&str] = if self.shapes.len() == 1 { &[""] } else { &["prefill.", "decode."] };
        let mut changes = Vec::new();
        for ((shape, table), count) in self.shapes.iter().zip(tables).zip(replicas) {
            put_shape(&mut changes, table, shape, *count, spec)?;
        }
        if let Some(budget) = self.budget {
            changes.push(("scheduler.max_num_batched_tokens".to_owned(), Value::Integer(i64::from(budget))));
        }
        Ok(changes)
    }

    /// Every number of replicas that `total` GPUs have room for, where one replica of each pool takes `each` of them.
    pub(super) fn counts(each: &[u32], total: u32) -> Vec<Vec<u32>> {
        match each {
            [each] => (1..=total / each).map(|count| vec![count]).collect(),
            [first, second] => {
                let beside = |count: u32| (total.saturating_sub(count * first)) / second;
                let with = |count: u32| (1..=beside(count)).map(move |other| vec![count, other]);
                (1..=total / first).flat_map(with).collect()
            }
            _ => unreachable!("a system has one pool or two"),
        }
    }
}

/// Every family there is to try, and the shapes that the model or the servers rule out: why, and how many.
pub(super) fn families(
    base: &Experiment,
    spec: &PlanSpec,
    search: &DeploymentSearch,
) -> (Vec<Family>, Vec<(String, u32)>) {
    let mut families = Vec::new();
    let mut left_out: Vec<(String, u32)> = Vec::new();
    for name in &search.systems {
        let system = base.systems.iter().find(|system| system.name == *name).expect("it was checked before");
        let (shapes, reasons) = shapes(spec, &system.model, spec.total_gpus());
        left_out.extend(reasons.into_iter().map(|(reason, count)| (format!("{name}: {reason}"), count)));
        let add = |shapes: Vec<Shape>, budget| Family { system: name.clone(), shapes, budget };
        if has_pools(system) {
            for prefill in &shapes {
                families.extend(shapes.iter().map(|decode| add(vec![prefill.clone(), decode.clone()], None)));
            }
        } else {
            let budgets: Vec<Option<u32>> = spec.max_num_batched_tokens.iter().copied().map(Some).collect();
            let budgets = if budgets.is_empty() { vec![None] } else { budgets };
            for shape in &shapes {
                families.extend(budgets.iter().map(|budget| add(vec![shape.clone()], *budget)));
            }
        }
    }
    (families, left_out)
}

/// Whether requests go from prefill to decode replicas.
pub(super) fn has_pools(system: &System) -> bool {
    system.pools.iter().any(|pool| pool.role != Role::Serve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_replicas_that_fits_is_counted_once() {
        assert_eq!(Family::counts(&[4], 15), [vec![1], vec![2], vec![3]]);
        assert_eq!(Family::counts(&[2, 4], 10), [vec![1, 1], vec![1, 2], vec![2, 1], vec![3, 1]]);
        assert!(Family::counts(&[8, 8], 15).is_empty());
        let pairs = Family::counts(&[1, 1], 16);
        assert_eq!(pairs.len(), 120, "15 + 14 + … + 1");
    }
}
