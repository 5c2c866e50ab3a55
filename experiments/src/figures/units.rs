//! Units of time for axes.

/// Unit in which an axis counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Microseconds,
    Milliseconds,
    Seconds,
}

impl TimeUnit {
    /// The unit that keeps the labels of an axis up to `high_s` seconds short.
    pub(crate) fn for_axis(high_s: f64) -> Self {
        if high_s >= 1.0 || high_s <= 0.0 {
            TimeUnit::Seconds
        } else if high_s >= 1e-3 {
            TimeUnit::Milliseconds
        } else {
            TimeUnit::Microseconds
        }
    }

    /// Its sign.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TimeUnit::Microseconds => "µs",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Seconds => "s",
        }
    }

    /// `seconds` in this unit.
    pub(crate) fn of(self, seconds: f64) -> f64 {
        match self {
            TimeUnit::Microseconds => seconds * 1e6,
            TimeUnit::Milliseconds => seconds * 1e3,
            TimeUnit::Seconds => seconds,
        }
    }

    /// `seconds` with this unit, with at most three decimals.
    pub(crate) fn text(self, seconds: f64) -> String {
        let digits = format!("{:.3}", self.of(seconds));
        format!("{} {}", digits.trim_end_matches('0').trim_end_matches('.'), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_counts_in_the_unit_that_keeps_numbers_short() {
        assert_eq!(TimeUnit::for_axis(30.0), TimeUnit::Seconds);
        assert_eq!(TimeUnit::for_axis(0.3), TimeUnit::Milliseconds);
        assert_eq!(TimeUnit::for_axis(3e-5), TimeUnit::Microseconds);
        assert_eq!(TimeUnit::Milliseconds.text(0.125), "125 ms");
        assert_eq!(TimeUnit::Seconds.text(1.5), "1.5 s");
    }
}
