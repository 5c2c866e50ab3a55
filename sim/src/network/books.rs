//! What each link has carried.

use workloads::{SimDuration, SimTime};

use super::NANOS;
use super::group::Group;
use super::spec::NetworkSpec;

/// What a link has carried in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOutcome {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Time with at least one flow on it.
    pub busy: SimDuration,
}

#[derive(Debug)]
pub(super) struct Books {
    links: Vec<LinkBook>,
}

#[derive(Clone, Copy, Debug, Default)]
struct LinkBook {
    sent: u64,
    /// Groups on it.
    users: u32,
    busy_since: SimTime,
    busy: SimDuration,
}

impl Books {
    pub(super) fn new(spec: &NetworkSpec) -> Self {
        Self { links: vec![LinkBook::default(); spec.links.len()] }
    }

    /// Bytes will go over links.
    pub(super) fn send(&mut self, links: &[u32], bytes: u64) {
        for &link in links {
            self.links[link as usize].sent += bytes;
        }
    }

    /// A group of flows begins to use links.
    pub(super) fn enter(&mut self, links: &[u32], now: SimTime) {
        for &link in links {
            let book = &mut self.links[link as usize];
            if book.users == 0 {
                book.busy_since = now;
            }
            book.users += 1;
        }
    }

    /// A group of flows no longer uses links.
    pub(super) fn leave(&mut self, links: &[u32], now: SimTime) {
        for &link in links {
            let book = &mut self.links[link as usize];
            book.users -= 1;
            if book.users == 0 {
                book.busy += now.since(book.busy_since);
            }
        }
    }

    /// Compares what was sent with what rates and times say was carried.
    pub(super) fn close(self, spec: &NetworkSpec, groups: &[Group]) -> Vec<LinkOutcome> {
        let mut carried = vec![0_u128; self.links.len()];
        for group in groups {
            for &link in &group.links {
                carried[link as usize] += group.carried;
            }
        }
        let outcome = |((link, book), carried): ((&super::FlowLink, LinkBook), u128)| {
            let sent = u128::from(book.sent) * NANOS;
            assert_eq!(carried, sent, "link {} has not carried what was sent over it (in 10⁻⁹ bytes)", link.name);
            LinkOutcome { name: link.name.clone(), bytes: book.sent, busy: book.busy }
        };
        spec.links.iter().zip(self.links).zip(carried).map(outcome).collect()
    }
}
