//! Fitting one kind of kernel in each of its number formats.

use std::collections::BTreeMap;
use std::fmt;

use profiles::DeviceSpec;
use profiles::fitted::{Axis, FitError, FittedKernel, KernelFormat, Point, Surface};
use profiles::table::{Header, KernelTable, Row};

use super::spread::{Spread, quantile};
use super::{Named, least_squares};
use crate::work::{Priced, Work};

/// Part of the rows that are shorter than what counts as the floor.
const BELOW_FLOOR: f64 = 0.001;
/// Kernels that would take this part of their time, or less, if they started at once, tell the floor.
const SMALL: f64 = 0.25;
/// A kernel's floor beyond this many microseconds is a launch that the tables timed with it.
const LONGEST_FLOOR_US: f64 = 40.0;
/// Rows below which a surface is not fitted.
const FEWEST_ROWS: usize = 50;

/// The rows of a table that can be fitted, by number format, and how many cannot, by reason.
pub(super) struct Samples {
    formats: BTreeMap<KernelFormat, Vec<(Work, f64)>>,
    left_out: BTreeMap<&'static str, u64>,
}

/// The rows of a table as work and its time in microseconds.
pub(super) fn samples<R: Row + Priced>(rows: &[R], device: &DeviceSpec) -> Samples {
    let mut samples = Samples { formats: BTreeMap::new(), left_out: BTreeMap::new() };
    for row in rows {
        match row.priced(device) {
            Ok((format, work)) => samples.formats.entry(format).or_default().push((work, row.timing().time_us)),
            Err(reason) => *samples.left_out.entry(reason).or_default() += 1,
        }
    }
    samples
}

/// Rows that were not fitted, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The kind of kernel.
    pub kernel: &'static str,
    /// The number format; `None`: any.
    pub format: Option<KernelFormat>,
    /// How many.
    pub rows: u64,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format.map_or(String::new(), |format| format!(" in {}", format.name()));
        write!(f, "{}: {} rows of {}{format}: {}", self.file, self.rows, self.kernel, self.reason)
    }
}

/// Rows of one number format, all from one source.
struct Pool<'a> {
    header: &'a Header,
    file: &'a str,
    samples: Vec<(Work, f64)>,
}

/// A kind of kernel.
pub(super) struct Kind {
    /// Its name.
    pub(super) name: &'static str,
    /// Terms of its surface.
    pub(super) layout: Vec<Vec<Axis>>,
    /// Its narrow formats, the one that simulations price by first; only the first that can be fitted is.
    pub(super) narrow: [KernelFormat; 2],
    /// Its floor in microseconds where a table has large kernels only: about that of the other devices.
    pub(super) usual_floor_us: f64,
}

/// Fits the kind of kernel that `rows` finds in tables.
pub(super) fn fit(
    kind: &Kind,
    device: &DeviceSpec,
    tables: &[Named],
    rows: &dyn Fn(&KernelTable) -> Option<Samples>,
    refused: &mut Vec<Refused>,
) -> Vec<FittedKernel> {
    let mut refuse = |file: &str, format, rows: u64, reason: String| {
        refused.push(Refused { file: file.to_string(), kernel: kind.name, format, rows, reason });
    };
    let mut pools: BTreeMap<KernelFormat, Pool<'_>> = BTreeMap::new();
    for Named { file, table } in tables {
        let Some(samples) = rows(table) else { continue };
        for (reason, count) in samples.left_out {
            refuse(file, None, count, reason.to_string());
        }
        let header = &table.header;
        for (format, mut samples) in samples.formats {
            let pool = pools.entry(format).or_insert(Pool { header, file, samples: Vec::new() });
            if same_source(pool.header, header) {
                pool.samples.append(&mut samples);
            } else {
                let reason = format!("an earlier table from another source has them ({})", pool.file);
                refuse(file, Some(format), samples.len() as u64, reason);
            }
        }
    }
    let mut fitted: Vec<FittedKernel> = Vec::new();
    let order = [KernelFormat::Bf16, kind.narrow[0], kind.narrow[1]];
    for (format, Pool { header, file, samples }) in
        order.iter().filter_map(|format| Some((*format, pools.remove(format)?)))
    {
        let rows = samples.len() as u64;
        if let Some(first) = fitted.iter().find(|kernel| kernel.format == kind.narrow[0] && format == kind.narrow[1]) {
            let reason = format!("simulations price narrow products by {}", first.format.name());
            refuse(file, Some(format), rows, reason);
            continue;
        }
        match fit_format(format, kind, device, samples, header) {
            Ok(kernel) => fitted.push(kernel),
            Err(reason) => refuse(file, Some(format), rows, reason),
        }
    }
    fitted
}

