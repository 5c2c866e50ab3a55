//! What a replica keeps for requests with the same prefix.

use profiles::{MemoryPlan, Mixer, ModelSpec};
use sim::prefix_cache::{Alpha, AlphaTuning, CacheModel, MarconiMode};
use sim::{BranchStates, CheckpointEviction, CheckpointSpec, KvSpec, Policy, Role, SchedulerSpec};

use crate::diagnostic::Problem;
use crate::file::keys::offload::ATTENTION_OFFLOAD;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// The KV cache of an engine, and what it keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Its blocks.
    pub(crate) kv: KvSpec,
    /// What a tree keeps of prefixes in them, with checkpoints.
    pub(crate) checkpoints: Option<CheckpointSpec>,
}

/// What is kept of prefixes, as the end of a line.
pub(super) fn describe(kv: &KvSpec, checkpoints: Option<&CheckpointSpec>) -> String {
    match checkpoints {
        Some(CheckpointSpec { model, eviction, branches }) => format!(
            ", prefixes with checkpoints of {} bytes beside {} per token, {eviction:?}, {branches:?}",
            model.checkpoint_bytes(),
            model.kv_bytes_per_token()
        ),
        None if kv.prefix_caching => ", blocks kept for prefixes".to_owned(),
        None => ", no prefixes kept".to_owned(),
    }
}

/// What is kept in these blocks.
pub(super) fn read(
    reader: &mut Reader<'_>,
    model: &ModelSpec,
    plan: &MemoryPlan,
    (block_size, blocks): (u32, u32),
    scheduler: SchedulerSpec,
    role: Role,
) -> Result<Memory, Problem> {
    let without_tree = |prefix_caching| Memory { kv: KvSpec { block_size, blocks, prefix_caching }, checkpoints: None };
    if !reader.has(&s::PREFIX_CACHE) {
        return Ok(without_tree(blocks_are_kept(reader, model, scheduler)?));
    }
    if reader.has(&s::ENABLE_PREFIX_CACHING) {
        let problem = reader.problem(&s::ENABLE_PREFIX_CACHING, "`prefix_cache` says what is kept");
        return Err(problem.label("leave one of the two out"));
    }
    let (policy, eviction, interval) = reader.table(&s::PREFIX_CACHE, policy)?.expect("it is there");
    if policy == "none" {
        return Ok(without_tree(false));
    }
    refuse_what_keeps_nothing(reader, scheduler)?;
    let kv = without_tree(true);
    match (policy.as_str(), has_states(model)) {
        ("vllm", false) => return Ok(kv),
        ("vllm", true) => {
            let problem = reader.problem(&s::PREFIX_CACHE, format!("blocks alone are of no use to {}", model.name));
            return Err(problem
                .label("its state-space layers go on from their states at the end of a prefix")
                .help("\"vllm-plus\", \"sglang-plus\" and \"marconi\" keep them"));
        }
        (_, false) => {
            let problem = reader.problem(&s::PREFIX_CACHE, format!("{} has no states to keep", model.name));
            return Err(problem.label("expected \"vllm\": it has no state-space layers"));
        }
        (_, true) => {}
    }
    let bytes = Bytes::of(reader, plan, scheduler)?;
    if role != Role::Serve && eviction.is_none() {
        let problem = reader.problem(&s::PREFIX_CACHE, "blocks with states of their own cannot be handed over");
        return Err(problem
            .label("one state of each layer travels with a prompt, that at its end")
            .help("\"sglang-plus\" and \"marconi\" keep states in the prefill pool"));
    }
    if role == Role::Decode {
        // What is decoded here goes on from what was handed over; prompts are looked up where they are computed.
        return Ok(without_tree(false));
    }
    let Some(eviction) = eviction else {
        // Blocks with a checkpoint each, in the same memory.
        let block = bytes.per_token * u64::from(block_size);
        let heavy = u64::from(blocks) * block / (block + bytes.checkpoint);
        let heavy = u32::try_from(heavy).expect("fewer than there were").max(1);
        return Ok(Memory { kv: KvSpec { blocks: heavy, ..kv.kv }, checkpoints: None });
    };
    let branches = match interval {
        Some(tokens) => BranchStates::Every(tokens),
        None if scheduler.policy.whole_prompts() => {
            let problem = reader.problem(&s::PREFIX_CACHE, "this scheduler never cuts a prompt");
            return Err(problem
                .label("a prompt is cut where it leaves what is kept")
                .help("checkpoint_interval = 256 takes states that kernels write in passing"));
        }
        None => BranchStates::Cut,
    };
    let model = CacheModel::of_model(model, bytes.checkpoint, bytes.per_token);
    Ok(Memory { checkpoints: Some(CheckpointSpec { model, eviction, branches }), ..without_tree(false) })
}

/// The policy, what goes first from its tree if it has one, and where kernels write states.
type Kept = (String, Option<CheckpointEviction>, Option<u32>);

fn policy(reader: &mut Reader<'_>) -> Result<Kept, Problem> {
    let policy: String = reader.get(&s::PREFIX_POLICY);
    let eviction = match policy.as_str() {
        "sglang-plus" => Some(CheckpointEviction::LeafLru),
        "marconi" => {
            let flops: String = reader.get(&s::PREFIX_FLOPS);
            let mode = if flops == "artifact" { MarconiMode::Artifact } else { MarconiMode::Paper };
            Some(CheckpointEviction::FlopAware { mode, alpha: alpha(reader)? })
        }
        _ => None,
    };
    Ok((policy, eviction, reader.maybe(&s::CHECKPOINT_INTERVAL)))
}

