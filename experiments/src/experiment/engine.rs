//! What an engine adds to kernels: routing of experts, overheads, links.

use profiles::DeviceSpec;
use profiles::cost::{
    Architecture, Composition, EngineOverheads, ExpertRouting, Link, PrefillCoverage, PrefixAttention, Sampling,
};
use sim::{EngineSpec, Policy, SchedulerSpec};
use workloads::SimDuration;

use super::constants::EngineConstants;
use super::lengths::pairs;
use crate::diagnostic::Problem;
use crate::file::key::Key;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

const NANOS_PER_SECOND: f64 = 1e9;
/// What an engine may take around a step.
const LONGEST_S: f64 = 60.0;

/// Whose efficiency curves hold.
pub(super) fn architecture(reader: &mut Reader<'_>, device: &DeviceSpec) -> Result<Architecture, Problem> {
    const NAMES: [(&str, Architecture); 4] = [
        ("ampere", Architecture::Ampere),
        ("ada", Architecture::Ada),
        ("hopper", Architecture::Hopper),
        ("blackwell", Architecture::Blackwell),
    ];
    let recognised = Architecture::of(device);
    if let (false, Err(error)) = (reader.has(&s::ARCHITECTURE), &recognised) {
        let problem = reader.problem(&s::GPU, "nothing is known of how fast this device's kernels are");
        let help = "`architecture` in the device's file, or beside `gpu`, says whose kernels it is taken to have";
        return Err(problem.label(error.to_string()).help(help));
    }
    let name = reader.or(&s::ARCHITECTURE, || {
        let found = recognised.ok().and_then(|found| NAMES.iter().find(|(_, one)| *one == found));
        found.map_or(String::new(), |(name, _)| (*name).to_owned())
    });
    let found = NAMES.iter().find(|(one, _)| *one == name);
    Ok(found.expect("the choices are the architectures").1)
}

/// How tokens choose experts.
pub(super) fn routing(reader: &mut Reader<'_>) -> Result<ExpertRouting, Problem> {
    let distribution: String = reader.get(&s::ROUTING_DISTRIBUTION);
    match distribution.as_str() {
        "uniform" => return Ok(ExpertRouting::Uniform),
        "qwen3-30b-a3b-measured" => return Ok(ExpertRouting::qwen3_30b_a3b_measured()),
        _ => {}
    }
    let decode_exponent = reader.get(&s::DECODE_EXPONENT);
    let exponent: Option<f64> = reader.maybe(&s::PREFILL_EXPONENT);
    let measured = reader.has(&s::PREFILL_COVERAGE);
    let prefill = match (exponent, measured) {
        (Some(exponent), false) => PrefillCoverage::Exponent(exponent),
        (None, true) => PrefillCoverage::Curve(
            pairs(reader, &s::PREFILL_COVERAGE)?.into_iter().map(|(rows, share)| (rows as u32, share)).collect(),
        ),
        _ => {
            return Err(reader
                .problem(&s::ROUTING_DISTRIBUTION, "how prompt tokens choose experts has to be said once")
                .label("expected `prefill_exponent` or `prefill_coverage`"));
        }
    };
    Ok(ExpertRouting::Zipf { decode_exponent, prefill })
}

/// How the parts of a step go together.
pub(super) fn composition(reader: &mut Reader<'_>) -> Composition {
    let kind: String = reader.get(&s::COMPOSITION_KIND);
    if kind == "serial" {
        return Composition::Serial;
    }
    Composition::Overlapped { interference: reader.or(&s::INTERFERENCE, || Composition::INTERFERENCE) }
}

/// How attention reads prefixes that requests share.
pub(super) fn prefix_attention(reader: &mut Reader<'_>, scheduler: SchedulerSpec) -> Result<PrefixAttention, Problem> {
    let grouped = scheduler.policy.groups_prefixes();
    let name = reader.or(&s::PREFIX_ATTENTION, || if grouped { "fused" } else { "per-request" }.to_owned());
    if !grouped && name != "per-request" {
        let problem = reader.problem(&s::PREFIX_ATTENTION, "there are no prefixes to read once");
        return Err(problem.label(
            "it is for groups of requests, which `policy = \"batchllm\"` makes, and blendserve with `group_prefixes`",
        ));
    }
    Ok(match name.as_str() {
        "per-request" => PrefixAttention::PerRequest,
        "cascade" => PrefixAttention::Cascade,
        "fused" => PrefixAttention::Fused,
        other => unreachable!("`{other}` is no choice"),
    })
}

/// How tokens are chosen from logits.
pub(super) fn sampling(reader: &mut Reader<'_>) -> Sampling {
    let name: String = reader.get(&s::SAMPLING);
    match name.as_str() {
        "plain" => Sampling::Plain,
        "sorted" => Sampling::Sorted,
        other => unreachable!("`{other}` is no choice"),
    }
}

/// What a system's engine adds to kernels, and around its steps.
pub(super) struct Engine {
    /// Within steps.
    pub(super) overheads: EngineOverheads,
    /// Around them.
    pub(super) around: EngineSpec,
    /// Whether it is vLLM, of whatever version.
    pub(super) is_vllm: bool,
}

