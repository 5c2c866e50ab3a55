//! What nothing beats in every respect.

use super::search::Deployment;

/// What a deployment is judged by on the frontier, less being better: dollars per hour, 99th percentiles of TTFT and of the
/// time between tokens, and energy per token. A figure that does not exist counts as infinite.
fn respects(deployment: &Deployment) -> Option<[f64; 4]> {
    let judged = deployment.judged().filter(|judged| judged.holds)?;
    let figures = judged.figures;
    let or_worst = |figure: Option<f64>| figure.unwrap_or(f64::INFINITY);
    Some([
        deployment.usd_per_hour,
        or_worst(figures.p99_ttft_ms),
        or_worst(figures.p99_itl_ms),
        or_worst(figures.energy_j_per_output_token),
    ])
}

/// Of each deployment, whether it serves and no other one that serves is at least as good in every respect and better in one.
/// Those that cost more than `limit` US dollars per hour are left out.
pub(super) fn frontier(deployments: &[&Deployment], limit: f64) -> Vec<bool> {
    let points: Vec<Option<[f64; 4]>> =
        deployments.iter().map(|deployment| respects(deployment).filter(|point| point[0] <= limit)).collect();
    let beats =
        |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b);
    let on_it = |point: &[f64; 4]| !points.iter().flatten().any(|other| beats(other, point));
    points.iter().map(|point| point.as_ref().is_some_and(on_it)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::judge::{Figures, Judged};
    use super::super::search::Fate;
    use super::*;

    fn deployment(usd_per_hour: f64, ttft_ms: f64, itl_ms: f64, holds: bool) -> Deployment {
        let figures = Figures {
            median_ttft_ms: None,
            p99_ttft_ms: Some(ttft_ms),
            mean_tpot_ms: None,
            p99_itl_ms: Some(itl_ms),
            energy_j_per_output_token: None,
            evidence: [None; 3],
        };
        let (certain, clearly_misses, tightest) = (None, false, (0, vec![1.0]));
        let judged = Judged { holds, certain, clearly_misses, tightest, figures, remarks: Vec::new() };
        Deployment {
            replicas: vec![1],
            gpus: 1,
            usd_per_hour,
            decode_usd_per_hour: None,
            fate: Fate::Judged(Box::new(judged)),
        }
    }

    #[test]
    fn what_is_beaten_in_every_respect_is_not_on_the_frontier() {
        let all = [
            deployment(1.0, 500.0, 50.0, true),
            deployment(2.0, 100.0, 50.0, true),
            deployment(2.0, 200.0, 60.0, true),
            deployment(3.0, 500.0, 10.0, true),
            deployment(0.5, 1.0, 1.0, false),
            deployment(9.0, 1.0, 1.0, true),
        ];
        let all: Vec<&Deployment> = all.iter().collect();
        assert_eq!(frontier(&all, 5.0), [true, true, false, true, false, false], "the last one is beyond the limit");
        assert_eq!(frontier(&all, 9.0), [true, true, false, true, false, true]);
    }

    #[test]
    fn equals_do_not_beat_each_other() {
        let twins = [deployment(1.0, 5.0, 5.0, true), deployment(1.0, 5.0, 5.0, true)];
        assert_eq!(frontier(&twins.iter().collect::<Vec<_>>(), 1.0), [true, true]);
    }
}
