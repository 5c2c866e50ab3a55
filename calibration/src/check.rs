//! How far a profile is from kernel tables.

mod buckets;
mod passes;

use std::collections::BTreeMap;

use profiles::DeviceSpec;
use profiles::fitted::{FittedKernel, FittedProfile, KernelFormat};
use profiles::table::{Kernel, KernelTable, Row, Rows};

use crate::fit::{Spread, from_cache, in_service};
use crate::work::Priced;

/// Shapes listed as the worst.
const WORST: usize = 5;
/// What decode attention is called, for its times are not all those of the table.
const OVER_DEVICE_MEMORY: &str = "decode_attention (caches in device memory)";

/// Kinds of tables that are checked: four that a profile prices shape by shape, and whole passes.
pub const CHECKED: [Kernel; 5] =
    [Kernel::Gemm, Kernel::PrefillAttention, Kernel::DecodeAttention, Kernel::Experts, Kernel::Pass];

/// A profile against those rows of one table that are alike: in one number format, and passes of one phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What they are, such as `gemm in bf16`.
    pub name: String,
    /// All rows.
    pub all: Spread,
    /// By size: the name of each bucket, smallest first, and its rows.
    pub buckets: Vec<(String, Spread)>,
    /// The rows with the largest errors, worst first.
    pub worst: Vec<Worst>,
}

/// A row with a large error.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// The columns of its shape, `name=value`.
    pub shape: String,
    /// Microseconds.
    pub measured_us: f64,
    /// Microseconds.
    pub predicted_us: f64,
}

impl Worst {
    /// Predicted over measured, less 1.
    pub fn error(&self) -> f64 {
        self.predicted_us / self.measured_us - 1.0
    }
}

/// Rows that were not checked, by reason.
pub type LeftOut = BTreeMap<String, u64>;

/// Checks a profile against a table; `None`: its kind is not one of [`CHECKED`].
///
/// Times are taken as they are in the table, except those of decode attention over caches that lay in L2: there it is the time
/// over the same caches in device memory, which is what a step waits for and what profiles are fitted to.
pub fn check(profile: &FittedProfile, device: &DeviceSpec, table: &KernelTable) -> Option<(Vec<Checked>, LeftOut)> {
    match &table.rows {
        Rows::Gemm(rows) => Some(check_rows("gemm", &profile.gemm, rows, device)),
        Rows::PrefillAttention(rows) => Some(check_rows("prefill_attention", &profile.prefill_attention, rows, device)),
        Rows::DecodeAttention(rows) => {
            let rows = in_service::decode(rows, table, device);
            Some(check_rows(OVER_DEVICE_MEMORY, &profile.decode_attention, &rows, device))
        }
        Rows::Experts(rows) => Some(check_rows("experts", &profile.experts, rows, device)),
        Rows::Pass(rows) => Some(passes::check(profile, device, rows)),
        _ => None,
    }
}

fn check_rows<R: Row + Priced>(
    kernel: &'static str,
    fitted: &[FittedKernel],
    rows: &[R],
    device: &DeviceSpec,
) -> (Vec<Checked>, LeftOut) {
    let mut left_out = LeftOut::new();
    let mut formats: BTreeMap<KernelFormat, Vec<Compared<'_, R>>> = BTreeMap::new();
    for row in rows {
        match compare(fitted, row, device) {
            Ok((format, compared)) => formats.entry(format).or_default().push(compared),
            Err(reason) => *left_out.entry(reason).or_default() += 1,
        }
    }
    let checked =
        formats.into_iter().filter_map(|(format, rows)| summary(format!("{kernel} in {}", format.name()), rows));
    (checked.collect(), left_out)
}

/// A row and what the profile says.
struct Compared<'a, R> {
    row: &'a R,
    /// Place among the buckets, and its name.
    bucket: (usize, String),
    predicted_us: f64,
}

impl<R: Row> Compared<'_, R> {
    fn error(&self) -> f64 {
        self.predicted_us / self.row.timing().time_us - 1.0
    }
}

fn compare<'a, R: Row + Priced>(
    fitted: &[FittedKernel],
    row: &'a R,
    device: &DeviceSpec,
) -> Result<(KernelFormat, Compared<'a, R>), String> {
    let (format, work) = row.priced(device).map_err(str::to_string)?;
    let kernel = fitted.iter().find(|kernel| kernel.format == format);
    let kernel = kernel.ok_or_else(|| format!("in {}, which the profile does not have", format.name()))?;
    if from_cache(&work, row.timing().time_us, kernel.floor_us, device) {
        return Err("faster than the memory bandwidth allows: operands lay in the L2".to_string());
    }
    Ok((format, Compared { row, bucket: buckets::of(&work), predicted_us: work.fitted_us(kernel, device) }))
}

fn summary<R: Row>(name: String, mut rows: Vec<Compared<'_, R>>) -> Option<Checked> {
    let mut buckets: BTreeMap<(usize, String), Vec<f64>> = BTreeMap::new();
    for row in &rows {
        buckets.entry(row.bucket.clone()).or_default().push(row.error());
    }
    let all = Spread::of(rows.iter().map(Compared::error).collect())?;
    // Half the time is as wrong as twice the time.
    rows.sort_by(|a, b| (1.0 + b.error()).ln().abs().total_cmp(&(1.0 + a.error()).ln().abs()));
    let worst = rows.iter().take(WORST).map(|row| Worst {
        shape: shape(row.row),
        measured_us: row.row.timing().time_us,
        predicted_us: row.predicted_us,
    });
    Some(Checked {
        name,
        all,
        worst: worst.collect(),
        buckets: buckets.into_iter().filter_map(|((_, name), errors)| Some((name, Spread::of(errors)?))).collect(),
    })
}

fn shape<R: Row>(row: &R) -> String {
    let columns = R::COLUMNS.iter().zip(row.shape()).filter(|(_, value)| !value.is_empty());
    columns.map(|(column, value)| format!("{}={value}", column.name)).collect::<Vec<_>>().join(" ")
}
