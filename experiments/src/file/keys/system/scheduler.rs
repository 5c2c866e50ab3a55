//! `[system.scheduler]`

use crate::file::key::{Bounds, COUNT, Key, Kind, TableDef, Tag};

const CHUNKED_PREFILL: &str = "chunked-prefill";
const SARATHI: &str = "sarathi";
const PREFILL_FIRST: &str = "prefill-first";
const ORCA: &str = "orca";
const SPLITWISE: &str = "splitwise";
const LAYERED_PREFILL: &str = "layered-prefill";
const BATCHLLM: &str = "batchllm";
const BLENDSERVE: &str = "blendserve";
const DENSITY: &str = "density";
const LONGEST_PREFIX_MATCH: &str = "longest-prefix-match";

/// Scheduling policy.
pub(crate) static POLICY: Key = Key::new(
    "policy",
    Kind::Choice(&[
        (CHUNKED_PREFILL, "vLLM v1: decodes and prompt pieces share the token budget, running requests first"),
        (SARATHI, "Sarathi-Serve: all decodes, then prompt pieces; blocks of a whole prompt reserved at admission"),
        (PREFILL_FIRST, "vLLM v0: steps of whole prompts whenever one fits, else decode steps"),
        (ORCA, "Orca: whole prompts join the decodes; blocks of prompt and answer reserved at admission"),
        (
            SPLITWISE,
            "Splitwise: whole prompts first, then as many decodes as the step has room for; blocks of prompt and answer reserved \
             at admission",
        ),
        (
            LAYERED_PREFILL,
            "Layered Prefill: a cohort of prompts passes one group of layers per step, beside all decodes; blocks of a whole \
             prompt reserved at admission",
        ),
        (
            BATCHLLM,
            "BatchLLM: as sarathi, on groups of requests with a common prefix, which is computed first and stays until the last \
             of them has ended; what is there when a step is planned is grouped (`arrivals = \"all-at-once\"`: everything)",
        ),
        (
            BLENDSERVE,
            "BlendServe: requests that are expected to hold as much memory as there is, from both ends of a queue sorted by compute \
             density (`order = \"density\"`), in a ratio that keeps what runs as dense as all that waits; with another order from its \
             head alone",
        ),
    ]),
    "Which policy.",
)
.value("\"chunked-prefill\"");
/// Token budget.
pub(crate) static MAX_NUM_BATCHED_TOKENS: Key = Key::new(
    "max_num_batched_tokens",
    COUNT,
    "Most tokens in a step, decode tokens included. With splitwise a longer prompt has a step to itself. With layered-prefill most prompt tokens in a cohort; longer prompts pass the \
     layers in several cohorts.",
)
.computed(
    "as the API server of vLLM: 8192 on GPUs with 70 GiB and more except A100, else 2048; without chunking at least \
         `max_model_len`; layered-prefill: 8192; splitwise: 2048, as in the paper; batchllm: 2048, as in its authors' test",
);
/// Request limit.
pub(crate) static MAX_NUM_SEQS: Key = Key::new("max_num_seqs", COUNT, "Most requests running at a time.").computed(
    "as the API server of vLLM: 1024 on GPUs with 70 GiB and more except A100, else 256; prefill-first, orca, layered-prefill and batchllm: 256; splitwise: 512",
);
/// Cap on pieces.
pub(crate) static LONG_PREFILL_TOKEN_THRESHOLD: Key = Key::new(
    "long_prefill_token_threshold",
    Kind::Integer(0, 1 << 30),
    "Most prompt tokens of one request in a step; 0: no limit.",
)
.only(&[CHUNKED_PREFILL])
.value("0");
/// Admission.
pub(crate) static SCHEDULER_RESERVE_FULL_ISL: Key = Key::new(
    "scheduler_reserve_full_isl",
    Kind::Flag,
    "Let a request in only if its whole prompt fits the free blocks, although blocks are taken piece by piece.",
)
.only(&[CHUNKED_PREFILL])
.value("true")
.vllm("on by default from 0.19");
/// Watermark.
pub(crate) static WATERMARK: Key = Key::new(
    "watermark",
    Kind::Number(Bounds { min: 0.0, above: false, max: 0.999 }),
    "Share of the KV blocks that is kept free when a prompt is let in, in thousandths.",
)
.only(&[PREFILL_FIRST, BATCHLLM, BLENDSERVE])
.value("0.01");

