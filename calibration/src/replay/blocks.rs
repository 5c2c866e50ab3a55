//! Where the KV of each request lies: blocks in no particular order, as a long-running allocator leaves them.

use std::collections::{BTreeMap, VecDeque};

use crate::numbers::Random;

/// Block tables of the requests in a step.
///
/// Requests keep their blocks from step to step and take more as they grow; whoever is not in a step gives its blocks back.
/// A schedule does not say which requests shared blocks. Where the pool is too small for blocks of one's own, blocks that
/// others hold are used a second time, as sharing requests would, and counted.
#[derive(Clone, Debug)]
pub struct BlockTables {
    block_size: u32,
    free: VecDeque<u32>,
    tables: BTreeMap<u64, Vec<u32>>,
    shared: u64,
}

impl BlockTables {
    /// All `blocks` blocks of `block_size` tokens are free, shuffled by `seed`.
    pub fn new(blocks: u32, block_size: u32, seed: u64) -> Self {
        let mut order: Vec<u32> = (0..blocks).collect();
        Random::new(seed).shuffle(&mut order);
        Self { block_size, free: order.into(), tables: BTreeMap::new(), shared: 0 }
    }

    /// Lays out the requests of a step, given with the tokens that each has at the end of it, and gives back their
    /// tables in the same order.
    ///
    /// # Panics
    /// If there is no block at all.
    pub fn step(&mut self, requests: &[(u64, u32)]) -> Vec<&[u32]> {
        let here: BTreeMap<u64, usize> =
            requests.iter().map(|&(request, tokens)| (request, tokens.div_ceil(self.block_size) as usize)).collect();
        let free = &mut self.free;
        self.tables.retain(|request, table| {
            let stays = here.get(request).is_some_and(|&blocks| blocks >= table.len());
            if !stays {
                free.extend(table.drain(..));
            }
            stays
        });
        for (&request, &blocks) in &here {
            let mut table = self.tables.remove(&request).unwrap_or_default();
            while table.len() < blocks {
                let block = self.free.pop_front().unwrap_or_else(|| {
                    self.shared += 1;
                    borrowed(&self.tables, &table, self.shared)
                });
                table.push(block);
            }
            self.tables.insert(request, table);
        }
        requests.iter().map(|(request, _)| self.tables[request].as_slice()).collect()
    }

    /// Blocks that were used a second time so far.
    pub fn shared(&self) -> u64 {
        self.shared
    }
}

/// A block that somebody holds, another one for each `turn`.
fn borrowed(tables: &BTreeMap<u64, Vec<u32>>, own: &[u32], turn: u64) -> u32 {
    let held: usize = tables.values().map(Vec::len).sum::<usize>() + own.len();
    assert!(held > 0, "a pool has at least one block");
    let at = (turn % held as u64) as usize;
    *tables.values().flatten().chain(own).nth(at).expect("the index is below the count")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn requests_keep_their_blocks_while_they_grow_and_share_none() {
        let mut tables = BlockTables::new(20, 16, 1);
        let first: Vec<Vec<u32>> = tables.step(&[(7, 33), (8, 16)]).into_iter().map(<[u32]>::to_vec).collect();
        assert_eq!((first[0].len(), first[1].len()), (3, 1));
        let second: Vec<Vec<u32>> =
            tables.step(&[(8, 17), (7, 48), (9, 160)]).into_iter().map(<[u32]>::to_vec).collect();
        assert_eq!(second[1], first[0]);
        assert_eq!(second[0][0], first[1][0]);
        let all: BTreeSet<u32> = second.concat().into_iter().collect();
        assert_eq!(all.len(), 2 + 3 + 10, "no block twice");
        assert_ne!(second[2], (0..10).map(|at| second[2][0] + at).collect::<Vec<_>>(), "and in no order");
        assert_eq!(tables.shared(), 0);
    }

    #[test]
    fn a_pool_that_is_too_small_is_shared_and_said_so() {
        let mut tables = BlockTables::new(4, 16, 1);
        let lengths: Vec<usize> = tables.step(&[(1, 64), (2, 48)]).into_iter().map(<[u32]>::len).collect();
        assert_eq!(lengths, [4, 3]);
        assert_eq!(tables.shared(), 3);
    }

    #[test]
    fn blocks_come_back_from_whoever_is_gone() {
        let mut tables = BlockTables::new(4, 16, 1);
        for request in 0..100 {
            tables.step(&[(request, 64)]);
        }
        assert_eq!(tables.shared(), 0);
    }
}
