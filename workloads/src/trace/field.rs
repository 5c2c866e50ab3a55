//! Numbers as they stand in traces, read exactly: no detour through floating point for a time that has decimals.

use super::error::{RowError, quote};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const TOKENS: &str = "a whole number of tokens from 1 to 4294967295";

/// Longest piece of a bad value that is shown.
const SHOWN_CHARACTERS: usize = 40;

fn unexpected(text: &[u8], expected: impl Into<String>) -> RowError {
    let found = if text.is_empty() { "nothing".to_owned() } else { quote(text, SHOWN_CHARACTERS) };
    RowError::whole(found, expected)
}

/// A length in tokens, at least 1.
pub(super) fn tokens(text: &[u8]) -> Result<u32, RowError> {
    match whole_u32(text) {
        Some(0) => Err(RowError::whole("0", format!("{TOKENS} (such requests failed or asked nothing)"))),
        Some(tokens) => Ok(tokens),
        None => Err(unexpected(text, TOKENS)),
    }
}

/// A length in tokens that may be 0 because the format marks failed requests so.
pub(super) fn tokens_or_zero(text: &[u8]) -> Result<u32, RowError> {
    whole_u32(text).ok_or_else(|| unexpected(text, "a whole number of tokens from 0 to 4294967295"))
}

fn whole_u32(text: &[u8]) -> Option<u32> {
    whole(text).and_then(|number| u32::try_from(number).ok())
}

/// A whole number not below 0; a fraction of zeros (`12.0`, as data frames write whole numbers) is no fraction.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for (index, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?,
            b'.' if index > 0 => {
                let fraction = &text[index + 1..];
                return fraction.iter().all(|&digit| digit == b'0').then_some(number);
            }
            _ => return None,
        }
    }
    (!text.is_empty()).then_some(number)
}

/// A whole number with or without sign, as its 64 bits.
pub(super) fn signed(text: &[u8]) -> Option<u64> {
    match text.strip_prefix(b"-") {
        Some(digits) => whole(digits).filter(|&number| number <= 1 << 63).map(u64::wrapping_neg),
        None => whole(text),
    }
}

/// A time that is not negative, in units of `unit_nanos` ns, as nanoseconds (rounded half up).
pub(super) fn time(text: &[u8], unit_nanos: u32, unit: &str) -> Result<i64, RowError> {
    decimal(text, unit_nanos)
        .and_then(|nanos| i64::try_from(nanos).ok())
        .ok_or_else(|| unexpected(text, format!("a time in {unit}, from 0 up to 292 years")))
}

/// Exact value of a decimal number in units of `unit_nanos` ns. Numbers with an exponent go through `f64`.
fn decimal(text: &[u8], unit_nanos: u32) -> Option<i128> {
    let digits_end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (integer, rest) = text.split_at(digits_end);
    let fraction = match rest {
        [] => &[],
        [b'.', fraction @ ..] if fraction.iter().all(u8::is_ascii_digit) => fraction,
        _ => return with_exponent(text, unit_nanos),
    };
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut units: i128 = 0;
    for &digit in integer {
        units = units * 10 + i128::from(digit - b'0');
        if units > i128::from(i64::MAX) {
            return None;
        }
    }
    Some(units * i128::from(unit_nanos) + fraction_nanos(fraction, unit_nanos))
}

/// Nanoseconds of the digits behind the point; digits past the 18th cannot matter.
fn fraction_nanos(fraction: &[u8], unit_nanos: u32) -> i128 {
    let mut value: i128 = 0;
    let mut scale: i128 = 1;
    for &digit in fraction.iter().take(18) {
        value = value * 10 + i128::from(digit - b'0');
        scale *= 10;
    }
    (value * i128::from(unit_nanos) + scale / 2) / scale
}

