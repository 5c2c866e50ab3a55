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

/// `[plan]`.
#[derive(Clone, Debug)]
pub(crate) struct PlanSpec {
    /// The system that candidates are made of; `None`: the first.
    pub(crate) system: Option<String>,
    /// Which searches, each once.
    pub(crate) algorithms: Vec<Algorithm>,
    /// What is best.
    pub(crate) objective: Objective,
    /// Rate to be served, in requests per second.
    pub(crate) rate: Option<f64>,
    /// GPU types as they are written in the file; empty: the system's.
    pub(crate) gpus: Vec<String>,
    /// Servers.
    pub(crate) nodes: u32,
    /// GPUs of each.
    pub(crate) gpus_per_node: u32,
    /// Sizes to try; `None`: all that can be.
    pub(crate) tensor_parallel_sizes: Option<Vec<u32>>,
    /// Sizes to try; `None`: all that can be.
    pub(crate) pipeline_parallel_sizes: Option<Vec<u32>>,
    /// Token budgets to try; empty: the system's.
    pub(crate) max_num_batched_tokens: Vec<u32>,
    /// What KV caches travel over.
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
    let names: Vec<String> = reader.get(&k::ALGORITHMS);
    let mut algorithms: Vec<Algorithm> = names.iter().map(|name| algorithm(name)).collect();
    algorithms.sort();
    algorithms.dedup();
    let objective: String = reader.get(&k::OBJECTIVE);
    let objective = match objective.as_str() {
        k::PER_GPU => Objective::PerGpu,
        k::PER_USD => Objective::PerUsd,
        k::PER_JOULE => Objective::PerJoule,
        k::COST => Objective::Cost,
        other => unreachable!("`{other}` is no choice"),
    };
    let rate = reader.maybe(&k::SERVED_RATE);
    if objective == Objective::Cost && rate.is_none() {
        return Err(reader
            .problem(&k::OBJECTIVE, "the least cost of what?")
            .label("needs `rate` beside it: the requests per second that have to be served"));
    }
    Ok(PlanSpec {
        system: reader.maybe(&k::SYSTEM),
        algorithms,
        objective,
        rate,
        gpus: reader.maybe(&k::GPUS).unwrap_or_default(),
        nodes: reader.get(&k::NODES),
        gpus_per_node: reader.get(&k::GPUS_PER_NODE),
        tensor_parallel_sizes: reader.maybe(&k::TENSOR_PARALLEL_SIZES),
        pipeline_parallel_sizes: reader.maybe(&k::PIPELINE_PARALLEL_SIZES),
        max_num_batched_tokens: reader.maybe(&k::MAX_NUM_BATCHED_TOKENS).unwrap_or_default(),
        network: reader.get(&k::NETWORK),
        step_costs: step_costs(reader, sources)?,
    })
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
