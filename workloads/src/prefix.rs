//! What prompts have in common: shared system prompts and prefix trees.

mod popularity;
mod sampler;

pub use popularity::Popularity;
pub(crate) use popularity::PopularitySampler;
pub(crate) use sampler::PrefixSampler;

use crate::check;
use crate::error::WorkloadError;
use crate::lengths::Lengths;

/// What prompts start with that others start with too. (The history of a conversation is [`crate::SessionSpec`]'s.)
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PrefixSpec {
    /// Nothing: every prompt is its own.
    #[default]
    None,
    /// Each prompt starts with one of a few system prompts.
    SystemPrompts {
        /// How long they are.
        prompts: PromptLengths,
        /// How often each is used; the first is the most popular.
        popularity: Popularity,
        /// Whether the drawn input length includes the system prompt.
        length: PrefixLength,
    },
    /// Each prompt starts with a path from the root of a tree: a level deeper, what is shared is shared by fewer.
    Tree(PrefixTree),
}

/// A tree of shared pieces.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixTree {
    /// Pieces on a path from the top to a leaf (≥ 1).
    pub depth: u32,
    /// Pieces to choose from at the top, and below each piece (≥ 1). `branching ^ depth` leaves, at most 2^60.
    pub branching: u32,
    /// Tokens of a piece, drawn once for each.
    pub piece: Lengths,
    /// Share of a prompt's tokens that comes from its path, from 0 to 1; less where the path is shorter than that.
    pub share: f64,
    /// How often each piece is chosen among its siblings; the first is the most popular.
    pub popularity: Popularity,
}

/// Lengths of system prompts.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptLengths {
    /// One for each length, in tokens.
    Given(Vec<u32>),
    /// `count` of them, each length drawn once.
    Drawn {
        /// How many (≥ 1).
        count: u32,
        /// How long.
        tokens: Lengths,
    },
}

/// Whether a drawn input length includes the shared prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixLength {
    /// The input length is of the whole prompt; a prompt shorter than its prefix is the beginning of the prefix.
    Within,
    /// The prefix comes on top of it.
    OnTop,
}

impl PrefixSpec {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] names the one that cannot be and what it must be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        match self {
            PrefixSpec::None => Ok(()),
            PrefixSpec::SystemPrompts { prompts, popularity, .. } => {
                prompts.validate()?;
                popularity.validate()
            }
            PrefixSpec::Tree(tree) => tree.validate(),
        }
    }
}

impl PromptLengths {
    /// How many there are.
    pub fn count(&self) -> u32 {
        match self {
            PromptLengths::Given(tokens) => tokens.len() as u32,
            PromptLengths::Drawn { count, .. } => *count,
        }
    }

    fn validate(&self) -> Result<(), WorkloadError> {
        const OF: &str = "system prompts";
        if self.count() == 0 {
            return Err(check::wrong(OF, "count", 0, "at least 1"));
        }
        match self {
            PromptLengths::Given(tokens) => tokens.iter().try_for_each(|&t| check::tokens(OF, "tokens", t)),
            PromptLengths::Drawn { count, tokens } => {
                if *count > popularity::MAX_CHOICES {
                    return Err(check::wrong(OF, "count", count, format!("at most {}", popularity::MAX_CHOICES)));
                }
                tokens.validate()
            }
        }
    }
}

impl PrefixTree {
    fn validate(&self) -> Result<(), WorkloadError> {
        const OF: &str = "prefix tree";
        if self.depth == 0 {
            return Err(check::wrong(OF, "depth", 0, "at least 1"));
        }
        if self.branching == 0 || self.branching > popularity::MAX_CHOICES {
            let expected = format!("between 1 and {}", popularity::MAX_CHOICES);
            return Err(check::wrong(OF, "branching", self.branching, expected));
        }
        let leaves = u64::from(self.branching).checked_pow(self.depth).filter(|&leaves| leaves <= 1 << 60);
        if self.depth > 1024 || leaves.is_none() {
            let expected = "at most 1024, with branching ^ depth at most 2^60";
            return Err(check::wrong(OF, "depth", self.depth, expected));
        }
        check::share(OF, "share", self.share)?;
        self.piece.validate()?;
        self.popularity.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_prefixes_are_refused_with_the_reason() {
        let tree = PrefixTree {
            depth: 3,
            branching: 4,
            piece: Lengths::Fixed { tokens: 64 },
            share: 0.5,
            popularity: Popularity::Uniform,
        };
        let message = |tree: PrefixTree| PrefixSpec::Tree(tree).validate().unwrap_err().to_string();
        assert!(PrefixSpec::Tree(tree.clone()).validate().is_ok());
        assert_eq!(
            message(PrefixTree { share: 1.5, ..tree.clone() }),
            "prefix tree: share is 1.5, but it must be a share between 0 and 1"
        );
        assert_eq!(
            message(PrefixTree { depth: 0, ..tree.clone() }),
            "prefix tree: depth is 0, but it must be at least 1"
        );
        assert_eq!(
            message(PrefixTree { depth: 31, ..tree.clone() }),
            "prefix tree: depth is 31, but it must be at most 1024, with branching ^ depth at most 2^60"
        );
        assert_eq!(
            message(PrefixTree { branching: 0, ..tree.clone() }),
            "prefix tree: branching is 0, but it must be between 1 and 1048576"
        );
        assert_eq!(
            message(PrefixTree { popularity: Popularity::Zipf { exponent: -1.0 }, ..tree }),
            "zipf popularity: exponent is -1, but it must be a finite number, 0 or above"
        );
        let none = PrefixSpec::SystemPrompts {
            prompts: PromptLengths::Given(vec![]),
            popularity: Popularity::Uniform,
            length: PrefixLength::Within,
        };
        assert_eq!(none.validate().unwrap_err().to_string(), "system prompts: count is 0, but it must be at least 1");
    }
}
