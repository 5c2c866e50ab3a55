//! Taking requests from both ends of a batch that is sorted by density, so that what runs together has the density of all.

/// Which end of the queue a request comes from: the left one is compute-heavy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The head.
    Left,
    /// The tail.
    Right,
}

/// Consecutive requests that the scanner takes as one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScanUnit {
    /// How many.
    pub requests: u32,
    /// Compute ÷ memory of them together.
    pub density: f64,
    /// Mean prompt in tokens.
    pub prompt: f64,
    /// Mean expected answer in tokens.
    pub output: f64,
}

/// Of `memory`, the parts for the left and the right side under which what runs has the density `root`: `M_A = M (ρ − ρ_B) /
/// (ρ_A − ρ_B)` and the rest (*`BlendServe`*, algorithm 3). A root beyond one of the sides gives that side everything; equal
/// sides share evenly.
pub fn partition(memory: f64, root: f64, left: f64, right: f64) -> [f64; 2] {
    let apart = left - right;
    let share = if apart.abs() > 0.0 { ((root - right) / apart).clamp(0.0, 1.0) } else { 0.5 };
    [memory * share, memory * (1.0 - share)]
}

/// What one side may do in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideView {
    /// Prompt tokens that may still be computed.
    pub tokens: u32,
    /// Whether its requests hold less than its part of the memory, so that more may be let in.
    pub open: bool,
    /// Whether its next request was refused in this step.
    pub refused: bool,
}

/// What is held and owed on both sides while a batch runs. Tokens of memory are counted twice, so that half an answer is whole.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    /// Twice the tokens of the KV cache.
    memory: f64,
    pub(crate) density: f64,
    /// Whether it takes from both ends.
    dual: bool,
    /// By side: twice the tokens that its requests are expected to hold on average.
    held: [u64; 2],
    part: [f64; 2],
    /// By side: prompt tokens per step that keep its part full, and how many may still be let in.
    rate: [f64; 2],
    credit: [f64; 2],
    per_step: [u32; 2],
    tokens: [u32; 2],
}

/// More than any step has.
const MOST_TOKENS: f64 = 1e9;

/// Step sizes are multiples of this where there are prompt tokens enough; and no piece need be smaller.
pub(crate) const QUANTUM: u32 = 128;

impl Sides {
    pub(crate) fn new(memory_tokens: u64, dual: bool) -> Self {
        let memory = 2.0 * memory_tokens as f64;
        Sides {
            memory,
            density: 0.0,
            dual,
            held: [0; 2],
            part: [0.0; 2],
            rate: [0.0; 2],
            credit: [0.0; 2],
            per_step: [0; 2],
            tokens: [0; 2],
        }
    }

    /// A step is composed, with these units at the head and the tail of the queue.
    pub(crate) fn begin_step(&mut self, ends: Option<[ScanUnit; 2]>) {
        let Some(units) = ends else {
            self.tokens = self.per_step;
            return;
        };
        self.part = if self.dual {
            partition(self.memory, self.density, units[0].density, units[1].density)
        } else {
            [self.memory, 0.0]
        };
        for (side, unit) in units.iter().enumerate() {
            let population = self.part[side] / (2.0 * unit.prompt + unit.output);
            self.rate[side] = (population * unit.prompt / unit.output).min(MOST_TOKENS);
            let least = if self.dual || side == 0 { QUANTUM } else { 0 };
            self.per_step[side] = (self.rate[side] as u32).max(least);
            self.credit[side] = (self.credit[side] + self.rate[side]).min(self.rate[side].max(f64::from(QUANTUM)));
        }
        self.tokens = self.per_step;
    }

    /// `again`: whether its next request has begun its answer already.
    pub(crate) fn view(&self, side: Side, again: bool, refused: bool) -> SideView {
        let at = side as usize;
        let paced = self.dual && self.credit[at] <= 0.0 && !again;
        SideView { tokens: self.tokens[at], open: (self.held[at] as f64) < self.part[at] && !paced, refused }
    }

