//! A deliberately naive simulator: the specification in code.
//!
//! It does what `SEMANTICS.md` says in the plainest way: one struct per request, each touched in every step; KV blocks
//! as single objects; content chains spelled out; plain loops over lists. It shares no code with the engine but the
//! types of its interface, so that whatever both agree on was understood twice.

mod batchllm;
mod blendserve;
mod checkpoints;
mod chunked_prefill;
mod conveyor;
pub(crate) mod grouping;
mod handover;
mod job;
mod kv;
mod layered_prefill;
mod mixing;
mod orca;
mod order;
mod prefill_first;
mod replica;
mod router;
mod sarathi;
mod scheduling;
mod splitwise;

use std::collections::{BTreeMap, BTreeSet};

use sim::{
    DecodeMember, DeploymentSpec, Ending, Outcome, PrefillMember, Rejection, RequestCounts, RequestRecord, Role,
    StepRecord,
};
use workloads::{RequestId, SimDuration, SimTime, Source};

use handover::Handovers;
use job::Job;
use mixing::Mixing;
use replica::Replica;
use router::Router;

/// Everything a run reports, from either simulator.
#[derive(Debug)]
pub(crate) struct Run {
    /// In the order in which requests ended.
    pub(crate) records: Vec<RequestRecord>,
    /// How often each gap between two tokens of a request occurred, by when its client saw it and how long it was, in
    /// nanoseconds.
    pub(crate) gaps: BTreeMap<(u64, u64), u64>,
    /// In the order in which steps were dispatched.
    pub(crate) steps: Vec<StepRecord>,
    /// Who was in each of them.
    pub(crate) members: Vec<Members>,
    /// The books.
    pub(crate) outcome: Outcome,
}

/// Who is in a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Members {
    /// In the order in which they were scheduled.
    pub(crate) prefill: Vec<PrefillMember>,
    /// In running order.
    pub(crate) decode: Vec<DecodeMember>,
    pub(crate) sampled: u32,
    pub(crate) stage_ns: Vec<u64>,
}

/// How often the rare things happened, so that tests can demand that they did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) self_preemptions: u64,
    /// A prefilling request found no block and nobody to preempt.
    pub(crate) without_victim: u64,
    /// Known blocks that were taken for something else.
    pub(crate) evictions: u64,
    /// Blocks computed although their chain was known.
    pub(crate) duplicates: u64,
    /// Steps after which two or more running requests were prefilled in part.
    pub(crate) overlapping_prefills: u64,
    /// Chunks scheduled while an earlier chunk of the same request was in flight.
    pub(crate) chained_chunks: u64,
    /// Decoding requests left out of a step because the budget was gone.
    pub(crate) loosened: u64,
    /// Requests let in again after a preemption that found their prefix in the cache.
    pub(crate) hits_after_preemption: u64,
    /// Requests let in that matched a block scheduled in the same step.
    pub(crate) hits_in_same_step: u64,
    /// A replica had preempted all it had, and started over.
    pub(crate) pumped_again: u64,
    /// Moments at which several steps ended.
    pub(crate) simultaneous_ends: u64,
    /// Requests preempted while a step with them was in flight.
    pub(crate) victims_in_flight: u64,
    /// Requests preempted although nothing was left for them to generate.
    pub(crate) finishing_victims: u64,
    /// Cohorts of layered prefill with several prompts.
    pub(crate) shared_cohorts: u64,
    /// Cohorts that began with the rest of a prompt.
    pub(crate) resumed_prompts: u64,
    /// Requests preempted while a cohort was between two groups of layers.
    pub(crate) preemptions_beside_cohorts: u64,
    /// Steps for which the device waited, although there was work, until the host was done.
    pub(crate) waited_for_host: u64,
    /// Offers that were not accepted when they were made.
    pub(crate) waited_for_decode: u64,
    /// Transfers that began before their prompt was complete.
    pub(crate) pushed_early: u64,
    /// Prompts that left by groups of layers.
    pub(crate) pushed_by_group: u64,
    /// Requests that were there and had no place to decode.
    pub(crate) waited_for_place: u64,
    /// Loose requests that no batch had room for.
    pub(crate) left_to_other_batches: u64,
    /// Requests that kept their blocks although they lacked one, because a batch was on its way.
    pub(crate) kept_blocks: u64,
    /// Pools of several requests that came into another order, and queues that were sorted otherwise than they stood.
    pub(crate) reordered: u64,
    /// Batches that were cut into parts for several replicas.
    pub(crate) cut_apart: u64,
    /// Requests that moved from the left side to the right one.
    pub(crate) relabelled: u64,
    /// Requests that there was room for, and that were not let in because their side lets in evenly.
    pub(crate) paced: u64,
    /// Groups whose prefix was computed.
    pub(crate) opened_groups: u64,
    /// Those of them whose prefix was let in from the tail.
    pub(crate) opened_at_the_tail: u64,
    /// Those of them whose prefix was preempted on the way.
    pub(crate) preempted_prefixes: u64,
    /// Requests that there was room for, and that were not let in because prefixes stay.
    pub(crate) kept_out: u64,
    /// Replicas of a mixed pool that went back to their own.
    pub(crate) went_home: u64,
    /// Requests for which no replica of a mixed pool had room.
    pub(crate) found_no_place: u64,
    /// Checkpoints of prompts that left what was kept.
    pub(crate) branches: u64,
    /// Nodes at which sequences parted without one.
    pub(crate) bare_branches: u64,
    /// What did not fit beside what was held.
    pub(crate) not_kept: u64,
    /// Hits that would have left a request too few blocks.
    pub(crate) given_up_hits: u64,
}

