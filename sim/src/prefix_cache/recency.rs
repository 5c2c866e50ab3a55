//! Blocks in the order of their last use: a doubly linked ring over their numbers.

/// Links of one node.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    previous: u32,
    next: u32,
}

/// The order, oldest first. Nodes are numbers from 1 on; 0 is the ring's head.
#[derive(Debug)]
pub(super) struct Recency {
    links: Vec<Link>,
}

const HEAD: usize = 0;

impl Recency {
    pub(super) fn new() -> Self {
        Recency { links: vec![Link::default()] }
    }

    /// Adds a node as the newest.
    pub(super) fn push(&mut self, node: usize) {
        if self.links.len() <= node {
            self.links.resize(node + 1, Link::default());
        }
        let newest = self.links[HEAD].previous;
        self.links[node] = Link { previous: newest, next: HEAD as u32 };
        self.links[newest as usize].next = node as u32;
        self.links[HEAD].previous = node as u32;
    }

    pub(super) fn remove(&mut self, node: usize) {
        let Link { previous, next } = self.links[node];
        self.links[previous as usize].next = next;
        self.links[next as usize].previous = previous;
    }

    /// Makes a node the newest.
    pub(super) fn touch(&mut self, node: usize) {
        self.remove(node);
        self.push(node);
    }

    /// The oldest node.
    pub(super) fn oldest(&self) -> Option<usize> {
        Some(self.links[HEAD].next as usize).filter(|&oldest| oldest != HEAD)
    }
}
