//! Cutting the tree of prompts where that costs little, so that requests can be sorted by density.

use super::tree::{Node, ROOT, ResourceTree};

/// Subtrees in the order of their density, the most compute-heavy first, and leaves that were taken out of one of them.
pub(super) struct Split {
    pub(super) units: Vec<Node>,
    /// Whether a leaf is a unit of its own although its subtree is one.
    pub(super) moved: Vec<bool>,
    /// Prompt tokens that are still saved.
    pub(super) saved_tokens: u64,
}

impl ResourceTree {
    /// Splits the tree so that at least `kept` of its sharing survives (*`BlendServe`*, algorithm 2, as we read it).
    ///
    /// A subtree is broken up if that costs no more than its budget: its path, computed once more by each child. A child has its
    /// share of the budget. Subtrees that are left are sorted by density, and then leaves that belong elsewhere by their own
    /// density are hung under the root, those farthest from home first, as long as sharing allows.
    pub(super) fn split(&self, kept: f64) -> Split {
        let all = self.node(ROOT).saved_tokens;
        let least = (kept * all as f64).ceil() as u64;
        let mut budget = (all - least.min(all)) as f64;
        let saved = |units: &[Node]| units.iter().map(|&unit| self.node(unit).saved_tokens).sum::<u64>();
        let mut units = self.broken(budget);
        for _ in 0..40 {
            if saved(&units) >= least {
                break;
            }
            budget /= 2.0;
            units = self.broken(budget);
        }
        if saved(&units) < least {
            // Breaking up the root costs nothing.
            units = self.broken(0.0);
        }
        units.sort_by(|&a, &b| self.density(b).total_cmp(&self.density(a)));
        let saved_tokens = saved(&units);
        let mut split = Split { units, moved: vec![false; self.nodes.len()], saved_tokens };
        self.move_leaves(&mut split, saved_tokens.saturating_sub(least));
        split
    }

    /// The subtrees that remain if `budget` tokens may be computed again.
    fn broken(&self, budget: f64) -> Vec<Node> {
        let mut units = Vec::new();
        let mut stack = vec![(ROOT, budget)];
        while let Some((place, budget)) = stack.pop() {
            let node = self.node(place);
            let cost = f64::from(node.depth) * node.children.len() as f64;
            if node.request.is_some() || cost > budget {
                units.push(place);
            } else {
                let share = budget / node.children.len().max(1) as f64;
                stack.extend(node.children.iter().rev().map(|&child| (child, share)));
            }
        }
        units
    }

    /// Takes out leaves whose density lies beyond that of the next unit, if computing their paths again costs no more than
    /// `spare` tokens in all.
    fn move_leaves(&self, split: &mut Split, mut spare: u64) {
        let mut strays: Vec<(f64, Node)> = Vec::new();
        for (index, &unit) in split.units.iter().enumerate() {
            if self.node(unit).request.is_some() {
                continue;
            }
            let highest = index.checked_sub(1).map_or(f64::INFINITY, |before| self.density(split.units[before]));
            let lowest = split.units.get(index + 1).map_or(0.0, |&after| self.density(after));
            self.each_leaf(unit, |leaf| {
                let density = self.density(leaf);
                let distance = if density > highest { density / highest } else { lowest / density };
                if distance > 1.0 {
                    strays.push((distance, leaf));
                }
            });
        }
        strays.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, leaf) in strays {
            let cost = u64::from(self.node(leaf).above);
            if cost <= spare {
                spare -= cost;
                split.saved_tokens -= cost;
                split.moved[leaf as usize] = true;
                split.units.push(leaf);
            }
        }
        split.units.sort_by(|&a, &b| self.density(b).total_cmp(&self.density(a)));
    }
}
