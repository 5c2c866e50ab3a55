//! Figures with their intervals as people read them: the same in the terminal and in reports.

/// Half of an interval that has its value in the middle, or else both ends, as written numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To be read with ± before it.
    Half(String),
    /// The lower and the upper end.
    Ends(String, String),
}

/// How far the interval of a value reaches, to as many decimals as `shown` has, the value in that unit; `None` for one without width.
/// `scale` is that unit's part in the unit of both: 100 for shares in percent.
pub(crate) fn reach(shown: &str, value: f64, (low, high): (f64, f64), scale: f64) -> Option<Reach> {
    let decimals = shown.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let half = (high - low) / 2.0;
    if half <= 0.0 {
        return None;
    }
    Some(if is_centred((low, high), value) {
        Reach::Half(format!("{:.decimals$}", scale * half))
    } else {
        Reach::Ends(format!("{:.decimals$}", scale * low), format!("{:.decimals$}", scale * high))
    })
}

/// The same of a difference, in points of a share or percent of a baseline (`scale`, of any sign), to one decimal.
pub(crate) fn reach_of_change(difference: f64, (low, high): (f64, f64), scale: f64) -> Reach {
    if is_centred((low, high), difference) {
        return Reach::Half(format!("{:.1}", ((high - low) / 2.0 * scale).abs()));
    }
    let (from, to) = (low * scale, high * scale);
    Reach::Ends(signed(from.min(to)), signed(from.max(to)))
}

/// Whether the value is the middle of its interval, as it is over seeds. Those of one run may be skewed, and half of their
/// width would then stand for neither end.
pub(crate) fn is_centred((low, high): (f64, f64), value: f64) -> bool {
    let skew = (f64::midpoint(low, high) - value).abs();
    skew <= 0.01 * (high - low) + 1e-5 * value.abs()
}

/// One decimal, with its sign unless it rounds to nothing.
pub(crate) fn signed(value: f64) -> String {
    match format!("{value:+.1}").as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        text => text.replace('-', "−"),
    }
}

/// Four significant digits, or all those before the point.
pub(crate) fn four_digits(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (3.0 - magnitude).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        for (value, text) in
            [(0.0, "0.000"), (123.456, "123.5"), (98_765.4, "98765"), (0.001_234_56, "0.001235"), (-1.5, "-1.500")]
        {
            assert_eq!(four_digits(value), text);
        }
    }

    #[test]
    fn an_interval_has_the_digits_of_its_value_and_stands_by_its_ends_where_it_is_skewed() {
        assert_eq!(reach("100.0", 100.0, (95.0, 105.04), 1.0), Some(Reach::Half("5.0".to_owned())));
        assert_eq!(reach("98.0", 0.98, (0.95, 0.99), 100.0), Some(Reach::Ends("95.0".to_owned(), "99.0".to_owned())));
        assert_eq!(reach("3", 3.0, (3.0, 3.0), 1.0), None);
    }

    #[test]
    fn a_change_has_one_decimal_and_its_ends_in_order_whatever_the_sign_of_what_it_is_part_of() {
        assert_eq!(reach_of_change(-10.0, (-12.0, -8.0), 1.0), Reach::Half("2.0".to_owned()));
        let ends = Reach::Ends("−1.0".to_owned(), "+4.0".to_owned());
        assert_eq!(reach_of_change(0.0, (-4.0, 1.0), -1.0), ends);
    }
}
