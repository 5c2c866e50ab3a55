//! Requests whose prompts begin alike, found before anything runs: *`BatchLLM`*'s global prefix identification.
//!
//! Groups have one level: a prefix that is computed once, and members whose prompts share no more than that. Which
//! prefixes pay is decided by [`enlarge`] on the radix tree of all prompts.

mod enlarge;

use workloads::Prompt;
use workloads::radix::{NodeId, RadixTree};

use enlarge::Units;

/// Requests that begin with the same tokens, which are to be computed once for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixGroup {
    /// Tokens of the prefix: the whole prompt, where there is one member alone.
    pub prefix_tokens: u32,
    /// Places of the members among the prompts given, ascending; at least one.
    pub members: Vec<u32>,
}

/// Which nodes of the tree become prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstLevel {
    /// Those below the root, as they are.
    AsIs,
    /// Deeper ones too, where they save more than is lost by computing again what leads to them: *`BatchLLM`*'s dynamic
    /// programme.
    Enlarged,
    /// The same, but all nodes below one are moved up also where each alone does not pay, if all together do: what leads to them is
    /// then computed with each of them, and no more by itself.
    EnlargedTogether,
}

/// What a batch of prompts shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Sharing {
    /// The groups, in the order of their first members. Every prompt is a member of one.
    pub groups: Vec<PrefixGroup>,
    /// Tokens of all prompts.
    pub logical_tokens: u64,
    /// Tokens that are computed if each group's prefix is computed once.
    pub physical_tokens: u64,
    /// Tokens that would be computed if every node of the tree were computed once.
    pub tree_tokens: u64,
}

impl Sharing {
    /// What these prompts share.
    pub fn of<'a>(prompts: impl IntoIterator<Item = &'a Prompt>, first_level: FirstLevel) -> Self {
        let mut tree = RadixTree::new();
        let prompts: Vec<(NodeId, u32)> =
            prompts.into_iter().map(|prompt| (tree.insert(prompt.spans()).end, prompt.tokens())).collect();
        let groups = Units::of(&tree, prompts.iter().map(|&(end, _)| end)).first_level(first_level);
        let tree_tokens = tree.pre_order(NodeId::ROOT).map(|node| u64::from(tree.edge_tokens(node))).sum();
        let sum = |group: &PrefixGroup| {
            let rest = group.members.iter().map(|&member| u64::from(prompts[member as usize].1 - group.prefix_tokens));
            u64::from(group.prefix_tokens) + rest.sum::<u64>()
        };
        Sharing {
            physical_tokens: groups.iter().map(sum).sum(),
            logical_tokens: prompts.iter().map(|&(_, tokens)| u64::from(tokens)).sum(),
            tree_tokens,
            groups,
        }
    }

    /// Share of the tokens that need not be computed, from 0 to 1; 0 without prompts.
    pub fn saving(&self) -> f64 {
        saved(self.physical_tokens, self.logical_tokens)
    }

    /// The same if every node of the tree were computed once: no grouping saves more.
    pub fn tree_saving(&self) -> f64 {
        saved(self.tree_tokens, self.logical_tokens)
    }

    /// Mean number of members of groups with more than one, and mean length of their prefixes in tokens; 0 without such
    /// groups.
    pub fn means(&self) -> (f64, f64) {
        let shared: Vec<_> = self.groups.iter().filter(|group| group.members.len() > 1).collect();
        let mean = |of: fn(&PrefixGroup) -> f64| {
            shared.iter().map(|group| of(group)).sum::<f64>() / shared.len().max(1) as f64
        };
        (mean(|group| group.members.len() as f64), mean(|group| f64::from(group.prefix_tokens)))
    }
}

fn saved(computed: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 1.0 - computed as f64 / all as f64 }
}
