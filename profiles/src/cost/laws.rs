//! How long small kernels and collectives take: by a device's fitted profile, or by the curves of its architecture.

use super::Evidence;
use super::efficiency::Curves;
use crate::device::DeviceSpec;
use crate::fitted::FittedProfile;

/// Small kernels: `kernel_us + bytes ÷ (memory · bandwidth)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ElementwiseLaw {
    pub(super) kernel_us: f64,
    pub(super) memory: f64,
    pub(super) evidence: Evidence,
}

/// `latency + us_per_doubling · log₂(ranks ÷ 2) + second_phase · min(1, bytes ÷ second_phase_bytes) + 2·(ranks − 1)/ranks ·
/// bytes ÷ (efficiency · bandwidth)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllReduceLaw {
    /// Between two GPUs; `None`: the link's.
    pub(super) latency_us: Option<f64>,
    pub(super) us_per_doubling: f64,
    /// For 2, 4 and 8 ranks; the last holds beyond.
    pub(super) efficiency: [f64; 3],
    /// As `efficiency`.
    pub(super) second_phase_us: [f64; 3],
    pub(super) second_phase_bytes: f64,
    pub(super) evidence: Evidence,
}

/// `floor + bytes sent ÷ (efficiency · bandwidth)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllToAllLaw {
    pub(super) floor_us: f64,
    pub(super) efficiency: f64,
    pub(super) evidence: Evidence,
}

/// The laws of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct SmallLaws {
    pub(super) elementwise: ElementwiseLaw,
    pub(super) all_reduce: AllReduceLaw,
    pub(super) all_to_all: AllToAllLaw,
}

impl SmallLaws {
    /// What the profile has, and the architecture's curves for the rest. `own_link`: collectives use the device's own
    /// link; what a profile says of latency holds for that one alone.
    pub(super) fn new(curves: &Curves, fitted: Option<&FittedProfile>, device: &DeviceSpec, own_link: bool) -> Self {
        let elementwise = &curves.elementwise;
        let (reduce, exchange) = (&curves.all_reduce, &curves.all_to_all);
        let by_curves = Self {
            elementwise: ElementwiseLaw {
                kernel_us: elementwise.kernel_us,
                memory: elementwise.memory,
                evidence: elementwise.fitted.evidence(device, true),
            },
            all_reduce: AllReduceLaw {
                latency_us: None,
                us_per_doubling: reduce.us_per_doubling,
                efficiency: reduce.efficiency,
                second_phase_us: [0.0; 3],
                second_phase_bytes: 0.0,
                evidence: reduce.fitted.evidence(device, own_link),
            },
            all_to_all: AllToAllLaw {
                floor_us: exchange.floor_us,
                efficiency: exchange.efficiency,
                evidence: exchange.fitted.evidence(device, own_link),
            },
        };
        let Some(profile) = fitted else { return by_curves };
        let link_evidence = if own_link { Evidence::Fitted } else { Evidence::Extrapolated };
        Self {
            elementwise: profile.elementwise.as_ref().map_or(by_curves.elementwise, |fit| ElementwiseLaw {
                kernel_us: fit.kernel_us,
                memory: fit.memory,
                evidence: Evidence::Fitted,
            }),
            all_reduce: profile.all_reduce.as_ref().map_or(by_curves.all_reduce, |fit| AllReduceLaw {
                latency_us: own_link.then_some(fit.latency_us),
                us_per_doubling: fit.us_per_doubling,
                efficiency: fit.efficiency,
                second_phase_us: if own_link { fit.second_phase_us } else { [0.0; 3] },
                second_phase_bytes: fit.second_phase_bytes,
                evidence: link_evidence,
            }),
            all_to_all: profile.all_to_all.as_ref().map_or(by_curves.all_to_all, |fit| AllToAllLaw {
                floor_us: fit.floor_us,
                efficiency: fit.efficiency,
                evidence: link_evidence,
            }),
        }
    }
}
