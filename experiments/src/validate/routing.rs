//! How tokens chose experts, where somebody measured it.

use super::system::SystemSettings;

/// Models whose routers choose 8 of 128 experts as that of Qwen3-30B-A3B does, of which the skew was published.
const AS_QWEN3_30B: [&str; 2] = ["Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-235B-A22B"];

/// Lets tokens of a model choose experts as was measured of it or of its sibling, and says so. No run records its routing;
/// other models choose uniformly, for nothing is published of them.
pub(super) fn measured(system: &mut SystemSettings) {
    if AS_QWEN3_30B.contains(&system.model.as_str()) {
        system.set("routing", "\"qwen3-30b-a3b-measured\"");
        system.assume(
            "routing is not recorded: experts are as popular as measured of Qwen3-30B-A3B (Layered Prefill, table 1 and its \
             figure of MoE time over chunk size)",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_like_the_measured_one_have_its_skew() {
        let settings = |model: &str| {
            let mut system = SystemSettings { model: model.to_owned(), ..SystemSettings::default() };
            measured(&mut system);
            assert_eq!(system.settings.len(), system.assumptions.len(), "what is set is said");
            system.settings.len()
        };
        assert_eq!(settings("Qwen/Qwen3-235B-A22B"), 1);
        assert_eq!(settings("mistralai/Mixtral-8x7B-v0.1"), 0);
        assert_eq!(settings("Qwen/Qwen3-32B"), 0, "no experts");
    }
}
