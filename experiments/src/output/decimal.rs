//! Numbers as text, without floating point: rows are written by the million.

/// Appends `value`.
pub(super) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends nanoseconds as seconds with nine decimals (or nanojoules as joules).
pub(super) fn push_nanos(out: &mut Vec<u8>, nanos: u64) {
    const ONE: u64 = 1_000_000_000;
    push_integer(out, nanos / ONE);
    push_decimals(out, (ONE + nanos % ONE) as u32);
}

/// Appends nanoseconds as microseconds with three decimals.
pub(super) fn push_micros(out: &mut Vec<u8>, nanos: u64) {
    push_integer(out, nanos / 1000);
    push_decimals(out, (1000 + nanos % 1000) as u32);
}

/// Appends a point and the digits of `marked` after its leading 1, which keeps the zeros behind it.
fn push_decimals(out: &mut Vec<u8>, marked: u32) {
    let start = out.len();
    push_integer(out, marked);
    out[start] = b'.';
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("digits are text")
    }

    /// Integers of every length, with carries and runs of zeros and nines among them.
    fn values() -> impl Iterator<Item = u64> {
        let powers = (0..20).map(|power| 10_u64.pow(power)).flat_map(|power| [power - 1, power, power + 1]);
        let noise = (0..20_000_u64).map(|index| index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (index % 64));
        powers.chain(noise).chain([0, u64::MAX])
    }

    #[test]
    fn seconds_read_back_as_the_same_nanoseconds() {
        for nanos in values() {
            let text = text(|out| push_nanos(out, nanos));
            let (seconds, decimals) = text.split_once('.').expect("there is a point");
            assert_eq!(decimals.len(), 9, "{text}");
            let back: u128 = format!("{seconds}{decimals}").parse().expect("only digits");
            assert_eq!(back, u128::from(nanos), "{text}");
            assert_eq!(text.parse::<f64>(), format!("{nanos}e-9").parse::<f64>(), "{text}");
        }
    }

    #[test]
    fn microseconds_read_back_as_the_same_nanoseconds() {
        for nanos in values() {
            let text = text(|out| push_micros(out, nanos));
            let (micros, decimals) = text.split_once('.').expect("there is a point");
            assert_eq!(decimals.len(), 3, "{text}");
            assert_eq!(format!("{micros}{decimals}").parse(), Ok(u128::from(nanos)), "{text}");
        }
    }

    #[test]
    fn zeros_before_and_behind_the_point_are_written() {
        assert_eq!(text(|out| push_nanos(out, 0)), "0.000000000");
        assert_eq!(text(|out| push_nanos(out, 1_000_000_001)), "1.000000001");
        assert_eq!(text(|out| push_micros(out, 12_050)), "12.050");
    }
}
