//! What `servesim plan` searches.

use std::path::PathBuf;

use profiles::cost::simple::StepCostFile;

use crate::diagnostic::{Problem, Sources};
use crate::file::keys::plan as k;
use crate::file::reader::Reader;

/// Which placements are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    /// Replicas that prefill and decode.
    CoLocated,
    /// Prefill and decode planned each by itself.
    HighAffinity,
    /// Prefill and decode in pairs within servers.
    LowAffinity,
}

impl Algorithm {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::CoLocated => k::CO_LOCATED,
            Algorithm::HighAffinity => k::HIGH_AFFINITY,
            Algorithm::LowAffinity => k::LOW_AFFINITY,
        }
    }
}

/// What makes a plan better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Objective {
    /// Rate per GPU.
    PerGpu,
    /// Requests per dollar.
    PerUsd,
    /// Requests per joule.
    PerJoule,
    /// Fewest dollars per hour.
    Cost,
}

impl Objective {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Objective::PerGpu => k::PER_GPU,
            Objective::PerUsd => k::PER_USD,
            Objective::PerJoule => k::PER_JOULE,
            Objective::Cost => k::COST,
        }
    }
}

/// A search of whole deployments.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentSearch {
    /// Systems of the file that are deployed, each once.
    pub(crate) systems: Vec<String>,
    /// Rate to be served, in requests per second.
    pub(crate) rate: f64,
    /// Up to so many times the cheapest one's cost deployments are simulated for the frontier (≥ 1).
    pub(crate) frontier_cost: f64,
    /// Whether what provably is no answer is left out.
    pub(crate) prune: bool,
}

/// `[plan]`.
#[derive(Clone, Debug)]
pub(crate) struct PlanSpec {
    /// The system that candidates are made of; `None`: the first.
    pub(crate) system: Option<String>,
    /// Whole deployments in place of `algorithms`, if they are searched.
    pub(crate) deployments: Option<DeploymentSearch>,
    /// Which searches, each once; none where whole deployments are searched.
    pub(crate) algorithms: Vec<Algorithm>,
    /// What is best.
    pub(crate) objective: Objective,
    /// Rate to be served, in requests per second.
    pub(crate) rate: Option<f64>,
    /// GPU types as they are written in the file; empty: the system's.
    pub(crate) gpus: Vec<String>,
    /// US dollars per hour of one GPU of each of them; empty: the devices' own.
    pub(crate) prices: Vec<f64>,
    /// Servers.
    pub(crate) nodes: u32,
    /// GPUs of each.
    pub(crate) gpus_per_node: u32,
    /// Sizes to try; `None`: all that can be.
    pub(crate) tensor_parallel_sizes: Option<Vec<u32>>,
    /// Sizes to try; `None`: all that can be.
    pub(crate) pipeline_parallel_sizes: Option<Vec<u32>>,
    /// Sizes to try; `None`: that of the system.
    pub(crate) data_parallel_sizes: Option<Vec<u32>>,
    /// Token budgets to try; empty: the system's.
    pub(crate) max_num_batched_tokens: Vec<u32>,
    /// What KV caches travel over; nothing where whole deployments say it themselves.
    pub(crate) network: String,
    /// Tensor-parallel sizes and their step-cost files.
    pub(crate) step_costs: Vec<(u32, PathBuf)>,
}

impl PlanSpec {
    /// GPUs there are.
    pub(crate) fn total_gpus(&self) -> u32 {
        self.nodes * self.gpus_per_node
    }
}

/// Reads `[plan]`.
pub(super) fn read(reader: &mut Reader<'_>, sources: &Sources) -> Result<PlanSpec, Problem> {
    // What has no effect is not read, so that it does not stand in the lock file either.
    let whole = reader.has(&k::DEPLOYMENTS);
    let algorithms = if whole { Vec::new() } else { algorithms(reader) };
    let objective: String = reader.or(&k::OBJECTIVE, || if whole { k::COST } else { k::PER_GPU }.to_owned());
    let objective = match objective.as_str() {
        k::PER_GPU => Objective::PerGpu,
        k::PER_USD => Objective::PerUsd,
        k::PER_JOULE => Objective::PerJoule,
        k::COST => Objective::Cost,
        other => unreachable!("`{other}` is no choice"),
    };
    let rate = reader.maybe(&k::SERVED_RATE);
    let deployments = deployments(reader, objective, rate)?;
    if objective == Objective::Cost && rate.is_none() {
        return Err(reader
            .problem(&k::OBJECTIVE, "the least cost of what?")
            .label("needs `rate` beside it: the requests per second that have to be served"));
    }
    let gpus: Vec<String> = reader.maybe(&k::GPUS).unwrap_or_default();
    let prices: Vec<f64> = reader.maybe(&k::PRICES).unwrap_or_default();
    if !prices.is_empty() && prices.len() != gpus.len() {
        let problem = reader.problem(&k::PRICES, "`prices` and `gpus` do not belong together");
        return Err(problem.label(format!("{} prices for {} types: expected one for each", prices.len(), gpus.len())));
    }
    Ok(PlanSpec {
        system: reader.maybe(&k::SYSTEM),
        deployments,
        algorithms,
        objective,
        rate,
        gpus,
        prices,
        nodes: reader.get(&k::NODES),
        gpus_per_node: reader.get(&k::GPUS_PER_NODE),
        tensor_parallel_sizes: reader.maybe(&k::TENSOR_PARALLEL_SIZES),
        pipeline_parallel_sizes: reader.maybe(&k::PIPELINE_PARALLEL_SIZES),
        data_parallel_sizes: reader.maybe(&k::DATA_PARALLEL_SIZES),
        max_num_batched_tokens: reader.maybe(&k::MAX_NUM_BATCHED_TOKENS).unwrap_or_default(),
        network: if whole { String::new() } else { reader.get(&k::NETWORK) },
        step_costs: step_costs(reader, sources)?,
    })
}

