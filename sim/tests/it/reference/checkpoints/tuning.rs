//! How alpha is found: requests that have ended since the first eviction, through the tree as it was then, with nobody running.

use sim::prefix_cache::{Alpha, TuningObjective};
use sim::{CheckpointEviction, CheckpointSpec};

use super::{Content, Node, Token, Tree, spelled};

/// What of it has happened.
#[derive(Default)]
pub(super) struct Tuning {
    /// Requests that have ended, and the length of each prompt.
    ended: Vec<(Vec<Token>, usize)>,
    first_eviction: Option<FirstEviction>,
    /// The alpha.
    pub(super) found: Option<f64>,
}

/// The tree before the first eviction.
struct FirstEviction {
    /// Requests that had ended, and whether the last of them was being kept.
    ended: usize,
    keeping: bool,
    root: Node,
    now: u64,
}

impl Tree {
    /// Something is about to be evicted.
    pub(super) fn note_eviction(&mut self) {
        if self.tuning.first_eviction.is_none() {
            let ended = self.tuning.ended.len();
            let first = FirstEviction { ended, keeping: self.keeping, root: self.root.clone(), now: self.now };
            self.tuning.first_eviction = Some(first);
        }
    }

    /// A request ends with this content, of which so many runs are its prompt.
    pub(in crate::reference) fn note_ended(&mut self, content: &Content, prompt_runs: usize, room: u64) {
        let prompt: u32 = content[..prompt_runs].iter().map(|(_, tokens)| tokens).sum();
        self.tuning.ended.push((spelled(content), prompt as usize));
        let CheckpointEviction::FlopAware { mode, alpha: Alpha::TunedOnce(tuning) } = self.spec.eviction else {
            return;
        };
        let Some(first) = self.tuning.first_eviction.as_ref().filter(|_| self.tuning.found.is_none()) else { return };
        if self.tuning.ended.len() < first.ended.max(1) * tuning.multiplier as usize {
            return;
        }
        let since = &self.tuning.ended[first.ended..];
        let score = |alpha: f64| {
            let eviction = CheckpointEviction::FlopAware { mode, alpha: Alpha::Fixed(alpha) };
            let spec = CheckpointSpec { eviction, ..self.spec };
            let mut tree = Tree { root: first.root.clone(), now: first.now, ..Tree::new(spec) };
            if first.keeping {
                tree.insert_alone(&self.tuning.ended[first.ended - 1].0, room);
            }
            let mut score = 0.0;
            for (place, (tokens, prompt)) in since.iter().enumerate() {
                let hit = tree.look_up_alone(&tokens[..*prompt]) as u32;
                tree.insert_alone(tokens, room);
                score += match tuning.objective {
                    TuningObjective::HitRate => f64::from(hit),
                    TuningObjective::FlopsOfLast500 if place + 500 < since.len() => 0.0,
                    TuningObjective::FlopsOfLast500 => self.spec.model.prefill_flops(hit),
                };
            }
            score
        };
        let alphas: Vec<(f64, f64)> = (0..=20).map(|tenths| f64::from(tenths) / 10.0).map(|a| (a, score(a))).collect();
        let most = alphas.iter().map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
        self.tuning.found = alphas.iter().find(|(_, score)| *score >= most).map(|(alpha, _)| *alpha);
    }

    fn look_up_alone(&mut self, prompt: &[Token]) -> usize {
        self.now += 1;
        let found = self.find(prompt);
        self.use_nodes(&found);
        self.prefix(&self.reusable(&found.path)).len()
    }

    /// Stores a sequence in a cache of so many bytes, as caches alone do.
    fn insert_alone(&mut self, tokens: &[Token], capacity: u64) {
        self.now += 2;
        let found = self.find(tokens);
        self.use_nodes(&found);
        let model = self.spec.model;
        let checkpoints = if found.partial.is_some() { 2 } else { 1 };
        let new = (tokens.len() - found.common()) as u64;
        let wanted = self.bytes() + checkpoints * model.checkpoint_bytes() + new * model.kv_bytes_per_token();
        if wanted > capacity {
            self.now += 1;
            let mut freed = 0;
            while freed < wanted - capacity {
                let Some(counted) = self.evict_one(&[]) else { break };
                freed += counted;
            }
        }
        let found = self.find(tokens);
        if found.common() < tokens.len() || found.partial.is_some() || !self.at(&found.path).checkpoint {
            self.insert(tokens);
        }
        if found.partial.is_some() {
            let branch = self.find(&tokens[..found.common()]);
            self.at_mut(&branch.path).checkpoint = true;
        }
    }
}
