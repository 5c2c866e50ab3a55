//! Prefix structures, ready to be drawn from.

use super::{PopularitySampler, PrefixLength, PrefixSpec, PromptLengths};
use crate::error::WorkloadError;
use crate::lengths::LengthSampler;
use crate::request::{ContentId, Span};
use crate::rng::{Streams, uniform};

/// Draws what prompts start with.
#[derive(Clone, Debug)]
pub(crate) enum PrefixSampler {
    None,
    SystemPrompts { choices: Streams, tokens: Vec<u32>, popularity: PopularitySampler, length: PrefixLength },
    Tree(TreeSampler),
}

#[derive(Clone, Debug)]
pub(crate) struct TreeSampler {
    choices: Streams,
    pieces: Streams,
    depth: u32,
    branching: u64,
    piece: LengthSampler,
    share: f64,
    popularity: PopularitySampler,
}

impl PrefixSampler {
    pub(crate) fn new(spec: &PrefixSpec, seed: u64) -> Result<Self, WorkloadError> {
        spec.validate()?;
        let choices = Streams::new(seed, "prefix");
        Ok(match spec {
            PrefixSpec::None => PrefixSampler::None,
            PrefixSpec::SystemPrompts { prompts, popularity, length } => {
                let tokens = match prompts {
                    PromptLengths::Given(tokens) => tokens.clone(),
                    PromptLengths::Drawn { count, tokens } => {
                        let (sampler, lengths) = (LengthSampler::new(tokens)?, Streams::new(seed, "prefix length"));
                        (0..u64::from(*count)).map(|prompt| sampler.quantile(lengths.uniform(prompt))).collect()
                    }
                };
                let popularity = PopularitySampler::new(*popularity, prompts.count());
                PrefixSampler::SystemPrompts { choices, tokens, popularity, length: *length }
            }
            PrefixSpec::Tree(tree) => PrefixSampler::Tree(TreeSampler {
                choices,
                pieces: Streams::new(seed, "prefix length"),
                depth: tree.depth,
                branching: u64::from(tree.branching),
                piece: LengthSampler::new(&tree.piece)?,
                share: tree.share,
                popularity: PopularitySampler::new(tree.popularity, tree.branching),
            }),
        })
    }

    /// The spans of a prompt for which `input` tokens were drawn: its shared ones, and the rest from `own`. `number` is
    /// the request's (or session's) number.
    pub(crate) fn prompt(&self, number: u64, input: u32, own: ContentId) -> Vec<Span> {
        match self {
            PrefixSampler::None => vec![Span { content: own, tokens: input }],
            PrefixSampler::SystemPrompts { choices, tokens, popularity, length } => {
                let prompt = popularity.choose(choices.uniform(number));
                let whole = tokens[prompt as usize];
                let (shared, rest) = match length {
                    PrefixLength::OnTop => (whole, input),
                    PrefixLength::Within => (whole.min(input), input.saturating_sub(whole)),
                };
                let mut spans = vec![Span { content: ContentId::shared(u64::from(prompt)), tokens: shared }];
                if rest > 0 {
                    spans.push(Span { content: own, tokens: rest });
                }
                spans
            }
            PrefixSampler::Tree(tree) => tree.prompt(number, input, own),
        }
    }
}

impl TreeSampler {
    fn prompt(&self, number: u64, input: u32, own: ContentId) -> Vec<Span> {
        let mut left = (f64::from(input) * self.share).round() as u32;
        let mut rest = input;
        let mut rng = self.choices.stream(number);
        let mut spans = Vec::with_capacity(self.depth as usize + 1);
        let mut node = 0;
        for _ in 0..self.depth {
            if left == 0 {
                break;
            }
            // Breadth-first numbers of a complete tree: the children of n are n·b + 1 … n·b + b.
            node = node * self.branching + 1 + u64::from(self.popularity.choose(uniform(&mut rng)));
            let tokens = self.piece.quantile(self.pieces.uniform(node)).min(left);
            spans.push(Span { content: ContentId::shared(node), tokens });
            left -= tokens;
            rest -= tokens;
        }
        if rest > 0 {
            spans.push(Span { content: own, tokens: rest });
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Popularity, PrefixTree};
    use super::*;
    use crate::lengths::Lengths;

    fn spans(spec: &PrefixSpec, number: u64, input: u32) -> Vec<(u64, u32)> {
        let sampler = PrefixSampler::new(spec, 9).unwrap();
        let prompt = sampler.prompt(number, input, ContentId(99));
        prompt.iter().map(|span| (span.content.0, span.tokens)).collect()
    }

    fn one_system_prompt(length: PrefixLength) -> PrefixSpec {
        let prompts = PromptLengths::Given(vec![100]);
        PrefixSpec::SystemPrompts { prompts, popularity: Popularity::Uniform, length }
    }

    #[test]
    fn a_system_prompt_is_part_of_the_input_or_on_top_of_it() {
        let shared = ContentId::shared(0).0;
        assert_eq!(spans(&one_system_prompt(PrefixLength::OnTop), 0, 30), [(shared, 100), (99, 30)]);
        assert_eq!(spans(&one_system_prompt(PrefixLength::Within), 0, 130), [(shared, 100), (99, 30)]);
        assert_eq!(spans(&one_system_prompt(PrefixLength::Within), 0, 30), [(shared, 30)]);
    }

    #[test]
    fn drawn_system_prompts_keep_their_length() {
        let prompts = PromptLengths::Drawn { count: 5, tokens: Lengths::Uniform { min: 10, max: 1000 } };
        let popularity = Popularity::Zipf { exponent: 1.0 };
        let spec = PrefixSpec::SystemPrompts { prompts, popularity, length: PrefixLength::OnTop };
        let mut seen = std::collections::BTreeMap::new();
        for number in 0..200 {
            let (content, tokens) = spans(&spec, number, 1)[0];
            assert_eq!(*seen.entry(content).or_insert(tokens), tokens);
        }
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn prompts_of_a_tree_share_what_their_paths_share_whatever_their_length() {
        let tree = PrefixTree {
            depth: 3,
            branching: 2,
            piece: Lengths::Uniform { min: 50, max: 150 },
            share: 0.5,
            popularity: Popularity::Uniform,
        };
        let spec = PrefixSpec::Tree(tree);
        let mut whole_paths = std::collections::BTreeMap::new();
        for number in 0..64 {
            let long = spans(&spec, number, 2000);
            assert_eq!(long.len(), 4, "three pieces of at most 150 tokens and the rest");
            assert_eq!(long.iter().map(|&(_, tokens)| tokens).sum::<u32>(), 2000);
            for pair in long[..3].windows(2) {
                let number = |content: u64| content & (ContentId::LIMIT - 1);
                assert_eq!((number(pair[1].0) - 1) / 2, number(pair[0].0), "a piece lies below its parent");
            }
            for &(content, tokens) in &long[..3] {
                assert_eq!(*whole_paths.entry(content).or_insert(tokens), tokens);
            }
            let short = spans(&spec, number, 60);
            assert_eq!(short, [(long[0].0, 30), (99, 30)], "half of a short prompt is the beginning of the same path");
        }
        assert_eq!(whole_paths.len(), 2 + 4 + 8);
    }
}
