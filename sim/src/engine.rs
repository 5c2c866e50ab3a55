//! The event loop: step ends, arrivals, and pumping, in integer time.

mod check;
mod handover;
mod mixing;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use workloads::{Request, RequestId, SimDuration, SimTime, Source};

use crate::error::SimError;
use crate::outcome::{Outcome, RequestCounts};
use crate::record::{Ending, Observer, Rejection, RequestRecord};
use crate::replica::{Piping, Replica, Wants};
use crate::router::Router;
use crate::spec::{DeploymentSpec, ReplicaSpec, Role};
use check::check;
use handover::Handovers;
use mixing::{Mixing, Place};

/// What is due at which time.
#[derive(Default)]
struct Agenda {
    /// Clients that get their last token: when, and which ending it was.
    answers: BinaryHeap<Reverse<(SimTime, u64, RequestId)>>,
    /// Ends of steps: when, in which order dispatched, where. At equal times the step dispatched first ends first; of a replica
    /// that offloads attention only the end that comes next is here, and what was said before is passed over.
    ends: BinaryHeap<Reverse<(SimTime, u64, u32, u32)>>,
    /// Replicas to which something else happens that calls for pumping.
    turns: BinaryHeap<Reverse<(SimTime, u32, Turn)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// A request that was sent to the replica reaches its queue.
    Queued,
    /// A step starts, and the host of an asynchronous engine turns to the next one.
    StepStart,
}

impl Agenda {
    fn next(&self) -> Option<SimTime> {
        let end = self.ends.peek().map(|&Reverse((at, ..))| at);
        if self.answers.is_empty() && self.turns.is_empty() {
            return end;
        }
        let answer = self.answers.peek().map(|&Reverse((at, ..))| at);
        let turn = self.turns.peek().map(|&Reverse((at, ..))| at);
        end.into_iter().chain(answer).chain(turn).min()
    }
}

/// A hundred years: whoever gets here has lost a unit prefix, and integer time must not overflow.
const LATEST: SimTime = SimTime::from_nanos(100 * 365 * 86_400 * 1_000_000_000);

struct Engine<'a, O> {
    replicas: Vec<Replica>,
    router: Router,
    /// What goes from prefill to decode replicas, if anything does.
    handovers: Option<Handovers>,
    /// Who is in which pool, if replicas change between them.
    mixing: Option<Mixing>,
    source: &'a mut dyn Source,
    observer: &'a mut O,
    wants: Wants,
    agenda: Agenda,
    /// Requests of the current time, where the router looks at them together.
    gathered: Vec<Request>,
    dispatched: u64,
    /// Replicas to be pumped at the current time.
    touched: Vec<u32>,
    counts: RequestCounts,
    last_completion: SimTime,
}

/// Plays a workload against a deployment until the last request has left.
///
/// # Errors
/// If the deployment makes no sense, or the workload cannot be read to its end.
///
/// # Panics
/// If the simulation breaks a conservation law: a bug of this crate or of an observer.
pub fn simulate(
    spec: DeploymentSpec,
    source: &mut dyn Source,
    observer: &mut impl Observer,
) -> Result<Outcome, SimError> {
    check(&spec)?;
    let first_arrival = source.next_arrival()?.ok_or(SimError::EmptyWorkload)?;
    let decoding = numbers(&spec.replicas, Role::Decode);
    let prefilling = numbers(&spec.replicas, Role::Prefill);
    let all = (0..spec.replicas.len() as u32).collect();
    let router = Router::new(spec.router, if prefilling.is_empty() { all } else { prefilling }, spec.seed, "router");
    let mixing = spec.handover.as_ref().and_then(|handover| handover.mixing);
    let seed = spec.seed;
    let handover = spec.handover;
    let build = |(number, spec): (usize, ReplicaSpec)| {
        let piping = handover.as_ref().map_or_else(Piping::default, |handover| Piping::new(spec.role, handover));
        Replica::new(number as u32, spec, piping, seed)
    };
    let mut replicas: Vec<Replica> = spec.replicas.into_iter().enumerate().map(build).collect();
    let handovers = handover.map(|handover| Handovers::new(handover, decoding, seed)).transpose()?;
    let mixing = mixing.map(|mixing| Mixing::new(mixing, &replicas));
    for replica in &mut replicas {
        replica.start(first_arrival, observer.gaps_of().window());
    }
    let mut engine = Engine {
        replicas,
        router,
        handovers,
        mixing,
        source,
        wants: Wants {
            steps: observer.wants_steps(),
            work: observer.wants_step_work(),
            details: observer.wants_step_details(),
        },
        observer,
        agenda: Agenda::default(),
        gathered: Vec::new(),
        dispatched: 0,
        touched: Vec::new(),
        counts: RequestCounts::default(),
        last_completion: first_arrival,
    };
    engine.run(first_arrival)?;
    let end = engine.last_completion;
    let counts = engine.counts;
    assert_eq!(counts.issued, counts.completed + counts.rejected(), "a request was lost");
    let replicas: Vec<_> = engine.replicas.into_iter().map(|replica| replica.close(first_arrival, end)).collect();
    let transfers = engine.handovers.map(|handovers| handovers.close(&replicas));
    let mixed = engine.mixing.map(Mixing::close);
    Ok(Outcome { first_arrival, end, requests: counts, replicas, transfers, mixed })
}

