//! Small kernels: a floor and a term per row, or what was measured.

use super::laws::ElementwiseLaw;
use super::load::{Basis, Load, NS_PER_S, NS_PER_US};
use crate::device::DeviceSpec;
use crate::kernels::SmallKernel;

/// Small kernels that steps are priced from, by the names of kernel tables: `rms_norm` adds the residual, `plain_rms_norm`
/// does not; `rotary_kv_append` does what `rotary` and `kv_append` do in one launch, over the row of queries, keys and values.
pub(crate) const OPERATIONS: [&str; 12] = [
    "embedding",
    "rms_norm",
    "plain_rms_norm",
    "qk_norm",
    "rotary",
    "kv_append",
    "rotary_kv_append",
    "silu_mul",
    "activation",
    "gated_norm",
    "router_top_k",
    "sample",
];

/// A small kernel: norm, rotary embedding, activation, copy.
#[derive(Clone, Debug)]
pub(super) struct Elementwise {
    floor_ns: f64,
    bytes_per_row: f64,
    /// Of which reads or writes of caches.
    necessary_bytes_per_row: f64,
    ns_per_row: f64,
    measured: Option<SmallKernel>,
}

impl Elementwise {
    /// A kernel that moves so many bytes per row. One without a launch of its own (`launches: false`) has no floor.
    pub(super) fn new(launches: bool, bytes_per_row: f64, law: &ElementwiseLaw, device: &DeviceSpec) -> Self {
        Self {
            floor_ns: if launches { law.kernel_us * NS_PER_US } else { 0.0 },
            bytes_per_row,
            necessary_bytes_per_row: 0.0,
            ns_per_row: bytes_per_row * NS_PER_S / (device.memory_bandwidth * law.memory),
            measured: None,
        }
    }

    /// The same, `bytes` per row of which go to or come from a cache; those that several GPUs hold, divided among them.
    pub(super) fn with_cache_bytes_per_row(self, bytes: f64) -> Self {
        Self { necessary_bytes_per_row: bytes, ..self }
    }

    /// The same, with what was measured of it.
    pub(super) fn measured(self, measured: Option<SmallKernel>) -> Self {
        Self { measured, ..self }
    }

    pub(super) fn load(&self, rows: u32) -> (Load, Basis) {
        let curve_ns = |rows: f64| self.floor_ns + rows * self.ns_per_row;
        let (time_ns, basis) = match &self.measured {
            None => (curve_ns(f64::from(rows)), Basis::Curve),
            Some(measured) => {
                let (time_ns, inside) = measured.ns(rows, curve_ns);
                (time_ns, Basis::of_measured(inside))
            }
        };
        let rows = f64::from(rows);
        let load = Load {
            time_ns,
            memory_bytes: rows * self.bytes_per_row,
            necessary_bytes: rows * self.necessary_bytes_per_row,
            ..Load::default()
        };
        (load, basis)
    }
}
