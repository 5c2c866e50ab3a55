//! Latencies of single requests, in bounded memory.

use super::figure::{LATENCIES, latencies};
use crate::record::RequestRecord;

/// Latencies of every 2^k-th request, as many as there is room for. Which are kept depends on their numbers only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Samples {
    /// Requests whose number is a multiple of it are kept; a power of two.
    every: u64,
    pub(super) rows: Vec<Sample>,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Its number.
    pub(super) request: u64,
    /// In nanoseconds, in the order of [`super::RequestFigure`]; [`Sample::NONE`] where it has none.
    pub(super) latencies_ns: [u64; LATENCIES],
}

impl Sample {
    /// Stands for a latency that a request does not have.
    pub(super) const NONE: u64 = u64::MAX;
}

impl Default for Samples {
    fn default() -> Self {
        Samples { every: 1, rows: Vec::new() }
    }
}

impl Samples {
    /// Most requests that are kept: 1.8 MB.
    const ROWS: usize = 1 << 15;

    /// Adds a completed request, if it is among those to be kept.
    pub(super) fn add(&mut self, record: &RequestRecord) {
        if !chosen(record.id.0, self.every) {
            return;
        }
        if self.rows.len() == Self::ROWS {
            self.every *= 2;
            self.rows.retain(|row| chosen(row.request, self.every));
            return self.add(record);
        }
        let latencies_ns = latencies(record).map(|latency| latency.unwrap_or(Sample::NONE));
        self.rows.push(Sample { request: record.id.0, latencies_ns });
    }
}

/// Whether a request is one of every `every`-th, a power of two, whatever period traffic or routers have: by Fibonacci hashing of its
/// number (Knuth, The Art of Computer Programming 3, 6.4).
fn chosen(request: u64, every: u64) -> bool {
    let hash = request.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> 32).is_multiple_of(every)
}

#[cfg(test)]
mod tests {
    use workloads::RequestId;

    use super::*;
    use crate::measures::collector_tests::completed;

    #[test]
    fn which_requests_are_kept_does_not_depend_on_the_order_in_which_they_end() {
        let (mut forwards, mut backwards) = (Samples::default(), Samples::default());
        let request = |id| RequestRecord { id: RequestId(id), ..completed(id, [id, id + 1, id + 2], 2, 1) };
        let requests = 100_000;
        for id in 0..requests {
            forwards.add(&request(id));
            backwards.add(&request(requests - 1 - id));
        }
        backwards.rows.sort_by_key(|row| row.request);
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.every, 4);
        assert!((24_500..=25_500).contains(&forwards.rows.len()), "{}", forwards.rows.len());
        let of_first = forwards.rows.iter().filter(|row| row.request.is_multiple_of(2)).count();
        let share = of_first as f64 / forwards.rows.len() as f64;
        assert!((share - 0.5).abs() < 0.02, "of two replicas in turn, one would be kept more often: {share}");
    }
}
