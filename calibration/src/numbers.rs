//! Number formats and random numbers of the measured operands.

/// Bits of the bfloat16 nearest to `value`, ties to even.
pub fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return 0x7fff;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// The value of a bfloat16.
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The value of an fp8 number with 4 bits of exponent (bias 7) and 3 of fraction, without infinities (OCP 8-bit floating
/// point specification, 2023).
pub fn from_e4m3(bits: u8) -> f32 {
    let sign = if bits & 0x80 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 3 & 0xf), f32::from(bits & 7));
    match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => sign * fraction * 2f32.powi(-9),
        _ => sign * (1.0 + fraction / 8.0) * 2f32.powi(exponent - 7),
    }
}

/// The fp8 number nearest to `value`, saturating; of two equally near ones the smaller.
pub fn to_e4m3(value: f32) -> u8 {
    let size = value.abs();
    // The values of codes 0 to 0x7e grow with the code.
    let above = (0u8..=0x7e).collect::<Vec<_>>().partition_point(|&code| from_e4m3(code) < size) as u8;
    let (below, above) = (above.saturating_sub(1), above.min(0x7e));
    let nearest = if size - from_e4m3(below) <= from_e4m3(above) - size { below } else { above };
    nearest | if value < 0.0 { 0x80 } else { 0 }
}

/// Little-endian bytes of bfloat16 numbers.
pub fn bf16_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&value| to_bf16(value).to_le_bytes()).collect()
}

/// The values of little-endian bfloat16 bytes.
pub fn bf16_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|pair| from_bf16(u16::from_le_bytes(*pair))).collect()
}

/// Little-endian bytes of floats.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The values of little-endian float bytes.
pub fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

/// Little-endian bytes of integers.
pub fn i32_bytes(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The values of little-endian integer bytes.
pub fn i32_values(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word)).collect()
}

/// Random numbers that are the same everywhere for the same seed: `SplitMix64` (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of at least 0 and below 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }

    /// A whole number below `end`, which is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A standard normal number (Box and Muller 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.uniform()).cos()) as f32
    }

    /// `count` normal numbers of standard deviation `deviation`, each rounded to bfloat16.
    pub fn normals(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        (0..count).map(|_| from_bf16(to_bf16(self.normal() * deviation))).collect()
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "formats are exact")]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_rounds_to_nearest_even() {
        assert_eq!(to_bf16(1.0), 0x3f80);
        assert_eq!(from_bf16(to_bf16(1.0 + 2f32.powi(-8))), 1.0, "a tie goes to the even neighbour");
        assert_eq!(
            from_bf16(to_bf16(1.0 + 3.0 * 2f32.powi(-8))),
            1.0 + 2f32.powi(-6),
            "a tie goes to the even neighbour"
        );
        assert!(from_bf16(to_bf16(f32::NAN)).is_nan());
    }

    #[test]
    fn fp8_has_its_extremes_where_the_format_puts_them() {
        assert_eq!(from_e4m3(0x7e), 448.0);
        assert_eq!(from_e4m3(0x01), 2f32.powi(-9));
        assert_eq!(from_e4m3(0xb8), -1.0);
        assert!(from_e4m3(0x7f).is_nan());
    }

    #[test]
    fn fp8_rounds_to_the_nearest_and_saturates() {
        assert!((0..=0x7e).all(|code| to_e4m3(from_e4m3(code)) == code), "every number is its own nearest");
        assert_eq!(to_e4m3(1e9), 0x7e);
        assert_eq!(from_e4m3(to_e4m3(-17.4)), -18.0, "between -16 and -18");
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::new(7);
        let values: Vec<f64> = (0..20_000).map(|_| f64::from(random.normal())).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_depends_on_the_seed_alone() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            Random::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        let mut sorted = shuffled(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }
}
