//! Poisson processes whose rate changes in steps.

use rand::rngs::Xoshiro256PlusPlus;

use super::RatePiece;
use crate::rng::{Streams, exponential, uniform};

/// A Poisson process whose rate changes in steps, sampled exactly: the expected number of arrivals between two
/// successive ones is exponential of mean 1 (time rescaling), one draw per arrival whatever the steps.
#[derive(Clone, Debug)]
pub(crate) struct VaryingRate {
    steps: Steps,
    rate: f64,
    left_s: f64,
}

/// Where the next step comes from.
#[derive(Clone, Debug)]
enum Steps {
    Schedule { pieces: Vec<RatePiece>, next: usize, repeat: bool },
    Phases { rates: [f64; 2], mean_s: [f64; 2], phase: usize, rng: Xoshiro256PlusPlus },
}

impl Steps {
    fn next(&mut self) -> Option<RatePiece> {
        match self {
            Steps::Schedule { pieces, next, repeat } => {
                if *next == pieces.len() && *repeat {
                    *next = 0;
                }
                let piece = pieces.get(*next).copied();
                *next += usize::from(piece.is_some());
                piece
            }
            Steps::Phases { rates, mean_s, phase, rng } => {
                let duration_s = exponential(rng) * mean_s[*phase];
                let rate = rates[*phase];
                *phase = 1 - *phase;
                Some(RatePiece { duration_s, rate })
            }
        }
    }
}

impl VaryingRate {
    pub(super) fn schedule(pieces: &[RatePiece], repeat: bool) -> Self {
        let steps = Steps::Schedule { pieces: pieces.to_vec(), next: 0, repeat };
        VaryingRate { steps, rate: 0.0, left_s: 0.0 }
    }

    /// Two phases, on and off, of exponential durations, starting in the stationary state.
    pub(super) fn phases(rates: [f64; 2], mean_s: [f64; 2], seed: u64) -> Self {
        let mut rng = Streams::new(seed, "arrival phases").stream(0);
        let phase = usize::from(uniform(&mut rng) > mean_s[0] / (mean_s[0] + mean_s[1]));
        VaryingRate { steps: Steps::Phases { rates, mean_s, phase, rng }, rate: 0.0, left_s: 0.0 }
    }

    /// Seconds to the next arrival; `None` after the end of a schedule.
    pub(super) fn gap(&mut self, rng: &mut Xoshiro256PlusPlus) -> Option<f64> {
        let mut expected = exponential(rng);
        let mut gap_s = 0.0;
        while self.rate * self.left_s < expected {
            expected -= self.rate * self.left_s;
            gap_s += self.left_s;
            let piece = self.steps.next()?;
            (self.rate, self.left_s) = (piece.rate, piece.duration_s);
        }
        let rest_s = expected / self.rate;
        self.left_s -= rest_s;
        Some(gap_s + rest_s)
    }
}
