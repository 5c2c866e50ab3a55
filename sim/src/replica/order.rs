//! The order of the waiting queue.

use std::cmp::Reverse;
use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use workloads::stream;

use super::Replica;
use super::live::{Live, LiveId};
use crate::offline::depth_first;
use crate::spec::{QueueKey, QueueOrder, Waiting};

/// Where fewer than one in so many join, each is put in its place by itself; else all are merged at once.
const FEW: usize = 16;

/// What the order of the waiting queue goes by.
#[derive(Debug)]
pub(super) struct Ordering {
    order: QueueOrder,
    /// Requests at the tail of the queue that have come since the replica was last pumped.
    pool: usize,
    draws: Xoshiro256PlusPlus,
    /// Whether the queue was sorted in the step that is composed.
    sorted: bool,
}

impl Ordering {
    pub(super) fn new(order: QueueOrder, seed: u64, replica: u32) -> Self {
        Ordering { order, pool: 0, draws: stream(seed, "queue-order", u64::from(replica)), sorted: false }
    }

    /// A step is composed.
    pub(super) fn begin_step(&mut self) {
        self.sorted = false;
    }

    /// A request has joined the tail of the queue.
    pub(super) fn joined(&mut self) {
        self.pool += 1;
    }
}

impl Live {
    fn as_waiting(&self) -> Waiting {
        Waiting {
            id: self.id,
            session: self.session,
            arrival: self.arrival,
            prompt_tokens: self.prompt.tokens(),
            output_tokens: self.output_tokens,
        }
    }
}

impl Replica {
    /// Puts those that have come since into their order among themselves.
    pub(super) fn order_pool(&mut self) {
        let pool = std::mem::take(&mut self.ordering.pool);
        if pool == 0 {
            return;
        }
        self.order_last(pool);
        self.prepare_batch();
    }

    /// Puts the last `pool` requests of the queue into their order.
    fn order_last(&mut self, pool: usize) {
        let first = self.waiting.len() - pool;
        match self.ordering.order {
            // Densities are those of everything that waits.
            QueueOrder::Fcfs | QueueOrder::Density | QueueOrder::LongestPrefixMatch { .. } => {}
            QueueOrder::Random => {
                for last in (1..pool).rev() {
                    let other = self.ordering.draws.random_range(0..=last);
                    self.waiting.swap(first + last, first + other);
                }
            }
            QueueOrder::DepthFirst => {
                let ids: Vec<LiveId> = self.waiting.range(first..).copied().collect();
                let order = depth_first(ids.iter().map(|&id| self.lives.get(id).prompt.spans()));
                for (place, number) in order.into_iter().enumerate() {
                    self.waiting[first + place] = ids[number as usize];
                }
            }
            QueueOrder::ByKey(key) => self.insert_by_key(first, key),
        }
    }

    /// Puts each of those from `first` on where its key belongs among those before, which are in order of their keys behind
    /// whoever was preempted.
    fn insert_by_key(&mut self, first: usize, key: QueueKey) {
        let key_of = |id: LiveId| (key.of)(&self.lives.get(id).as_waiting());
        let mut joined: Vec<(u64, LiveId)> = self.waiting.drain(first..).map(|id| (key_of(id), id)).collect();
        joined.sort_by_key(|&(own, _)| own);
        let is_before = |other: LiveId, own: u64| self.lives.get(other).preemptions > 0 || key_of(other) <= own;
        if joined.len() * FEW < self.waiting.len() {
            for (own, id) in joined {
                let place = self.waiting.partition_point(|&other| is_before(other, own));
                self.waiting.insert(place, id);
            }
        } else {
            let mut merged = VecDeque::with_capacity(self.waiting.len() + joined.len());
            let mut joined = joined.into_iter().peekable();
            for &other in &self.waiting {
                while let Some((_, id)) = joined.next_if(|&(own, _)| !is_before(other, own)) {
                    merged.push_back(id);
                }
                merged.push_back(other);
            }
            merged.extend(joined.map(|(_, id)| id));
            self.waiting = merged;
        }
        // Somebody else may be the head.
        self.blocked[0] = None;
    }

    /// Before the first admission of a step: the longest prefix in the cache first, if that is the order.
    pub(super) fn sort_by_match(&mut self) {
        let QueueOrder::LongestPrefixMatch { most } = self.ordering.order else { return };
        if std::mem::replace(&mut self.ordering.sorted, true) || self.waiting.len() > most as usize {
            return;
        }
        let matched = |&id: &LiveId| {
            let live = self.lives.get(id);
            Reverse(self.kv.find(&live.chain(), live.total() - 1).blocks())
        };
        self.waiting.make_contiguous().sort_by_cached_key(matched);
        // What lies in the cache may have been evicted since, and somebody else be the head.
        self.blocked[0] = None;
    }
}
