//! What named routing distributions of kernel tables load onto experts.

use profiles::fitted::ExpertsLoad;
use profiles::table::ExpertsRow;

/// Draws whose mean stands for a power law.
const DRAWS: u32 = 6;

/// What reaches the experts of the GPU that was timed; `None`: the routing is not known.
///
/// `balanced` deals copies of rows out in turn. `power_law_S` draws each expert's popularity from a density ∝ x⁻ˢ between 1
/// and 0.8 times the rows (between 0.01 and 2 where there are fewer copies than experts), rounds to whole rows, and times
/// the GPU that gets most: aiconfigurator's own benchmark, whose draws are not published; the mean over some draws stands
/// for them.
pub fn experts_load(row: &ExpertsRow) -> Option<ExpertsLoad> {
    let tokens = f64::from(row.tokens);
    let copies = tokens * f64::from(row.top_k);
    let here = copies * f64::from(row.local_experts) / f64::from(row.experts);
    if let Some(touched) = row.touched_experts {
        let rows = here.max(f64::from(touched));
        return Some(even(tokens, rows, f64::from(touched)));
    }
    if row.routing == "balanced" {
        let rows = here.max(1.0);
        return Some(even(tokens, rows, rows.min(f64::from(row.local_experts))));
    }
    let exponent: f64 = row.routing.strip_prefix("power_law_")?.parse().ok()?;
    Some(power_law(row, exponent))
}

/// Each touched expert gets as many rows as any other.
fn even(tokens: f64, rows: f64, touched: f64) -> ExpertsLoad {
    ExpertsLoad { tokens, rows, touched, busiest_rows: rows / touched }
}

fn power_law(row: &ExpertsRow, exponent: f64) -> ExpertsLoad {
    let mut random = SplitMix(0);
    let mut mean = ExpertsLoad { tokens: f64::from(row.tokens), rows: 0.0, touched: 0.0, busiest_rows: 0.0 };
    for _ in 0..DRAWS {
        let counts = draw(row, exponent, &mut random);
        let gpus = counts.chunks(row.local_experts as usize);
        let busiest = gpus.max_by_key(|counts| counts.iter().sum::<u64>()).expect("a layer has experts");
        let part = 1.0 / f64::from(DRAWS);
        mean.rows += part * busiest.iter().sum::<u64>() as f64;
        mean.touched += part * busiest.iter().filter(|&&count| count > 0).count() as f64;
        mean.busiest_rows += part * busiest.iter().copied().max().unwrap_or(0) as f64;
    }
    mean
}

/// Rows of every expert of the layer.
fn draw(row: &ExpertsRow, exponent: f64, random: &mut SplitMix) -> Vec<u64> {
    let copies = u64::from(row.tokens) * u64::from(row.top_k);
    let (low, high) =
        if copies > u64::from(row.experts) { (1.0, (0.8 * f64::from(row.tokens)).max(1.001)) } else { (0.01, 2.0) };
    let power = if (exponent - 1.0).abs() < 1e-9 { 1e-9 } else { 1.0 - exponent };
    let (from, to) = (f64::powf(low, power), f64::powf(high, power));
    let weights: Vec<f64> =
        (0..row.experts).map(|_| ((to - from) * random.uniform() + from).powf(1.0 / power)).collect();
    let sum: f64 = weights.iter().sum();
    let mut counts: Vec<u64> = weights.iter().map(|weight| (weight / sum * copies as f64).round() as u64).collect();
    // Rounding leaves or takes a few rows: the most popular experts give or get one each, in turn.
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&expert| std::cmp::Reverse(counts[expert]));
    let mut turn = order.iter().cycle();
    let mut placed: u64 = counts.iter().sum();
    while placed != copies {
        let expert = *turn.next().expect("a cycle has no end");
        if placed < copies {
            counts[expert] += 1;
            placed += 1;
        } else if counts[expert] > 0 {
            counts[expert] -= 1;
            placed -= 1;
        }
    }
    counts
}

/// `SplitMix64` (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014).
struct SplitMix(u64);

impl SplitMix {
    /// A number in [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use profiles::DType;
    use profiles::table::{Scaling, Timing};

    use super::*;

    fn row(tokens: u32, local_experts: u32, routing: &str) -> ExpertsRow {
        ExpertsRow {
            tokens,
            hidden_size: 2048,
            intermediate_size: 768,
            top_k: 8,
            experts: 128,
            local_experts,
            routing: routing.to_string(),
            touched_experts: None,
            weights: DType::Bf16,
            activations: DType::Bf16,
            scaling: Scaling::None,
            timing: Timing::of_us(1.0),
        }
    }

    #[test]
    fn balanced_rows_touch_experts_in_turn() {
        let few = experts_load(&row(4, 128, "balanced")).expect("a known routing");
        assert_eq!((few.rows, few.touched, few.busiest_rows), (32.0, 32.0, 1.0));
        let many = experts_load(&row(64, 32, "balanced")).expect("a known routing");
        assert_eq!((many.rows, many.touched, many.busiest_rows), (128.0, 32.0, 4.0));
    }

    #[test]
    fn power_laws_place_every_row_and_load_some_experts_more() {
        for tokens in [1, 16, 1000] {
            let load = experts_load(&row(tokens, 128, "power_law_1.2")).expect("a known routing");
            assert!((load.rows - f64::from(tokens * 8)).abs() < 1e-9, "{load:?}");
            assert!(load.touched <= 128.0 && load.busiest_rows >= load.rows / load.touched, "{load:?}");
        }
        let part = experts_load(&row(1000, 32, "power_law_1.2")).expect("a known routing");
        assert!(
            part.rows > 2000.0 && part.rows < 8000.0,
            "the busiest of four GPUs gets more than a quarter: {part:?}"
        );
    }

    #[test]
    fn other_names_are_not_guessed() {
        assert_eq!(experts_load(&row(1, 128, "zigzag")), None);
        assert_eq!(experts_load(&row(1, 128, "power_law_steep")), None);
    }

    #[test]
    fn experts_that_were_counted_are_believed() {
        let counted = ExpertsRow { touched_experts: Some(57), ..row(32, 128, "touched") };
        let load = experts_load(&counted).expect("a count");
        assert_eq!((load.rows, load.touched), (256.0, 57.0));
    }
}
