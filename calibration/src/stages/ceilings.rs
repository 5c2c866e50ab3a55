//! The fastest copy and the fastest products, beside the datasheet. Every run adds a measurement, so that drift over a
//! calibration shows.

use std::fmt::Write as _;
use std::fs;

use profiles::DType;
use profiles::table::{ElementwiseRow, GemmRow, Scaling, Timing};

use super::{Plan, Progress, StageError, today};
use crate::gpu::Gpu;
use crate::measure::{Bench as _, BenchError, GpuBench, Point, store_replace, timing};

/// Edge of the square products.
const EDGE: u32 = 8192;

/// A ceiling: what is measured, as what share of which datasheet figure.
struct Ceiling {
    name: &'static str,
    unit: &'static str,
    point: Point,
    /// Bytes or operations of one launch.
    amount: f64,
    /// The datasheet's figure, in the same per second.
    datasheet: f64,
}

fn product(dtype: DType, scaling: Scaling) -> Point {
    let (m, n, k, timing) = (EDGE, EDGE, EDGE, Timing::default());
    Point::Gemm(GemmRow { m, n, k, weights: dtype, activations: dtype, scaling, timing })
}

fn ceilings(plan: &Plan) -> Vec<Ceiling> {
    let operations = 2.0 * f64::from(EDGE).powi(3);
    // 2 GiB from one place to another: far beyond any cache.
    let (rows, width) = (16_384u32, 65_536u32);
    let bytes = 4 * u64::from(rows) * u64::from(width);
    let copy = ElementwiseRow { operation: "copy".to_owned(), rows, width, bytes, timing: Timing::default() };
    let mut all = vec![
        Ceiling {
            name: "copy",
            unit: "bytes/s, read and written",
            point: Point::Elementwise(copy),
            amount: bytes as f64,
            datasheet: plan.device.memory_bandwidth,
        },
        Ceiling {
            name: "bf16 product",
            unit: "FLOP/s",
            point: product(DType::Bf16, Scaling::None),
            amount: operations,
            datasheet: plan.device.bf16_flops,
        },
    ];
    all.extend(plan.device.fp8_flops.map(|datasheet| Ceiling {
        name: "fp8 product",
        unit: "FLOP/s",
        point: product(DType::Fp8, Scaling::Tensor),
        amount: operations,
        datasheet,
    }));
    all
}

pub(super) fn run(gpu: &mut Gpu, plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Result<(), StageError> {
    let file = plan.folder.join("ceilings.toml");
    let mut text = fs::read_to_string(&file).unwrap_or_default();
    let mut bench = GpuBench::new(gpu, plan.seed, plan.started);
    for ceiling in ceilings(plan) {
        let sample = match bench.time(&ceiling.point) {
            Ok(sample) => sample,
            Err(BenchError::Unmeasurable(reason)) => {
                tell(Progress::Line(format!("{}: not possible here: {reason}", ceiling.name)));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(timing) = timing(&sample) else { continue };
        let per_second = ceiling.amount / (timing.time_us * 1e-6);
        let share = per_second / ceiling.datasheet;
        let clock = sample.conditions.sm_clock_mhz;
        tell(Progress::Line(format!(
            "{}: {:.3e} {}, {:.1} % of the datasheet{}",
            ceiling.name,
            per_second,
            ceiling.unit,
            share * 100.0,
            clock.map_or(String::new(), |clock| format!(", at {clock} MHz"))
        )));
        let _ = writeln!(
            text,
            "[[ceiling]]\nname = \"{}\"\ndate = \"{}\"\ntime_us = {}\nper_second = {per_second:.4e}\nunit = \"{}\"\n\
             datasheet_per_second = {:.4e}\nshare_of_datasheet = {share:.4}",
            ceiling.name,
            today(),
            timing.time_us,
            ceiling.unit,
            ceiling.datasheet
        );
        if let Some(clock) = clock {
            let _ = writeln!(text, "sm_clock_mhz = {clock}");
        }
        if let Some(bits) = sample.conditions.throttle {
            let _ = writeln!(text, "throttle = {bits}");
        }
        text.push('\n');
    }
    Ok(store_replace(&file, &text)?)
}
