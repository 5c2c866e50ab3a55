//! The order of the waiting queue, spelled out token by token.

use std::cmp::Reverse;
use std::collections::VecDeque;

use rand::RngExt;
use sim::{Policy, QueueKey, QueueOrder, Waiting};
use workloads::{ContentId, RequestId};

use super::replica::Replica;

/// A token: its content, and where in it.
type Token = (ContentId, u32);
/// A prompt, token by token.
type Spelled = (RequestId, Vec<Token>);

impl Replica {
    /// Puts those that have come since the last time into their order.
    pub(super) fn order_pool(&mut self) {
        let pool = std::mem::take(&mut self.pool);
        if pool.is_empty() {
            return;
        }
        self.order_last(&pool);
        if let Policy::BlendServe { .. } = self.spec.scheduler.policy {
            self.prepare_batch();
        }
    }

    fn order_last(&mut self, pool: &[RequestId]) {
        let ordered = match self.spec.scheduler.order {
            QueueOrder::ByKey(key) => return self.sort_by_key(key),
            QueueOrder::Fcfs | QueueOrder::Density | QueueOrder::LongestPrefixMatch { .. } => return,
            QueueOrder::Random => {
                let mut pool = pool.to_vec();
                for last in (1..pool.len()).rev() {
                    pool.swap(last, self.draws.random_range(0..=last));
                }
                pool
            }
            QueueOrder::DepthFirst => {
                let spelled = pool.iter().map(|id| (*id, self.tokens_of(*id))).collect();
                depth_first(spelled, 0)
            }
        };
        self.coverage.reordered += u64::from(ordered != pool);
        self.waiting.truncate(self.waiting.len() - pool.len());
        self.waiting.extend(ordered);
    }

    /// Everything behind those that were preempted, by its key and then as it came.
    fn sort_by_key(&mut self, key: QueueKey) {
        let preempted = self.waiting.iter().take_while(|id| self.jobs[*id].preemptions > 0).count();
        let mut rest = Vec::from(self.waiting.split_off(preempted));
        let before = rest.clone();
        rest.sort_by_key(|id| {
            let request = &self.jobs[id].request;
            (key.of)(&Waiting {
                id: *id,
                session: request.session,
                arrival: request.arrival,
                prompt_tokens: request.prompt.tokens(),
                output_tokens: request.output_tokens,
            })
        });
        self.coverage.reordered += u64::from(rest != before);
        self.waiting.extend(rest);
    }

    /// Every token of a prompt.
    fn tokens_of(&self, id: RequestId) -> Vec<Token> {
        let spans = self.jobs[&id].request.prompt.spans();
        spans.iter().flat_map(|span| (0..span.tokens).map(|position| (span.content, position))).collect()
    }

    /// The longest prefix in the cache first, if that is the order and few enough wait.
    pub(super) fn sort_by_match(&mut self) {
        let QueueOrder::LongestPrefixMatch { most } = self.spec.scheduler.order else { return };
        if self.waiting.len() > most as usize {
            return;
        }
        let mut sorted: Vec<RequestId> = self.waiting.iter().copied().collect();
        sorted.sort_by_key(|id| {
            let job = &self.jobs[id];
            let (content, limit) = (job.content(), job.total() - 1);
            let from_checkpoint = self.kv.hit_tokens(&content, limit) / self.spec.kv.block_size;
            Reverse(self.kv.longest_match(&content, limit).len() + from_checkpoint as usize)
        });
        let sorted = VecDeque::from(sorted);
        self.coverage.reordered += u64::from(sorted != self.waiting);
        self.waiting = sorted;
    }
}

/// Of prompts that agree in their first `depth` tokens: those that end there, then the others by their next token, in the
/// order in which these first occur.
fn depth_first(prompts: Vec<Spelled>, mut depth: usize) -> Vec<RequestId> {
    let Some((_, first)) = prompts.first() else { return Vec::new() };
    while first.len() > depth && prompts.iter().all(|(_, tokens)| tokens.get(depth) == first.get(depth)) {
        depth += 1;
    }
    let mut order = Vec::new();
    let mut groups: Vec<(Token, Vec<Spelled>)> = Vec::new();
    for (id, tokens) in prompts {
        let Some(&next) = tokens.get(depth) else {
            order.push(id);
            continue;
        };
        match groups.iter_mut().find(|(token, _)| *token == next) {
            Some((_, group)) => group.push((id, tokens)),
            None => groups.push((next, vec![(id, tokens)])),
        }
    }
    for (_, group) in groups {
        order.extend(depth_first(group, depth + 1));
    }
    order
}
