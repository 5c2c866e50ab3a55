//! Requests that decode elsewhere than where their prompts were computed.
//!
//! The network is the engine's own: it has tests of its own.

use std::collections::{BTreeMap, BTreeSet};

use sim::network::{Network, Release};
use sim::{DecodeChoice, HandoverRecord, HandoverSpec, Policy, Rejection, TransferMode, Transfers};
use workloads::{Request, RequestId, SimDuration, SimTime};

use super::Coverage;
use super::job::Phase;
use super::replica::Replica;
use super::router::Router;

/// What stands before a decode replica.
#[derive(Default)]
pub(super) struct Entrance {
    /// Requests that want in, with where they are and, if their prompt is not complete, how it becomes available.
    offers: Vec<(RequestId, usize, Option<Release>)>,
    /// Requests that will come, and their prompt tokens.
    pub(super) expected: BTreeMap<RequestId, u32>,
    /// Accepted, and on their way.
    coming: Vec<RequestId>,
    /// Here, and without a place, in the order in which they came.
    arrived: Vec<RequestId>,
    /// Those that arrived from clients with their prompts computed.
    pub(super) prefilled: Vec<RequestId>,
    /// Blocks of those accepted that have no place.
    blocks: BTreeMap<RequestId, usize>,
    mode: Option<TransferMode>,
    mixes: bool,
}

impl Entrance {
    /// Requests that are not let in.
    pub(super) fn outside(&self) -> usize {
        self.offers.len() + self.coming.len() + self.arrived.len() + self.prefilled.len()
    }

    /// Whether the KV cache of a request is on its way here or has come.
    pub(super) fn has_accepted(&self, id: RequestId) -> bool {
        self.coming.contains(&id) || self.arrived.contains(&id)
    }

    /// Whether the replica does nothing until a copy is complete.
    pub(super) fn awaits(&self) -> bool {
        matches!(self.mode, Some(TransferMode::Pull { awaited: true, .. })) && !self.coming.is_empty()
    }
}

impl Replica {
    fn has_place(&self) -> bool {
        let taken = self.running.len() + self.entrance.coming.len() + self.entrance.arrived.len();
        taken < self.spec.scheduler.max_num_seqs as usize
    }

    /// Blocks that a request of `prompt` and `output` tokens needs to come in with `computed` of them, if it may.
    fn blocks_to_enter(&self, prompt: u32, output: u32, computed: u32) -> Option<usize> {
        let reserves = matches!(self.spec.scheduler.policy, Policy::Orca | Policy::Splitwise);
        let blocks = self.kv.blocks_for(if reserves { prompt + output - 1 } else { computed });
        let fits = blocks + self.watermark() <= self.kv.free();
        // What waits is preempted and goes first, but where any replica may have prompts to compute.
        let first = self.waiting.is_empty() || self.entrance.mixes;
        (first && fits).then_some(blocks)
    }

    /// Those that are here get places, as far as there are any; how many did.
    pub(super) fn join(&mut self) -> u32 {
        let before = self.running.len();
        while self.running.len() < self.spec.scheduler.max_num_seqs as usize && !self.entrance.arrived.is_empty() {
            let id = self.entrance.arrived.remove(0);
            self.entrance.blocks.remove(&id);
            self.running.push(id);
            self.set_phase(id, Phase::Decoding(None));
        }
        while self.has_place() && !self.entrance.prefilled.is_empty() {
            let id = self.entrance.prefilled[0];
            let request = &self.jobs[&id].request;
            let (prompt, output) = (request.prompt.tokens(), request.output_tokens);
            let Some(blocks) = self.blocks_to_enter(prompt, output, prompt - 1) else { break };
            self.entrance.prefilled.remove(0);
            self.kv.let_in(id, Vec::new(), blocks);
            self.jobs.get_mut(&id).expect("it is here").computed = prompt - 1;
            self.running.push(id);
            self.set_phase(id, Phase::Decoding(None));
        }
        self.coverage.waited_for_place += self.entrance.arrived.len() as u64;
        (self.running.len() - before) as u32
    }

    /// Blocks for the oldest offer, if it may be accepted; `size` tells its prompt and output tokens.
    fn acceptable(&self, size: impl Fn(RequestId, usize) -> (u32, u32)) -> Option<usize> {
        let &(id, from, _) = self.entrance.offers.first()?;
        let (prompt, output) = size(id, from);
        let blocks = self.blocks_to_enter(prompt, output, prompt)?;
        let may = match self.entrance.mode.expect("offers are made in a mode") {
            TransferMode::Pull { max_unbatched_permille, awaited } => {
                let idle = self.slots.iter().any(Option::is_none);
                let one_at_a_time = !awaited || (idle && self.entrance.coming.is_empty());
                let unbatched: usize = self.entrance.blocks.values().sum();
                one_at_a_time && unbatched * 1000 < max_unbatched_permille as usize * self.kv.all()
            }
            TransferMode::AfterPrefill | TransferMode::PushByLayer { .. } => self.has_place(),
        };
        may.then_some(blocks)
    }
}

