//! When the next request starts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::Xoshiro256PlusPlus;

use super::Arrivals;
use super::renewal::Gaps;
use super::varying::VaryingRate;
use crate::durations::DurationSampler;
use crate::error::WorkloadError;
use crate::rng::Streams;
use crate::time::{SimDuration, SimTime};

/// An arrival process in motion: when the next request (or session) starts.
#[derive(Clone, Debug)]
pub(crate) struct ArrivalClock {
    process: Process,
    rng: Xoshiro256PlusPlus,
    /// Of the last start taken.
    now: SimTime,
    /// The start announced and not yet taken.
    next: Option<SimTime>,
    /// A schedule has ended: there is no further start.
    over: bool,
}

#[derive(Clone, Debug)]
enum Process {
    Renewal(Gaps),
    Varying(VaryingRate),
    /// Start number `started` is at `started · nanos_per_request`.
    Constant {
        nanos_per_request: f64,
        started: u64,
    },
    AllAtOnce,
    Closed(Clients),
}

/// The clients of a closed loop that are not waiting for an answer.
#[derive(Clone, Debug)]
struct Clients {
    think: DurationSampler,
    draws: Streams,
    /// Clients that have not sent anything yet; they do at time zero.
    fresh: u32,
    ready: BinaryHeap<Reverse<SimTime>>,
}

impl Clients {
    fn peek(&self) -> Option<SimTime> {
        if self.fresh > 0 { Some(SimTime::ZERO) } else { self.ready.peek().map(|&Reverse(time)| time) }
    }

    fn take(&mut self) -> Option<SimTime> {
        if self.fresh > 0 {
            self.fresh -= 1;
            return Some(SimTime::ZERO);
        }
        self.ready.pop().map(|Reverse(time)| time)
    }
}

impl ArrivalClock {
    pub(crate) fn new(arrivals: &Arrivals, seed: u64) -> Result<Self, WorkloadError> {
        arrivals.validate()?;
        let process = match arrivals {
            Arrivals::Poisson { rate } => Process::Renewal(Gaps::Exponential { mean_s: 1.0 / rate }),
            Arrivals::Gamma { rate, cv } => Process::Renewal(Gaps::gamma(*rate, *cv)?),
            Arrivals::Weibull { rate, cv } => Process::Renewal(Gaps::weibull(*rate, *cv)?),
            Arrivals::Constant { rate } => Process::Constant { nanos_per_request: 1e9 / rate, started: 0 },
            Arrivals::OnOff { on_rate, off_rate, mean_on_s, mean_off_s } => {
                let (rates, means) = ([*on_rate, *off_rate], [*mean_on_s, *mean_off_s]);
                Process::Varying(VaryingRate::phases(rates, means, seed))
            }
            Arrivals::Piecewise { pieces, repeat } => Process::Varying(VaryingRate::schedule(pieces, *repeat)),
            Arrivals::AllAtOnce => Process::AllAtOnce,
            Arrivals::ClosedLoop { concurrency, think } => Process::Closed(Clients {
                think: think.sampler()?,
                draws: Streams::new(seed, "client think"),
                fresh: *concurrency,
                ready: BinaryHeap::new(),
            }),
        };
        let rng = Streams::new(seed, "arrivals").stream(0);
        Ok(ArrivalClock { process, rng, now: SimTime::ZERO, next: None, over: false })
    }

    /// When the next start is; `None`: not before something ends, or never.
    pub(crate) fn peek(&mut self) -> Option<SimTime> {
        if let Process::Closed(clients) = &self.process {
            return clients.peek();
        }
        if self.next.is_none() && !self.over {
            self.next = self.following();
            self.over = self.next.is_none();
        }
        self.next
    }

    /// Takes the start that [`ArrivalClock::peek`] announced.
    pub(crate) fn take(&mut self) -> Option<SimTime> {
        if let Process::Closed(clients) = &mut self.process {
            return clients.take();
        }
        let start = self.peek()?;
        self.now = start;
        self.next = None;
        Some(start)
    }

    /// What was start `number` is over; in a closed loop its client starts the next one when it has thought.
    pub(crate) fn ended(&mut self, number: u64, now: SimTime) {
        if let Process::Closed(clients) = &mut self.process {
            clients.ready.push(Reverse(now + clients.think.quantile(clients.draws.uniform(number))));
        }
    }

