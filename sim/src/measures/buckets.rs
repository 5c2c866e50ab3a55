//! Logarithmic buckets over all of `u64`: as wide as one part in 2048 of the values they hold.
//!
//! The layout is the one of `HdrHistogram` (a power of two cut into equal pieces): the index is the exponent beside the
//! highest mantissa bits, found by one count of leading zeros.

/// Mantissa bits that tell buckets of one power of two apart. 2⁻¹¹ = 0.0488 % is the widest relative bucket.
const MANTISSA_BITS: u32 = 11;

/// Values below this have a bucket of their own.
const EXACT_BELOW: usize = 2 << MANTISSA_BITS;

/// Number of the bucket that holds `value`; increases with it.
#[inline]
pub(super) fn index(value: u64) -> usize {
    let shift = (63 - MANTISSA_BITS).saturating_sub((value | 1).leading_zeros());
    ((shift as usize) << MANTISSA_BITS) + (value >> shift) as usize
}

/// Middle of the values that bucket `index` holds; no value in it is further away than 2⁻¹² of itself.
pub(super) fn middle(index: usize) -> f64 {
    if index < EXACT_BELOW {
        return index as f64;
    }
    let shift = (index >> MANTISSA_BITS) - 1;
    let lowest = ((index - (shift << MANTISSA_BITS)) as u64) << shift;
    lowest as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bucket_follows_the_one_before_it() {
        let mut last = index(0);
        assert_eq!(last, 0);
        for value in 1..1_000_000_u64 {
            let next = index(value);
            assert!(next == last || next == last + 1, "bucket {next} of {value} follows bucket {last}");
            last = next;
        }
        assert!(index(u64::MAX) < 54 << MANTISSA_BITS);
    }

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_near_all_its_values(value: u64, shift in 0_u32..64) {
            let value = value >> shift;
            let error = (middle(index(value)) - value as f64).abs();
            prop_assert!(error <= value as f64 / 4096.0, "{value} is {error} away from the middle of its bucket");
        }

        #[test]
        fn buckets_are_ordered_as_their_values(a: u64, b: u64, shift in 0_u32..64) {
            let (low, high) = ((a >> shift).min(b >> shift), (a >> shift).max(b >> shift));
            prop_assert!(index(low) <= index(high));
        }
    }
}
