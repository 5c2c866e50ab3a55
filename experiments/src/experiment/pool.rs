//! Replicas of one kind: all of a system, or those that prefill or decode.

use calibration::replay::schedule::RunHeader;
use profiles::cost::CostOptions;
use profiles::topology::{Interconnect, ServerSpec};
use profiles::{CostModel, DType, DeviceSpec, ModelSpec, Parallelism, Precision};
use sim::{CheckpointSpec, KvSpec, Policy, ReplicaSpec, Role, SchedulerSpec};

use super::kernels::Library;
use super::offload::Offload;
use super::prefix_cache::Memory;
use super::pricing::{Deployed, Pricing};
use super::{Digest, memory, prefix_cache, profile, schedule, scheduler};
use crate::diagnostic::{Problem, Sources};
use crate::file::key::{Key, MAX_COUNT};
use crate::file::keys::offload::ATTENTION_OFFLOAD;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// Replicas of one kind.
pub(crate) struct Pool {
    /// What the user calls it: the system's name, and the role where that has pools.
    name: String,
    /// What its replicas do.
    pub(crate) role: Role,
    /// What they run on, with the file's own price and power.
    pub(crate) device: DeviceSpec,
    /// Schedulers behind the router: replicas times data-parallel ranks.
    pub(crate) engines: u32,
    /// How each replica is spread.
    pub(crate) parallelism: Parallelism,
    /// Number formats.
    pub(crate) precision: Precision,
    /// How steps are composed.
    pub(crate) scheduler: SchedulerSpec,
    /// The KV cache of each engine.
    pub(crate) kv: KvSpec,
    /// What each engine keeps of prefixes with checkpoints.
    checkpoints: Option<CheckpointSpec>,
    /// Whether the file says what a GPU costs, in place of the device.
    pub(crate) price_given: bool,
    /// Longest request.
    pub(crate) max_model_len: u32,
    /// What that was before it came down to what the KV cache holds, if it did.
    lowered_from: Option<u32>,
    /// Where its attention is computed, if not where everything else is.
    pub(crate) offload: Option<Offload>,
    /// Sliding window of its windowed layers in tokens, if it has any.
    pub(crate) sliding_window: Option<u32>,
    /// What its steps cost.
    pub(super) pricing: Pricing,
    /// Head of its schedules, but for the seed.
    header: RunHeader,
}

