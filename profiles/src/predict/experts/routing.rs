//! What the routings that tables name mean for one GPU: experts touched, and rows that reach them.

use std::fmt;
use std::str::FromStr;

use super::super::roofline::PredictError;
use super::ExpertsShape;
use crate::cost::zipf_popularity;

/// How rows chose experts when a table was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TableRouting {
    /// In turn, as the benchmarks that NVIDIA publishes with aiconfigurator do: choice `i` of row `t` is expert
    /// `t + i·⌈E/k⌉` (mod `E`); rows too few to reach all experts are spread evenly. The first GPU is timed.
    Balanced,
    /// Each row chooses any `k` experts with the same probability.
    Uniform,
    /// Loads drawn from a power law with this exponent, as the same benchmarks do: between 1 and 0.8 times the rows where
    /// there are more choices than experts, between 0.01 and 2 otherwise, scaled to the number of choices and rounded.
    /// The GPU with the largest load is timed. Every table row has its own draw, so the loads here are means.
    PowerLaw(f64),
    /// Popularity by Zipf's law with this exponent, experts dealt out to GPUs in the order of their popularity; the first
    /// GPU.
    Zipf(f64),
    /// Only the number of touched experts is known.
    Touched,
}

/// What reaches the experts of one GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertsLoad {
    /// Experts that at least one row chose.
    pub touched: f64,
    /// Rows, each counted once for every expert here that it chose.
    pub assignments: f64,
}

/// Ways to place experts on GPUs over which loads of power laws are averaged.
const PLACEMENTS: u64 = 8;

impl TableRouting {
    /// How unequal the loads are, for likeness between routings: the exponent, and 0 for balanced loads. Uniform choices
    /// are as unequal as a mild exponent.
    pub(super) fn skew(self) -> f64 {
        match self {
            Self::Balanced => 0.0,
            Self::Uniform | Self::Touched => 0.25,
            Self::PowerLaw(exponent) | Self::Zipf(exponent) => exponent,
        }
    }

    /// The load of the GPU that is timed, when `tokens` rows pass. At least one row reaches one expert.
    pub fn load(self, shape: &ExpertsShape, tokens: u32) -> ExpertsLoad {
        let load = match self {
            Self::Balanced => balanced(shape, tokens),
            Self::Uniform | Self::Touched => {
                let chosen = f64::from(shape.top_k) / f64::from(shape.experts);
                let local = f64::from(shape.local_experts);
                let touched = local * (1.0 - (1.0 - chosen).powf(f64::from(tokens)));
                ExpertsLoad { touched, assignments: f64::from(tokens) * chosen * local }
            }
            Self::PowerLaw(exponent) => power_law(shape, tokens, exponent),
            Self::Zipf(exponent) => {
                let popularity = zipf_popularity(shape.experts, shape.top_k, exponent);
                let here = popularity.iter().step_by(shape.gpus() as usize).take(shape.local_experts as usize);
                let rows = f64::from(tokens);
                here.fold(ExpertsLoad { touched: 0.0, assignments: 0.0 }, |load, p| ExpertsLoad {
                    touched: load.touched + 1.0 - (1.0 - p).powf(rows),
                    assignments: load.assignments + rows * p,
                })
            }
        };
        ExpertsLoad { touched: load.touched.max(1.0), assignments: load.assignments.max(1.0) }
    }
}

impl FromStr for TableRouting {
    type Err = PredictError;

    fn from_str(name: &str) -> Result<Self, PredictError> {
        let exponent = |prefix: &str| {
            let exponent: f64 = name.strip_prefix(prefix)?.parse().ok()?;
            (exponent >= 0.0 && exponent.is_finite()).then_some(exponent)
        };
        match name {
            "balanced" => Ok(Self::Balanced),
            "uniform" => Ok(Self::Uniform),
            "touched" => Ok(Self::Touched),
            _ => (exponent("power_law_").map(Self::PowerLaw))
                .or_else(|| exponent("zipf_").map(Self::Zipf))
                .ok_or_else(|| PredictError::UnknownRouting { routing: name.to_string() }),
        }
    }
}

impl fmt::Display for TableRouting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::Uniform => f.write_str("uniform"),
            Self::PowerLaw(exponent) => write!(f, "power_law_{exponent}"),
            Self::Zipf(exponent) => write!(f, "zipf_{exponent}"),
            Self::Touched => f.write_str("touched"),
        }
    }
}

fn balanced(shape: &ExpertsShape, tokens: u32) -> ExpertsLoad {
    let (experts, local, tokens) = (u64::from(shape.experts), u64::from(shape.local_experts), u64::from(tokens));
    let stride = experts.div_ceil(u64::from(shape.top_k));
    let first = |choice: u64| choice * stride % experts;
    if tokens >= stride {
        // `tokens` consecutive experts from the first on, around and around.
        let here = |choice: u64| {
            let (rounds, rest) = (tokens / experts, tokens % experts);
            let below = |end: u64| end / experts * local + (end % experts).min(local);
            rounds * local + below(first(choice) + rest) - below(first(choice))
        };
        let assignments: u64 = (0..u64::from(shape.top_k)).map(here).sum();
        return ExpertsLoad { touched: local as f64, assignments: assignments as f64 };
    }
    let mut here: Vec<u64> = (0..u64::from(shape.top_k))
        .flat_map(|choice| (0..tokens).map(move |row| (row * stride / tokens + choice * stride) % experts))
        .filter(|expert| *expert < local)
        .collect();
    let assignments = here.len();
    here.sort_unstable();
    here.dedup();
    ExpertsLoad { touched: here.len() as f64, assignments: assignments as f64 }
}

