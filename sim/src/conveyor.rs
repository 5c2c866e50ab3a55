//! Attention offloading (Lamina): batches that travel layer by layer between model workers and one attention pool.
//!
//! With `n` batches there are `n − 1` replicas of the model workers (one, if `n` is 1), which all share the attention pool.
//! Slice `k` of a step is everything between the attention of layer `k − 1` and that of layer `k`; batch `j` runs it on
//! replica `(j + k) mod (n − 1)`, where `k` counts on from step to step ("rotational staggered pipelining", Lamina, arXiv
//! 2405.01814): its last slice and the first one of its next step are on the same replica. Replicas, the pool and each
//! direction of the network between them are servers that take what is ready first; of what is ready at the same nanosecond
//! the lower batch first. The pool keeps a batch from the moment it turns to its query until its output is ready, even
//! where it has to wait for keys and values in between.
//!
//! Work is per layer and batch, and does not depend on the number of requests. When a step ends depends on what other batches
//! do meanwhile, so an end is a forecast until it is reached: [`Conveyor::next_end`] holds as long as no step is started.

mod line;

use profiles::Passage;
use workloads::{SimDuration, SimTime};

use line::Line;

/// Busy times of the servers of a [`Conveyor`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConveyorBooks {
    /// Of each replica of the model workers.
    pub(crate) models: Vec<SimDuration>,
    /// Of the attention pool, waiting for keys and values included.
    pub(crate) pool: SimDuration,
    /// Of the wires to the pool and back.
    pub(crate) wires: [SimDuration; 2],
}

/// Steps of several batches on their way.
#[derive(Debug)]
pub(crate) struct Conveyor {
    /// Everything that happened before the step that was started last.
    line: Line,
    /// Everything up to the next end, if no step is started before.
    ahead: Line,
    next_end: Option<(SimTime, usize)>,
}

impl Conveyor {
    /// Room for `batches` batches (≥ 1).
    pub(crate) fn new(batches: usize) -> Self {
        let line = Line::new(batches);
        Conveyor { ahead: line.clone(), line, next_end: None }
    }

    /// Sends a step of a batch that has none on its way, at `now` (not before that of any earlier call), to begin at `at`.
    pub(crate) fn start(&mut self, batch: usize, now: SimTime, at: SimTime, passage: Passage) {
        self.line.run_before(now);
        self.line.insert(batch, at, passage);
        self.forecast();
    }

    /// When the next step ends and of which batch it is, if none is started before.
    pub(crate) fn next_end(&self) -> Option<(SimTime, usize)> {
        self.next_end
    }

    /// The next end is reached: the batch has no step on its way any more.
    pub(crate) fn end(&mut self) {
        assert!(self.next_end.is_some(), "a step is on its way");
        std::mem::swap(&mut self.line, &mut self.ahead);
        self.forecast();
    }

    /// Busy times of everything that happened up to the last end or start.
    pub(crate) fn books(&self) -> ConveyorBooks {
        self.line.books()
    }

    fn forecast(&mut self) {
        self.ahead.clone_from(&self.line);
        self.next_end = self.ahead.run_to_end();
    }
}

#[cfg(test)]
mod tests;
