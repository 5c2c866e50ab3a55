//! What can be wrong with a model, a device, or the way one is put on the other.

/// What can be wrong with a model, a device, or the way one is put on the other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No shipped model or device has this name.
    #[error("no shipped {kind} is named `{name}`{}; shipped are: {known}", suggest(.suggestion.as_deref()))]
    UnknownName {
        /// `model` or `device`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The nearest name that exists, if one is near.
        suggestion: Option<String>,
        /// All names, separated by commas.
        known: String,
    },
    /// A file is not what its format says.
    #[error("{file}: {problem}")]
    Syntax {
        /// The file's name.
        file: String,
        /// What is wrong and where (line, column).
        problem: String,
    },
    /// A field of a model or device file is missing or wrong.
    #[error("{file}: `{field}`: {problem}")]
    Field {
        /// The file's name.
        file: String,
        /// The field.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The model has a part that is not modelled.
    #[error("{file}: {problem}")]
    Unsupported {
        /// The file's name.
        file: String,
        /// Which part, and why.
        problem: String,
    },
    /// No number format has this name.
    #[error("`{name}` is not a number format; use bf16, fp16, fp8, int8 or int4")]
    UnknownDType {
        /// What was asked for.
        name: String,
    },
    /// The number formats do not go together, or not with the device.
    #[error("{0}")]
    Precision(String),
    /// The model cannot be spread over GPUs this way.
    #[error("{0}")]
    Parallelism(String),
    /// An engine setting that decides about memory is out of range.
    #[error("{setting} = {value}: {problem}")]
    MemorySetting {
        /// The setting, by vLLM's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Weights and workspace leave no room for a KV cache.
    #[error("{0}")]
    DoesNotFit(Box<DoesNotFit>),
    /// No efficiency curves are shipped for a device.
    #[error(
        "the architecture of `{device}` cannot be told from its name, and its file does not say `architecture = \"ampere\"` (or ada, \
         hopper, blackwell); known are names that contain one of {known}"
    )]
    UnknownArchitecture {
        /// The device's name.
        device: String,
        /// Parts of names that are known.
        known: String,
    },
    /// A setting of the cost model is out of range.
    #[error("{setting} = {value}: {problem}")]
    CostSetting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A cluster that cannot be built, or nodes that no route connects.
    #[error("{0}")]
    Topology(String),
}

/// By how much a model does not fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "{model} does not fit {device}: stage {stage} needs {needed_bytes} bytes per GPU ({}), and \
     gpu_memory_utilization = {gpu_memory_utilization} of {memory_bytes} bytes allows {budget_bytes}: {missing_bytes} \
     bytes too many; {advice}",
    self.parts()
)]
pub struct DoesNotFit {
    /// The model's name.
    pub model: String,
    /// The device's name.
    pub device: String,
    /// Pipeline stage, from 0.
    pub stage: u32,
    /// Bytes that the stage needs on each of its GPUs, with one KV block or as many as the engine was told.
    pub needed_bytes: u64,
    /// Of which weights.
    pub weights_bytes: u64,
    /// Of which workspace and overhead.
    pub workspace_bytes: u64,
    /// Of which recurrent state of sequences.
    pub state_bytes: u64,
    /// Memory of the device.
    pub memory_bytes: u64,
    /// Share of it that the engine may use.
    pub gpu_memory_utilization: f64,
    /// Bytes that the engine may use.
    pub budget_bytes: u64,
    /// `needed_bytes − budget_bytes`.
    pub missing_bytes: u64,
    /// Smallest `tensor_parallel_size` at which it would fit, all else equal; `None`: none.
    pub smallest_fitting_tp: Option<u32>,
    /// What to do, in words.
    pub advice: String,
}

impl DoesNotFit {
    fn parts(&self) -> String {
        let states = match self.state_bytes {
            0 => String::new(),
            bytes => format!(", sequence states {bytes}"),
        };
        let fixed = self.weights_bytes + self.workspace_bytes + self.state_bytes;
        let (weights, workspace, cache) = (self.weights_bytes, self.workspace_bytes, self.needed_bytes - fixed);
        format!("weights {weights}, workspace {workspace}{states}, KV cache {cache}")
    }
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The error for a name that is not among `known`, with the nearest of `names` (which may hold aliases).
pub(crate) fn unknown_name<'a>(
    kind: &'static str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
    known: &[&str],
) -> ProfileError {
    const NEAR: f64 = 0.6;
    let wanted = name.to_lowercase();
    let nearest = names
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let suggestion = nearest.filter(|(score, _)| *score >= NEAR).map(|(_, candidate)| candidate.to_string());
    ProfileError::UnknownName { kind, name: name.to_string(), suggestion, known: known.join(", ") }
}
