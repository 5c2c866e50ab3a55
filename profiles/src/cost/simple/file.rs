//! Step-cost files: a polynomial in the lengths, in milliseconds, with what it was fitted to.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{DecodePolynomial, PolynomialCost, PolynomialOptions};
use crate::error::ProfileError;

const NANOS_PER_MILLI: f64 = 1e6;
/// Tokens up to which prompts must take some time where a file does not say how long they can have been.
const UNSAID_LONGEST_PROMPT: u32 = 4096;

/// What a step costs by a fitted polynomial, as a file holds it; times in milliseconds.
///
/// Coefficients may be negative, as fits have them, if the sum stays above zero for the prompts that the fit can have seen.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StepCostFile {
    /// Which form it is; `polynomial` is the only one.
    pub form: String,
    /// The model that was measured; left out: any.
    pub model: Option<String>,
    /// The device that was measured; left out: any.
    pub device: Option<String>,
    /// GPUs that shared every layer; left out: any number.
    pub tensor_parallel_size: Option<u32>,
    /// Where the coefficients come from.
    pub source: String,
    /// Longest prompt in tokens that the fit can have seen; longer ones count as extrapolated. Left out: no limit known.
    pub longest_prompt_tokens: Option<u32>,
    /// Steps with prompt tokens.
    pub prefill: PrefillTable,
    /// Steps with decoding requests.
    pub decode: DecodeTable,
    /// Larger ones, if they have coefficients of their own.
    pub decode_large: Option<DecodeLargeTable>,
    /// What is added to the polynomial; left out: nothing.
    #[serde(default)]
    pub overheads: OverheadsTable,
}

/// `base + per_token · Σ l + per_token_squared · Σ l²` over prompts of `l` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the formula above names them")]
pub struct PrefillTable {
    pub base_ms: f64,
    pub per_token_ms: f64,
    pub per_token_squared_ms: f64,
}

/// `base + per_context_token · Σ contexts + per_request · requests`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the formula above names them")]
pub struct DecodeTable {
    pub base_ms: f64,
    pub per_context_token_ms: f64,
    pub per_request_ms: f64,
}

/// [`DecodeTable`] for batches of at least `from_requests`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the formula of DecodeTable names them")]
pub struct DecodeLargeTable {
    pub from_requests: u32,
    pub base_ms: f64,
    pub per_context_token_ms: f64,
    pub per_request_ms: f64,
}

/// Time beside the polynomial, which is divided by the pipeline stages; this is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OverheadsTable {
    /// Added by every stage to a step with prompt tokens.
    #[serde(default)]
    pub per_stage_prefill_ms: f64,
    /// Added by the first stage to every step.
    #[serde(default)]
    pub per_step_ms: f64,
    /// Added by the first stage per token processed.
    #[serde(default)]
    pub per_step_token_ms: f64,
}

impl StepCostFile {
    /// The only form there is.
    pub const FORM: &'static str = "polynomial";

