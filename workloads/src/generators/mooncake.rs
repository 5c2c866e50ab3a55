//! Conversations of Kimi, after the trace published with Mooncake.
//!
//! Source: github.com/kvcache-ai/Mooncake, `FAST25-release/traces/conversation_trace.jsonl`, published with R. Qin et
//! al., "Mooncake: Trading More Storage for Less Computation", FAST 2025. 12,031 requests in 3537 s; prompts have mean
//! 12035, p50 6909, p90 27367, p99 85400, answers 343, 350, 597, 1119; a cache that forgets nothing would hit 37.4 % of
//! the prompt tokens. All figures below were computed from the trace in November 2026.
//!
//! Structure found by following the hash ids: every prompt starts with the same block of 512 tokens; 3,830 of the
//! requests repeat the whole prompt of an earlier one (but for its last, partial block) and are longer, which makes
//! 8,201 conversations. Their sizes, first prompts, times from one turn to the next, and growth from one prompt to the
//! next beyond the answer in between are tabulated. First prompts are scaled by 0.96 and growth by 0.8: in the trace long
//! conversations start shorter than others and are sometimes cut back, here every one keeps its whole history, and the
//! factors bring mean, percentiles and hit ratio back to the trace's.
//!
//! Arrivals: the trace's times are multiples of 3.0 s (1,180 distinct ones), and the CV of 3.03 between rows is mostly
//! that rounding. Counts in windows of 9 to 60 s, which do not see it, have a variance of 2.5 to 2.9 times their mean;
//! conversations therefore start with Gamma gaps of cv² = 2.56. Left out: the rounding; prompts that share only the
//! beginning of an earlier one (about 830 requests). The trace is an hour cut out of the traffic; here conversations start
//! at their rate until the number of requests is planned, and then the last ones end, which takes up to an hour more.

use super::{Generator, quantile_table};
use crate::arrivals::Arrivals;
use crate::durations::Durations;
use crate::lengths::{Lengths, RequestLengths};
use crate::prefix::{Popularity, PrefixLength, PrefixSpec, PromptLengths};
use crate::sessions::SessionSpec;
use crate::spec::WorkloadSpec;

/// Conversations with long contexts, a common system prompt and several turns.
pub(super) const CONVERSATION: Generator = Generator {
    name: "mooncake-conversation",
    summary: "long conversations of Kimi with shared prefixes, 3.4 requests/s once they are under way (12,031 requests take \
              longer than the trace's hour: turns come minutes apart, and the last ones trail)",
    source: "Mooncake conversation trace (kvcache-ai/Mooncake, FAST 2025)",
    requests: 12_031,
    build: conversation,
};

/// How many conversations have how many turns.
const SIZES: [(u32, f64); 20] = [
    (1, 6194.0),
    (2, 1242.0),
    (3, 393.0),
    (4, 168.0),
    (5, 80.0),
    (6, 42.0),
    (7, 23.0),
    (8, 16.0),
    (9, 6.0),
    (10, 13.0),
    (11, 4.0),
    (12, 3.0),
    (13, 2.0),
    (14, 3.0),
    (15, 3.0),
    (16, 4.0),
    (17, 2.0),
    (18, 1.0),
    (25, 1.0),
    (43, 1.0),
];

/// 3.401 requests/s over 12031 / 8201 requests a conversation.
const CONVERSATIONS_PER_SECOND: f64 = 2.318;

fn conversation(requests: u64) -> WorkloadSpec {
    let first_prompt = quantile_table(FIRST_PROMPT);
    let answer = quantile_table([
        1, 3, 10, 24, 46, 100, 156, 213, 256, 291, 322, 350, 375, 399, 423, 447, 472, 504, 543, 597, 698, 800, 892,
        1119, 1568, 2000, 2000,
    ]);
    let system_prompt = PrefixSpec::SystemPrompts {
        prompts: PromptLengths::Given(vec![512]),
        popularity: Popularity::Uniform,
        length: PrefixLength::Within,
    };
    let sessions = SessionSpec {
        turns: Lengths::Empirical { weights: SIZES.to_vec() },
        think: Durations::Quantiles { table: super::PROBABILITIES.into_iter().zip(BETWEEN_TURNS_S).collect() },
        followup: Some(quantile_table(FOLLOWUP)),
        max_context: Some(131_072),
        kept_messages: None,
    };
    WorkloadSpec {
        arrivals: Arrivals::Gamma { rate: CONVERSATIONS_PER_SECOND, cv: 1.6 },
        // Spearman's rank correlation of input and output is 0.072.
        lengths: RequestLengths::Correlated { input: first_prompt, output: answer, rho: 0.075 },
        prefix: system_prompt,
        sessions: Some(sessions),
        requests,
    }
}

/// First prompts of a conversation, tokens: 0.96 of the trace's.
const FIRST_PROMPT: [u32; 27] = [
    855, 858, 862, 872, 935, 1128, 1422, 2074, 3357, 4201, 4885, 5713, 6852, 8246, 9762, 11655, 13775, 16334, 19637,
    25393, 36904, 49196, 63827, 83682, 104_711, 115_810, 121_147,
];

/// What a turn adds beyond the answer before it, tokens: 0.8 of the trace's, at least 1.
const FOLLOWUP: [u32; 27] = [
    1, 1, 1, 3, 6, 6, 8, 10, 11, 14, 18, 22, 30, 46, 79, 162, 309, 631, 2220, 3435, 5644, 7612, 9582, 13583, 17942,
    30155, 73174,
];

/// From one turn to the next, seconds. The trace does not tell answering from thinking; all of it is thinking here.
const BETWEEN_TURNS_S: [f64; 27] = [
    6.0, 15.0, 30.0, 42.0, 51.0, 60.0, 66.0, 75.0, 84.0, 96.0, 108.0, 123.0, 141.0, 165.0, 189.0, 228.0, 267.0, 321.0,
    387.0, 477.0, 606.0, 714.0, 1007.0, 1467.0, 1913.0, 2669.0, 3030.0,
];
