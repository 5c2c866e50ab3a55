//! Which prefixes have been seen before.

use rustc_hash::{FxHashMap, FxHashSet};

use super::PrefixStatistics;
use crate::request::Span;
use crate::rng::splitmix64;

/// The prefixes of all prompts so far. A prefix is named by a 64-bit hash of its spans: with 10 million of them, the
/// probability that any two are mistaken for each other is 3 in a million.
#[derive(Debug, Default)]
pub(super) struct SeenPrefixes {
    /// For the prefix before a span and the span's content: the most tokens of that content seen there.
    longest: FxHashMap<u64, u32>,
    /// Prefixes that end where a span ends.
    ends: FxHashSet<u64>,
    spans: u64,
    hit_tokens: u64,
}

/// Name of the empty prefix.
const START: u64 = 0x5e12_7e51_a61f_0001;

/// Name of what `value` leads to from the prefix named `prefix`.
fn hash(prefix: u64, value: u64) -> u64 {
    splitmix64(prefix ^ splitmix64(value))
}

impl SeenPrefixes {
    pub(super) fn add(&mut self, spans: &[Span]) {
        let mut prefix = START;
        let mut hitting = true;
        for span in spans {
            let branch = hash(prefix, span.content.0);
            let longest = self.longest.entry(branch).or_insert(0);
            if hitting {
                self.hit_tokens += u64::from(span.tokens.min(*longest));
                hitting = *longest >= span.tokens;
            }
            *longest = span.tokens.max(*longest);
            prefix = hash(branch, u64::from(span.tokens));
            self.ends.insert(prefix);
        }
        self.spans += spans.len() as u64;
    }

    /// `prompt_tokens`: of all prompts, those without spans included.
    pub(super) fn finish(&self, prompt_tokens: u64) -> PrefixStatistics {
        let unique_spans = self.ends.len() as u64;
        PrefixStatistics {
            token_hit_ratio: if prompt_tokens == 0 { 0.0 } else { self.hit_tokens as f64 / prompt_tokens as f64 },
            hit_tokens: self.hit_tokens,
            spans: self.spans,
            unique_spans,
            span_hit_ratio: (self.spans > 0).then(|| 1.0 - unique_spans as f64 / self.spans as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ContentId;
    use proptest::prelude::*;

    fn spans(pairs: &[(u64, u32)]) -> Vec<Span> {
        pairs.iter().map(|&(content, tokens)| Span { content: ContentId(content), tokens }).collect()
    }

    fn hits(prompts: &[&[(u64, u32)]]) -> u64 {
        let mut seen = SeenPrefixes::default();
        for prompt in prompts {
            seen.add(&spans(prompt));
        }
        seen.finish(1).hit_tokens
    }

    #[test]
    fn a_token_hits_only_behind_a_prefix_that_hits() {
        assert_eq!(hits(&[&[(1, 10), (2, 10)], &[(1, 10), (2, 10), (3, 5)]]), 20);
        assert_eq!(hits(&[&[(1, 10), (2, 10)], &[(9, 10), (2, 10)]]), 0, "the same block behind another prefix");
        assert_eq!(hits(&[&[(1, 10), (2, 10)], &[(1, 4), (2, 10)]]), 4, "the first four tokens of content 1");
        assert_eq!(hits(&[&[(1, 4), (2, 10)], &[(1, 10), (2, 10)]]), 4);
        assert_eq!(hits(&[&[(1, 4), (2, 10)], &[(1, 10)], &[(1, 10)], &[(1, 4), (2, 3)]]), 4 + 10 + 7);
    }

    proptest! {
        /// Against the definition, token by token: a token is its content and its position in it.
        #[test]
        fn hits_are_those_of_the_definition(
            prompts in proptest::collection::vec(proptest::collection::vec((0_u64..3, 1_u32..5), 1..5), 1..30),
        ) {
            let mut seen = SeenPrefixes::default();
            let mut tokens_seen = std::collections::BTreeSet::new();
            let mut expected = 0;
            for prompt in &prompts {
                seen.add(&spans(prompt));
                let tokens: Vec<(u64, u32)> =
                    prompt.iter().flat_map(|&(content, n)| (0..n).map(move |position| (content, position))).collect();
                expected += (1..=tokens.len()).filter(|&n| tokens_seen.contains(&tokens[..n])).count() as u64;
                for n in 1..=tokens.len() {
                    tokens_seen.insert(tokens[..n].to_vec());
                }
            }
            prop_assert_eq!(seen.finish(1).hit_tokens, expected);
        }
    }
}