    /// A request of this side is let in that computes so many prompt tokens: others follow when the side would have let in as many
    /// had it done so evenly. Were they let in at once, they would grow and end together, and their mean be no measure of what they
    /// hold.
    pub(crate) fn let_in(&mut self, side: Side, tokens: u32) {
        self.credit[side as usize] -= f64::from(tokens);
    }

    /// A request of this side computes `tokens` prompt tokens.
    pub(crate) fn compute(&mut self, side: Side, tokens: u32) {
        self.tokens[side as usize] -= tokens;
    }

    /// A request is let in that is expected to hold `held`.
    pub(crate) fn hold(&mut self, side: Side, held: u64) {
        self.held[side as usize] += held;
    }

    pub(crate) fn let_go(&mut self, side: Side, held: u64) {
        self.held[side as usize] -= held;
    }

    /// What a request of so many prompt and answer tokens is expected to hold on average, twice.
    pub(crate) fn expected(prompt: u32, output: u32) -> u64 {
        2 * u64::from(prompt) + u64::from(output)
    }

    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.held, [0, 0], "somebody still holds memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *`BlendServe`*, figure 6: 60 GB for the KV cache of an 80 GB card, densities 3.73 and 0.096, root 1.27.
    #[test]
    fn memory_is_shared_out_as_in_blendserves_figure_6() {
        let [left, right] = partition(60.0, 1.27, 3.73, 0.096);
        assert!((left - 19.38).abs() < 0.01 && (right - 40.62).abs() < 0.01, "{left} and {right}");
        assert!((left - 19.3).abs() < 0.1 && (right - 40.7).abs() < 0.1, "as published, which is rounded");
        assert!((3.73 * left + 0.096 * right - 1.27 * 60.0).abs() < 1e-9, "what runs has the root's density");
    }

    #[test]
    fn a_root_beyond_the_sides_gives_one_of_them_everything_and_equal_sides_share() {
        for (root, [left, right], parts) in
            [(5.0, [3.0, 1.0], [60.0, 0.0]), (0.5, [3.0, 1.0], [0.0, 60.0]), (1.0, [2.0, 2.0], [30.0, 30.0])]
        {
            let [on_the_left, on_the_right] = partition(60.0, root, left, right);
            assert!((on_the_left - parts[0]).abs() < 1e-9 && (on_the_right - parts[1]).abs() < 1e-9, "root {root}");
        }
    }

    /// A unit like that of videos: each of its requests holds 1,000 tokens on average, for 1,800 steps.
    fn videos() -> ScanUnit {
        ScanUnit { requests: 50, density: 0.1, prompt: 100.0, output: 1800.0 }
    }

    #[test]
    fn a_side_of_long_answers_lets_in_one_after_the_other() {
        let mut sides = Sides::new(100_000, true);
        sides.density = 0.1;
        let mut came = Vec::new();
        for step in 0..5400 {
            sides.begin_step(Some([ScanUnit { density: 20.0, ..videos() }, videos()]));
            if sides.view(Side::Right, false, false).open {
                sides.let_in(Side::Right, 100);
                came.push(step);
            }
        }
        // Memory for a hundred of them, each of which generates for 1,800 steps: one every 18 steps, and the first at once.
        assert!((300..=301).contains(&came.len()), "{} came", came.len());
        let gaps: Vec<usize> = came.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (17..=19).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn who_has_generated_before_does_not_wait_for_the_pace_and_one_order_has_none() {
        for (dual, paced) in [(true, true), (false, false)] {
            let mut sides = Sides::new(100_000, dual);
            sides.density = 20.0;
            sides.begin_step(Some([videos(), videos()]));
            sides.let_in(Side::Left, 1000);
            assert_eq!(sides.view(Side::Left, false, false).open, !paced, "dual: {dual}");
            assert!(sides.view(Side::Left, true, false).open, "dual: {dual}");
        }
    }
}
