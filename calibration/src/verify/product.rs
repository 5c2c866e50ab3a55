//! Products by cuBLASLt: whether operands, formats and layouts are what we think they are. Needs a GPU.

use super::{BF16_TOLERANCE, Check, VerifyError, compare};
use crate::gpu::{Gpu, GpuError, ProductFormat, ProductShape, Work};
use crate::machine::{Machine as _, MachineError};
use crate::numbers::{Random, bf16_bytes, bf16_values, from_e4m3, to_e4m3};

/// Checks products in both formats; fp8 only where the device does it.
///
/// # Errors
///
/// If the GPU fails.
pub fn products(gpu: &mut Gpu) -> Result<Vec<Check>, VerifyError> {
    let mut checks = Vec::new();
    for [m, n, k] in [[1, 64, 128], [17, 96, 256], [130, 272, 512]] {
        checks.push(product(gpu, ProductShape { m, n, k, format: ProductFormat::Bf16 })?);
        if gpu.info().capability >= (8, 9) {
            checks.push(product(gpu, ProductShape { m, n, k, format: ProductFormat::E4m3 })?);
        }
    }
    Ok(checks)
}

fn product(gpu: &mut Gpu, shape: ProductShape) -> Result<Check, VerifyError> {
    let ProductShape { m, n, k, format } = shape;
    let mut random = Random::new(6);
    let mut operand = |count: u32| -> (Vec<u8>, Vec<f64>) {
        let values = random.normals(count as usize, 1.0);
        match format {
            ProductFormat::Bf16 => (bf16_bytes(&values), values.into_iter().map(f64::from).collect()),
            ProductFormat::E4m3 => {
                let codes: Vec<u8> = values.into_iter().map(to_e4m3).collect();
                let values = codes.iter().map(|&code| f64::from(from_e4m3(code))).collect();
                (codes, values)
            }
        }
    };
    let ((x_bytes, x_values), (w_bytes, w_values)) = (operand(m * k), operand(n * k));
    let (x, w, y) = (gpu.upload(&x_bytes)?, gpu.upload(&w_bytes)?, gpu.upload(&vec![0xff; (m * n * 2) as usize])?);
    let failed = |error: GpuError| VerifyError::Machine(MachineError::from(error));
    let plan = gpu.product_plan(shape).map_err(failed)?;
    gpu.submit(&[Work::Product { plan, x, w, y: y.clone() }]).map_err(failed)?;
    let got = bf16_values(&gpu.download(&y)?);
    let (n, k) = (n as usize, k as usize);
    let dot = |row: usize, column: usize| -> f64 {
        x_values[row * k..][..k].iter().zip(&w_values[column * k..][..k]).map(|(x, w)| x * w).sum()
    };
    let want: Vec<f64> =
        (0..m as usize).flat_map(|row| (0..n).map(move |column| (row, column))).map(|(r, c)| dot(r, c)).collect();
    let name = format!("{format:?} product, m = {m}, n = {n}, k = {k}");
    // Fast accumulation of fp8 keeps 14 bits of a sum.
    let tolerance = if format == ProductFormat::Bf16 { BF16_TOLERANCE } else { 2.0 * BF16_TOLERANCE };
    Ok(compare(name, &got, &want, tolerance))
}
