//! Servers that are in use.
//!
//! Bandwidths are those of datasheets, in bytes/s and one direction. Latencies are estimates
//! of what the hardware takes, rounded to the microsecond; what software adds to a transfer is not among them.

use super::Link;
use super::interconnect::usable;
use crate::device::DeviceSpec;
use crate::error::ProfileError;

/// Seconds per NVLink hop; two of them, GPU to switch to GPU, make 2 µs.
const NVLINK_LATENCY_S: f64 = 1e-6;

/// Seconds per PCIe hop.
const PCIE_LATENCY_S: f64 = 1e-6;

/// Bytes/s of a PCIe 4.0 x16 slot, one direction.
const PCIE4_X16: f64 = 32e9;

/// Bytes/s of a PCIe 5.0 x16 slot, one direction.
const PCIE5_X16: f64 = 64e9;

/// How the GPUs of a server reach each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GpuFabric {
    /// Over NVLink and a switch that does not block.
    NvSwitch(Link),
    /// Over PCIe.
    Pcie,
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerSpec {
    /// GPUs.
    pub gpus: u32,
    /// How they reach each other.
    pub fabric: GpuFabric,
    /// From a GPU, or to an adapter.
    pub pcie: Link,
    /// Network adapters, each on a PCIe switch with its even share of the GPUs; at most as many as GPUs.
    pub nics: u32,
}

impl ServerSpec {
    /// DGX A100: eight GPUs on NVLink 3 (300 GB/s one way), PCIe 4.0, eight adapters (DGX A100 datasheet, 2020).
    pub fn dgx_a100() -> Self {
        Self::nvswitch(300e9, PCIE4_X16)
    }

    /// DGX H100: eight GPUs on NVLink 4 (450 GB/s one way), PCIe 5.0, eight adapters (DGX H100 datasheet, 2022).
    pub fn dgx_h100() -> Self {
        Self::nvswitch(450e9, PCIE5_X16)
    }

    /// DGX H200: as DGX H100 (DGX H200 datasheet, 2024).
    pub fn dgx_h200() -> Self {
        Self::dgx_h100()
    }

    /// DGX B200: eight GPUs on NVLink 5 (900 GB/s one way), PCIe 5.0, eight adapters (DGX B200 datasheet, 2024).
    pub fn dgx_b200() -> Self {
        Self::nvswitch(900e9, PCIE5_X16)
    }

    /// `gpus` GPUs in PCIe slots of `pcie_bandwidth` bytes/s, with one adapter for all.
    pub fn pcie_box(gpus: u32, pcie_bandwidth: f64) -> Self {
        let pcie = Link { bandwidth: pcie_bandwidth, latency_s: PCIE_LATENCY_S };
        Self { gpus, fabric: GpuFabric::Pcie, pcie, nics: 1 }
    }

    /// The usual server of a device: eight GPUs on its NVLink and as many adapters, or eight in PCIe slots that share one.
    pub fn for_device(device: &DeviceSpec) -> Self {
        const GPUS: u32 = 8;
        if device.peer_link.starts_with("PCIe") {
            return Self::pcie_box(GPUS, device.peer_bandwidth);
        }
        let pcie = if device.peer_link == "NVLink 3" { PCIE4_X16 } else { PCIE5_X16 };
        Self::nvswitch(device.peer_bandwidth, pcie)
    }

    fn nvswitch(nvlink_bandwidth: f64, pcie_bandwidth: f64) -> Self {
        Self {
            gpus: 8,
            fabric: GpuFabric::NvSwitch(Link { bandwidth: nvlink_bandwidth, latency_s: NVLINK_LATENCY_S }),
            pcie: Link { bandwidth: pcie_bandwidth, latency_s: PCIE_LATENCY_S },
            nics: 8,
        }
    }

    /// Whether it can be one of several on a network, or the only one.
    pub(super) fn check(&self, several: bool) -> Result<(), ProfileError> {
        let wrong = |problem: &str| Err(ProfileError::Topology(problem.to_string()));
        if self.gpus == 0 {
            return wrong("a cluster needs at least one server with at least one GPU");
        }
        if self.nics > self.gpus {
            return wrong("a server with more network adapters than GPUs is not modelled; use nics of at most gpus");
        }
        if several && self.nics == 0 {
            return wrong("servers without network adapters cannot form a cluster; use nics of 1 or more");
        }
        let fabric = match self.fabric {
            GpuFabric::NvSwitch(link) => link,
            GpuFabric::Pcie => self.pcie,
        };
        usable(self.pcie)?;
        usable(fabric)
    }
}