impl Engine {
    /// What the profile of this name stands for. Asynchronous scheduling is vLLM's own, of its one scheduler.
    fn profile(name: &str, architecture: Architecture, policy: Policy, alone: bool) -> Self {
        let overheads = match name {
            "vllm-v1" | "vllm-v1-sync" => EngineOverheads::vllm_v1(),
            "vllm-v0" => EngineOverheads::vllm_v0(),
            "none" => EngineOverheads::none(),
            other => unreachable!("`{other}` is no choice"),
        };
        let Some(constants) = EngineConstants::of(name, architecture) else {
            return Engine { overheads, around: EngineSpec::default(), is_vllm: name != "none" };
        };
        let around = EngineSpec {
            async_scheduling: name == "vllm-v1" && matches!(policy, Policy::ChunkedPrefill { .. }) && alone,
            host_per_step: SimDuration::from_nanos(constants.host_per_step_ns),
            host_per_request: SimDuration::from_nanos(constants.host_per_request_ns),
            client_to_engine: SimDuration::from_nanos(constants.client_to_engine_ns),
            ..EngineSpec::default()
        };
        let overheads = EngineOverheads { step_gap_ns: constants.step_gap_ns as f64, ..overheads };
        Engine { overheads, around, is_vllm: true }
    }
}

/// What the engine adds on GPUs of this class, with this scheduler, so many pipeline stages, and attention computed elsewhere
/// or not.
pub(super) fn engine(
    reader: &mut Reader<'_>,
    architecture: Architecture,
    scheduler: SchedulerSpec,
    stages: u32,
    offloads: bool,
) -> Result<Engine, Problem> {
    let profile: String = reader.get(&s::ENGINE_PROFILE);
    let alone = stages == 1 && !offloads;
    let Engine { overheads, around, is_vllm } = Engine::profile(&profile, architecture, scheduler.policy, alone);
    let async_scheduling = reader.or(&s::ASYNC_SCHEDULING, || around.async_scheduling);
    if async_scheduling && offloads {
        let problem =
            reader.problem(&s::ASYNC_SCHEDULING, "batches that offload attention are scheduled synchronously");
        return Err(
            problem.label("expected `false` beside `attention_offload`: several batches keep the GPUs busy instead")
        );
    }
    if async_scheduling && stages > 1 {
        let problem = reader.problem(&s::ASYNC_SCHEDULING, "steps of a pipeline are scheduled synchronously");
        return Err(problem
            .label(format!("expected `false` with `pipeline_parallel_size = {stages}`"))
            .help("vLLM turns it off there, and the stages keep several steps in flight anyway"));
    }
    let sizes = reader.or(&s::CUDA_GRAPH_SIZES, || {
        if overheads.cuda_graph_sizes.is_empty() { vec![0] } else { overheads.cuda_graph_sizes.clone() }
    });
    let around = EngineSpec {
        async_scheduling,
        host_per_step: around_step(reader, &s::HOST_PER_STEP, around.host_per_step, 1)?,
        host_per_request: around_step(reader, &s::HOST_PER_REQUEST, around.host_per_request, scheduler.max_num_seqs)?,
        client_to_engine: around_step(reader, &s::CLIENT_TO_ENGINE, around.client_to_engine, 1)?,
        engine_to_client: around_step(reader, &s::ENGINE_TO_CLIENT, around.engine_to_client, 1)?,
    };
    let overheads = EngineOverheads {
        step_gap_ns: nanos(reader.or(&s::STEP_GAP, || overheads.step_gap_ns / NANOS_PER_SECOND)),
        per_request_ns: nanos(reader.or(&s::PER_REQUEST, || overheads.per_request_ns / NANOS_PER_SECOND)),
        cuda_graph_sizes: if sizes == [0] { Vec::new() } else { sizes },
        eager_launch_ns: nanos(reader.or(&s::EAGER_LAUNCH, || overheads.eager_launch_ns / NANOS_PER_SECOND)),
    };
    Ok(Engine { overheads, around, is_vllm })
}

/// A time that a step takes at most `times` over, and then no more than a minute: the simulator's own limit.
fn around_step(
    reader: &mut Reader<'_>,
    key: &'static Key,
    default: SimDuration,
    times: u32,
) -> Result<SimDuration, Problem> {
    let seconds: f64 = reader.or(key, || default.as_secs_f64());
    let largest_s = seconds * f64::from(times);
    if largest_s > LONGEST_S {
        let problem = reader.problem(key, format!("`{}` is longer than an engine takes", key.name));
        let of = if times > 1 { format!(" for {times} requests, as many as may run") } else { String::new() };
        return Err(problem.label(format!("{largest_s} s{of}; expected at most a minute")));
    }
    Ok(SimDuration::from_secs_f64(seconds))
}

/// The link between the GPUs of a replica.
pub(super) fn link(reader: &mut Reader<'_>, device: &DeviceSpec) -> Link {
    let own = Link::between_peers(device);
    Link {
        bandwidth: reader.or(&s::BANDWIDTH, || own.bandwidth),
        latency_ns: nanos(reader.or(&s::LATENCY, || own.latency_ns / NANOS_PER_SECOND)),
    }
}

/// Seconds as nanoseconds, to the thousandth: what is a whole number in the file stays one.
fn nanos(seconds: f64) -> f64 {
    (seconds * NANOS_PER_SECOND * 1e3).round() / 1e3
}
