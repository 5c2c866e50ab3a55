//! Expert choices of each row, drawn from the routing that the prediction assumed.

use profiles::cost::ExpertRouting;

use crate::numbers::Random;

/// Draws the experts of every row.
///
/// Each row chooses `top_k` different experts, expert `i` with exactly the probability that the routing gives it
/// (systematic sampling: Madow, "On the theory of systematic sampling II", Annals of Mathematical Statistics 20, 1949).
/// Which expert is the popular one differs from layer to layer, and between prompt and decode rows, which the prediction
/// takes to choose independently.
#[derive(Clone, Debug)]
pub struct ExpertDraws {
    routing: ExpertRouting,
    experts: u32,
    top_k: u32,
    seed: u64,
}

impl ExpertDraws {
    /// Draws for layers of `experts` experts of which each row chooses `top_k`.
    pub fn new(routing: ExpertRouting, experts: u32, top_k: u32, seed: u64) -> Self {
        Self { routing, experts, top_k, seed }
    }

    /// The draws of step `step`, in which so many prompt and decode rows pass.
    pub fn step(&self, step: u64, prefill_rows: u32, decode_rows: u32) -> StepDraws {
        let prefill = || self.routing.prefill_popularity(self.experts, self.top_k, prefill_rows);
        let decode = || self.routing.decode_popularity(self.experts, self.top_k);
        StepDraws {
            top_k: self.top_k,
            seed: self.seed,
            step,
            prefill: (prefill_rows, if prefill_rows > 0 { reached(&prefill()) } else { Vec::new() }),
            decode: (decode_rows, if decode_rows > 0 { reached(&decode()) } else { Vec::new() }),
        }
    }
}

/// The draws of one step.
#[derive(Clone, Debug)]
pub struct StepDraws {
    top_k: u32,
    seed: u64,
    step: u64,
    /// Rows, and the sums of [`reached`].
    prefill: (u32, Vec<f64>),
    decode: (u32, Vec<f64>),
}

impl StepDraws {
    /// Appends the choices in layer `layer`: `top_k` of each decode row, and then of each prompt row, if prompts pass
    /// through the layer.
    pub fn layer(&self, layer: u32, with_prefill: bool, out: &mut Vec<i32>) {
        self.rows(&self.decode, 1, layer, out);
        if with_prefill {
            self.rows(&self.prefill, 0, layer, out);
        }
    }

    fn rows(&self, (rows, reached): &(u32, Vec<f64>), phase: u64, layer: u32, out: &mut Vec<i32>) {
        // Which expert has which rank of popularity, the same in all steps.
        let mut order: Vec<i32> = (0..reached.len() as i32).collect();
        stream([self.seed, phase, 0, u64::from(layer)]).shuffle(&mut order);
        let mut random = stream([self.seed, 2 + phase, self.step, u64::from(layer)]);
        for _ in 0..*rows {
            let start = random.uniform();
            let mut next = 0;
            for choice in 0..self.top_k {
                let at = start + f64::from(choice);
                // Sums are rounded, so an expert that is always chosen might seem to be chosen twice.
                let rank = reached.partition_point(|&reached| reached <= at).max(next);
                out.push(order[rank.min(order.len() - 1)]);
                next = rank + 1;
            }
        }
    }
}

/// Σ of the popularities up to and including each expert, in units of one choice.
fn reached(popularity: &[f64]) -> Vec<f64> {
    let add = |sum: &mut f64, p: &f64| {
        *sum += p;
        Some(*sum)
    };
    popularity.iter().scan(0.0, add).collect()
}

/// A stream of its own for each name.
fn stream(name: [u64; 4]) -> Random {
    let seed = name.into_iter().fold(0, |state, word| Random::new(state ^ word).bits());
    Random::new(seed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use profiles::cost::share_touched;

    use super::*;

    const EXPERTS: u32 = 128;
    const TOP_K: u32 = 8;

    fn draws() -> ExpertDraws {
        ExpertDraws::new(ExpertRouting::qwen3_30b_a3b_measured(), EXPERTS, TOP_K, 5)
    }

    /// Mean share of experts touched, over layers.
    fn touched(prefill_rows: u32, decode_rows: u32) -> f64 {
        let layers = 100;
        let step = draws().step(3, prefill_rows, decode_rows);
        let mut sum = 0;
        for layer in 0..layers {
            let mut ids = Vec::new();
            step.layer(layer, true, &mut ids);
            sum += ids.into_iter().collect::<BTreeSet<i32>>().len();
        }
        sum as f64 / f64::from(layers * EXPERTS)
    }

    #[test]
    fn every_row_chooses_different_experts() {
        let mut ids = Vec::new();
        draws().step(1, 500, 300).layer(0, true, &mut ids);
        assert_eq!(ids.len(), 800 * TOP_K as usize);
        for row in ids.chunks(TOP_K as usize) {
            assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), TOP_K as usize, "{row:?}");
            assert!(row.iter().all(|&expert| (0..EXPERTS as i32).contains(&expert)));
        }
    }

    #[test]
    fn rows_touch_as_many_experts_as_the_prediction_says() {
        let routing = ExpertRouting::qwen3_30b_a3b_measured();
        let of_decode = |rows| share_touched(&routing.decode_popularity(EXPERTS, TOP_K), rows);
        for rows in [1, 16, 128] {
            assert!((touched(0, rows) - of_decode(rows)).abs() < 0.01, "{rows} decode rows: {}", touched(0, rows));
        }
        assert!((touched(512, 0) - 0.82).abs() < 0.01, "512 prompt rows: {}", touched(512, 0));
        let together = 1.0 - 0.18 * (1.0 - of_decode(32));
        assert!((touched(512, 32) - together).abs() < 0.01, "prompt and decode rows choose independently");
    }

    #[test]
    fn the_same_step_draws_the_same_experts_and_another_layer_draws_others() {
        let draw = |step, layer| {
            let mut ids = Vec::new();
            draws().step(step, 4, 4).layer(layer, true, &mut ids);
            ids
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
        let mut decode_rows = Vec::new();
        draws().step(1, 4, 4).layer(2, false, &mut decode_rows);
        assert_eq!(draw(1, 2)[..4 * TOP_K as usize], decode_rows, "prompts that do not pass change nothing");
    }
}
