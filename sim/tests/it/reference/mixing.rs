//! Splitwise's mixed pool. Everything is counted anew from the requests whenever one is placed.

use std::collections::BTreeMap;

use sim::{MixedPool, MixingSpec, Rejection, Role};
use workloads::{Request, RequestId};

use super::Coverage;
use super::replica::Replica;

/// Where a request was placed.
#[derive(Clone, Copy)]
struct Placed {
    from: usize,
    to: usize,
    prompt: u32,
    output: u32,
}

/// Who is in which pool, and what was placed where.
pub(super) struct Mixing {
    spec: MixingSpec,
    mixed: Vec<usize>,
    placed: BTreeMap<RequestId, Placed>,
    pub(super) outcome: MixedPool,
    pub(super) coverage: Coverage,
}

impl Mixing {
    pub(super) fn new(spec: MixingSpec) -> Self {
        let (outcome, coverage) = (MixedPool::default(), Coverage::default());
        Mixing { spec, mixed: Vec::new(), placed: BTreeMap::new(), outcome, coverage }
    }

    /// The first replica that cannot do all of it.
    pub(super) fn rejection(request: &Request, replicas: &[Replica]) -> Option<(usize, Rejection)> {
        replicas.iter().enumerate().find_map(|(number, replica)| Some((number, replica.rejection(request)?)))
    }

    /// Where its prompt is computed, and where it decodes if it does.
    pub(super) fn place(&mut self, request: &Request, replicas: &[Replica]) -> (usize, Option<usize>) {
        self.placed.retain(|id, _| replicas.iter().any(|replica| replica.jobs.contains_key(id)));
        let load: Vec<Load> = (0..replicas.len()).map(|number| self.load(number, replicas)).collect();
        let before = self.mixed.len();
        self.mixed.retain(|&number| load[number].committed > 0);
        self.coverage.went_home += (before - self.mixed.len()) as u64;

        let (prompt, output) = (request.prompt.tokens(), request.output_tokens);
        let at_home = (0..replicas.len()).filter(|number| !self.mixed.contains(number));
        let (prefilling, decoding): (Vec<_>, Vec<_>) = at_home.partition(|&n| replicas[n].spec.role == Role::Prefill);
        let mut mixed = self.mixed.clone();
        mixed.sort_unstable();
        let idlest = |pool: &[usize]| pool.iter().copied().min_by_key(|&n| (load[n].pending, n));
        let emptiest = |pool: &[usize]| {
            pool.iter().copied().min_by_key(|&n| (load[n].committed * replicas[n].spec.kv.block_size as usize, n))
        };
        let takes_prompt = |n: &usize| {
            let waits = !replicas[*n].sent.is_empty() || !replicas[*n].waiting.is_empty();
            !waits || load[*n].pending + u64::from(prompt) <= self.spec.max_pending_tokens
        };
        let has_room = |n: &usize| {
            let kv = &replicas[*n].kv;
            load[*n].committed + kv.blocks_for(prompt + output - 1) <= kv.all()
        };

        let mut from = idlest(&prefilling).filter(takes_prompt).or(idlest(&mixed).filter(takes_prompt));
        let mut to = emptiest(&decoding).filter(has_room).or(emptiest(&mixed).filter(has_room)).filter(|_| output > 1);
        let mut joins = Vec::new();
        if from.is_none() {
            from = idlest(&decoding);
            joins.extend(from);
            self.outcome.taken_from_decode += from.iter().count() as u64;
        }
        if to.is_none() && output > 1 {
            to = emptiest(&prefilling).filter(has_room);
            joins.extend(to);
            self.outcome.taken_from_prefill += to.iter().count() as u64;
        }
        let all: Vec<usize> = (0..replicas.len()).collect();
        let least = idlest(&all).expect("there are replicas");
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, Some(to)),
            (Some(from), None) if output == 1 => (from, None),
            (None, _) if output == 1 => (least, None),
            _ => {
                self.coverage.found_no_place += 1;
                (least, Some(least))
            }
        };
        self.mixed.extend(joins);
        self.outcome.whole_requests += u64::from(to == Some(from));
        self.placed.insert(request.id, Placed { from, to: to.unwrap_or(from), prompt, output });
        (from, to)
    }

    /// What lies on a replica, or will.
    fn load(&self, number: usize, replicas: &[Replica]) -> Load {
        let mut load = Load { pending: 0, committed: 0 };
        let blocks_for = |tokens| replicas[number].kv.blocks_for(tokens);
        for (id, placed) in &self.placed {
            let job = replicas.iter().find_map(|replica| replica.jobs.get(id)).expect("it has not ended");
            let at_home = replicas[placed.from].jobs.contains_key(id);
            if placed.from == number && job.tokens_at.is_empty() {
                load.pending += u64::from(placed.prompt);
            }
            if placed.to == number {
                load.pending += u64::from(placed.output > 1);
                load.committed += blocks_for(placed.prompt + placed.output - 1);
            } else if placed.from == number && at_home {
                load.committed += blocks_for(placed.prompt);
            }
        }
        load
    }

    /// Tells every replica how many blocks it must leave to requests that come from others.
    pub(super) fn tell_promises(&self, replicas: &mut [Replica]) {
        for number in 0..replicas.len() {
            let mut blocks = 0;
            for (id, placed) in self.placed.iter().filter(|(_, placed)| placed.to == number && placed.from != number) {
                let still_there = replicas[placed.from].jobs.contains_key(id);
                if still_there && !replicas[number].entrance.has_accepted(*id) {
                    blocks += replicas[number].kv.blocks_for(placed.prompt + placed.output - 1);
                }
            }
            replicas[number].promised = blocks;
        }
    }
}

#[derive(Clone, Copy)]
struct Load {
    /// Tokens of prompts that are not complete, and one for each request that decodes here.
    pending: u64,
    /// Blocks.
    committed: usize,
}
