//! Which replica a request goes to.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use workloads::Request;

use crate::replica::Replica;
use crate::spec::RouterSpec;

pub(crate) struct Router {
    spec: RouterSpec,
    turn: usize,
    random: Xoshiro256PlusPlus,
}

impl Router {
    pub(crate) fn new(spec: RouterSpec, seed: u64) -> Self {
        Router { spec, turn: 0, random: workloads::stream(seed, "router", 0) }
    }

    /// Number of the replica for `request`.
    pub(crate) fn choose(&mut self, replicas: &[Replica], request: &Request) -> usize {
        if replicas.len() == 1 {
            return 0;
        }
        match self.spec {
            RouterSpec::RoundRobin => {
                let chosen = self.turn;
                self.turn = (self.turn + 1) % replicas.len();
                chosen
            }
            RouterSpec::LeastOutstandingTokens => least_loaded(replicas),
            RouterSpec::PowerOfTwoChoices => {
                let first = self.random.random_range(0..replicas.len());
                let second = self.random.random_range(0..replicas.len());
                if replicas[second].outstanding_tokens() < replicas[first].outstanding_tokens() {
                    second
                } else {
                    first
                }
            }
            RouterSpec::PrefixAffinity { max_imbalance_tokens } => {
                prefix_affinity(replicas, request, max_imbalance_tokens)
            }
        }
    }
}

fn least_loaded(replicas: &[Replica]) -> usize {
    (0..replicas.len()).min_by_key(|&index| replicas[index].outstanding_tokens()).expect("there are replicas")
}

fn prefix_affinity(replicas: &[Replica], request: &Request, max_imbalance_tokens: u64) -> usize {
    let by_prefix = |&index: &usize| {
        let replica: &Replica = &replicas[index];
        (std::cmp::Reverse(replica.cached_tokens(request)), replica.outstanding_tokens())
    };
    let nearest = (0..replicas.len()).min_by_key(by_prefix).expect("there are replicas");
    let least = least_loaded(replicas);
    let (load, least_load) = (replicas[nearest].outstanding_tokens(), replicas[least].outstanding_tokens());
    if load - least_load > max_imbalance_tokens { least } else { nearest }
}
