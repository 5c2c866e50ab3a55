//! How close kernels come to a device's peaks: curves fitted per architecture, shipped in `data/efficiency.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Evidence;
use crate::device::DeviceSpec;
use crate::error::ProfileError;

/// The shipped curves.
static SHIPPED: LazyLock<Shipped> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/efficiency.toml")).expect("data/efficiency.toml is valid")
});

/// A family of GPUs whose kernels behave alike relative to their peaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A100, A40, A10G.
    Ampere,
    /// L4, L40S, RTX 4090.
    Ada,
    /// H100, H200, H20.
    Hopper,
    /// B200, RTX PRO 6000.
    Blackwell,
}

impl Architecture {
    /// The architecture of a device: what its file says, or else what its name or one of its aliases tells.
    ///
    /// # Errors
    ///
    /// [`ProfileError::UnknownArchitecture`] if the file does not say and no name is recognised.
    pub fn of(device: &DeviceSpec) -> Result<Self, ProfileError> {
        device.architecture.or_else(|| Self::told_by_name(device)).ok_or_else(|| ProfileError::UnknownArchitecture {
            device: device.name.clone(),
            known: SHIPPED.class.iter().flat_map(|class| &class.names).cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// The architecture that a device's name or one of its aliases tells, if any does.
    pub(crate) fn told_by_name(device: &DeviceSpec) -> Option<Self> {
        let named = |class: &&Curves| {
            std::iter::once(&device.name)
                .chain(&device.aliases)
                .any(|name| class.names.iter().any(|part| name.to_ascii_uppercase().contains(part.as_str())))
        };
        SHIPPED.class.iter().find(named).map(|class| class.architecture)
    }

    /// Its curves.
    pub(super) fn curves(self) -> &'static Curves {
        let class = SHIPPED.class.iter().find(|class| class.architecture == self);
        class.expect("every architecture has curves in data/efficiency.toml")
    }
}

/// How board power divides, the same for every device.
pub(super) fn power_shares() -> &'static PowerShares {
    &SHIPPED.power
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    power: PowerShares,
    class: Vec<Curves>,
}

/// Dynamic power as shares of the range between idle and the board limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PowerShares {
    /// Drawn whenever kernels run.
    pub(super) busy: f64,
    /// Added at the peak FLOP rate of the number format in use.
    pub(super) flops_at_peak: f64,
    /// Added at the peak memory bandwidth.
    pub(super) memory_at_peak: f64,
    /// Joules per byte sent over a link; not a share.
    pub(super) link_j_per_byte: f64,
    /// Where these come from.
    #[serde(rename = "source")]
    _source: String,
}

/// The curves of one architecture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Curves {
    architecture: Architecture,
    /// Parts of device names, upper case.
    names: Vec<String>,
    /// Where the curves come from.
    #[serde(rename = "source")]
    _source: String,
    pub(super) gemm: ByWidth<GemmCurve>,
    pub(super) prefill_attention: PrefillAttentionCurve,
    pub(super) decode_attention: ByWidth<DecodeAttentionCurve>,
    pub(super) latent_attention: LatentAttentionCurve,
    pub(super) experts: ByWidth<ExpertsCurve>,
    pub(super) elementwise: ElementwiseCurve,
    pub(super) all_reduce: AllReduceCurve,
    pub(super) all_to_all: AllToAllCurve,
}

/// A curve for 16-bit operands, and one for 8-bit ones where it was fitted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByWidth<C> {
    bf16: C,
    fp8: Option<C>,
}

impl<C> ByWidth<C> {
    /// The curve for 8-bit operands if `narrow`, or else for 16-bit ones; and whether it was fitted at that width.
    pub(super) fn at(&self, narrow: bool) -> (&C, bool) {
        match (narrow, &self.fp8) {
            (false, _) => (&self.bf16, true),
            (true, Some(curve)) => (curve, true),
            (true, None) => (&self.bf16, false),
        }
    }
}

/// Which devices a curve was fitted on.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct FittedOn(Vec<String>);

impl FittedOn {
    /// What a time from this curve stands on for `device`; `exact`: at the number formats it was fitted with.
    pub(super) fn evidence(&self, device: &DeviceSpec, exact: bool) -> Evidence {
        if exact && self.0.contains(&device.name) { Evidence::Fitted } else { Evidence::Extrapolated }
    }
}

