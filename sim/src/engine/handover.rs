//! Requests between replicas: handed over by one that computed their prompts, on the network, let in by one that decodes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use workloads::{Request, SimDuration, SimTime};

use crate::error::SimError;
use crate::kv::Hold;
use crate::network::{Network, Release};
use crate::outcome::{ReplicaOutcome, Transfers};
use crate::record::{HandoverRecord, Rejection};
use crate::replica::{LayersPassed, LiveId, Offer, Origin, Replica};
use crate::router::Router;
use crate::spec::{DecodeChoice, HandoverSpec, TransferMode};

/// A prompt whose layers are pushed from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Push {
    /// When its first layer is done.
    first: SimTime,
    /// Order in which its step was dispatched.
    order: u64,
    /// When its last layer is done, with its step.
    last: SimTime,
    replica: u32,
    live: LiveId,
}

/// A transfer under way.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    origin: Origin,
    to: u32,
    /// Blocks that the decode replica took for it.
    hold: Hold,
    kv_bytes: u64,
    accepted: SimTime,
    /// Bytes that have left.
    sent: u64,
    /// Messages that carry them and have not arrived.
    messages: u32,
}

/// A prompt that leaves by groups of layers.
#[derive(Clone, Copy, Debug)]
struct Grouped {
    origin: Origin,
    passed: LayersPassed,
    /// Its transfer, once it was accepted.
    tag: Option<u64>,
}

/// What is being handed over.
pub(super) struct Handovers {
    spec: HandoverSpec,
    decoding: Vec<u32>,
    router: Router,
    network: Network,
    pushes: BinaryHeap<Reverse<Push>>,
    pushed: u64,
    grouped: Vec<Grouped>,
    transfers: Vec<Option<Transfer>>,
    unused: Vec<u64>,
    /// Transfers that have arrived now.
    arrived: Vec<u64>,
    requests: u64,
    bytes: u64,
    arrived_bytes: u64,
}

impl Handovers {
    pub(super) fn new(mut spec: HandoverSpec, decoding: Vec<u32>, seed: u64) -> Result<Self, SimError> {
        let network = Network::new(std::mem::take(&mut spec.network))?;
        Ok(Handovers {
            router: Router::new(spec.router, decoding.clone(), seed, "decode-router"),
            spec,
            decoding,
            network,
            pushes: BinaryHeap::new(),
            pushed: 0,
            grouped: Vec::new(),
            transfers: Vec::new(),
            unused: Vec::new(),
            arrived: Vec::new(),
            requests: 0,
            bytes: 0,
            arrived_bytes: 0,
        })
    }

    /// When something happens next.
    pub(super) fn next(&mut self) -> Option<SimTime> {
        let push = self.pushes.peek().map(|Reverse(push)| push.first);
        push.into_iter().chain(self.network.next_due()).min()
    }

    /// Why a request can never be decoded, if so. It may be sent to any decode replica, and none if its first token is its
    /// last.
    pub(super) fn refusal(&self, request: &Request, replicas: &[Replica]) -> Option<Rejection> {
        if request.output_tokens == 1 {
            return None;
        }
        self.decoding.iter().find_map(|&number| replicas[number as usize].refusal(request))
    }

    /// The decode replica of a request that arrives, if it is chosen now.
    pub(super) fn choose_early(&mut self, request: &Request, replicas: &mut [Replica]) -> Option<u32> {
        if self.spec.choice == DecodeChoice::AfterPrefill || request.output_tokens == 1 {
            return None;
        }
        let chosen = self.router.choose(replicas, &request.prompt);
        replicas[chosen as usize].expect(&request.prompt);
        Some(chosen)
    }

    /// Offers the requests whose prompts a step on replica `from` has just completed to their decode replicas, or those of
    /// which it has passed the first group of layers; what it has computed of others leaves.
    pub(super) fn hand_over(&mut self, from: u32, now: SimTime, replicas: &mut [Replica], touched: &mut Vec<u32>) {
        for (live, passed) in replicas[from as usize].take_passed() {
            let origin = Origin { replica: from, live };
            if !self.pass(origin, passed, now) {
                self.grouped.push(Grouped { origin, passed, tag: None });
                self.offer(origin, None, replicas, touched);
            }
        }
        let mut handed = replicas[from as usize].take_handed();
        for live in handed.drain(..) {
            let origin = Origin { replica: from, live };
            self.pass(origin, LayersPassed::ALL, now);
            if !replicas[from as usize].leaving(live).offered {
                self.offer(origin, None, replicas, touched);
            }
        }
        replicas[from as usize].return_handed(handed);
    }

    /// A prompt that leaves by groups of layers has passed these; `false` if it is none.
    fn pass(&mut self, origin: Origin, passed: LayersPassed, now: SimTime) -> bool {
        let Some(grouped) = self.grouped.iter_mut().find(|grouped| grouped.origin == origin) else { return false };
        grouped.passed = passed;
        if let Some(tag) = grouped.tag {
            self.send_passed(tag, passed, now);
            self.grouped.retain(|grouped| grouped.origin != origin || !grouped.passed.is_all());
        }
        true
    }

    /// What has been computed of a KV cache, and has not left, leaves.
    fn send_passed(&mut self, tag: u64, passed: LayersPassed, now: SimTime) {
        let transfer = self.transfers[tag as usize].as_mut().expect("it is under way");
        let bytes = passed.of(transfer.kv_bytes) - transfer.sent;
        // The last message goes even if it is empty: it is its arrival that counts.
        if bytes > 0 || passed.is_all() {
            transfer.sent += bytes;
            transfer.messages += 1;
            let route = self.spec.routes[&(transfer.origin.replica, transfer.to)];
            self.network.send(now, route, bytes, tag);
        }
    }

