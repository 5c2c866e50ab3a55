//! The routed experts of a layer: sorting, both grouped products, the activation between them, and the weighted sum.

use std::collections::BTreeSet;

use profiles::DType;
use profiles::table::{ExpertsRow, Scaling};

use super::{Builder, Item, Workload, WorkloadError, no_kernel};
use crate::kernels::{
    ExpertRouting, GroupedInput, SortedPairs, combine_experts, grouped_product, grouped_tile_rows, silu_mul,
    sort_by_expert,
};
use crate::numbers::Random;

/// Draws of the same routing, each of which touches other experts.
const DRAWS: u64 = 8;

/// How rows choose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    /// In turns, over this many experts.
    Turns(u32),
    /// At random, expert number i (from 1) with a probability proportional to `i^-exponent`, without repeating one.
    Zipf(f64),
}

fn choice(row: &ExpertsRow) -> Result<Choice, WorkloadError> {
    let zipf = |exponent: &str| exponent.parse().ok().filter(|exponent: &f64| (0.0..=10.0).contains(exponent));
    match (row.routing.as_str(), row.touched_experts) {
        ("balanced", _) => Ok(Choice::Turns(row.experts)),
        ("uniform", _) => Ok(Choice::Zipf(0.0)),
        ("touched", Some(touched)) if (row.top_k..=row.experts).contains(&touched) => Ok(Choice::Turns(touched)),
        (name, _) => match name.strip_prefix("zipf_").and_then(zipf) {
            Some(exponent) => Ok(Choice::Zipf(exponent)),
            None => no_kernel(format!(
                "routing `{name}`; `balanced`, `uniform`, `zipf_S` and `touched` (with their number, at least as many as \
                 each row chooses) are possible"
            )),
        },
    }
}

/// The experts that each of `tokens` rows chooses.
fn draw(choice: Choice, [tokens, experts, top_k]: [u32; 3], random: &mut Random) -> Vec<i32> {
    // Which expert is the most popular has no meaning, so names are shuffled.
    let mut names: Vec<i32> = (0..experts as i32).collect();
    random.shuffle(&mut names);
    let mut chosen = Vec::with_capacity(tokens as usize * top_k as usize);
    for token in 0..tokens {
        match choice {
            Choice::Turns(over) => {
                let turn =
                    |pick| names[((u64::from(token) * u64::from(top_k) + u64::from(pick)) % u64::from(over)) as usize];
                chosen.extend((0..top_k).map(turn));
            }
            Choice::Zipf(exponent) => {
                // The smallest of exponential times with these rates: sampling without repetition (Efraimidis and
                // Spirakis 2006).
                let mut race: Vec<(f64, i32)> = names
                    .iter()
                    .enumerate()
                    .map(|(rank, &name)| (-(1.0 - random.uniform()).ln() * (rank as f64 + 1.0).powf(exponent), name))
                    .collect();
                race.sort_by(|a, b| a.0.total_cmp(&b.0));
                chosen.extend(race[..top_k as usize].iter().map(|&(_, name)| name));
            }
        }
    }
    chosen
}

pub(super) fn build(row: &ExpertsRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    if (row.weights, row.activations, row.scaling) != (DType::Bf16, DType::Bf16, Scaling::None) {
        return no_kernel(format!("experts of {} by {}; bf16 is possible", row.activations, row.weights));
    }
    if row.local_experts != row.experts {
        return no_kernel("experts spread over GPUs; all on one is possible");
    }
    if row.top_k > row.experts {
        return no_kernel(format!("{} of {} experts", row.top_k, row.experts));
    }
    let choice = choice(row)?;
    let [tokens, hidden, width, top_k, experts] =
        [row.tokens, row.hidden_size, row.intermediate_size, row.top_k, row.experts].map(u64::from);
    let routing = ExpertRouting { tokens, experts, top_k };
    let tile_rows = grouped_tile_rows(routing);
    let draws: Vec<Vec<i32>> =
        (0..DRAWS).map(|_| draw(choice, [row.tokens, row.experts, row.top_k], &mut builder.random)).collect();
    let touched = |chosen: &Vec<i32>| chosen.iter().collect::<BTreeSet<_>>().len() as u64;
    let touched_experts = draws.iter().map(touched).sum::<u64>().div_ceil(DRAWS);

    let expert_bytes = 3 * hidden * width * 2;
    let pairs = routing.pairs();
    let other_bytes = pairs * (3 * width + hidden) * 2 + 2 * tokens * hidden * 2;
    let copies = builder.copies(touched_experts * expert_bytes, experts * expert_bytes, other_bytes)?;
    let mut weights = Vec::new();
    for _ in 0..copies {
        weights.push((builder.bf16(experts * 2 * width * hidden)?, builder.bf16(experts * hidden * width)?));
    }
    let input = builder.bf16(tokens * hidden)?;
    let (gate_up, middle) = (builder.room(pairs * 2 * width * 2)?, builder.room(pairs * width * 2)?);
    let (late, out) = (builder.room(pairs * hidden * 2)?, builder.room(tokens * hidden * 2)?);
    let shares = builder.floats(&vec![1.0 / top_k as f32; pairs as usize])?;
    let sorted = SortedPairs {
        expert_start: builder.room((experts + 1) * 4)?,
        pair_of_row: builder.room(pairs * 4)?,
        row_of_pair: builder.room(pairs * 4)?,
        tiles: builder.room(routing.most_tiles(tile_rows) * 8)?,
        tile_count: builder.room(4)?,
    };
    let mut variants = Vec::new();
    for index in 0..copies.max(DRAWS) {
        let chosen = builder.integers(&draws[(index % DRAWS) as usize])?;
        let (up, down) = &weights[(index % copies) as usize];
        let up_shape = [2 * width, hidden];
        let launches = [
            sort_by_expert(routing, tile_rows, &chosen, &sorted)?,
            grouped_product(routing, tile_rows, up_shape, GroupedInput::Tokens, &input, up, &gate_up, &sorted)?,
            silu_mul(pairs, width, &gate_up, &middle)?,
            grouped_product(routing, tile_rows, [hidden, width], GroupedInput::Sorted, &middle, down, &late, &sorted)?,
            combine_experts(routing, hidden, &late, &shares, &sorted.row_of_pair, &out)?,
        ];
        variants.push(launches.map(Item::Kernel).to_vec());
    }
    Ok(Workload { variants, touched_experts: Some(touched_experts as u32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(choice: Choice, shape: [u32; 3]) -> usize {
        let chosen = draw(choice, shape, &mut Random::new(11));
        assert_eq!(chosen.len(), (shape[0] * shape[2]) as usize);
        for row in chosen.chunks(shape[2] as usize) {
            assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), row.len(), "a row chooses no expert twice");
        }
        chosen.iter().collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn turns_touch_exactly_as_many_experts_as_are_asked_for() {
        assert_eq!(touched(Choice::Turns(128), [16, 128, 8]), 128);
        assert_eq!(touched(Choice::Turns(8), [64, 128, 8]), 8);
        assert_eq!(touched(Choice::Turns(10), [64, 128, 8]), 10);
    }

    #[test]
    fn uniform_choices_touch_the_expected_number_of_experts() {
        // 128 (1 - (1 - 8/128)^16) = 82.4, with a deviation of about 3.
        let touched = touched(Choice::Zipf(0.0), [16, 128, 8]);
        assert!((72..=92).contains(&touched), "{touched}");
    }

    #[test]
    fn skewed_choices_touch_fewer() {
        assert!(touched(Choice::Zipf(1.2), [64, 128, 8]) < touched(Choice::Zipf(0.0), [64, 128, 8]));
    }
}
