//! Fitted profiles: what kernels take on a device, distilled from its kernel tables into two hundred to
//! two and a half thousand numbers.
//!
//! The time of a kernel is `base · exp(surface)`: the base is physics (a floor, a roofline, tiles), the surface a sum of
//! piecewise linear functions of a few [`Feature`]s, fitted to the tables. `calibration` fits them; here they are read,
//! checked and compiled.

mod decode;
mod experts;
mod fast;
mod feature;
mod file;
mod gemm;
mod prefill;
mod profile;
mod shipped;
mod surface;

pub use experts::{ExpertsLoad, ExpertsShape};
pub use feature::{Feature, Point};
pub use gemm::GemmShape;
pub use prefill::{Heads, PromptWork};
pub use profile::{
    AllReduceFit, AllToAllFit, ElementwiseFit, EnergyFit, FitError, FittedKernel, FittedProfile, KernelEnergy,
    KernelFormat,
};
pub use surface::{Axis, MOST_AXES, Surface, Term};

pub(crate) use decode::CompiledDecode;
pub(crate) use experts::CompiledExperts;
pub(crate) use gemm::CompiledGemm;
pub(crate) use prefill::CompiledPrefill;
