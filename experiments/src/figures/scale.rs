//! From values to places on an axis, and the ticks that belong there.

/// How values are spread along an axis. Bounds are finite and `low < high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Equal differences are equally far apart.
    Linear { low: f64, high: f64 },
    /// Equal ratios are equally far apart; `low > 0`.
    Log { low: f64, high: f64 },
    /// Shares of a whole, in percent; equal ratios of the odds (p to 100 − p) are equally far apart, so that 99 is about as
    /// far from 90 as 99.9 is from 99, and the tail as readable as the middle; `0 < low`, `high < 100`.
    Odds { low: f64, high: f64 },
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    /// `None` for the small marks between.
    pub(crate) label: Option<String>,
}

impl Scale {
    /// Where `value` lies: 0 at `low`, 1 at `high`. Values a scale has no place for lie far below or above.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let between = |low: f64, high: f64, value: f64| (value - low) / (high - low);
        match *self {
            Scale::Linear { low, high } => between(low, high, value),
            Scale::Log { low, high } => between(low.ln(), high.ln(), value.max(low * 1e-3).ln()),
            Scale::Odds { low, high } => between(log_odds(low), log_odds(high), log_odds(value)),
        }
    }

    /// The value that lies at `position`, which is between 0 and 1.
    pub(crate) fn value(&self, position: f64) -> f64 {
        let between = |low: f64, high: f64| low + position * (high - low);
        match *self {
            Scale::Linear { low, high } => between(low, high),
            Scale::Log { low, high } => between(low.ln(), high.ln()).exp(),
            Scale::Odds { low, high } => 100.0 / (1.0 + (-between(log_odds(low), log_odds(high))).exp()),
        }
    }

    /// Ticks inside the bounds, with as many labels as `fits` allows; `fits` sees the labelled ones in ascending order.
    pub(crate) fn ticks(&self, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
        match *self {
            Scale::Linear { low, high } => linear_ticks(low, high, fits),
            Scale::Log { low, high } => log_ticks(low, high, fits),
            Scale::Odds { low, high } => {
                let inside = PERCENT_TICKS.iter().filter(|&&(percent, _)| low <= percent && percent <= high);
                inside.map(|&(value, label)| Tick { value, label: Some(label.to_owned()) }).collect()
            }
        }
    }

    /// A linear scale from 0 to a round number not below `high`; to 1 if `high` is not positive.
    pub(crate) fn from_zero(high: f64) -> Scale {
        if high <= 0.0 {
            return Scale::Linear { low: 0.0, high: 1.0 };
        }
        let step = nice_step(high / 6.0);
        Scale::Linear { low: 0.0, high: step * (high / step).ceil() }
    }

    /// From this ratio of largest to smallest value on, a horizontal axis is logarithmic.
    pub(crate) const LOG_FROM_RATIO_ACROSS: f64 = 20.0;
    /// The same for vertical axes, whose lengths are compared: two decades.
    pub(crate) const LOG_FROM_RATIO_UP: f64 = 100.0;

    /// A scale that has room for all `values`: from zero, or logarithmic where all are positive and the largest is at least
    /// `log_from` times the smallest. Negative values extend it below zero.
    pub(crate) fn around(values: impl Iterator<Item = f64>, log_from: f64) -> Scale {
        let (least, most) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        if least > most {
            return Scale::from_zero(0.0);
        }
        if least > 0.0 && most >= log_from * least {
            return Scale::log_around(least, most);
        }
        match Scale::from_zero(most) {
            Scale::Linear { high, .. } if least < 0.0 => {
                let Scale::Linear { high: depth, .. } = Scale::from_zero(-least) else { unreachable!("it is linear") };
                Scale::Linear { low: -depth, high: if most > 0.0 { high } else { 0.0 } }
            }
            scale => scale,
        }
    }

    /// A logarithmic scale between the nearest of 1, 2, 5, 10 … below `low` and above `high`; `0 < low ≤ high`.
    pub(crate) fn log_around(low: f64, high: f64) -> Scale {
        Scale::Log { low: nice_below(low), high: nice_above(high) }
    }
}

const PERCENT_TICKS: [(f64, &str); 7] =
    [(0.1, "0.1"), (1.0, "1"), (10.0, "10"), (50.0, "50"), (90.0, "90"), (99.0, "99"), (99.9, "99.9")];

/// Logarithm of the odds of `percent`.
fn log_odds(percent: f64) -> f64 {
    let percent = percent.clamp(1e-6, 100.0 - 1e-6);
    (percent / (100.0 - percent)).ln()
}

fn labelled(value: f64, precision: f64) -> Tick {
    Tick { value, label: Some(number(value, precision)) }
}

fn linear_ticks(low: f64, high: f64, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
    let every = |step: f64| {
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| labelled(i as f64 * step, step)).collect::<Vec<_>>()
    };
    let mut step = nice_step((high - low) / 12.0);
    // Ends at the latest when one label is left.
    loop {
        let ticks = every(step);
        if ticks.len() <= 1 || fits(&ticks) {
            return ticks;
        }
        step = nice_step(step * 1.5);
    }
}

