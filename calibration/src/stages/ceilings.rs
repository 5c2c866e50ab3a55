//! The fastest copy and the fastest products, beside the datasheet. Every run adds a measurement, so that drift over a
//! calibration shows.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use profiles::DType;
use profiles::table::{ElementwiseRow, GemmRow, Scaling, Timing};

use super::{Plan, Progress, StageError, today};
use crate::gpu::Gpu;
use crate::measure::{Bench as _, BenchError, GpuBench, Point, StoreError, store_replace, timing};

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

/// What runs before have written, or the beginning of a file that is not there: the first line names the device.
fn so_far(file: &Path, device: &str) -> Result<String, StoreError> {
    let first_line = format!("device = {device:?}");
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(format!("{first_line}\n\n")),
        Err(error) => return Err(StoreError::File { file: file.to_owned(), error }),
    };
    let there = text.lines().next().unwrap_or_default();
    if there == first_line {
        return Ok(text);
    }
    let there = there.strip_prefix("device = ").unwrap_or("nothing on its first line").to_owned();
    Err(StoreError::Differs { file: file.to_owned(), key: "device", there, here: format!("{device:?}") })
}

pub(super) fn run(gpu: &mut Gpu, plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Result<(), StageError> {
    let file = plan.folder.join("ceilings.toml");
    let mut text = so_far(&file, &plan.device.name)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_the_device_and_goes_on_where_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ceilings.toml");
        let begun = so_far(&file, "H100-SXM-80GB").expect("there is none yet");
        assert_eq!(begun, "device = \"H100-SXM-80GB\"\n\n");
        let longer = begun + "[[ceiling]]\nname = \"copy\"\n";
        fs::write(&file, &longer).expect("it can be written");
        assert_eq!(so_far(&file, "H100-SXM-80GB").expect("it is of this device"), longer);
    }

    #[test]
    fn a_file_of_another_device_or_of_none_is_not_continued() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ceilings.toml");
        for (text, said) in [
            ("device = \"H200-SXM-141GB\"\n", "with device = \"H200-SXM-141GB\", this run has \"H100-SXM-80GB\""),
            ("[[ceiling]]\n", "with device = nothing on its first line"),
        ] {
            fs::write(&file, text).expect("it can be written");
            let error = so_far(&file, "H100-SXM-80GB").expect_err("another device").to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ceilings.toml");
        fs::write(&file, [0xff, 0xfe]).expect("it can be written");
        assert!(matches!(so_far(&file, "H100-SXM-80GB"), Err(StoreError::File { .. })));
    }
}
