//! Lengths of prompt and answer of one request, together.

use super::{LengthSampler, Lengths};
use crate::check;
use crate::error::WorkloadError;
use crate::replay::ZeroTokens;
use crate::row::TraceRow;
use crate::special::{normal_cdf, normal_quantile};

/// How long prompts and answers are, in tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestLengths {
    /// Each from its own distribution, independent of the other.
    Independent {
        /// Prompts.
        input: Lengths,
        /// Answers.
        output: Lengths,
    },
    /// Each from its own distribution, coupled by a Gaussian copula. Spearman's rank correlation of continuous lengths
    /// is then `6/π asin(rho/2)`.
    Correlated {
        /// Prompts.
        input: Lengths,
        /// Answers.
        output: Lengths,
        /// Correlation of the normal scores, above -1 and below 1.
        rho: f64,
    },
    /// Pairs (prompt, answer) of a table or trace, drawn with replacement, each equally likely.
    Resampled {
        /// The pairs, in tokens.
        pairs: Vec<(u32, u32)>,
    },
}

impl RequestLengths {
    /// Pairs of the rows of a trace, whose correlation they keep. All pairs are held in memory, 8 bytes a row. `origin`
    /// names the trace in errors.
    ///
    /// # Errors
    /// What reading finds; a row of no tokens, unless such rows are skipped; a trace without rows.
    pub fn resampled(
        origin: &str,
        rows: impl Iterator<Item = Result<TraceRow, WorkloadError>>,
        zero_tokens: ZeroTokens,
    ) -> Result<Self, WorkloadError> {
        let (mut pairs, mut skipped) = (Vec::new(), 0);
        for row in rows {
            let row = row?;
            match row.zero_field() {
                None => pairs.push((row.input_tokens, row.output_tokens)),
                Some(_) if zero_tokens == ZeroTokens::Skip => skipped += 1,
                Some(field) => {
                    return Err(WorkloadError::ZeroTokens { origin: origin.to_owned(), line: row.line, field });
                }
            }
        }
        if pairs.is_empty() {
            return Err(WorkloadError::EmptyTrace { origin: origin.to_owned(), skipped });
        }
        Ok(RequestLengths::Resampled { pairs })
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// As [`Lengths::validate`].
    pub fn validate(&self) -> Result<(), WorkloadError> {
        RequestLengthSampler::new(self).map(|_| ())
    }
}

/// [`RequestLengths`], ready to be drawn from.
#[derive(Clone, Debug)]
pub(crate) enum RequestLengthSampler {
    Independent { input: LengthSampler, output: LengthSampler },
    Correlated { input: LengthSampler, output: LengthSampler, rho: f64, rest: f64 },
    Resampled(Vec<(u32, u32)>),
}

impl RequestLengthSampler {
    pub(crate) fn new(lengths: &RequestLengths) -> Result<Self, WorkloadError> {
        Ok(match lengths {
            RequestLengths::Independent { input, output } => RequestLengthSampler::Independent {
                input: LengthSampler::new(input)?,
                output: LengthSampler::new(output)?,
            },
            RequestLengths::Correlated { input, output, rho } => {
                if !(*rho > -1.0 && *rho < 1.0) {
                    return Err(check::wrong("correlated lengths", "rho", rho, "above -1 and below 1"));
                }
                RequestLengthSampler::Correlated {
                    input: LengthSampler::new(input)?,
                    output: LengthSampler::new(output)?,
                    rho: *rho,
                    rest: (1.0 - rho * rho).sqrt(),
                }
            }
            RequestLengths::Resampled { pairs } => {
                const OF: &str = "resampled lengths";
                if pairs.is_empty() {
                    return Err(check::wrong(OF, "table", "empty", "at least one pair of (input, output) tokens"));
                }
                for &(input, output) in pairs {
                    check::tokens(OF, "input", input)?;
                    check::tokens(OF, "output", output)?;
                }
                RequestLengthSampler::Resampled(pairs.clone())
            }
        })
    }

