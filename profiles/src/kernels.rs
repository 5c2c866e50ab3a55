//! What was measured on a device: tables put together, checked, and made ready to predict from.

mod collectives;
mod join;
mod plausible;
mod series;
mod small;

pub use join::{Joined, NamedTable};

pub(crate) use collectives::Collectives;
pub(crate) use series::Series;
pub(crate) use small::{SmallKernel, SmallKernels};

use std::collections::BTreeSet;

use crate::cost::{Architecture, OPERATIONS};
use crate::device::DeviceSpec;
use crate::predict::attention::{DecodePredictor, MixedPredictor, PrefillPredictor, TileKernel};
use crate::predict::{ExpertsPredictor, GemmPredictor, PredictError};
use crate::table::{Cache, ElementwiseRow, Kernel, TableWarning};

/// What was measured on a device, ready to predict from.
#[derive(Clone, Debug)]
pub struct Kernels {
    /// Where operands of products, experts and attention lay when they were measured.
    pub(crate) measured_cold: MeasuredCold,
    pub(crate) gemm: GemmPredictor,
    pub(crate) experts: ExpertsPredictor,
    pub(crate) prefill: PrefillPredictor,
    pub(crate) decode: DecodePredictor,
    pub(crate) mixed: MixedPredictor,
    pub(crate) small: SmallKernels,
    pub(crate) collectives: Collectives,
}

impl Kernels {
    /// Puts tables of a device together, in the order of belief: the first that has a shape counts, the others complete it.
    ///
    /// # Errors
    ///
    /// If a table is of another device, or its times cannot be microseconds.
    pub fn new(device: &DeviceSpec, tables: &[NamedTable]) -> Result<(Self, Vec<TableWarning>), KernelsError> {
        let (joined, mut warnings) = Joined::new(device, tables)?;
        let kernel = match Architecture::of(device) {
            Ok(Architecture::Hopper) => TileKernel::PerGroup,
            _ => TileKernel::PerQueryHead,
        };
        let kernels = Self {
            measured_cold: MeasuredCold::of(tables),
            gemm: GemmPredictor::new(&joined.gemm, device)?.lower_envelope(),
            experts: ExpertsPredictor::new(&joined.experts, device)?,
            prefill: PrefillPredictor::new(&joined.prefill_attention, device),
            decode: DecodePredictor::new(&joined.decode_attention, device),
            mixed: MixedPredictor::new(&joined.mixed_attention, device, kernel),
            small: SmallKernels::new(&joined.elementwise),
            collectives: Collectives::new(&joined.collective, &joined.between_servers),
        };
        let left_out = [
            (
                kernels.gemm.disturbed(),
                "rows of kind `gemm` are left out: a product no smaller in any dimension took less than two thirds of their \
                 time, so something disturbed the measurement",
            ),
            (
                kernels.experts.contradictory(),
                "rows of kind `experts` are left out: they say that loads were balanced, and took longer than the busiest GPU \
                 under a power law",
            ),
        ];
        warnings.extend(not_looked_up(device, &joined.elementwise));
        for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
            let file = format!("tables of {}", device.name);
            warnings.push(TableWarning { file, count: count as u64, problem: format!("{count} {what}") });
        }
        Ok((kernels, warnings))
    }
}

/// Small kernels that no step is priced from.
fn not_looked_up(device: &DeviceSpec, rows: &[ElementwiseRow]) -> Option<TableWarning> {
    let unknown = || rows.iter().filter(|row| !OPERATIONS.contains(&row.operation.as_str()));
    let names: BTreeSet<&str> = unknown().map(|row| row.operation.as_str()).collect();
    let count = unknown().count() as u64;
    let names: Vec<&str> = names.into_iter().collect();
    let problem = format!("{count} rows of kind `elementwise` do not change what a step costs: {}", names.join(", "));
    (count > 0).then(|| TableWarning { file: format!("tables of {}", device.name), count, problem })
}

/// Whether all tables of a kind were measured with operands in device memory, as a serving step finds them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasuredCold {
    pub(crate) gemm: bool,
    pub(crate) experts: bool,
    pub(crate) decode_attention: bool,
}

impl MeasuredCold {
    fn of(tables: &[NamedTable]) -> Self {
        let all_cold = |kernel| {
            let mut of_kind =
                tables.iter().filter(|named| named.table.kernel() == kernel && !named.table.header.relative);
            of_kind.all(|named| named.table.header.cache == Cache::Cold)
        };
        Self {
            gemm: all_cold(Kernel::Gemm),
            experts: all_cold(Kernel::Experts),
            decode_attention: all_cold(Kernel::DecodeAttention),
        }
    }
}

/// Why tables cannot be used together, or not for a device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelsError {
    /// The table is of another device.
    #[error("{file}: measured on `{measured}`, but the device is `{device}`")]
    OtherDevice {
        /// The file.
        file: String,
        /// Whose table it is.
        measured: String,
        /// What it was to be used for.
        device: String,
    },
    /// The rows do not go together with the device, or with each other.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The times cannot be microseconds.
    #[error("{file}: {problem}; times must be in microseconds")]
    Unit {
        /// The file.
        file: String,
        /// Which times cannot be.
        problem: String,
    },
}
