//! What named routing distributions of kernel tables load onto experts.

use profiles::fitted::ExpertsLoad;
use profiles::table::ExpertsRow;

/// Draws whose mean stands for a random routing.
const DRAWS: u32 = 6;
/// Draws of one choice that may hit experts already chosen, before the others are looked through.
const TRIES: u32 = 16;

/// What reaches the experts of the GPU that was timed; `None`: the routing is not known.
///
/// `balanced` deals copies of rows out in turn. `power_law_S` draws each expert's popularity from a density ∝ x⁻ˢ between 1
/// and 0.8 times the rows (between 0.01 and 2 where there are fewer copies than experts), rounds to whole rows, and times
/// the GPU that gets most: aiconfigurator's own benchmark, whose draws are not published; the mean over some draws stands
/// for them. `uniform` and `zipf_S` let each row choose different experts with probabilities ∝ i⁻ˢ (all alike for `uniform`):
/// servesim's own benchmark, which holds all experts on one GPU. `touched` deals copies out in turn over as many experts as
/// were counted. A count of touched experts replaces the derived one; rows and the busiest expert follow from the routing.
pub fn experts_load(row: &ExpertsRow) -> Option<ExpertsLoad> {
    let tokens = f64::from(row.tokens);
    let here = tokens * f64::from(row.top_k) * f64::from(row.local_experts) / f64::from(row.experts);
    let counted = row.touched_experts.map(f64::from);
    let load = match row.routing.as_str() {
        "touched" => even(tokens, here.max(counted?), counted?),
        "balanced" => {
            let rows = here.max(counted.unwrap_or(1.0));
            even(tokens, rows, counted.unwrap_or(rows.min(f64::from(row.local_experts))))
        }
        "uniform" => zipf(row, 0.0)?,
        name => {
            let exponent = |prefix| name.strip_prefix(prefix).and_then(|exponent| exponent.parse::<f64>().ok());
            match (exponent("power_law_"), exponent("zipf_")) {
                (Some(exponent), _) => power_law(row, exponent),
                (None, Some(exponent)) => zipf(row, exponent)?,
                (None, None) => return None,
            }
        }
    };
    Some(ExpertsLoad { touched: counted.unwrap_or(load.touched), ..load })
}

/// Each touched expert gets as many rows as any other.
fn even(tokens: f64, rows: f64, touched: f64) -> ExpertsLoad {
    ExpertsLoad { tokens, rows, touched, busiest_rows: rows / touched }
}

fn power_law(row: &ExpertsRow, exponent: f64) -> ExpertsLoad {
    let mut random = SplitMix(0);
    mean(row, || {
        let counts = draw(row, exponent, &mut random);
        let gpus = counts.chunks(row.local_experts as usize);
        gpus.max_by_key(|counts| counts.iter().sum::<u64>()).expect("a layer has experts").to_vec()
    })
}

/// The mean over some draws of what each of a GPU's experts gets.
fn mean(row: &ExpertsRow, mut draw: impl FnMut() -> Vec<u64>) -> ExpertsLoad {
    let mut mean = ExpertsLoad { tokens: f64::from(row.tokens), rows: 0.0, touched: 0.0, busiest_rows: 0.0 };
    for _ in 0..DRAWS {
        let counts = draw();
        let part = 1.0 / f64::from(DRAWS);
        mean.rows += part * counts.iter().sum::<u64>() as f64;
        mean.touched += part * counts.iter().filter(|&&count| count > 0).count() as f64;
        mean.busiest_rows += part * counts.iter().copied().max().unwrap_or(0) as f64;
    }
    mean
}