fn alpha(reader: &mut Reader<'_>) -> Result<Alpha, Problem> {
    if let Some(alpha) = reader.maybe(&s::PREFIX_ALPHA) {
        if reader.has(&s::PREFIX_TUNING_WINDOW) {
            let problem = reader.problem(&s::PREFIX_TUNING_WINDOW, "`tuning_window` has no effect beside `alpha`");
            return Err(problem.label("take one of the two out"));
        }
        return Ok(Alpha::Fixed(alpha));
    }
    let tuning = AlphaTuning::default();
    let multiplier = reader.or(&s::PREFIX_TUNING_WINDOW, || tuning.multiplier);
    Ok(Alpha::TunedOnce(AlphaTuning { multiplier, ..tuning }))
}

/// What a token and a checkpoint take on a GPU: of several pipeline stages, on that whose checkpoints weigh the most tokens.
///
/// Every stage keeps its layers' share of the same tree in as many blocks as the others, so what fits there fits everywhere.
struct Bytes {
    per_token: u64,
    checkpoint: u64,
}

impl Bytes {
    fn of(reader: &Reader<'_>, plan: &MemoryPlan, scheduler: SchedulerSpec) -> Result<Self, Problem> {
        let refuse = |label: String| {
            let problem = reader.problem(&s::PREFIX_CACHE, "states are kept in the memory of a KV cache");
            Err(problem.label(label))
        };
        if let Some(number) =
            plan.stages.iter().position(|stage| stage.state_bytes > 0 && stage.kv_bytes_per_token == 0)
        {
            return refuse(match plan.stages.len() {
                1 => "this model has no attention layers, and so no KV cache".to_owned(),
                stages => format!("pipeline stage {number} of {stages} has no attention layers, and so no KV cache"),
            });
        }
        let of_stages = plan.stages.iter().map(|stage| Bytes {
            per_token: stage.kv_bytes_per_token,
            checkpoint: stage.state_bytes / u64::from(scheduler.seats()),
        });
        let heaviest = of_stages.max_by_key(|bytes| {
            // In 2^-32 tokens; a stage without attention has nothing.
            (u128::from(bytes.checkpoint) << 32).checked_div(u128::from(bytes.per_token))
        });
        Ok(heaviest.expect("there is a stage"))
    }
}

fn has_states(model: &ModelSpec) -> bool {
    model.layers.iter().any(|layer| matches!(layer.mixer, Mixer::StateSpace(_)))
}

fn refuse_what_keeps_nothing(reader: &Reader<'_>, scheduler: SchedulerSpec) -> Result<(), Problem> {
    if let Policy::BatchLlm { .. } | Policy::BlendServe { .. } = scheduler.policy {
        let problem = reader.problem(&s::PREFIX_CACHE, "offline schedulers do not choose a prefix cache");
        return Err(problem.label("leave it out: they share prefixes of prompts that they know beforehand"));
    }
    if reader.has(&ATTENTION_OFFLOAD) {
        let problem = reader.problem(&s::PREFIX_CACHE, "prefixes cannot be cached beside `attention_offload`");
        return Err(problem.label("attention workers keep no prefixes for others"));
    }
    Ok(())
}

/// vLLM's default, except where a hit would have to bring back more than blocks of keys and values: a state-space layer
/// goes on from its state at the end of the prefix, which is not kept.
fn blocks_are_kept(reader: &mut Reader<'_>, model: &ModelSpec, scheduler: SchedulerSpec) -> Result<bool, Problem> {
    let has_states = has_states(model);
    let offloads = reader.has(&ATTENTION_OFFLOAD);
    let grouped = scheduler.policy.groups_prefixes();
    let asked = reader.or(&s::ENABLE_PREFIX_CACHING, || !has_states && !offloads && !grouped);
    if grouped && has_states {
        let problem = reader.problem(&s::SCHEDULER, format!("prefixes of {} cannot be shared", model.name));
        return Err(
            problem.label("its state-space layers need their states at the end of the prefix, and these are not kept")
        );
    }
    if grouped && offloads {
        let problem = reader.problem(&s::SCHEDULER, "groups of requests do not offload attention");
        return Err(problem.label("attention workers keep no prefixes for others"));
    }
    if asked && grouped {
        let problem = reader.problem(&s::ENABLE_PREFIX_CACHING, "groups of requests have no prefix cache");
        return Err(problem.label("leave it out: prefixes are shared by groups that are known beforehand"));
    }
    if asked && offloads {
        let problem = reader.problem(&s::ENABLE_PREFIX_CACHING, "prefixes cannot be cached beside `attention_offload`");
        return Err(problem.label("attention workers keep no prefixes for others"));
    }
    if asked && has_states {
        return Err(reader
            .problem(&s::ENABLE_PREFIX_CACHING, format!("prefixes of {} cannot be cached", model.name))
            .label("its state-space layers need their states at the end of the prefix, and blocks hold keys and values alone")
            .help("leave it out, or say `prefix_cache`: \"vllm-plus\", \"sglang-plus\" and \"marconi\" keep states"));
    }
    Ok(asked)
}
