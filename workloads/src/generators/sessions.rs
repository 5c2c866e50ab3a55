//! Sessions shaped like those of a study of prefix caches.
//!
//! Source: R. Pan et al., "Marconi: Prefix Caching for the Era of Hybrid LLMs", MLSys 2025 (arXiv 2411.19379), section
//! 5.1, figure 6, and the rules of its artifact (`generate_trace.py`): 100 sessions; chats of at least 10 turns from
//! LMSys-Chat-1M and ShareGPT, and a coding agent's trajectories on SWE-bench, all of at most 32,768 tokens; session i
//! starts at i / rate exactly; a chat's next message takes its words at 90 a minute, an agent's next step 5 to 10 s; all
//! prompts share the few tokens with which their format begins. The agent collapses observations: once six exchanges are
//! there, the message of the fifth from the last is left out.
//!
//! The paper gives lengths as histograms only, so those here are of our own choosing, within what they show: chats of LMSys
//! mostly below 10,000 tokens with answers of up to thousands; ShareGPT prompts mostly below 2,000 tokens with answers of
//! tens to hundreds; the agent's prompts thousands to tens of thousands, so that caches of 40 to 140 GB are as contended as
//! the paper's. Shapes that follow from the rules can be expected of
//! them, the paper's values cannot.

use super::Generator;
use crate::arrivals::Arrivals;
use crate::durations::Durations;
use crate::lengths::{Bounds, Cut, Lengths, LogNormalShape, RequestLengths};
use crate::prefix::{Popularity, PrefixLength, PrefixSpec, PromptLengths};
use crate::sessions::SessionSpec;
use crate::spec::WorkloadSpec;

const SOURCE: &str = "rules of the Marconi study (MLSys 2025); lengths of our own within its figure 6";

/// Long chats.
pub(super) const LMSYS: Generator = Generator {
    name: "lmsys-sessions",
    summary: "chats of at least 10 turns with long answers, a session a second",
    source: SOURCE,
    requests: 1_600,
    build: lmsys,
};

/// Short chats.
pub(super) const SHAREGPT: Generator = Generator {
    name: "sharegpt-sessions",
    summary: "chats of at least 10 short turns, a session a second",
    source: SOURCE,
    requests: 1_400,
    build: sharegpt,
};

/// An agent's trajectories.
pub(super) const SWE_AGENT: Generator = Generator {
    name: "swe-agent-sessions",
    summary: "trajectories of a coding agent that collapses old observations, five sessions a second",
    source: SOURCE,
    requests: 2_500,
    build: swe_agent,
};

fn two_quantiles(p50: f64, p90: f64) -> LogNormalShape {
    LogNormalShape::TwoQuantiles { low: (0.5, p50), high: (0.9, p90) }
}

fn lognormal(p50: f64, p90: f64, max: u32) -> Lengths {
    Lengths::LogNormal { shape: two_quantiles(p50, p90), bounds: Bounds { min: 1, max, cut: Cut::Clamp } }
}

/// Sessions of these turns, each shape given as median and 90th percentile in tokens, or seconds.
fn workload(
    requests: u64,
    rate: f64,
    [input, followup, output]: [Lengths; 3],
    turns: Lengths,
    think: (f64, f64),
    kept_messages: Option<u32>,
) -> WorkloadSpec {
    WorkloadSpec {
        arrivals: Arrivals::Constant { rate },
        lengths: RequestLengths::Independent { input, output },
        prefix: PrefixSpec::SystemPrompts {
            prompts: PromptLengths::Given(vec![5]),
            popularity: Popularity::Uniform,
            length: PrefixLength::OnTop,
        },
        sessions: Some(SessionSpec {
            turns,
            think: Durations::LogNormal { p50_s: think.0, p90_s: think.1 },
            followup: Some(followup),
            max_context: Some(32_768),
            kept_messages,
        }),
        requests,
    }
}

fn lmsys(requests: u64) -> WorkloadSpec {
    let message = || lognormal(35.0, 250.0, 4_000);
    let turns =
        Lengths::LogNormal { shape: two_quantiles(14.0, 25.0), bounds: Bounds { min: 10, max: 60, cut: Cut::Clamp } };
    workload(requests, 1.0, [message(), message(), lognormal(200.0, 600.0, 4_000)], turns, (17.0, 120.0), None)
}

fn sharegpt(requests: u64) -> WorkloadSpec {
    let message = || lognormal(20.0, 80.0, 2_000);
    let turns =
        Lengths::LogNormal { shape: two_quantiles(12.0, 20.0), bounds: Bounds { min: 10, max: 40, cut: Cut::Clamp } };
    workload(requests, 1.0, [message(), message(), lognormal(80.0, 300.0, 2_000)], turns, (10.0, 40.0), None)
}

fn swe_agent(requests: u64) -> WorkloadSpec {
    let lengths =
        [lognormal(2_500.0, 6_000.0, 12_000), lognormal(900.0, 3_500.0, 10_000), lognormal(150.0, 400.0, 2_000)];
    let turns =
        Lengths::LogNormal { shape: two_quantiles(23.0, 40.0), bounds: Bounds { min: 5, max: 50, cut: Cut::Clamp } };
    workload(requests, 5.0, lengths, turns, (7.2, 11.0), Some(4))
}
