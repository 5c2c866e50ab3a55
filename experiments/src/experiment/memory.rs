//! What a model's layers keep on the GPUs: the KV cache and what limits its use.

use std::collections::BTreeSet;

use profiles::{DeviceSpec, MemoryOptions, MemoryPlan, Mixer, ModelSpec, Parallelism, Precision, ProfileError};
use sim::{KvSpec, Role, SchedulerSpec};

use super::prefix_cache::{self, Memory};
use crate::diagnostic::Problem;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// The KV cache of each engine: as many blocks as fit beside weights and workspace, and what is kept in them.
pub(super) fn kv(
    reader: &mut Reader<'_>,
    model: &ModelSpec,
    device: &DeviceSpec,
    (parallelism, precision): (Parallelism, Precision),
    scheduler: SchedulerSpec,
    max_model_len: u32,
    role: Role,
) -> Result<Memory, Problem> {
    let options = MemoryOptions {
        gpu_memory_utilization: reader.get(&s::GPU_MEMORY_UTILIZATION),
        max_num_batched_tokens: scheduler.max_rows(max_model_len),
        max_num_seqs: scheduler.seats(),
        block_size: reader.get(&s::BLOCK_SIZE),
        num_gpu_blocks_override: reader.maybe(&s::NUM_GPU_BLOCKS_OVERRIDE),
    };
    let plan = MemoryPlan::new(model, device, parallelism, precision, options)
        .map_err(|error| does_not_fit(reader, &error))?;
    let blocks = u32::try_from(plan.kv_blocks).map_err(|_| {
        let label = format!("{} blocks fit; at most {} are counted", plan.kv_blocks, u32::MAX);
        reader.problem(&s::BLOCK_SIZE, "the KV cache has too many blocks").label(label).help("make `block_size` larger")
    })?;
    // A device with no room for a block is refused above, except where a stage without attention is all there is.
    let blocks = blocks.max(1);
    prefix_cache::read(reader, model, &plan, (options.block_size, blocks), scheduler, role)
}

/// `max_model_len`, or what the KV cache of an engine holds, where that is less.
pub(super) fn longest_that_fits(kv: KvSpec, max_model_len: u32) -> u32 {
    max_model_len.min(kv.blocks.saturating_mul(kv.block_size))
}

/// Refuses what vLLM does not start with: a KV cache that one request of `max_model_len` tokens does not fit
/// (`check_enough_kv_cache_memory` in `vllm/v1/core/kv_cache_utils.py`, `raise_if_cache_size_invalid` in v0).
pub(super) fn holds_longest_request(reader: &Reader<'_>, kv: KvSpec, max_model_len: u32) -> Result<(), Problem> {
    let tokens = u64::from(kv.blocks) * u64::from(kv.block_size);
    if tokens >= u64::from(max_model_len) {
        return Ok(());
    }
    let key = if reader.has(&s::MAX_MODEL_LEN) { &s::MAX_MODEL_LEN } else { &s::GPU };
    let problem =
        reader.problem(key, "vLLM does not start: a request of `max_model_len` tokens has no room in the KV cache");
    Err(problem
        .label(format!("an engine's KV cache holds {tokens} tokens, and max_model_len = {max_model_len}"))
        .help(format!(
            "max_model_len = {tokens} or less, or `fit_max_model_len = true`, or a larger `gpu_memory_utilization`, or more GPUs to a \
             replica"
        )))
}

/// The window of the model's windowed layers in tokens; the simulator keeps one sum of windowed contexts per step, so there
/// may be only one.
pub(super) fn sliding_window(reader: &Reader<'_>, model: &ModelSpec) -> Result<Option<u32>, Problem> {
    let windows: BTreeSet<u32> = model
        .layers
        .iter()
        .filter_map(|layer| if let Mixer::Attention(attention) = layer.mixer { attention.window } else { None })
        .collect();
    if windows.len() > 1 {
        let listed = windows.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        return Err(reader
            .problem(&s::MODEL, format!("{} has layers with different sliding windows", model.name))
            .label(format!("windows of {listed} tokens; one window beside full attention can be simulated")));
    }
    Ok(windows.first().copied())
}

fn does_not_fit(reader: &Reader<'_>, error: &ProfileError) -> Problem {
    match error {
        ProfileError::DoesNotFit(why) => {
            let title = format!("{} does not fit {}: {} too much", why.model, why.device, size(why.missing_bytes));
            let label = format!(
                "each GPU of stage {} needs {} and may use {}",
                why.stage,
                size(why.needed_bytes),
                size(why.budget_bytes)
            );
            let parts = format!(
                "weights {}, workspace {}, sequence states {}, and one KV block; gpu_memory_utilization = {} of {}",
                size(why.weights_bytes),
                size(why.workspace_bytes),
                size(why.state_bytes),
                why.gpu_memory_utilization,
                size(why.memory_bytes)
            );
            if reader.has(&s::NUM_GPU_BLOCKS_OVERRIDE) {
                let label = format!("with so many blocks {label}");
                let advice = "leave it out to take as many blocks as fit";
                return reader.problem(&s::NUM_GPU_BLOCKS_OVERRIDE, title).label(label).help(parts).help(advice);
            }
            reader.problem(&s::GPU, title).label(label).help(parts).help(why.advice.clone())
        }
        ProfileError::MemorySetting { setting, .. } => {
            let key = s::TABLE.key(setting).unwrap_or(&s::GPU_MEMORY_UTILIZATION);
            reader.problem(key, "this cannot be").label(error.to_string())
        }
        _ => reader.problem(&s::GPU, "the model cannot be laid out in memory").label(error.to_string()),
    }
}

/// Bytes as a reader takes them in: in GiB or MiB where there are many.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0..MIB => format!("{bytes} bytes"),
        MIB..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / MIB as f64),
        _ => format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Sources, Span};
    use crate::file::document::Table;

    #[test]
    fn one_window_is_read_and_two_are_refused() {
        let mut sources = Sources::default();
        let source = sources.add("x.toml", "", std::path::Path::new(""));
        let table = Table::default();
        let reader = Reader::new(&table, Span { source, start: 0, end: 0 }, &s::TABLE);
        let window_of = |model: &ModelSpec| sliding_window(&reader, model);
        let shipped = |name| ModelSpec::shipped(name).expect("it is shipped");
        assert_eq!(window_of(&shipped("meta-llama/Llama-3.1-8B")).ok(), Some(None));
        let mut model = shipped("openai/gpt-oss-20b");
        assert_eq!(window_of(&model).ok(), Some(Some(128)), "every other layer attends to everything");
        if let Mixer::Attention(attention) = &mut model.layers[0].mixer {
            attention.window = Some(4096);
        }
        assert!(window_of(&model).is_err());
    }
}
