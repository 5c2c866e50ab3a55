//! aiconfigurator's tables.
//!
//! Two layouts hold the same records. Its own: `systems/data/GPU/FAMILY/BACKEND/VERSION/NAME_perf.parquet`, where each row
//! names its `framework`, `version` and `device`, and times are in `latency`. As CSV: `GPU_ENGINE_VERSION_TABLE.csv`, times
//! in `latency_ms`. Both are in milliseconds of one launch on one GPU. Column names were read from the files of the
//! published package aiconfigurator-core 0.12.0; its decode rows have `isl` = 1 and `step` cached tokens, the CSV files
//! `kv_len` = `isl` + `step` tokens attended to.

mod attention;
mod collectives;
mod moe;
mod name;

use std::collections::BTreeMap;

use profiles::DType;
use profiles::table::{Cache, GemmRow, Header, Kernel, Launch, Row, Rows, Scaling, Timing};

use super::error::ImportError;
use super::format::{Kind, Recognised};
use super::plausible::Floor;
use super::records::{Column, Record, Records, micros};
use super::report::{Rejected, Report};
use super::sink::Sink;
use super::{Imported, Known, NamedTable, find_device, slug};
use name::Origin;

const MICROS_PER_MILLI: f64 = 1000.0;

/// A framework launches no kernel in less than this many microseconds, so shorter times were taken from CUDA graphs.
const LAUNCH_US: f64 = 4.0;

pub(super) fn import(recognised: &Recognised, records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    match recognised.kind {
        Kind::Gemm => gemm(recognised, records, known),
        Kind::PrefillAttention => attention::prefill(recognised, records, known),
        Kind::DecodeAttention => attention::decode(recognised, records, known),
        Kind::Moe => moe::experts(recognised, records, known),
        Kind::Collectives => collectives::of_one_gpu(recognised, records, known),
        Kind::CollectivesOfAllGpus => collectives::of_all_gpus(records, known),
        Kind::NotUsed(why) => not_used(records, why),
        other => unreachable!("{other:?} is no table of aiconfigurator"),
    }
}

/// Counts the rows of a table that has no place in ours.
fn not_used(records: Records<'_>, why: &str) -> Result<Imported, ImportError> {
    let mut report = Report::default();
    for record in records {
        let record = record?;
        report.read += 1;
        report.leave_out(record.line, Rejected::new(format!("not used: {why}"), ""));
    }
    Ok(Imported { tables: Vec::new(), report })
}

fn gemm(recognised: &Recognised, mut records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    let format = records.column(&["gemm_dtype"])?;
    let [m, n, k] = [records.column(&["m"])?, records.column(&["n"])?, records.column(&["k"])?];
    table(recognised, records, known, Rows::Gemm, |record, timing| {
        let (weights, activations, scaling) = formats(record.text(format))?;
        Ok(GemmRow {
            m: record.count(m, 1)?,
            n: record.count(n, 1)?,
            k: record.count(k, 1)?,
            weights,
            activations,
            scaling,
            timing,
        })
    })
}

/// Formats of weights and activations, and how they are scaled.
fn formats(name: &str) -> Result<(DType, DType, Scaling), Rejected> {
    Ok(match name {
        "bfloat16" | "float16" | "half" => (DType::Bf16, DType::Bf16, Scaling::None),
        "fp8" => (DType::Fp8, DType::Fp8, Scaling::Tensor),
        "fp8_block" => (DType::Fp8, DType::Fp8, Scaling::Block),
        "int8_wo" => (DType::Int8, DType::Bf16, Scaling::Tensor),
        // MXFP4 and 4-bit integers in groups take the same memory, and both are widened before they are multiplied.
        "int4_wo" | "w4a16_mxfp4" => (DType::Int4, DType::Bf16, Scaling::None),
        other => return Err(unknown_format(other)),
    })
}

fn unknown_format(name: &str) -> Rejected {
    Rejected::new(format!("number format `{name}` is not modelled"), name)
}

/// Columns of times and power.
struct Measured {
    time: Column,
    power: Option<Column>,
    limit: Option<Column>,
}

