//! Step costs that were fitted to whole steps, in place of kernels.

use std::path::PathBuf;

use profiles::cost::simple::{RooflineFile, StepCostFile};
use profiles::{DeviceSpec, ModelSpec};

use crate::diagnostic::{Problem, Sources};
use crate::file::key::Key;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// A step-cost file and where it lies.
pub(super) struct Fitted {
    /// What it says.
    pub(super) form: Form,
    /// Where it lies.
    pub(super) path: PathBuf,
}

/// What a step-cost file says.
pub(super) enum Form {
    /// Whole steps, by a polynomial in their lengths.
    Polynomial(StepCostFile),
    /// Two rates.
    Roofline(RooflineFile),
}

/// The file that `step_cost` names, if it is written; refuses keys that it makes meaningless, and files of other models or
/// deployments.
pub(super) fn read(
    reader: &mut Reader<'_>,
    model: &ModelSpec,
    device: &DeviceSpec,
    tensor_parallel_size: u32,
    sources: &Sources,
) -> Result<Option<Fitted>, Problem> {
    let Some(path) = reader.path(&s::STEP_COST, sources) else { return Ok(None) };
    let wrong = |problem: String| reader.problem(&s::STEP_COST, "`step_cost` cannot be used").label(problem);
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(format!("{shown}: {error}")))?;
    let roofline = form_of(&text).as_deref() == Some(RooflineFile::FORM);
    let without_effect =
        |key: &&'static Key| reader.has(key) && !(roofline && std::ptr::eq(*key, &raw const s::COMPOSITION));
    if let Some(key) = s::OF_KERNELS.into_iter().find(|key| without_effect(key)) {
        let message = format!("`{}` has no effect beside `step_cost`", key.name);
        return Err(Problem::at(reader.key_span(key), message)
            .label("this says what kernels take")
            .also(reader.key_span(&s::STEP_COST), "and this prices whole steps, without looking at kernels"));
    }
    if roofline {
        let file = RooflineFile::from_toml(&text, &shown).map_err(|error| wrong(error.to_string()))?;
        let fits = file.device.as_ref().is_none_or(|name| same_device(name, device));
        if !fits {
            let named = file.device.unwrap_or_default();
            return Err(wrong(format!("its rates are those of {named}, and this system has {}", device.name)));
        }
        return Ok(Some(Fitted { form: Form::Roofline(file), path }));
    }
    let file = StepCostFile::from_toml(&text, &shown).map_err(|error| wrong(error.to_string()))?;
    let mismatch = |what: &str, measured: &str, here: &str| {
        wrong(format!("it was fitted to {measured}, and this system has {here}"))
            .help(format!("take `{what}` out of {shown} if its times hold here too"))
    };
    if let Some(name) = &file.model {
        let measured = ModelSpec::shipped(name).map_or_else(|_| name.clone(), |model| model.name);
        if measured != model.name {
            return Err(mismatch("model", &measured, &model.name));
        }
    }
    if let Some(name) = &file.device {
        let measured = DeviceSpec::shipped(name).map_or_else(|_| name.clone(), |device| device.name);
        if measured != device.name {
            return Err(mismatch("device", &measured, &device.name));
        }
    }
    if let Some(size) = file.tensor_parallel_size
        && size != tensor_parallel_size
    {
        let gpus = |size: u32| format!("tensor_parallel_size = {size}");
        return Err(mismatch("tensor_parallel_size", &gpus(size), &gpus(tensor_parallel_size)));
    }
    Ok(Some(Fitted { form: Form::Polynomial(file), path }))
}

/// Which form a file says it has.
fn form_of(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("form")?.as_str()?.to_owned())
}

fn same_device(name: &str, device: &DeviceSpec) -> bool {
    DeviceSpec::shipped(name).map_or_else(|_| name.to_owned(), |device| device.name) == device.name
}