/// The replicas of a role.
fn numbers(replicas: &[ReplicaSpec], role: Role) -> Vec<u32> {
    (0..).zip(replicas).filter(|(_, replica)| replica.role == role).map(|(number, _)| number).collect()
}

impl<O: Observer> Engine<'_, O> {
    fn run(&mut self, first_arrival: SimTime) -> Result<(), SimError> {
        let mut now = first_arrival;
        let mut arrival = Some(first_arrival);
        loop {
            let due = self.next_due();
            now = match (due, arrival) {
                (Some(due), Some(arrival)) => due.min(arrival),
                (Some(due), None) => due,
                (None, Some(arrival)) => arrival,
                (None, None) => return Ok(()),
            }
            .max(now);
            if now > LATEST {
                return Err(SimError::TooLong { now });
            }
            if due == Some(now) && self.handle_due(now) {
                arrival = self.source.next_arrival()?;
            }
            while arrival.is_some_and(|at| at <= now) {
                self.take_request(now)?;
                arrival = self.source.next_arrival()?;
                if !self.gathered.is_empty() && arrival.is_none_or(|at| at > now) {
                    self.share_out(now);
                    // Refusals may have let others come.
                    arrival = self.source.next_arrival()?;
                }
            }
            self.pump(now);
        }
    }

    fn next_due(&mut self) -> Option<SimTime> {
        let due = self.agenda.next();
        let Some(handovers) = &mut self.handovers else { return due };
        due.into_iter().chain(handovers.next()).min()
    }

    /// Handles all that is due now: answers, ends of steps, transfers, turns. `true` if the source was told of endings.
    fn handle_due(&mut self, now: SimTime) -> bool {
        let mut told = false;
        while let Some(&Reverse((at, _, request))) = self.agenda.answers.peek()
            && at <= now
        {
            self.agenda.answers.pop();
            self.source.ended(request, now);
            told = true;
        }
        while let Some(&Reverse((at, _, replica, slot))) = self.agenda.ends.peek()
            && at <= now
        {
            self.agenda.ends.pop();
            if !self.replicas[replica as usize].still_ends(slot, at) {
                continue;
            }
            told |= self.end_step(replica, slot, now);
            self.touched.push(replica);
        }
        if let Some(handovers) = &mut self.handovers {
            handovers.arrive(now, &mut self.replicas, &mut self.touched);
            handovers.offer_early(now, &mut self.replicas, &mut self.touched);
        }
        while let Some(&Reverse((at, replica, turn))) = self.agenda.turns.peek()
            && at <= now
        {
            self.agenda.turns.pop();
            if turn == Turn::Queued {
                self.replicas[replica as usize].enqueue_next();
            }
            self.touched.push(replica);
        }
        told
    }

    /// Ends a step; `true` if requests left with it and the source was told.
    fn end_step(&mut self, replica: u32, slot: u32, now: SimTime) -> bool {
        let before = self.counts.completed;
        let (source, counts, answers) = (&mut *self.source, &mut self.counts, &mut self.agenda.answers);
        let number = replica;
        let replica = &mut self.replicas[number as usize];
        let to_client = replica.engine_to_client();
        let answered = now + to_client;
        replica.end_step(slot, now, self.observer, |request| {
            counts.completed += 1;
            if to_client == SimDuration::ZERO {
                source.ended(request, now);
            } else {
                answers.push(Reverse((answered, counts.completed, request)));
            }
        });
        if let Some((end, order, slot)) = replica.next_end() {
            self.agenda.ends.push(Reverse((end, order, number, slot)));
        }
        if let Some(handovers) = &mut self.handovers {
            handovers.hand_over(number, now, &mut self.replicas, &mut self.touched);
        }
        if self.counts.completed == before {
            return false;
        }
        self.last_completion = self.last_completion.max(answered);
        self.observer.progress(now, self.counts.completed + self.counts.rejected());
        to_client == SimDuration::ZERO
    }

    fn take_request(&mut self, now: SimTime) -> Result<(), SimError> {
        let request = self.source.take();
        if request.arrival != now {
            return Err(SimError::NotAsAnnounced { request: request.id.0, arrival: request.arrival, now });
        }
        if request.prompt.tokens() == 0 || request.output_tokens == 0 {
            return Err(SimError::EmptyRequest {
                request: request.id.0,
                input_tokens: request.prompt.tokens(),
                output_tokens: request.output_tokens,
            });
        }
        self.counts.issued += 1;
        if self.router.cuts() {
            self.gathered.push(request);
            return Ok(());
        }
        let place = self.place(&request);
        self.settle(place, request, now);
        Ok(())
    }

    /// Cuts the requests of this time, and sends them off in the order in which they came.
    fn share_out(&mut self, now: SimTime) {
        let requests = std::mem::take(&mut self.gathered);
        let chosen = self.router.cut(&self.replicas, &requests);
        for (request, replica) in requests.into_iter().zip(chosen) {
            let refusal = self.replicas[replica as usize].refusal(&request);
            let place = refusal.map_or(Ok(Place { prefill: replica, decode: None }), |why| Err((replica, why)));
            self.settle(place, request, now);
        }
    }

    fn settle(&mut self, place: Result<Place, (u32, Rejection)>, request: Request, now: SimTime) {
        match place {
            Ok(place) => {
                self.replicas[place.prefill as usize].count_request();
                self.send(place, request, now);
            }
            Err((replica, rejection)) => {
                self.replicas[replica as usize].count_request();
                self.reject(&request, replica, rejection, now);
            }
        }
    }

    /// Where a request goes, or which replica can never serve it, and why.
    fn place(&mut self, request: &Request) -> Result<Place, (u32, Rejection)> {
        if let Some(mixing) = &mut self.mixing {
            return match Mixing::refusal(request, &self.replicas) {
                Some(refusal) => Err(refusal),
                None => Ok(mixing.place(request, &mut self.replicas)),
            };
        }
        let prefill = self.router.choose(&self.replicas, &request.prompt);
        let refusal = self.replicas[prefill as usize].refusal(request);
        let decode_refusal =
            || self.handovers.as_ref().and_then(|handovers| handovers.refusal(request, &self.replicas));
        if let Some(rejection) = refusal.or_else(decode_refusal) {
            return Err((prefill, rejection));
        }
        let handovers = self.handovers.as_mut();
        let decode = handovers.and_then(|handovers| handovers.choose_early(request, &mut self.replicas));
        Ok(Place { prefill, decode })
    }

    /// Sends a request on its way to the queue of a replica.
    fn send(&mut self, place: Place, request: Request, now: SimTime) {
        let chosen = place.prefill;
        let replica = &mut self.replicas[chosen as usize];
        replica.send(request, place.decode);
        let on_the_way = replica.client_to_engine();
        if on_the_way == SimDuration::ZERO {
            replica.enqueue_next();
            self.touched.push(chosen);
        } else {
            self.agenda.turns.push(Reverse((now + on_the_way, chosen, Turn::Queued)));
        }
    }

    fn reject(&mut self, request: &Request, replica: u32, rejection: Rejection, now: SimTime) {
        match rejection {
            Rejection::ExceedsModelLength => self.counts.rejected_model_length += 1,
            Rejection::ExceedsKvCache => self.counts.rejected_kv_cache += 1,
            Rejection::ExceedsBatch => self.counts.rejected_batch += 1,
        }
        self.observer.request(&RequestRecord {
            id: request.id,
            session: request.session,
            ending: Ending::Rejected(rejection),
            replica,
            arrival: now,
            first_scheduled: now,
            first_token: now,
            last_token: now,
            input_tokens: request.prompt.tokens(),
            cached_tokens: 0,
            output_tokens: 0,
            preemptions: 0,
            max_gap: SimDuration::ZERO,
            energy_nj: 0,
            handover: None,
        });
        self.source.ended(request.id, now);
    }

    /// Pumps the replicas touched at this time, in order of their numbers.
    fn pump(&mut self, now: SimTime) {
        if self.touched.len() > 1 {
            self.touched.sort_unstable();
            self.touched.dedup();
        }
        for &number in &self.touched {
            if let Some(handovers) = &mut self.handovers {
                handovers.accept(number, now, &mut self.replicas);
            }
            let (agenda, dispatched) = (&mut self.agenda, &mut self.dispatched);
            let before = *dispatched;
            self.replicas[number as usize].pump(now, self.observer, self.wants, |step| {
                *dispatched += 1;
                if let Some(end) = step.end {
                    agenda.ends.push(Reverse((end, *dispatched, number, step.slot)));
                }
                if let Some(start) = step.turn_at {
                    agenda.turns.push(Reverse((start, number, Turn::StepStart)));
                }
                *dispatched
            });
            if *dispatched > before
                && let Some((end, order, slot)) = self.replicas[number as usize].next_end()
            {
                agenda.ends.push(Reverse((end, order, number, slot)));
            }
            if let Some(handovers) = &mut self.handovers {
                handovers.begin_pushing(number, &mut self.replicas);
            }
        }
        self.touched.clear();
    }
}