impl Coverage {
    fn add(&mut self, other: &Coverage) {
        self.self_preemptions += other.self_preemptions;
        self.without_victim += other.without_victim;
        self.evictions += other.evictions;
        self.duplicates += other.duplicates;
        self.overlapping_prefills += other.overlapping_prefills;
        self.chained_chunks += other.chained_chunks;
        self.loosened += other.loosened;
        self.hits_after_preemption += other.hits_after_preemption;
        self.hits_in_same_step += other.hits_in_same_step;
        self.pumped_again += other.pumped_again;
        self.simultaneous_ends += other.simultaneous_ends;
        self.victims_in_flight += other.victims_in_flight;
        self.finishing_victims += other.finishing_victims;
        self.shared_cohorts += other.shared_cohorts;
        self.resumed_prompts += other.resumed_prompts;
        self.preemptions_beside_cohorts += other.preemptions_beside_cohorts;
        self.waited_for_host += other.waited_for_host;
        self.waited_for_decode += other.waited_for_decode;
        self.pushed_early += other.pushed_early;
        self.pushed_by_group += other.pushed_by_group;
        self.waited_for_place += other.waited_for_place;
        self.left_to_other_batches += other.left_to_other_batches;
        self.kept_blocks += other.kept_blocks;
        self.reordered += other.reordered;
        self.cut_apart += other.cut_apart;
        self.relabelled += other.relabelled;
        self.paced += other.paced;
        self.opened_groups += other.opened_groups;
        self.opened_at_the_tail += other.opened_at_the_tail;
        self.preempted_prefixes += other.preempted_prefixes;
        self.kept_out += other.kept_out;
        self.went_home += other.went_home;
        self.found_no_place += other.found_no_place;
        self.branches += other.branches;
        self.bare_branches += other.bare_branches;
        self.not_kept += other.not_kept;
        self.given_up_hits += other.given_up_hits;
    }
}

