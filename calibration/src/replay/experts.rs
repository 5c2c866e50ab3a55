//! Expert choices of each row, drawn from the routing that the prediction assumed.

use profiles::cost::ExpertRouting;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

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

    /// Appends the choices of `prefill_rows` prompt rows and then of `decode_rows` decode rows, `top_k` each, in step
    /// `step` and layer `layer`.
    pub fn draw(&self, step: u64, layer: u32, prefill_rows: u32, decode_rows: u32, out: &mut Vec<u32>) {
        let prompt = || self.routing.prefill_popularity(self.experts, self.top_k, prefill_rows);
        let decode = || self.routing.decode_popularity(self.experts, self.top_k);
        if prefill_rows > 0 {
            self.draw_rows(&prompt(), 0, (step, layer), prefill_rows, out);
        }
        if decode_rows > 0 {
            self.draw_rows(&decode(), 1, (step, layer), decode_rows, out);
        }
    }

    fn draw_rows(&self, popularity: &[f64], phase: u64, (step, layer): (u64, u32), rows: u32, out: &mut Vec<u32>) {
        let order = self.order(phase, layer);
        // Σ of the popularities up to and including each expert, in units of one choice.
        let mut sum = 0.0;
        let reached: Vec<f64> = popularity
            .iter()
            .map(|p| {
                sum += p;
                sum
            })
            .collect();
        let mut rng = stream([self.seed, 2 + phase, step, u64::from(layer)]);
        for _ in 0..rows {
            let start = uniform(&mut rng);
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

    /// Which expert has which rank of popularity in a layer.
    fn order(&self, phase: u64, layer: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.experts).collect();
        order.shuffle(&mut stream([self.seed, phase, 0, u64::from(layer)]));
        order
    }
}

/// A stream of its own for each name.
fn stream(name: [u64; 4]) -> Xoshiro256PlusPlus {
    // The finaliser of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
    let mix = |state: u64, word: u64| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    Xoshiro256PlusPlus::seed_from_u64(name.into_iter().fold(0, mix))
}

/// Uniform in [0, 1).
fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    const CELLS: f64 = (1_u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 / CELLS
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
        let layers = 200;
        let mut sum = 0;
        for layer in 0..layers {
            let mut ids = Vec::new();
            draws().draw(3, layer, prefill_rows, decode_rows, &mut ids);
            sum += ids.into_iter().collect::<BTreeSet<u32>>().len();
        }
        sum as f64 / f64::from(layers * EXPERTS)
    }

    #[test]
    fn every_row_chooses_different_experts() {
        let mut ids = Vec::new();
        draws().draw(1, 0, 500, 300, &mut ids);
        assert_eq!(ids.len(), 800 * TOP_K as usize);
        for row in ids.chunks(TOP_K as usize) {
            assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), TOP_K as usize, "{row:?}");
            assert!(row.iter().all(|&expert| expert < EXPERTS));
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
            draws().draw(step, layer, 4, 4, &mut ids);
            ids
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }
}
