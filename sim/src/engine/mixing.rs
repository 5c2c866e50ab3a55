//! Splitwise's mixed pool: where each request is computed and where it decodes, and which replicas leave their pools for it.
//!
//! As the paper's public simulator does it (`MixedPoolScheduler`), but for two things: a prefill replica is taken for
//! decoding only if the request fits there, and where nobody fits, the request is placed on the least loaded replica as a
//! whole, as there, and then waits in its queue.

use workloads::Request;

use crate::outcome::MixedPool;
use crate::record::Rejection;
use crate::replica::Replica;
use crate::spec::{MixingSpec, Role};

/// Where a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    Prefill,
    Decode,
    Mixed,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where its prompt is computed.
    pub(super) prefill: u32,
    /// Where it decodes, if it has more than one output token.
    pub(super) decode: Option<u32>,
}

/// The pools, as they are now.
pub(super) struct Mixing {
    spec: MixingSpec,
    homes: Vec<Pool>,
    pools: Vec<Pool>,
    outcome: MixedPool,
}

impl Mixing {
    /// All replicas are at home at first.
    pub(super) fn new(spec: MixingSpec, replicas: &[Replica]) -> Self {
        let home = |replica: &Replica| match replica.role() {
            Role::Prefill => Pool::Prefill,
            Role::Decode => Pool::Decode,
            Role::Serve => unreachable!("a deployment with pools has no others"),
        };
        let homes: Vec<Pool> = replicas.iter().map(home).collect();
        Mixing { spec, pools: homes.clone(), homes, outcome: MixedPool::default() }
    }

    /// The first replica that could not serve a request from prompt to end, and why: any may have to.
    pub(super) fn refusal(request: &Request, replicas: &[Replica]) -> Option<(u32, Rejection)> {
        (0..).zip(replicas).find_map(|(number, replica)| Some((number, replica.refusal(request)?)))
    }

    /// Places a request that arrives.
    pub(super) fn place(&mut self, request: &Request, replicas: &mut [Replica]) -> Place {
        self.send_home(replicas);
        let place = self.choose(request, replicas);
        match place.decode {
            Some(decode) if decode != place.prefill => {
                replicas[place.prefill as usize].place_prompt(request);
                replicas[decode as usize].place_answer(request);
                replicas[decode as usize].expect(&request.prompt);
            }
            decode => {
                self.outcome.whole_requests += u64::from(decode.is_some());
                replicas[place.prefill as usize].place_whole(request);
            }
        }
        place
    }

    /// Replicas of the mixed pool that have nothing to do are at home again.
    fn send_home(&mut self, replicas: &[Replica]) {
        for (number, replica) in replicas.iter().enumerate() {
            if replica.is_free() {
                self.pools[number] = self.homes[number];
            }
        }
    }

    fn choose(&mut self, request: &Request, replicas: &[Replica]) -> Place {
        let decodes = request.output_tokens > 1;
        let free = |mixing: &Self, pool| {
            mixing.least_pending(pool, replicas).filter(|&n| mixing.is_short(n, request, replicas))
        };
        let roomy = |mixing: &Self, pool| {
            mixing.least_committed(pool, replicas).filter(|&n| replicas[n as usize].has_room_for(request))
        };
        let mut prefill = free(self, Pool::Prefill).or_else(|| free(self, Pool::Mixed));
        let mut decode = if decodes { roomy(self, Pool::Decode).or_else(|| roomy(self, Pool::Mixed)) } else { None };
        if prefill.is_none() {
            prefill = self.least_pending(Pool::Decode, replicas);
            self.outcome.taken_from_decode += self.take(prefill);
        }
        if decodes && decode.is_none() {
            decode = roomy(self, Pool::Prefill);
            self.outcome.taken_from_prefill += self.take(decode);
        }
        match (prefill, decode) {
            (Some(prefill), decode) if decode.is_some() || !decodes => Place { prefill, decode },
            _ => {
                let least = (0..replicas.len() as u32).min_by_key(|&number| replicas[number as usize].pending_tokens());
                let least = least.expect("a deployment has replicas");
                Place { prefill: least, decode: decodes.then_some(least) }
            }
        }
    }

    /// Takes a replica into the mixed pool; returns how many that were.
    fn take(&mut self, replica: Option<u32>) -> u64 {
        let Some(number) = replica else { return 0 };
        self.pools[number as usize] = Pool::Mixed;
        1
    }

    /// Whether a replica may get another prompt.
    fn is_short(&self, number: u32, request: &Request, replicas: &[Replica]) -> bool {
        let replica = &replicas[number as usize];
        let pending = replica.pending_tokens() + u64::from(request.prompt.tokens());
        !replica.has_queue() || pending <= self.spec.max_pending_tokens
    }

    fn members(&self, pool: Pool) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.pools).filter(move |&(_, &at)| at == pool).map(|(number, _)| number)
    }

    /// The replica of a pool with the fewest pending tokens; the lowest number among equals.
    fn least_pending(&self, pool: Pool, replicas: &[Replica]) -> Option<u32> {
        self.members(pool).min_by_key(|&number| replicas[number as usize].pending_tokens())
    }

    /// The one with the fewest committed tokens.
    fn least_committed(&self, pool: Pool, replicas: &[Replica]) -> Option<u32> {
        self.members(pool).min_by_key(|&number| replicas[number as usize].committed_tokens())
    }

    /// What it came to.
    pub(super) fn close(self) -> MixedPool {
        self.outcome
    }
}
