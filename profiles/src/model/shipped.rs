//! The models that come with the project.

use serde::Deserialize;

use super::ModelSpec;
use crate::error::{ProfileError, unknown_name};

/// Their files: a name, aliases, a source, and the keys of a Hugging Face `config.json` that matter here.
const FILES: &[(&str, &str)] = &[
    ("llama-2-7b.json", include_str!("../../data/models/llama-2-7b.json")),
    ("llama-2-13b.json", include_str!("../../data/models/llama-2-13b.json")),
    ("llama-2-70b.json", include_str!("../../data/models/llama-2-70b.json")),
    ("llama-3.1-8b.json", include_str!("../../data/models/llama-3.1-8b.json")),
    ("llama-3.1-70b.json", include_str!("../../data/models/llama-3.1-70b.json")),
    ("llama-3.1-405b.json", include_str!("../../data/models/llama-3.1-405b.json")),
    ("codellama-34b.json", include_str!("../../data/models/codellama-34b.json")),
    ("llama-33b.json", include_str!("../../data/models/llama-33b.json")),
    ("llama-65b.json", include_str!("../../data/models/llama-65b.json")),
    ("yi-34b.json", include_str!("../../data/models/yi-34b.json")),
    ("mistral-7b.json", include_str!("../../data/models/mistral-7b.json")),
    ("mistral-large-2407.json", include_str!("../../data/models/mistral-large-2407.json")),
    ("mixtral-8x7b.json", include_str!("../../data/models/mixtral-8x7b.json")),
    ("mixtral-8x22b.json", include_str!("../../data/models/mixtral-8x22b.json")),
    ("qwen3-8b.json", include_str!("../../data/models/qwen3-8b.json")),
    ("qwen3-14b.json", include_str!("../../data/models/qwen3-14b.json")),
    ("qwen3-32b.json", include_str!("../../data/models/qwen3-32b.json")),
    ("qwen3-30b-a3b.json", include_str!("../../data/models/qwen3-30b-a3b.json")),
    ("qwen3-235b-a22b.json", include_str!("../../data/models/qwen3-235b-a22b.json")),
    ("gpt-oss-20b.json", include_str!("../../data/models/gpt-oss-20b.json")),
    ("gpt-oss-120b.json", include_str!("../../data/models/gpt-oss-120b.json")),
    ("opt-13b.json", include_str!("../../data/models/opt-13b.json")),
    ("opt-66b.json", include_str!("../../data/models/opt-66b.json")),
    ("opt-175b.json", include_str!("../../data/models/opt-175b.json")),
    ("deepseek-v3.json", include_str!("../../data/models/deepseek-v3.json")),
    ("jamba-1.5-mini.json", include_str!("../../data/models/jamba-1.5-mini.json")),
    ("marconi-hybrid-7b.json", include_str!("../../data/models/marconi-hybrid-7b.json")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    name: String,
    aliases: Vec<String>,
    source: String,
    #[serde(default)]
    notes: Vec<String>,
    config: serde_json::Map<String, serde_json::Value>,
}

impl ModelSpec {
    /// The shipped model of this Hugging Face name or alias, in any case.
    ///
    /// # Errors
    ///
    /// [`ProfileError::UnknownName`] with the nearest name.
    pub fn shipped(name: &str) -> Result<Self, ProfileError> {
        let files = files();
        if let Some(file) = files.iter().find(|file| file.names().any(|known| known.eq_ignore_ascii_case(name))) {
            return Ok(file.model());
        }
        let known: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        Err(unknown_name("model", name, files.iter().flat_map(ModelFile::names), &known))
    }

    /// Hugging Face names of the shipped models.
    pub fn shipped_names() -> Vec<String> {
        files().into_iter().map(|file| file.name).collect()
    }
}

fn files() -> Vec<ModelFile> {
    let parse = |&(_, text): &(&str, &str)| serde_json::from_str(text).expect("shipped model files are valid");
    FILES.iter().map(parse).collect()
}

impl ModelFile {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    fn model(&self) -> ModelSpec {
        let config = serde_json::to_string(&self.config).expect("a JSON object can be written");
        let mut model =
            ModelSpec::from_hf_config(&config, &self.name, &self.source).expect("shipped models can be read");
        model.notes.extend(self.notes.iter().cloned());
        model
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelFile, files};

    /// A name that two files claim would silently give the first of them.
    #[test]
    fn no_two_models_answer_to_one_name() {
        let files = files();
        let mut names: Vec<String> = files.iter().flat_map(ModelFile::names).map(str::to_lowercase).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
