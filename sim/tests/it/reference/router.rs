//! Which replica gets a request.

use std::cmp::Reverse;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use sim::RouterSpec;
use workloads::Request;

use super::replica::Replica;

pub(super) struct Router {
    spec: RouterSpec,
    rng: Xoshiro256PlusPlus,
    arrivals: usize,
}

impl Router {
    pub(super) fn new(spec: RouterSpec, seed: u64) -> Self {
        Router { spec, rng: workloads::stream(seed, "router", 0), arrivals: 0 }
    }

    pub(super) fn pick(&mut self, request: &Request, replicas: &[Replica]) -> usize {
        let n = replicas.len();
        let load = |number: usize| replicas[number].outstanding_tokens();
        self.arrivals += 1;
        match self.spec {
            RouterSpec::RoundRobin => (self.arrivals - 1) % n,
            RouterSpec::LeastOutstandingTokens => least_loaded(replicas),
            RouterSpec::PowerOfTwoChoices => {
                let (first, second) = (self.rng.random_range(0..n), self.rng.random_range(0..n));
                if load(second) < load(first) { second } else { first }
            }
            RouterSpec::PrefixAffinity { max_imbalance_tokens } => {
                let best = (0..n)
                    .min_by_key(|&number| (Reverse(replicas[number].cached_prefix(request)), load(number), number))
                    .expect("there is a replica");
                let least = least_loaded(replicas);
                if load(best) - load(least) > max_imbalance_tokens { least } else { best }
            }
        }
    }
}

fn least_loaded(replicas: &[Replica]) -> usize {
    (0..replicas.len()).min_by_key(|&number| (replicas[number].outstanding_tokens(), number)).expect("not empty")
}
