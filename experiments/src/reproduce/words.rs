//! Claims and what became of them, in words.

use super::claim::{Comparison, Published, Quantity, Relation};
use super::criterion::Bound;
use super::estimate::Estimate;

/// Three significant figures, or all digits before the point; no exponent.
pub(super) fn figures(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let rounded: f64 = format!("{value:.2e}").parse().expect("it was just written");
    let decimals = 2 - rounded.abs().log10().floor() as i32;
    let text = match usize::try_from(decimals) {
        Ok(decimals) => format!("{rounded:.decimals$}"),
        Err(_) => format!("{value:.0}"),
    };
    text.replace('-', "−")
}

/// The published value with its unit: `−56 %`, `1.4 to 1.5 req/s`, `above 0 %`.
pub(super) fn published(published: &Published, quantity: &Quantity) -> String {
    let unit = unit(quantity.result_unit());
    let relation = match published.relation {
        Relation::Equal => "",
        Relation::Above => "above ",
        Relation::Below => "below ",
    };
    let low = plain(published.low);
    if published.high > published.low {
        format!("{relation}{low} to {}{unit}", plain(published.high))
    } else {
        format!("{relation}{low}{unit}")
    }
}

/// What a claim came to: `−59.1 % [−61.0, −57.2]`.
pub(super) fn simulated(estimate: &Estimate, quantity: &Quantity) -> String {
    let bound = match estimate.bound {
        None => "",
        Some(Bound::AtLeast) => "at least ",
        Some(Bound::AtMost) => "at most ",
    };
    let unit = unit(quantity.result_unit());
    let interval = match estimate.half_width {
        Some(_) => {
            let (low, high) = estimate.interval();
            format!(" [{}, {}]", figures(low), figures(high))
        }
        None => String::new(),
    };
    format!("{bound}{}{unit}{interval}", figures(estimate.mean))
}

/// Both sides of a comparison: `2.75 → 1.14 s`.
pub(super) fn sides(estimate: &Estimate, quantity: &Quantity) -> Option<String> {
    let (subject, other) = (estimate.sides.0, estimate.sides.1?);
    Some(format!("{} → {}{}", figures(other), figures(subject), unit(&quantity.unit)))
}

/// How it is computed: `change of mean_ttft_ms, layered against chunked`.
pub(super) fn computed(quantity: &Quantity, systems: &[&str]) -> String {
    let what = match (quantity.measure, quantity.per) {
        (Some(measure), Some(per)) => format!("{} ÷ {}", measure.name(), per.name()),
        (Some(measure), None) => measure.name().to_owned(),
        (None, Some(per)) => format!("highest value ÷ {}", per.name()),
        (None, None) => "highest value".to_owned(),
    };
    let factor = if (quantity.times - 1.0).abs() < f64::EPSILON {
        String::new()
    } else {
        format!("{} × ", plain(quantity.times))
    };
    let system = format!("{factor}{}", systems[quantity.subject.system]);
    match &quantity.against {
        None => format!("{what} of {system}"),
        Some((other, comparison)) => {
            let how = match comparison {
                Comparison::Difference => "difference",
                Comparison::Ratio => "ratio",
                Comparison::Change => "change",
            };
            format!("{how} of {what}, {system} against {}", systems[other.system])
        }
    }
}

fn unit(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}

fn plain(value: f64) -> String {
    value.to_string().replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::super::testing::claim;
    use super::*;

    #[test]
    fn numbers_have_three_significant_figures() {
        for (value, expected) in [
            (0.0, "0"),
            (1.2345, "1.23"),
            (-56.04, "−56.0"),
            (761.4, "761"),
            (12_345.6, "12346"),
            (0.001_234, "0.00123"),
            (9.996, "10.0"),
            (99.96, "100"),
            (0.5, "0.500"),
        ] {
            assert_eq!(figures(value), expected);
        }
    }

    #[test]
    fn a_claim_is_told_with_its_interval_its_sides_and_its_unit() {
        let claim = claim(
            "system = \"b\"\nagainst = \"a\"\ncompare = \"change\"\nmeasure = \"mean_ttft_ms\"\nscale = 0.001\nunit = \"s\"\n\
             published = -56\nstatus = \"predicted\"",
        );
        let estimate = Estimate {
            mean: -59.14,
            half_width: Some(2.0),
            range: (-70.0, -40.0),
            seeds: 20,
            sides: (1.14, Some(2.75)),
            bound: None,
        };
        assert_eq!(published(&claim.published, &claim.quantity), "−56 %");
        assert_eq!(simulated(&estimate, &claim.quantity), "−59.1 % [−61.1, −57.1]");
        assert_eq!(sides(&estimate, &claim.quantity).as_deref(), Some("2.75 → 1.14 s"));
        assert_eq!(computed(&claim.quantity, &["a", "b"]), "change of mean_ttft_ms, b against a");
    }
}