fn with_exponent(text: &[u8], unit_nanos: u32) -> Option<i128> {
    if !text.iter().any(|byte| matches!(byte, b'e' | b'E')) || !text[0].is_ascii_digit() {
        return None;
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let nanos = (number * f64::from(unit_nanos)).round();
    (nanos.is_finite() && nanos >= 0.0 && nanos <= i64::MAX as f64).then_some(nanos as i128)
}

/// A date and time of day `YYYY-MM-DD HH:MM:SS`, with a `T` instead of the blank, any number of decimals, and `Z` or an
/// offset `+HH:MM` if need be, as nanoseconds since 1970-01-01 00:00:00 UTC (of the offset, or as if UTC were meant).
pub(super) fn date_time(text: &[u8]) -> Result<i64, RowError> {
    parse_date_time(text).and_then(|nanos| i64::try_from(nanos).ok()).ok_or_else(|| {
        unexpected(text, "a time such as `2023-11-16 18:15:46.6805900`, between the years 1678 and 2262")
    })
}

fn parse_date_time(text: &[u8]) -> Option<i128> {
    let (date, rest) = text.split_at_checked(10)?;
    let (separator, rest) = rest.split_first()?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let punctuated = date[4] == b'-' && date[7] == b'-' && clock[2] == b':' && clock[5] == b':';
    if !punctuated || !matches!(separator, b' ' | b'T' | b't') {
        return None;
    }
    let days = days_since_1970(digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?)?;
    let (hour, minute, second) = (digits(&clock[..2])?, digits(&clock[3..5])?, digits(&clock[6..])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest {
        [b'.', rest @ ..] => {
            let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            rest.split_at(end)
        }
        _ => (&rest[..0], rest),
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset_seconds(zone)?;
    Some(i128::from(seconds) * NANOS_PER_SECOND + fraction_nanos(fraction, 1_000_000_000))
}

/// How far ahead of UTC a zone is: nothing, `Z`, `+HH:MM`, `+HHMM` or `+HH`, or the same with a minus.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, offset) = match zone {
        [] | b"Z" | b"z" | b" UTC" => return Some(0),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = match offset.len() {
        2 => (digits(offset)?, 0),
        4 => (digits(&offset[..2])?, digits(&offset[2..])?),
        5 if offset[2] == b':' => (digits(&offset[..2])?, digits(&offset[3..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A number of a few digits and nothing else.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, &byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date. The count starts years in
/// March, so that the leap day is a year's last (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `days_from_civil`).
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > days_in_month {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_every_decimal() {
        assert_eq!(time(b"61.114", 1_000_000_000, "s"), Ok(61_114_000_000));
        assert_eq!(time(b"123456789.123456789", 1_000_000_000, "s"), Ok(123_456_789_123_456_789));
        assert_eq!(time(b"0.0000000005", 1_000_000_000, "s"), Ok(1), "half a nanosecond rounds up");
        assert_eq!(time(b"3000.5", 1_000_000, "ms"), Ok(3_000_500_000));
        assert_eq!(time(b"4.6e-2", 1_000_000_000, "s"), Ok(46_000_000));
        assert_eq!(time(b".5", 1_000_000_000, "s"), Ok(500_000_000));
    }

    #[test]
    fn times_that_are_no_times_are_refused() {
        for text in
            ["", ".", "-1", "nan", "NaN", "inf", "1e400", "1e", "e5", "+1", "1,5", "9300000000", "0x10", "1.2.3"]
        {
            assert!(time(text.as_bytes(), 1_000_000_000, "seconds").is_err(), "{text} passed for a time");
        }
    }

    #[test]
    fn dates_count_from_1970() {
        let day = 86_400_000_000_000;
        assert_eq!(date_time(b"1970-01-01 00:00:00"), Ok(0));
        assert_eq!(date_time(b"2000-02-29 00:00:00"), Ok(11_016 * day));
        assert_eq!(date_time(b"1969-12-31 23:59:59.9999999"), Ok(-100));
        // date -d '2023-11-16 18:15:46 UTC' +%s
        assert_eq!(date_time(b"2023-11-16 18:15:46.6805900"), Ok(1_700_158_546_680_590_000));
    }

    #[test]
    fn zones_move_the_clock_back_to_utc() {
        let utc = date_time(b"2024-05-10 10:00:00.009930");
        for text in
            ["2024-05-10 10:00:00.009930+00:00", "2024-05-10T10:00:00.00993Z", "2024-05-10 12:30:00.009930+02:30"]
        {
            assert_eq!(date_time(text.as_bytes()), utc, "{text}");
        }
        assert_eq!(date_time(b"2024-05-10 02:00:00.009930-0800"), utc);
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "2023-02-29 00:00:00",
            "2023-13-01 00:00:00",
            "2023-11-00 00:00:00",
            "2023-11-16 24:00:00",
            "2023-11-16 18:60:00",
            "2023-11-16",
            "2023-11-16 18:15:46.",
            "2023-11-16 18:15:46+25:00",
            "16/11/2023 18:15:46",
            "1600-01-01 00:00:00",
        ] {
            assert!(date_time(text.as_bytes()).is_err(), "{text} passed for a date");
        }
    }

    #[test]
    fn whole_numbers_may_have_a_fraction_of_zeros_only() {
        assert_eq!(whole(b"12.0"), Some(12));
        for text in ["12.5", "", ".0", "-1", "1e3", "18446744073709551616", "1 2"] {
            assert_eq!(whole(text.as_bytes()), None, "{text}");
        }
        assert_eq!(signed(b"-1"), Some(u64::MAX));
        assert_eq!(signed(b"-9223372036854775809"), None);
    }
}
