//! From an engine's name and version to the settings that stand for it.

use profiles::DeviceSpec;
use profiles::cost::Architecture;

use crate::experiment::EngineConstants;
use crate::file::key::Kind;
use crate::file::keys::system as s;

/// An engine's version, as far as it matters: major, minor.
type Version = (u32, u32);

/// Settings for an engine, and what had to be assumed of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Engine {
    /// Keys of `[[system]]` and their values as TOML.
    pub(super) settings: Vec<(String, String)>,
    /// In sentences.
    pub(super) assumptions: Vec<String>,
}

/// The settings for an engine of this name and version. `asynchronous` is what the metadata say of its scheduling, if they
/// do.
pub(super) fn settings(name: &str, version: Option<&str>, asynchronous: Option<bool>) -> Engine {
    let mut engine = Engine::default();
    let is_vllm = name.to_lowercase().contains("vllm");
    let parsed = version.and_then(parse);
    let (wanted, why) = match (is_vllm, parsed) {
        // The first engine, before `VLLM_USE_V1` became the default.
        (true, Some(version)) if version < (0, 8) => ("vllm-v0", String::new()),
        // `async_scheduling` is on by default from 0.14.
        (true, Some(version)) => {
            let is_async = asynchronous.unwrap_or(version >= (0, 14));
            (if is_async { "vllm-v1" } else { "vllm-v1-sync" }, String::new())
        }
        (true, None) => {
            ("vllm-v1", format!("the version of the engine ({}) is not known: vllm-v1", version.unwrap_or("none")))
        }
        (false, _) => (
            "vllm-v1",
            format!("{name} is simulated with the profile of vLLM v1, and with chunked prefill unless said otherwise"),
        ),
    };
    engine.assumptions.extend((!why.is_empty()).then_some(why));
    let profile = known_profile(wanted);
    if profile != wanted {
        engine.assumptions.push(format!("there is no engine profile `{wanted}` yet: `{profile}` stands in for it"));
    }
    engine.settings.push(("engine.profile".to_owned(), format!("\"{profile}\"")));
    if let Some(version) = parsed.filter(|version| is_vllm && *version >= (0, 8)) {
        // On by default from 0.19; before, blocks were only asked for piece by piece.
        let reserve = version >= (0, 19);
        engine.settings.push(("scheduler.scheduler_reserve_full_isl".to_owned(), reserve.to_string()));
    }
    engine
}

/// What the engine adds on a GPU, as a sentence that says where it comes from; `None`: nothing, or nothing is known of the GPU.
pub(super) fn constants(engine: &Engine, gpu: &str) -> Option<String> {
    let (_, profile) = engine.settings.iter().find(|(key, _)| key == "engine.profile")?;
    let architecture = Architecture::of(&DeviceSpec::shipped(gpu).ok()?).ok()?;
    EngineConstants::of(profile.trim_matches('"'), architecture).map(ToString::to_string)
}

/// What a client that measures latencies over HTTP adds: settings, and the sentence that says where they come from.
///
/// 6 ms before the engine are what 25 loads of 5 models on H100 choose, whichever model is left out (5 to 7 ms make little
/// difference); that 1 ms more is after it was set on one run. They depend on the client more than on the engine.
pub(super) fn client_times() -> ([(&'static str, &'static str); 2], &'static str) {
    let settings = [("engine.client_to_engine", "\"6 ms\""), ("engine.engine_to_client", "\"1 ms\"")];
    (
        settings,
        "HTTP, tokenising and streaming take 6 ms before and 1 ms after the engine, as set on runs of vLLM 0.15 and 0.23",
    )
}

/// The profile itself, or the one nearest to it that there is.
fn known_profile(wanted: &'static str) -> &'static str {
    let Kind::Choice(choices) = s::ENGINE_PROFILE.kind else { unreachable!("the profile is a choice") };
    if choices.iter().any(|(name, _)| *name == wanted) { wanted } else { "vllm-v1" }
}

/// The numbers at the start of `0.15.1 (as its authors say)`.
fn parse(version: &str) -> Option<Version> {
    let mut numbers = version.trim().trim_start_matches('v').split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_what_follows_them() {
        assert_eq!(parse("0.15.1 (from an issue)"), Some((0, 15)));
        assert_eq!(parse("v0.19.0rc1"), Some((0, 19)));
        assert_eq!(parse("nightly"), None);
    }

    #[test]
    fn whole_prompts_are_reserved_from_0_19_on() {
        let reserve = |version| {
            let settings = settings("vLLM", Some(version), None).settings;
            settings.into_iter().find(|(key, _)| key == "scheduler.scheduler_reserve_full_isl").map(|(_, value)| value)
        };
        assert_eq!((reserve("0.15.1").as_deref(), reserve("0.23.0").as_deref()), (Some("false"), Some("true")));
        assert_eq!(reserve("0.6.0"), None, "another scheduler");
    }

    #[test]
    fn engines_that_are_not_simulated_are_named() {
        let engine = settings("SGLang", Some("0.5.9"), None);
        assert!(engine.assumptions.iter().any(|sentence| sentence.contains("SGLang")));
    }
}