    /// Whether there is known to be no further start, whatever ends.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    fn following(&mut self) -> Option<SimTime> {
        let gap_s = match &mut self.process {
            Process::Renewal(gaps) => gaps.draw(&mut self.rng),
            Process::Varying(rate) => rate.gap(&mut self.rng)?,
            Process::Constant { nanos_per_request, started } => {
                let nanos = (*started as f64 * *nanos_per_request).round();
                *started += 1;
                return Some(SimTime::from_nanos(nanos as u64));
            }
            Process::AllAtOnce | Process::Closed(_) => return Some(SimTime::ZERO),
        };
        // Rates of one request in days and many of them reach the end of the clock, after 584 years.
        let gap = SimDuration::from_secs_f64(gap_s).as_nanos();
        Some(SimTime::from_nanos(self.now.as_nanos().saturating_add(gap)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::RatePiece;
    use super::*;
    use crate::durations::Durations;

    fn times(arrivals: &Arrivals, n: usize) -> Vec<f64> {
        let mut clock = ArrivalClock::new(arrivals, 11).unwrap();
        std::iter::from_fn(|| clock.take()).take(n).map(SimTime::as_secs_f64).collect()
    }

    fn squared_cv(times: &[f64]) -> f64 {
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64 / (mean * mean)
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let times = times(&Arrivals::Constant { rate: 3.0 }, 3_000_001);
        assert!((times[1] - 1.0 / 3.0).abs() < 1e-9);
        assert!((times[3_000_000] - 1_000_000.0).abs() < 1e-8);
    }

    /// An interrupted Poisson process is a renewal process with cv² = 1 + 2 rate · off² / (on + off).
    #[test]
    fn bursts_have_the_mean_rate_and_the_cv_of_an_interrupted_poisson_process() {
        let bursts = Arrivals::OnOff { on_rate: 10.0, off_rate: 0.0, mean_on_s: 2.0, mean_off_s: 3.0 };
        let times = times(&bursts, 400_000);
        let rate = times.len() as f64 / times.last().unwrap();
        let expected = 1.0 + 2.0 * 4.0 * 9.0 / 5.0;
        assert!((rate / 4.0 - 1.0).abs() < 0.02, "rate {rate}");
        assert!((squared_cv(&times) / expected - 1.0).abs() < 0.05, "cv² {}", squared_cv(&times));
    }

    #[test]
    fn a_schedule_is_followed_piece_by_piece_and_starts_over() {
        let pieces = vec![
            RatePiece { duration_s: 10.0, rate: 100.0 },
            RatePiece { duration_s: 5.0, rate: 0.0 },
            RatePiece { duration_s: 10.0, rate: 20.0 },
        ];
        let once = times(&Arrivals::Piecewise { pieces: pieces.clone(), repeat: false }, usize::MAX);
        let count = |times: &[f64], from, to| times.iter().filter(|&&t| t >= from && t < to).count() as f64;
        // Poisson counts of mean 1000 and 200: five standard deviations.
        assert!((count(&once, 0.0, 10.0) - 1000.0).abs() < 160.0);
        assert!(count(&once, 10.0, 15.0) == 0.0);
        assert!((count(&once, 15.0, 25.0) - 200.0).abs() < 71.0);
        assert!(once.iter().all(|&t| t < 25.0), "nothing arrives after the end");
        let again = times(&Arrivals::Piecewise { pieces, repeat: true }, 100_000);
        assert!(again.iter().all(|t| !(10.0..15.0).contains(&(t % 25.0))));
        assert!((again.last().unwrap() / (100_000.0 / 48.0) - 1.0).abs() < 0.02, "1200 requests in 25 s");
    }

    #[test]
    fn a_closed_loop_keeps_its_number_of_clients_and_lets_them_think() {
        let think = Durations::Fixed { seconds: 2.0 };
        let mut clock = ArrivalClock::new(&Arrivals::ClosedLoop { concurrency: 2, think }, 0).unwrap();
        assert_eq!((clock.take(), clock.take(), clock.take()), (Some(SimTime::ZERO), Some(SimTime::ZERO), None));
        clock.ended(1, SimTime::from_secs_f64(5.0));
        clock.ended(0, SimTime::from_secs_f64(4.0));
        assert_eq!(clock.peek(), Some(SimTime::from_secs_f64(6.0)));
        assert_eq!(clock.take(), Some(SimTime::from_secs_f64(6.0)));
        assert_eq!(clock.take(), Some(SimTime::from_secs_f64(7.0)));
    }

    #[test]
    fn impossible_arrivals_are_refused_with_the_reason() {
        let message = |arrivals: Arrivals| arrivals.validate().unwrap_err().to_string();
        for (rate, shown) in [(-3.0, "-3"), (0.0, "0"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            assert_eq!(
                message(Arrivals::Poisson { rate }),
                format!(
                    "poisson arrivals: rate is {shown}, but it must be a number of requests per second above 0 \
                     (between 1e-6 and 1e9)"
                )
            );
        }
        assert_eq!(
            message(Arrivals::Gamma { rate: 1.0, cv: 0.0 }),
            "gamma arrivals: cv is 0, but it must be between 0.01 and 100"
        );
        assert_eq!(
            message(Arrivals::Weibull { rate: 1.0, cv: -1.0 }),
            "weibull arrivals: cv is -1, but it must be between 0.01 and 100"
        );
        assert_eq!(
            message(Arrivals::OnOff { on_rate: 1.0, off_rate: 0.0, mean_on_s: 0.0, mean_off_s: 1.0 }),
            "on-off arrivals: mean_on_s is 0, but it must be a finite number above 0"
        );
        assert_eq!(
            message(Arrivals::OnOff { on_rate: 1.0, off_rate: 0.0, mean_on_s: 1e-6, mean_off_s: 1e-6 }),
            "on-off arrivals: expected number of requests per cycle is 0.000001, but it must be at least 0.001; \
             lengthen the phases or raise the rates"
        );
        assert_eq!(
            message(Arrivals::Piecewise { pieces: vec![], repeat: false }),
            "piecewise arrivals: pieces is empty, but it must be at least one (duration, rate)"
        );
        let silent = vec![RatePiece { duration_s: 1.0, rate: 0.0 }];
        assert_eq!(
            message(Arrivals::Piecewise { pieces: silent, repeat: true }),
            "piecewise arrivals: rate is 0 in every piece, but it must be above 0 in one of them"
        );
        assert_eq!(
            message(Arrivals::ClosedLoop { concurrency: 0, think: Durations::Fixed { seconds: 0.0 } }),
            "closed-loop arrivals: concurrency is 0, but it must be at least 1"
        );
    }
}
