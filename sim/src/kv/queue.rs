//! The free queue: runs of blocks in the order in which they will be taken.

use super::tree::NodeId;

/// Name of an entry, valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(u32);

/// Consecutive blocks of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Blocks whose content nobody can find.
    Unknown(u32),
    /// The blocks of a node of the prefix tree, the last one of the chain first.
    Known(NodeId),
}

#[derive(Clone, Copy, Debug)]
struct Link {
    entry: Entry,
    previous: u32,
    next: u32,
}

/// Index 0 is the ring's head, which is no entry.
const HEAD: u32 = 0;

/// A doubly linked ring in a slab.
#[derive(Debug)]
pub(super) struct FreeQueue {
    links: Vec<Link>,
    unused: Vec<u32>,
}

impl FreeQueue {
    pub(super) fn new(blocks: u32) -> Self {
        let head = Link { entry: Entry::Unknown(0), previous: HEAD, next: HEAD };
        let mut queue = FreeQueue { links: vec![head], unused: Vec::new() };
        queue.push_unknown(blocks);
        queue
    }

    fn link_after(&mut self, previous: u32, entry: Entry) -> EntryId {
        let next = self.links[previous as usize].next;
        let link = Link { entry, previous, next };
        let index = if let Some(index) = self.unused.pop() {
            self.links[index as usize] = link;
            index
        } else {
            self.links.push(link);
            (self.links.len() - 1) as u32
        };
        self.links[previous as usize].next = index;
        self.links[next as usize].previous = index;
        EntryId(index)
    }

    pub(super) fn push_unknown(&mut self, blocks: u32) {
        if blocks == 0 {
            return;
        }
        let last = self.links[HEAD as usize].previous;
        match &mut self.links[last as usize].entry {
            Entry::Unknown(count) if last != HEAD => *count += blocks,
            _ => {
                self.link_after(last, Entry::Unknown(blocks));
            }
        }
    }

    pub(super) fn push_known(&mut self, node: NodeId) -> EntryId {
        let last = self.links[HEAD as usize].previous;
        self.link_after(last, Entry::Known(node))
    }

    pub(super) fn insert_after(&mut self, entry: EntryId, node: NodeId) -> EntryId {
        self.link_after(entry.0, Entry::Known(node))
    }

    pub(super) fn remove(&mut self, entry: EntryId) {
        let Link { previous, next, .. } = self.links[entry.0 as usize];
        self.links[previous as usize].next = next;
        self.links[next as usize].previous = previous;
        self.unused.push(entry.0);
    }

    /// The entry that is taken from next; the queue must not be empty.
    pub(super) fn front(&self) -> Entry {
        let first = self.links[HEAD as usize].next;
        assert_ne!(first, HEAD, "the free queue is empty");
        self.links[first as usize].entry
    }

    pub(super) fn pop_front(&mut self) {
        self.remove(EntryId(self.links[HEAD as usize].next));
    }

    /// Takes blocks from an unknown entry at the front.
    pub(super) fn shrink_front(&mut self, blocks: u32) {
        let first = self.links[HEAD as usize].next;
        let Entry::Unknown(count) = &mut self.links[first as usize].entry else {
            unreachable!("only unknown entries shrink");
        };
        *count -= blocks;
        if *count == 0 {
            self.pop_front();
        }
    }

    /// All blocks in the queue.
    pub(super) fn blocks(&self, blocks_of: impl Fn(NodeId) -> u32) -> u32 {
        let mut total = 0;
        let mut index = self.links[HEAD as usize].next;
        while index != HEAD {
            total += match self.links[index as usize].entry {
                Entry::Unknown(count) => count,
                Entry::Known(node) => blocks_of(node),
            };
            index = self.links[index as usize].next;
        }
        total
    }
}
