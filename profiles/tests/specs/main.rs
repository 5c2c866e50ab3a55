//! Models, devices, and how one is put on the other.

mod configs;
mod devices;
mod memory;
mod models;
mod spread;
#[path = "../support/shared_data.rs"]
mod support;
mod topologies;

use support::shared_data;
