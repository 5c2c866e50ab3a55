//! Every shape and placement there is to try.

use profiles::{ModelSpec, Parallelism};

use super::placement::{Placement, Shape};
use crate::experiment::PlanSpec;

/// Shapes that the model can be cut into, on the GPUs there are; those that cannot are counted, and why is said.
pub(super) fn shapes(spec: &PlanSpec, model: &ModelSpec, most_gpus: u32) -> (Vec<Shape>, Vec<(String, u32)>) {
    let types: Vec<Option<String>> =
        if spec.gpus.is_empty() { vec![None] } else { spec.gpus.iter().cloned().map(Some).collect() };
    let tensors = spec.tensor_parallel_sizes.clone().unwrap_or_else(|| (1..=spec.gpus_per_node).collect());
    let pipelines = spec.pipeline_parallel_sizes.clone().unwrap_or_else(|| (1..=most_gpus).collect());
    let ranks: Vec<Option<u32>> =
        spec.data_parallel_sizes.as_ref().map_or(vec![None], |sizes| sizes.iter().copied().map(Some).collect());
    let layers = model.layers.len() as u32;
    let mut shapes = Vec::new();
    let mut left_out: Vec<(String, u32)> = Vec::new();
    let mut leave_out = |reason: &str| match left_out.iter_mut().find(|(known, _)| known == reason) {
        Some((_, count)) => *count += 1,
        None => left_out.push((reason.to_owned(), 1)),
    };
    for gpu in &types {
        for &tensor in &tensors {
            for &pipeline in &pipelines {
                let cut = Parallelism {
                    tensor_parallel_size: tensor,
                    pipeline_parallel_size: 1,
                    data_parallel_size: 1,
                    enable_expert_parallel: false,
                };
                for &data in &ranks {
                    if cut.validate(model).is_err() {
                        leave_out("tensor_parallel_size does not divide the model's heads and widths");
                    } else if !layers.is_multiple_of(pipeline) {
                        leave_out("pipeline_parallel_size does not divide the model's layers");
                    } else if tensor > spec.gpus_per_node {
                        leave_out("tensor_parallel_size is larger than a server");
                    } else if tensor * pipeline * data.unwrap_or(1) > most_gpus {
                        leave_out("more GPUs than there are");
                    } else {
                        shapes.push(Shape { gpu: gpu.clone(), tensor, pipeline, data });
                    }
                }
            }
        }
    }
    (shapes, left_out)
}

/// Single replicas that prefill and decode, with every token budget.
pub(super) fn co_located(spec: &PlanSpec, shapes: &[Shape]) -> Vec<Placement> {
    let budgets: Vec<Option<u32>> = if spec.max_num_batched_tokens.is_empty() {
        vec![None]
    } else {
        spec.max_num_batched_tokens.iter().copied().map(Some).collect()
    };
    let of = |shape: &Shape| {
        let shape = shape.clone();
        budgets
            .iter()
            .map(move |&budget| Placement::Serve { shape: shape.clone(), replicas: 1, budget })
            .collect::<Vec<_>>()
    };
    shapes.iter().flat_map(of).collect()
}

/// `DistServe`'s algorithm 2: for every number of servers that a pipeline may span, all pairs of shapes whose stages fit one
/// server together.
pub(super) fn pairs(spec: &PlanSpec, shapes: &[Shape], layers: u32) -> Vec<Placement> {
    let mut pairs = Vec::new();
    for cross in 1..=spec.nodes {
        let deep_enough = |shape: &Shape| layers.is_multiple_of(cross * shape.pipeline);
        for prefill in shapes.iter().filter(|shape| deep_enough(shape)) {
            for decode in shapes.iter().filter(|shape| deep_enough(shape)) {
                if prefill.gpu == decode.gpu && prefill.gpus() + decode.gpus() <= spec.gpus_per_node {
                    pairs.push(Placement::Split {
                        prefill: (prefill.deeper(cross), 1),
                        decode: (decode.deeper(cross), 1),
                    });
                }
            }
        }
    }
    // A pipeline over two servers of one stage each and one over one server of two stages are the same GPUs in other places,
    // which the simulation, whose transfers stay within servers, does not tell apart.
    let mut distinct: Vec<Placement> = Vec::new();
    for pair in pairs {
        if !distinct.contains(&pair) {
            distinct.push(pair);
        }
    }
    distinct
}