/// Runs the deployment on all requests of the source.
pub(crate) fn simulate(spec: DeploymentSpec, source: &mut dyn Source) -> (Run, Coverage) {
    let of = |role| (0..spec.replicas.len()).filter(|&number| spec.replicas[number].role == role).collect::<Vec<_>>();
    let (entry, decoding) = match of(Role::Prefill) {
        prefilling if prefilling.is_empty() => ((0..spec.replicas.len()).collect(), Vec::new()),
        prefilling => (prefilling, of(Role::Decode)),
    };
    let mut router = Router::new(spec.router, entry, spec.seed, "router");
    let mut mixing = spec.handover.as_ref().and_then(|handover| handover.mixing).map(Mixing::new);
    let mut handovers = spec.handover.map(|handover| Handovers::new(handover, decoding, spec.seed));
    let mut replicas: Vec<Replica> = (0..)
        .zip(spec.replicas)
        .map(|(number, replica)| Replica::new(number, replica, spec.seed, mixing.is_some()))
        .collect();
    let mut log = Log::default();
    let mut coverage = Coverage::default();
    while let Some(now) = next_moment(&replicas, &log, handovers.as_mut(), source) {
        log.answer(now, source);
        let mut ends = Vec::new();
        while let Some((number, slot)) = next_to_end(&replicas, now) {
            ends.push((number, slot));
            let to_client = replicas[number].spec.engine.engine_to_client;
            for job in replicas[number].finish(slot, now, &mut log.steps) {
                log.completed(&job, number, to_client, now, source);
            }
            if let Some(handovers) = &mut handovers {
                handovers.hand_over(number, now, &mut replicas);
            }
        }
        coverage.simultaneous_ends += u64::from(ends.len() > 1);
        let mut touched: BTreeSet<usize> = ends.iter().map(|end| end.0).collect();
        if let Some(handovers) = &mut handovers {
            handovers.arrive(now, &mut replicas);
            handovers.offer_early(now, &mut replicas);
            touched.append(&mut handovers.touched);
        }
        for (number, replica) in replicas.iter_mut().enumerate() {
            if replica.enqueue(now) || replica.next_start() == Some(now) {
                touched.insert(number);
            }
        }
        while source.next_arrival().expect("test sources do not fail") == Some(now) {
            let (together, parts) = router.take(now, source, &replicas, &mut coverage);
            for (place, request) in together.into_iter().enumerate() {
                if log.first_arrival.is_none() {
                    (log.first_arrival, log.end) = (Some(now), now);
                }
                log.counts.issued += 1;
                let (number, rejection) = if mixing.is_some() {
                    Mixing::rejection(&request, &replicas).map_or((0, None), |(number, why)| (number, Some(why)))
                } else {
                    let number = parts.get(place).copied().unwrap_or_else(|| router.pick(&request, &replicas));
                    let elsewhere =
                        || handovers.as_ref().and_then(|handovers| handovers.rejection(&request, &replicas));
                    (number, replicas[number].rejection(&request).or_else(elsewhere))
                };
                if let Some(rejection) = rejection {
                    replicas[number].books.requests += 1;
                    log.rejected(&Job::new(request), number, rejection, source);
                    continue;
                }
                let mut job = Job::new(request);
                let number = if let Some(mixing) = &mut mixing {
                    let (from, to) = mixing.place(&job.request, &replicas);
                    job.decode_replica = to;
                    from
                } else {
                    if let Some(handovers) = &mut handovers {
                        job.decode_replica = handovers.choose_at_arrival(&job.request, &mut replicas);
                    }
                    number
                };
                replicas[number].books.requests += 1;
                replicas[number].send(job, now);
                if replicas[number].enqueue(now) {
                    touched.insert(number);
                }
            }
        }
        for number in touched {
            let ended_here = ends.iter().filter(|end| end.0 == number).map(|end| end.1).collect();
            if let Some(handovers) = &mut handovers {
                handovers.accept(number, now, &mut replicas);
            }
            if let Some(mixing) = &mixing {
                mixing.tell_promises(&mut replicas);
            }
            if !replicas[number].entrance.awaits() {
                replicas[number].pump(now, ended_here, &mut log.steps);
            }
            if let Some(handovers) = &mut handovers {
                handovers.note_pushes(number, &replicas);
            }
        }
    }
    let mixed = mixing.map(|mixing| {
        coverage.add(&mixing.coverage);
        mixing.outcome
    });
    let (mut run, coverage) = log.finish(replicas, handovers, coverage);
    run.outcome.mixed = mixed;
    (run, coverage)
}

