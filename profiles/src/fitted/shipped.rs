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
}
