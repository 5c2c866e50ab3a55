//! Fitting a compact profile to the kernel tables of a device.

mod energy;
pub(crate) mod in_service;
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

/// What tables may hold that a profile is fitted to.
const FITTED_KINDS: &str = "what can be fitted: 50 rows or more of `gemm`, `prefill_attention`, `decode_attention` or `experts`; \
                            5 rows or more of fused `elementwise` kernels, or of `collective` operations: all-to-all, or \
                            all-reduce over 2 GPUs that was not launched eagerly";

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
        if !device.is_called(&table.header.device) {
            return Err(FitTablesError::OtherDevice {
                file: file.clone(),
                measured: table.header.device.clone(),
                device: device.name.clone(),
            });
        }
    }
    let mut refused = Vec::new();
    let mut kind = |name, layout, narrow, usual_floor_us, rows: &dyn Fn(&KernelTable) -> Option<kernels::Samples>| {
        kernels::fit(&kernels::Kind { name, layout, narrow, usual_floor_us }, device, tables, rows, &mut refused)
    };
    let mut profile =
        FittedProfile {
            device: device.name.clone(),
            date: date.to_string(),
            gemm: kind("gemm", layout::gemm(), TENSOR_FIRST, 3.0, &|table| match &table.rows {
                Rows::Gemm(rows) => Some(kernels::samples(&in_service::products(rows, table, device), device)),
                _ => None,
            }),
            prefill_attention: kind("prefill attention", layout::prefill_attention(), TENSOR_FIRST, 10.0, &|table| {
                match &table.rows {
                    Rows::PrefillAttention(rows) => Some(kernels::samples(rows, device)),
                    _ => None,
                }
            }),
            decode_attention: kind("decode attention", layout::decode_attention(), TENSOR_FIRST, 10.0, &|table| {
                match &table.rows {
                    Rows::DecodeAttention(rows) => {
                        Some(kernels::samples(&in_service::decode(rows, table, device), device))
                    }
                    _ => None,
                }
            }),
            experts: kind("experts", layout::experts(), BLOCK_FIRST, 25.0, &|table| match &table.rows {
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
        return Err(FitTablesError::Nothing(why_nothing(tables, &refused)));
    }
    Ok((profile, refused))
}

/// Why nothing of these tables can be fitted: the reasons of what was refused, else what there is and what there should be.
fn why_nothing(tables: &[Named], refused: &[Refused]) -> String {
    if !refused.is_empty() {
        return refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    }
    let there: Vec<String> = tables
        .iter()
        .map(|Named { file, table }| format!("{file} holds {} rows of kind `{}`", table.len(), table.kernel()))
        .collect();
    format!("{}; {FITTED_KINDS}", there.join(", "))
}

#[cfg(test)]
mod tests {
    use profiles::DType;
    use profiles::table::{Cache, GemmRow, Header, Kernel, Launch, Scaling, Timing};

    use super::*;

    /// A table of products that was measured on a device of this name.
    fn products(name: &str, device: &DeviceSpec) -> Named {
        let mut rows = Vec::new();
        for m in (0..14).map(|exponent| 1_u32 << exponent) {
            for (n, k) in [(2048, 2048), (4096, 2048), (2048, 8192), (8192, 4096), (8192, 8192), (16_384, 4096)] {
                let [tokens, columns, depth] = [m, n, k].map(f64::from);
                let compute_us = 2.0 * tokens * columns * depth / device.bf16_flops * 1e6;
                let memory_us =
                    2.0 * (tokens * depth + columns * depth + tokens * columns) / device.memory_bandwidth * 1e6;
                let timing = Timing::of_us(3.0 + 1.4 * compute_us.max(memory_us));
                let (weights, activations, scaling) = (DType::Bf16, DType::Bf16, Scaling::None);
                rows.push(GemmRow { m, n, k, weights, activations, scaling, timing });
            }
        }
        let header = Header::new(Kernel::Gemm, name, Cache::Cold, Launch::Graph, "a test", "2026-01-01");
        Named { file: "gemm.csv".to_owned(), table: KernelTable { header, rows: Rows::Gemm(rows) } }
    }

    #[test]
    fn a_table_may_call_the_device_by_any_of_its_names() {
        let device = DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped");
        let alias = device.aliases.first().expect("it has other names").to_ascii_lowercase();
        for name in ["h100-sxm-80gb", &alias] {
            let fitted = fit(&device, &[products(name, &device)], "2026-01-01");
            let (profile, _) = fitted.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(profile.device, "H100-SXM-80GB");
        }
        let other = fit(&device, &[products("H200-SXM-141GB", &device)], "2026-01-01");
        assert!(matches!(other, Err(FitTablesError::OtherDevice { .. })), "{other:?}");
    }
}
