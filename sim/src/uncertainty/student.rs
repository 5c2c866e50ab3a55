//! Student's t distribution with a whole number of degrees of freedom.

use std::f64::consts::PI;

/// The `p` quantile (0.5 ≤ p < 1) of Student's t distribution with `degrees` (≥ 1) degrees of freedom.
///
/// Found by bisection of the exact distribution function to the last bit that matters (relative 1e-15).
pub fn student_t_quantile(p: f64, degrees: u32) -> f64 {
    assert!((0.5..1.0).contains(&p) && degrees >= 1, "no quantile {p} with {degrees} degrees of freedom");
    let two_sided = 2.0 * p - 1.0;
    // Bisect the angle rather than t, which has no bound.
    let (mut low, mut high) = (0.0, PI / 2.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if probability_within(middle, degrees) < two_sided {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::from(degrees).sqrt() * low.tan()
}

/// Probability that |T| ≤ t, where t = √degrees · tan `angle`: Abramowitz & Stegun (1964), 26.7.3 and 26.7.4, which are
/// finite sums.
fn probability_within(angle: f64, degrees: u32) -> f64 {
    let (sin, cos) = angle.sin_cos();
    // Σ of cos^k with coefficients (k−1)/k · (k−3)/(k−2) …, over k of the parity of `degrees`, up to degrees − 2.
    let (mut term, mut first) = if degrees % 2 == 1 { (cos, 3) } else { (1.0, 2) };
    let mut sum = if degrees == 1 { 0.0 } else { term };
    while first < degrees {
        term *= cos * cos * f64::from(first - 1) / f64::from(first);
        sum += term;
        first += 2;
    }
    if degrees % 2 == 1 { 2.0 / PI * (angle + sin * sum) } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_published_tables() {
        // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2 (three decimals), and more digits where closed
        // forms give them: degrees 1 is tan(π(p − 1/2)), degrees 2 is (2p − 1) / √(2p(1 − p)).
        let table = [
            (0.975, 1, 12.706),
            (0.975, 2, 4.303),
            (0.975, 3, 3.182),
            (0.975, 4, 2.776),
            (0.975, 9, 2.262),
            (0.975, 19, 2.093),
            (0.975, 29, 2.045),
            (0.975, 100, 1.984),
            (0.95, 5, 2.015),
            (0.99, 7, 2.998),
            (0.995, 30, 2.750),
            (0.9, 10, 1.372),
        ];
        for (p, degrees, published) in table {
            let found = student_t_quantile(p, degrees);
            assert!((found - published).abs() < 6e-4, "t({p}, {degrees}) = {found}, published {published}");
        }
    }

    #[test]
    fn quantiles_agree_with_the_closed_forms() {
        for step in 1..100 {
            let p = 0.5 + f64::from(step) / 201.0;
            let one = (PI * (p - 0.5)).tan();
            let two = (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt();
            assert!((student_t_quantile(p, 1) / one - 1.0).abs() < 1e-11);
            assert!((student_t_quantile(p, 2) / two - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn with_many_degrees_it_is_the_normal_distribution() {
        assert!((student_t_quantile(0.975, 1_000_000) - 1.959_966).abs() < 1e-5);
        assert!(student_t_quantile(0.5, 7).abs() < 1e-12);
    }
}
