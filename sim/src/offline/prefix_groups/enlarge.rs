//! From a radix tree to one level of prefixes.
//!
//! The dynamic programme of *`BatchLLM`*'s public code (`vllm/inputs/prefix_clustering.py`, `enlarge`): from the leaves up,
//! each child `g` of a node `c` is moved up beside `c`, with `c`'s tokens put before its own, where
//! `(leaves(g) − 1) · len(g) > len(c)`: the tokens of `c` are computed once more, and those of `g` become a prefix that its
//! leaves share. With [`FirstLevel::EnlargedTogether`] all of `c`'s children are moved where the sum of these gains and `len(c)`,
//! which is then computed with them alone, is more than the gains of those that pay alone. What stays below a first-level node is computed for each member by itself.

use workloads::radix::{NodeId, RadixTree};

use super::{FirstLevel, PrefixGroup};

/// End of a list of prompts.
const NONE: u32 = u32::MAX;

/// A run of tokens below some node, and the prompts that begin with it.
#[derive(Clone, Copy, Debug)]
struct Unit {
    tokens: u32,
    /// Its prompts: how many, and the first and last of a list.
    leaves: u32,
    first: u32,
    last: u32,
}

impl Unit {
    /// Tokens that are saved by moving it up beside a node of so many tokens.
    fn gain(&self, tokens: u32) -> i64 {
        i64::from(self.leaves - 1) * i64::from(self.tokens) - i64::from(tokens)
    }
}

/// Whether moving all of these up, so that their node of `tokens` tokens is computed no more, saves more than moving those that
/// pay alone.
fn pay_together(tokens: u32, units: &[Unit]) -> bool {
    let (mut all, mut alone) = (i64::from(tokens), 0);
    for unit in units {
        let gain = unit.gain(tokens);
        all += gain;
        alone += gain.max(0);
    }
    all > alone
}

/// The prompts of a tree, each in a list with those that end at the same node or share a unit.
pub(super) struct Units<'a> {
    tree: &'a RadixTree,
    /// The last prompt that ends at each node.
    ends: Vec<u32>,
    /// The prompt after each in its list.
    next: Vec<u32>,
}

impl<'a> Units<'a> {
    /// For prompts that end at these nodes.
    pub(super) fn of(tree: &'a RadixTree, ends: impl Iterator<Item = NodeId>) -> Self {
        let mut units = Units { tree, ends: vec![NONE; tree.slots()], next: Vec::new() };
        for (prompt, end) in (0..).zip(ends) {
            let last = std::mem::replace(&mut units.ends[end.index()], prompt);
            units.next.push(last);
        }
        units
    }

    /// The first level, groups in the order of their first members.
    pub(super) fn first_level(mut self, rule: FirstLevel) -> Vec<PrefixGroup> {
        // Backwards, each node comes after all below it, so that what its children came to lies on top of the stack.
        let nodes: Vec<NodeId> = self.tree.pre_order(NodeId::ROOT).collect();
        let (mut stack, mut counts) = (Vec::new(), Vec::new());
        for &node in nodes.iter().rev() {
            let children = self.tree.child_count(node) as usize;
            let from_children: usize = counts.drain(counts.len() - children..).sum();
            let mut below = stack.split_off(stack.len() - from_children);
            self.push_ends(node, &mut below);
            if node == NodeId::ROOT {
                return self.groups(below);
            }
            let before = stack.len();
            self.lift(self.tree.edge_tokens(node), below, rule, &mut stack);
            counts.push(stack.len() - before);
        }
        unreachable!("every tree has a root, and it comes last")
    }

    /// The prompts that end at a node, as units without tokens.
    fn push_ends(&mut self, node: NodeId, below: &mut Vec<Unit>) {
        let mut prompt = self.ends[node.index()];
        while prompt != NONE {
            let next = std::mem::replace(&mut self.next[prompt as usize], NONE);
            below.push(Unit { tokens: 0, leaves: 1, first: prompt, last: prompt });
            prompt = next;
        }
    }

    /// What a node of `tokens` tokens with these units below it comes to: units moved up beside it, and itself.
    fn lift(&mut self, tokens: u32, below: Vec<Unit>, rule: FirstLevel, stack: &mut Vec<Unit>) {
        let mut own: Option<Unit> = None;
        let mut kept = 0;
        let together = rule == FirstLevel::EnlargedTogether && pay_together(tokens, &below);
        for unit in below {
            if together || rule != FirstLevel::AsIs && unit.gain(tokens) > 0 {
                stack.push(Unit { tokens: unit.tokens + tokens, ..unit });
                continue;
            }
            kept += 1;
            own = Some(match own {
                // A node with one child is one with it.
                None => Unit { tokens: unit.tokens + tokens, ..unit },
                Some(own) => {
                    self.next[own.last as usize] = unit.first;
                    Unit { leaves: own.leaves + unit.leaves, last: unit.last, ..own }
                }
            });
        }
        if let Some(unit) = own {
            stack.push(if kept > 1 { Unit { tokens, ..unit } } else { unit });
        }
    }

    fn groups(&self, units: Vec<Unit>) -> Vec<PrefixGroup> {
        let group = |unit: Unit| {
            let list = std::iter::successors(Some(unit.first), |&prompt| {
                Some(self.next[prompt as usize]).filter(|&next| next != NONE && prompt != unit.last)
            });
            let mut members: Vec<u32> = list.collect();
            members.sort_unstable();
            PrefixGroup { prefix_tokens: unit.tokens, members }
        };
        let mut groups: Vec<PrefixGroup> = units.into_iter().map(group).collect();
        groups.sort_unstable_by_key(|group| group.members[0]);
        groups
    }
}