impl Pool {
    /// Reads the keys that say it of `system`.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        system: &str,
        role: Role,
        model: &ModelSpec,
        sources: &Sources,
        library: &Library,
    ) -> Result<Self, Problem> {
        let device = device(reader, sources)?;
        let replicas: u32 = reader.get(&s::REPLICAS);
        let parallelism = parallelism(reader, model)?;
        let precision = precision(reader, model, &device)?;
        let max_model_len = max_model_len(reader, model)?;
        let scheduler = scheduler::read(reader, model, &device, max_model_len, parallelism)?;
        if role != Role::Serve && matches!(scheduler.policy, Policy::BatchLlm { .. }) {
            let problem = reader.problem(&s::SCHEDULER, "BatchLLM runs on replicas that serve whole requests");
            return Err(problem.label("a group's prefix stays with its members, and is not handed over"));
        }
        let sliding_window = memory::sliding_window(reader, model)?;
        let Memory { mut kv, checkpoints } =
            memory::kv(reader, model, &device, (parallelism, precision), scheduler, max_model_len, role)?;
        let utilization: f64 = reader.get(&s::GPU_MEMORY_UTILIZATION);
        let offload = Offload::read(reader, sources, utilization)?;
        if let Some(offload) = &offload {
            if role == Role::Prefill {
                let problem = reader.problem(&ATTENTION_OFFLOAD, "a prefill pool cannot offload attention");
                return Err(problem.label("it is decoding that attention workers are for"));
            }
            if !reader.has(&s::NUM_GPU_BLOCKS_OVERRIDE) {
                kv.blocks = offload.kv_blocks(reader, model, precision, kv.block_size)?;
            }
        }
        let lengths_unknown = !reader.has(&s::MAX_MODEL_LEN) && model.has_unnamed_context();
        let fits: bool = reader.or(&s::FIT_MAX_MODEL_LEN, || lengths_unknown);
        let asked = max_model_len;
        let max_model_len = if fits { memory::longest_that_fits(kv, asked) } else { asked };
        let deployed = Deployed {
            model,
            device: &device,
            parallelism,
            precision,
            scheduler,
            max_model_len,
            offload: offload.as_ref(),
        };
        let kept = KvSpec { prefix_caching: kv.prefix_caching || checkpoints.is_some(), ..kv };
        let head = |options: &CostOptions<'_>| {
            schedule::header(system, options, scheduler, kept, max_model_len, sliding_window)
        };
        let measured = library.read(reader, &device, sources)?;
        let (pricing, header) = Pricing::read(reader, deployed, sources, measured, head)?;
        let window = sliding_window.filter(|window| *window < max_model_len);
        if pricing.is_vllm() && offload.is_none() && window.is_none() && !reader.has(&s::NUM_GPU_BLOCKS_OVERRIDE) {
            memory::holds_longest_request(reader, kv, max_model_len)?;
        }
        let name = if reader.has(&s::NAME) { system.to_owned() } else { format!("{system}, {}", role.name()) };
        let engines = replicas * parallelism.data_parallel_size;
        Ok(Pool {
            name,
            role,
            device,
            engines,
            parallelism,
            precision,
            scheduler,
            kv,
            checkpoints,
            price_given: reader.has(&s::USD_PER_GPU_HOUR),
            max_model_len,
            lowered_from: (max_model_len < asked).then_some(asked),
            offload,
            sliding_window,
            pricing,
            header,
        })
    }

    /// What its steps cost, new for one replica.
    pub(crate) fn cost(&self) -> Box<dyn CostModel> {
        self.pricing.cost()
    }

    /// Whether FLOPs, bytes and energy of its steps are known beside times.
    pub(crate) fn knows_work(&self) -> bool {
        self.pricing.knows_work()
    }

    /// Whether its requests are grouped by prefixes.
    pub(super) fn groups_prefixes(&self) -> bool {
        self.scheduler.policy.groups_prefixes()
    }

    /// GPUs of its own kind in one engine, without attention workers.
    fn gpus_per_engine(&self) -> u32 {
        let replicas = self.offload.as_ref().map_or(1, Offload::model_replicas);
        self.parallelism.tensor_parallel_size * self.parallelism.pipeline_parallel_size * replicas
    }

    /// Attention workers of one engine.
    fn workers_per_engine(&self) -> u32 {
        self.offload.as_ref().map_or(0, |offload| offload.workers)
    }

    /// What the KV cache of an engine lies on: what kind of GPU, and how many.
    pub(super) fn kv_gpus(&self) -> (&DeviceSpec, u32) {
        match &self.offload {
            Some(offload) => (&offload.device, offload.workers),
            None => (&self.device, self.gpus_per_engine()),
        }
    }

    /// The servers that these GPUs are in.
    pub(super) fn kv_server(&self) -> ServerSpec {
        match (&self.offload, self.pricing.servers()) {
            (None, Some(servers)) => servers.server,
            _ => ServerSpec::for_device(self.kv_gpus().0),
        }
    }

    /// The network between the servers of its replicas, if the file names it.
    pub(super) fn network(&self) -> Option<Interconnect> {
        self.pricing.servers().map(|servers| servers.network)
    }

    /// A figure of all GPUs of one engine.
    fn per_engine(&self, of: impl Fn(&DeviceSpec) -> f64) -> f64 {
        let workers = self.offload.as_ref().map_or(0.0, |offload| f64::from(offload.workers) * of(&offload.device));
        f64::from(self.gpus_per_engine()) * of(&self.device) + workers
    }

    /// Its replicas, new for one run.
    pub(super) fn replicas(&self) -> impl Iterator<Item = ReplicaSpec> + '_ {
        let devices = self.gpus_per_engine() + self.workers_per_engine();
        let idle_power_w = self.per_engine(|device| device.idle_power_w);
        (0..self.engines).map(move |_| ReplicaSpec {
            role: self.role,
            scheduler: self.scheduler,
            kv: self.kv,
            checkpoints: self.checkpoints,
            max_model_len: self.max_model_len,
            cost: self.pricing.cost(),
            sliding_window: self.sliding_window,
            devices,
            idle_power_w,
            engine: self.pricing.engine(),
        })
    }

    /// What the schedule of a run with this seed begins with.
    pub(super) fn schedule_header(&self, seed: u64) -> RunHeader {
        RunHeader { seed, ..self.header.clone() }
    }

    /// What its reader has to know to judge its figures.
    pub(super) fn notes(&self, model: &ModelSpec) -> Vec<String> {
        let of_prices = self.pricing.notes();
        let mut notes: Vec<String> = of_prices.iter().map(|said| format!("note: `{}`: {said}", self.name)).collect();
        let kv_tokens = u64::from(self.kv.blocks) * u64::from(self.kv.block_size);
        if kv_tokens < u64::from(self.max_model_len) {
            notes.push(format!(
                "note: `{}`: the KV cache of an engine holds {kv_tokens} tokens, fewer than max_model_len = {}: longer requests are \
                 rejected",
                self.name, self.max_model_len
            ));
        }
        if let Some(asked) = self.lowered_from {
            notes.push(format!(
                "note: `{}`: max_model_len = {} is what the KV cache of an engine holds, lowered from {asked}",
                self.name, self.max_model_len
            ));
        }
        if let Some(window) = self.sliding_window.filter(|window| *window < self.max_model_len) {
            notes.push(format!(
                "note: `{}`: layers of {} with a sliding window of {window} tokens are charged KV cache for the whole context; \
                 vLLM frees the blocks outside the window, so the capacity is understated",
                self.name, model.name
            ));
        }
        notes
    }

    /// Files beside the experiment that it stands on.
    pub(super) fn files(&self) -> impl Iterator<Item = &std::path::PathBuf> {
        self.pricing.files()
    }

    /// Power of all its devices together when idle, in watts.
    pub(super) fn idle_power_w(&self) -> f64 {
        f64::from(self.engines) * self.per_engine(|device| device.idle_power_w)
    }

    /// GPUs of all engines.
    pub(crate) fn devices(&self) -> u32 {
        self.engines * (self.gpus_per_engine() + self.workers_per_engine())
    }

    /// Price of all its devices in US dollars per hour.
    pub(crate) fn usd_per_hour(&self) -> f64 {
        f64::from(self.engines) * self.per_engine(|device| device.usd_per_hour)
    }

    /// Engines of whose work anything is known: without a peak there is no utilisation, as there has to be none otherwise.
    fn known_engines(&self) -> f64 {
        if self.pricing.knows_work() { f64::from(self.engines) } else { 0.0 }
    }

    /// Peak rate of all its devices in FLOP/s, 0 where nothing is known of their work.
    pub(super) fn peak_flops(&self) -> f64 {
        let activations = self.precision.activations;
        self.known_engines() * self.per_engine(|device| device.peak_ops(activations).unwrap_or(device.bf16_flops))
    }

    /// Peak bandwidth of all their memories in bytes/s, 0 likewise.
    pub(super) fn peak_memory_bytes_per_s(&self) -> f64 {
        self.known_engines() * self.per_engine(|device| device.memory_bandwidth)
    }

    /// What it came to, in one line.
    pub(super) fn describe(&self, model: &ModelSpec) -> String {
        format!(
            "{}: {} on {} x {}, {} KV blocks of {} tokens per engine, {:?}, max_num_batched_tokens = {}, max_num_seqs = {}, \
             max_model_len = {}, {} weights, {} activations, {} KV cache{}{}",
            self.name,
            model.name,
            self.engines * self.gpus_per_engine(),
            self.device.name,
            self.kv.blocks,
            self.kv.block_size,
            self.scheduler.policy,
            self.scheduler.max_num_batched_tokens,
            self.scheduler.max_num_seqs,
            self.max_model_len,
            self.precision.weights,
            self.precision.activations,
            self.precision.kv_cache,
            prefix_cache::describe(&self.kv, self.checkpoints.as_ref()),
            self.offload.as_ref().map_or(String::new(), Offload::describe),
        )
    }

    /// Digests of what it stands on.
    pub(super) fn digests(&self) -> [Digest; 2] {
        [
            Digest {
                of: format!("device {}", self.device.name),
                sha256: profile::sha256(&format!("{:?}", self.device)),
            },
            Digest { of: format!("step costs of {}", self.name), sha256: profile::sha256(&self.pricing.price_list()) },
        ]
    }
}

