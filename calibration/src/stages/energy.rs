//! Power, and time under sustained load, in a folder of tables of their own: times differ from those of the grid, where
//! the GPU rests between points.

use std::fmt::Write as _;

use profiles::table::Kernel;

use super::grid::summary;
use super::{Plan, Progress, StageError, header};
use crate::gpu::Gpu;
use crate::measure::{Bench as _, Campaign, GpuBench, Idle, Store, SustainedBench, store_replace, sustained_points};

/// Kinds whose power is measured.
const KINDS: [Kernel; 6] = [
    Kernel::Gemm,
    Kernel::DecodeAttention,
    Kernel::PrefillAttention,
    Kernel::Experts,
    Kernel::StateSpace,
    Kernel::Elementwise,
];

pub(super) fn run(gpu: &mut Gpu, plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Result<(), StageError> {
    let idle = Idle::watch(gpu)?;
    tell(Progress::Line(format!(
        "at rest the board draws {:.1} W; its energy counter moves every {:.0} ms, at most {:.0} ms",
        idle.window.power_w(),
        idle.period.median_s * 1e3,
        idle.period.longest_s * 1e3
    )));
    let folder = plan.folder.join("sustained");
    let mut text = String::new();
    let mut line = |key: &str, value: f64| {
        let _ = writeln!(text, "{key} = {value:.3}");
    };
    line("idle_power_w", idle.window.power_w());
    line("energy_counter_median_period_s", idle.period.median_s);
    line("energy_counter_longest_period_s", idle.period.longest_s);
    store_replace(&folder.join("idle.toml"), &text)?;
    for (index, kernel) in KINDS.into_iter().enumerate() {
        let points = sustained_points(&plan.grid, kernel)?;
        let header = header(kernel, gpu, plan);
        let mut store = Store::open(&folder.join(format!("{kernel}.csv")), kernel, header)?;
        let mut bench = SustainedBench::new(GpuBench::new(gpu, plan.seed, plan.started), idle.period);
        let until_s = plan.until_s(bench.elapsed_s(), KINDS.len() - index);
        let campaign = Campaign { points: &points, seed: plan.seed, until_s };
        let outcome = campaign
            .run(&mut bench, &mut store, &mut |done, wanted| tell(Progress::Points { kernel, done, wanted }))?;
        tell(Progress::Line(format!("under load, {}", summary(kernel, &outcome))));
    }
    Ok(())
}
