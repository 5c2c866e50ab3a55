//! The devices that come with the project.

use super::DeviceSpec;
use crate::error::{ProfileError, unknown_name};

/// Their files.
const FILES: &[(&str, &str)] = &[
    ("a100-sxm-40gb.toml", include_str!("../../data/devices/a100-sxm-40gb.toml")),
    ("a100-sxm-80gb.toml", include_str!("../../data/devices/a100-sxm-80gb.toml")),
    ("h100-sxm-80gb.toml", include_str!("../../data/devices/h100-sxm-80gb.toml")),
    ("h100-pcie-80gb.toml", include_str!("../../data/devices/h100-pcie-80gb.toml")),
    ("h200-sxm-141gb.toml", include_str!("../../data/devices/h200-sxm-141gb.toml")),
    ("b200-sxm-180gb.toml", include_str!("../../data/devices/b200-sxm-180gb.toml")),
    ("h20-sxm-96gb.toml", include_str!("../../data/devices/h20-sxm-96gb.toml")),
    ("l4-24gb.toml", include_str!("../../data/devices/l4-24gb.toml")),
    ("l40s-48gb.toml", include_str!("../../data/devices/l40s-48gb.toml")),
    ("a40-48gb.toml", include_str!("../../data/devices/a40-48gb.toml")),
    ("a10g-24gb.toml", include_str!("../../data/devices/a10g-24gb.toml")),
    ("rtx-4090-24gb.toml", include_str!("../../data/devices/rtx-4090-24gb.toml")),
    ("rtx-pro-6000-workstation-96gb.toml", include_str!("../../data/devices/rtx-pro-6000-workstation-96gb.toml")),
    ("rtx-pro-6000-server-96gb.toml", include_str!("../../data/devices/rtx-pro-6000-server-96gb.toml")),
];

impl DeviceSpec {
    /// The shipped device of this name or alias, in any case.
    ///
    /// # Errors
    ///
    /// [`ProfileError::UnknownName`] with the nearest name.
    pub fn shipped(name: &str) -> Result<Self, ProfileError> {
        let mut all = Self::all_shipped();
        if let Some(index) = all.iter().position(|device| device.is_called(name)) {
            return Ok(all.swap_remove(index));
        }
        let known: Vec<&str> = all.iter().map(|device| device.name.as_str()).collect();
        Err(unknown_name("device", name, all.iter().flat_map(DeviceSpec::names), &known))
    }

    /// Names of the shipped devices, oldest generation first.
    pub fn shipped_names() -> Vec<String> {
        Self::all_shipped().into_iter().map(|device| device.name).collect()
    }

    fn all_shipped() -> Vec<Self> {
        let parse = |&(file, text): &(&str, &str)| Self::from_toml(text, file).expect("shipped device files are valid");
        FILES.iter().map(parse).collect()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}
