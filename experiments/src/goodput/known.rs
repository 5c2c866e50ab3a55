//! What a search knows: rates that were tried, and where between and beyond them the objectives start to fail.

/// What was found at one rate: how far the attained share is from the wanted one.
///
/// In log-odds, ln(share ÷ (1 − share)), since shares near 0 and 1 hardly move with the rate and their log-odds do: of the demand that
/// has least to spare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    /// Attained over wanted, on the mean over seeds.
    pub(crate) margin: f64,
    /// The ends of its 95 % interval; `None` where there is none: of one short run, or one whose stretches resemble their neighbours.
    pub(crate) interval: Option<(f64, f64)>,
    /// Whether it would hold, but the queue grows: it counts as one that just fails, which says nothing of how far it is from the limit.
    pub(crate) in_doubt: bool,
}

impl Standing {
    /// One that holds by its shares although the queue grows: that is a judgement of trends without an interval, so where the objectives
    /// fail beyond noise stays to be found, above.
    #[must_use]
    pub(super) fn doubted(self) -> Self {
        let just_below = -f64::EPSILON;
        let interval = self.interval.map(|(low, high)| (low.min(just_below), high));
        Standing { margin: just_below, interval, in_doubt: true }
    }

    /// Whether the objectives hold, on the mean over seeds.
    pub(crate) fn holds(self) -> bool {
        self.margin >= 0.0
    }

    /// Whether either is beyond noise; `None` where there is no interval.
    pub(crate) fn certain(self) -> Option<bool> {
        self.interval.map(|_| self.surely_holds() || self.surely_fails())
    }

    /// Whether they hold beyond noise.
    pub(super) fn surely_holds(self) -> bool {
        self.interval.is_some_and(|(low, _)| low >= 0.0)
    }

    /// Whether they fail beyond noise.
    pub(super) fn surely_fails(self) -> bool {
        self.interval.is_some_and(|(_, high)| high < 0.0)
    }
}

/// Rates between which the limit lies with 95 % confidence. `None` stands for an end that the searched rates do not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Interval {
    /// The nearest rate below at which the objectives hold beyond noise.
    pub(crate) low: Option<f64>,
    /// The nearest rate above at which they fail beyond noise.
    pub(crate) high: Option<f64>,
}

impl Interval {
    /// Whether both ends lie within `tolerance` of the middle.
    pub(crate) fn is_within(&self, tolerance: f64) -> bool {
        matches!((self.low, self.high), (Some(low), Some(high)) if high <= low * (1.0 + tolerance).powi(2))
    }
}

/// A rate that was tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Requests per second.
    pub(super) rate: f64,
    /// How many times the requests that were asked for.
    pub(super) times: u32,
    pub(super) standing: Standing,
}

/// A line that falls with the rate and crosses zero at an end of what is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The margin itself: where the objectives start to fail.
    Margin,
    /// The lower end of its interval: up to where they surely hold.
    Lower,
    /// The upper end: from where they surely fail.
    Upper,
}

impl Line {
    /// Where there is no interval, it is the margin itself.
    fn of(self, standing: Standing) -> f64 {
        let (low, high) = standing.interval.unwrap_or((standing.margin, standing.margin));
        match self {
            Line::Margin => standing.margin,
            Line::Lower => low,
            Line::Upper => high,
        }
    }
}

/// Rates that were tried with no fewer requests than now count, ascending, and the places among them that matter.
#[derive(Debug)]
pub(super) struct Known {
    looks: Vec<Look>,
    /// Index of the lowest rate that fails.
    fails: usize,
}

impl Known {
    /// Of all looks, those with at least so many times the requests, of each rate the longest.
    pub(super) fn new(all: &[Look], times: u32) -> Self {
        let mut looks: Vec<Look> = all.iter().filter(|look| look.times >= times).copied().collect();
        looks.sort_by(|a, b| a.rate.total_cmp(&b.rate).then(b.times.cmp(&a.times)));
        looks.dedup_by(|later, first| later.rate.total_cmp(&first.rate).is_eq());
        let fails = looks.iter().position(|look| !look.standing.holds()).unwrap_or(looks.len());
        Known { looks, fails }
    }

    pub(super) fn first(&self) -> Option<Look> {
        self.looks.first().copied()
    }