/// Order of groups.
pub(crate) static GROUP_ORDER: Key = Key::new(
    "group_order",
    Kind::Choice(&[
        (
            "decode-share",
            "those first that generate most per prompt token they compute, so that decodes share steps with the prompts behind \
             them; takes the true length of answers, as if every request asked for exactly the tokens it gets",
        ),
        ("submission", "in the order of their first requests, as in the public code"),
    ]),
    "In which order groups are let in.",
)
.only(&[BATCHLLM])
.value("\"decode-share\"");
/// Prefixes of groups.
pub(crate) static FIRST_LEVEL: Key = Key::new(
    "first_level",
    Kind::Choice(&[
        ("enlarged", "what several prompts begin with, made longer wherever that alone saves tokens: the rule of the paper's public code"),
        ("enlarged-together", "longer also where it pays only if done for all prompts that begin alike"),
        ("as-is", "what prompts that have any token in common all begin with"),
    ]),
    "Which prefixes make groups. What prompts of a group share beyond their prefix is computed for each.",
)
.only(&[BATCHLLM])
.value("\"enlarged\"");
/// Seats beyond.
pub(crate) static TOKEN_BATCHING_DEGREE: Key = Key::new(
    "token_batching_degree",
    Kind::Integer(0, 1 << 30),
    "Requests that may run beyond `max_num_seqs`, so that the KV cache and not the number of seats says how many decode. As many \
     as `max_num_batched_tokens` less `max_num_seqs`: memory alone.",
)
.only(&[BATCHLLM])
.value("0");
/// Sampling of answers.
pub(crate) static OUTPUT_SAMPLE: Key = Key::new(
    "output_sample",
    Kind::Number(Bounds { min: 0.0, above: false, max: 1.0 }),
    "Share of the requests, in thousandths, whose answers are known beforehand; those of others are expected to be as long as these \
     of their nearest relatives in the tree of prompts. In reality the sample is answered first and not asked again; here it is \
     answered with the rest, so that all the work is done once.",
)
.only(&[BLENDSERVE])
.value("0.01");
/// Known answers.
pub(crate) static KNOWN_OUTPUTS_FROM: Key = Key::new(
    "known_outputs_from",
    COUNT,
    "Answers of at least so many tokens are known beforehand, as for requests of images and videos.",
)
.only(&[BLENDSERVE])
.nothing("only sampled answers are known");
/// Sharing that sorting leaves.
pub(crate) static KEPT_SHARING: Key = Key::new(
    "kept_sharing",
    Kind::Number(Bounds { min: 0.0, above: false, max: 1.0 }),
    "Share, in thousandths, of the prompt tokens that depth-first order saves which sorting by density must leave saved.",
)
.only(&[BLENDSERVE])
.value("0.99");
/// Groups in that order.
pub(crate) static GROUP_PREFIXES: Key = Key::new(
    "group_prefixes",
    Kind::Flag,
    "Group requests by prefix as batchllm does, and take groups from both ends instead of requests: each prefix is computed once, stays \
     until its last request has ended, and its group is as dense as that leaves it. `kept_sharing` then has no effect.",
)
.only(&[BLENDSERVE])
.value("false");
/// Rule for the number of groups.
pub(crate) static GROUPS: Key = Key::new(
    "groups",
    Kind::Choice(&[
        (
            "per-tokens",
            "one for each `reference_chunk` prompt tokens of the cohort, and no more than layers, as in the paper",
        ),
        ("table", "by the step table of the paper's public code for `num_stages`"),
        ("fixed", "`num_groups`, however many tokens"),
    ]),
    "Into how many groups of layers a cohort's way through the model is cut. Groups differ by one layer at most.",
)
.only(&[LAYERED_PREFILL])
.value("\"per-tokens\"");
/// Tokens per group.
pub(crate) static REFERENCE_CHUNK: Key = Key::new(
    "reference_chunk",
    COUNT,
    "Prompt tokens per group with `groups = \"per-tokens\"`: a step then does as much prefill work as chunked prefill with \
     chunks of so many tokens.",
)
.only(&[LAYERED_PREFILL])
.computed("512, as in the paper");
/// Which table.
pub(crate) static NUM_STAGES: Key = Key::new(
    "num_stages",
    COUNT,
    "Groups of cohorts of more than 4096 tokens with `groups = \"table\"`: 4, 12, 16 or 24. Smaller cohorts have 1, 2 or 4 groups \
     up to 512, 1024 and 2048 tokens, and up to 4096 tokens 4, 6, 8 and 8.",
)
.only(&[LAYERED_PREFILL])
.computed("16, as for Qwen3-30B-A3B in the paper's public code");
/// How many.
pub(crate) static NUM_GROUPS: Key =
    Key::new("num_groups", COUNT, "Groups with `groups = \"fixed\"`; no more than the model has layers.")
        .only(&[LAYERED_PREFILL])
        .nothing("`groups` says how to count them");