/// `None`: experts lie on several GPUs and which one was timed is not known, or rows choose more experts than there are, or
/// the exponent is no sensible one.
fn zipf(row: &ExpertsRow, exponent: f64) -> Option<ExpertsLoad> {
    let possible = row.local_experts == row.experts && row.top_k <= row.experts && (0.0..=10.0).contains(&exponent);
    if !possible {
        return None;
    }
    let weights: Vec<f64> = (1..=row.experts).map(|rank| f64::from(rank).powf(-exponent)).collect();
    let mut random = SplitMix(0);
    Some(mean(row, || {
        let mut counts = vec![0; weights.len()];
        for_each_choice(row, &weights, &mut random, |expert| counts[expert] += 1);
        counts
    }))
}

/// Chooses experts for every row, one after the other with probabilities ∝ `weights` among those the row has not chosen yet.
fn for_each_choice(row: &ExpertsRow, weights: &[f64], random: &mut SplitMix, mut choose: impl FnMut(usize)) {
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .iter()
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    let mut chosen = vec![false; weights.len()];
    for _ in 0..row.tokens {
        chosen.fill(false);
        for _ in 0..row.top_k {
            // Drawing until an unchosen one is hit has the right distribution; so has looking through those that are left,
            // which steep exponents need.
            let hit = (0..TRIES).find_map(|_| {
                let at = random.uniform() * sum;
                let expert = sums.partition_point(|upper| *upper <= at);
                chosen.get(expert).is_some_and(|chosen| !chosen).then_some(expert)
            });
            let expert = hit.unwrap_or_else(|| among_the_rest(weights, &chosen, random));
            chosen[expert] = true;
            choose(expert);
        }
    }
}

fn among_the_rest(weights: &[f64], chosen: &[bool], random: &mut SplitMix) -> usize {
    let rest = || (0..weights.len()).filter(|&expert| !chosen[expert]);
    let mut left = random.uniform() * rest().map(|expert| weights[expert]).sum::<f64>();
    let hit = rest().find(|&expert| {
        left -= weights[expert];
        left < 0.0
    });
    hit.or_else(|| rest().next_back()).expect("a row chooses no more experts than there are")
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
        assert_eq!(experts_load(&row(32, 128, "touched")), None, "nobody counted");
    }

    #[test]
    fn a_count_does_not_spread_rows_evenly_that_a_routing_piles_up() {
        let counted = |routing, touched| ExpertsRow { touched_experts: Some(touched), ..row(256, 128, routing) };
        let load = |routing, touched| experts_load(&counted(routing, touched)).expect("a known routing");
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        let steep = load("zipf_1.2", 110);
        assert!(near(steep.rows, 2048.0) && near(steep.touched, 110.0), "{steep:?}");
        // The first of 128 experts has 26 % of the weight, and a row that chooses eight rarely misses it.
        assert!(steep.busiest_rows > 200.0 && steep.busiest_rows <= 256.0, "{steep:?}");
        let uniform = load("uniform", 128);
        // 16 rows per expert on average, with a deviation of about 4: the busiest of 128 has some 27.
        assert!((23.0..32.0).contains(&uniform.busiest_rows), "{uniform:?}");
        let flat = load("zipf_0.6", 128);
        assert!(uniform.busiest_rows < flat.busiest_rows && flat.busiest_rows < steep.busiest_rows, "{flat:?}");
        let law = load("power_law_1.2", 100);
        assert!(near(law.touched, 100.0) && law.busiest_rows > 2.0 * law.rows / law.touched, "{law:?}");
        assert!(near(load("balanced", 128).busiest_rows, 16.0));
    }

    #[test]
    fn rows_choose_no_expert_twice_even_when_one_is_all_but_sure() {
        let load = experts_load(&row(64, 128, "zipf_10")).expect("a known routing");
        assert!((load.rows - 512.0).abs() < 1e-9 && (load.busiest_rows - 64.0).abs() < 1e-9, "{load:?}");
        assert!(load.touched < 20.0, "eight of them are nearly always the same: {load:?}");
    }

    #[test]
    fn which_of_several_gpus_was_timed_under_chance_is_not_guessed() {
        assert_eq!(experts_load(&row(64, 32, "uniform")), None);
    }
}
