//! Measured decode attention, compiled so that a step needs one look-up.

use super::Evidence;
use super::load::Timed;
use crate::predict::attention::DecodeTimes;

/// Nodes per octave of the mean context: 1, 1.25, 1.5 and 1.75 times a power of two, where tables have their shapes too.
const NODES_PER_OCTAVE: usize = 4;
/// Octaves from one token on.
const OCTAVES: usize = 21;
/// Nodes for each number of requests; the last closes the last octave.
const NODES: usize = NODES_PER_OCTAVE * OCTAVES + 1;
/// Bits of the fraction of a double below those that number the nodes of an octave.
const FRACTION_BITS: u32 = 50;
/// Requests up to which there is a row of nodes.
const MOST_REQUESTS: u32 = 1024;

/// Times of decode attention of one layer by requests and mean context, all contexts alike.
#[derive(Clone, Debug)]
pub(super) struct DecodeLookup {
    times: DecodeTimes,
    /// For each number of requests from 1 on, the nodes by mean context.
    nodes: Vec<Timed>,
}

impl DecodeLookup {
    /// With rows for up to so many requests.
    pub(super) fn new(times: DecodeTimes, max_num_seqs: u32) -> Self {
        let mut nodes = Vec::with_capacity(max_num_seqs.min(MOST_REQUESTS) as usize * NODES);
        for requests in 1..=max_num_seqs.min(MOST_REQUESTS) {
            for node in 0..NODES {
                // Four times the context, so that quarters are whole.
                let quarters = (NODES_PER_OCTAVE + node % NODES_PER_OCTAVE) as u64 * (1 << (node / NODES_PER_OCTAVE));
                nodes.push(times.alike(f64::from(requests), quarters as f64 / 4.0).into());
            }
        }
        Self { times, nodes }
    }

    /// Time for so many requests (1 or more) that see so many keys in all (as many or more).
    #[inline]
    pub(super) fn at(&self, requests: u32, keys: u64) -> Timed {
        let mean = keys as f64 / f64::from(requests);
        // The bits of a double number the nodes: exponent, then the first two of the fraction.
        let bits = mean.to_bits();
        let node = (bits >> FRACTION_BITS).wrapping_sub(1.0_f64.to_bits() >> FRACTION_BITS) as usize;
        // A mean below one token numbers a node far beyond the last.
        let within = |node: usize| (requests as usize - 1) * NODES + node;
        let ends = (node < NODES - 1).then(|| self.nodes.get(within(node)..within(node + 2)));
        match ends.flatten() {
            Some([left, right]) => {
                let part = (bits & ((1 << FRACTION_BITS) - 1)) as f64 / (1_u64 << FRACTION_BITS) as f64;
                let evidence: Evidence = if part > 0.0 { left.evidence.max(right.evidence) } else { left.evidence };
                Timed { ns: left.ns + part * (right.ns - left.ns), evidence }
            }
            _ => self.times.alike(f64::from(requests), mean).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceSpec;
    use crate::parallel::DType;
    use crate::predict::attention::{DecodePredictor, HeadShape, Residency};
    use crate::table::{DecodeAttentionRow, Timing};

    /// `5 us + 0.01 us per 1000 keys`, measured over 1 to 64 requests and 16 to 65,536 tokens.
    fn lookup() -> DecodeLookup {
        let mut rows = Vec::new();
        for requests in [1_u32, 2, 4, 8, 16, 32, 64] {
            for context in (4..17).map(|power| 1_u64 << power) {
                let keys = u64::from(requests) * context;
                rows.push(DecodeAttentionRow {
                    requests,
                    context_tokens: keys,
                    longest_context_tokens: context,
                    query_heads: 32,
                    kv_heads: 8,
                    head_dim: 128,
                    window: 0,
                    activations: DType::Bf16,
                    kv_cache: DType::Bf16,
                    timing: Timing::of_us(5.0 + keys as f64 * 2e-3),
                });
            }
        }
        let device = DeviceSpec::shipped("H100").expect("a shipped device");
        let heads = HeadShape {
            query_heads: 32,
            kv_heads: 8,
            head_dim: 128,
            window: 0,
            activations: DType::Bf16,
            kv_cache: DType::Bf16,
        };
        let times = DecodePredictor::new(&rows, &device).for_heads(heads, Residency::AsMeasured);
        DecodeLookup::new(times.expect("measured heads"), 64)
    }

    #[test]
    fn measured_shapes_keep_their_times_and_their_evidence() {
        let lookup = lookup();
        for (requests, context) in [(1, 16), (8, 1024), (64, 65_536)] {
            let keys = u64::from(requests) * context;
            let time = lookup.at(requests, keys);
            let expected = 5e3 + keys as f64 * 2.0;
            assert!((time.ns / expected - 1.0).abs() < 1e-9, "{requests} x {context}: {time:?}, expected {expected}");
            assert_eq!(time.evidence, Evidence::Measured);
        }
    }

    #[test]
    fn between_nodes_it_is_near_what_it_was_compiled_from() {
        let lookup = lookup();
        for requests in [1, 3, 20, 63] {
            for mean in [17, 100, 1111, 5000, 60_000] {
                let keys = u64::from(requests) * mean + u64::from(requests) / 2;
                let slow = lookup.times.alike(f64::from(requests), keys as f64 / f64::from(requests));
                let fast = lookup.at(requests, keys);
                assert!((fast.ns / slow.ns - 1.0).abs() < 0.01, "{requests} x {mean}: {fast:?}, {slow:?}");
            }
        }
    }

    #[test]
    fn what_lies_beyond_the_nodes_is_computed() {
        let lookup = lookup();
        for (requests, keys) in [(65, 65_000), (2, 2 << 22), (4, 2), (1, 0)] {
            let slow = lookup.times.alike(f64::from(requests), keys as f64 / f64::from(requests));
            assert!((lookup.at(requests, keys).ns - slow.ns).abs() <= 1e-6 * slow.ns, "{requests}, {keys}");
        }
    }
}
