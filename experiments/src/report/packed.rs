//! Columns of numbers in few characters.

use serde::Serialize;

/// A column as the page's script unpacks it (`page/data.js`): LEB128 numbers in base64, one per value. 0 stands for
/// "none", others are 1 + the zigzag code of the difference from the value before, counted in `scale`. Sorted times and
/// small counts take a byte or two each.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Packed {
    /// What one unit of the integers is worth.
    scale: f64,
    count: usize,
    bytes: String,
}

impl Packed {
    /// Packs values, rounded to multiples of `scale`; NaN stands for none.
    ///
    /// Values are to be smaller than 2^53 times `scale`, which the script's numbers hold exactly.
    pub(super) fn new(values: impl IntoIterator<Item = f64>, scale: f64) -> Self {
        let mut bytes = Vec::new();
        let (mut count, mut last) = (0, 0_i64);
        for value in values {
            count += 1;
            if value.is_nan() {
                bytes.push(0);
                continue;
            }
            let units = (value / scale).round() as i64;
            let difference = units - last;
            last = units;
            push(&mut bytes, 1 + ((difference << 1) ^ (difference >> 63)) as u64);
        }
        Packed { scale, count, bytes: base64(&bytes) }
    }
}

/// Appends a number seven bits at a time, lowest first; all bytes but the last have their highest bit set.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Base64 with padding (RFC 4648, section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let padded = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let word = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_test_vectors_of_its_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_column_is_differences_of_its_multiples() {
        // 5 → 1 + 10, 3 → difference -2 → 1 + 3, none → 0, 303 → 1 + 600 = 601 = 0x59 | 0x80, 0x04.
        let packed = Packed::new([0.5, 0.3, f64::NAN, 30.3], 0.1);
        assert_eq!((packed.count, packed.bytes), (4, base64(&[11, 4, 0, 0xD9, 0x04])));
    }
}