/// A KV cache on its way.
struct Moving {
    id: RequestId,
    from: usize,
    to: usize,
    kv_bytes: u64,
    accepted: SimTime,
    /// Bytes of each message that has not arrived, and of those that have.
    on_the_way: u32,
    left: u64,
    /// Whether nothing more will leave.
    complete: bool,
}

/// A prompt whose layers will be offered.
struct Push {
    at: SimTime,
    order: usize,
    from: usize,
    id: RequestId,
    release: Release,
}

/// Everything between prefill and decode replicas.
pub(super) struct Handovers {
    spec: HandoverSpec,
    decoding: Vec<usize>,
    router: Router,
    network: Network,
    pushes: Vec<Push>,
    /// Everything that was ever pushed.
    pushed: BTreeSet<RequestId>,
    moving: BTreeMap<u64, Moving>,
    /// Prompts that leave by groups of layers: the layers they have passed, and those of the model.
    grouped: BTreeMap<RequestId, (u32, u32)>,
    next_tag: u64,
    bytes: u64,
    coverage: Coverage,
    pub(super) touched: BTreeSet<usize>,
}

impl Handovers {
    pub(super) fn new(spec: HandoverSpec, decoding: Vec<usize>, seed: u64) -> Self {
        Handovers {
            router: Router::new(spec.router, decoding.clone(), seed, "decode-router"),
            network: Network::new(spec.network.clone()).expect("a network that makes sense"),
            spec,
            decoding,
            pushes: Vec::new(),
            pushed: BTreeSet::new(),
            moving: BTreeMap::new(),
            grouped: BTreeMap::new(),
            next_tag: 0,
            bytes: 0,
            coverage: Coverage::default(),
            touched: BTreeSet::new(),
        }
    }

    pub(super) fn next_moment(&mut self) -> Option<SimTime> {
        self.pushes.iter().map(|push| push.at).chain(self.network.next_due()).min()
    }

    pub(super) fn rejection(&self, request: &Request, replicas: &[Replica]) -> Option<Rejection> {
        if request.output_tokens == 1 {
            return None;
        }
        self.decoding.iter().find_map(|&number| replicas[number].rejection(request))
    }

    pub(super) fn choose_at_arrival(&mut self, request: &Request, replicas: &mut [Replica]) -> Option<usize> {
        let chooses = self.spec.choice == DecodeChoice::AtArrival && request.output_tokens > 1;
        chooses.then(|| self.choose(request, replicas))
    }

    fn choose(&mut self, request: &Request, replicas: &mut [Replica]) -> usize {
        let to = self.router.pick(request, replicas);
        replicas[to].entrance.expected.insert(request.id, request.prompt.tokens());
        to
    }

    /// Offers what the step of `from` that has just ended completed.
    pub(super) fn hand_over(&mut self, from: usize, now: SimTime, replicas: &mut [Replica]) {
        let by_layer = matches!(self.spec.mode, TransferMode::PushByLayer { .. });
        for (id, layer) in std::mem::take(&mut replicas[from].passed).into_iter().filter(|_| by_layer) {
            let layers = replicas[from].spec.cost.layers().expect("groups are of layers");
            if self.grouped.insert(id, (layer, layers)).is_none() {
                self.coverage.pushed_by_group += 1;
                self.offer(id, from, None, replicas);
            }
            self.send_groups(id, now);
        }
        replicas[from].counts_leaving = self.spec.state_bytes > 0;
        for id in std::mem::take(&mut replicas[from].handed) {
            if let Some((passed, layers)) = self.grouped.get_mut(&id) {
                *passed = *layers;
                self.send_groups(id, now);
                continue;
            }
            if !self.pushed.contains(&id) {
                self.offer(id, from, None, replicas);
            }
        }
    }

    /// If a prompt that leaves by groups was accepted: sends the layers that it has passed and that have not left.
    fn send_groups(&mut self, id: RequestId, now: SimTime) {
        let Some((&tag, moving)) = self.moving.iter_mut().find(|(_, moving)| moving.id == id) else { return };
        let (passed, layers) = self.grouped[&id];
        let until = moving.kv_bytes * u64::from(passed) / u64::from(layers);
        let bytes = until - moving.left;
        moving.left = until;
        moving.complete = passed == layers;
        if bytes > 0 || moving.complete {
            moving.on_the_way += 1;
            let route = self.spec.routes[&(moving.from as u32, moving.to as u32)];
            self.network.send(now, route, bytes, tag);
        }
    }

    fn offer(&mut self, id: RequestId, from: usize, release: Option<Release>, replicas: &mut [Replica]) {
        let job = &replicas[from].jobs[&id];
        let to = if let Some(to) = job.decode_replica {
            to
        } else {
            let request = job.request.clone();
            self.choose(&request, replicas)
        };
        let entrance = &mut replicas[to].entrance;
        entrance.mode = Some(self.spec.mode);
        entrance.mixes = self.spec.mixing.is_some();
        entrance.offers.push((id, from, release));
        self.touched.insert(to);
    }

