//! From samples to a table's timing.

use profiles::table::Timing;

use super::bench::Sample;

/// The `share` quantile (0 to 1) of `sorted` numbers, linear between neighbours; nothing where there are none.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (sorted[above] - sorted[below]) * part)
}

/// Median, spread and circumstances of a sample; nothing if it is empty or holds a time that cannot be.
pub fn timing(sample: &Sample) -> Option<Timing> {
    let mut sorted = sample.times_us.clone();
    if sorted.iter().any(|time| !(time.is_finite() && *time > 0.0)) {
        return None;
    }
    sorted.sort_by(f64::total_cmp);
    // Tables are read by people too: a thousandth of a microsecond is finer than any event.
    let rounded = |share| percentile(&sorted, share).map(|time| ((time * 1e3).round() / 1e3).max(1e-3));
    Some(Timing {
        time_us: rounded(0.5)?,
        p10_us: rounded(0.1),
        p90_us: rounded(0.9),
        samples: Some(sorted.len() as u32),
        power_w: sample.power_w.map(|watts| (watts * 10.0).round() / 10.0),
        sm_clock_mhz: sample.conditions.sm_clock_mhz,
        throttle: sample.conditions.throttle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bench::Conditions;

    fn sample(times_us: &[f64]) -> Sample {
        let times_us = times_us.to_vec();
        Sample { times_us, power_w: None, conditions: Conditions::default(), touched_experts: None }
    }

    #[test]
    fn percentiles_lie_between_order_statistics() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[1.0, 2.0], 0.25), Some(1.25));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_timing_is_the_median_with_its_spread() {
        let times: Vec<f64> = (1..=11).rev().map(f64::from).collect();
        let timing = timing(&sample(&times)).expect("all times can be");
        assert_eq!((timing.time_us, timing.p10_us, timing.p90_us), (6.0, Some(2.0), Some(10.0)));
        assert_eq!(timing.samples, Some(11));
    }

    #[test]
    fn a_time_that_cannot_be_spoils_the_sample() {
        assert_eq!(timing(&sample(&[1.0, 0.0])), None);
        assert_eq!(timing(&sample(&[1.0, f64::NAN])), None);
        assert_eq!(timing(&sample(&[])), None);
    }
}
