//! The order of the waiting queue.

use std::cmp::Reverse;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use workloads::stream;

use super::{LiveId, Replica};
use crate::offline::depth_first;
use crate::spec::QueueOrder;

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
        }
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
