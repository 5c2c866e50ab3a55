//! How many tokens a second a replica computes at the very most, by its own cost model.

use profiles::{DecodeBatch, PrefillPiece, StepShape};
use sim::Policy;

use crate::experiment::Pool;

/// Tokens per second that one replica cannot exceed; infinite where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Prompt tokens, in steps of nothing else.
    pub(super) prompt: f64,
    /// Tokens of answers after the first, in steps of nothing else that keep the pace.
    pub(super) decode: f64,
}

/// How fast answers have to come, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// Longest mean time per token.
    pub(super) mean_s: Option<f64>,
    /// Longest gap between two tokens.
    pub(super) longest_s: Option<f64>,
}

/// What a replica of `pool` computes at most, where no prompt is shorter than `shortest_prompt` tokens and none is shared.
///
/// Two things are taken of the cost model: that a step with more in it takes no less time, and that prompt tokens cost least
/// either in one piece or in pieces of the shortest prompt. Rows that are faster than fewer rows are allowed for.
pub(super) fn rates(pool: &Pool, shortest_prompt: u32, pace: Pace) -> Rates {
    let composed_alike = matches!(
        pool.scheduler.policy,
        Policy::ChunkedPrefill { .. }
            | Policy::Sarathi
            | Policy::PrefillFirst { .. }
            | Policy::Orca
            | Policy::Splitwise
    );
    if !composed_alike || pool.offload.is_some() {
        return Rates { prompt: f64::INFINITY, decode: f64::INFINITY };
    }
    let mut pricing = Pricing { cost: pool.cost(), sliding_window: pool.sliding_window };
    let most_rows = pool.scheduler.max_prompt_tokens(pool.max_model_len);
    let prompts = envelope(grid(most_rows), |rows| pricing.prompts(rows, shortest_prompt));
    let per_prompt_token = prompts.iter().map(|step| step.busy_s / step.up_to).fold(f64::INFINITY, f64::min);
    let blocks_each = u64::from(shortest_prompt + 1).div_ceil(u64::from(pool.kv.block_size));
    let most_seqs = u64::from(pool.scheduler.max_num_seqs).min(u64::from(pool.kv.blocks) / blocks_each).max(1) as u32;
    let decodes = envelope(grid(most_seqs), |rows| pricing.decodes(rows, shortest_prompt + 1));
    Rates { prompt: 1.0 / per_prompt_token, decode: 1.0 / per_decode_token(&decodes, pace) }
}

/// The least that a step of more than the rows before on the grid, and up to `up_to` rows, takes in seconds.
#[derive(Clone, Copy, Debug)]
struct Step {
    up_to: f64,
    /// Of the slowest pipeline stage, which no other step can share meanwhile.
    busy_s: f64,
    /// From its start to its end.
    whole_s: f64,
}

