//! Energy from a counter that moves in steps.
//!
//! The counter of NVIDIA's boards moves about every 100 ms. A window from one step to another has no error of a whole
//! step; how far apart steps are is measured first.

/// How a counter moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterPeriod {
    /// Median seconds between two steps.
    pub median_s: f64,
    /// The longest.
    pub longest_s: f64,
    /// Steps seen.
    pub steps: usize,
}

/// A window between two steps of the counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyWindow {
    /// Joules.
    pub energy_j: f64,
    /// Seconds.
    pub duration_s: f64,
}

impl EnergyWindow {
    /// Mean power in watts.
    pub fn power_w(self) -> f64 {
        self.energy_j / self.duration_s
    }
}

/// Readings of a counter at their times in seconds, reduced to its steps: the first reading of each new value.
fn steps(readings: &[(f64, u64)]) -> Vec<(f64, u64)> {
    readings.windows(2).filter(|pair| pair[1].1 != pair[0].1).map(|pair| pair[1]).collect()
}

/// How the counter behind `readings` (seconds, millijoules; in order) moves; nothing with fewer than three steps.
pub fn counter_period(readings: &[(f64, u64)]) -> Option<CounterPeriod> {
    let steps = steps(readings);
    let mut gaps: Vec<f64> = steps.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    gaps.sort_by(f64::total_cmp);
    if gaps.len() < 2 {
        return None;
    }
    let median_s = super::statistics::percentile(&gaps, 0.5)?;
    Some(CounterPeriod { median_s, longest_s: gaps[gaps.len() - 1], steps: steps.len() })
}

/// The window from the first step at or after `from_s` to the last step of `readings` (seconds, millijoules; in order);
/// nothing if that is shorter than `shortest_s` or the counter went backwards.
pub fn energy_window(readings: &[(f64, u64)], from_s: f64, shortest_s: f64) -> Option<EnergyWindow> {
    let steps = steps(readings);
    let first = steps.iter().find(|step| step.0 >= from_s)?;
    let last = steps.last()?;
    let duration_s = last.0 - first.0;
    let energy_mj = last.1.checked_sub(first.1)?;
    (duration_s >= shortest_s).then(|| EnergyWindow { energy_j: energy_mj as f64 / 1e3, duration_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board that draws 500 W and counts every 100 ms, read every 3 ms.
    fn readings(seconds: f64) -> Vec<(f64, u64)> {
        let reading = |index: usize| {
            let at = index as f64 * 0.003;
            (at, ((at / 0.1).floor() * 50_000.0) as u64)
        };
        (0..(seconds / 0.003) as usize).map(reading).collect()
    }

    #[test]
    fn the_period_is_the_distance_of_steps() {
        let period = counter_period(&readings(3.0)).expect("there are steps");
        assert!((period.median_s - 0.1).abs() < 0.004, "{period:?}");
        assert!(counter_period(&readings(0.25)).is_none(), "two steps say nothing");
    }

    #[test]
    fn a_window_between_steps_has_the_true_power() {
        let window = energy_window(&readings(3.0), 0.75, 2.0).expect("it is long enough");
        assert!((window.power_w() - 500.0).abs() < 1.0, "{window:?}");
        assert!(window.duration_s >= 2.0);
    }

    #[test]
    fn a_window_that_is_too_short_is_none() {
        assert_eq!(energy_window(&readings(1.0), 0.5, 2.0), None);
        assert_eq!(energy_window(&[(0.0, 7), (1.0, 7)], 0.0, 0.1), None, "a counter that stands still says nothing");
    }
}
