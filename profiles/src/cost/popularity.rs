//! How popular each expert is, for those who need expert choices one by one and not only how many are touched.

use super::experts::Law;
use super::options::{ExpertRouting, PrefillCoverage};

impl ExpertRouting {
    /// Probability that a decode row chooses each of `experts` experts, most popular first; the sum is `chosen`.
    pub fn decode_popularity(&self, experts: u32, chosen: u32) -> Vec<f64> {
        match self {
            Self::Uniform => zipf_popularity(experts, chosen, 0.0),
            Self::Zipf { decode_exponent, .. } => zipf_popularity(experts, chosen, *decode_exponent),
        }
    }

    /// The same for prompt rows, of which `rows` pass together.
    ///
    /// A measured coverage curve names no popularity, so it gives the Zipf popularity under which `rows` independent rows
    /// touch as many experts as the curve says: the same popularity for no two row counts, because rows of one prompt
    /// agree with each other more than independent ones would.
    pub fn prefill_popularity(&self, experts: u32, chosen: u32, rows: u32) -> Vec<f64> {
        match self {
            Self::Uniform => zipf_popularity(experts, chosen, 0.0),
            Self::Zipf { prefill: PrefillCoverage::Exponent(exponent), .. } => {
                zipf_popularity(experts, chosen, *exponent)
            }
            Self::Zipf { prefill: PrefillCoverage::Curve(points), .. } => {
                let share = f64::from(chosen) / f64::from(experts);
                with_coverage(experts, chosen, rows, 1.0 - Law::curve(share, points).untouched(rows))
            }
        }
    }
}

/// Popularity `pᵢ = min(1, c·i⁻ˢ)` of `experts` experts with `c` such that the sum is `chosen`, most popular first.
pub fn zipf_popularity(experts: u32, chosen: u32, exponent: f64) -> Vec<f64> {
    match Law::zipf(experts, f64::from(chosen), exponent) {
        Law::Popularity(popularity) => popularity,
        Law::Uniform(_) | Law::Curve(_) => unreachable!("Zipf's law is a popularity"),
    }
}

/// Share of the experts that `rows` independent rows touch on average.
pub fn share_touched(popularity: &[f64], rows: u32) -> f64 {
    let rows = f64::from(rows);
    1.0 - popularity.iter().map(|p| (1.0 - p).powf(rows)).sum::<f64>() / popularity.len() as f64
}

/// The Zipf popularity of which `rows` rows touch this share of the experts; the nearest one if none does.
fn with_coverage(experts: u32, chosen: u32, rows: u32, share: f64) -> Vec<f64> {
    /// At this exponent all rows choose the same few experts.
    const STEEPEST: f64 = 16.0;
    /// Halvings after which the exponent is as exact as the share is known.
    const HALVINGS: u32 = 40;
    let (mut flat, mut steep) = (0.0, STEEPEST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(flat, steep);
        if share_touched(&zipf_popularity(experts, chosen, middle), rows) > share {
            flat = middle;
        } else {
            steep = middle;
        }
    }
    zipf_popularity(experts, chosen, f64::midpoint(flat, steep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coverage_curve_is_met_by_a_popularity_for_each_row_count() {
        let routing = ExpertRouting::qwen3_30b_a3b_measured();
        for (rows, share) in [(512, 0.82), (1024, 0.88), (2048, 0.92), (8192, 0.985)] {
            let popularity = routing.prefill_popularity(128, 8, rows);
            assert!((popularity.iter().sum::<f64>() - 8.0).abs() < 1e-9, "each row chooses 8 experts");
            assert!((share_touched(&popularity, rows) - share).abs() < 1e-6, "{rows} rows");
        }
    }

    #[test]
    fn one_row_touches_the_experts_it_chooses_whatever_the_popularity() {
        for routing in [ExpertRouting::Uniform, ExpertRouting::qwen3_30b_a3b_measured()] {
            assert!((share_touched(&routing.prefill_popularity(128, 8, 1), 1) - 1.0 / 16.0).abs() < 1e-9);
            assert!((share_touched(&routing.decode_popularity(128, 8), 1) - 1.0 / 16.0).abs() < 1e-9);
        }
    }
}
