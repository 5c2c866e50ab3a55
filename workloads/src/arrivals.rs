//! Arrival processes: when requests (or sessions) start.
//!
//! A trace's own times, or those times rescaled to a rate, are [`crate::Timing`]'s business.

mod clock;
mod rate;
mod renewal;
mod varying;

pub(crate) use clock::ArrivalClock;

use crate::check;
use crate::durations::Durations;
use crate::error::WorkloadError;

/// When requests arrive. Rates are in requests per second (in a workload of sessions: sessions per second).
///
/// The random ones start with a gap; `Constant` starts at time zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Exponential gaps.
    Poisson {
        /// Mean rate.
        rate: f64,
    },
    /// Gamma-distributed gaps: shape 1 / cv², as `vllm bench serve --burstiness` = 1 / cv².
    Gamma {
        /// Mean rate.
        rate: f64,
        /// Coefficient of variation of the gaps, between 0.01 and 100 (1 is Poisson, above 1 is bursty).
        cv: f64,
    },
    /// Weibull-distributed gaps, the shape solved from the CV.
    Weibull {
        /// Mean rate.
        rate: f64,
        /// Coefficient of variation of the gaps, between 0.01 and 100.
        cv: f64,
    },
    /// Equal gaps, to the nanosecond on the long run.
    Constant {
        /// Rate.
        rate: f64,
    },
    /// A Poisson process whose rate switches between two values after exponential times (a two-state MMPP), starting
    /// in its stationary state. With `off_rate = 0` gaps have cv² = 1 + 2 rate · off² / (on + off) for the mean rate.
    OnOff {
        /// Rate while on.
        on_rate: f64,
        /// Rate while off (0 is allowed).
        off_rate: f64,
        /// Mean duration of an on phase, seconds.
        mean_on_s: f64,
        /// Mean duration of an off phase, seconds.
        mean_off_s: f64,
    },
    /// A Poisson process whose rate follows a schedule, exact also across the steps (time rescaling).
    Piecewise {
        /// The schedule, in order.
        pieces: Vec<RatePiece>,
        /// Whether it starts over at its end; if not, no request arrives after it.
        repeat: bool,
    },
    /// Everything is there at time zero (offline batch).
    AllAtOnce,
    /// A fixed number of clients, each sending its next request when its last one has ended and it has thought.
    /// All start at time zero.
    ClosedLoop {
        /// Clients.
        concurrency: u32,
        /// What a client waits between an ending and its next request.
        think: Durations,
    },
}

/// One step of a schedule of rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePiece {
    /// How long, seconds.
    pub duration_s: f64,
    /// Requests per second meanwhile (0 is allowed).
    pub rate: f64,
}

impl Arrivals {
    /// Poisson arrivals.
    ///
    /// # Errors
    /// If the rate is not above 0.
    pub fn poisson(rate: f64) -> Result<Self, WorkloadError> {
        Arrivals::Poisson { rate }.validated()
    }

    /// Gamma-distributed gaps.
    ///
    /// # Errors
    /// If the rate or the CV is not above 0.
    pub fn gamma(rate: f64, cv: f64) -> Result<Self, WorkloadError> {
        Arrivals::Gamma { rate, cv }.validated()
    }

    /// `concurrency` clients that never think.
    ///
    /// # Errors
    /// If there is no client.
    pub fn closed_loop(concurrency: u32) -> Result<Self, WorkloadError> {
        Arrivals::ClosedLoop { concurrency, think: Durations::Fixed { seconds: 0.0 } }.validated()
    }

    /// Itself, if its parameters can be.
    ///
    /// # Errors
    /// As [`Arrivals::validate`].
    pub fn validated(self) -> Result<Self, WorkloadError> {
        self.validate().map(|()| self)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] names the one that cannot be and what it must be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        match self {
            Arrivals::Poisson { rate } => check::rate("poisson arrivals", "rate", *rate),
            Arrivals::Constant { rate } => check::rate("constant arrivals", "rate", *rate),
            Arrivals::Gamma { rate, cv } => {
                check::rate("gamma arrivals", "rate", *rate)?;
                check::cv("gamma arrivals", *cv)
            }
            Arrivals::Weibull { rate, cv } => {
                check::rate("weibull arrivals", "rate", *rate)?;
                check::cv("weibull arrivals", *cv)
            }
            Arrivals::OnOff { on_rate, off_rate, mean_on_s, mean_off_s } => {
                check::rate("on-off arrivals", "on_rate", *on_rate)?;
                if *off_rate != 0.0 {
                    check::rate("on-off arrivals", "off_rate", *off_rate)?;
                }
                for (parameter, mean_s) in [("mean_on_s", *mean_on_s), ("mean_off_s", *mean_off_s)] {
                    check::positive("on-off arrivals", parameter, mean_s)?;
                    check::seconds("on-off arrivals", parameter, mean_s)?;
                }
                not_hopelessly_few("on-off arrivals", on_rate * mean_on_s + off_rate * mean_off_s)
            }
            Arrivals::Piecewise { pieces, repeat } => validate_pieces(pieces, *repeat),
            Arrivals::AllAtOnce => Ok(()),
            Arrivals::ClosedLoop { concurrency: 0, .. } => {
                Err(check::wrong("closed-loop arrivals", "concurrency", 0, "at least 1"))
            }
            Arrivals::ClosedLoop { think, .. } => think.validate(),
        }
    }
}

fn validate_pieces(pieces: &[RatePiece], repeat: bool) -> Result<(), WorkloadError> {
    const OF: &str = "piecewise arrivals";
    if pieces.is_empty() {
        return Err(check::wrong(OF, "pieces", "empty", "at least one (duration, rate)"));
    }
    for piece in pieces {
        check::positive(OF, "duration_s", piece.duration_s)?;
        check::seconds(OF, "duration_s", piece.duration_s)?;
        if piece.rate != 0.0 {
            check::rate(OF, "rate", piece.rate)?;
        }
    }
    if pieces.iter().all(|piece| piece.rate == 0.0) {
        return Err(check::wrong(OF, "rate", "0 in every piece", "above 0 in one of them"));
    }
    let expected = pieces.iter().map(|piece| piece.rate * piece.duration_s).sum();
    if repeat { not_hopelessly_few(OF, expected) } else { Ok(()) }
}

/// Phases are stepped through one by one; a million between two requests would look like a hang.
fn not_hopelessly_few(of: &'static str, expected_per_cycle: f64) -> Result<(), WorkloadError> {
    if expected_per_cycle >= 1e-3 {
        return Ok(());
    }
    let expected = "at least 0.001; lengthen the phases or raise the rates";
    Err(check::wrong(of, "expected number of requests per cycle", expected_per_cycle, expected))
}
