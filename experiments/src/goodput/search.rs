//! The search for the highest rate that holds, over answers that have noise.
//!
//! Two stages. A pilot with the requests that were asked for finds about where the objectives start to fail, how steeply attainment falls
//! there and how noisy it is. That tells how many requests it takes for noise to move the rate by less than the tolerance; with so many, a
//! few rates around are tried: one that surely holds, one that surely fails, and between them where the mean changes sides. Only looks
//! with so many requests count then. How many are made is chosen by the width of the interval, not by the side on which it lies, as in
//! sequential intervals of a fixed width (Chow & Robbins 1965).

use std::f64::consts::LN_2;

use super::known::{Interval, Known, Line, Look, Standing};
use crate::experiment::SearchLimits;

/// Share of the tolerance that noise may take, so that both ends of the interval fit around a rate that is not quite in the middle.
const ROOM: f64 = 0.85;
/// How far beyond the estimated end of the interval a rate is tried, in tolerances: at the end itself it is as likely not yet sure.
const BEYOND: f64 = 0.12;
/// A step is at least this share of the space between two rates, or of the tolerance.
const LEAST_STEP: f64 = 0.1;

/// An end of the interval that lies within this share of the tolerance of where it is estimated is there.
const LEAST_GAP: f64 = 0.3;

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

/// Searches the highest rate at which the objectives hold, starting at `start`; `judge` plays the workload at a rate, with so many
/// times the requests that were asked for, or more.
///
/// Attainment is taken to fall as the rate rises, apart from noise. Every seed plays the same requests at every rate, so the
/// noise of neighbouring rates is nearly the same.
///
/// # Errors
/// The first one of `judge`.
pub(crate) fn search<E>(
    limits: SearchLimits,
    start: f64,
    judge: impl FnMut(f64, u32) -> Result<Standing, E>,
) -> Result<Found, E> {
    let mut search = Search { judge, all: Vec::new(), limits, times: 1, slope: 1.0, last_gap: None };
    let start = start.clamp(limits.lowest_rate, limits.highest_rate);
    if let Some(outside) = search.enclose(start)? {
        return Ok(outside);
    }
    search.pilot()?;
    let mut wanted = search.times_for_the_tolerance();
    loop {
        search.approach(wanted)?;
        search.narrow()?;
        match search.more_times() {
            Some(times) => wanted = times,
            None => return Ok(search.found()),
        }
    }
}

struct Search<J> {
    judge: J,
    all: Vec<Look>,
    limits: SearchLimits,
    /// Looks with fewer times the requests no longer count.
    times: u32,
    /// The last estimate of [`Known::slope`].
    slope: f64,
    /// The space between two rates that was divided last, for which line.
    last_gap: Option<(Line, f64)>,
}

impl<E, J: FnMut(f64, u32) -> Result<Standing, E>> Search<J> {
    /// What is found at a rate, tried now unless it was with enough requests.
    fn at(&mut self, rate: f64) -> Result<Standing, E> {
        let same = |look: &&Look| look.rate.total_cmp(&rate).is_eq() && look.times >= self.times;
        if let Some(look) = self.all.iter().find(same) {
            return Ok(look.standing);
        }
        let standing = (self.judge)(rate, self.times)?;
        self.all.push(Look { rate, times: self.times, standing });
        Ok(standing)
    }

    /// Doubles or halves the rate until one holds and one fails; tells if none does.
    fn enclose(&mut self, start: f64) -> Result<Option<Found>, E> {
        let (lowest, highest) = (self.limits.lowest_rate, self.limits.highest_rate);
        let mut rate = start;
        while !self.at(rate)?.holds() {
            if rate <= lowest {
                return Ok(Some(Found::BelowLowest));
            }
            rate = (rate / 2.0).max(lowest);
        }
        while self.known().fails().is_none() {
            if rate >= highest {
                return Ok(Some(Found::AboveHighest));
            }
            rate = (rate * 2.0).min(highest);
            self.at(rate)?;
        }
        Ok(None)
    }