    pub(super) fn accept(&mut self, to: usize, now: SimTime, replicas: &mut [Replica]) {
        let size = |replicas: &[Replica], id: RequestId, from: usize| {
            let request = &replicas[from].jobs[&id].request;
            (request.prompt.tokens(), request.output_tokens)
        };
        while let Some(blocks) = replicas[to].acceptable(|id, from| size(replicas, id, from)) {
            let (id, from, release) = replicas[to].entrance.offers.remove(0);
            let (prompt, _) = size(replicas, id, from);
            replicas[to].kv.let_in(id, Vec::new(), blocks);
            replicas[to].entrance.coming.push(id);
            replicas[to].entrance.blocks.insert(id, blocks);
            let kv_bytes = self.spec.kv_bytes_per_token * u64::from(prompt) + self.spec.state_bytes;
            let route = self.spec.routes[&(from as u32, to as u32)];
            self.next_tag += 1;
            self.bytes += kv_bytes;
            let moving = Moving { id, from, to, kv_bytes, accepted: now, on_the_way: 0, left: 0, complete: false };
            self.moving.insert(self.next_tag, moving);
            if self.grouped.contains_key(&id) {
                self.send_groups(id, now);
                continue;
            }
            let moving = self.moving.get_mut(&self.next_tag).expect("it was put there a line ago");
            (moving.on_the_way, moving.complete) = (1, true);
            if let Some(release) = release.filter(|release| now < release.last) {
                self.coverage.pushed_early += 1;
                self.network.send_as_released(now, route, kv_bytes, release, self.next_tag);
            } else {
                self.network.send(now, route, kv_bytes, self.next_tag);
            }
        }
        self.coverage.waited_for_decode += replicas[to].entrance.offers.len() as u64;
    }

    pub(super) fn arrive(&mut self, now: SimTime, replicas: &mut [Replica]) {
        let mut tags = Vec::new();
        if self.network.next_due().is_some_and(|next| next <= now) {
            self.network.advance(now, |arrived| tags.push(arrived.tag));
        }
        for tag in tags {
            let moving = self.moving.get_mut(&tag).expect("it is there until all has arrived");
            moving.on_the_way -= 1;
            if moving.on_the_way > 0 || !moving.complete {
                continue;
            }
            let Moving { id, from, to, kv_bytes, accepted, .. } = self.moving.remove(&tag).expect("it was there");
            let mut job = replicas[from].jobs.remove(&id).expect("it waits where it was computed");
            let prompt_runs = job.request.prompt.spans().len();
            replicas[from].moved_on += 1;
            replicas[from].kv.keep(id, &job.content(), job.computed, prompt_runs);
            replicas[from].kv.release(id, &job.content(), job.computed);
            job.handover = Some(HandoverRecord {
                from: from as u32,
                to: to as u32,
                kv_bytes,
                prompt_done: *job.tokens_at.last().expect("its first token is out"),
                accepted,
                arrived: now,
            });
            job.phase = Phase::Arrived;
            let entrance = &mut replicas[to].entrance;
            entrance.coming.retain(|coming| *coming != id);
            entrance.arrived.push(id);
            entrance.expected.remove(&id);
            replicas[to].books.taken_over += 1;
            replicas[to].jobs.insert(id, job);
            self.touched.extend([from, to]);
        }
    }

    pub(super) fn offer_early(&mut self, now: SimTime, replicas: &mut [Replica]) {
        self.pushes.sort_by_key(|push| (push.at, push.order));
        while self.pushes.first().is_some_and(|push| push.at <= now) {
            let push = self.pushes.remove(0);
            self.offer(push.id, push.from, Some(push.release), replicas);
        }
    }

    /// Notes the prompts that steps of `number` in flight complete.
    pub(super) fn note_pushes(&mut self, number: usize, replicas: &[Replica]) {
        let TransferMode::PushByLayer { layers } = self.spec.mode else { return };
        if (self.decoding.contains(&number) && self.spec.mixing.is_none()) || layers == 1 {
            return;
        }
        if matches!(replicas[number].spec.scheduler.policy, Policy::LayeredPrefill { .. }) {
            return;
        }
        let mut flying: Vec<_> = replicas[number].flying().collect();
        flying.sort_by_key(|step| step.dispatch);
        for step in flying {
            for piece in step.pieces.iter().filter(|piece| piece.completes) {
                let one_token = replicas[number].jobs[&piece.id].request.output_tokens == 1;
                if one_token || !replicas[number].leaves(piece.id) || !self.pushed.insert(piece.id) {
                    continue;
                }
                let end = step.end.expect("prefill replicas have no conveyor");
                let first_ns = (end - step.start).as_nanos() / u64::from(layers);
                let at = step.start + SimDuration::from_nanos(first_ns);
                let release = Release { first: at, last: end, portions: layers };
                self.pushes.push(Push { at, order: self.pushed.len(), from: number, id: piece.id, release });
            }
        }
    }

    pub(super) fn finish(self, coverage: &mut Coverage) -> Transfers {
        assert!(self.moving.is_empty() && self.pushes.is_empty(), "a KV cache is still on its way");
        coverage.add(&self.coverage);
        Transfers { requests: self.next_tag, bytes: self.bytes, links: self.network.close() }
    }
}
