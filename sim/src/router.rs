//! Which replica a request goes to.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use workloads::Prompt;

use crate::replica::Replica;
use crate::spec::RouterSpec;

pub(crate) struct Router {
    spec: RouterSpec,
    /// The replicas it spreads requests over.
    among: Vec<u32>,
    turn: usize,
    random: Xoshiro256PlusPlus,
}

impl Router {
    /// `purpose` names the stream of its random draws.
    pub(crate) fn new(spec: RouterSpec, among: Vec<u32>, seed: u64, purpose: &str) -> Self {
        Router { spec, among, turn: 0, random: workloads::stream(seed, purpose, 0) }
    }

    /// Number of the replica for a request with this prompt.
    pub(crate) fn choose(&mut self, replicas: &[Replica], prompt: &Prompt) -> u32 {
        if let [only] = self.among[..] {
            return only;
        }
        let load = |number: u32| replicas[number as usize].outstanding_tokens();
        match self.spec {
            RouterSpec::RoundRobin => {
                let chosen = self.among[self.turn];
                self.turn = (self.turn + 1) % self.among.len();
                chosen
            }
            RouterSpec::LeastOutstandingTokens => self.least_loaded(load),
            RouterSpec::PowerOfTwoChoices => {
                let first = self.among[self.random.random_range(0..self.among.len())];
                let second = self.among[self.random.random_range(0..self.among.len())];
                if load(second) < load(first) { second } else { first }
            }
            RouterSpec::PrefixAffinity { max_imbalance_tokens } => {
                let by_prefix = |&number: &u32| {
                    let cached = replicas[number as usize].cached_tokens(prompt);
                    (std::cmp::Reverse(cached), load(number))
                };
                let nearest = self.among.iter().copied().min_by_key(by_prefix).expect("there are replicas");
                let least = self.least_loaded(load);
                if load(nearest) - load(least) > max_imbalance_tokens { least } else { nearest }
            }
        }
    }

    /// The lowest number among equals.
    fn least_loaded(&self, load: impl Fn(u32) -> u64) -> u32 {
        self.among.iter().copied().min_by_key(|&number| load(number)).expect("there are replicas")
    }
}
