//! Models and devices as people write them, and what they are called here.

use profiles::{DeviceSpec, ModelSpec, ProfileError};

use super::error::NotScored;

/// What beside the shipped names and aliases is meant by a shipped device.
const DEVICES: [(&str, &str); 8] = [
    ("NVIDIA H100 SXM 80GB", "H100-SXM-80GB"),
    ("NVIDIA GeForce RTX 4090 24GB", "RTX-4090-24GB"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition 96GB", "RTX-PRO-6000-Server-96GB"),
    ("h100_sxm", "H100-SXM-80GB"),
    ("h200_sxm", "H200-SXM-141GB"),
    ("b200_sxm", "B200-SXM-180GB"),
    ("8x H200", "H200-SXM-141GB"),
    ("l40s", "L40S-48GB"),
];

/// What beside the shipped names and aliases has the layers and sizes of a shipped model.
const MODELS: [(&str, &str); 9] = [
    ("nvidia/Llama-3.1-8B-Instruct-FP8", "meta-llama/Llama-3.1-8B"),
    ("meta-llama/Llama-3.1-405B-Instruct-FP8", "meta-llama/Llama-3.1-405B"),
    ("Qwen/Qwen3-30B-A3B-Thinking-2507", "Qwen/Qwen3-30B-A3B"),
    ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "Qwen/Qwen3-30B-A3B"),
    ("Qwen/Qwen3-235B-A22B-FP8", "Qwen/Qwen3-235B-A22B"),
    ("Qwen/Qwen3-235B-A22B-Thinking-2507", "Qwen/Qwen3-235B-A22B"),
    ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "Qwen/Qwen3-235B-A22B"),
    ("deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-V3"),
    ("deepseek-ai/DeepSeek-V3.1", "deepseek-ai/DeepSeek-V3"),
];

/// What stands before an explanation in brackets.
fn plain(name: &str) -> &str {
    name.split(" (").next().unwrap_or(name).trim()
}

/// A name that nothing shipped has, without the list of all that is.
fn unknown(error: &ProfileError) -> NotScored {
    let ProfileError::UnknownName { kind, name, suggestion, .. } = error else {
        return NotScored::Experiment(error.to_string());
    };
    let meant = suggestion.as_ref().map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    let how = if kind.contains("model") { ", or name a path that ends in `.json`" } else { "" };
    NotScored::Experiment(format!(
        "no shipped {kind} is named `{name}`{meant} (`servesim profiles list` names them{how})"
    ))
}

/// The shipped device that is meant.
///
/// # Errors
/// If none is, with the nearest name.
pub(super) fn device(written: &str) -> Result<String, NotScored> {
    let name = plain(written);
    let meant = DEVICES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(name, |(_, meant)| meant);
    DeviceSpec::shipped(meant).map(|device| device.name).map_err(|error| unknown(&error))
}

/// The shipped model that is meant, and a sentence if its name is another. A path that ends in `.json` is kept.
///
/// # Errors
/// If none is, with the nearest name.
pub(super) fn model(written: &str) -> Result<(String, Option<String>), NotScored> {
    let name = plain(written);
    if std::path::Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
        return Ok((name.to_owned(), None));
    }
    if let Ok(model) = ModelSpec::shipped(name) {
        return Ok((model.name, None));
    }
    let meant = MODELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(name, |(_, meant)| meant);
    let model = ModelSpec::shipped(meant).map_err(|error| unknown(&error))?;
    let remark = format!("{name} is simulated as {}: the same layers and sizes", model.name);
    Ok((model.name, Some(remark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_name_leads_to_something_shipped() {
        for (written, _) in MODELS {
            assert!(model(written).is_ok_and(|(_, remark)| remark.is_some()), "{written}");
        }
        for (written, meant) in DEVICES {
            assert_eq!(device(written).as_deref(), Ok(meant));
        }
    }

    #[test]
    fn explanations_in_brackets_are_no_part_of_a_name() {
        assert_eq!(device("NVIDIA H100 SXM 80GB (8 per node)").as_deref(), Ok("H100-SXM-80GB"));
        let (name, remark) = model("meta-llama/Llama-3.1-70B (base or Instruct)").expect("it is shipped");
        assert_eq!((name.as_str(), remark), ("meta-llama/Llama-3.1-70B", None));
    }

    #[test]
    fn strangers_are_refused_with_what_was_probably_meant() {
        let error = model("meta-llama/Llama-3.1-8").expect_err("there is none").to_string();
        assert!(error.contains("did you mean"), "{error}");
        assert!(device("TPU v5e").is_err());
    }
}
