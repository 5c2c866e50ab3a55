//! Bisection for the highest rate that holds, over answers that have noise.

use crate::experiment::SearchLimits;

/// What was found at one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether the objectives hold, on the mean over seeds.
    pub(crate) holds: bool,
    /// Whether that is beyond the 95 % interval; `None` where there is none: of one short run.
    pub(crate) certain: Option<bool>,
}

/// The end of a search. Rates in requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found {
    /// The objectives fail at the lowest rate of all.
    BelowLowest,
    /// They hold at the highest rate of all.
    AboveHighest,
    /// They hold at one rate and fail at the next.
    Between {
        /// The highest rate found at which they hold.
        holds: f64,
        /// The rate above it at which they fail.
        fails: f64,
        /// Where noise leaves it open; `None` of one short run.
        interval: Option<Interval>,
    },
}

/// Rates between which the limit lies with 95 % confidence. `None` stands for an end that the searched rates do not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Interval {
    /// The nearest rate below at which the objectives hold beyond noise.
    pub(crate) low: Option<f64>,
    /// The nearest rate above at which they fail beyond noise.
    pub(crate) high: Option<f64>,
}

/// Rates that were judged, ascending.
struct Judged<J> {
    judge: J,
    known: Vec<(f64, Standing)>,
    limits: SearchLimits,
}

/// Searches the highest rate at which the objectives hold, starting at `start`; `judge` plays the workload at a rate.
///
/// Attainment is taken to fall as the rate rises, apart from noise. Every seed plays the same requests at every rate, so the
/// noise of neighbouring rates is nearly the same.
///
/// # Errors
/// The first one of `judge`.
pub(crate) fn search<E>(
    limits: SearchLimits,
    start: f64,
    judge: impl FnMut(f64) -> Result<Standing, E>,
) -> Result<Found, E> {
    let mut judged = Judged { judge, known: Vec::new(), limits };
    let start = start.clamp(limits.lowest_rate, limits.highest_rate);
    let holds_below = |standing: Standing| standing.holds;
    let Some(holds) = judged.nearest_below(start, &holds_below)? else { return Ok(Found::BelowLowest) };
    let Some(fails) = judged.nearest_above(holds, &|standing| !standing.holds)? else { return Ok(Found::AboveHighest) };
    let (holds, fails) = judged.close(holds, fails, &holds_below)?;
    let interval = judged.interval(holds, fails)?;
    Ok(Found::Between { holds, fails, interval })
}

impl<E, J: FnMut(f64) -> Result<Standing, E>> Judged<J> {
    fn at(&mut self, rate: f64) -> Result<Standing, E> {
        let place = self.known.partition_point(|(known, _)| *known < rate);
        if let Some(&(known, standing)) = self.known.get(place)
            && known.total_cmp(&rate).is_eq()
        {
            return Ok(standing);
        }
        let standing = (self.judge)(rate)?;
        self.known.insert(place, (rate, standing));
        Ok(standing)
    }

    /// From `rate` down, by halves but through what is known, the first rate that is `wanted`.
    fn nearest_below(&mut self, rate: f64, wanted: &impl Fn(Standing) -> bool) -> Result<Option<f64>, E> {
        let mut rate = rate;
        loop {
            if wanted(self.at(rate)?) {
                return Ok(Some(rate));
            }
            if rate <= self.limits.lowest_rate {
                return Ok(None);
            }
            let known = self.known.iter().rev().map(|(known, _)| *known).find(|known| *known < rate);
            rate = known.unwrap_or(rate / 2.0).max(self.limits.lowest_rate);
        }
    }

    /// From `rate` up, by doubles but through what is known, the first rate that is `wanted`.
    fn nearest_above(&mut self, rate: f64, wanted: &impl Fn(Standing) -> bool) -> Result<Option<f64>, E> {
        let mut rate = rate;
        loop {
            if wanted(self.at(rate)?) {
                return Ok(Some(rate));
            }
            if rate >= self.limits.highest_rate {
                return Ok(None);
            }
            let known = self.known.iter().map(|(known, _)| *known).find(|known| *known > rate);
            rate = known.unwrap_or(rate * 2.0).min(self.limits.highest_rate);
        }
    }

