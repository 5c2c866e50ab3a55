//! The arithmetic of a memory plan.

use super::workspace::{activation_bytes, overhead_bytes};
use super::{MemoryOptions, MemoryPlan, StageMemory};
use crate::device::DeviceSpec;
use crate::error::{DoesNotFit, ProfileError};
use crate::model::{LayerSpec, ModelSpec, QuantizedParts};
use crate::parallel::{DType, Parallelism, Precision};
use crate::step::LayerRange;

/// Bytes of biases, norms, routers, tables and states: 16 bits per element.
const PLAIN: DType = DType::Bf16;

/// Plans every stage, all inputs being valid but for `options`.
pub(super) fn plan(
    model: &ModelSpec,
    device: &DeviceSpec,
    parallelism: Parallelism,
    precision: Precision,
    options: MemoryOptions,
) -> Result<MemoryPlan, ProfileError> {
    check(options)?;
    let stages = stages(model, device, parallelism, precision, options);
    if let Some((index, stage)) = stages.iter().enumerate().find(|(_, stage)| missing(stage, options) > 0) {
        let smallest = smallest_fitting_tp(model, device, parallelism, precision, options);
        let sequences = if stages.iter().any(|stage| stage.state_bytes > 0) {
            largest_fitting_sequences(model, device, parallelism, precision, options)
        } else {
            None
        };
        return Err(does_not_fit(model, device, options, (index, stage), (smallest, sequences)));
    }
    let fewest = stages.iter().filter_map(|stage| stage.kv_blocks).min();
    let sequences = u64::from(options.max_num_seqs);
    let without_cache = sequences * u64::from(model.max_position_embeddings.div_ceil(options.block_size));
    let kv_blocks = options.num_gpu_blocks_override.or(fewest).unwrap_or(without_cache);
    Ok(MemoryPlan {
        stages,
        block_size: options.block_size,
        kv_blocks,
        kv_tokens: kv_blocks.saturating_mul(u64::from(options.block_size)),
        kv_bytes_per_token: model.kv_bytes_per_token(precision.kv_cache),
    })
}

fn check(options: MemoryOptions) -> Result<(), ProfileError> {
    let wrong = |setting, value: String, problem: &str| {
        Err(ProfileError::MemorySetting { setting, value, problem: problem.into() })
    };
    let share = options.gpu_memory_utilization;
    if !(share > 0.0 && share <= 1.0) {
        return wrong("gpu_memory_utilization", share.to_string(), "use a share above 0 and up to 1, such as 0.9");
    }
    for (setting, value) in [
        ("max_num_batched_tokens", options.max_num_batched_tokens),
        ("max_num_seqs", options.max_num_seqs),
        ("block_size", options.block_size),
    ] {
        if value == 0 {
            return wrong(setting, value.to_string(), "use 1 or more");
        }
    }
    if options.num_gpu_blocks_override == Some(0) {
        return wrong("num_gpu_blocks_override", "0".into(), "use 1 or more, or leave it out");
    }
    Ok(())
}

fn stages(
    model: &ModelSpec,
    device: &DeviceSpec,
    parallelism: Parallelism,
    precision: Precision,
    options: MemoryOptions,
) -> Vec<StageMemory> {
    let budget_bytes = (device.memory_bytes as f64 * options.gpu_memory_utilization) as u64;
    let ranges = parallelism.stages(model.layers.len() as u32);
    ranges
        .into_iter()
        .map(|range| {
            let slices: Vec<LayerSpec> =
                model.layers[range.start as usize..range.end as usize].iter().map(|l| l.slice(parallelism)).collect();
            let kv_elements = slices.iter().map(|layer| layer.mixer.kv_elements_per_token()).sum();
            let state_elements: u64 = slices.iter().map(|layer| layer.mixer.state_elements_per_sequence()).sum();
            let mut stage = StageMemory {
                layers: range,
                budget_bytes,
                weights_bytes: weights_bytes(model, parallelism, precision, range, &slices),
                activation_bytes: activation_bytes(model, parallelism, options, range, &slices),
                overhead_bytes: overhead_bytes(parallelism),
                state_bytes: PLAIN.bytes(state_elements) * u64::from(options.max_num_seqs),
                kv_bytes_per_token: precision.kv_cache.bytes(kv_elements),
                kv_blocks: None,
            };
            let block_bytes = stage.kv_bytes_per_token * u64::from(options.block_size);
            stage.kv_blocks = budget_bytes.saturating_sub(stage.fixed_bytes()).checked_div(block_bytes);
            stage
        })
        .collect()
}

/// Weights on each GPU of the stage that holds `range`, whose layers are cut into `slices`.
fn weights_bytes(
    model: &ModelSpec,
    parallelism: Parallelism,
    precision: Precision,
    range: LayerRange,
    slices: &[LayerSpec],
) -> u64 {
    let other = model.dtype_outside_experts(precision);
    let hidden = u64::from(model.hidden_size);
    let norm = hidden * if model.norm_bias { 2 } else { 1 };
    let mut bytes = 0;
    for (whole, slice) in model.layers[range.start as usize..range.end as usize].iter().zip(slices) {
        let part = slice.parameters(model.hidden_size);
        bytes += other.bytes(part.mixers + part.dense_ffn + part.shared_experts);
        bytes += precision.weights.bytes(part.routed_experts);
        bytes += PLAIN.bytes(whole.parameters(model.hidden_size).routers + whole.norms() * norm);
    }
    let first = range.start == 0;
    let last = range.end as usize == model.layers.len();
    let table = PLAIN.bytes(u64::from(vocab_per_gpu(model, parallelism)) * hidden);
    if first {
        bytes += table + PLAIN.bytes(u64::from(model.position_embeddings) * hidden);
    }
    if last {
        let shares_table = first && model.tie_word_embeddings;
        bytes += PLAIN.bytes(norm) + if shares_table { 0 } else { table };
    }
    bytes
}

