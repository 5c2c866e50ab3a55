//! What a table says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the format that this program writes, and the only one it reads.
pub(super) const FORMAT: u32 = 1;

/// Where timings come from and how they were taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the format.
    pub format: u32,
    /// Name of the kind of kernel.
    pub kernel: String,
    /// Name of the device, that of a device file.
    pub device: String,
    /// Whether operands came from device memory or lay in caches from the repetition before.
    pub cache: Cache,
    /// How kernels were launched.
    pub launch: Launch,
    /// Who measured, with what, under which licence.
    pub source: String,
    /// Day of the measurement or of its publication, `YYYY-MM-DD`, or `unknown`.
    pub date: String,
    /// Version of the GPU's driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Versions of the libraries and engines whose kernels were timed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub libraries: BTreeMap<String, String>,
    /// Clocks of the GPU meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
    /// What lies between the servers of rows with several, as [`Interconnect::named`](crate::topology::Interconnect::named)
    /// has it; such rows of a table that does not say it price nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Board power limit in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<f64>,
    /// Whether times hold only relative to each other, because all have something in them beside the kernel: such a table
    /// tells how shapes differ, and no step is priced from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relative: bool,
    /// What a reader should know beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// `sha256:` and the hexadecimal digest of everything behind the header; checked where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Where operands lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// In device memory, as weights do in a serving step.
    Cold,
    /// In caches as far as they fit, because the kernel was repeated on the same operands.
    Warm,
    /// Not recorded.
    Unknown,
}

/// How kernels were launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launch {
    /// By CUDA graphs: times hold no launches.
    Graph,
    /// One after another into a stream; launches hide behind kernels that are long enough.
    Stream,
    /// One by one by a framework: short kernels take as long as their launch.
    Eager,
    /// Not recorded.
    Unknown,
}

/// Clocks of a GPU in MHz.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Highest of the streaming multiprocessors.
    pub sm_max_mhz: u32,
    /// Highest of the memory.
    pub memory_max_mhz: u32,
    /// Whether they were locked.
    pub locked: bool,
}

/// Whether a text is a day of the (Gregorian) calendar, `YYYY-MM-DD`.
pub fn is_calendar_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, digits: usize| {
        let is_one = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_one { part.parse::<u32>().ok() } else { None }
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

impl Header {
    /// A header for a kind of kernel on a device, with what must be said; the rest is empty.
    pub fn new(kernel: super::Kernel, device: &str, cache: Cache, launch: Launch, source: &str, date: &str) -> Self {
        Self {
            format: FORMAT,
            kernel: kernel.name().to_string(),
            device: device.to_string(),
            cache,
            launch,
            source: source.to_string(),
            date: date.to_string(),
            driver: None,
            libraries: BTreeMap::new(),
            clocks: None,
            network: None,
            power_limit_w: None,
            relative: false,
            notes: None,
            digest: None,
        }
    }
}
