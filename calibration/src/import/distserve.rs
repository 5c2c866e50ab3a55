//! `DistServe`'s fitted step times, as step-cost files.
//!
//! Its simulator (`simdistserve/estimators/time_estimator.py`) reads milliseconds by model and tensor-parallel GPUs:
//! `prefill` = [a, b, c] of `a + b·Σ l + c·Σ l²`, `decoding_smallbs` and `decoding_largebs` = [a, b, c] of
//! `a + b·Σ contexts + c·requests`, below and from `decoding_large_small_bs_threshold` requests. To every step it adds 2 ms
//! and 1e-4 ms per token on the first pipeline stage (its Ray workers), and 1 ms per stage to steps with prompts; these are
//! in its code, not in the file.

use std::collections::BTreeMap;

use profiles::cost::simple::{DecodeLargeTable, DecodeTable, OverheadsTable, PrefillTable, StepCostFile};
use serde_json::Value;

use super::error::ImportError;
use super::{Known, slug};

/// Step costs of one model on a number of GPUs, and how their file should be called.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedStepCost {
    /// Name of a file without its extension.
    pub stem: String,
    /// What is said above its keys, one line each.
    pub comments: Vec<String>,
    /// The file.
    pub file: StepCostFile,
}

/// Reads the coefficients in `text`. `file` is the name used in errors; `name` says which engine was measured if it
/// contains `vllm`.
///
/// The coefficients do not name the GPU: it is the caller's, or the A100 of `DistServe`'s paper (section 6.1).
///
/// # Errors
///
/// If the text is not JSON, or a model lacks one of the lists or has a coefficient that is not a number.
pub fn step_costs(text: &str, file: &str, known: Known<'_>) -> Result<Vec<ImportedStepCost>, ImportError> {
    let unreadable = |line: usize, problem: String| ImportError::Unreadable {
        file: file.to_string(),
        line: (line > 0).then_some(line as u64),
        problem,
    };
    let models: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(text).map_err(|error| unreadable(error.line(), error.to_string()))?;
    let engine = if slug(file).contains("vllm") { "vLLM of early 2024" } else { "DistServe's engine" };
    let device = known.device.map_or("A100-SXM-80GB", |device| &device.name);
    let mut costs = Vec::new();
    for (model, sizes) in &models {
        for (size, table) in sizes {
            let path = format!("{model}.{size}");
            let field = |field: &str, problem: String| ImportError::Field {
                file: file.to_string(),
                field: format!("{path}{field}"),
                problem,
            };
            let tensor: u32 = size
                .parse()
                .ok()
                .filter(|size| *size > 0)
                .ok_or_else(|| field("", "expected the number of tensor-parallel GPUs as the key".to_string()))?;
            let coefficients = |name: &str| three(table, name).map_err(|problem| field(&format!(".{name}"), problem));
            let [base_ms, per_token_ms, per_token_squared_ms] = coefficients("prefill")?;
            let small = coefficients("decoding_smallbs")?;
            let large = coefficients("decoding_largebs")?;
            let name = "decoding_large_small_bs_threshold";
            let from_requests = table.get(name).and_then(Value::as_u64).and_then(|from| u32::try_from(from).ok());
            let from_requests = from_requests
                .filter(|from| *from > 0)
                .ok_or_else(|| field(&format!(".{name}"), "expected a whole number of 1 or more".to_string()))?;
            let cost = StepCostFile {
                form: StepCostFile::FORM.to_string(),
                model: Some(model.clone()),
                device: Some(device.to_string()),
                tensor_parallel_size: Some(tensor),
                source: format!("DistServe (OSDI 2024, Apache-2.0), fitted profile of {engine}"),
                longest_prompt_tokens: longest_prompt(model),
                prefill: PrefillTable { base_ms, per_token_ms, per_token_squared_ms },
                decode: DecodeTable { base_ms: small[0], per_context_token_ms: small[1], per_request_ms: small[2] },
                decode_large: Some(DecodeLargeTable {
                    from_requests,
                    base_ms: large[0],
                    per_context_token_ms: large[1],
                    per_request_ms: large[2],
                }),
                overheads: OverheadsTable { per_stage_prefill_ms: 1.0, per_step_ms: 2.0, per_step_token_ms: 1e-4 },
            };
            // The writer's own reader must take it, whatever the source holds.
            StepCostFile::from_toml(&cost.to_toml(&[]), &path).map_err(|error| field("", error.to_string()))?;
            let who = if engine.starts_with("vLLM") { "vllm" } else { "distserve" };
            let short = slug(model.rsplit('/').next().unwrap_or(model));
            costs.push(ImportedStepCost {
                stem: format!("{}_{who}_{short}-tp{tensor}_step-cost", slug(device)),
                comments: comments(&cost),
                file: cost,
            });
        }
    }
    Ok(costs)
}

