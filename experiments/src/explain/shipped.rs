//! Models, devices, generators and figures.

use profiles::{DeviceSpec, ModelSpec};
use serde_json::Value;
use workloads::generators::GENERATORS;

use super::Entry;
use crate::cli::{device_json, model_json};
use crate::plot;

/// All of them.
pub(super) fn entries() -> impl Iterator<Item = Entry> {
    let models = ModelSpec::shipped_names().into_iter().filter_map(|name| model(&name));
    let devices = DeviceSpec::shipped_names().into_iter().filter_map(|name| device(&name));
    let generators = GENERATORS.iter().map(|generator| {
        Entry::new(generator.name, "generator of requests", generator.summary)
            .fact("source", generator.source)
            .fact("requests", generator.requests.to_string())
            .fact("to use it", format!("generator = \"{}\" in [workload]", generator.name))
            .fact("look at it", format!("servesim trace stats {}", generator.name))
    });
    let figures = plot::catalogue().map(|(name, about)| {
        Entry::new(name, "figure of `servesim plot`", about).fact("to draw it", format!("servesim plot DIR {name}"))
    });
    models.chain(devices).chain(generators).chain(figures)
}

/// The model or device that has `word` as an alias.
pub(super) fn by_another_name(word: &str) -> impl Iterator<Item = Entry> {
    model(word).into_iter().chain(device(word))
}

fn model(name: &str) -> Option<Entry> {
    let model = ModelSpec::shipped(name).ok()?;
    let about = format!("To serve it: model = \"{}\" at the top of the file.", model.name);
    Some(with_figures(Entry::new(model.name.as_str(), "model", about), &model_json(&model)))
}

fn device(name: &str) -> Option<Entry> {
    let device = DeviceSpec::shipped(name).ok()?;
    let about = format!("To serve on it: gpu = \"{}\" in a [[system]].", device.name);
    Some(with_figures(Entry::new(device.name.as_str(), "device", about), &device_json(&device)))
}

fn with_figures(entry: Entry, figures: &Value) -> Entry {
    let line = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(format!("{name} = {text}")),
        other => Some(format!("{name} = {other}")),
    };
    let lines: Vec<String> = figures.as_object().into_iter().flatten().filter_map(line).collect();
    entry.fact("figures", lines.join("\n"))
}
