//! Distributions of lengths.

use workloads::{Bounds, Cut, Lengths, LogNormalShape};

use crate::diagnostic::Problem;
use crate::file::key::Key;
use crate::file::keys::distributions as d;
use crate::file::reader::Reader;

/// A distribution of lengths.
pub(super) fn lengths(reader: &mut Reader<'_>) -> Result<Lengths, Problem> {
    let distribution: String = reader.get(&d::DISTRIBUTION);
    let lengths = match distribution.as_str() {
        "fixed" => Lengths::Fixed { tokens: reader.get(&d::TOKENS) },
        "uniform" => {
            let (min, max) = bounded(reader)?;
            Lengths::Uniform { min, max }
        }
        "normal" => {
            let mean = reader.maybe(&d::MEAN).ok_or_else(|| {
                reader
                    .problem(&d::DISTRIBUTION, "`mean` is missing")
                    .label("a normal distribution needs `mean` and `sd`")
            })?;
            Lengths::Normal { mean, sd: reader.get(&d::SD), bounds: bounds(reader) }
        }
        "lognormal" => Lengths::LogNormal { shape: lognormal(reader)?, bounds: bounds(reader) },
        "zipf" => {
            let (min, max) = bounded(reader)?;
            Lengths::Zipf { exponent: reader.get(&d::EXPONENT), min, max }
        }
        "quantiles" => Lengths::Quantiles { table: pairs(reader, &d::PAIRS)? },
        "empirical" => Lengths::Empirical { weights: weights(reader)? },
        other => unreachable!("`{other}` is no choice"),
    };
    lengths
        .validate()
        .map_err(|error| reader.problem(&d::DISTRIBUTION, "these lengths cannot be").label(error.to_string()))?;
    Ok(lengths)
}

fn bounds(reader: &mut Reader<'_>) -> Bounds {
    let cut: String = reader.get(&d::CUT);
    let cut = if cut == "clamp" { Cut::Clamp } else { Cut::Resample };
    Bounds { min: reader.get(&d::MIN), max: reader.get(&d::MAX), cut }
}

/// Bounds of a distribution that has none of its own.
fn bounded(reader: &mut Reader<'_>) -> Result<(u32, u32), Problem> {
    if !reader.has(&d::MAX) {
        return Err(reader
            .problem(&d::DISTRIBUTION, "`max` is missing")
            .label("this distribution needs its longest length"));
    }
    Ok((reader.get(&d::MIN), reader.get(&d::MAX)))
}

fn lognormal(reader: &mut Reader<'_>) -> Result<LogNormalShape, Problem> {
    let mu: Option<f64> = reader.maybe(&d::MU);
    let sigma: Option<f64> = reader.maybe(&d::SIGMA);
    let mean: Option<f64> = reader.maybe(&d::MEAN);
    let mut quantiles = Vec::new();
    for (probability, key) in [(0.5, &d::P50), (0.9, &d::P90), (0.99, &d::P99)] {
        quantiles.extend(reader.maybe(key).map(|value: f64| (probability, value)));
    }
    match (mu, sigma, mean, quantiles.as_slice()) {
        (Some(mu), Some(sigma), None, []) => Ok(LogNormalShape::LogMoments { mu, sigma }),
        (None, None, Some(mean), &[(probability, value)]) => {
            Ok(LogNormalShape::MeanAndQuantile { mean, probability, value })
        }
        (None, None, None, &[low, high]) => Ok(LogNormalShape::TwoQuantiles { low, high }),
        _ => Err(reader.problem(&d::DISTRIBUTION, "a lognormal distribution has two parameters").label(
            "expected exactly two: `mean` and one of `p50`, `p90`, `p99`; or two of these; or `mu` and `sigma`",
        )),
    }
}

/// Pairs of numbers.
pub(super) fn pairs(reader: &mut Reader<'_>, key: &'static Key) -> Result<Vec<(f64, f64)>, Problem> {
    let rows: Vec<Vec<f64>> = reader.get(key);
    rows.iter()
        .map(|row| match row.as_slice() {
            &[a, b] => Ok((a, b)),
            _ => Err(reader
                .problem(key, format!("`{}` is a list of pairs", key.name))
                .label(format!("one of them has {} numbers", row.len()))),
        })
        .collect()
}

fn weights(reader: &mut Reader<'_>) -> Result<Vec<(u32, f64)>, Problem> {
    pairs(reader, &d::PAIRS)?
        .into_iter()
        .map(|(tokens, weight)| {
            if tokens.fract() == 0.0 && tokens <= f64::from(u32::MAX) {
                return Ok((tokens as u32, weight));
            }
            Err(reader.problem(&d::PAIRS, "lengths are whole numbers").label(format!("{tokens} is none")))
        })
        .collect()
}
