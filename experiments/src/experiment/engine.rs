//! What an engine adds to kernels: routing of experts, overheads, links.

use profiles::DeviceSpec;
use profiles::cost::{Architecture, EngineOverheads, ExpertRouting, Link, PrefillCoverage};

use super::lengths::pairs;
use crate::diagnostic::Problem;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

const NANOS_PER_SECOND: f64 = 1e9;

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
        return Err(problem.label(error.to_string()));
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

/// Overheads of the engine.
pub(super) fn overheads(reader: &mut Reader<'_>) -> EngineOverheads {
    let profile: String = reader.get(&s::ENGINE_PROFILE);
    let base = if profile == "none" { EngineOverheads::none() } else { EngineOverheads::vllm_v1() };
    let sizes = reader.or(&s::CUDA_GRAPH_SIZES, || {
        if base.cuda_graph_sizes.is_empty() { vec![0] } else { base.cuda_graph_sizes.clone() }
    });
    EngineOverheads {
        step_gap_ns: nanos(reader.or(&s::STEP_GAP, || base.step_gap_ns / NANOS_PER_SECOND)),
        per_request_ns: nanos(reader.or(&s::PER_REQUEST, || base.per_request_ns / NANOS_PER_SECOND)),
        cuda_graph_sizes: if sizes == [0] { Vec::new() } else { sizes },
        eager_launch_ns: nanos(reader.or(&s::EAGER_LAUNCH, || base.eager_launch_ns / NANOS_PER_SECOND)),
    }
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
