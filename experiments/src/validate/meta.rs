//! `meta.json`: what a folder says of its run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::NotScored;

/// Fields that describe a run to people and change nothing of its simulation.
const DESCRIPTIVE: [&str; 20] = [
    "source_repo",
    "source_path",
    "commit",
    "licence",
    "experiment",
    "workload",
    "driver",
    "units",
    "definitions",
    "oddities",
    "needs",
    "content",
    "columns",
    "upstream_split",
    "matching_kernel_profiles",
    "hardware",
    "dp_note",
    "data_parallel_kind",
    "model_config",
    "resolved_config_excerpt",
];

/// The metadata of a case. Remembers which fields were asked for, so that what nobody used can be told.
#[derive(Debug)]
pub(super) struct Meta {
    path: PathBuf,
    value: Value,
    asked: RefCell<BTreeSet<String>>,
}

impl Meta {
    /// Reads the file of a folder.
    ///
    /// # Errors
    /// If there is none, or it is not a JSON object.
    pub(super) fn read(folder: &Path) -> Result<Self, NotScored> {
        let path = folder.join("meta.json");
        if !path.is_file() {
            let needed = "it says which model, GPU and engine settings were measured";
            return Err(NotScored::Missing { path, needed });
        }
        let text = std::fs::read_to_string(&path).map_err(NotScored::unreadable(&path))?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| NotScored::Unreadable { path: path.clone(), why: error.to_string() })?;
        if !value.is_object() {
            return Err(NotScored::Unreadable { path, why: "it is not a JSON object".to_owned() });
        }
        Ok(Meta { path, value, asked: RefCell::default() })
    }

    /// The value at a path with dots; `null` counts as absent.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.asked.borrow_mut().insert(field.to_owned());
        let found = field.split('.').try_fold(&self.value, |value, key| value.get(key))?;
        (!found.is_null()).then_some(found)
    }

    /// A problem with a field.
    pub(super) fn wrong(&self, field: &str, expected: impl Into<String>) -> NotScored {
        let found = self.get(field).map_or_else(|| "absent".to_owned(), ToString::to_string);
        NotScored::Field { path: self.path.clone(), field: field.to_owned(), found, expected: expected.into() }
    }

    /// A text that may be absent.
    pub(super) fn text(&self, field: &str) -> Result<Option<&str>, NotScored> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(field, "a text"))
    }

    /// A text that has to be there.
    pub(super) fn needed(&self, field: &str, expected: &str) -> Result<&str, NotScored> {
        self.text(field)?.ok_or_else(|| self.wrong(field, expected))
    }

    /// A whole number above zero that may be absent.
    pub(super) fn count(&self, field: &str) -> Result<Option<u32>, NotScored> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let whole = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 1.0);
        let count = whole.filter(|number| *number <= f64::from(u32::MAX)).map(|number| number as u32);
        count.map(Some).ok_or_else(|| self.wrong(field, "a whole number above 0"))
    }

    /// A number that may be absent.
    pub(super) fn number(&self, field: &str) -> Result<Option<f64>, NotScored> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(field, "a number"))
    }

    /// `true` or `false`, or nothing. Where the data holds a sentence instead ("on by default"), that is no answer.
    pub(super) fn flag(&self, field: &str) -> Option<bool> {
        self.get(field).and_then(Value::as_bool)
    }

    /// Fields that were not asked for and are not known to be mere description.
    pub(super) fn unused(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        let known =
            |field: &str| asked.contains(field) || asked.iter().any(|other| other.starts_with(&format!("{field}.")));
        let mut unused = Vec::new();
        for (key, value) in self.value.as_object().into_iter().flatten() {
            if DESCRIPTIVE.contains(&key.as_str()) {
                continue;
            }
            if !known(key) {
                unused.push(key.clone());
            } else if let (Some(inner), false) = (value.as_object(), asked.contains(key)) {
                let fields =
                    inner.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| format!("{key}.{name}"));
                unused.extend(fields.filter(|field| !known(field)));
            }
        }
        unused
    }
}
