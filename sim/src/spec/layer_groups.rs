//! Into how many groups layered prefill cuts the layers.

/// How many groups of layers a cohort passes, from the prompt tokens that it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerGroups {
    /// max(1, ⌈tokens / `reference_chunk`⌉), and no more than layers: as many steps as chunked prefill would take with
    /// chunks of so many tokens (*Layered Prefill*, section on the number of groups; 512 there).
    PerTokens {
        /// Tokens per group (≥ 1).
        reference_chunk: u32,
    },
    /// The step table of the paper's public code for its option `--num-stages`, one of [`LayerGroups::NUM_STAGES`] and no
    /// more than layers.
    Table {
        /// Groups of the largest cohorts.
        num_stages: u32,
    },
    /// Always so many, from 1 to the number of layers.
    Fixed(u32),
}

impl LayerGroups {
    /// The values of `--num-stages` that the public code has a table for (`get_num_stages` in its `scheduler.py`).
    pub const NUM_STAGES: [u32; 4] = [4, 12, 16, 24];

    /// Groups for a cohort of `tokens` prompt tokens in a model of `layers` layers.
    ///
    /// # Panics
    ///
    /// If the rule is none that [`simulate`](crate::simulate) accepts for such a model.
    pub fn count(self, tokens: u32, layers: u32) -> u32 {
        match self {
            LayerGroups::PerTokens { reference_chunk } => tokens.div_ceil(reference_chunk).clamp(1, layers),
            LayerGroups::Table { num_stages } => match tokens {
                0..=512 => 1,
                513..=1024 => 2,
                1025..=2048 => 4,
                2049..=4096 => match num_stages {
                    4 => 4,
                    12 => 6,
                    16 | 24 => 8,
                    other => unreachable!("there is no table for num_stages = {other}"),
                },
                _ => num_stages,
            },
            LayerGroups::Fixed(groups) => groups,
        }
    }

    /// What is wrong with it for a model of `layers` layers: its value, and what would be right.
    pub(crate) fn problem(self, layers: u32) -> Option<(u32, String)> {
        let at_most_layers = || format!("at most {layers}, the model's layers: a group has at least one");
        match self {
            LayerGroups::PerTokens { reference_chunk: 0 } => {
                Some((0, "a reference chunk of at least one token".into()))
            }
            LayerGroups::Table { num_stages } if !Self::NUM_STAGES.contains(&num_stages) => {
                Some((num_stages, "4, 12, 16 or 24: the public code has tables for these alone".into()))
            }
            LayerGroups::Fixed(0) => Some((0, "at least one group".into())),
            LayerGroups::Table { num_stages: groups } | LayerGroups::Fixed(groups) if groups > layers => {
                Some((groups, at_most_layers()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_counts_one_group_for_each_reference_chunk() {
        let paper = LayerGroups::PerTokens { reference_chunk: 512 };
        let counts = [1, 512, 513, 8192, 1_000_000].map(|tokens| paper.count(tokens, 48));
        assert_eq!(counts, [1, 1, 2, 16, 48]);
    }

    #[test]
    fn tables_are_those_of_the_public_code() {
        for (num_stages, expected) in
            [(16, [1, 2, 4, 8, 16]), (12, [1, 2, 4, 6, 12]), (24, [1, 2, 4, 8, 24]), (4, [1, 2, 4, 4, 4])]
        {
            let counts = |tokens: [u32; 5]| tokens.map(|tokens| LayerGroups::Table { num_stages }.count(tokens, 48));
            assert_eq!(counts([512, 1024, 2048, 4096, 8192]), expected, "up to the limits, num_stages = {num_stages}");
            let [_, above @ ..] = expected;
            assert_eq!(counts([513, 1025, 2049, 4097, 1])[..4], above, "above them, num_stages = {num_stages}");
        }
    }
}
