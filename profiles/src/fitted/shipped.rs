//! The fitted profiles that come with the project.

use std::sync::LazyLock;

use super::profile::FittedProfile;
use crate::device::DeviceSpec;

/// Their files.
const FILES: &[(&str, &str)] = &[];

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