    /// Closes in until what is left is the tolerance, or less than noise leaves open anyway.
    fn pilot(&mut self) -> Result<(), E> {
        loop {
            let known = self.learn();
            let (Some(holds), Some(fails)) = (known.holds(), known.fails()) else { return Ok(()) };
            let enough = known.noise(self.slope).unwrap_or(0.0).max(self.tolerance());
            if (fails.rate / holds.rate).ln() <= enough {
                return Ok(());
            }
            let rate = self.between(&known, Line::Margin, holds, fails);
            self.at(rate)?;
        }
    }

    /// How many times the requests it takes for noise to be less than the tolerance, no fewer than now. Where runs are too short to know
    /// their noise, longer ones are needed to begin with.
    fn times_for_the_tolerance(&self) -> u32 {
        const TO_KNOW: f64 = 2.0;
        let noise = self.known().noise(self.slope);
        let wide = noise.map_or(TO_KNOW, |noise| (noise / (ROOM * self.tolerance())).max(1.0));
        (f64::from(self.times) * wide * wide).ceil().min(f64::from(self.limits.most_extension)) as u32
    }

    /// How many it takes if so many as now turned out too few: at least twice as many.
    fn more_times(&self) -> Option<u32> {
        let more = self.times.saturating_mul(2).min(self.limits.most_extension);
        let too_few = more > self.times && !self.is_narrow(&self.known());
        too_few.then(|| self.times_for_the_tolerance().max(more))
    }

    /// Goes to so many times the requests by way of fewer, each a step towards the right rate that costs little.
    fn approach(&mut self, times: u32) -> Result<(), E> {
        let mut next = self.known().crossing(Line::Margin, self.slope);
        while self.times < times {
            // The last step but one takes half as many or less, or there is nothing to gain from it.
            self.times = self.times.checked_mul(4).filter(|rung| *rung <= times / 2).unwrap_or(times);
            let rate = next.expect("a rate was tried").exp().clamp(self.limits.lowest_rate, self.limits.highest_rate);
            self.at(rate)?;
            next = self.known().crossing(Line::Margin, self.slope);
        }
        Ok(())
    }

    /// Tries rates around until the ends of the interval and the rate between are as near as the tolerance, or it is plain that it takes
    /// more requests.
    fn narrow(&mut self) -> Result<(), E> {
        loop {
            let known = self.learn();
            let Some(rate) = self.next(&known) else { return Ok(()) };
            self.at(rate)?;
        }
    }

    /// The next rate to try, if one is left.
    fn next(&mut self, known: &Known) -> Option<f64> {
        let beyond = self.beyond(known).or_else(|| if known.is_measured() { self.end(known) } else { None });
        if beyond.is_some() {
            return beyond;
        }
        let (holds, fails) = (known.holds()?, known.fails()?);
        let open = (fails.rate / holds.rate).ln() > self.tolerance() * (1.0 + 1e-9);
        let takes_more = self.times < self.limits.most_extension && !self.is_narrow(known);
        (open && !takes_more).then(|| self.between(known, Line::Margin, holds, fails))
    }

    /// A rate that surely holds or surely fails is still missing, or, where noise is not known, one that holds or fails at all: a rate
    /// beyond all that were tried.
    fn beyond(&self, known: &Known) -> Option<f64> {
        let (first, last) = (known.first()?, known.last()?);
        let is_measured = known.is_measured();
        let (low, high) = if is_measured { (Line::Lower, Line::Upper) } else { (Line::Margin, Line::Margin) };
        // Steps get longer with every rate that was tried in vain, whatever the line promises.
        let missed = known.len().saturating_sub(2).min(64);
        let shortest = LEAST_STEP * self.tolerance() * (missed as f64).exp2();
        let step = |from: Look, line: Line, sign: f64| {
            let from = from.rate.ln();
            let end = known.crossing(line, self.slope).map_or(LN_2, |end| sign * (end - from));
            (from + sign * (end + BEYOND * self.tolerance()).clamp(shortest.min(LN_2), LN_2)).exp()
        };
        let has_low = if is_measured { known.low().is_some() } else { known.holds().is_some() };
        if !has_low && first.rate > self.limits.lowest_rate {
            return Some(step(first, low, -1.0).max(self.limits.lowest_rate));
        }
        let has_high = if is_measured { known.high().is_some() } else { known.fails().is_some() };
        (!has_high && last.rate < self.limits.highest_rate).then(|| step(last, high, 1.0).min(self.limits.highest_rate))
    }

