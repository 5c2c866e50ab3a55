//! Fitting a compact profile to the kernel tables of a device.

mod energy;
mod kernels;
mod layout;
mod least_squares;
mod loads;
mod small;
mod spread;

use profiles::DeviceSpec;
use profiles::fitted::{FittedProfile, KernelFormat};
use profiles::table::{KernelTable, Rows};

pub use kernels::Refused;
pub(crate) use kernels::from_cache;
pub use loads::experts_load;
pub use spread::Spread;

/// Narrow formats in the order in which simulations price by them: products, then experts.
const TENSOR_FIRST: [KernelFormat; 2] = [KernelFormat::Fp8, KernelFormat::Fp8Block];
const BLOCK_FIRST: [KernelFormat; 2] = [KernelFormat::Fp8Block, KernelFormat::Fp8];

/// A table, and the name by which a reader of the report knows it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The file.
    pub file: String,
    /// What it holds.
    pub table: KernelTable,
}

/// Why no profile can be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitTablesError {
    /// A table is of another device.
    #[error("{file}: measured on `{measured}`, but the profile is for `{device}`; fit one device at a time")]
    OtherDevice {
        /// The file.
        file: String,
        /// Its device.
        measured: String,
        /// That of the first table.
        device: String,
    },
    /// Nothing can be fitted.
    #[error("nothing in these tables can be fitted: {0}")]
    Nothing(String),
}

/// Fits a profile of `device` to tables. Tables of one kind of kernel from several sources are not mixed: for each number
/// format, the source of the first table that has it counts. `date` is the day of the fit, `YYYY-MM-DD`.
///
/// # Errors
///
/// If a table is of another device, or none holds anything that can be fitted.
pub fn fit(device: &DeviceSpec, tables: &[Named], date: &str) -> Result<(FittedProfile, Vec<Refused>), FitTablesError> {
    for Named { file, table } in tables {
        if table.header.device != device.name {
            return Err(FitTablesError::OtherDevice {
                file: file.clone(),
                measured: table.header.device.clone(),
                device: device.name.clone(),
            });
        }
    }
    let mut refused = Vec::new();
    let mut kind = |name, layout, narrow, usual_floor_us, rows: &dyn Fn(&Rows) -> Option<kernels::Samples>| {
        kernels::fit(&kernels::Kind { name, layout, narrow, usual_floor_us }, device, tables, rows, &mut refused)
    };
    let mut profile =
        FittedProfile {
            device: device.name.clone(),
            date: date.to_string(),
            gemm: kind("gemm", layout::gemm(), TENSOR_FIRST, 3.0, &|rows| match rows {
                Rows::Gemm(rows) => Some(kernels::samples(rows, device)),
                _ => None,
            }),
            prefill_attention: kind("prefill attention", layout::prefill_attention(), TENSOR_FIRST, 10.0, &|rows| {
                match rows {
                    Rows::PrefillAttention(rows) => Some(kernels::samples(rows, device)),
                    _ => None,
                }
            }),
            decode_attention: kind("decode attention", layout::decode_attention(), TENSOR_FIRST, 10.0, &|rows| {
                match rows {
                    Rows::DecodeAttention(rows) => Some(kernels::samples(rows, device)),
                    _ => None,
                }
            }),
            experts: kind("experts", layout::experts(), BLOCK_FIRST, 25.0, &|rows| match rows {
                Rows::Experts(rows) => Some(kernels::samples(rows, device)),
                _ => None,
            }),
            elementwise: small::elementwise(device, tables),
            all_reduce: small::all_reduce(device, tables),
            all_to_all: small::all_to_all(device, tables),
            energy: None,
        };
    profile.energy = energy::energy(device, tables, &profile);
    let nothing = profile.values() == 0;
    if nothing {
        let why: Vec<String> = refused.iter().map(ToString::to_string).collect();
        return Err(FitTablesError::Nothing(why.join("; ")));
    }
    Ok((profile, refused))
}
