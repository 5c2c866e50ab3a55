//! The event loop: step ends, arrivals, and pumping, in integer time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use workloads::{Request, SimDuration, SimTime, Source};

use crate::error::SimError;
use crate::outcome::{Outcome, RequestCounts};
use crate::record::{Ending, Observer, Rejection, RequestRecord};
use crate::replica::{Replica, Wants};
use crate::router::Router;
use crate::spec::{DeploymentSpec, ReplicaSpec};

/// End of a step: when, in which order dispatched, where. At equal times the step dispatched first ends first.
type StepEnd = Reverse<(SimTime, u64, u32, u32)>;

/// A hundred years: whoever gets here has lost a unit prefix, and integer time must not overflow.
const LATEST: SimTime = SimTime::from_nanos(100 * 365 * 86_400 * 1_000_000_000);

struct Engine<'a, O> {
    replicas: Vec<Replica>,
    router: Router,
    source: &'a mut dyn Source,
    observer: &'a mut O,
    wants: Wants,
    ends: BinaryHeap<StepEnd>,
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
    let mut replicas: Vec<Replica> =
        spec.replicas.into_iter().enumerate().map(|(number, spec)| Replica::new(number as u32, spec)).collect();
    for replica in &mut replicas {
        replica.start(first_arrival);
    }
    let mut engine = Engine {
        replicas,
        router: Router::new(spec.router, spec.seed),
        source,
        wants: Wants {
            steps: observer.wants_steps(),
            work: observer.wants_step_work(),
            details: observer.wants_step_details(),
        },
        observer,
        ends: BinaryHeap::new(),
        dispatched: 0,
        touched: Vec::new(),
        counts: RequestCounts::default(),
        last_completion: first_arrival,
    };
    engine.run(first_arrival)?;
    let end = engine.last_completion;
    let counts = engine.counts;
    assert_eq!(counts.issued, counts.completed + counts.rejected(), "a request was lost");
    let replicas = engine.replicas.into_iter().map(|replica| replica.close(first_arrival, end)).collect();
    Ok(Outcome { first_arrival, end, requests: counts, replicas })
}

impl<O: Observer> Engine<'_, O> {
    fn run(&mut self, first_arrival: SimTime) -> Result<(), SimError> {
        let mut now = first_arrival;
        let mut arrival = Some(first_arrival);
        loop {
            let step_end = self.ends.peek().map(|&Reverse((end, ..))| end);
            now = match (step_end, arrival) {
                (Some(end), Some(arrival)) => end.min(arrival),
                (Some(end), None) => end,
                (None, Some(arrival)) => arrival,
                (None, None) => return Ok(()),
            }
            .max(now);
            if now > LATEST {
                return Err(SimError::TooLong { now });
            }
            if step_end == Some(now) && self.end_steps(now) {
                arrival = self.source.next_arrival()?;
            }
            while arrival.is_some_and(|at| at <= now) {
                self.take_request(now)?;
                arrival = self.source.next_arrival()?;
            }
            self.pump(now);
        }
    }

    /// Ends all steps that end now; `true` if requests left with them.
    fn end_steps(&mut self, now: SimTime) -> bool {
        let before = self.counts.completed;
        while let Some(&Reverse((end, _, replica, slot))) = self.ends.peek() {
            if end > now {
                break;
            }
            self.ends.pop();
            let (source, counts) = (&mut *self.source, &mut self.counts);
            self.replicas[replica as usize].end_step(slot, now, self.observer, |request| {
                counts.completed += 1;
                source.ended(request, now);
            });
            self.touched.push(replica);
        }
        if self.counts.completed == before {
            return false;
        }
        self.last_completion = now;
        self.observer.progress(now, self.counts.completed + self.counts.rejected());
        true
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
        let chosen = self.router.choose(&self.replicas, &request);
        let replica = &mut self.replicas[chosen];
        replica.count_request();
        if let Some(rejection) = replica.refusal(&request) {
            self.reject(&request, chosen as u32, rejection, now);
        } else {
            replica.arrive(request);
            self.touched.push(chosen as u32);
        }
        Ok(())
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
            let (ends, dispatched) = (&mut self.ends, &mut self.dispatched);
            self.replicas[number as usize].pump(now, self.observer, self.wants, |step| {
                *dispatched += 1;
                ends.push(Reverse((step.end, *dispatched, number, step.slot)));
            });
        }
        self.touched.clear();
    }
}

fn check(spec: &DeploymentSpec) -> Result<(), SimError> {
    if spec.replicas.is_empty() {
        return Err(SimError::NoReplicas);
    }
    spec.replicas.iter().enumerate().try_for_each(|(number, replica)| check_replica(number, replica))
}

fn check_replica(replica: usize, spec: &ReplicaSpec) -> Result<(), SimError> {
    let wrong = |field, value: &dyn ToString, expected: &str| {
        Err(SimError::Spec { replica, field, value: value.to_string(), expected: expected.to_owned() })
    };
    if spec.kv.block_size == 0 {
        return wrong("block_size", &0, "a block holds at least one token");
    }
    if spec.kv.blocks == 0 {
        return wrong("blocks", &0, "the KV cache has at least one block");
    }
    if spec.scheduler.max_num_seqs == 0 {
        return wrong("max_num_seqs", &0, "at least one request must be able to run");
    }
    if spec.scheduler.max_num_batched_tokens < spec.scheduler.max_num_seqs {
        return wrong(
            "max_num_batched_tokens",
            &spec.scheduler.max_num_batched_tokens,
            &format!(
                "at least max_num_seqs = {}, so that every running request can decode",
                spec.scheduler.max_num_seqs
            ),
        );
    }
    if spec.max_model_len < 2 {
        return wrong("max_model_len", &spec.max_model_len, "at least 2: a prompt token and an output token");
    }
    if spec.sliding_window == Some(0) {
        return wrong("sliding_window", &0, "a window holds at least one token");
    }
    if spec.cost.stages() == 0 {
        return wrong("cost", &"0 stages", "at least one pipeline stage");
    }
    if !(spec.idle_power_w.is_finite() && spec.idle_power_w >= 0.0) {
        return wrong("idle_power_w", &spec.idle_power_w, "a finite power, not negative");
    }
    Ok(())
}
