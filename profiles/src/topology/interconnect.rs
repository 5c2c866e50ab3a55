//! Networks between servers.

use super::Link;
use crate::error::ProfileError;

const GBIT: f64 = 1e9 / 8.0;

/// Share of an adapter's line rate that transfers from GPU to GPU reach: 45.7 of 50 GB/s on 400 Gbit/s `RoCE` between H100
/// and H20 servers (Lamina, arXiv 2405.01814, figure 13, its own stack; NCCL reaches 35.5 there). Taken for `InfiniBand` and
/// other speeds too, for which no better figure is at hand.
pub const RDMA_EFFICIENCY: f64 = 0.914;

/// Share of an adapter's line rate that NCCL's messages from one GPU to another reach: 35.5 of 50 GB/s (Lamina, arXiv
/// 2405.01814, figure 13, and Vidur's published table of an H100 DGX, `send_recv` of 30 MB and more).
pub const NCCL_POINT_TO_POINT_EFFICIENCY: f64 = 0.71;

/// A network between servers, whose switches do not block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interconnect {
    /// Line rate of an adapter in bytes/s, one direction.
    pub nic_bandwidth: f64,
    /// Share of it that messages reach (above 0, at most 1).
    pub efficiency: f64,
    /// Seconds from an adapter to the switch, half of the way to another adapter.
    pub latency_s: f64,
}

impl Interconnect {
    /// Ethernet of `gbit_per_s` Gbit/s per adapter, such as 25, 100 or 400, with RDMA (`RoCE`): about 5 µs one way (an
    /// estimate), [`RDMA_EFFICIENCY`] of the line rate.
    pub fn ethernet(gbit_per_s: f64) -> Self {
        Self { nic_bandwidth: gbit_per_s * GBIT, efficiency: RDMA_EFFICIENCY, latency_s: 2.5e-6 }
    }

    /// InfiniBand of `gbit_per_s` Gbit/s per adapter, such as 200 (HDR) or 400 (NDR): about 2 µs one way (an estimate),
    /// [`RDMA_EFFICIENCY`] of the line rate.
    pub fn infiniband(gbit_per_s: f64) -> Self {
        Self { nic_bandwidth: gbit_per_s * GBIT, efficiency: RDMA_EFFICIENCY, latency_s: 1e-6 }
    }

    /// The network that a text names, in any case: a speed and `Ethernet`, `RoCE` or `InfiniBand`, as in
    /// `100 Gbit/s Ethernet`; or a generation of InfiniBand (EDR, HDR, NDR or XDR at four lanes: 100, 200, 400 or 800
    /// Gbit/s per adapter; InfiniBand Trade Association, *InfiniBand roadmap*), as in `NDR InfiniBand`.
    ///
    /// # Errors
    ///
    /// If it is none of these, with what would be.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let lower = name.trim().to_lowercase();
        let found = lower.rsplit_once(char::is_whitespace).and_then(|(speed, kind)| {
            let gbit_per_s = match (speed.trim(), kind) {
                ("edr", "infiniband") => 100.0,
                ("hdr", "infiniband") => 200.0,
                ("ndr", "infiniband") => 400.0,
                ("xdr", "infiniband") => 800.0,
                (speed, _) => speed.strip_suffix("gbit/s")?.trim().parse::<f64>().ok()?,
            };
            match kind {
                "ethernet" | "roce" => Some(Self::ethernet(gbit_per_s)),
                "infiniband" => Some(Self::infiniband(gbit_per_s)),
                _ => None,
            }
        });
        let Some(network) = found else {
            return Err(ProfileError::Topology(format!(
                "`{name}` is not a network; expected a speed and a kind, such as `100 Gbit/s Ethernet`, `400 Gbit/s \
                 InfiniBand` or `NDR InfiniBand`"
            )));
        };
        network.check()?;
        Ok(network)
    }

    /// What an adapter's link carries.
    pub(super) fn link(self) -> Link {
        Link { bandwidth: self.nic_bandwidth * self.efficiency, latency_s: self.latency_s }
    }

    pub(super) fn check(self) -> Result<(), ProfileError> {
        if !(self.efficiency > 0.0 && self.efficiency <= 1.0) {
            let efficiency = self.efficiency;
            return Err(ProfileError::Topology(format!(
                "a network reaches a share of its line rate above 0 and of at most 1, not {efficiency}"
            )));
        }
        usable(self.link())
    }
}

/// Whether a link can carry something.
pub(super) fn usable(link: Link) -> Result<(), ProfileError> {
    let positive = link.bandwidth > 0.0 && link.bandwidth.is_finite();
    let waits = link.latency_s >= 0.0 && link.latency_s.is_finite();
    if positive && waits {
        return Ok(());
    }
    Err(ProfileError::Topology("a link needs a bandwidth above 0 bytes/s and a latency of 0 s or more".to_string()))
}
