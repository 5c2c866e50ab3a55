//! Products by weights.

use profiles::DType;
use profiles::table::{GemmRow, Scaling};

use super::{Builder, Item, Workload, WorkloadError, no_kernel};
use crate::gpu::{ProductFormat, ProductShape};

pub(super) fn build(row: &GemmRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    let format = match (row.weights, row.activations, row.scaling) {
        (DType::Bf16, DType::Bf16, Scaling::None) => ProductFormat::Bf16,
        (DType::Fp8, DType::Fp8, Scaling::Tensor) => ProductFormat::E4m3,
        (weights, activations, scaling) => {
            return no_kernel(format!("a product of {activations} by {weights} with scaling {scaling}"));
        }
    };
    let shape = ProductShape { m: row.m, n: row.n, k: row.k, format };
    let (m, n, k) = (u64::from(row.m), u64::from(row.n), u64::from(row.k));
    let weight_bytes = n * k * format.bytes();
    let copies = builder.copies(weight_bytes, weight_bytes, m * (k * format.bytes() + n * 2))?;
    let numbers = |builder: &mut Builder<'_>, count| match format {
        ProductFormat::Bf16 => builder.bf16(count),
        ProductFormat::E4m3 => builder.e4m3(count),
    };
    let (x, y) = (numbers(builder, m * k)?, builder.room(m * n * 2)?);
    let mut variants = Vec::new();
    for _ in 0..copies {
        let w = numbers(builder, n * k)?;
        variants.push(vec![Item::Product { shape, x: x.clone(), w, y: y.clone() }]);
    }
    Ok(Workload { variants, touched_experts: None })
}