fn log_ticks(low: f64, high: f64, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let inside = |value: f64| low * (1.0 - 1e-9) <= value && value <= high * (1.0 + 1e-9);
    let choose = |keep: &dyn Fn(i32, u32) -> bool| {
        let mut ticks = Vec::new();
        for decade in decades.clone() {
            for digit in 1..10 {
                let value = f64::from(digit) * 10_f64.powi(decade);
                if inside(value) && keep(decade, digit) {
                    ticks.push(labelled(value, value));
                }
            }
        }
        ticks
    };
    let sparser: [&dyn Fn(i32, u32) -> bool; 5] = [
        &|_, digit| [1, 2, 5].contains(&digit),
        &|_, digit| digit == 1,
        &|decade, digit| digit == 1 && decade % 2 == 0,
        &|decade, digit| digit == 1 && decade % 3 == 0,
        &|decade, digit| digit == 1 && decade % 6 == 0,
    ];
    let mut ticks = sparser.iter().map(|keep| choose(keep)).find(|ticks| fits(ticks)).unwrap_or_default();
    let is_labelled = |value: f64| ticks.iter().any(|tick: &Tick| (tick.value / value - 1.0).abs() < 1e-9);
    let small: Vec<f64> = choose(&|_, _| true).iter().map(|t| t.value).filter(|&v| !is_labelled(v)).collect();
    ticks.extend(small.into_iter().map(|value| Tick { value, label: None }));
    ticks
}

/// The smallest of 1, 2, 5 × 10ⁿ that is not below `step`.
fn nice_step(step: f64) -> f64 {
    nice_above(step)
}

fn nice_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|&nice| nice >= value * (1.0 - 1e-9))
        .unwrap_or(power * 10.0)
}

fn nice_below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0].map(|digit| digit * power).into_iter().find(|&nice| nice <= value * (1.0 + 1e-9)).unwrap_or(power)
}

/// `value`, a multiple of `precision`, with the decimals that the first digit of `precision` needs, thousands apart.
pub(super) fn number(value: f64, precision: f64) -> String {
    let decimals = (-precision.abs().log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut out = String::new();
    if value < 0.0 && plain.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, most: usize) -> Vec<String> {
        scale.ticks(|ticks| ticks.len() <= most).into_iter().filter_map(|tick| tick.label).collect()
    }

    #[test]
    fn each_further_nine_takes_about_the_same_room() {
        let scale = Scale::Odds { low: 0.1, high: 99.9 };
        let nines: Vec<f64> = [90.0, 99.0, 99.9].iter().map(|&percent| scale.position(percent)).collect();
        assert!(((nines[2] - nines[1]) / (nines[1] - nines[0]) - 1.0).abs() < 0.05, "{nines:?}");
        assert!((scale.position(50.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn every_scale_puts_its_bounds_at_the_ends_and_rises_between() {
        for scale in [
            Scale::Linear { low: 0.0, high: 30.0 },
            Scale::Log { low: 0.5, high: 30.0 },
            Scale::Odds { low: 0.5, high: 99.9 },
        ] {
            let low = if matches!(scale, Scale::Linear { .. }) { 0.0 } else { 0.5 };
            let high = if matches!(scale, Scale::Odds { .. }) { 99.9 } else { 30.0 };
            assert!(scale.position(low).abs() < 1e-12 && (scale.position(high) - 1.0).abs() < 1e-12);
            let places: Vec<f64> = (0..=50).map(|i| scale.position(low + (high - low) * f64::from(i) / 50.0)).collect();
            assert!(places.is_sorted_by(|a, b| a < b), "{scale:?}");
            let returned = scale.position(scale.value(0.3));
            assert!((returned - 0.3).abs() < 1e-9, "{scale:?}: {returned}");
        }
    }

    #[test]
    fn labels_are_round_and_as_many_as_fit() {
        assert_eq!(labels(Scale::Linear { low: 0.0, high: 2048.0 }, 5), ["0", "500", "1,000", "1,500", "2,000"]);
        assert_eq!(
            labels(Scale::Linear { low: 12.0, high: 12.5 }, 6),
            ["12.0", "12.1", "12.2", "12.3", "12.4", "12.5"]
        );
        assert_eq!(
            labels(Scale::Log { low: 0.02, high: 5.0 }, 9),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]
        );
        assert_eq!(
            labels(Scale::Log { low: 0.001, high: 1000.0 }, 7),
            ["0.001", "0.01", "0.1", "1", "10", "100", "1,000"]
        );
    }

    #[test]
    fn a_percentile_axis_names_the_tail() {
        let percent = labels(Scale::Odds { low: 0.6, high: 99.95 }, 9);
        assert_eq!(percent, ["1", "10", "50", "90", "99", "99.9"]);
    }

    #[test]
    fn an_axis_from_zero_ends_on_a_round_number_above_the_data() {
        assert_eq!(Scale::from_zero(2047.0), Scale::Linear { low: 0.0, high: 2500.0 });
        assert_eq!(Scale::from_zero(0.0), Scale::Linear { low: 0.0, high: 1.0 });
    }
}
