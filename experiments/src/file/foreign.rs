//! What other programs call things that experiment files have keys for.

/// Words of engines and benchmark clients (vLLM, SGLang, TensorRT-LLM) or of common speech, and the keys that mean the same.
/// Only words that are no key here, and not so like one that their letters alone would tell.
const NAMES: [(&str, &[&str]); 17] = [
    ("rate", &["request_rate", "request-rate", "arrival_rate", "qps", "rps"]),
    ("requests", &["num_requests", "num_prompts", "num-prompts", "n_requests"]),
    ("trace", &["dataset", "dataset_path", "dataset-path"]),
    ("gpu", &["device", "gpu_type", "hardware", "accelerator"]),
    ("tensor_parallel_size", &["tp", "tp_size", "tp-size"]),
    ("pipeline_parallel_size", &["pp", "pp_size", "pp-size"]),
    ("data_parallel_size", &["dp", "dp_size", "dp-size"]),
    ("enable_expert_parallel", &["ep", "ep_size", "expert_parallel_size"]),
    ("max_num_batched_tokens", &["chunk_size", "chunked_prefill_size", "token_budget", "max_num_tokens"]),
    ("max_num_seqs", &["batch_size", "max_batch_size", "max_running_requests"]),
    ("max_model_len", &["context_length", "max_seq_len"]),
    ("gpu_memory_utilization", &["mem_fraction_static", "mem-fraction-static"]),
    ("order", &["schedule_policy", "scheduling_policy"]),
    ("arrivals", &["burstiness"]),
    ("tbt", &["itl"]),
    ("e2e", &["e2el"]),
    ("seeds", &["random_seed", "random_seeds"]),
];

/// The key that means what others call `word`.
pub(super) fn ours(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    NAMES.iter().find(|(_, words)| words.contains(&lower.as_str())).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::keys;

    #[test]
    fn what_others_say_is_no_key_here_and_what_it_means_is_one() {
        let mut known = std::collections::BTreeSet::new();
        keys::ROOT.walk(&mut |table| known.extend(table.keys.iter().map(|key| key.name)));
        for (name, words) in NAMES {
            assert!(known.contains(name), "`{name}` is no key");
            for word in words {
                assert!(!known.contains(word), "`{word}` is a key itself");
                assert_eq!(ours(&word.to_uppercase()), Some(name));
            }
        }
        assert_eq!(ours("rate"), None);
    }
}
