//! Which replica gets a request.

use std::cmp::Reverse;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use sim::RouterSpec;
use workloads::Request;

use super::replica::Replica;

pub(super) struct Router {
    spec: RouterSpec,
    among: Vec<usize>,
    rng: Xoshiro256PlusPlus,
    picked: usize,
}

impl Router {
    pub(super) fn new(spec: RouterSpec, among: Vec<usize>, seed: u64, stream: &str) -> Self {
        Router { spec, among, rng: workloads::stream(seed, stream, 0), picked: 0 }
    }

    pub(super) fn pick(&mut self, request: &Request, replicas: &[Replica]) -> usize {
        let n = self.among.len();
        let load = |number: usize| replicas[number].outstanding_tokens();
        let least = self.among.iter().copied().min_by_key(|&number| (load(number), number)).expect("not empty");
        self.picked += 1;
        match self.spec {
            RouterSpec::RoundRobin => self.among[(self.picked - 1) % n],
            RouterSpec::LeastOutstandingTokens => least,
            RouterSpec::PowerOfTwoChoices => {
                let first = self.among[self.rng.random_range(0..n)];
                let second = self.among[self.rng.random_range(0..n)];
                if load(second) < load(first) { second } else { first }
            }
            RouterSpec::PrefixAffinity { max_imbalance_tokens } => {
                let rank = |number: &usize| (Reverse(replicas[*number].cached_prefix(request)), load(*number), *number);
                let best = self.among.iter().copied().min_by_key(rank).expect("not empty");
                if load(best) - load(least) > max_imbalance_tokens { least } else { best }
            }
        }
    }
}
