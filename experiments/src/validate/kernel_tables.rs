//! Kernel tables of several devices, handed to the cases that were measured on each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use profiles::DeviceSpec;

use crate::failure::Failure;
use crate::tables;
use crate::terminal::{Terminal, short};

/// Tables and whose they are.
#[derive(Debug, Default)]
pub(super) struct KernelTables(Vec<(String, PathBuf)>);

impl KernelTables {
    /// Reads which device each table is of. Folders are searched one level deep.
    ///
    /// # Errors
    /// A table that cannot be read; a device nobody knows.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut found = Vec::new();
        for path in paths {
            for file in files(path)? {
                let device = device(&file).map_err(Failure::Request)?;
                let known = DeviceSpec::shipped(&device).map_or(device, |device| device.name);
                found.push((known, std::path::absolute(&file).unwrap_or(file)));
            }
        }
        Ok(KernelTables(found))
    }

    /// Those of a device, in the order in which they were given.
    pub(super) fn of(&self, device: &str) -> Vec<PathBuf> {
        self.0.iter().filter(|(name, _)| name == device).map(|(_, path)| path.clone()).collect()
    }

    /// Says of each table that no case was measured on its device. Cases that cannot be simulated at all use none.
    ///
    /// # Errors
    /// If no case could use any: whoever named tables wants their figures.
    pub(super) fn check_use<'a>(
        &self,
        devices: impl Iterator<Item = &'a str>,
        terminal: Terminal,
    ) -> Result<(), Failure> {
        let devices: BTreeSet<&str> = devices.collect();
        if self.is_empty() || devices.is_empty() {
            return Ok(());
        }
        let unused: Vec<_> = self.0.iter().filter(|(device, _)| !devices.contains(device.as_str())).collect();
        for (device, path) in &unused {
            terminal
                .note(&format!("note: {} is not used: it is of {device}, which no case was measured on", short(path)));
        }
        if unused.len() < self.0.len() {
            return Ok(());
        }
        let measured_on = devices.into_iter().collect::<Vec<_>>().join(", ");
        Err(Failure::Request(format!(
            "no case can use any of the kernel tables: the cases were measured on {measured_on}; leave --kernel-tables out to \
             score them with fitted curves"
        )))
    }

    /// Whether there are none at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The tables below a path: itself, those in it, or those in the folders in it.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Request(format!("{}: {error}", path.display()));
    if !path.is_dir() {
        return tables::files(path).map_err(Failure::Request);
    }
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let inner = entry.map_err(unreadable)?.path();
        if inner.is_dir() {
            folders.push(inner);
        }
    }
    folders.sort();
    let mut all = tables::files(path).or_else(|error| if folders.is_empty() { Err(error) } else { Ok(Vec::new()) });
    for folder in folders {
        if let (Ok(all), Ok(inner)) = (&mut all, tables::files(&folder)) {
            all.extend(inner);
        }
    }
    all.map_err(Failure::Request)
}

/// Whose table it is: `device` of its header, without reading its rows.
fn device(path: &Path) -> Result<String, String> {
    let named = |problem: String| format!("{}: {problem}", path.display());
    let file = File::open(path).map_err(|error| named(error.to_string()))?;
    let is_packed = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    let text: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut header = String::new();
    for line in BufReader::new(text).lines() {
        let line = line.map_err(|error| named(error.to_string()))?;
        let Some(toml) = line.strip_prefix('#') else { break };
        header += toml;
        header.push('\n');
    }
    let table: toml::Table = toml::from_str(&header).map_err(|error| named(error.message().to_owned()))?;
    let device = table.get("device").and_then(toml::Value::as_str);
    device.map(str::to_owned).ok_or_else(|| named("its header names no `device`".to_owned()))
}