    /// Reads a step-cost file. `file` is the name used in errors.
    ///
    /// # Errors
    ///
    /// If the text is not TOML, a key is missing, unknown or of the wrong type, a coefficient is not finite, an overhead
    /// is negative, a base is not above zero, or no `source` is named.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ProfileError> {
        let parsed: Self = toml::from_str(text).map_err(|error| ProfileError::Syntax {
            file: file.to_string(),
            problem: error.to_string().trim_end().to_string(),
        })?;
        parsed.check().map_err(|(field, problem)| ProfileError::Field {
            file: file.to_string(),
            field: field.to_string(),
            problem,
        })?;
        Ok(parsed)
    }

    /// The file's text, with `comments` above it, one line each.
    pub fn to_toml(&self, comments: &[String]) -> String {
        let mut text = String::new();
        for comment in comments {
            let _ = writeln!(text, "# {comment}");
        }
        text + &toml::to_string(self).expect("a step-cost file is TOML")
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.form != Self::FORM {
            return Err(("form", format!("`{}` is no form of step cost; expected `{}`", self.form, Self::FORM)));
        }
        if self.source.trim().is_empty() {
            return Err(("source", "is empty; expected where the coefficients come from".to_string()));
        }
        for (field, value) in [
            ("tensor_parallel_size", self.tensor_parallel_size),
            ("longest_prompt_tokens", self.longest_prompt_tokens),
            ("decode_large.from_requests", self.decode_large.map(|large| large.from_requests)),
        ] {
            if value == Some(0) {
                return Err((field, "0 is out of range; expected 1 or above".to_string()));
            }
        }
        for (field, value, least) in self.numbers() {
            if !value.is_finite() || value < least || (least == 0.0 && field.ends_with("base_ms") && value == 0.0) {
                let expected = match (least.is_finite(), field.ends_with("base_ms")) {
                    (true, true) => "a number of milliseconds above 0",
                    (true, false) => "a number of milliseconds, 0 or above",
                    (false, _) => "a finite number of milliseconds",
                };
                return Err((field, format!("{value} is out of range; expected {expected}")));
            }
        }
        self.check_sums()
    }

    /// Refuses coefficients under which a prompt that the fit can have seen, or a batch of usual size, takes no time.
    fn check_sums(&self) -> Result<(), (&'static str, String)> {
        let longest = f64::from(self.longest_prompt_tokens.unwrap_or(UNSAID_LONGEST_PROMPT));
        let PrefillTable { base_ms, per_token_ms, per_token_squared_ms } = self.prefill;
        let lowest = (-per_token_ms / (2.0 * per_token_squared_ms)).clamp(1.0, longest);
        for tokens in [1.0, lowest, longest].into_iter().filter(|tokens| tokens.is_finite()) {
            let sum_ms = base_ms + tokens * (per_token_ms + tokens * per_token_squared_ms);
            if sum_ms <= 0.0 {
                let problem = format!("a prompt of {tokens:.0} tokens would take {sum_ms:.3} ms; expected more than 0");
                return Err(("prefill", problem));
            }
        }
        for (requests, tokens) in [(1.0, 1.0), (1.0, 4096.0), (256.0, 256.0), (256.0, 256.0 * 2048.0)] {
            let DecodeTable { base_ms, per_context_token_ms, per_request_ms } = self.decode;
            let sum_ms = base_ms + tokens * per_context_token_ms + requests * per_request_ms;
            if sum_ms <= 0.0 {
                let problem = format!(
                    "{requests} requests with {tokens} tokens of context would take {sum_ms:.3} ms; expected more than 0"
                );
                return Err(("decode", problem));
            }
        }
        Ok(())
    }

    /// Every coefficient with its name and its least value.
    fn numbers(&self) -> Vec<(&'static str, f64, f64)> {
        let any = f64::NEG_INFINITY;
        let mut numbers = vec![
            ("prefill.base_ms", self.prefill.base_ms, 0.0),
            ("prefill.per_token_ms", self.prefill.per_token_ms, any),
            ("prefill.per_token_squared_ms", self.prefill.per_token_squared_ms, any),
            ("decode.base_ms", self.decode.base_ms, 0.0),
            ("decode.per_context_token_ms", self.decode.per_context_token_ms, any),
            ("decode.per_request_ms", self.decode.per_request_ms, any),
            ("overheads.per_stage_prefill_ms", self.overheads.per_stage_prefill_ms, 0.0),
            ("overheads.per_step_ms", self.overheads.per_step_ms, 0.0),
            ("overheads.per_step_token_ms", self.overheads.per_step_token_ms, 0.0),
        ];
        if let Some(large) = self.decode_large {
            numbers.extend([
                ("decode_large.base_ms", large.base_ms, 0.0),
                ("decode_large.per_context_token_ms", large.per_context_token_ms, any),
                ("decode_large.per_request_ms", large.per_request_ms, any),
            ]);
        }
        numbers
    }

    /// The cost model of a replica with this many pipeline `stages` (≥ 1).
    pub fn cost(&self, stages: u32) -> PolynomialCost {
        let decode = DecodePolynomial {
            base_ns: self.decode.base_ms * NANOS_PER_MILLI,
            per_context_token_ns: self.decode.per_context_token_ms * NANOS_PER_MILLI,
            per_request_ns: self.decode.per_request_ms * NANOS_PER_MILLI,
        };
        let decode_large = self.decode_large.map_or(decode, |large| DecodePolynomial {
            base_ns: large.base_ms * NANOS_PER_MILLI,
            per_context_token_ns: large.per_context_token_ms * NANOS_PER_MILLI,
            per_request_ns: large.per_request_ms * NANOS_PER_MILLI,
        });
        let cost = PolynomialCost::new(PolynomialOptions {
            prefill_base_ns: self.prefill.base_ms * NANOS_PER_MILLI,
            per_prompt_token_ns: self.prefill.per_token_ms * NANOS_PER_MILLI,
            per_prompt_token_squared_ns: self.prefill.per_token_squared_ms * NANOS_PER_MILLI,
            decode,
            decode_large,
            large_batch_requests: self.decode_large.map_or(u32::MAX, |large| large.from_requests),
            stages,
            per_stage_prefill_ns: self.overheads.per_stage_prefill_ms * NANOS_PER_MILLI,
            per_step_ns: self.overheads.per_step_ms * NANOS_PER_MILLI,
            per_step_token_ns: self.overheads.per_step_token_ms * NANOS_PER_MILLI,
        });
        cost.fitted_up_to(self.longest_prompt_tokens.unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPT_13B: &str = r#"
form = "polynomial"
model = "facebook/opt-13b"
source = "a test"

[prefill]
base_ms = 18.103
per_token_ms = 0.101912
per_token_squared_ms = 7.122e-6

[decode]
base_ms = 19.935
per_context_token_ms = 6.269e-4
per_request_ms = 0.038507
"#;

    fn message(old: &str, new: &str) -> String {
        assert!(OPT_13B.contains(old));
        StepCostFile::from_toml(&OPT_13B.replace(old, new), "x.toml").expect_err("it is wrong").to_string()
    }

    #[test]
    fn a_file_that_was_written_reads_back_the_same() {
        let file = StepCostFile::from_toml(OPT_13B, "x.toml").expect("it is right");
        let text = file.to_toml(&["fitted by a test".to_string()]);
        assert!(text.starts_with("# fitted by a test\nform = \"polynomial\"\n"), "{text}");
        assert_eq!(StepCostFile::from_toml(&text, "x.toml").expect("it was written"), file);
    }

    #[test]
    fn every_wrong_value_is_named_with_what_would_be_right() {
        assert_eq!(
            message("form = \"polynomial\"", "form = \"spline\""),
            "x.toml: `form`: `spline` is no form of step cost; expected `polynomial`"
        );
        assert_eq!(
            message("base_ms = 19.935", "base_ms = 0.0"),
            "x.toml: `decode.base_ms`: 0 is out of range; expected a number of milliseconds above 0"
        );
        assert_eq!(
            message("7.122e-6", "nan"),
            "x.toml: `prefill.per_token_squared_ms`: NaN is out of range; expected a finite number of milliseconds"
        );
        assert_eq!(
            message("source = \"a test\"", "source = \"\""),
            "x.toml: `source`: is empty; expected where the coefficients come from"
        );
        assert!(message("per_token_ms", "per_tokn_ms").contains("unknown field `per_tokn_ms`"));
        let negative = message("per_token_ms = 0.101912", "per_token_ms = -1.0");
        assert!(negative.starts_with("x.toml: `prefill`: a prompt of ") && negative.ends_with("expected more than 0"));
    }
}
