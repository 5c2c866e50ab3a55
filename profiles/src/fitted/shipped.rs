//! The fitted profiles that come with the project.

use std::sync::LazyLock;

use super::profile::FittedProfile;
use crate::device::DeviceSpec;

/// Their files.
const FILES: &[(&str, &str)] = &[
    ("a100-sxm-80gb.toml", include_str!("../../data/fitted/a100-sxm-80gb.toml")),
    ("h100-sxm-80gb.toml", include_str!("../../data/fitted/h100-sxm-80gb.toml")),
    ("h200-sxm-141gb.toml", include_str!("../../data/fitted/h200-sxm-141gb.toml")),
    ("b200-sxm-180gb.toml", include_str!("../../data/fitted/b200-sxm-180gb.toml")),
    ("l40s-48gb.toml", include_str!("../../data/fitted/l40s-48gb.toml")),
    ("rtx-4090-24gb.toml", include_str!("../../data/fitted/rtx-4090-24gb.toml")),
    ("rtx-pro-6000-server-96gb.toml", include_str!("../../data/fitted/rtx-pro-6000-server-96gb.toml")),
];

static SHIPPED: LazyLock<Vec<FittedProfile>> = LazyLock::new(|| {
    let parse =
        |&(file, text): &(&str, &str)| FittedProfile::from_toml(text, file).expect("shipped profiles are valid");
    FILES.iter().map(parse).collect()
});

impl FittedProfile {
    /// The shipped profile of a device; `None`: there is none.
    pub fn shipped(device: &DeviceSpec) -> Option<&'static Self> {
        SHIPPED.iter().find(|profile| profile.device == device.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitted::{
        CompiledDecode, CompiledExperts, CompiledGemm, CompiledPrefill, ExpertsLoad, ExpertsShape, FittedKernel,
        GemmShape, Heads, Point, PromptWork,
    };

    #[test]
    fn shipped_profiles_are_of_shipped_devices_and_tell_where_they_come_from() {
        for (profile, (file, text)) in SHIPPED.iter().zip(FILES) {
            let device = DeviceSpec::shipped(&profile.device).expect("a shipped device");
            assert_eq!(format!("{}.toml", device.name.to_ascii_lowercase()), *file);
            assert_eq!(FittedProfile::shipped(&device), Some(profile));
            assert!(text.starts_with("# What kernels take"), "{file} tells how it was made");
            for kernel in profile.gemm.iter().chain(&profile.experts) {
                assert!(!kernel.source.is_empty() && kernel.rows > 0, "{file}");
            }
        }
    }

    /// The promise of a fitted profile, on the rows it was fitted to.
    #[test]
    fn shipped_profiles_say_of_themselves_that_they_are_near_and_not_biased() {
        for profile in SHIPPED.iter() {
            let kinds = [&profile.gemm, &profile.prefill_attention, &profile.decode_attention, &profile.experts];
            for kernel in kinds.into_iter().flatten() {
                let error = kernel.error_percent;
                assert!(error.median <= 7.0 && error.bias.abs() <= 3.0, "{}: {error:?}", profile.device);
            }
        }
    }

    /// Simulations take compiled times, checks against tables the formulas: they are the same.
    #[test]
    fn compiled_times_are_those_of_the_formulas() {
        let device = DeviceSpec::shipped("H100").expect("a shipped device");
        let profile = FittedProfile::shipped(&device).expect("a shipped profile");
        let same = |compiled: f64, base_ns: f64, kernel: &FittedKernel, point: &Point| {
            let formula = base_ns * kernel.surface.at(point).exp();
            assert!((compiled / formula - 1.0).abs() < 1e-6, "{compiled} and {formula} ns");
        };
        let floor_ns = |kernel: &FittedKernel| kernel.floor_us * 1e3;
        let (gemm, experts) = (&profile.gemm[0], &profile.experts[0]);
        let (prefill, decode) = (&profile.prefill_attention[0], &profile.decode_attention[0]);
        let product =
            GemmShape { n: 6144.0, k: 4096.0, weight_bytes: 2.0, activation_bytes: 2.0, peak: device.bf16_flops };
        let compiled_product = CompiledGemm::new(product, floor_ns(gemm), &gemm.surface, &device);
        let heads = Heads { query: 40.0, kv: 8.0, dim: 128.0, kv_bytes: 2.0 };
        let compiled_prefill = CompiledPrefill::new(heads, floor_ns(prefill), &prefill.surface, &device);
        let compiled_decode = CompiledDecode::new(heads, floor_ns(decode), &decode.surface, &device);
        let layer = ExpertsShape {
            hidden: 2048.0,
            width: 768.0,
            matrices: 3.0,
            experts: 128.0,
            chosen: 8.0,
            weight_bytes: 2.0,
            peak: device.bf16_flops,
        };
        let compiled_experts = CompiledExperts::new(layer, floor_ns(experts), &experts.surface, &device);
        for size in [1_u32, 3, 17, 200, 257, 1030, 5000] {
            let m = f64::from(size);
            let base_ns = product.base_ns(m, floor_ns(gemm), &device);
            same(compiled_product.time_ns(size), base_ns, gemm, &product.point(m, &device));
            let mut work = PromptWork::default();
            work.add(m, 700.0 + m, m * 700.0 + m * (m + 1.0) / 2.0, &heads);
            work.add(90.0, 90.0, 4095.0, &heads);
            let base_ns = heads.prefill_base_ns(&work, floor_ns(prefill), &device);
            same(compiled_prefill.time_ns(&work), base_ns, prefill, &heads.prefill_point(&work, &device));
            let keys = m * 333.0;
            let base_ns = heads.decode_base_ns(m, keys, floor_ns(decode), &device);
            same(compiled_decode.time_ns(m, keys), base_ns, decode, &heads.decode_point(m, keys));
            let touched = (8.0 * m).min(120.0);
            let load = ExpertsLoad { tokens: m, rows: 8.0 * m, touched, busiest_rows: 0.2 * m };
            let base_ns = layer.base_ns(&load, floor_ns(experts), &device);
            same(compiled_experts.time_ns(&load), base_ns, experts, &layer.point(&load, floor_ns(experts), &device));
        }
    }
}