/// The next nanosecond at which anything happens.
fn next_moment(
    replicas: &[Replica],
    log: &Log,
    handovers: Option<&mut Handovers>,
    source: &mut dyn Source,
) -> Option<SimTime> {
    let ends = replicas.iter().flat_map(Replica::ends).map(|(at, ..)| at);
    let starts = replicas.iter().filter_map(Replica::next_start);
    let queued = replicas.iter().flat_map(|replica| &replica.sent).map(|(at, _)| *at);
    let answers = log.answers.iter().map(|(at, _)| *at);
    let arrival = source.next_arrival().expect("test sources do not fail");
    let handover = handovers.and_then(Handovers::next_moment);
    ends.chain(starts).chain(queued).chain(answers).chain(arrival).chain(handover).min()
}

/// The replica and slot of the step that ends first of those that end now: the one dispatched first, but of those on a conveyor
/// only the one that leaves it next counts.
fn next_to_end(replicas: &[Replica], now: SimTime) -> Option<(usize, usize)> {
    let ends = replicas.iter().enumerate().flat_map(|(number, replica)| {
        let now_here = replica.ends().into_iter().filter(|(at, ..)| *at == now);
        now_here.map(move |(_, dispatch, slot)| (dispatch, number, slot))
    });
    ends.min().map(|(_, number, slot)| (number, slot))
}

/// Steps of all replicas.
#[derive(Default)]
struct Steps {
    /// What was told of them: when they were dispatched, or when they left a conveyor.
    told: Vec<(StepRecord, Members)>,
    /// How many there were; numbers them from 1 on.
    dispatched: u64,
}

/// What has been reported so far.
#[derive(Default)]
struct Log {
    records: Vec<RequestRecord>,
    gaps: BTreeMap<(u64, u64), u64>,
    steps: Steps,
    /// Endings that their clients have not heard of, in order, and when they will.
    answers: Vec<(SimTime, RequestId)>,
    first_arrival: Option<SimTime>,
    end: SimTime,
    counts: RequestCounts,
}

impl Log {
    fn completed(&mut self, job: &Job, replica: usize, to_client: SimDuration, now: SimTime, source: &mut dyn Source) {
        for (at, gap) in job.gaps() {
            *self.gaps.entry(((at + to_client).as_nanos(), gap.as_nanos())).or_default() += 1;
        }
        self.counts.completed += 1;
        let record = job.record(Ending::Completed, replica, to_client);
        self.end = self.end.max(record.last_token);
        self.answers.push((record.last_token, record.id));
        self.records.push(record);
        if to_client == SimDuration::ZERO {
            self.answer(now, source);
        }
    }

    /// Tells the source of the endings that clients hear of now.
    fn answer(&mut self, now: SimTime, source: &mut dyn Source) {
        let (due, later) = self.answers.iter().partition(|(at, _)| *at == now);
        self.answers = later;
        let due: Vec<(SimTime, RequestId)> = due;
        for (_, id) in due {
            source.ended(id, now);
        }
    }

    fn rejected(&mut self, job: &Job, replica: usize, rejection: Rejection, source: &mut dyn Source) {
        match rejection {
            Rejection::ExceedsModelLength => self.counts.rejected_model_length += 1,
            Rejection::ExceedsKvCache => self.counts.rejected_kv_cache += 1,
            Rejection::ExceedsBatch => self.counts.rejected_batch += 1,
        }
        let record = job.record(Ending::Rejected(rejection), replica, SimDuration::ZERO);
        source.ended(record.id, record.last_token);
        self.records.push(record);
    }

    fn finish(self, replicas: Vec<Replica>, handovers: Option<Handovers>, mut coverage: Coverage) -> (Run, Coverage) {
        let left: usize = replicas.iter().map(|replica| replica.jobs.len()).sum();
        assert_eq!(left, 0, "{left} requests were left behind with nothing in flight");
        let first_arrival = self.first_arrival.unwrap_or_default();
        let elapsed = self.end - first_arrival;
        let replicas = replicas.into_iter().map(|replica| replica.into_outcome(elapsed, &mut coverage)).collect();
        let transfers = handovers.map(|handovers| handovers.finish(&mut coverage));
        let outcome = Outcome { first_arrival, end: self.end, requests: self.counts, replicas, transfers, mixed: None };
        let (steps, members) = self.steps.told.into_iter().unzip();
        (Run { records: self.records, gaps: self.gaps, steps, members, outcome }, coverage)
    }
}
