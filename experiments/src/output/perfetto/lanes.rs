//! Lanes for requests, so that few rows hold many and none overlap.

use std::collections::BTreeSet;

use workloads::SimTime;

/// Hands out lanes: each stretch of time gets the lane that became free last before it begins.
#[derive(Default)]
pub(super) struct Lanes {
    /// When each lane becomes free, and its number.
    free_at: BTreeSet<(SimTime, u32)>,
}

impl Lanes {
    /// The lane for a request that lives from `start` to `end`, and whether it is new. Whatever the order in which
    /// requests come, two in one lane never overlap.
    pub(super) fn take(&mut self, start: SimTime, end: SimTime) -> (u32, bool) {
        let free = self.free_at.range(..=(start, u32::MAX)).next_back().copied();
        let lane = match free {
            Some(entry) => {
                self.free_at.remove(&entry);
                entry.1
            }
            None => self.free_at.len() as u32,
        };
        self.free_at.insert((end, lane));
        (lane, free.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_as_many_as_requests_that_live_at_a_time() {
        let mut lanes = Lanes::default();
        let mut take = |start, end| lanes.take(SimTime::from_nanos(start), SimTime::from_nanos(end));
        assert_eq!(take(0, 10), (0, true));
        assert_eq!(take(5, 12), (1, true));
        assert_eq!(take(10, 20), (0, false), "a lane is free at the moment its request ends");
        assert_eq!(take(13, 25), (1, false));
        assert_eq!(take(19, 30), (2, true));
    }
}