/// Row counts at which steps are priced: all small ones, then every 2 %, and the multiples of tiles, where kernels are fast.
fn grid(most: u32) -> Vec<u32> {
    const TILE: u32 = 128;
    let mut rows: Vec<u32> = Vec::new();
    let mut next = 1;
    while next < most {
        rows.push(next);
        next = (next + 1).max((f64::from(next) * 1.02) as u32);
    }
    rows.extend((1..=most / TILE).map(|tiles| tiles * TILE));
    rows.push(most.max(1));
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Prices the grid with (busiest stage, whole step) in nanoseconds. Between two points a step is taken to last as long as at the
/// lower one, or at any larger one that is faster.
fn envelope(grid: Vec<u32>, mut price: impl FnMut(u32) -> (u64, u64)) -> Vec<Step> {
    const NANOS: f64 = 1e-9;
    let priced: Vec<(u32, (u64, u64))> = grid.into_iter().map(|rows| (rows, price(rows))).collect();
    let mut steps = Vec::with_capacity(priced.len());
    let mut least = (u64::MAX, u64::MAX);
    for (index, &(rows, (busy, whole))) in priced.iter().enumerate().rev() {
        least = (least.0.min(busy), least.1.min(whole));
        let before =
            if index > 0 && priced[index - 1].0 + 1 < rows { priced[index - 1].1 } else { (u64::MAX, u64::MAX) };
        steps.push(Step {
            up_to: f64::from(rows),
            busy_s: least.0.min(before.0) as f64 * NANOS,
            whole_s: least.1.min(before.1) as f64 * NANOS,
        });
    }
    steps
}

/// Seconds of a replica that a token of an answer takes at least, where every gap, and the mean of all gaps, keep the pace:
/// the least mean of busy time per token over mixtures of two steps, weighted by their tokens. Infinite if no step keeps it.
fn per_decode_token(steps: &[Step], pace: Pace) -> f64 {
    let longest_s = pace.longest_s.unwrap_or(f64::INFINITY);
    let mean_s = pace.mean_s.unwrap_or(f64::INFINITY);
    let points: Vec<(f64, f64)> = steps
        .iter()
        .filter(|step| step.whole_s <= longest_s)
        .map(|step| (step.whole_s, step.busy_s / step.up_to))
        .collect();
    let (within, beyond): (Vec<_>, Vec<_>) = points.into_iter().partition(|(whole_s, _)| *whole_s <= mean_s);
    let alone = within.iter().map(|(_, per_token)| *per_token).fold(f64::INFINITY, f64::min);
    let mixed = within.iter().flat_map(|&(short, dear)| {
        beyond.iter().map(move |&(long, cheap)| {
            let share = (mean_s - short) / (long - short);
            dear + share * (cheap - dear)
        })
    });
    mixed.fold(alone, f64::min)
}

/// Prices steps of one kind of row.
struct Pricing {
    cost: Box<dyn profiles::CostModel>,
    sliding_window: Option<u32>,
}

impl Pricing {
    fn step(&mut self, shape: &StepShape<'_>) -> (u64, u64) {
        let mut stages_ns = vec![0; self.cost.stages()];
        let whole_ns = self.cost.step(shape, &mut stages_ns).duration_ns;
        (stages_ns.into_iter().max().expect("a replica has a stage"), whole_ns)
    }

    /// The cheaper of one piece and pieces of the shortest prompt, as many as fit.
    fn prompts(&mut self, rows: u32, shortest_prompt: u32) -> (u64, u64) {
        let mut of = |new_tokens: u32, pieces: u32| {
            let prefill = vec![PrefillPiece { new_tokens, context_tokens: 0 }; pieces as usize];
            let decode = DecodeBatch::default();
            self.step(&StepShape { prefill: &prefill, decode, sampled: 0, prefill_layers: None })
        };
        let one = of(rows, 1);
        if shortest_prompt >= rows {
            return one;
        }
        let many = of(shortest_prompt, rows / shortest_prompt);
        (one.0.min(many.0), one.1.min(many.1))
    }

    fn decodes(&mut self, requests: u32, context: u32) -> (u64, u64) {
        let of_all = |each: u32| u64::from(requests) * u64::from(each);
        let decode = DecodeBatch {
            requests,
            context_tokens: of_all(context),
            windowed_context_tokens: of_all(self.sliding_window.map_or(context, |window| window.min(context))),
            ..DecodeBatch::default()
        };
        self.step(&StepShape { prefill: &[], decode, sampled: requests, prefill_layers: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rows: f64, ms: f64) -> Step {
        Step { up_to: rows, busy_s: ms / 1e3, whole_s: ms / 1e3 }
    }

    #[test]
    fn steps_between_two_priced_ones_take_the_least_of_what_may_be() {
        let steps = envelope(vec![1, 2, 10, 20], |rows| match rows {
            1 => (100, 100),
            2 => (200, 200),
            10 => (900, 900),
            _ => (800, 800),
        });
        let of = |rows: f64| {
            steps.iter().find(|step| step.up_to >= rows && step.up_to < rows + 0.5).expect("it is on the grid").busy_s
                * 1e9
        };
        assert!((of(1.0) - 100.0).abs() < 1e-6);
        assert!((of(2.0) - 200.0).abs() < 1e-6, "nothing lies between 1 and 2");
        assert!((of(10.0) - 200.0).abs() < 1e-6, "3 rows may be as fast as 2");
        assert!((of(20.0) - 800.0).abs() < 1e-6, "and 11 to 20 as fast as 20");
    }

    #[test]
    fn the_grid_has_every_small_count_the_tiles_and_the_end() {
        let grid = grid(1000);
        assert!((1..=50).all(|rows| grid.contains(&rows)) && grid.contains(&128) && grid.contains(&896));
        assert_eq!(grid.last(), Some(&1000));
        assert!(grid.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(super::grid(1), [1]);
    }

    #[test]
    fn a_pace_between_two_steps_is_kept_by_taking_turns() {
        let steps = [step(1.0, 10.0), step(8.0, 20.0)];
        let per_token = |pace| 1e3 * per_decode_token(&steps, pace);
        let mean = |ms: f64| Pace { mean_s: Some(ms / 1e3), longest_s: None };
        assert!((per_token(Pace::default()) - 2.5).abs() < 1e-9, "always eight");
        assert!((per_token(mean(20.0)) - 2.5).abs() < 1e-9);
        assert!((per_token(mean(15.0)) - 6.25).abs() < 1e-9, "half of the tokens alone, half with others");
        assert!((per_token(mean(10.0)) - 10.0).abs() < 1e-9);
        assert!(per_token(mean(9.0)).is_infinite());
        let gaps = Pace { mean_s: Some(0.015), longest_s: Some(0.019) };
        assert!((per_token(gaps) - 10.0).abs() < 1e-9, "no gap may be as long as a step of eight");
    }

    /// Numbers from 1 to a largest one, the same in every run.
    fn draws() -> impl FnMut(u32) -> u32 {
        let mut state: u64 = 11;
        move |most| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + ((state >> 33) % u64::from(most)) as u32
        }
    }

    /// A replica of Llama-3.1-8B on such GPUs.
    fn pool_of(gpu: &str, tensor: u32) -> Pool {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.toml");
        let text = format!(
            "model = \"meta-llama/Llama-3.1-8B\"\nworkload = {{ generator = \"azure-conv-2023\", rate = 1 }}\n[[system]]\nname = \"x\"\n\
             gpu = \"{gpu}\"\ntensor_parallel_size = {tensor}\nmax_model_len = 16384\n\
             scheduler = {{ policy = \"chunked-prefill\", max_num_batched_tokens = 4096, max_num_seqs = 512 }}\n"
        );
        std::fs::write(&path, text).expect("written");
        let mut loaded = crate::run::load(&path, &[]).unwrap_or_else(|failure| panic!("{}", failure.brief()));
        loaded.experiment.systems.remove(0).pools.remove(0)
    }

    #[test]
    fn no_step_of_any_mix_computes_more_than_the_rates() {
        const SHORTEST: u32 = 20;
        for (gpu, tensor) in [("H100-SXM-80GB", 1), ("A100-SXM-80GB", 4), ("L40S-48GB", 2)] {
            let pool = pool_of(gpu, tensor);
            let most = rates(&pool, SHORTEST, Pace::default());
            let mut pricing = Pricing { cost: pool.cost(), sliding_window: None };
            let mut draw = draws();
            let mut closest: f64 = 0.0;
            for _ in 0..2000 {
                let largest = draw(4096);
                let mut left = draw(4096);
                let mut prefill = Vec::new();
                while left > 0 && prefill.len() < 200 {
                    let new_tokens = draw(largest).min(left);
                    let context_tokens = if draw(2) == 1 { 0 } else { draw(8000) };
                    prefill.push(PrefillPiece { new_tokens, context_tokens });
                    left -= new_tokens;
                }
                let requests = if draw(2) == 1 { 0 } else { draw(512) };
                let context_tokens = u64::from(requests) * u64::from(SHORTEST + draw(2000));
                let decode = DecodeBatch {
                    requests,
                    context_tokens,
                    windowed_context_tokens: context_tokens,
                    ..DecodeBatch::default()
                };
                let shape = StepShape { prefill: &prefill, decode, sampled: requests, prefill_layers: None };
                let busy_s = pricing.step(&shape).0 as f64 * 1e-9;
                let tokens: u32 = prefill.iter().map(|piece| piece.new_tokens).sum();
                let prompt = f64::from(tokens) / busy_s / most.prompt;
                let decode = f64::from(requests) / busy_s / most.decode;
                assert!(prompt <= 1.0 && decode <= 1.0, "{gpu}: {prompt} and {decode} of the rates with {shape:?}");
                closest = closest.max(prompt);
            }
            assert!(closest > 0.9, "{gpu}: the bound is not far from what steps reach: {closest}");
        }
    }
}
