//! Flows whose bytes become available over time.

use workloads::{SimDuration, SimTime};

use super::NANOS;

/// When the bytes of a message become available: in equal portions at equal intervals.
///
/// A prompt of a model with *L* layers, computed from `t` to `t + d`, releases `L` portions, the first at `t + d/L` and
/// the last at `t + d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// When the first portion is available.
    pub first: SimTime,
    /// When the last one is (≥ `first`).
    pub last: SimTime,
    /// Portions (≥ 1; with one, all is available at `last`).
    pub portions: u32,
}

/// A flow while its bytes become available. Amounts are in units of 10⁻⁹ bytes.
///
/// With portions of `p` at intervals of `i`, what is available at the `k`-th is taken as `(k − 1)·p`, growing evenly by
/// `p` per `i`, and all is available with the last. A flow of constant rate `r` then ends when it would with
/// whole portions: at the latest of `time of portion k + (n − k + 1)·p/r`, which is linear in `k` and so the greatest at
/// one of the ends.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) message: u32,
    pub(super) path: u32,
    pub(super) first: SimTime,
    pub(super) last: SimTime,
    /// What becomes available evenly from `first` to `last`.
    evenly: u128,
    pub(super) total: u128,
    /// What has got across.
    pub(super) served: u128,
}

impl Stream {
    /// Of `bytes` bytes (≥ 1). What is released at one moment starts as it ends.
    pub(super) fn new(release: Release, message: u32, path: u32, bytes: u64) -> Self {
        let Release { first, last, portions } = release;
        assert!(portions > 0 && first <= last, "{portions} portions cannot be released from {first} to {last}");
        let total = u128::from(bytes) * NANOS;
        let evenly = if first == last { 0 } else { total / u128::from(portions) * u128::from(portions - 1) };
        let first = if evenly == 0 { last } else { first };
        Self { message, path, first, last, evenly, total, served: 0 }
    }

    /// What is available at `now`, before the last portion is.
    pub(super) fn released(&self, now: SimTime) -> u128 {
        if now >= self.last {
            return self.evenly;
        }
        if now <= self.first {
            return 0;
        }
        self.evenly * u128::from(now.since(self.first).as_nanos()) / self.interval()
    }

    fn interval(&self) -> u128 {
        u128::from(self.last.since(self.first).as_nanos())
    }

    /// Bytes/s at which bytes become available, rounded up.
    fn release_rate(&self) -> u64 {
        u64::try_from(self.evenly.div_ceil(self.interval())).unwrap_or(u64::MAX)
    }

    /// The rate of release, if nothing else is available at `now`.
    pub(super) fn cap(&self, now: SimTime) -> Option<u64> {
        (self.served >= self.released(now)).then(|| self.release_rate())
    }

    /// When it starts, has caught up with its release at its present rate, or has all its bytes available.
    pub(super) fn next(&self, now: SimTime, started: bool, rate: u64) -> SimTime {
        if !started {
            return self.first.max(now);
        }
        let behind = self.released(now) - self.served;
        let gains = rate.saturating_sub(self.release_rate());
        if behind == 0 || gains == 0 {
            return self.last.max(now);
        }
        let nanos = u64::try_from(behind.div_ceil(u128::from(gains))).unwrap_or(u64::MAX);
        (now + SimDuration::from_nanos(nanos)).min(self.last)
    }
}
