//! Named random streams, so that no draw depends on who else draws.
//!
//! A stream is named by the seed of the experiment, a purpose (`"arrivals"`, `"input"`, …) and an index. Two systems
//! compared on one workload therefore see the same requests (common random numbers), and a new consumer of randomness
//! shifts nobody's draws.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// All streams of one purpose under one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams(u64);

impl Streams {
    /// The streams of `purpose`: the state is splitmix64 of (`seed` xor the 64-bit FNV-1a hash of the purpose's name).
    pub fn new(seed: u64, purpose: &str) -> Self {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let name = purpose.bytes().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        Streams(splitmix64(splitmix64(seed) ^ name))
    }

    /// Stream number `index`.
    pub fn stream(self, index: u64) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(splitmix64(self.0 ^ splitmix64(index)))
    }

    /// The streams of one part, such as one session of all sessions.
    #[must_use]
    pub fn part(self, index: u64) -> Self {
        Streams(splitmix64(self.0.rotate_left(32) ^ splitmix64(index)))
    }

    /// First draw of stream `index`, uniform in the open interval (0, 1).
    pub fn uniform(self, index: u64) -> f64 {
        uniform(&mut self.stream(index))
    }
}

/// Stream `index` of `purpose` under `seed`; see [`Streams::new`] for how the three are mixed.
pub fn stream(seed: u64, purpose: &str, index: u64) -> Xoshiro256PlusPlus {
    Streams::new(seed, purpose).stream(index)
}

/// A draw that is uniform in the open interval (0, 1): the middles of 2^52 equal cells, so that neither 0 nor 1 occurs
/// and every quantile function is finite.
pub(crate) fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    const CELLS: f64 = (1_u64 << 52) as f64;
    ((rng.next_u64() >> 12) as f64 + 0.5) / CELLS
}

/// A draw of the exponential distribution of mean 1.
pub(crate) fn exponential(rng: &mut Xoshiro256PlusPlus) -> f64 {
    -uniform(rng).ln()
}

/// The finaliser of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
pub(crate) fn splitmix64(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_apart_by_seed_purpose_and_index() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        let mut draws = vec![
            first(1, "input", 0),
            first(2, "input", 0),
            first(1, "output", 0),
            first(1, "input", 1),
            first(0, "", 0),
            Streams::new(1, "input").part(0).stream(0).next_u64(),
            Streams::new(1, "input").part(1).stream(0).next_u64(),
            Streams::new(1, "input").part(0).stream(1).next_u64(),
        ];
        assert_eq!(first(1, "input", 0), draws[0], "the same name is the same stream");
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 8);
    }

    /// Lock files promise the same workload for the same seed in every later version.
    #[test]
    fn the_first_draws_never_change() {
        let mut rng = stream(42, "arrivals", 7);
        assert_eq!([rng.next_u64(), rng.next_u64()], [2_567_517_729_377_752_307, 4_522_095_551_466_775_770]);
    }

    #[test]
    fn neighbouring_streams_are_uncorrelated() {
        let streams = Streams::new(3, "input");
        let n = 100_000;
        let draws: Vec<f64> = (0..=n).map(|i| streams.uniform(i) - 0.5).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let lag = draws.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / n as f64 * 12.0;
        assert!(mean.abs() < 0.003 && lag.abs() < 0.01, "mean {mean}, correlation {lag}");
        assert!(draws.iter().all(|d| d.abs() < 0.5), "0 and 1 must not occur");
    }
}
