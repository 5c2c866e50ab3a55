//! How many requests of each kind make a batch of a given compute density and sharing: `BlendServe`'s recipe.

use profiles::cost::Composition;
use profiles::cost::simple::RooflineFile;
use profiles::{DType, ModelSpec};
use sim::offline::{Demand, ResourceTree};
use workloads::{RadixTree, Source, Synthetic, WorkloadError, WorkloadSpec};

use crate::diagnostic::{Problem, Sources};
use crate::file::keys::workload as w;
use crate::file::reader::Reader;

/// Draws of each part that means are taken over.
const DRAWS: u64 = 50_000;
/// What they are drawn by, whatever the experiment's seeds are.
const SEED: u64 = 0;

/// What the parts are to come to together.
#[derive(Clone, Copy, Debug)]
struct Target {
    requests: u64,
    density: f64,
    sharing: f64,
}

/// Means of one part, over its requests.
#[derive(Clone, Copy, Debug)]
struct Means {
    /// Compute that is left, and memory, in nanoseconds.
    left_ns: f64,
    memory_ns: f64,
    prompt_tokens: f64,
    saved_tokens: f64,
}

/// Requests of each of these parts, which have none of their own.
pub(super) fn requests(
    reader: &mut Reader<'_>,
    model: Option<&ModelSpec>,
    parts: &[WorkloadSpec],
    sources: &Sources,
) -> Result<Vec<u64>, Problem> {
    let Some(model) = model else {
        let problem = reader.problem(&w::RATES, "how dense a mix is depends on the model");
        return Err(problem.label("expected `model` at the top of the file"));
    };
    let target = Target {
        requests: reader.get(&w::MIX_REQUESTS),
        density: reader.get(&w::DENSITY),
        sharing: reader.get(&w::SHARING),
    };
    let path = reader.path(&w::RATES, sources).expect("it is required");
    let wrong = |problem: String| reader.problem(&w::RATES, "the rates cannot be used").label(problem);
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(format!("{shown}: {error}")))?;
    let file = RooflineFile::from_toml(&text, &shown).map_err(|error| wrong(error.to_string()))?;
    let cost = file.cost(model, DType::Bf16, 1, Composition::Serial);
    let demand = Demand::of_cost(&cost).ok_or_else(|| {
        let problem = reader.problem(&w::DENSITY, "a mix has no density for this model");
        problem.label(format!("{} keeps no KV cache, so nothing of it needs memory", model.name))
    })?;
    if parts.len() != 3 {
        let problem = reader.problem(&w::DENSITY, "a mix has three parts");
        return Err(problem
            .label(format!("there are {} `[[workload.part]]`", parts.len()))
            .help("one that needs compute, one that needs memory, and one whose prompts share much"));
    }
    let means = parts.iter().map(|part| means(part, &demand)).collect::<Result<Vec<_>, _>>();
    let means = means.map_err(|error| reader.problem(&w::DENSITY, "a part cannot be").label(error.to_string()))?;
    solve(target, [means[0], means[1], means[2]]).ok_or_else(|| {
        let problem = reader.problem(&w::DENSITY, "no such mix of these parts exists");
        problem
            .label(format!("density {} with sharing {}", target.density, target.sharing))
            .help("the density lies between those of the first two parts, and the sharing below that of the third")
    })
}

fn means(part: &WorkloadSpec, demand: &Demand) -> Result<Means, WorkloadError> {
    let mut source = Synthetic::new(&WorkloadSpec { requests: DRAWS, ..part.clone() }, SEED)?;
    let mut tree = RadixTree::new();
    let (mut ends, mut outputs, mut prompt_tokens) = (Vec::new(), Vec::new(), 0.0);
    while source.next_arrival()?.is_some() {
        let request = source.take();
        ends.push(tree.insert(request.prompt.spans()).end);
        outputs.push(f64::from(request.output_tokens));
        prompt_tokens += f64::from(request.prompt.tokens());
        source.ended(request.id, request.arrival);
    }
    let resources = ResourceTree::new(&tree, &ends, &outputs, demand);
    let (left, count) = (resources.work_left(), ends.len() as f64);
    Ok(Means {
        left_ns: left.compute_ns / count,
        memory_ns: left.memory_ns / count,
        prompt_tokens: prompt_tokens / count,
        saved_tokens: resources.sharing() * prompt_tokens / count,
    })
}

/// Both conditions are linear in the numbers of requests: of each part, what lies above the target adds up to what lies below.
fn solve(target: Target, means: [Means; 3]) -> Option<Vec<u64>> {
    let compute = means.map(|part| part.left_ns - target.density * part.memory_ns);
    let share = means.map(|part| part.saved_tokens - target.sharing * part.prompt_tokens);
    let cross = |a: usize, b: usize| compute[a] * share[b] - compute[b] * share[a];
    // The direction that is orthogonal to both.
    let direction = [cross(1, 2), cross(2, 0), cross(0, 1)];
    let sum: f64 = direction.iter().sum();
    let parts = direction.map(|part| part / sum * target.requests as f64);
    if !parts.iter().all(|part| *part >= 0.5) {
        return None;
    }
    let (first, second) = (parts[0].round() as u64, parts[1].round() as u64);
    Some(vec![first, second, target.requests - first - second])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEANS: [Means; 3] = [
        Means { left_ns: 18.0, memory_ns: 1.0, prompt_tokens: 600.0, saved_tokens: 10.0 },
        Means { left_ns: 50.0, memory_ns: 1000.0, prompt_tokens: 100.0, saved_tokens: 2.0 },
        Means { left_ns: 5.0, memory_ns: 0.1, prompt_tokens: 700.0, saved_tokens: 600.0 },
    ];

    #[test]
    fn a_mix_has_the_density_and_the_sharing_that_were_asked_for() {
        for (density, sharing) in [(1.4, 0.35), (0.9, 0.05), (0.8, 0.45)] {
            let counts = solve(Target { requests: 10_000_000, density, sharing }, MEANS).expect("there is one");
            let sum = |of: fn(&Means) -> f64| -> f64 {
                counts.iter().zip(&MEANS).map(|(&n, part)| n as f64 * of(part)).sum()
            };
            let mixed = sum(|part| part.left_ns) / sum(|part| part.memory_ns);
            let shared = sum(|part| part.saved_tokens) / sum(|part| part.prompt_tokens);
            assert!((mixed / density - 1.0).abs() < 1e-3, "density {mixed} instead of {density}");
            assert!((shared - sharing).abs() < 1e-4, "sharing {shared} instead of {sharing}");
            assert_eq!(counts.iter().sum::<u64>(), 10_000_000);
        }
    }

    #[test]
    fn what_lies_beyond_the_parts_cannot_be_mixed() {
        for (density, sharing) in [(100.0, 0.35), (0.01, 0.05), (1.0, 0.99)] {
            assert_eq!(solve(Target { requests: 1000, density, sharing }, MEANS), None, "{density}, {sharing}");
        }
    }
}
