//! Where a run becomes steady: MSER (White 1997).

/// Fewest values that remain after the cut: the statistic of fewer is small by chance.
const REMAIN: usize = 5;

/// How many of the first `values` to leave out so that the standard error of the mean of the others is least: the marginal
/// standard error rule, MSER-5 where each value is the mean of five observations (White 1997, "An effective truncation
/// heuristic for bias reduction in simulation output", Simulation 69(6); batches of five by White, Cobb & Spratt 2000).
///
/// A cut beyond the half means that the values never became steady, or are too few to tell. `None` of fewer than 10 values.
pub fn mser(values: &[f64]) -> Option<usize> {
    if values.len() < 2 * REMAIN {
        return None;
    }
    // From the end, with Welford's update: mean and sum of squares of what remains.
    let (mut mean, mut squares) = (0.0, 0.0);
    let mut best = (0, f64::INFINITY);
    for (cut, value) in values.iter().enumerate().rev() {
        let remain = (values.len() - cut) as f64;
        let off = value - mean;
        mean += off / remain;
        squares += off * (value - mean);
        let statistic = squares / (remain * remain);
        // The earliest of equal ones: nothing is left out without a reason.
        if values.len() - cut >= REMAIN && statistic <= best.1 {
            best = (cut, statistic);
        }
    }
    Some(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the formula says it.
    fn by_the_formula(values: &[f64]) -> usize {
        let statistic = |cut: usize| {
            let rest = &values[cut..];
            let mean = rest.iter().sum::<f64>() / rest.len() as f64;
            rest.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (rest.len() as f64).powi(2)
        };
        let cuts = 0..=values.len() - REMAIN;
        cuts.min_by(|a, b| statistic(*a).total_cmp(&statistic(*b))).expect("there are some")
    }

    fn noise(index: usize) -> f64 {
        ((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / f64::from(1 << 24) - 0.5
    }

    #[test]
    fn a_transient_is_cut_where_the_formula_says() {
        for transient in [0, 3, 20, 60] {
            let values: Vec<f64> = (0..200)
                .map(|i| noise(i) + 40.0 * 0.9_f64.powf(i as f64) * f64::from(u8::from(i < transient)))
                .collect();
            let cut = mser(&values).expect("enough values");
            assert_eq!(cut, by_the_formula(&values));
            assert!(cut <= transient.max(20), "{cut} of a transient of {transient}");
        }
    }

    #[test]
    fn a_ramp_is_cut_beyond_its_half_and_a_constant_not_at_all() {
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(mser(&ramp).is_some_and(|cut| cut > 50));
        assert_eq!(mser(&[3.0; 40]), Some(0));
        assert_eq!(mser(&[1.0; 9]), None);
    }
}
