//! How many rows steps run with, and how much memory they need.

use profiles::cost::EngineOverheads;

use super::blocks::BlockTables;
use super::lists::{Layout, StepLists};
use super::schedule::{RunHeader, ScheduledStep};
use super::shard::{Shard, ShardFfn};

/// Rows with which a step runs: decoding requests first, prompts behind them, padding last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepRows {
    /// Of layers that everybody passes through, padding included.
    pub(super) all: u32,
    /// Of layers that only decoding requests pass through. What pads them are the prompts behind them, or padding.
    pub(super) decode_only: u32,
}

/// The most that any step needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StepBounds {
    /// Rows, padding included.
    pub(super) rows: u64,
    /// Rows without padding.
    pub(super) unpadded_rows: u64,
    /// Decoding requests.
    pub(super) decodes: u64,
    /// Sampled positions.
    pub(super) sampled: u64,
    /// Bytes of its lists.
    pub(super) list_bytes: u64,
}

impl StepBounds {
    /// Takes a step in, whose lists take `list_bytes` and whose rows are padded to `rows`.
    fn include(&mut self, step: &ScheduledStep, rows: u32, list_bytes: u64) {
        self.rows = self.rows.max(u64::from(rows));
        self.unpadded_rows = self.unpadded_rows.max(u64::from(step.rows()));
        self.decodes = self.decodes.max(step.decode.len() as u64);
        self.sampled = self.sampled.max(u64::from(step.sampled));
        self.list_bytes = self.list_bytes.max(list_bytes);
    }
}

/// Rows with which the engine runs a step of `rows` rows: those of the next captured graph, and `None` if no graph is so
/// large.
pub(super) fn captured_rows(engine: &EngineOverheads, rows: u32) -> Option<u32> {
    let sizes = &engine.cuda_graph_sizes;
    sizes.get(sizes.partition_point(|&size| size < rows)).copied()
}

/// Rows with which a step runs: padded as the engine pads, unless it is `eager`.
pub(super) fn step_rows(run: &RunHeader, step: &ScheduledStep, eager: bool) -> StepRows {
    let padded = |rows: u32| if eager { rows } else { captured_rows(&run.engine, rows).unwrap_or(rows) };
    let decode = step.decode.len() as u32;
    StepRows { all: padded(step.rows()), decode_only: if decode > 0 { padded(decode) } else { 0 } }
}

/// What the steps need at most. Lays all of them out once, but for the experts, whose draws change no size.
pub(super) fn bounds(
    multiprocessors: u32,
    shard: &Shard,
    run: &RunHeader,
    steps: &[ScheduledStep],
    eager: bool,
    mut tables: BlockTables,
) -> StepBounds {
    let mut bounds = StepBounds::default();
    for step in steps {
        let rows = step_rows(run, step, eager).all;
        let layout = Layout { shard, step, rows, multiprocessors, draws: None };
        let others = StepLists::new(&layout, &mut tables).bytes.len() as u64;
        let choices = match shard.feed_forward {
            ShardFfn::Experts { top_k, .. } => u64::from(step.rows()) * top_k,
            ShardFfn::Dense { .. } => 0,
        };
        bounds.include(step, rows, StepLists::most_bytes(shard, others, choices));
    }
    bounds
}
