//! What a checkpoint's `quantization_config` says about its weights.

use serde_json::Value;

use super::reader::Config;
use crate::error::ProfileError;
use crate::model::{QuantizedParts, WeightsHint};
use crate::parallel::DType;

/// Reads `quantization_config`; `None` if there is none.
pub(super) fn read(config: &Config<'_>) -> Result<Option<WeightsHint>, ProfileError> {
    let Some(quantization) = config.get("quantization_config") else { return Ok(None) };
    let Some(method) = quantization.get("quant_method").and_then(Value::as_str) else {
        return Err(config.wrong("quantization_config.quant_method", "is missing; expected fp8, awq, gptq, mxfp4, …"));
    };
    let (dtype, parts) = match method {
        "fp8" | "fbgemm_fp8" => (Some(DType::Fp8), QuantizedParts::AllLinear),
        "mxfp4" => (Some(DType::Int4), QuantizedParts::ExpertsOnly),
        "awq" | "gptq" => (integer(quantization.get("bits")), QuantizedParts::AllLinear),
        "bitsandbytes" => (bitsandbytes(quantization), QuantizedParts::AllLinear),
        "compressed-tensors" => (compressed_tensors(quantization), QuantizedParts::AllLinear),
        _ => (None, QuantizedParts::AllLinear),
    };
    match dtype {
        Some(dtype) => Ok(Some(WeightsHint { dtype, parts, method: method.to_string() })),
        None => Err(config.wrong(
            "quantization_config",
            &format!(
                "{quantization} is not understood; expected 4- or 8-bit weights by fp8, awq, gptq, mxfp4, \
                      bitsandbytes or compressed-tensors"
            ),
        )),
    }
}

fn integer(bits: Option<&Value>) -> Option<DType> {
    match bits.and_then(Value::as_u64) {
        Some(4) => Some(DType::Int4),
        Some(8) => Some(DType::Int8),
        _ => None,
    }
}

fn bitsandbytes(quantization: &Value) -> Option<DType> {
    let set = |key: &str| quantization.get(key).and_then(Value::as_bool).unwrap_or(false);
    match (set("load_in_4bit"), set("load_in_8bit")) {
        (true, false) => Some(DType::Int4),
        (false, true) => Some(DType::Int8),
        _ => None,
    }
}

/// The weights of the only group, or of several that agree.
fn compressed_tensors(quantization: &Value) -> Option<DType> {
    let groups = quantization.get("config_groups")?.as_object()?;
    let mut formats = groups.values().map(|group| {
        let weights = group.get("weights")?;
        match weights.get("type")?.as_str()? {
            "float" => (weights.get("num_bits")?.as_u64()? == 8).then_some(DType::Fp8),
            "int" => integer(weights.get("num_bits")),
            _ => None,
        }
    });
    let first = formats.next()??;
    formats.all(|format| format == Some(first)).then_some(first)
}
