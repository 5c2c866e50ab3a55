//! Energy above idle: what a busy GPU draws, per FLOP, per byte of memory and per byte of link.

use super::efficiency::power_shares;
use super::load::{Load, NS_PER_S};
use crate::device::DeviceSpec;

/// Joules that the GPUs sharing a layer draw above idle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Energy {
    /// While kernels run, per nanosecond.
    busy_j_per_ns: f64,
    /// Per nanosecond that the FLOPs would take at peak.
    flops_j_per_ns: f64,
    j_per_memory_byte: f64,
    j_per_link_byte: f64,
    /// At the board limit, per nanosecond.
    limit_j_per_ns: f64,
}

impl Energy {
    /// For `gpus` GPUs that work alike. Loads are those of one of them.
    pub(super) fn new(device: &DeviceSpec, gpus: f64) -> Self {
        let shares = power_shares();
        let limit_j_per_ns = (device.power_limit_w - device.idle_power_w).max(0.0) * gpus / NS_PER_S;
        Self {
            busy_j_per_ns: shares.busy * limit_j_per_ns,
            flops_j_per_ns: shares.flops_at_peak * limit_j_per_ns,
            j_per_memory_byte: shares.memory_at_peak * limit_j_per_ns * NS_PER_S / device.memory_bandwidth,
            j_per_link_byte: shares.link_j_per_byte * gpus,
            limit_j_per_ns,
        }
    }

    /// Joules for a load, before the cap.
    #[inline]
    pub(super) fn of(&self, load: &Load) -> f64 {
        load.time_ns * self.busy_j_per_ns
            + load.at_peak_ns * self.flops_j_per_ns
            + load.memory_bytes * self.j_per_memory_byte
            + load.link_bytes * self.j_per_link_byte
    }

    /// Caps joules so that over `duration_ns` idle and dynamic power together stay within the board limit.
    #[inline]
    pub(super) fn capped(&self, joules: f64, duration_ns: f64) -> f64 {
        joules.min(duration_ns * self.limit_j_per_ns)
    }
}