    fn offer(&mut self, origin: Origin, release: Option<Release>, replicas: &mut [Replica], touched: &mut Vec<u32>) {
        let live = replicas[origin.replica as usize].leaving(origin.live);
        live.offered = true;
        let (tokens, longest) = (live.prompt.tokens(), live.prompt.tokens() + live.output_tokens - 1);
        let to = if let Some(to) = live.decode_replica {
            to
        } else {
            let prompt = live.prompt.clone();
            let to = self.router.choose(replicas, &prompt);
            replicas[to as usize].expect(&prompt);
            replicas[origin.replica as usize].leaving(origin.live).decode_replica = Some(to);
            to
        };
        replicas[to as usize].offer(Offer { origin, tokens, longest, release });
        touched.push(to);
    }

    /// Lets the decode replica `to` take in what it can, and begins the transfers.
    pub(super) fn accept(&mut self, to: u32, now: SimTime, replicas: &mut [Replica]) {
        while let Some((offer, hold)) = replicas[to as usize].accept() {
            let origin = offer.origin;
            let kv_bytes = self.spec.kv_bytes_per_token * u64::from(offer.tokens) + self.spec.state_bytes;
            let tag = self.begin(Transfer { origin, to, hold, kv_bytes, accepted: now, sent: 0, messages: 0 });
            if let Some(grouped) = self.grouped.iter_mut().find(|grouped| grouped.origin == origin) {
                grouped.tag = Some(tag);
                let passed = grouped.passed;
                self.pass(origin, passed, now);
                continue;
            }
            let transfer = self.transfers[tag as usize].as_mut().expect("it was just begun");
            (transfer.sent, transfer.messages) = (kv_bytes, 1);
            let route = self.spec.routes[&(origin.replica, to)];
            match offer.release {
                Some(release) if now < release.last => {
                    self.network.send_as_released(now, route, kv_bytes, release, tag);
                }
                _ => self.network.send(now, route, kv_bytes, tag),
            }
        }
    }

    fn begin(&mut self, transfer: Transfer) -> u64 {
        self.requests += 1;
        self.bytes += transfer.kv_bytes;
        if let Some(tag) = self.unused.pop() {
            self.transfers[tag as usize] = Some(transfer);
            return tag;
        }
        self.transfers.push(Some(transfer));
        self.transfers.len() as u64 - 1
    }

    /// Moves the requests whose KV caches have arrived by now.
    pub(super) fn arrive(&mut self, now: SimTime, replicas: &mut [Replica], touched: &mut Vec<u32>) {
        if self.network.next_due().is_none_or(|next| next > now) {
            return;
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        self.network.advance(now, |message| arrived.push(message.tag));
        for tag in arrived.drain(..) {
            let place = &mut self.transfers[tag as usize];
            let transfer = place.as_mut().expect("it is under way until all of it has arrived");
            transfer.messages -= 1;
            if transfer.messages > 0 || transfer.sent < transfer.kv_bytes {
                continue;
            }
            let Transfer { origin, to, hold, kv_bytes, accepted, .. } = place.take().expect("it was there a line ago");
            self.unused.push(tag);
            self.arrived_bytes += kv_bytes;
            let live = replicas[origin.replica as usize].give_away(origin.live);
            let prompt_done = live.last_token;
            let from = origin.replica;
            let record = HandoverRecord { from, to, kv_bytes, prompt_done, accepted, arrived: now };
            replicas[to as usize].take_over(live, hold, record);
            touched.extend([from, to]);
        }
        self.arrived = arrived;
    }

    /// Offers prompts whose first layer is done by now.
    pub(super) fn offer_early(&mut self, now: SimTime, replicas: &mut [Replica], touched: &mut Vec<u32>) {
        while let Some(&Reverse(push)) = self.pushes.peek()
            && push.first <= now
        {
            self.pushes.pop();
            let TransferMode::PushByLayer { layers } = self.spec.mode else { unreachable!("only layers are pushed") };
            let release = Release { first: push.first, last: push.last, portions: layers };
            self.offer(Origin { replica: push.replica, live: push.live }, Some(release), replicas, touched);
        }
    }

    /// Notes the prompts whose last piece replica `from` has dispatched since the last call.
    pub(super) fn begin_pushing(&mut self, from: u32, replicas: &mut [Replica]) {
        let TransferMode::PushByLayer { layers } = self.spec.mode else { return };
        let begun = replicas[from as usize].drain_pushing();
        if layers == 1 {
            return;
        }
        for (start, last, live) in begun {
            let first = start + SimDuration::from_nanos((last - start).as_nanos() / u64::from(layers));
            self.pushed += 1;
            self.pushes.push(Reverse(Push { first, order: self.pushed, last, replica: from, live }));
        }
    }

    /// Closes the books at the end of the run.
    pub(super) fn close(self, replicas: &[ReplicaOutcome]) -> Transfers {
        assert!(self.pushes.is_empty() && self.grouped.is_empty(), "a prompt is still to be pushed");
        assert!(self.transfers.iter().all(Option::is_none), "a KV cache is still on its way");
        assert_eq!(self.bytes, self.arrived_bytes, "a KV cache was lost or doubled on its way");
        let sum = |of: fn(&ReplicaOutcome) -> u64| replicas.iter().map(of).sum::<u64>();
        let (handed, taken) = (sum(|replica| replica.handed_over), sum(|replica| replica.taken_over));
        assert_eq!((handed, taken), (self.requests, self.requests), "a request was lost or doubled on its way");
        Transfers { requests: self.requests, bytes: self.bytes, links: self.network.close() }
    }
}
