//! Every shape of the grid, one table per kind of kernel.

use std::fmt::Write as _;

use profiles::table::Kernel;

use super::{Plan, Progress, StageError, header};
use crate::gpu::Gpu;
use crate::measure::{Bench as _, Campaign, GpuBench, Outcome, Stop, Store, plan as points_of};

/// What no public table has comes first, so that a short budget is spent on it.
const ORDER: [Kernel; 8] = [
    Kernel::MixedAttention,
    Kernel::Overhead,
    Kernel::Gemm,
    Kernel::DecodeAttention,
    Kernel::PrefillAttention,
    Kernel::Experts,
    Kernel::StateSpace,
    Kernel::Elementwise,
];

pub(super) fn run(gpu: &mut Gpu, plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Result<(), StageError> {
    for (index, kernel) in ORDER.into_iter().enumerate() {
        let points = points_of(&plan.grid, kernel)?;
        let header = header(kernel, gpu, plan);
        let mut store = Store::open(&plan.folder.join(format!("{kernel}.csv")), kernel, header)?;
        let mut bench = GpuBench::new(gpu, plan.seed, plan.started);
        let until_s = plan.until_s(bench.elapsed_s(), ORDER.len() - index);
        let campaign = Campaign { points: &points, seed: plan.seed, until_s };
        let outcome = campaign
            .run(&mut bench, &mut store, &mut |done, wanted| tell(Progress::Points { kernel, done, wanted }))?;
        tell(Progress::Line(summary(kernel, &outcome)));
    }
    Ok(())
}

/// A campaign in words.
pub(super) fn summary(kernel: Kernel, outcome: &Outcome) -> String {
    let mut text = format!("{kernel}: {} timed, {} there before", outcome.timed, outcome.skipped);
    if outcome.stop == Stop::Budget {
        let _ = write!(text, ", {} left when the budget was spent (run again to go on)", outcome.left);
    }
    if let Some((point, reason)) = outcome.unmeasurable.first() {
        let _ = write!(
            text,
            ", {} not possible here, such as {} ({reason})",
            outcome.unmeasurable.len(),
            point.shape().join(" ")
        );
    }
    if let Some((median, farthest)) = outcome.drift_summary() {
        let _ = write!(text, "; drift {:+.1} %, at most {:+.1} %", (median - 1.0) * 100.0, (farthest - 1.0) * 100.0);
    }
    text
}
