//! The stages of a calibration: each writes its own files into one folder and goes on where it was stopped.

mod ceilings;
mod energy;
mod grid;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use profiles::table::{Cache, Clocks, Header, Kernel, Launch};
use profiles::{DeviceSpec, ProfileError};

use crate::gpu::{Gpu, GpuError};
use crate::measure::{BenchError, CampaignError, Grid, StoreError};
use crate::verify::{self, VerifyError};

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What there is and what is missing; needs no GPU.
    Doctor,
    /// Every kernel against double precision.
    Verify,
    /// The fastest copy and the fastest product.
    Ceilings,
    /// Every shape of the grid.
    Grid,
    /// Power and time under sustained load.
    Energy,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 5] = [Stage::Doctor, Stage::Verify, Stage::Ceilings, Stage::Grid, Stage::Energy];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Doctor => "doctor",
            Stage::Verify => "verify",
            Stage::Ceilings => "ceilings",
            Stage::Grid => "grid",
            Stage::Energy => "energy",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Stage::ALL.map(Stage::name).join(", ");
        Stage::ALL
            .into_iter()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| format!("`{name}` is no stage; use one of {}", names()))
    }
}

/// What is measured, and where it goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folder of the tables.
    pub folder: PathBuf,
    /// The device as device files name it.
    pub device: DeviceSpec,
    /// The shapes.
    pub grid: Grid,
    /// Fixes operands and the order of points.
    pub seed: u64,
    /// Seconds after `started` at which measuring stops.
    pub budget_s: f64,
    /// When measuring began.
    pub started: Instant,
}

impl Plan {
    /// When the first of `kinds` kinds of kernels has had its part of the time that is left at `now_s`, so that a short
    /// budget gives some points of every kind.
    fn until_s(&self, now_s: f64, kinds: usize) -> f64 {
        now_s + (self.budget_s - now_s) / kinds as f64
    }
}

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A check could not be made.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A figure could not be taken.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// Points could not be timed.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model of the grid is not shipped.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Kernels compute something else than they should, so that their time means nothing.
    #[error("{} of {checks} checks do not agree with double precision:\n{}", .wrong.len(), .wrong.join("\n"))]
    Wrong {
        /// How many checks were made.
        checks: usize,
        /// Those that failed, with their error and tolerance.
        wrong: Vec<String>,
    },
}

/// What a stage tells while it works and when it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Points done and wanted of a table.
    Points {
        /// The kind of kernel.
        kernel: Kernel,
        /// Done.
        done: usize,
        /// Wanted in this run.
        wanted: usize,
    },
    /// A result, in words.
    Line(String),
}

/// Runs a stage other than the doctor on a device.
///
/// # Errors
///
/// If the device fails, a kernel computes something wrong, or files cannot be written.
pub fn run(stage: Stage, gpu: &mut Gpu, plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Result<(), StageError> {
    match stage {
        Stage::Doctor => Ok(()),
        Stage::Verify => verify_all(gpu, tell),
        Stage::Ceilings => ceilings::run(gpu, plan, tell),
        Stage::Grid => grid::run(gpu, plan, tell),
        Stage::Energy => energy::run(gpu, plan, tell),
    }
}

fn verify_all(gpu: &mut Gpu, tell: &mut dyn FnMut(Progress)) -> Result<(), StageError> {
    let (mut checks, mut wrong) = (0, Vec::new());
    let mut families: Vec<(&str, Vec<verify::Check>)> = Vec::new();
    for (family, check) in verify::FAMILIES {
        families.push((family, check(gpu)?));
    }
    families.push(("products", verify::products(gpu)?));
    for (family, found) in families {
        let closest = found.iter().map(|check| check.error / check.tolerance.max(1e-30)).fold(0.0, f64::max);
        let exact = found.iter().filter(|check| check.tolerance == 0.0).count();
        tell(Progress::Line(format!(
            "{family}: {} checks, {exact} of them exact, largest error {:.0} % of what is tolerated",
            found.len(),
            closest.min(1e3) * 100.0
        )));
        checks += found.len();
        let failed = found.iter().filter(|check| !check.passes());
        wrong.extend(
            failed.map(|check| format!("    {}: {:.2e}, tolerated {:.2e}", check.name, check.error, check.tolerance)),
        );
    }
    if wrong.is_empty() { Ok(()) } else { Err(StageError::Wrong { checks, wrong }) }
}

/// How operands of a kind lie and how it is launched here.
fn manner(kernel: Kernel) -> (Cache, Launch) {
    match kernel {
        Kernel::Elementwise => (Cache::Warm, Launch::Graph),
        Kernel::Overhead => (Cache::Unknown, Launch::Stream),
        _ => (Cache::Cold, Launch::Graph),
    }
}

/// The header of a table that is measured now.
fn header(kernel: Kernel, gpu: &Gpu, plan: &Plan) -> Header {
    let (cache, launch) = manner(kernel);
    let source =
        "measured with servesim calibrate: products by cuBLASLt's first heuristic, other kernels servesim's own";
    let mut header = Header::new(kernel, &plan.device.name, cache, launch, source, &today());
    let info = gpu.info();
    header.driver = Some(info.driver.clone()).filter(|version| !version.is_empty());
    header.libraries.clone_from(&info.libraries);
    header.libraries.insert("servesim".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    if let Ok(board) = gpu.board() {
        header.power_limit_w = board.power_limit_mw().ok().map(|milliwatts| f64::from(milliwatts) / 1e3);
        header.clocks = board.highest_clocks_mhz().ok().map(|(sm_max_mhz, memory_max_mhz)| Clocks {
            sm_max_mhz,
            memory_max_mhz,
            // Locking needs rights that a user of a GPU rarely has; nothing here does it, and NVML does not tell.
            locked: false,
        });
    }
    header
}

/// The date, as `YYYY-MM-DD` in UTC.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / 86_400)
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The device file that fits a GPU: the one of this name, or of the name that the driver gives.
///
/// # Errors
///
/// If no shipped device has this name or alias.
pub fn device_of(gpu: &Gpu, name: Option<&str>) -> Result<DeviceSpec, ProfileError> {
    DeviceSpec::shipped(name.unwrap_or(&gpu.info().name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_782), "2026-11-25");
    }

    #[test]
    fn stages_are_known_by_their_names() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        assert_eq!(
            "gird".parse::<Stage>().expect_err("a misspelling"),
            "`gird` is no stage; use one of doctor, verify, ceilings, grid, energy"
        );
    }
}
