//! Where tests find measured data.

use std::path::PathBuf;

/// The folder of measured data beside the repository, or where `SERVESIM_SHARED_DATA` says, if a checkout has one.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let named = std::env::var_os("SERVESIM_SHARED_DATA").map(PathBuf::from);
    named.into_iter().chain([beside]).find(|path| path.is_dir())
}
