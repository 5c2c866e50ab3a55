//! The operators of a layer as a graph over two streams, and how long it takes.

use petgraph::algo::is_cyclic_directed;
use petgraph::graph::{DiGraph, NodeIndex};

/// What an operator occupies while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Compute,
    Link,
}

/// The operators of a layer: nodes in the order in which the engine issues them, edges from each to those that wait
/// for it.
#[derive(Clone, Debug, Default)]
pub(super) struct LayerGraph {
    graph: DiGraph<Stream, ()>,
}

impl LayerGraph {
    /// Adds an operator that waits for `after`, all added before it.
    pub(super) fn add(&mut self, stream: Stream, after: &[NodeIndex]) -> NodeIndex {
        let node = self.graph.add_node(stream);
        for &before in after {
            self.graph.add_edge(before, node, ());
        }
        node
    }

    /// Makes the plan of who waits for whom; with `overlap`, links work beside compute, otherwise all operators queue
    /// on one stream.
    pub(super) fn compile(&self, overlap: bool) -> Schedule {
        assert!(!is_cyclic_directed(&self.graph), "operators wait for earlier ones only");
        let steps = self.graph.node_indices().map(|node| Step {
            stream: if overlap { self.graph[node] } else { Stream::Compute },
            after: self.graph.neighbors_directed(node, petgraph::Direction::Incoming).map(NodeIndex::index).collect(),
        });
        Schedule { steps: steps.collect() }
    }
}

/// A [`LayerGraph`] as a list: each operator starts when its stream is free and all it waits for has ended. Streams are
/// queues, as CUDA streams are: they never reorder.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    stream: Stream,
    after: Vec<usize>,
}

impl Schedule {
    /// Length of the critical path when operator `i` takes `times[i]`; `ends` is scratch space.
    pub(super) fn length(&self, times: impl IntoIterator<Item = f64>, ends: &mut Vec<f64>) -> f64 {
        ends.clear();
        let mut free = [0.0_f64; 2];
        for (step, time) in self.steps.iter().zip(times) {
            let stream = &mut free[step.stream as usize];
            let start = step.after.iter().fold(*stream, |latest, &before| latest.max(ends[before]));
            *stream = start + time;
            ends.push(*stream);
        }
        free[0].max(free[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Router, then dispatch on the link beside shared experts on the GPU, then the routed experts, then combination.
    fn expert_layer() -> LayerGraph {
        let mut graph = LayerGraph::default();
        let router = graph.add(Stream::Compute, &[]);
        let dispatch = graph.add(Stream::Link, &[router]);
        let shared = graph.add(Stream::Compute, &[router]);
        let experts = graph.add(Stream::Compute, &[dispatch]);
        let combine = graph.add(Stream::Link, &[experts]);
        graph.add(Stream::Compute, &[shared, combine]);
        graph
    }

    #[test]
    fn without_overlap_a_layer_takes_the_sum_of_its_operators() {
        let length = expert_layer().compile(false).length([1.0, 5.0, 3.0, 7.0, 4.0, 2.0], &mut Vec::new());
        assert!((length - 22.0).abs() < 1e-12);
    }

    #[test]
    fn with_overlap_the_shorter_of_dispatch_and_shared_experts_is_hidden() {
        let schedule = expert_layer().compile(true);
        let hidden_compute = schedule.length([1.0, 5.0, 3.0, 7.0, 4.0, 2.0], &mut Vec::new());
        assert!((hidden_compute - 19.0).abs() < 1e-12);
        let hidden_link = schedule.length([1.0, 3.0, 5.0, 7.0, 4.0, 2.0], &mut Vec::new());
        assert!((hidden_link - 19.0).abs() < 1e-12);
    }

    /// The time of routed experts is added to a table without them; that is right only if nothing runs beside them.
    #[test]
    fn time_of_the_experts_adds_to_that_of_the_rest() {
        let schedule = expert_layer().compile(true);
        let without = schedule.length([1.0, 5.0, 3.0, 0.0, 4.0, 2.0], &mut Vec::new());
        let with = schedule.length([1.0, 5.0, 3.0, 100.0, 4.0, 2.0], &mut Vec::new());
        assert!((with - without - 100.0).abs() < 1e-12);
    }
}
