//! Systems of papers: what to write to simulate one, and where it is done.

use super::Entry;

struct System {
    name: &'static str,
    paper: &'static str,
    about: &'static str,
    /// What makes a system of an experiment file this one.
    write: &'static str,
    /// A shipped file that has it.
    example: &'static str,
    /// Where the code is.
    code: &'static str,
    /// Folder of its paper's claims; empty where there is none.
    claims: &'static str,
}

const SYSTEMS: [System; 9] = [
    System {
        name: "Sarathi-Serve",
        paper: "Agrawal et al., OSDI 2024",
        about: "Prompts are computed in chunks that share steps with all decodes, so that no answer stalls behind a prompt.",
        write: "scheduler = { policy = \"sarathi\" } (vLLM v1's form of it: \"chunked-prefill\")",
        example: "experiments/quickstart.toml",
        code: "sim/src/scheduler/sarathi.rs",
        claims: "sarathi-serve",
    },
    System {
        name: "Layered Prefill",
        paper: "Lee et al., 2025 (arXiv 2510.08055)",
        about: "Whole prompts pass one group of layers per step, so that the experts of a layer are read once for a prompt.",
        write: "scheduler = { policy = \"layered-prefill\" }",
        example: "experiments/layered.toml",
        code: "sim/src/scheduler/layered_prefill.rs",
        claims: "layered-prefill",
    },
    System {
        name: "Orca",
        paper: "Yu et al., OSDI 2022",
        about: "Batches change with every step; whole prompts join the decodes, with blocks for prompt and answer reserved.",
        write: "scheduler = { policy = \"orca\" }",
        example: "experiments/papers/sarathi-serve/capacity-yi-34b.toml",
        code: "sim/src/scheduler/orca.rs",
        claims: "",
    },
    System {
        name: "DistServe",
        paper: "Zhong et al., OSDI 2024",
        about: "Prefill and decode run on GPUs of their own, placed for the most requests that meet their objectives per GPU.",
        write: "[system.prefill] and [system.decode], with transfer = \"pull\"; servesim plan searches placements",
        example: "experiments/disaggregated.toml",
        code: "sim/src/engine/handover.rs",
        claims: "distserve",
    },
    System {
        name: "Splitwise",
        paper: "Patel et al., ISCA 2024",
        about: "Prompt and token machines apart, with a mixed pool between them, and KV caches sent layer by layer.",
        write: "[system.prefill], [system.decode] and [system.mixed], scheduler = \"splitwise\", transfer = \"push-by-layer\"",
        example: "experiments/papers/splitwise/iso-cost.toml",
        code: "sim/src/engine/mixing.rs",
        claims: "splitwise",
    },
    System {
        name: "Lamina",
        paper: "Chen et al., 2024 (arXiv 2405.01814)",
        about: "Attention of decodes runs on cheap memory beside the model's workers, so that batches are larger.",
        write: "[system.attention_offload]",
        example: "experiments/attention_offload.toml",
        code: "sim/src/conveyor.rs",
        claims: "lamina",
    },
    System {
        name: "BatchLLM",
        paper: "Zheng et al., 2024 (arXiv 2412.03594)",
        about: "Offline requests are grouped by prefixes that are computed once, and batches are filled by memory.",
        write: "scheduler = { policy = \"batchllm\" } with arrivals = \"all-at-once\"",
        example: "experiments/batchllm.toml",
        code: "sim/src/replica/prefixes.rs",
        claims: "batchllm",
    },
    System {
        name: "BlendServe",
        paper: "Zhao et al., 2024 (arXiv 2411.16102)",
        about: "Offline requests bound by compute and by memory run together, in an order that keeps their shared prefixes.",
        write: "scheduler = { policy = \"blendserve\", order = \"density\" } with arrivals = \"all-at-once\" and composition = \"overlapped\"",
        example: "experiments/offline.toml",
        code: "sim/src/offline.rs",
        claims: "blendserve",
    },
    System {
        name: "Marconi",
        paper: "Pan et al., MLSys 2025 (arXiv 2411.19379)",
        about: "Prefix caching of hybrid models: states are kept where they are likely reused, and go by recency and FLOPs saved.",
        write: "prefix_cache = \"marconi\"; without serving, [[cache]] policy = \"marconi\" in a cache study (servesim cache)",
        example: "experiments/hybrid.toml",
        code: "sim/src/prefix_cache.rs",
        claims: "marconi",
    },
];

/// All of them.
pub(super) fn entries() -> impl Iterator<Item = Entry> {
    SYSTEMS.iter().map(|system| {
        let claims =
            if system.claims.is_empty() { String::new() } else { format!("servesim reproduce {}", system.claims) };
        Entry::new(system.name, format!("system of {}", system.paper), system.about)
            .fact("write", system.write)
            .fact("example", system.example)
            .fact("claims", claims)
            .fact("code", system.code)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_said_of_a_system_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        for system in &SYSTEMS {
            for file in [system.example, system.code] {
                assert!(root.join(file).is_file(), "{}: no {file}", system.name);
            }
            let claims = root.join("experiments/papers").join(system.claims).join("paper.toml");
            assert!(system.claims.is_empty() || claims.is_file(), "{}: no {}", system.name, claims.display());
            let example = std::fs::read_to_string(root.join(system.example)).expect("it is there");
            for word in system.write.split(['"']).skip(1).step_by(2).filter(|word| *word != "chunked-prefill") {
                let words = std::fs::read_to_string(root.join("docs/experiment-file.md")).expect("it is there")
                    + &std::fs::read_to_string(root.join("docs/cache-study.md")).expect("it is there");
                assert!(words.contains(&format!("\"{word}\"")), "{}: no key takes `{word}`", system.name);
            }
            assert!(example.contains("[["), "{} is no experiment", system.example);
        }
    }
}
