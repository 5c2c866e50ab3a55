//! Number formats, and which of them go together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::device::DeviceSpec;
use crate::error::ProfileError;

/// A number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DType {
    /// 16-bit floating point, `bf16` or `fp16`.
    Bf16,
    /// 8-bit floating point.
    Fp8,
    /// 8-bit integer.
    Int8,
    /// 4-bit integer with group scales; weights only.
    Int4,
}

impl DType {
    /// Bytes per element as it lies in memory, scales included.
    ///
    /// `Int4` counts 4.25 bits: 4, and a 16-bit scale and a 16-bit zero point per group of 128. MXFP4, whose blocks of
    /// 32 share an 8-bit scale (OCP Microscaling Formats 1.0, section 5), comes to the same 4.25 bits. GPTQ and AWQ files
    /// that pack their zero points into 4 bits are 2 % smaller. Scales of `Fp8` and `Int8` (one per tensor, channel or
    /// 128 × 128 block) are below 0.1 % and not counted.
    pub fn bytes_per_element(self) -> f64 {
        match self {
            Self::Bf16 => 2.0,
            Self::Fp8 | Self::Int8 => 1.0,
            Self::Int4 => 4.25 / 8.0,
        }
    }

    /// Bytes of `elements` elements, rounded up.
    pub fn bytes(self, elements: u64) -> u64 {
        match self {
            Self::Bf16 => elements * 2,
            Self::Fp8 | Self::Int8 => elements,
            Self::Int4 => (elements * 17).div_ceil(32),
        }
    }
}

impl FromStr for DType {
    type Err = ProfileError;

    /// Reads vLLM's and PyTorch's names, in any case: `bf16`, `bfloat16`, `fp16`, `float16`, `half`, `fp8`,
    /// `fp8_e4m3`, `fp8_e5m2`, `int8`, `int4`.
    fn from_str(name: &str) -> Result<Self, ProfileError> {
        match name.to_ascii_lowercase().as_str() {
            "bf16" | "bfloat16" | "fp16" | "float16" | "half" => Ok(Self::Bf16),
            "fp8" | "fp8_e4m3" | "fp8_e5m2" | "float8_e4m3fn" | "float8_e5m2" => Ok(Self::Fp8),
            "int8" => Ok(Self::Int8),
            "int4" => Ok(Self::Int4),
            _ => Err(ProfileError::UnknownDType { name: name.to_string() }),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        })
    }
}

/// Number formats of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// Weights of the linear layers as they lie in memory. Embeddings, head, routers, norms and biases are always
    /// 16 bits wide.
    pub weights: DType,
    /// Activations as they enter the tensor cores: decides which peak applies.
    pub activations: DType,
    /// KV cache. Recurrent states of state-space mixers are always 16 bits wide.
    pub kv_cache: DType,
}

impl Default for Precision {
    /// 16 bits throughout.
    fn default() -> Self {
        Self { weights: DType::Bf16, activations: DType::Bf16, kv_cache: DType::Bf16 }
    }
}

impl Precision {
    /// Checks that kernels for this combination can exist, and that `device` has the tensor cores for it.
    ///
    /// Weights may be narrower than activations (they are widened on the fly), never wider. 8-bit activations of one
    /// kind need 8-bit weights of the same kind, or 4-bit ones. 4-bit activations and KV caches are not modelled.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Precision`], which says what would be right.
    pub fn validate(&self, device: &DeviceSpec) -> Result<(), ProfileError> {
        let Self { weights, activations, kv_cache } = *self;
        let wrong = |message: String| Err(ProfileError::Precision(message));
        if activations == DType::Int4 {
            return wrong("activations = int4: 4 bits are for weights only; use bf16, fp8 or int8".into());
        }
        if kv_cache == DType::Int4 {
            return wrong("kv_cache = int4: 4 bits are for weights only; use bf16, fp8 or int8".into());
        }
        if activations != DType::Bf16 && weights != activations && weights != DType::Int4 {
            return wrong(format!(
                "activations = {activations} with weights = {weights}: {activations} tensor cores multiply \
                 {activations} by {activations}; use weights = {activations} or int4, or activations = bf16"
            ));
        }
        if activations == DType::Fp8 && device.fp8_flops.is_none() {
            return wrong(format!(
                "activations = fp8: {} has no fp8 tensor cores; use bf16 (weights may stay fp8)",
                device.name
            ));
        }
        if activations == DType::Int8 && device.int8_ops.is_none() {
            return wrong(format!(
                "activations = int8: {} has no int8 tensor cores; use bf16 (weights may stay int8)",
                device.name
            ));
        }
        Ok(())
    }
}