/// Rows of the embedding table on each GPU: vLLM pads the vocabulary to a multiple of 64 and cuts it evenly.
pub(super) fn vocab_per_gpu(model: &ModelSpec, parallelism: Parallelism) -> u32 {
    const PADDING: u32 = 64;
    model.vocab_size.next_multiple_of(PADDING).div_ceil(parallelism.tensor_parallel_size)
}

impl ModelSpec {
    /// Number format of the linear layers that are not routed experts when the replica runs at `precision`: 16 bits if
    /// the published checkpoint quantises experts only and `precision` is the checkpoint's.
    pub fn dtype_outside_experts(&self, precision: Precision) -> DType {
        match &self.weights_dtype_hint {
            Some(hint) if hint.parts == QuantizedParts::ExpertsOnly && hint.dtype == precision.weights => PLAIN,
            _ => precision.weights,
        }
    }
}

impl StageMemory {
    /// Bytes that are taken before the first KV block.
    pub fn fixed_bytes(&self) -> u64 {
        self.weights_bytes + self.activation_bytes + self.overhead_bytes + self.state_bytes
    }
}

/// Bytes by which `stage` exceeds its budget with one KV block.
fn missing(stage: &StageMemory, options: MemoryOptions) -> u64 {
    needed(stage, options).saturating_sub(stage.budget_bytes)
}

fn needed(stage: &StageMemory, options: MemoryOptions) -> u64 {
    let blocks = options.num_gpu_blocks_override.unwrap_or(1);
    let block_bytes = stage.kv_bytes_per_token.saturating_mul(u64::from(options.block_size));
    // Block counts that somebody gives know no bound; what overflows does not fit either.
    stage.fixed_bytes().saturating_add(block_bytes.saturating_mul(blocks))
}

fn fits(
    model: &ModelSpec,
    device: &DeviceSpec,
    parallelism: Parallelism,
    precision: Precision,
    options: MemoryOptions,
) -> bool {
    stages(model, device, parallelism, precision, options).iter().all(|stage| missing(stage, options) == 0)
}

fn smallest_fitting_tp(
    model: &ModelSpec,
    device: &DeviceSpec,
    parallelism: Parallelism,
    precision: Precision,
    options: MemoryOptions,
) -> Option<u32> {
    parallelism.tensor_sizes(model).into_iter().find(|&tensor_parallel_size| {
        let wider = Parallelism { tensor_parallel_size, ..parallelism };
        wider.validate(model).is_ok() && fits(model, device, wider, precision, options)
    })
}

/// Largest `max_num_seqs` below that of `options`, which does not fit, at which all stages fit, all else equal.
fn largest_fitting_sequences(
    model: &ModelSpec,
    device: &DeviceSpec,
    parallelism: Parallelism,
    precision: Precision,
    options: MemoryOptions,
) -> Option<u32> {
    let fits = |max_num_seqs| fits(model, device, parallelism, precision, MemoryOptions { max_num_seqs, ..options });
    // States grow with the sequences, so that fewer fit where more do: `fitting` fits or is 0, `exceeding` does not.
    let (mut fitting, mut exceeding) = (0, options.max_num_seqs);
    while exceeding - fitting > 1 {
        let middle = fitting + (exceeding - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            exceeding = middle;
        }
    }
    (fitting > 0).then_some(fitting)
}

fn does_not_fit(
    model: &ModelSpec,
    device: &DeviceSpec,
    options: MemoryOptions,
    (index, stage): (usize, &StageMemory),
    (smallest_fitting_tp, largest_fitting_sequences): (Option<u32>, Option<u32>),
) -> ProfileError {
    let by_width = match smallest_fitting_tp {
        Some(size) => format!("the smallest tensor_parallel_size that fits is {size}"),
        None => {
            "no tensor_parallel_size up to 64 fits; use more pipeline stages, narrower weights, or a larger GPU".into()
        }
    };
    let advice = match largest_fitting_sequences {
        Some(sequences) => format!(
            "sequence states are held for max_num_seqs = {} sequences: lower it, {sequences} is the most that fits; at \
             {} sequences, {by_width}",
            options.max_num_seqs, options.max_num_seqs
        ),
        None => by_width,
    };
    ProfileError::DoesNotFit(Box::new(DoesNotFit {
        model: model.name.clone(),
        device: device.name.clone(),
        stage: index as u32,
        needed_bytes: needed(stage, options),
        weights_bytes: stage.weights_bytes,
        workspace_bytes: stage.activation_bytes + stage.overhead_bytes,
        state_bytes: stage.state_bytes,
        memory_bytes: device.memory_bytes,
        gpu_memory_utilization: options.gpu_memory_utilization,
        budget_bytes: stage.budget_bytes,
        missing_bytes: missing(stage, options),
        smallest_fitting_tp,
        advice,
    }))
}