fn power_law(shape: &ExpertsShape, tokens: u32, exponent: f64) -> ExpertsLoad {
    let experts = shape.experts as usize;
    let choices = u64::from(tokens) * u64::from(shape.top_k);
    let (low, high) = if choices > experts as u64 { (1.0, 0.8 * f64::from(tokens)) } else { (0.01, 2.0) };
    let loads = loads(experts, choices, (low, f64::max(high, low)), exponent);
    let (gpus, local) = (shape.gpus() as usize, shape.local_experts as usize);
    let mut sum = ExpertsLoad { touched: 0.0, assignments: 0.0 };
    for placement in 0..PLACEMENTS {
        let order = shuffled(experts, placement);
        let on = |gpu: usize| order[gpu * local..].iter().take(local).map(|&expert| loads[expert]);
        let busiest = (0..gpus).max_by_key(|&gpu| (on(gpu).sum::<u64>(), gpus - gpu)).unwrap_or(0);
        sum.assignments += on(busiest).sum::<u64>() as f64;
        sum.touched += on(busiest).filter(|load| *load > 0).count() as f64;
    }
    let mean = |sum: f64| sum / PLACEMENTS as f64;
    ExpertsLoad { touched: mean(sum.touched), assignments: mean(sum.assignments) }
}

/// Loads of all experts, descending, at the middles of equally likely parts of the power law.
fn loads(experts: usize, choices: u64, (low, high): (f64, f64), exponent: f64) -> Vec<u64> {
    let quantile = |index: usize| {
        let share = (index as f64 + 0.5) / experts as f64;
        let inverse = 1.0 - exponent;
        if inverse.abs() < 1e-9 {
            return low * (high / low).powf(share);
        }
        (low.powf(inverse) + share * (high.powf(inverse) - low.powf(inverse))).powf(inverse.recip())
    };
    let drawn: Vec<f64> = (0..experts).rev().map(quantile).collect();
    let sum: f64 = drawn.iter().sum();
    let mut loads: Vec<u64> = drawn.iter().map(|load| (load / sum * choices as f64).round() as u64).collect();
    let given: u64 = loads.iter().sum();
    for extra in 0..choices.saturating_sub(given) {
        loads[extra as usize % experts] += 1;
    }
    for missing in 0..given.saturating_sub(choices) {
        let last = experts - 1 - missing as usize % experts;
        let from = if loads[last] > 0 { last } else { 0 };
        loads[from] -= 1;
    }
    loads
}

/// A fixed order of `0..count`, another for each seed (Fisher and Yates, with the generator `SplitMix64`).
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for end in (1..count).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        order.swap(end, ((mixed ^ (mixed >> 31)) % (end as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layers of Qwen3-30B-A3B on so many GPUs.
    fn qwen(gpus: u32) -> ExpertsShape {
        ExpertsShape { hidden_size: 2048, intermediate_size: 768, top_k: 8, experts: 128, local_experts: 128 / gpus }
    }

    #[test]
    fn balanced_rows_take_turns() {
        let load = |gpus, tokens| TableRouting::Balanced.load(&qwen(gpus), tokens);
        assert_eq!(load(1, 1), ExpertsLoad { touched: 8.0, assignments: 8.0 });
        assert_eq!(load(1, 8), ExpertsLoad { touched: 64.0, assignments: 64.0 });
        assert_eq!(load(1, 16), ExpertsLoad { touched: 128.0, assignments: 128.0 });
        assert_eq!(load(8, 4), ExpertsLoad { touched: 4.0, assignments: 4.0 }, "one choice of each row");
        assert_eq!(load(8, 4096), ExpertsLoad { touched: 16.0, assignments: 4096.0 });
        assert_eq!(load(32, 1), ExpertsLoad { touched: 1.0, assignments: 1.0 }, "the first GPU has the first expert");
    }

    #[test]
    fn loads_of_a_power_law_sum_to_the_choices_and_descend() {
        for (choices, range) in
            [(8, (0.01, 2.0)), (100, (0.01, 2.0)), (16_384, (1.0, 1638.4)), (131_072, (1.0, 13_107.0))]
        {
            for exponent in [0.0, 1.0, 1.01, 1.2] {
                let loads = loads(128, choices, range, exponent);
                assert_eq!(loads.iter().sum::<u64>(), choices, "{choices} choices, exponent {exponent}");
                assert!(loads.is_sorted_by(|a, b| a >= b), "{choices} choices, exponent {exponent}");
            }
        }
    }

    #[test]
    fn skew_touches_fewer_experts_and_loads_the_busiest_gpu_more() {
        let at = |routing: TableRouting, tokens| routing.load(&qwen(8), tokens);
        let skewed = at(TableRouting::PowerLaw(1.2), 4096);
        assert!(skewed.assignments > 1.2 * at(TableRouting::Balanced, 4096).assignments);
        assert!(at(TableRouting::PowerLaw(1.2), 16).touched < at(TableRouting::Balanced, 16).touched);
        let zipf = at(TableRouting::Zipf(1.2), 4096);
        assert!(zipf.assignments > at(TableRouting::Uniform, 4096).assignments);
        assert!((at(TableRouting::Zipf(0.0), 64).touched - at(TableRouting::Uniform, 64).touched).abs() < 1e-9);
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["balanced", "uniform", "touched", "power_law_1.01", "zipf_1.25"] {
            assert_eq!(name.parse::<TableRouting>().map(|routing| routing.to_string()), Ok(name.to_string()));
        }
        for name in ["", "balance", "power_law_", "power_law_x", "zipf_-1", "zipf_inf"] {
            assert!(name.parse::<TableRouting>().is_err(), "`{name}`");
        }
    }
}
