//! Steps that pass model and attention workers, for tests.

use profiles::cost::OffloadedStep;
use profiles::{CostModel, CostTotals, Passage, StepCost, StepShape};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::scenario::pick;

/// How the times of steps are cut into slices and attention, and what comes on top between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    pub(crate) batches: usize,
    pub(crate) layers: u32,
    /// Slices and attention are multiples of this; what is left over is in the last slice.
    pub(crate) quantum_ns: u64,
    /// Of a query, and of an output.
    pub(crate) wire_ns: u64,
    pub(crate) keys_wire_ns: u64,
    pub(crate) context_wire_ns: u64,
    pub(crate) latency_ns: u64,
    pub(crate) merge_ns: u64,
    /// Queries leave before the keys.
    pub(crate) early_query: bool,
}

impl Slices {
    /// So many batches and layers, and nothing else.
    pub(crate) fn plain(batches: usize, layers: u32) -> Self {
        Slices {
            batches,
            layers,
            quantum_ns: 1,
            wire_ns: 0,
            keys_wire_ns: 0,
            context_wire_ns: 0,
            latency_ns: 0,
            merge_ns: 0,
            early_query: false,
        }
    }

    /// Drawn; what takes time takes multiples of `quantum_ns`.
    pub(crate) fn draw(rng: &mut Xoshiro256PlusPlus, quantum_ns: u64) -> Self {
        let mut time = |of: &[u64]| {
            let nanos = if rng.random_bool(0.4) { 0 } else { pick(rng, of) };
            nanos.next_multiple_of(quantum_ns)
        };
        let (wire_ns, keys_wire_ns, context_wire_ns) = (time(&[1, 40, 300]), time(&[1, 20, 500]), time(&[1, 60, 700]));
        let (latency_ns, merge_ns) = (time(&[1, 90, 900]), time(&[1, 30, 100]));
        Slices {
            batches: rng.random_range(1..=5),
            layers: rng.random_range(1..=7),
            quantum_ns,
            wire_ns,
            keys_wire_ns,
            context_wire_ns,
            latency_ns,
            merge_ns,
            early_query: rng.random_bool(0.5),
        }
    }
}

/// The times of another cost model of one stage, cut into slices and attention.
pub(crate) struct SlicedCost {
    pub(crate) inner: Box<dyn CostModel>,
    pub(crate) slices: Slices,
}

impl CostModel for SlicedCost {
    fn stages(&self) -> usize {
        self.slices.batches.max(2)
    }

    fn step(&mut self, _: &StepShape<'_>, _: &mut [u64]) -> StepCost {
        panic!("steps pass layer by layer")
    }

    fn offloaded_batches(&self) -> Option<usize> {
        Some(self.slices.batches)
    }

    fn pass(&mut self, shape: &StepShape<'_>) -> OffloadedStep {
        let mut whole_ns = [0];
        let cost = self.inner.step(shape, &mut whole_ns);
        let whole_ns = whole_ns[0].max(1);
        let Slices { layers, quantum_ns, wire_ns, early_query, .. } = self.slices;
        let part = |ns: u64| ns / quantum_ns * quantum_ns;
        let (attention_ns, inner_slice_ns) =
            (part(whole_ns / 3 / u64::from(layers)), part(whole_ns / 2 / u64::from(layers)));
        let first_slice_ns = part(inner_slice_ns / 3);
        let before_last = u64::from(layers) * attention_ns + u64::from(layers - 1) * inner_slice_ns + first_slice_ns;
        let passage = Passage {
            layers,
            first_slice_ns,
            inner_slice_ns,
            last_slice_ns: whole_ns - before_last,
            attention_ns,
            keys_after_query_ns: if early_query { part(inner_slice_ns / 4) } else { 0 },
            merge_ns: self.slices.merge_ns,
            query_wire_ns: wire_ns,
            keys_wire_ns: self.slices.keys_wire_ns,
            output_wire_ns: wire_ns,
            context_wire_ns: self.slices.context_wire_ns,
            latency_ns: self.slices.latency_ns,
        };
        OffloadedStep { passage, dynamic_energy_j: cost.dynamic_energy_j }
    }

    fn totals(&self) -> CostTotals {
        self.inner.totals()
    }

    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        self.inner.explain(shape)
    }
}
