//! From metadata to the settings of a `[[system]]`.

use serde_json::Value;

use super::engine;
use super::error::NotScored;
use super::meta::Meta;
use super::names;
use super::routing;

/// A system as an experiment file says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SystemSettings {
    /// The model.
    pub(super) model: String,
    /// The device.
    pub(super) gpu: String,
    /// Keys with dots, and their values as TOML. A later value of a key replaces an earlier one.
    pub(super) settings: Vec<(String, String)>,
    /// What had to be assumed, in sentences.
    pub(super) assumptions: Vec<String>,
}

impl SystemSettings {
    /// Sets a key, replacing an earlier value.
    pub(super) fn set(&mut self, key: &str, toml: impl std::fmt::Display) {
        let toml = format!("{toml}");
        match self.settings.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = toml,
            None => self.settings.push((key.to_owned(), toml)),
        }
    }

    /// States an assumption.
    pub(super) fn assume(&mut self, sentence: impl Into<String>) {
        self.assumptions.push(sentence.into());
    }
}

/// The system that the metadata describe; `known` settings stand for what they say in words only and win.
///
/// # Errors
/// Fields that are missing or cannot be used, names nobody knows, engines of another kind.
pub(super) fn read(meta: &Meta, known: &[(String, String)]) -> Result<SystemSettings, NotScored> {
    let mut system = SystemSettings::default();
    let (model, remark) = names::model(meta.needed("model", "the name of a model")?)?;
    system.model = model;
    system.assumptions.extend(remark);
    routing::measured(&mut system);
    system.gpu = names::device(meta.needed("gpu", "the name of a GPU")?)?;
    let name = meta.needed("engine", "the name of the engine, such as `vLLM`")?;
    let asynchronous = meta
        .flag("scheduler.async_scheduling")
        .or_else(|| meta.flag("resolved_config_excerpt.scheduler_config.async_scheduling"));
    let engine = engine::settings(name, meta.text("engine_version")?, asynchronous);
    system.assumptions.extend(engine::constants(&engine, &system.gpu));
    system.settings.extend(engine.settings);
    system.assumptions.extend(engine.assumptions);
    parallelism(meta, &mut system)?;
    precision(meta, &mut system)?;
    let is_known = |key: &str| known.iter().any(|(known, _)| known == key);
    scheduler(meta, &mut system, is_known)?;
    kv_cache(meta, &mut system)?;
    if let Some(sizes) = meta.get("cudagraph.cudagraph_capture_sizes") {
        system.set("engine.cuda_graph_sizes", sizes);
    }
    for (key, toml) in known {
        system.set(key, toml);
    }
    Ok(system)
}

fn parallelism(meta: &Meta, system: &mut SystemSettings) -> Result<(), NotScored> {
    let size = |field| Ok(meta.count(field)?.unwrap_or(1));
    let (tensor, pipeline, data) = (size("tensor_parallel")?, size("pipeline_parallel")?, size("data_parallel")?);
    let experts = meta.flag("expert_parallel").unwrap_or(false);
    if let Some(gpus) = meta.count("n_gpus")?.filter(|gpus| *gpus != tensor * pipeline * data) {
        let expected = format!("{} (tensor x pipeline x data parallel size), not {gpus}", tensor * pipeline * data);
        return Err(meta.wrong("n_gpus", expected));
    }
    system.set("tensor_parallel_size", tensor);
    system.set("pipeline_parallel_size", pipeline);
    if experts {
        system.set("enable_expert_parallel", true);
        system.set("data_parallel_size", data);
    } else {
        system.set("replicas", data);
    }
    if data > 1 {
        system.assume("requests go to the data-parallel ranks in turn");
    }
    Ok(())
}

fn precision(meta: &Meta, system: &mut SystemSettings) -> Result<(), NotScored> {
    if let Some(dtype) = meta.text("weights_dtype")? {
        let quantization = quantization(dtype).ok_or_else(|| meta.wrong("weights_dtype", WEIGHTS_DTYPES))?;
        system.set("quantization", format!("\"{quantization}\""));
    } else {
        system.assume("the number format of the weights is not recorded: that of the model");
    }
    match meta.text("kv_cache_dtype")? {
        None | Some("auto" | "bfloat16" | "float16") => {}
        Some("fp8" | "fp8_e4m3" | "fp8_e5m2") => system.set("kv_cache_dtype", "\"fp8\""),
        Some("int8") => system.set("kv_cache_dtype", "\"int8\""),
        Some(_) => return Err(meta.wrong("kv_cache_dtype", "auto, fp8 or int8")),
    }
    Ok(())
}

