//! Times and arrival processes.

use workloads::{Arrivals, Durations, RatePiece};

use super::lengths::pairs;
use crate::diagnostic::Problem;
use crate::file::keys::{distributions as d, workload as w};
use crate::file::reader::Reader;

/// A distribution of times.
pub(super) fn durations(reader: &mut Reader<'_>) -> Result<Durations, Problem> {
    let distribution: String = reader.get(&d::TIME_DISTRIBUTION);
    let durations = match distribution.as_str() {
        "fixed" => Durations::Fixed { seconds: reader.get(&d::DURATION) },
        "uniform" => Durations::Uniform { min_s: reader.get(&d::TIME_MIN), max_s: reader.get(&d::TIME_MAX) },
        "exponential" => Durations::Exponential { mean_s: reader.get(&d::TIME_MEAN) },
        "lognormal" => Durations::LogNormal { p50_s: reader.get(&d::TIME_P50), p90_s: reader.get(&d::TIME_P90) },
        "quantiles" => Durations::Quantiles { table: pairs(reader, &d::TIME_PAIRS)? },
        other => unreachable!("`{other}` is no choice"),
    };
    durations
        .validate()
        .map_err(|error| reader.problem(&d::TIME_DISTRIBUTION, "these times cannot be").label(error.to_string()))?;
    Ok(durations)
}

/// An arrival process.
pub(super) fn arrivals(reader: &mut Reader<'_>) -> Result<Arrivals, Problem> {
    let process: String = reader.get(&w::PROCESS);
    let arrivals = match process.as_str() {
        "poisson" => Arrivals::Poisson { rate: reader.get(&w::PROCESS_RATE) },
        "gamma" => Arrivals::Gamma { rate: reader.get(&w::PROCESS_RATE), cv: reader.get(&w::CV) },
        "weibull" => Arrivals::Weibull { rate: reader.get(&w::PROCESS_RATE), cv: reader.get(&w::CV) },
        "constant" => Arrivals::Constant { rate: reader.get(&w::PROCESS_RATE) },
        "on-off" => Arrivals::OnOff {
            on_rate: reader.get(&w::ON_RATE),
            off_rate: reader.get(&w::OFF_RATE),
            mean_on_s: reader.get(&w::MEAN_ON),
            mean_off_s: reader.get(&w::MEAN_OFF),
        },
        "piecewise" => {
            let pieces = reader.tables(&w::PIECES, |piece| {
                Ok(RatePiece { duration_s: piece.get(&w::PIECE_DURATION), rate: piece.get(&w::PIECE_RATE) })
            })?;
            Arrivals::Piecewise { pieces, repeat: reader.get(&w::REPEAT) }
        }
        "all-at-once" => Arrivals::AllAtOnce,
        "closed-loop" => {
            let think = reader.table(&w::CLIENT_THINK, durations)?;
            let think = think.unwrap_or(Durations::Fixed { seconds: 0.0 });
            Arrivals::ClosedLoop { concurrency: reader.get(&w::CONCURRENCY), think }
        }
        other => unreachable!("`{other}` is no choice"),
    };
    arrivals
        .validate()
        .map_err(|error| reader.problem(&w::PROCESS, "these arrivals cannot be").label(error.to_string()))?;
    Ok(arrivals)
}