    pub(super) fn last(&self) -> Option<Look> {
        self.looks.last().copied()
    }

    /// Whether noise is known at any rate.
    pub(super) fn is_measured(&self) -> bool {
        self.looks.iter().any(|look| look.standing.interval.is_some())
    }

    pub(super) fn len(&self) -> usize {
        self.looks.len()
    }

    /// The highest rate below all that fail.
    pub(super) fn holds(&self) -> Option<Look> {
        self.looks[..self.fails].last().copied()
    }

    /// The lowest rate that fails.
    pub(super) fn fails(&self) -> Option<Look> {
        self.looks.get(self.fails).copied()
    }

    /// The nearest rate below that holds beyond noise, and the one after it.
    pub(super) fn low(&self) -> Option<(Look, Option<Look>)> {
        let low = self.looks[..self.fails].iter().rposition(|look| look.standing.surely_holds())?;
        Some((self.looks[low], self.looks.get(low + 1).copied()))
    }

    /// The nearest rate above that fails beyond noise, and the one before it.
    pub(super) fn high(&self) -> Option<(Look, Option<Look>)> {
        let beyond = self.looks[self.fails..].iter().position(|look| look.standing.surely_fails())?;
        let high = self.fails + beyond;
        Some((self.looks[high], high.checked_sub(1).map(|before| self.looks[before])))
    }

    /// What noise leaves open; `None` where it is not known.
    pub(super) fn interval(&self) -> Option<Interval> {
        let (low, high) = (self.low().map(|(low, _)| low.rate), self.high().map(|(high, _)| high.rate));
        self.is_measured().then_some(Interval { low, high })
    }

    /// Rates whose margin says how far they are from the limit.
    fn telling(&self) -> impl Iterator<Item = &Look> {
        self.looks.iter().filter(|look| !look.standing.in_doubt)
    }

    /// By how much the margin falls for a step of one in the logarithm of the rate, around where the objectives start to fail: the least
    /// squares of the rates near there or, with fewer than two, the line between one that holds and one that fails.
    pub(super) fn slope(&self) -> Option<f64> {
        /// A share of 90 % may be between 77 and 96 %.
        const NEAR: f64 = 1.0;
        let near: Vec<Look> = self.telling().filter(|look| look.standing.margin.abs() <= NEAR).copied().collect();
        let points = if near.len() >= 2 { near } else { vec![self.holds()?, self.fails()?] };
        let mean = |of: fn(&Look) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
        let (middle, margin) = (mean(|look| look.rate.ln()), mean(|look| look.standing.margin));
        let (mut along, mut fall) = (0.0, 0.0);
        for look in &points {
            let off = look.rate.ln() - middle;
            along += off * off;
            fall -= off * (look.standing.margin - margin);
        }
        let slope = fall / along;
        (slope.is_finite() && slope > 0.0).then_some(slope)
    }

    /// By what factor of the rate noise may mislead, as its logarithm: half of the interval over the slope.
    pub(super) fn noise(&self, slope: f64) -> Option<f64> {
        let near = |look: &Look| look.standing.margin.abs();
        let measured = self.telling().filter(|look| look.standing.interval.is_some());
        let nearest = measured.min_by(|a, b| near(a).total_cmp(&near(b)))?;
        let (low, high) = nearest.standing.interval?;
        Some((high - low) / 2.0 / slope)
    }

    /// Where `line` crosses zero: between two rates in proportion, beyond all of them by `slope`. The logarithm of the rate.
    pub(super) fn crossing(&self, line: Line, slope: f64) -> Option<f64> {
        let value = |look: &Look| line.of(look.standing);
        let above = self.looks.iter().position(|look| value(look) < 0.0).unwrap_or(self.looks.len());
        let beyond = |look: &Look| Some(look.rate.ln() + value(look) / slope);
        match (above.checked_sub(1).map(|below| &self.looks[below]), self.looks.get(above)) {
            (Some(below), Some(above)) => {
                let (high, low) = (value(below), value(above));
                let step = (above.rate / below.rate).ln() * high / (high - low);
                Some(below.rate.ln() + step)
            }
            (Some(only), None) | (None, Some(only)) => beyond(only),
            (None, None) => None,
        }
    }
}