impl Measured {
    fn columns(records: &mut Records<'_>) -> Result<Self, ImportError> {
        Ok(Self {
            time: records.column(&["latency_ms", "latency"])?,
            power: records.maybe_column(&["power_w", "power"]),
            limit: records.maybe_column(&["power_limit_w", "power_limit"]),
        })
    }

    /// The time of a row; a power that is not one is left out and said.
    fn timing(&self, record: &Record, report: &mut Report) -> Result<Timing, Rejected> {
        let time_us = micros(record.positive(self.time)?, MICROS_PER_MILLI);
        let power_w = match self.power.map(|power| record.positive(power)).transpose() {
            Ok(power_w) => power_w,
            Err(why) => {
                report.note(format!("rows without power: {} (first on line {})", why.reason, record.line));
                None
            }
        };
        Ok(Timing { power_w, ..Timing::of_us(time_us) })
    }
}

/// The tables that a file holds, one for each device and version of an engine, with `row` as the shape of a record.
fn table<R: Row + Floor>(
    recognised: &Recognised,
    mut records: Records<'_>,
    known: Known<'_>,
    wrap: impl Fn(Vec<R>) -> Rows,
    row: impl Fn(&Record, Timing) -> Result<R, Rejected>,
) -> Result<Imported, ImportError> {
    let measured = Measured::columns(&mut records)?;
    let origin = Origin::columns(&mut records, &recognised.path);
    let file = records.file().to_string();
    let mut report = Report::default();
    unused(&records, &mut report);
    let mut begun: BTreeMap<name::Parts, (Sink<R>, Option<f64>)> = BTreeMap::new();
    for record in records {
        let record = record?;
        report.read += 1;
        let parts = origin.parts(&file, &record)?;
        if !begun.contains_key(&parts) {
            let device = find_device(&file, &parts.gpu, known)?;
            begun.insert(parts.clone(), (Sink::new(device), None));
        }
        let Some((sink, limit_w)) = begun.get_mut(&parts) else { unreachable!("it was just begun") };
        *limit_w = limit_w.or_else(|| measured.limit.and_then(|limit| record.positive(limit).ok()));
        let timing = measured.timing(&record, &mut report);
        sink.take(record.line, timing.and_then(|timing| row(&record, timing)), &mut report);
    }
    let mut tables = Vec::new();
    for (parts, (sink, limit_w)) in begun {
        let header = header(R::KERNEL, &sink.device().name, &parts, sink.shortest_us(), known, limit_w);
        let stem = format!("{}_{}-{}_{}", slug(&header.device), slug(&parts.engine), slug(&parts.version), R::KERNEL);
        let table = sink.finish(header, &wrap, (&file, measured.time.name()), &mut report)?;
        if !table.is_empty() {
            tables.push(NamedTable { stem, table });
        }
    }
    Ok(Imported { tables, report })
}

/// What a table says of itself.
fn header(
    kernel: Kernel,
    device: &str,
    parts: &name::Parts,
    shortest_us: f64,
    known: Known<'_>,
    limit_w: Option<f64>,
) -> Header {
    let source = format!("aiconfigurator (NVIDIA, Apache-2.0), collected with {} {}", parts.engine, parts.version);
    let (launch, how) = if shortest_us < LAUNCH_US {
        (Launch::Graph, "times below that of a launch show that kernels were launched by CUDA graphs")
    } else {
        (Launch::Unknown, "the source does not say how kernels were launched")
    };
    let date = known.date.unwrap_or("unknown");
    let mut header = Header::new(kernel, device, Cache::Unknown, launch, &source, date);
    header.libraries.insert(parts.engine.clone(), parts.version.clone());
    header.power_limit_w = limit_w;
    header.notes = Some(format!("{how}; where operands lay is not said"));
    header
}

/// Says which columns nobody read, but for those that only repeat what a file is about.
fn unused(records: &Records<'_>, report: &mut Report) {
    const SAID_ELSEWHERE: [&str; 5] = ["op_name", "kernel", "kernel_source", "backend", "implementation"];
    let unused: Vec<_> = records.unused().into_iter().filter(|name| !SAID_ELSEWHERE.contains(name)).collect();
    if !unused.is_empty() {
        report.note(format!("columns not used: {}", unused.join(", ")));
    }
}
