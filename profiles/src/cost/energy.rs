//! Energy above idle: what a busy GPU draws, per FLOP, per byte of memory and per byte of link.

use super::Operator;
use super::efficiency::power_shares;
use super::load::{Load, NS_PER_S};
use super::parts::Hidden;
use crate::device::DeviceSpec;
use crate::fitted::{EnergyFit, KernelEnergy};

/// Joules that the GPUs sharing a layer draw above idle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Energy {
    gemm: Rates,
    prefill_attention: Rates,
    decode_attention: Rates,
    experts: Rates,
    j_per_link_byte: f64,
    /// At the board limit, per nanosecond.
    limit_j_per_ns: f64,
}

/// Joules above idle of one kind of kernel.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// While kernels run, per nanosecond.
    busy_j_per_ns: f64,
    /// Per nanosecond that the FLOPs would take at peak.
    flops_j_per_ns: f64,
    j_per_memory_byte: f64,
}

impl Energy {
    /// For `gpus` GPUs that work alike. Loads are those of one of them. A device without coefficients of its own draws the
    /// same shares of its range between idle and limit as the devices that the shipped ones were fitted on.
    pub(super) fn new(device: &DeviceSpec, fitted: Option<&EnergyFit>, gpus: f64) -> Self {
        let limit_j_per_ns = (device.power_limit_w - device.idle_power_w).max(0.0) * gpus / NS_PER_S;
        let rates = |kind: KernelEnergy| Rates {
            busy_j_per_ns: kind.busy * limit_j_per_ns,
            flops_j_per_ns: kind.flops * limit_j_per_ns,
            j_per_memory_byte: kind.memory * limit_j_per_ns * NS_PER_S / device.memory_bandwidth,
        };
        let shares = power_shares();
        let any = KernelEnergy { busy: shares.busy, flops: shares.flops_at_peak, memory: shares.memory_at_peak };
        let of = |kind: fn(&EnergyFit) -> KernelEnergy| rates(fitted.map_or(any, kind));
        Self {
            gemm: of(|fit| fit.gemm),
            prefill_attention: of(|fit| fit.prefill_attention),
            decode_attention: of(|fit| fit.decode_attention),
            experts: of(|fit| fit.experts),
            j_per_link_byte: shares.link_j_per_byte * gpus,
            limit_j_per_ns,
        }
    }

    /// Joules per byte that every GPU sends over links, all GPUs together.
    pub(super) fn j_per_link_byte(&self) -> f64 {
        self.j_per_link_byte
    }

    /// Joules for a load of products, small kernels and links, before the cap.
    #[inline]
    pub(super) fn of(&self, load: &Load) -> f64 {
        self.gemm.of(load) + load.link_bytes * self.j_per_link_byte
    }

    /// Joules for a load of one operator that takes time, within the board limit.
    #[inline]
    pub(super) fn of_operator(&self, operator: Operator, load: &Load) -> f64 {
        let rates = match operator {
            Operator::PrefillAttention => &self.prefill_attention,
            Operator::DecodeAttention => &self.decode_attention,
            Operator::Experts => &self.experts,
            _ => &self.gemm,
        };
        self.capped(rates.of(load), load.time_ns)
    }

    /// What hidden time would draw by itself: kernels beside each other keep a GPU busy once.
    #[inline]
    pub(super) fn busy_j(&self, hidden: Hidden) -> f64 {
        hidden.compute_ns * self.gemm.busy_j_per_ns + hidden.memory_ns * self.decode_attention.busy_j_per_ns
    }

    /// Caps joules so that over `duration_ns` idle and dynamic power together stay within the board limit.
    #[inline]
    pub(super) fn capped(&self, joules: f64, duration_ns: f64) -> f64 {
        joules.min(duration_ns * self.limit_j_per_ns)
    }
}

impl Rates {
    #[inline]
    fn of(&self, load: &Load) -> f64 {
        load.time_ns * self.busy_j_per_ns
            + load.at_peak_ns * self.flops_j_per_ns
            + load.memory_bytes * self.j_per_memory_byte
    }
}