    /// An end of the interval is not yet as near as it could be, and is not near enough.
    fn end(&mut self, known: &Known) -> Option<f64> {
        if self.is_narrow(known) {
            return None;
        }
        let ends = known.crossing(Line::Lower, self.slope).zip(known.crossing(Line::Upper, self.slope));
        if self.times < self.limits.most_extension
            && ends.is_some_and(|(low, high)| high - low > 2.0 * self.tolerance())
        {
            return None;
        }
        let low = known.low().and_then(|(low, after)| Some((Line::Lower, low, after?)));
        let high = known.high().and_then(|(high, before)| Some((Line::Upper, before?, high)));
        let gap = |(_, low, high): &(Line, Look, Look)| (high.rate / low.rate).ln();
        let wider = low.into_iter().chain(high).max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
        let (line, below, above) = wider;
        // The last rates that may be too far out are brought nearer before more requests are made.
        let least = if self.times < self.limits.most_extension { LEAST_GAP } else { 1.0 + 1e-9 };
        (gap(&wider) > least * self.tolerance()).then(|| self.between(known, line, below, above))
    }

    /// Where a line crosses zero between two rates, a little beyond for ends of intervals, and not so near to either that a step were lost.
    fn between(&mut self, known: &Known, line: Line, below: Look, above: Look) -> f64 {
        let (from, to) = (below.rate.ln(), above.rate.ln());
        let beyond = BEYOND * self.tolerance();
        let aim = known.crossing(line, self.slope).map_or(f64::midpoint(from, to), |crossing| match line {
            Line::Margin => crossing,
            Line::Lower => crossing - beyond,
            Line::Upper => crossing + beyond,
        });
        // Over a wide gap the line is no line, and half of it is a better guess than its ends; so it is where the line did not halve the last.
        let gap = to - from;
        let halved = self.last_gap.is_none_or(|(same, last)| same != line || gap <= 0.6 * last);
        self.last_gap = Some((line, gap));
        if !halved {
            return f64::midpoint(from, to).exp();
        }
        let least = if gap > 4.0 * self.tolerance() { 0.25 } else { LEAST_STEP };
        aim.clamp(from + least * gap, to - least * gap).exp()
    }

    fn is_narrow(&self, known: &Known) -> bool {
        known.interval().is_some_and(|interval| interval.is_within(self.limits.tolerance))
    }

    fn tolerance(&self) -> f64 {
        self.limits.tolerance.ln_1p()
    }

    fn known(&self) -> Known {
        Known::new(&self.all, self.times)
    }

    /// What is known now, and the slope that it shows.
    fn learn(&mut self) -> Known {
        let known = self.known();
        self.slope = known.slope().unwrap_or(self.slope);
        known
    }

