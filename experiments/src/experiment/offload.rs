//! Attention workers of a pool.

use profiles::cost::{Architecture, CostOptions, EngineOverheads, OffloadOptions, OffloadedCost, Wire};
use profiles::topology::Interconnect;
use profiles::{DeviceSpec, MemoryOptions, MemoryPlan, ModelSpec, Parallelism, Precision, ProfileError};

use super::profile;
use crate::diagnostic::{Problem, Sources};
use crate::file::keys::offload as o;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// Attention workers of each replica, and how batches reach them.
#[derive(Clone)]
pub(crate) struct Offload {
    /// What they are, with the file's own price and power.
    pub(super) device: DeviceSpec,
    /// How many for each replica.
    pub(super) workers: u32,
    /// Batches on their way.
    pub(super) batches: u32,
    early_query: bool,
    wire: Wire,
    gpu_memory_utilization: f64,
}

impl Offload {
    /// Reads `[system.attention_offload]`, if there is one.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        sources: &Sources,
        gpu_memory_utilization: f64,
    ) -> Result<Option<Self>, Problem> {
        let offload = reader.table(&o::ATTENTION_OFFLOAD, |table| {
            let device = device(table, sources)?;
            let interconnect = Interconnect::named(&table.get::<String>(&o::NETWORK)).map_err(|error| {
                table.problem(&o::NETWORK, "this is not a network to send queries over").label(error.to_string())
            })?;
            let round_trip_s: f64 = table.get(&o::ROUND_TRIP);
            Ok(Offload {
                device,
                workers: table.get(&o::WORKERS),
                batches: table.get(&o::BATCHES),
                early_query: table.get(&o::EARLY_QUERY),
                wire: Wire {
                    bandwidth: interconnect.nic_bandwidth * interconnect.efficiency,
                    latency_ns: (round_trip_s / 2.0 * 1e9).round() as u64,
                },
                gpu_memory_utilization: table.or(&s::GPU_MEMORY_UTILIZATION, || gpu_memory_utilization),
            })
        })?;
        if offload.is_some() && reader.has(&s::STEP_COST) {
            let problem = reader.problem(&s::STEP_COST, "`step_cost` beside `attention_offload`");
            return Err(problem.label("a polynomial of whole steps does not say what attention takes"));
        }
        Ok(offload)
    }

    /// Replicas of the model workers that batches take turns on.
    pub(super) fn model_replicas(&self) -> u32 {
        self.batches.max(2) - 1
    }

    /// KV blocks that the workers of a replica hold together.
    pub(super) fn kv_blocks(
        &self,
        reader: &Reader<'_>,
        model: &ModelSpec,
        precision: Precision,
        block_size: u32,
    ) -> Result<u32, Problem> {
        let options = MemoryOptions {
            gpu_memory_utilization: self.gpu_memory_utilization,
            block_size,
            ..MemoryOptions::default()
        };
        let blocks = MemoryPlan::attention_blocks(model, &self.device, self.workers, precision, options);
        let blocks = blocks.map_err(|error| unusable(reader, &error))?;
        Ok(u32::try_from(blocks).unwrap_or(u32::MAX))
    }

    /// What steps cost whose other operators cost what `model_workers` says.
    pub(super) fn cost(&self, reader: &Reader<'_>, model_workers: &CostOptions<'_>) -> Result<OffloadedCost, Problem> {
        let architecture = Architecture::of(&self.device).map_err(|error| unusable(reader, &error))?;
        let parallelism = Parallelism { tensor_parallel_size: self.workers, ..Parallelism::default() };
        let attention_workers = CostOptions {
            device: &self.device,
            parallelism,
            link: None,
            servers: None,
            engine: EngineOverheads::none(),
            architecture: Some(architecture),
            fitted: None,
            kernels: None,
            ..model_workers.clone()
        };
        let options = OffloadOptions {
            model_workers: model_workers.clone(),
            attention_workers,
            wire: self.wire,
            early_query: self.early_query,
        };
        OffloadedCost::new(&options, self.batches).map_err(|error| unusable(reader, &error))
    }

    /// What it came to, in words.
    pub(super) fn describe(&self) -> String {
        format!(
            ", attention on {} x {} with {} batches on {} replicas of the model workers",
            self.workers,
            self.device.name,
            self.batches,
            self.model_replicas()
        )
    }
}

/// The device, with what the file says of it.
fn device(reader: &mut Reader<'_>, sources: &Sources) -> Result<DeviceSpec, Problem> {
    let mut device = profile::device(reader, &s::GPU, sources)?;
    device.usd_per_hour = reader.or(&s::USD_PER_GPU_HOUR, || device.usd_per_hour);
    device.idle_power_w = reader.or(&s::IDLE_POWER, || device.idle_power_w);
    device.power_limit_w = reader.or(&s::POWER_LIMIT, || device.power_limit_w);
    if device.idle_power_w > device.power_limit_w {
        let label = format!("idle {} W, limit {} W", device.idle_power_w, device.power_limit_w);
        return Err(reader.problem(&s::GPU, "idle power is above the power limit").label(label));
    }
    Ok(device)
}

fn unusable(reader: &Reader<'_>, error: &ProfileError) -> Problem {
    reader.problem(&o::ATTENTION_OFFLOAD, "attention cannot be offloaded this way").label(error.to_string())
}
