//! Exact percentiles of lengths from counts.

use std::collections::BTreeMap;

use super::LengthStatistics;

/// Lengths below this are counted in a flat table.
const FLAT: usize = 1 << 16;

/// How often each length occurred.
#[derive(Debug, Default)]
pub(super) struct LengthCounts {
    short: Vec<u64>,
    long: BTreeMap<u32, u64>,
    count: u64,
    total: u64,
}

impl LengthCounts {
    pub(super) fn add(&mut self, tokens: u32) {
        let index = tokens as usize;
        if index < FLAT {
            if index >= self.short.len() {
                self.short.resize((index + 1).next_power_of_two(), 0);
            }
            self.short[index] += 1;
        } else {
            *self.long.entry(tokens).or_default() += 1;
        }
        self.count += 1;
        self.total += u64::from(tokens);
    }

    /// Pairs (length, how often), shortest first.
    fn sorted(&self) -> impl Iterator<Item = (u32, u64)> {
        let short = self.short.iter().zip(0..).filter(|&(&count, _)| count > 0).map(|(&count, tokens)| (tokens, count));
        short.chain(self.long.iter().map(|(&tokens, &count)| (tokens, count)))
    }

    /// The length at `rank` of the sorted lengths, from 0.
    fn at_rank(&self, rank: u64) -> u32 {
        let mut below = 0;
        let found = self.sorted().find(|&(_, count)| {
            below += count;
            below > rank
        });
        found.map_or(0, |(tokens, _)| tokens)
    }

    fn percentile(&self, share: f64) -> f64 {
        let position = share * (self.count - 1) as f64;
        let (low, high) = (self.at_rank(position.floor() as u64), self.at_rank(position.ceil() as u64));
        f64::from(low) + (f64::from(high) - f64::from(low)) * position.fract()
    }

    /// At least one length has been added.
    pub(super) fn finish(&self) -> LengthStatistics {
        LengthStatistics {
            mean: self.total as f64 / self.count as f64,
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            max: self.at_rank(self.count - 1),
            total: self.total,
            zeros: self.short.first().copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn percentiles_interpolate_between_order_statistics(
            mut lengths in proptest::collection::vec(prop_oneof![0_u32..50, 60_000_u32..80_000], 1..200),
        ) {
            let mut counts = LengthCounts::default();
            for &tokens in &lengths {
                counts.add(tokens);
            }
            lengths.sort_unstable();
            let naive = |share: f64| {
                let position = share * (lengths.len() - 1) as f64;
                let low = lengths[position as usize];
                let high = lengths[(position as usize + 1).min(lengths.len() - 1)];
                f64::from(low) + (f64::from(high) - f64::from(low)) * position.fract()
            };
            let found = counts.finish();
            for (got, share) in [(found.p50, 0.5), (found.p90, 0.9), (found.p99, 0.99)] {
                prop_assert!((got - naive(share)).abs() < 1e-6, "{got} at {share}, expected {}", naive(share));
            }
            prop_assert_eq!(found.max, *lengths.last().unwrap());
            prop_assert_eq!(found.total, lengths.iter().map(|&tokens| u64::from(tokens)).sum::<u64>());
            prop_assert_eq!(found.zeros, lengths.iter().filter(|&&tokens| tokens == 0).count() as u64);
        }
    }
}
