//! Typed access to a configuration that remembers what was read, so that nothing is ignored in silence.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::ProfileError;

/// Keys of a `config.json` that change neither time nor memory of inference: token ids, training settings, numerical
/// constants, provenance. Rotary settings count among them: they change angles, not work.
const HARMLESS: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "_remove_final_layer_norm",
    "activation_function",
    "activation_dropout",
    "attention_dropout",
    "attn_pdrop",
    "auto_map",
    "aux_loss_alpha",
    "bos_token_id",
    "chunk_size",
    "classifier_dropout",
    "conv_kernel_bias",
    "dropout",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "ep_size",
    "fused_rms_norm",
    "hidden_act",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "init_std",
    "initial_context_length",
    "initializer_range",
    "label2id",
    "layer_norm_elementwise_affine",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "layerdrop",
    "mamba_chunk_size",
    "mamba_hidden_act",
    "max_sequence_length",
    "mlp_hidden_act",
    "model_type",
    "norm_eps",
    "norm_topk_prob",
    "num_logits_to_keep",
    "output_router_logits",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "reorder_and_upcast_attn",
    "rescale_layer",
    "rescale_prenorm_residual",
    "residual_dropout",
    "residual_in_fp32",
    "resid_pdrop",
    "rms_norm",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "routed_scaling_factor",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "scoring_func",
    "seq_aux",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "swiglu_limit",
    "task_specific_params",
    "time_step_floor",
    "time_step_init_scheme",
    "time_step_limit",
    "time_step_max",
    "time_step_min",
    "time_step_scale",
    "topk_method",
    "transformers_version",
    "use_cache",
    "use_mamba_kernels",
    "n_group",
    "topk_group",
];

/// A `config.json`.
pub(super) struct Config<'a> {
    file: &'a str,
    object: Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Config<'a> {
    /// Parses `json`, which must be an object. `file` is the name used in errors.
    pub(super) fn parse(json: &str, file: &'a str) -> Result<Self, ProfileError> {
        match serde_json::from_str(json) {
            Ok(Value::Object(object)) => Ok(Self { file, object, read: RefCell::default() }),
            Ok(_) => Err(ProfileError::Syntax { file: file.into(), problem: "expected a JSON object".into() }),
            Err(error) => Err(ProfileError::Syntax { file: file.into(), problem: error.to_string() }),
        }
    }

    /// The value of `key`; `None` if it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.read.borrow_mut().insert(key.to_string());
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A positive integer that must be there.
    pub(super) fn size(&self, key: &str) -> Result<u32, ProfileError> {
        match self.optional_size(key)? {
            Some(value) => Ok(value),
            None => Err(self.wrong(key, "is missing; expected a positive integer")),
        }
    }

    /// A positive integer that may be absent or null.
    pub(super) fn optional_size(&self, key: &str) -> Result<Option<u32>, ProfileError> {
        match self.optional_count(key)? {
            Some(0) => Err(self.wrong(key, "is 0; expected a positive integer")),
            other => Ok(other),
        }
    }

    /// An integer that may be 0, absent or null.
    pub(super) fn optional_count(&self, key: &str) -> Result<Option<u32>, ProfileError> {
        const LARGEST: u64 = 1 << 28;
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64() {
            Some(number) if number <= LARGEST => Ok(Some(number as u32)),
            _ => Err(self.wrong(key, &format!("is {value}; expected an integer from 0 to {LARGEST}"))),
        }
    }

    /// `true` or `false`, with `default` where it is absent.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, ProfileError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(self.wrong(key, &format!("is {value}; expected true or false"))),
        }
    }

    /// A string that may be absent.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ProfileError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(value) => Err(self.wrong(key, &format!("is {value}; expected a string"))),
        }
    }

    /// A list of strings that may be absent.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, ProfileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let list = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        list.map(Some).ok_or_else(|| self.wrong(key, &format!("is {value}; expected a list of strings")))
    }

    /// A list of layer numbers; empty where it is absent.
    pub(super) fn layer_numbers(&self, key: &str) -> Result<Vec<u32>, ProfileError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let number = |item: &Value| item.as_u64().and_then(|number| u32::try_from(number).ok());
        let list = value.as_array().and_then(|items| items.iter().map(number).collect::<Option<Vec<_>>>());
        list.ok_or_else(|| self.wrong(key, &format!("is {value}; expected a list of layer numbers")))
    }

    /// The error for a wrong field.
    pub(super) fn wrong(&self, field: &str, problem: &str) -> ProfileError {
        ProfileError::Field { file: self.file.into(), field: field.into(), problem: problem.into() }
    }

    /// The error for a part that is not modelled.
    pub(super) fn unsupported(&self, problem: impl Into<String>) -> ProfileError {
        ProfileError::Unsupported { file: self.file.into(), problem: problem.into() }
    }

    /// Keys that nobody asked for and that are not known to be harmless.
    pub(super) fn unread(&self) -> Vec<&str> {
        let read = self.read.borrow();
        let unread = |key: &&String| !read.contains(*key) && !HARMLESS.contains(&key.as_str());
        self.object.keys().filter(unread).map(String::as_str).collect()
    }
}
