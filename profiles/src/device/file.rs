//! Device files.

use serde::Deserialize;

use super::DeviceSpec;
use crate::cost::Architecture;
use crate::error::ProfileError;

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;

/// A device file, in the units of datasheets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    architecture: Option<Architecture>,
    memory_gib: f64,
    memory_bandwidth_gb_per_s: f64,
    bf16_tflops: f64,
    fp8_tflops: Option<f64>,
    int8_tops: Option<f64>,
    sms: u32,
    l2_mib: f64,
    power_limit_w: f64,
    idle_power_w: f64,
    peer_link: String,
    peer_bandwidth_gb_per_s: f64,
    usd_per_hour: f64,
    source: String,
    price_source: String,
}

impl DeviceSpec {
    /// Reads a device file. Its keys, with the units of datasheets: `name`, `aliases` and `architecture` (may be left out), `memory_gib`,
    /// `memory_bandwidth_gb_per_s`, `bf16_tflops`, `fp8_tflops` and `int8_tops` (left out where there is none), `sms`,
    /// `l2_mib`, `power_limit_w`, `idle_power_w`, `peer_link`, `peer_bandwidth_gb_per_s` (one direction),
    /// `usd_per_hour`, `source`, `price_source`. Peaks are dense. `file` is the name used in errors.
    ///
    /// # Errors
    ///
    /// If the text is not TOML, a key is missing, unknown or of the wrong type, or a figure is not positive or out of any
    /// plausible range (which would be a wrong unit).
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ProfileError> {
        let syntax = |problem: String| ProfileError::Syntax { file: file.to_string(), problem };
        let from_toml = |error: toml::de::Error| syntax(error.to_string().trim_end().to_string());
        let table: toml::Table = toml::from_str(text).map_err(from_toml)?;
        keys_are_those(&table).map_err(syntax)?;
        let parsed: DeviceFile = toml::from_str(text).map_err(from_toml)?;
        parsed.check(file)?;
        let device = parsed.into_spec();
        match (device.architecture, Architecture::told_by_name(&device)) {
            (Some(said), Some(told)) if said != told => Err(ProfileError::Field {
                file: file.to_string(),
                field: "architecture".to_string(),
                problem: format!(
                    "{said:?}, but what is called {} is {told:?}; rename one or leave the other out",
                    device.name
                ),
            }),
            _ => Ok(device),
        }
    }
}

/// Says at once which keys are unknown and which are missing.
fn keys_are_those(table: &toml::Table) -> Result<(), String> {
    const NEEDED: [&str; 13] = [
        "name",
        "memory_gib",
        "memory_bandwidth_gb_per_s",
        "bf16_tflops",
        "sms",
        "l2_mib",
        "power_limit_w",
        "idle_power_w",
        "peer_link",
        "peer_bandwidth_gb_per_s",
        "usd_per_hour",
        "source",
        "price_source",
    ];
    const OPTIONAL: [&str; 4] = ["aliases", "architecture", "fp8_tflops", "int8_tops"];
    let quoted = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let known = |key: &str| NEEDED.contains(&key) || OPTIONAL.contains(&key);
    let unknown: Vec<&str> = table.keys().map(String::as_str).filter(|key| !known(key)).collect();
    let missing: Vec<&str> = NEEDED.into_iter().filter(|key| !table.contains_key(*key)).collect();
    let mut said = Vec::new();
    if !unknown.is_empty() {
        said.push(format!("not a key of a device file: {}", quoted(unknown)));
    }
    if !missing.is_empty() {
        said.push(format!("missing: {}", quoted(missing)));
    }
    if said.is_empty() { Ok(()) } else { Err(format!("{} (docs/gpu-file.md has an example)", said.join("; "))) }
}

impl DeviceFile {
    /// Refuses figures that can only be wrong units.
    fn check(&self, file: &str) -> Result<(), ProfileError> {
        let ranges = [
            ("memory_gib", Some(self.memory_gib), 1.0, 2000.0),
            ("memory_bandwidth_gb_per_s", Some(self.memory_bandwidth_gb_per_s), 10.0, 100_000.0),
            ("bf16_tflops", Some(self.bf16_tflops), 1.0, 100_000.0),
            ("fp8_tflops", self.fp8_tflops, 1.0, 100_000.0),
            ("int8_tops", self.int8_tops, 1.0, 100_000.0),
            ("sms", Some(f64::from(self.sms)), 1.0, 10_000.0),
            ("l2_mib", Some(self.l2_mib), 0.25, 10_000.0),
            ("power_limit_w", Some(self.power_limit_w), 1.0, 10_000.0),
            ("idle_power_w", Some(self.idle_power_w), 0.0, self.power_limit_w),
            ("peer_bandwidth_gb_per_s", Some(self.peer_bandwidth_gb_per_s), 0.1, 100_000.0),
            ("usd_per_hour", Some(self.usd_per_hour), 0.0, 1000.0),
        ];
        for (field, value, lowest, highest) in ranges {
            let Some(value) = value else { continue };
            if !(lowest..=highest).contains(&value) {
                return Err(ProfileError::Field {
                    file: file.to_string(),
                    field: field.to_string(),
                    problem: format!("{value} is out of range; expected {lowest} to {highest}"),
                });
            }
        }
        for (field, text) in [("name", &self.name), ("source", &self.source), ("price_source", &self.price_source)] {
            if text.trim().is_empty() {
                return Err(ProfileError::Field {
                    file: file.to_string(),
                    field: field.to_string(),
                    problem: "is empty".to_string(),
                });
            }
        }
        Ok(())
    }

    fn into_spec(self) -> DeviceSpec {
        DeviceSpec {
            name: self.name,
            aliases: self.aliases,
            architecture: self.architecture,
            memory_bytes: (self.memory_gib * GIB).round() as u64,
            memory_bandwidth: self.memory_bandwidth_gb_per_s * 1e9,
            bf16_flops: self.bf16_tflops * 1e12,
            fp8_flops: self.fp8_tflops.map(|tflops| tflops * 1e12),
            int8_ops: self.int8_tops.map(|tops| tops * 1e12),
            sms: self.sms,
            l2_bytes: (self.l2_mib * MIB).round() as u64,
            power_limit_w: self.power_limit_w,
            idle_power_w: self.idle_power_w,
            peer_bandwidth: self.peer_bandwidth_gb_per_s * 1e9,
            peer_link: self.peer_link,
            usd_per_hour: self.usd_per_hour,
            source: self.source,
            price_source: self.price_source,
        }
    }
}
