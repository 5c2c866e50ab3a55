//! Whole forward passes against what simulations price them at.

use std::collections::BTreeMap;

use profiles::cost::{AnalyticCost, CostOptions};
use profiles::fitted::FittedProfile;
use profiles::table::{PassPhase, PassRow};
use profiles::{
    CostModel as _, DType, DecodeBatch, DeviceSpec, Mixer, ModelSpec, Parallelism, Precision, PrefillPiece, StepShape,
};

use super::{Checked, Compared, LeftOut, buckets, summary};

const US_PER_NS: f64 = 1e-3;

/// What passes have in common whose errors are told together: model, GPUs that share its layers, format of its weights.
type Setting<'a> = (&'a str, u32, DType);

/// Checks the passes of each model, way of spreading it and phase by themselves: priced as steps of vLLM v1 with the kernels of
/// `profile`, its time between steps included.
pub(super) fn check(profile: &FittedProfile, device: &DeviceSpec, rows: &[PassRow]) -> (Vec<Checked>, LeftOut) {
    let mut left_out = LeftOut::new();
    let mut priced: BTreeMap<Setting<'_>, Result<Pricing, String>> = BTreeMap::new();
    let mut passes: BTreeMap<(Setting<'_>, bool), Vec<Compared<'_, PassRow>>> = BTreeMap::new();
    for row in rows {
        let setting = (row.model.as_str(), row.tensor_parallel_size, row.weights);
        let pricing = priced.entry(setting).or_insert_with(|| Pricing::new(setting, profile, device));
        let predicted = pricing.as_mut().map_err(|reason| reason.clone()).and_then(|pricing| pricing.us(row));
        match predicted {
            Ok(predicted_us) => {
                let compared = Compared { row, bucket: buckets::of_pass(row), predicted_us };
                passes.entry((setting, row.phase == PassPhase::Token)).or_default().push(compared);
            }
            Err(reason) => *left_out.entry(reason).or_default() += 1,
        }
    }
    let checked = passes.into_iter().filter_map(|(((model, gpus, weights), is_token), rows)| {
        let phase = if is_token { "token" } else { "prompt" };
        let on = if gpus == 1 { "1 GPU".to_string() } else { format!("{gpus} GPUs") };
        summary(format!("{phase} passes of {model} in {weights} on {on}"), rows)
    });
    (checked.collect(), left_out)
}

/// A model on some GPUs, whose passes can be priced.
struct Pricing {
    cost: AnalyticCost,
    /// Sliding window in tokens of the layers that have one.
    window: u32,
}

impl Pricing {
    fn new((name, gpus, weights): Setting<'_>, profile: &FittedProfile, device: &DeviceSpec) -> Result<Self, String> {
        let model = ModelSpec::shipped(name).map_err(|_| format!("of `{name}`, which is no shipped model"))?;
        let activations = if weights == DType::Int4 { DType::Bf16 } else { weights };
        let options = CostOptions {
            parallelism: Parallelism::tensor(gpus),
            precision: Precision { weights, activations, ..Precision::default() },
            fitted: Some(profile),
            ..CostOptions::new(&model, device)
        };
        let cost = AnalyticCost::new(&options).map_err(|error| format!("that cannot be priced: {error}"))?;
        let window = model.layers.iter().find_map(|layer| match &layer.mixer {
            Mixer::Attention(attention) => attention.window,
            _ => None,
        });
        Ok(Self { cost, window: window.unwrap_or(u32::MAX) })
    }

    /// What a pass is predicted to take in microseconds.
    fn us(&mut self, row: &PassRow) -> Result<f64, String> {
        let piece = PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.context_tokens };
        let (prefill, decode) = match row.phase {
            PassPhase::Prompt => (vec![piece; row.requests as usize], DecodeBatch::default()),
            PassPhase::Token if row.new_tokens == 1 => {
                let keys = row.context_tokens.saturating_add(1);
                let all = |each: u32| u64::from(row.requests) * u64::from(each);
                let decode = DecodeBatch {
                    requests: row.requests,
                    context_tokens: all(keys),
                    windowed_context_tokens: all(keys.min(self.window)),
                    ..DecodeBatch::default()
                };
                (Vec::new(), decode)
            }
            PassPhase::Token => return Err("of the token phase with several tokens of each request".to_string()),
        };
        let shape = StepShape { prefill: &prefill, decode, sampled: row.requests, prefill_layers: None };
        Ok(self.cost.step(&shape, &mut [0]).duration_ns as f64 * US_PER_NS)
    }
}

#[cfg(test)]
mod tests {
    use profiles::table::Timing;

    use super::*;

    fn row(
        phase: PassPhase,
        model: &str,
        gpus: u32,
        (requests, new_tokens, context_tokens): (u32, u32, u32),
    ) -> PassRow {
        PassRow {
            phase,
            model: model.to_string(),
            tensor_parallel_size: gpus,
            requests,
            new_tokens,
            context_tokens,
            weights: DType::Bf16,
            timing: Timing::of_us(1.0),
        }
    }

    #[test]
    fn a_pass_as_long_as_its_weights_take_to_read_is_predicted_nearly_so() {
        let device = DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped");
        let profile = FittedProfile::shipped(&device).expect("it is shipped");
        let model = "meta-llama/Llama-3.1-8B";
        let mut alone = row(PassPhase::Token, model, 1, (1, 1, 100));
        // 7.5e9 parameters of layers and head in two bytes, at 80 % of the bandwidth, and 0.3 ms between steps.
        alone.timing = Timing::of_us(7.5e9 * 2.0 / (0.8 * device.memory_bandwidth) * 1e6 + 300.0);
        let mut prompt = row(PassPhase::Prompt, model, 1, (2, 4096, 0));
        prompt.timing = Timing::of_us(2.0 * 7.0e9 * 8192.0 / (0.65 * device.bf16_flops) * 1e6);
        let rows = [alone, prompt];
        let (checked, left_out) = check(profile, &device, &rows);
        assert_eq!(left_out, LeftOut::new());
        let names: Vec<&str> = checked.iter().map(|checked| checked.name.as_str()).collect();
        let expected = [
            "prompt passes of meta-llama/Llama-3.1-8B in bf16 on 1 GPU",
            "token passes of meta-llama/Llama-3.1-8B in bf16 on 1 GPU",
        ];
        assert_eq!(names, expected);
        for checked in &checked {
            assert!(checked.all.median < 20.0, "{checked:?}");
        }
        assert_eq!(checked[0].buckets[0].0, "2049 to 16384 tokens");
        assert_eq!(checked[1].buckets[0].0, "up to 4 requests");
    }

    #[test]
    fn what_cannot_be_priced_is_counted_with_its_reason() {
        let device = DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped");
        let profile = FittedProfile::shipped(&device).expect("it is shipped");
        let rows = [
            row(PassPhase::Token, "nobody/nothing", 1, (1, 1, 100)),
            row(PassPhase::Token, "meta-llama/Llama-3.1-8B", 3, (1, 1, 100)),
            row(PassPhase::Token, "meta-llama/Llama-3.1-8B", 1, (1, 2, 100)),
        ];
        let (checked, left_out) = check(profile, &device, &rows);
        assert_eq!(checked, []);
        let reasons: Vec<&String> = left_out.keys().collect();
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        for expected in ["of `nobody/nothing`, which is no shipped model", "that cannot be priced: ", "several tokens"]
        {
            assert!(reasons.iter().any(|reason| reason.contains(expected)), "{expected}: {reasons:?}");
        }
    }
}
