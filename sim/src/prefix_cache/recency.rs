//! Nodes in the order of their last use: a doubly linked ring over their numbers.

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
        let newest = self.links[HEAD].previous as usize;
        self.insert_after(newest, node);
    }

    /// Adds a node as the next newer one than `older`.
    pub(super) fn insert_after(&mut self, older: usize, node: usize) {
        if self.links.len() <= node {
            self.links.resize(node + 1, Link::default());
        }
        let next = self.links[older].next;
        self.links[node] = Link { previous: older as u32, next };
        self.links[older].next = node as u32;
        self.links[next as usize].previous = node as u32;
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
        self.oldest_first().next()
    }

    /// The nodes, oldest first.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = usize> + '_ {
        let after = |node: usize| Some(self.links[node].next as usize).filter(|&next| next != HEAD);
        std::iter::successors(after(HEAD), move |&node| after(node))
    }
}
