//! Models, devices, and how one is put on the other.

mod configs;
mod devices;
mod memory;
mod models;
mod spread;
mod topologies;

use std::path::PathBuf;

/// The folder of measured data, where a checkout has one.
fn shared_data() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let named = std::env::var_os("SERVESIM_SHARED_DATA").map(PathBuf::from);
    named.into_iter().chain([beside]).find(|path| path.is_dir())
}