    fn found(&self) -> Found {
        let known = self.known();
        match (known.holds(), known.fails()) {
            (None, _) => Found::BelowLowest,
            (Some(_), None) => Found::AboveHighest,
            (Some(holds), Some(fails)) => {
                Found::Between { holds: holds.rate, fails: fails.rate, interval: known.interval() }
            }
        }
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

    /// A system whose attainment crosses what is wanted at `knee`: its margin falls by `slope` per step of one in the logarithm of
    /// the rate, is misled by `error` and known to `half`, both in the logarithm of the rate and of so many times the requests.
    struct Shape<N> {
        knee: f64,
        slope: f64,
        noise: N,
    }

    impl<N: Fn(u32) -> (f64, f64)> Shape<N> {
        fn found(&self, limits: SearchLimits, start: f64) -> (Found, u32) {
            let mut cost = 0;
            let found = search::<()>(limits, start, |rate, times| {
                cost += times;
                let (error, half) = (self.noise)(times);
                let margin = |off: f64| (self.slope * ((self.knee / rate).ln() + off)).clamp(-9.0, 9.0);
                Ok(Standing {
                    margin: margin(error),
                    interval: Some((margin(error - half), margin(error + half))),
                    in_doubt: false,
                })
            });
            (found.expect("judging never fails"), cost)
        }
    }

    fn between(found: Found) -> (f64, f64, f64, f64) {
        match found {
            Found::Between { holds, fails, interval: Some(Interval { low: Some(low), high: Some(high) }) } => {
                (holds, fails, low, high)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_knee_is_found_to_the_tolerance_from_wherever_the_search_starts() {
        for knee in [0.011, 0.5, 3.7, 999.0] {
            for start in [0.001, 1.0, 400.0, 1e6] {
                for slope in [0.3, 20.0, 1e6] {
                    let shape = Shape { knee, slope, noise: |_| (0.0, 0.0) };
                    let (found, probes) = shape.found(LIMITS, start);
                    let (holds, fails, low, high) = between(found);
                    assert!(holds <= knee && knee < fails && fails <= 1.0101 * holds, "{knee}: {holds}..{fails}");
                    assert!(low <= holds && fails <= high && high <= 1.0202 * low, "{knee}: {low}..{high}");
                    assert!(probes < 40, "{probes} probes for {knee} from {start}, slope {slope}");
                }
            }
        }
    }

    #[test]
    fn the_interval_reaches_as_far_as_the_noise() {
        for slope in [0.3, 5.0, 100.0] {
            let shape = Shape { knee: 5.0, slope, noise: |_| (0.0, 0.1_f64.ln_1p()) };
            let (holds, _, low, high) = between(shape.found(LIMITS, 1.0).0);
            assert!((4.95..=5.0).contains(&holds), "{holds}");
            assert!((5.0 / 1.1 / 1.0101..=5.0 / 1.1).contains(&low), "{low}");
            assert!((5.5..=5.5 * 1.0101).contains(&high), "{high}");
        }
    }

    #[test]
    fn requests_are_added_until_noise_moves_the_rate_by_less_than_the_tolerance_and_no_further() {
        let limits = SearchLimits { most_extension: 64, ..LIMITS };
        for (noise, least, most) in [(0.004, 8, 15), (0.02, 15, 30), (0.05, 80, 150)] {
            let shape = Shape { knee: 3.0, slope: 4.0, noise: |times: u32| (0.0, noise / f64::from(times).sqrt()) };
            let (found, cost) = shape.found(limits, 1.0);
            let (_, _, low, high) = between(found);
            assert!(low <= 3.0 && 3.0 <= high && high <= 1.0202 * low, "{noise}: {low}..{high}");
            assert!((least..most).contains(&cost), "{noise}: {cost} times the requests");
        }
        // A hundred times the noise cannot be averaged away, and is told.
        let shape = Shape { knee: 3.0, slope: 4.0, noise: |times: u32| (0.0, 0.5 / f64::from(times).sqrt()) };
        let (_, _, low, high) = between(shape.found(limits, 1.0).0);
        assert!((0.1..0.15).contains(&(high / low).ln()), "{low}..{high}");
    }

    /// Repeats the whole search with noise of its own each time: of 1, 2, … times the requests, the mean of so many draws.
    #[test]
    fn the_interval_contains_the_limit_as_often_as_it_says() {
        use rand::SeedableRng as _;
        use rand_distr::Distribution as _;
        const REPETITIONS: u64 = 500;
        let (mut inside, mut within) = (0, 0);
        for seed in 0..REPETITIONS {
            let rng = rand::rngs::StdRng::seed_from_u64(seed);
            let draws: Vec<f64> =
                rand_distr::StandardNormal.sample_iter(rng).map(|draw: f64| 0.03 * draw).take(32).collect();
            let noise = |times: u32| {
                let mean = draws[..times as usize].iter().sum::<f64>() / f64::from(times);
                (mean, 1.96 * 0.03 / f64::from(times).sqrt())
            };
            let limits = SearchLimits { tolerance: 0.02, most_extension: 32, ..LIMITS };
            let shape = Shape { knee: 7.0, slope: 3.0, noise };
            let (_, _, low, high) = between(shape.found(limits, 1.0).0);
            inside += u32::from(low <= 7.0 && 7.0 <= high);
            within += u32::from(high <= 1.0404 * low);
        }
        let share = f64::from(inside) / REPETITIONS as f64;
        assert!((0.92..=0.99).contains(&share), "{share} of the intervals contain the limit");
        assert_eq!(u64::from(within), REPETITIONS, "all are as narrow as asked");
    }

    #[test]
    fn a_knee_outside_is_told_apart_from_one_inside() {
        let shape = |knee| Shape { knee, slope: 5.0, noise: |_| (0.0, 0.001) };
        assert_eq!(shape(0.001).found(LIMITS, 1.0).0, Found::BelowLowest);
        assert_eq!(shape(2000.0).found(LIMITS, 1.0).0, Found::AboveHighest);
    }

    #[test]
    fn noise_beyond_the_searched_rates_leaves_the_interval_open() {
        let shape = Shape { knee: 900.0, slope: 5.0, noise: |_| (0.0, 0.7) };
        let Found::Between { interval, .. } = shape.found(LIMITS, 1.0).0 else { panic!("there is a knee") };
        let Interval { low, high } = interval.expect("it is measured");
        assert!(low.is_some_and(|low| low <= 450.0) && high.is_none(), "{low:?} {high:?}");
    }

    /// Limits of all sizes around 1, where logarithms change their sign, as steps and as slopes, with noise known everywhere, nowhere,
    /// or at every third look, and a pilot that is misled.
    #[test]
    fn whatever_is_known_of_noise_a_limit_within_the_searched_rates_is_found() {
        for case in 0..600_u32 {
            let knee = 0.3 * 1.0123_f64.powf(f64::from(case % 200));
            let slope = if case % 2 == 0 { 1e9 } else { 4.0 };
            let limits = SearchLimits { most_extension: [1, 4, 64][case as usize % 3], tolerance: 0.02, ..LIMITS };
            let (mut looks, mut longest) = (0, 1);
            let found = search::<()>(limits, 1.0, |rate, times| {
                (looks, longest) = (looks + 1, times.max(longest));
                let short = if times == 1 && case % 5 == 0 { 0.25 } else { 0.0 };
                let margin = |off: f64| (slope * ((knee / rate).ln() + short + off)).clamp(-9.0, 9.0);
                let is_known = [true, false, looks % 3 == 0][case as usize / 3 % 3];
                let interval = is_known.then(|| (margin(-0.01), margin(0.01)));
                Ok(Standing { margin: margin(0.0), interval, in_doubt: false })
            });
            let Ok(Found::Between { holds, fails, .. }) = found else { panic!("{case}: {found:?}, knee {knee}") };
            // Where the pilot was enough, it is what was asked.
            let knee = if longest == 1 && case % 5 == 0 { knee * 0.25_f64.exp() } else { knee };
            assert!(
                holds <= knee * (1.0 + 1e-9) && knee < fails && fails <= 1.0201 * holds,
                "{case}: {holds}..{fails} for {knee}"
            );
            assert!(looks < 120, "{case}: {looks} looks");
        }
    }

    #[test]
    fn rates_under_which_the_queue_grows_do_not_hide_the_limit() {
        let limits = SearchLimits { tolerance: 0.02, most_extension: 16, ..LIMITS };
        let mut looks = 0;
        let found = search::<()>(limits, 1.0, |rate, _| {
            looks += 1;
            let margin = |off: f64| (8.0 * ((12.0 / rate).ln() + off)).clamp(-9.0, 9.0);
            let standing =
                Standing { margin: margin(0.0), interval: Some((margin(-0.02), margin(0.02))), in_doubt: false };
            Ok(if (10.0..12.0).contains(&rate) { standing.doubted() } else { standing })
        });
        let (holds, fails, low, high) = between(found.expect("judging never fails"));
        assert!(holds < 10.0 && 10.0 <= fails && fails <= 1.0201 * holds, "{holds}..{fails}");
        assert!(low <= holds && high >= 12.0, "shares leave open what the queue does not: {low}..{high}");
        assert!(looks < 60, "{looks} looks");
    }

    #[test]
    fn one_short_run_has_no_interval() {
        let found = search::<()>(LIMITS, 1.0, |rate, _| {
            Ok(Standing { margin: if rate < 7.0 { 1.0 } else { -1.0 }, interval: None, in_doubt: false })
        });
        let Ok(Found::Between { holds, fails, interval: None }) = found else { panic!("{found:?}") };
        assert!(holds < 7.0 && 7.0 <= fails && fails <= 1.0101 * holds, "{holds}..{fails}");
    }
}