fn comments(cost: &StepCostFile) -> Vec<String> {
    let mut comments = vec![
        "Times of whole steps in milliseconds, all layers, one pipeline stage.".to_string(),
        "[overheads] are what DistServe's simulator adds in its code: 1 ms per stage to prompts, and for its Ray workers 2 ms"
            .to_string(),
        "and 1e-4 ms per token. Take the table out for the fitted times alone.".to_string(),
    ];
    let (linear, squared) = (cost.prefill.per_token_ms, cost.prefill.per_token_squared_ms);
    if squared < 0.0 {
        comments.push(format!(
            "The coefficient of squared tokens is negative: prompts get cheaper per token, and beyond {:.0} tokens cheaper \
             altogether.",
            linear / (-2.0 * squared)
        ));
    }
    comments
}

/// The longest context the model was made for, if it is a shipped one: no prompt of the fit can be longer.
fn longest_prompt(model: &str) -> Option<u32> {
    profiles::ModelSpec::shipped(model).ok().map(|model| model.max_position_embeddings)
}

/// A list of three finite numbers.
fn three(table: &Value, name: &str) -> Result<[f64; 3], String> {
    let list = table.get(name).and_then(Value::as_array).ok_or("is missing; expected a list [a, b, c]")?;
    let numbers: Vec<f64> = list.iter().filter_map(Value::as_f64).collect();
    match (numbers.as_slice(), list.len()) {
        (&[a, b, c], 3) => Ok([a, b, c]),
        _ => Err(format!("{} is not a list of three numbers [a, b, c]", table[name])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPT: &str = r#"{"facebook/opt-66b": {"2": {
        "decoding_large_small_bs_threshold": 95,
        "prefill": [58.382, 0.382641, -7.114e-6],
        "decoding_smallbs": [57.073, 3.646e-3, 0.224937],
        "decoding_largebs": [26.984, 6.2e-3, 0.448257]}}}"#;

    #[test]
    fn coefficients_become_a_file_that_says_where_they_hold() {
        let costs = step_costs(OPT, "vllm.json", Known::default()).expect("it is right");
        let [cost] = costs.as_slice() else { panic!("one model, one size") };
        assert_eq!(cost.stem, "a100-sxm-80gb_vllm_opt-66b-tp2_step-cost");
        assert_eq!((cost.file.tensor_parallel_size, cost.file.longest_prompt_tokens), (Some(2), Some(2048)));
        assert_eq!(cost.file.decode_large.map(|large| large.from_requests), Some(95));
        assert!(cost.comments.iter().any(|line| line.contains("beyond 26894 tokens")), "{:?}", cost.comments);
    }

    #[test]
    fn what_is_missing_is_named_by_its_path() {
        let message = |old: &str, new: &str| {
            assert!(OPT.contains(old));
            step_costs(&OPT.replace(old, new), "x.json", Known::default()).expect_err("it is wrong").to_string()
        };
        assert_eq!(
            message("\"prefill\"", "\"prefil\""),
            "x.json: `facebook/opt-66b.2.prefill`: is missing; expected a list [a, b, c]"
        );
        assert_eq!(
            message("[58.382, 0.382641, -7.114e-6]", "[58.382, \"x\"]"),
            "x.json: `facebook/opt-66b.2.prefill`: [58.382,\"x\"] is not a list of three numbers [a, b, c]"
        );
        assert!(message("{\"2\"", "{\"two\"").contains("expected the number of tensor-parallel GPUs as the key"));
        assert!(message("58.382", "-58.382").contains("`prefill.base_ms`: -58.382 is out of range"));
    }
}
