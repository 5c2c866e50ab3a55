//! Which replica gets a request.

use std::cmp::Reverse;
use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use sim::RouterSpec;
use sim::offline::prepare;
use workloads::{Request, SimTime, Source};

use super::Coverage;
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
            RouterSpec::DensityCut => panic!("requests are cut, not picked one by one"),
            RouterSpec::PrefixAffinity { max_imbalance_tokens } => {
                let rank = |number: &usize| (Reverse(replicas[*number].cached_prefix(request)), load(*number), *number);
                let best = self.among.iter().copied().min_by_key(rank).expect("not empty");
                if load(best) - load(least) > max_imbalance_tokens { least } else { best }
            }
        }
    }

    /// The next request; where the router cuts batches, all that arrive now, with the replica of each.
    pub(super) fn take(
        &self,
        now: SimTime,
        source: &mut dyn Source,
        replicas: &[Replica],
        coverage: &mut Coverage,
    ) -> (Vec<Request>, Vec<usize>) {
        let mut together = vec![source.take()];
        if self.spec != RouterSpec::DensityCut {
            return (together, Vec::new());
        }
        while source.next_arrival().expect("test sources do not fail") == Some(now) {
            together.push(source.take());
        }
        let parts = self.cut(&together, replicas);
        coverage.cut_apart += u64::from(parts.iter().any(|part| *part != parts[0]));
        (together, parts)
    }

    /// The replica of each of these, which came together: each in turn takes from both ends of the prepared batch until it has its
    /// share of all work, from the left while its compute is below the batch's density times its memory.
    fn cut(&self, requests: &[Request], replicas: &[Replica]) -> Vec<usize> {
        let (batch, options) = replicas[self.among[0]].batch_of(requests);
        let plan = prepare(batch.into_iter(), None, &options);
        let mut left: VecDeque<_> = plan.order.iter().copied().zip(plan.work.iter().copied()).collect();
        let share =
            plan.work.iter().map(|work| work.compute_ns + work.memory_ns).sum::<f64>() / self.among.len() as f64;
        let last = *self.among.last().expect("not empty");
        let mut chosen = vec![last; requests.len()];
        for &replica in &self.among {
            let (mut compute, mut memory, mut any) = (0.0, 0.0, false);
            while !left.is_empty() && (replica == last || compute + memory < share) {
                let from_left = !any || compute < plan.density * memory;
                let (number, work) = if from_left { left.pop_front() } else { left.pop_back() }.expect("not empty");
                (compute, memory, any) = (compute + work.compute_ns, memory + work.memory_ns, true);
                chosen[number as usize] = replica;
            }
        }
        chosen
    }
}