/// `t = floor + ⁴√(memory⁴ + compute⁴)`: memory is bytes ÷ (`memory` · bandwidth); compute is the fastest of several
/// tilings, each waves · tile FLOPs with `prologue_k` added to k, ÷ (tile efficiency · peak per SM).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GemmCurve {
    pub(super) floor_us: f64,
    pub(super) memory: f64,
    pub(super) prologue_k: f64,
    /// 1: SMs without a tile in the last wave idle; 0: work spreads evenly.
    pub(super) wave: f64,
    /// Efficiency of tiles of 128 rows by 256, 128, 64 and 32 columns.
    pub(super) tiles_128: [f64; 4],
    /// Efficiency of tiles of 64 rows by 128, 64 and 32 columns, for up to 256 rows; and of 16 rows, for up to 64.
    pub(super) tiles_64: [f64; 3],
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// `t = floor + max(compute, memory) + tail · longest block`: compute is `4·heads·(area·(d + softmax_d) + tokens·(128 ·
/// row_keys + d · row_d_keys))` ÷ (`compute` · peak).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrefillAttentionCurve {
    pub(super) floor_us: f64,
    pub(super) compute: f64,
    pub(super) softmax_d: f64,
    pub(super) row_keys: f64,
    pub(super) row_d_keys: f64,
    pub(super) tail: f64,
    pub(super) memory: f64,
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// `t = floor + √(max(memory, compute)² + blocks²)`: blocks is requests · (KV heads · `kv_head_us` + heads ·
/// `query_head_us`) ÷ SMs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecodeAttentionCurve {
    pub(super) floor_us: f64,
    pub(super) memory: f64,
    pub(super) compute: f64,
    pub(super) kv_head_us: f64,
    pub(super) query_head_us: f64,
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// Where multi-head latent attention differs from the curves of attention: more kernels around it, and a decode kernel that
/// is bound by compute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatentAttentionCurve {
    pub(super) prefill_floor_us: f64,
    pub(super) decode_floor_us: f64,
    pub(super) decode_compute: f64,
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// `t = floor + √(memory² + compute²)`: memory is the touched experts' weights and `activation_passes` times the
/// activations; compute has half a tile of `tile_rows` more rows per touched expert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpertsCurve {
    pub(super) floor_us: f64,
    pub(super) memory: f64,
    pub(super) compute: f64,
    pub(super) tile_rows: f64,
    pub(super) activation_passes: f64,
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// `t = kernels · kernel_us + bytes ÷ (memory · bandwidth)`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ElementwiseCurve {
    pub(super) kernel_us: f64,
    pub(super) memory: f64,
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// `t = latency + us_per_doubling · log₂(ranks ÷ 2) + 2·(ranks − 1)/ranks · bytes ÷ (efficiency · bandwidth)`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllReduceCurve {
    pub(super) us_per_doubling: f64,
    /// For 2, 4 and 8 ranks; the last holds beyond.
    pub(super) efficiency: [f64; 3],
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

/// `t = floor + bytes sent ÷ (efficiency · bandwidth)`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllToAllCurve {
    pub(super) floor_us: f64,
    pub(super) efficiency: f64,
    pub(super) fitted: FittedOn,
    #[serde(rename = "error")]
    _error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_device_has_curves_and_every_fitted_name_is_a_shipped_device() {
        let shipped = DeviceSpec::shipped_names();
        for name in &shipped {
            let device = DeviceSpec::shipped(name).expect("a shipped name");
            assert!(Architecture::of(&device).is_ok(), "{name} has no architecture");
        }
        for class in &SHIPPED.class {
            for fitted in class.gemm.bf16.fitted.0.iter().chain(&class.experts.bf16.fitted.0) {
                assert!(shipped.contains(fitted), "`{fitted}` is no shipped device");
            }
        }
    }

    #[test]
    fn architectures_are_those_of_the_whitepapers() {
        for (name, architecture) in [
            ("A100-SXM-80GB", Architecture::Ampere),
            ("A10G-24GB", Architecture::Ampere),
            ("L40S-48GB", Architecture::Ada),
            ("RTX-4090-24GB", Architecture::Ada),
            ("H20-SXM-96GB", Architecture::Hopper),
            ("RTX-PRO-6000-Server-96GB", Architecture::Blackwell),
        ] {
            let device = DeviceSpec::shipped(name).expect("a shipped name");
            assert_eq!(Architecture::of(&device).ok(), Some(architecture), "{name}");
        }
    }
}
