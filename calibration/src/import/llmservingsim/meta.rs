//! `meta.yaml`: the few lines of it that a table needs.

use profiles::table::is_calendar_date;

use crate::import::error::ImportError;

/// What a profile says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The GPU, as its driver names it.
    pub gpu: String,
    /// The model, by its Hugging Face name.
    pub model: String,
    /// Number format, such as `bf16`.
    pub variant: String,
    /// Version of the profiler.
    pub profiler_version: String,
    /// Version of vLLM.
    pub vllm_version: String,
    /// Version of CUDA.
    pub cuda_version: String,
    /// Day of the measurement, `YYYY-MM-DD`.
    pub day: String,
    /// Whether the engine launched kernels one by one.
    pub enforce_eager: bool,
}

impl Meta {
    /// Reads the `key: value` lines of a `meta.yaml`; `file` is the name used in errors.
    ///
    /// Only scalars on one line are understood, plain or in quotes; keys that are not needed may hold anything.
    ///
    /// # Errors
    ///
    /// If a key that is needed is missing, there twice, or holds anything but such a scalar.
    pub fn read(text: &str, file: &str) -> Result<Self, ImportError> {
        let top = |key| scalar(text, file, key, "");
        let profiled_at = top("profiled_at")?;
        let day = profiled_at.get(..10).filter(|day| is_calendar_date(day)).ok_or_else(|| ImportError::Field {
            file: file.to_string(),
            field: "profiled_at".to_string(),
            problem: format!("`{profiled_at}` does not start with a day; expected YYYY-MM-DD"),
        })?;
        let eager = scalar(text, file, "enforce_eager", "engine_effective")?;
        Ok(Self {
            gpu: top("gpu")?,
            model: top("model")?,
            variant: top("variant")?,
            profiler_version: top("profiler_version")?,
            vllm_version: top("vllm_version")?,
            cuda_version: top("cuda_version")?,
            day: day.to_string(),
            enforce_eager: match eager.as_str() {
                "true" => true,
                "false" => false,
                other => {
                    return Err(ImportError::Field {
                        file: file.to_string(),
                        field: "engine_effective.enforce_eager".to_string(),
                        problem: format!("`{other}` is neither true nor false"),
                    });
                }
            },
        })
    }
}

/// The scalar of a key at the top of the file, or two spaces inside the block of a key there.
fn scalar(text: &str, file: &str, key: &str, block: &str) -> Result<String, ImportError> {
    let name = if block.is_empty() { key.to_string() } else { format!("{block}.{key}") };
    let wrong = |problem: String| ImportError::Field { file: file.to_string(), field: name.clone(), problem };
    let indent = if block.is_empty() { "" } else { "  " };
    let mut inside = block.is_empty();
    let mut found = Vec::new();
    for (line, text) in (1_u64..).zip(text.lines()) {
        if !block.is_empty() && !text.starts_with(' ') {
            inside = text.strip_suffix(':') == Some(block);
        }
        let value =
            text.strip_prefix(indent).and_then(|text| text.strip_prefix(key)).and_then(|rest| rest.strip_prefix(':'));
        if let (true, Some(value)) = (inside, value) {
            found.push((line, value.trim()));
        }
    }
    match found.as_slice() {
        [] => Err(wrong("is missing".to_string())),
        [(line, value)] => plain(value).ok_or_else(|| {
            wrong(format!(
                "line {line}: `{value}` is not understood; expected a value on the same line, plain or in quotes"
            ))
        }),
        [(first, _), (second, _), ..] => Err(wrong(format!("is there twice, on lines {first} and {second}"))),
    }
}

/// A scalar without its quotes; `None` for anything else that YAML may write.
fn plain(value: &str) -> Option<String> {
    for quote in ['\'', '"'] {
        if let Some(inner) = value.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote)?;
            return (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_string());
        }
    }
    let special = value.is_empty() || value.starts_with(['{', '[', '|', '>', '&', '*', '!', '%', '@', '`', '-', '?']);
    (!special && !value.contains(" #") && !value.contains(": ")).then(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = "profiler_version: 1.0.0\nvllm_version: 0.19.0\ncuda_version: '13.0'\ngpu: NVIDIA L40S\n\
                        profiled_at: '2026-04-24T12:44:06+00:00'\nmodel: Qwen/Qwen3-32B\nvariant: bf16\ntp_degrees: [1, 2]\n\
                        engine_effective:\n  enforce_eager: true\n  hf_overrides:\n    vocab_size: 75968\n  model: /tmp/x\n";

    fn message(old: &str, new: &str) -> String {
        assert!(META.contains(old));
        Meta::read(&META.replacen(old, new, 1), "meta.yaml").expect_err("it is wrong").to_string()
    }

    #[test]
    fn the_lines_that_matter_are_read() {
        let meta = Meta::read(META, "meta.yaml").expect("it is right");
        assert_eq!(
            (meta.gpu.as_str(), meta.model.as_str(), meta.cuda_version.as_str()),
            ("NVIDIA L40S", "Qwen/Qwen3-32B", "13.0")
        );
        assert_eq!((meta.day.as_str(), meta.enforce_eager), ("2026-04-24", true));
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_place() {
        assert_eq!(message("gpu: NVIDIA L40S\n", ""), "meta.yaml: `gpu`: is missing");
        assert_eq!(
            message("gpu: NVIDIA L40S", "gpu: {name: L40S}"),
            "meta.yaml: `gpu`: line 4: `{name: L40S}` is not understood; expected a value on the same line, plain or in quotes"
        );
        assert_eq!(
            message("variant: bf16", "gpu: x\nvariant: bf16"),
            "meta.yaml: `gpu`: is there twice, on lines 4 and 7"
        );
        assert_eq!(
            message("enforce_eager: true", "enforce_eager: maybe"),
            "meta.yaml: `engine_effective.enforce_eager`: `maybe` is neither true nor false"
        );
        assert!(message("2026-04-24", "2026-13-45").contains("does not start with a day; expected YYYY-MM-DD"));
        assert!(message("2026-04-24", "24.4.2026,").contains("does not start with a day; expected YYYY-MM-DD"));
    }
}