/// Number formats of weights, for people.
pub(super) const WEIGHTS_DTYPES: &str = "bfloat16, float16, fp8, int8 or int4";

/// What `quantization` says for a number format of weights.
pub(super) fn quantization(dtype: &str) -> Option<&'static str> {
    let dtype = dtype.to_lowercase();
    Some(match dtype.as_str() {
        "fp8" | "fp8_block" | "fp8_static" => "fp8",
        "int8" => "int8",
        "int4" | "fp4" | "mxfp4" | "w4a16_mxfp4" | "awq" | "gptq" | "int4_wo" => "int4",
        _ if ["bfloat16", "bf16", "fp16", "float16"].iter().any(|name| dtype.contains(name)) => "none",
        _ => return None,
    })
}

fn scheduler(meta: &Meta, system: &mut SystemSettings, is_known: impl Fn(&str) -> bool) -> Result<(), NotScored> {
    if !is_known("scheduler.policy") {
        match meta.text("scheduler.policy")? {
            None | Some("fcfs") => {}
            Some(_) => return Err(meta.wrong("scheduler.policy", "fcfs: others are not simulated")),
        }
        match on_or_off(meta, "scheduler.chunked_prefill")? {
            Some(false) => system.set("scheduler.policy", "\"prefill-first\""),
            _ => system.set("scheduler.policy", "\"chunked-prefill\""),
        }
    }
    for (field, key) in [
        ("scheduler.max_num_batched_tokens", "scheduler.max_num_batched_tokens"),
        ("scheduler.max_num_seqs", "scheduler.max_num_seqs"),
        ("scheduler.max_model_len", "max_model_len"),
    ] {
        if is_known(key) {
            continue;
        }
        match meta.count(field)? {
            Some(value) => system.set(key, value),
            None => system.assume(format!("`{field}` is not recorded: the engine's default")),
        }
    }
    let caching = match on_or_off(meta, "scheduler.prefix_caching")? {
        Some(caching) => Some(caching),
        None => on_or_off(meta, "kv_cache.enable_prefix_caching")?,
    };
    match caching {
        Some(caching) => system.set("enable_prefix_caching", caching),
        None => system.assume("whether prefixes were cached is not recorded: the engine's default"),
    }
    Ok(())
}

/// `true` and `false`, and the sentences in which published metadata say it: `v1 default (on)`.
fn on_or_off(meta: &Meta, field: &str) -> Result<Option<bool>, NotScored> {
    match meta.get(field) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text.contains("(on)") => Ok(Some(true)),
        Some(Value::String(text)) if text.contains("(off)") => Ok(Some(false)),
        Some(_) => Err(meta.wrong(field, "true or false")),
    }
}

fn kv_cache(meta: &Meta, system: &mut SystemSettings) -> Result<(), NotScored> {
    if let Some(size) = meta.count("kv_cache.block_size")? {
        system.set("block_size", size);
    }
    let blocks = match meta.count("kv_cache.total_gpu_blocks")? {
        Some(blocks) => Some(blocks),
        None => meta.count("kv_cache.num_gpu_blocks")?,
    };
    let fields = ["kv_cache.gpu_memory_utilization", "scheduler.gpu_memory_utilization", "kv_cache.npu_mem.mem_util"];
    let mut share = None;
    for field in fields {
        share = share.or(meta.number(field)?);
    }
    if let Some(blocks) = blocks {
        system.set("num_gpu_blocks_override", blocks);
        // The blocks are known, so the share is only a limit they must not exceed, and some published shares are too small
        // for the blocks that were found there.
        system.set("gpu_memory_utilization", 1);
    } else {
        // It did start, so however few blocks fit here, its longest request fitted them.
        system.set("fit_max_model_len", true);
        system.assume("the number of KV blocks is not recorded: as many as fit beside weights and workspace");
        match share {
            Some(share) => system.set("gpu_memory_utilization", share),
            None => system.assume("`gpu_memory_utilization` is not recorded: the engine's default"),
        }
    }
    Ok(())
}