/// One pass when alone.
pub(crate) static COLLAPSE_WITHOUT_DECODES: Key = Key::new(
    "collapse_without_decodes",
    Kind::Flag,
    "Let a cohort pass all layers that are left in a step in which nobody decodes. The paper's public code does not.",
)
.only(&[LAYERED_PREFILL])
.value("false");

/// Order of the waiting queue.
pub(crate) static ORDER: Key = Key::new(
    "order",
    Kind::Choice(&[
        ("fcfs", "as they come"),
        ("random", "shuffled, by the seed"),
        ("dfs", "depth first through the tree of the prompts: those that share a prefix follow each other"),
        (DENSITY, "the most compute-heavy first, in depth-first order of a tree sorted and split for it; blendserve's own"),
        (
            LONGEST_PREFIX_MATCH,
            "the longest prefix in the cache first, looked up in every step, as long as few enough wait (SGLang's `lpm`)",
        ),
        ("shortest-prompt-first", "the fewest prompt tokens first"),
        (
            "shortest-job-first",
            "the fewest tokens of prompt and answer first, as if it were known how long answers will be: the bound of what a \
             prediction of lengths can do",
        ),
    ]),
    "In which order requests are let in that wait at the same time. random, dfs and density order what reaches the queue between two steps, \
     once: with `arrivals = \"all-at-once\"` everything. The shortest-first orders hold among all that wait; nobody is kept from \
     starving. Preempted requests come back at the head.",
)
.computed("fcfs; with blendserve density");
/// Limit of sorting.
pub(crate) static LONGEST_PREFIX_MATCH_LIMIT: Key = Key::new(
    "longest_prefix_match_limit",
    COUNT,
    "With more requests waiting they are let in as they stand with `order = \"longest-prefix-match\"`.",
)
.computed("128, as in SGLang");

pub(super) static SCHEDULER_TABLE: TableDef = TableDef {
    path: "system.scheduler",
    doc: "How steps are composed. `scheduler = \"orca\"` is short for `scheduler = { policy = \"orca\" }`.",
    tag: Tag::Key(&POLICY),
    keys: &[
        &POLICY,
        &MAX_NUM_BATCHED_TOKENS,
        &MAX_NUM_SEQS,
        &ORDER,
        &LONGEST_PREFIX_MATCH_LIMIT,
        &LONG_PREFILL_TOKEN_THRESHOLD,
        &SCHEDULER_RESERVE_FULL_ISL,
        &WATERMARK,
        &GROUP_ORDER,
        &FIRST_LEVEL,
        &TOKEN_BATCHING_DEGREE,
        &OUTPUT_SAMPLE,
        &KNOWN_OUTPUTS_FROM,
        &KEPT_SHARING,
        &GROUP_PREFIXES,
        &GROUPS,
        &REFERENCE_CHUNK,
        &NUM_STAGES,
        &NUM_GROUPS,
        &COLLAPSE_WITHOUT_DECODES,
    ],
};