/// The device, with what the file says of it.
fn device(reader: &mut Reader<'_>, sources: &Sources) -> Result<DeviceSpec, Problem> {
    let mut device = profile::device(reader, &s::GPU, sources)?;
    device.usd_per_hour = reader.or(&s::USD_PER_GPU_HOUR, || device.usd_per_hour);
    device.idle_power_w = reader.or(&s::IDLE_POWER, || device.idle_power_w);
    if !reader.has(&s::STEP_COST) {
        device.power_limit_w = reader.or(&s::POWER_LIMIT, || device.power_limit_w);
    }
    if device.idle_power_w > device.power_limit_w {
        let key = if reader.has(&s::IDLE_POWER) { &s::IDLE_POWER } else { &s::POWER_LIMIT };
        let label = format!("idle {} W, limit {} W", device.idle_power_w, device.power_limit_w);
        return Err(reader.problem(key, "idle power is above the power limit").label(label));
    }
    Ok(device)
}

fn parallelism(reader: &mut Reader<'_>, model: &ModelSpec) -> Result<Parallelism, Problem> {
    let parallelism = Parallelism {
        tensor_parallel_size: reader.get(&s::TENSOR_PARALLEL_SIZE),
        pipeline_parallel_size: reader.get(&s::PIPELINE_PARALLEL_SIZE),
        data_parallel_size: reader.get(&s::DATA_PARALLEL_SIZE),
        enable_expert_parallel: reader.get(&s::ENABLE_EXPERT_PARALLEL),
    };
    let keys: [&'static Key; 4] =
        [&s::TENSOR_PARALLEL_SIZE, &s::PIPELINE_PARALLEL_SIZE, &s::DATA_PARALLEL_SIZE, &s::ENABLE_EXPERT_PARALLEL];
    parallelism.validate(model).map_err(|error| {
        let message = error.to_string();
        let key = keys.into_iter().find(|key| message.starts_with(key.name));
        let key = key.or_else(|| keys.into_iter().find(|key| message.contains(key.name))).unwrap_or(keys[0]);
        reader.problem(key, format!("{} cannot be spread over GPUs this way", model.name)).label(message)
    })?;
    Ok(parallelism)
}

fn precision(reader: &mut Reader<'_>, model: &ModelSpec, device: &DeviceSpec) -> Result<Precision, Problem> {
    let _costs_the_same: String = reader.get(&s::DTYPE);
    let quantization = reader.or(&s::QUANTIZATION, || own_quantization(model, device).to_owned());
    let (weights, activations) = match quantization.as_str() {
        "none" => (DType::Bf16, DType::Bf16),
        "fp8" => (DType::Fp8, DType::Fp8),
        "fp8-weights" => (DType::Fp8, DType::Bf16),
        "int8" => (DType::Int8, DType::Int8),
        "int8-weights" => (DType::Int8, DType::Bf16),
        "int4" => (DType::Int4, DType::Bf16),
        "int4-fp8" => (DType::Int4, DType::Fp8),
        other => unreachable!("`{other}` is no choice"),
    };
    let kv: String = reader.get(&s::KV_CACHE_DTYPE);
    let kv_cache = match kv.as_str() {
        "fp8" => DType::Fp8,
        "int8" => DType::Int8,
        _ => DType::Bf16,
    };
    let precision = Precision { weights, activations, kv_cache };
    precision.validate(device).map_err(|error| {
        reader.problem(&s::QUANTIZATION, "these number formats do not go together here").label(error.to_string())
    })?;
    Ok(precision)
}

/// The quantisation a checkpoint comes in, as its `config.json` says.
fn own_quantization(model: &ModelSpec, device: &DeviceSpec) -> &'static str {
    match model.weights_dtype_hint.as_ref().map(|hint| hint.dtype) {
        None | Some(DType::Bf16) => "none",
        Some(DType::Fp8) if device.fp8_flops.is_some() => "fp8",
        Some(DType::Fp8) => "fp8-weights",
        Some(DType::Int8) if device.int8_ops.is_some() => "int8",
        Some(DType::Int8) => "int8-weights",
        Some(DType::Int4) => "int4",
    }
}

fn max_model_len(reader: &mut Reader<'_>, model: &ModelSpec) -> Result<u32, Problem> {
    let longest = model.max_position_embeddings;
    let asked = reader.or(&s::MAX_MODEL_LEN, || longest.min(MAX_COUNT as u32));
    if asked > longest {
        return Err(reader
            .problem(&s::MAX_MODEL_LEN, format!("{} was not made for so long requests", model.name))
            .label(format!("at most {longest}, its `max_position_embeddings`")));
    }
    Ok(asked)
}
