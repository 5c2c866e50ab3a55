//! Which replica a request goes to.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use workloads::{Prompt, Request};

use crate::offline::{BatchRequest, cut, prepare};
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

    /// Whether it looks at all requests of a moment before it chooses.
    pub(crate) fn cuts(&self) -> bool {
        self.spec == RouterSpec::DensityCut
    }

    /// Numbers of the replicas for requests that arrive together.
    pub(crate) fn cut(&self, replicas: &[Replica], requests: &[Request]) -> Vec<u32> {
        let options = replicas[self.among[0] as usize].plan_options().expect("other policies were refused");
        let batch = requests
            .iter()
            .map(|request| BatchRequest { prompt: request.prompt.spans(), output_tokens: request.output_tokens });
        let parts = cut(&prepare(batch, None, options), self.among.len() as u32);
        let mut chosen = vec![self.among[0]; requests.len()];
        for (&replica, part) in self.among.iter().zip(&parts) {
            for &number in part {
                chosen[number as usize] = replica;
            }
        }
        chosen
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
            RouterSpec::DensityCut => unreachable!("requests are cut, not sent one by one"),
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
