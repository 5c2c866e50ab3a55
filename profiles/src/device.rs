//! GPUs as their datasheets describe them.

mod file;
mod shipped;

use crate::cost::Architecture;

/// An accelerator.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSpec {
    /// Name used in experiment files, such as `H100-SXM-80GB`.
    pub name: String,
    /// Other names that mean the same device.
    pub aliases: Vec<String>,
    /// Whose kernels' efficiency curves hold for it, as its file says; `None`: it is told from the name.
    pub architecture: Option<Architecture>,
    /// Device memory in bytes, as the driver reports it to an engine (`cudaMemGetInfo`): 1-8 % less than the name says.
    pub memory_bytes: u64,
    /// Memory bandwidth in bytes/s.
    pub memory_bandwidth: f64,
    /// Dense bf16/fp16 tensor peak in FLOP/s, with f32 accumulation.
    pub bf16_flops: f64,
    /// Dense fp8 tensor peak in FLOP/s, with f32 accumulation; `None`: the device has none.
    pub fp8_flops: Option<f64>,
    /// Dense int8 tensor peak in op/s; `None`: the device has none.
    pub int8_ops: Option<f64>,
    /// Streaming multiprocessors.
    pub sms: u32,
    /// L2 cache in bytes.
    pub l2_bytes: u64,
    /// Board power limit in watts.
    pub power_limit_w: f64,
    /// Board power when idle, in watts.
    pub idle_power_w: f64,
    /// Bandwidth to a peer in the same server, one direction, in bytes/s: NVLink, or PCIe where there is none.
    pub peer_bandwidth: f64,
    /// Which link that is, such as `NVLink 4`.
    pub peer_link: String,
    /// Rental price in US dollars per device-hour.
    pub usd_per_hour: f64,
    /// Where the datasheet figures come from, with the date they were read.
    pub source: String,
    /// Where the price comes from, with its date.
    pub price_source: String,
}

impl DeviceSpec {
    /// Whether `name` means this device: its name or an alias, in upper or lower case.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Dense tensor peak in op/s for activations of `dtype`; `None`: the device has no such tensor cores.
    pub fn peak_ops(&self, dtype: crate::DType) -> Option<f64> {
        match dtype {
            crate::DType::Bf16 => Some(self.bf16_flops),
            crate::DType::Fp8 => self.fp8_flops,
            crate::DType::Int8 => self.int8_ops,
            crate::DType::Int4 => None,
        }
    }
}
