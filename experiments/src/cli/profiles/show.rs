//! `servesim profiles show`

use std::path::Path;

use clap::Args;
use profiles::cost::Architecture;
use profiles::fitted::FittedProfile;
use profiles::{DType, DeviceSpec, LayerSpec, ModelSpec, ProfileError};
use serde_json::{Value, json};

use crate::diagnostic::nearest_file;
use crate::experiment::EngineConstants;
use crate::failure::Failure;
use crate::terminal;

/// What can be said to `show`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim profiles show meta-llama/Llama-3.1-8B\n  servesim profiles show H100-SXM-80GB\n  \
                  servesim profiles show my_model.json"
)]
pub(in crate::cli) struct ShowArgs {
    /// Name or alias of a shipped model or device, or the path of a Hugging Face config.json or of a device file
    #[arg(value_name = "NAME|config.json|FILE.toml")]
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the figures.
pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    let (figures, details) = match found(&args.name)? {
        Shown::Model(model) => (model_json(&model), layers(&model)),
        Shown::Device(device) => (device_json(&device), Vec::new()),
    };
    if args.json {
        terminal::print_line(&figures.to_string());
        return Ok(());
    }
    for (key, value) in figures.as_object().into_iter().flatten() {
        for (n, line) in lines(value).iter().enumerate() {
            terminal::print_line(&format!("{:<28} {line}", if n == 0 { key } else { "" }));
        }
    }
    for line in details {
        terminal::print_line(&line);
    }
    Ok(())
}

enum Shown {
    Model(Box<ModelSpec>),
    Device(Box<DeviceSpec>),
}

/// What is shipped under a name, or described by a file.
fn found(name: &str) -> Result<Shown, Failure> {
    let path = Path::new(name);
    let ends_in = |end: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(end));
    if ends_in("json") || ends_in("toml") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Request(format!("cannot read {name}: {error}{}", nearest_file(path))))?;
        let found = if ends_in("json") {
            ModelSpec::from_hf_config(&text, name, name).map(|model| Shown::Model(Box::new(model)))
        } else {
            DeviceSpec::from_toml(&text, name).map(|device| Shown::Device(Box::new(device)))
        };
        return found.map_err(|error| Failure::Request(error.to_string()));
    }
    match (ModelSpec::shipped(name), DeviceSpec::shipped(name)) {
        (Ok(model), _) => Ok(Shown::Model(Box::new(model))),
        (_, Ok(device)) => Ok(Shown::Device(Box::new(device))),
        (Err(model), Err(device)) => {
            let near = |error: &ProfileError| match error {
                ProfileError::UnknownName { suggestion, .. } => suggestion.clone(),
                _ => None,
            };
            let meant = near(&model).or_else(|| near(&device));
            let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
            Err(Failure::Request(format!(
                "no shipped model or device is named `{name}`{meant} (`servesim profiles list` names them); one of your own is \
                 the path of a file that ends in .json (a Hugging Face config.json) or .toml (docs/gpu-file.md)"
            )))
        }
    }
}

/// A figure as a reader takes it in: large ones by their power of ten, lists by their items.
fn lines(value: &Value) -> Vec<String> {
    /// From here on digits are not counted at a glance.
    const LARGE: f64 = 1e6;
    match value {
        Value::Null => vec!["-".to_owned()],
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(lines).collect(),
        Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|number| number >= LARGE) => {
            vec![format!("{:e}", number.as_f64().unwrap_or_default())]
        }
        other => vec![other.to_string()],
    }
}

/// A line for each kind of layer: how many there are, and what they are made of.
fn layers(model: &ModelSpec) -> Vec<String> {
    let mut kinds: Vec<(&LayerSpec, usize)> = Vec::new();
    for layer in &model.layers {
        match kinds.iter_mut().find(|(kind, _)| *kind == layer) {
            Some((_, count)) => *count += 1,
            None => kinds.push((layer, 1)),
        }
    }
    let of = |(layer, count): &(&LayerSpec, usize)| {
        let (mixer, feed_forward) = (parts(&json!(layer.mixer)), parts(&json!(layer.feed_forward)));
        format!("{:<28} {mixer}, {feed_forward}", format!("{count} layers"))
    };
    kinds.iter().map(of).collect()
}

/// The parts of a layer with their figures, those that are absent or off left out.
fn parts(value: &Value) -> String {
    let of_object = |object: &serde_json::Map<String, Value>| {
        let shown = |(name, value): (&String, &Value)| match value {
            Value::Null | Value::Bool(false) => None,
            Value::Bool(true) => Some(name.clone()),
            Value::Object(_) => Some(format!("{name} ({})", parts(value))),
            other => Some(format!("{name} {}", parts(other))),
        };
        object.iter().filter_map(shown).collect::<Vec<_>>().join(", ")
    };
    value.as_object().map_or_else(|| lines(value).join(" "), of_object)
}

/// The figures of a model.
pub(crate) fn model_json(model: &ModelSpec) -> Value {
    json!({
        "name": model.name,
        "parameters": model.parameters().total(),
        "active_parameters": model.active_parameters().total(),
        "layers": model.layers.len(),
        "hidden_size": model.hidden_size,
        "vocab_size": model.vocab_size,
        "kv_bytes_per_token_16bit": model.kv_bytes_per_token(DType::Bf16),
        "max_position_embeddings": model.max_position_embeddings,
        "checkpoint": model.weights_dtype_hint.as_ref().map_or("16 bit", |hint| hint.method.as_str()),
        "source": model.source,
        "notes": model.notes.join(" "),
    })
}

/// What kernel times of the device stand on.
fn kernel_times(device: &DeviceSpec) -> String {
    FittedProfile::shipped(device).map_or_else(
        || match Architecture::of(device) {
            Ok(architecture) => format!("curves of its architecture, {architecture:?}"),
            Err(_) => "its name tells no architecture, and its file says none (docs/gpu-file.md)".to_owned(),
        },
        |profile| format!("a fitted profile of its own ({} numbers, {})", profile.values(), profile.date),
    )
}

/// The figures of a device.
pub(crate) fn device_json(device: &DeviceSpec) -> Value {
    json!({
        "name": device.name,
        "aliases": device.aliases.join(", "),
        "memory_bytes": device.memory_bytes,
        "memory_bandwidth_bytes_per_s": device.memory_bandwidth,
        "bf16_flop_per_s": device.bf16_flops,
        "fp8_flop_per_s": device.fp8_flops,
        "int8_op_per_s": device.int8_ops,
        "sms": device.sms,
        "l2_bytes": device.l2_bytes,
        "peer_link": device.peer_link,
        "peer_bandwidth_bytes_per_s": device.peer_bandwidth,
        "power_limit_w": device.power_limit_w,
        "idle_power_w": device.idle_power_w,
        "usd_per_hour": device.usd_per_hour,
        "source": device.source,
        "price_source": device.price_source,
        "kernel_times": kernel_times(device),
        "engine_constants": engine_constants(device),
    })
}

/// What each version of an engine adds to kernels on this class of device.
fn engine_constants(device: &DeviceSpec) -> Vec<String> {
    let Ok(architecture) = Architecture::of(device) else { return Vec::new() };
    let of = |profile: &&str| EngineConstants::of(profile, architecture).map(ToString::to_string);
    ["vllm-v1", "vllm-v0"].iter().filter_map(of).collect()
}