fn fit_format(
    format: KernelFormat,
    kind: &Kind,
    device: &DeviceSpec,
    mut samples: Vec<(Work, f64)>,
    header: &Header,
) -> Result<FittedKernel, String> {
    let floor_us = rounded(floor_us(kind, &samples, device)?, 3);
    let all = samples.len();
    samples.retain(|(work, time_us)| !from_cache(work, *time_us, floor_us, device));
    let cached = all - samples.len();
    if samples.len() < FEWEST_ROWS {
        return Err(format!("{} rows are too few for a surface (at least {FEWEST_ROWS})", samples.len()));
    }
    let floor_ns = floor_us * 1e3;
    let points: Vec<Point> = samples.iter().map(|(work, _)| work.point(floor_ns, device)).collect();
    let corrections: Vec<f64> =
        samples.iter().map(|(work, time_us)| (time_us * 1e3 / work.base_ns(floor_ns, device)).ln()).collect();
    let surface = written(least_squares::fit(&kind.layout, &points, &corrections));
    if surface.terms.is_empty() {
        return Err(format!("{} rows are too few for a surface", samples.len()));
    }
    let error = |(point, correction): (&Point, &f64)| (surface.at(point) - correction).exp() - 1.0;
    let spread = Spread::of(points.iter().zip(&corrections).map(error).collect()).expect("there are rows");
    let left_out = match cached {
        0 => String::new(),
        _ => format!(
            "{cached} rows faster than the memory bandwidth allows: operands lay in the L2 from the repetition before, where \
             no serving step finds them"
        ),
    };
    Ok(FittedKernel {
        format,
        floor_us,
        source: source(header),
        rows: samples.len() as u64,
        left_out,
        error_percent: FitError { median: spread.median, p95: spread.p95, bias: spread.bias, mean: spread.mean },
        surface,
    })
}

/// Time of the shortest kernels in microseconds: of those that would take little of their time if they started at once.
fn floor_us(kind: &Kind, samples: &[(Work, f64)], device: &DeviceSpec) -> Result<f64, String> {
    let mut all_us: Vec<f64> = samples.iter().map(|(_, time_us)| *time_us).collect();
    let shortest_us = quantile(&mut all_us, BELOW_FLOOR);
    let roofline_us = |work: &Work| work.base_ns(0.0, device) * 1e-3;
    let small = samples.iter().filter(|(work, time_us)| roofline_us(work) < SMALL * time_us);
    let mut small_us: Vec<f64> = small.map(|(_, time_us)| *time_us).collect();
    let usual_us = kind.usual_floor_us.min(shortest_us);
    if small_us.is_empty() {
        return Ok(usual_us);
    }
    let floor_us = quantile(&mut small_us, BELOW_FLOOR);
    if floor_us <= LONGEST_FLOOR_US {
        Ok(floor_us)
    } else if shortest_us <= LONGEST_FLOOR_US {
        Ok(usual_us)
    } else {
        Err(format!("the shortest take {floor_us:.0} µs, so launches were timed and not kernels"))
    }
}

/// Whether a kernel that starts from nothing and reads at the datasheet's bandwidth would take longer. What experts read
/// overlaps the start of their several kernels.
pub(crate) fn from_cache(work: &Work, time_us: f64, floor_us: f64, device: &DeviceSpec) -> bool {
    let start_us = if matches!(work, Work::Experts { .. }) { 0.0 } else { floor_us };
    work.bytes() / device.memory_bandwidth * 1e6 > time_us - start_us
}

/// The surface with the digits that files hold, so that errors are those of the file.
fn written(mut surface: Surface) -> Surface {
    for term in &mut surface.terms {
        for value in &mut term.values {
            *value = rounded(*value, 3);
        }
        for axis in &mut term.axes {
            for knot in &mut axis.knots {
                *knot = rounded(*knot, 3);
            }
        }
    }
    surface
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// Whether two tables were made by the same tool with the same libraries.
fn same_source(one: &Header, other: &Header) -> bool {
    let tool = |header: &Header| header.source.split_whitespace().next().map(str::to_string);
    tool(one) == tool(other) && one.libraries == other.libraries
}

fn source(header: &Header) -> String {
    match header.date.as_str() {
        "unknown" => header.source.clone(),
        date => format!("{}, {date}", header.source),
    }
}