/// What is said of a search of whole deployments, if there is to be one.
fn deployments(
    reader: &mut Reader<'_>,
    objective: Objective,
    rate: Option<f64>,
) -> Result<Option<DeploymentSearch>, Problem> {
    let Some(mut systems) = reader.maybe::<Vec<String>>(&k::DEPLOYMENTS) else {
        for key in [&k::FRONTIER_COST, &k::PRUNE] {
            if reader.has(key) {
                let problem =
                    Problem::at(reader.key_span(key), format!("`{}` has no effect without `deployments`", key.name));
                return Err(problem.label("it belongs to the search of whole deployments"));
            }
        }
        return Ok(None);
    };
    for (key, why) in [
        (&k::ALGORITHMS, "deployments are searched as a whole, not put together from parts"),
        (&k::SYSTEM, "`deployments` names the systems"),
        (&k::NETWORK, "the systems say themselves what carries KV caches: `network` in `[system.transfer]`"),
    ] {
        if reader.has(key) {
            let problem =
                Problem::at(reader.key_span(key), format!("`{}` has no effect beside `deployments`", key.name));
            return Err(problem.label(why));
        }
    }
    if objective != Objective::Cost {
        return Err(reader
            .problem(&k::OBJECTIVE, "whole deployments are judged at one rate, not by the highest they hold")
            .label("expected \"cost\" beside `deployments`"));
    }
    let Some(rate) = rate else {
        let problem = reader.problem(&k::DEPLOYMENTS, "deployments of what size?");
        return Err(problem.label("needs `rate` beside it: the requests per second that have to be served"));
    };
    let (frontier_cost, prune) = (reader.get(&k::FRONTIER_COST), reader.get(&k::PRUNE));
    let mut seen = std::collections::BTreeSet::new();
    systems.retain(|name| seen.insert(name.clone()));
    Ok(Some(DeploymentSearch { systems, rate, frontier_cost, prune }))
}

/// The searches, each once.
fn algorithms(reader: &mut Reader<'_>) -> Vec<Algorithm> {
    let names: Vec<String> = reader.get(&k::ALGORITHMS);
    let mut algorithms: Vec<Algorithm> = names.iter().map(|name| algorithm(name)).collect();
    algorithms.sort();
    algorithms.dedup();
    algorithms
}

fn algorithm(name: &str) -> Algorithm {
    match name {
        k::CO_LOCATED => Algorithm::CoLocated,
        k::HIGH_AFFINITY => Algorithm::HighAffinity,
        k::LOW_AFFINITY => Algorithm::LowAffinity,
        other => unreachable!("`{other}` is no choice"),
    }
}

fn step_costs(reader: &mut Reader<'_>, sources: &Sources) -> Result<Vec<(u32, PathBuf)>, Problem> {
    let mut sizes: Vec<(u32, PathBuf)> = Vec::new();
    for path in reader.paths(&k::STEP_COSTS, sources) {
        let wrong = |problem: String| reader.problem(&k::STEP_COSTS, "a step-cost file cannot be used").label(problem);
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(format!("{shown}: {error}")))?;
        let file = StepCostFile::from_toml(&text, &shown).map_err(|error| wrong(error.to_string()))?;
        let size = file
            .tensor_parallel_size
            .ok_or_else(|| wrong(format!("{shown} does not say for which `tensor_parallel_size` it holds")))?;
        if let Some((_, other)) = sizes.iter().find(|(known, _)| *known == size) {
            return Err(wrong(format!("{shown} and {} both are for tensor_parallel_size = {size}", other.display())));
        }
        sizes.push((size, path));
    }
    Ok(sizes)
}