    /// Prompt and answer length for two independent uniform draws.
    pub(crate) fn quantile(&self, u_input: f64, u_output: f64) -> (u32, u32) {
        match self {
            RequestLengthSampler::Independent { input, output } => (input.quantile(u_input), output.quantile(u_output)),
            RequestLengthSampler::Correlated { input, output, rho, rest } => {
                let score = rho * normal_quantile(u_input) + rest * normal_quantile(u_output);
                (
                    input.quantile(u_input),
                    output.quantile(normal_cdf(score).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON)),
                )
            }
            RequestLengthSampler::Resampled(pairs) => pairs[(u_input * pairs.len() as f64) as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    fn draws(lengths: &RequestLengths, n: u64) -> Vec<(u32, u32)> {
        let sampler = RequestLengthSampler::new(lengths).unwrap();
        let (input, output) = (Streams::new(5, "input"), Streams::new(5, "output"));
        (0..n).map(|i| sampler.quantile(input.uniform(i), output.uniform(i))).collect()
    }

    fn ranks(values: impl Iterator<Item = u32>) -> Vec<f64> {
        let values: Vec<u32> = values.collect();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by_key(|&i| values[i]);
        let mut ranks = vec![0.0; values.len()];
        for (rank, i) in order.into_iter().enumerate() {
            ranks[i] = rank as f64 / values.len() as f64 - 0.5;
        }
        ranks
    }

    #[test]
    fn a_copula_gives_the_rank_correlation_it_promises_and_leaves_the_marginals_alone() {
        let wide = Lengths::Uniform { min: 1, max: 1_000_000 };
        for rho in [-0.6, 0.0, 0.4, 0.9_f64] {
            let pairs = draws(&RequestLengths::Correlated { input: wide.clone(), output: wide.clone(), rho }, 50_000);
            let (x, y) = (ranks(pairs.iter().map(|p| p.0)), ranks(pairs.iter().map(|p| p.1)));
            let spearman = 12.0 * x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>() / 50_000.0;
            let expected = 6.0 / std::f64::consts::PI * (rho / 2.0).asin();
            assert!((spearman - expected).abs() < 0.015, "rho {rho}: {spearman}, expected {expected}");
            let mean = pairs.iter().map(|p| f64::from(p.1)).sum::<f64>() / 50_000.0;
            assert!((mean / 500_000.0 - 1.0).abs() < 0.015, "rho {rho}: mean {mean}");
        }
    }

    #[test]
    fn resampling_keeps_pairs_together_and_draws_each_equally_often() {
        let pairs = vec![(10, 1), (20, 2), (30, 3), (40, 4)];
        let mut counts = [0_u32; 4];
        for (input, output) in draws(&RequestLengths::Resampled { pairs }, 40_000) {
            assert_eq!(input, output * 10);
            counts[output as usize - 1] += 1;
        }
        // Standard deviation of each count: √(40000 · 1/4 · 3/4) = 87.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 350), "{counts:?}");
    }

    #[test]
    fn impossible_couplings_are_refused_with_the_reason() {
        let one = Lengths::Fixed { tokens: 1 };
        let message = |lengths: RequestLengths| lengths.validate().unwrap_err().to_string();
        assert_eq!(
            message(RequestLengths::Correlated { input: one.clone(), output: one, rho: 1.0 }),
            "correlated lengths: rho is 1, but it must be above -1 and below 1"
        );
        assert_eq!(
            message(RequestLengths::Resampled { pairs: vec![] }),
            "resampled lengths: table is empty, but it must be at least one pair of (input, output) tokens"
        );
        assert_eq!(
            message(RequestLengths::Resampled { pairs: vec![(0, 5)] }),
            "resampled lengths: input is 0, but it must be between 1 and 1073741824 tokens"
        );
    }
}