    /// Bisects, in ratios, between a rate that is `low` and one above that is not, until they are within the tolerance.
    fn close(&mut self, lower: f64, upper: f64, low: &impl Fn(Standing) -> bool) -> Result<(f64, f64), E> {
        let (mut lower, mut upper) = (lower, upper);
        while upper > lower * (1.0 + self.limits.tolerance) {
            let middle = (lower * upper).sqrt();
            if low(self.at(middle)?) {
                lower = middle;
            } else {
                upper = middle;
            }
        }
        Ok((lower, upper))
    }

    /// The nearest rates around that are beyond noise, each to the tolerance. Where both are so already, there is nothing to do.
    fn interval(&mut self, holds: f64, fails: f64) -> Result<Option<Interval>, E> {
        if self.at(holds)?.certain.is_none() {
            return Ok(None);
        }
        let surely_holds = |standing: Standing| standing.holds && standing.certain == Some(true);
        let surely_fails = |standing: Standing| !standing.holds && standing.certain == Some(true);
        let low = match self.nearest_below(holds, &surely_holds)? {
            None => None,
            Some(low) => {
                let above = self.known.iter().map(|(rate, _)| *rate).find(|rate| *rate > low).unwrap_or(fails);
                Some(self.close(low, above, &surely_holds)?.0)
            }
        };
        let high = match self.nearest_above(fails, &surely_fails)? {
            None => None,
            Some(high) => {
                let below = self.known.iter().rev().map(|(rate, _)| *rate).find(|rate| *rate < high).unwrap_or(holds);
                Some(self.close(below, high, &|standing| !surely_fails(standing))?.1)
            }
        };
        Ok(Some(Interval { low, high }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SearchLimits = SearchLimits {
        lowest_rate: 0.01,
        highest_rate: 1000.0,
        tolerance: 0.01,
        least_duration_s: 0.0,
        most_extension: 1,
    };

    /// A system that holds up to `knee`, with noise of `noise` of it on either side.
    fn found(knee: f64, noise: f64, start: f64) -> (Found, u32) {
        let mut probes = 0;
        let found = search::<()>(LIMITS, start, |rate| {
            probes += 1;
            Ok(Standing { holds: rate <= knee, certain: Some((rate / knee - 1.0).abs() >= noise) })
        });
        (found.expect("judging never fails"), probes)
    }

    #[test]
    fn the_knee_is_found_to_the_tolerance_from_wherever_the_search_starts() {
        for knee in [0.011, 0.5, 3.7, 999.0] {
            for start in [0.001, 1.0, 400.0, 1e6] {
                let (Found::Between { holds, fails, interval }, probes) = found(knee, 0.0, start) else {
                    panic!("{knee} from {start}")
                };
                assert!(holds <= knee && knee < fails && fails <= 1.01 * holds, "{knee}: {holds}..{fails}");
                let exact = Interval { low: Some(holds), high: Some(fails) };
                assert_eq!(interval, Some(exact), "without noise there is nothing to add");
                assert!(probes < 30, "{probes} probes for {knee} from {start}");
            }
        }
    }

    #[test]
    fn the_interval_reaches_as_far_as_the_noise() {
        let (Found::Between { holds, interval: Some(Interval { low: Some(low), high: Some(high) }), .. }, _) =
            found(5.0, 0.1, 1.0)
        else {
            panic!("there is a knee")
        };
        assert!((4.95..=5.0).contains(&holds), "{holds}");
        assert!((4.5 / 1.01..=4.5).contains(&low), "{low}");
        assert!((5.5..=5.5 * 1.011).contains(&high), "{high}");
    }

    #[test]
    fn a_knee_outside_is_told_apart_from_one_inside() {
        assert_eq!(found(0.001, 0.0, 1.0).0, Found::BelowLowest);
        assert_eq!(found(2000.0, 0.0, 1.0).0, Found::AboveHighest);
    }

    #[test]
    fn noise_beyond_the_searched_rates_leaves_the_interval_open() {
        let (Found::Between { interval, .. }, _) = found(900.0, 0.5, 1.0) else { panic!("there is a knee") };
        let Interval { low, high } = interval.expect("there are seeds");
        assert!(low.is_some_and(|low| low <= 450.0) && high.is_none(), "{low:?} {high:?}");
    }

    #[test]
    fn one_seed_has_no_interval() {
        let found = search::<()>(LIMITS, 1.0, |rate| Ok(Standing { holds: rate < 7.0, certain: None }));
        assert!(matches!(found, Ok(Found::Between { interval: None, .. })));
    }
}
