//! Sending a step through the pipeline stages, and what happens when it comes out.

use profiles::{CostTotals, DecodeBatch, StepShape};
use workloads::{RequestId, SimDuration, SimTime};

use super::compose::Draft;
use super::{LiveId, Phase, Replica};
use crate::record::{Ending, Observer, RequestRecord, StepRecord, StepWork};

/// What the observer wants to know of steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) steps: bool,
    pub(crate) work: bool,
    pub(crate) details: bool,
}

/// A step on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatched {
    pub(crate) slot: u32,
    pub(crate) end: SimTime,
}

impl Replica {
    /// Fills idle slots with steps; `sent` receives those that were dispatched.
    pub(crate) fn pump(
        &mut self,
        now: SimTime,
        observer: &mut impl Observer,
        wants: Wants,
        mut sent: impl FnMut(Dispatched),
    ) {
        let mut ended = std::mem::take(&mut self.just_ended);
        loop {
            let preempted = self.counts.preemptions;
            for &slot in &ended {
                self.try_slot(slot as usize, now, observer, wants, &mut sent);
            }
            if self.slots.len() > 1 || ended.is_empty() {
                for slot in 0..self.slots.len() {
                    if !ended.contains(&(slot as u32)) {
                        self.try_slot(slot, now, observer, wants, &mut sent);
                    }
                }
            }
            // A lone request that preempted itself (its private copies left no room) must not wait for an event.
            if self.counts.preemptions == preempted || self.slots.iter().any(|slot| slot.busy) {
                break;
            }
        }
        ended.clear();
        self.just_ended = ended;
    }

    fn try_slot(
        &mut self,
        slot: usize,
        now: SimTime,
        observer: &mut impl Observer,
        wants: Wants,
        sent: &mut impl FnMut(Dispatched),
    ) {
        if self.slots[slot].busy || (self.waiting.is_empty() && self.lives.running() == 0) {
            return;
        }
        let draft = self.compose(slot);
        let batch = &self.slots[slot].batch;
        if batch.decodes || !batch.pieces.is_empty() {
            sent(self.dispatch(&draft, now, observer, wants));
        }
    }

    fn dispatch(&mut self, draft: &Draft, now: SimTime, observer: &mut impl Observer, wants: Wants) -> Dispatched {
        let slot = &mut self.slots[draft.slot];
        slot.busy = true;
        let decode = if slot.batch.decodes { slot.group.batch() } else { DecodeBatch::default() };
        let completing = slot.batch.pieces.iter().filter(|piece| piece.completes).count() as u32;
        let prefill_tokens = slot.batch.pieces.iter().map(|piece| piece.tokens).sum::<u32>();
        let shape = StepShape {
            prefill: &slot.batch.shapes,
            decode,
            sampled: decode.requests + completing,
            prefill_layers: None,
        };
        let cost = self.cost.step(&shape, &mut self.stage_ns);
        let totals = (wants.work || wants.details).then(|| self.cost.explain(&shape));
        let sampled = shape.sampled;
        let rows = prefill_tokens + decode.requests;
        let (start, end) = self.pass_stages(now, rows);

        self.dynamic_energy_j += cost.dynamic_energy_j;
        let idle_j = self.idle_power_w * (end - start).as_secs_f64() / self.stages.len() as f64;
        let energy_per_token_nj = ((idle_j + cost.dynamic_energy_j) * 1e9 / f64::from(rows)).round() as u64;

        let slot = &mut self.slots[draft.slot];
        slot.batch.energy_per_token_nj = energy_per_token_nj;
        for piece in &slot.batch.pieces {
            let live = self.lives.get_mut(piece.live);
            live.first_scheduled.get_or_insert(start);
            live.energy_nj += energy_per_token_nj * u64::from(piece.tokens);
        }
        self.counts.steps += 1;
        self.counts.prefill_tokens += u64::from(prefill_tokens);
        self.counts.decode_tokens += u64::from(decode.requests);
        if wants.steps || wants.details {
            let record = StepRecord {
                replica: self.number,
                slot: draft.slot as u32,
                scheduled: now,
                start,
                end,
                prefill_tokens,
                prefill_requests: self.slots[draft.slot].batch.pieces.len() as u32,
                decode_requests: decode.requests,
                decode_context_tokens: decode.context_tokens,
                admitted: draft.admitted,
                preempted: draft.preempted,
                waiting: self.waiting.len() as u32,
                running: self.lives.running(),
                free_blocks: self.kv.free(),
                prefill_layers: None,
                dynamic_energy_j: cost.dynamic_energy_j,
                work: totals.as_ref().filter(|_| wants.work).map(step_work),
            };
            if wants.steps {
                observer.step(&record);
            }
            if let (true, Some(totals)) = (wants.details, &totals) {
                self.tell_details(draft.slot, &record, sampled, totals, observer);
            }
        }
        Dispatched { slot: draft.slot as u32, end }
    }

    /// Books a step of `rows` rows on every pipeline stage, as `stage_ns` says; returns when the first stage begins and
    /// the last one ends.
    fn pass_stages(&mut self, now: SimTime, rows: u32) -> (SimTime, SimTime) {
        let mut ready = now;
        let mut first_start = None;
        for (index, stage) in self.stages.iter_mut().enumerate() {
            if index > 0 {
                ready += SimDuration::from_nanos(self.cost.handover_ns(rows));
            }
            let start = ready.max(stage.free_at);
            let time = SimDuration::from_nanos(self.stage_ns[index].max(1));
            stage.idle += start - stage.free_at;
            stage.busy += time;
            ready = start + time;
            stage.free_at = ready;
            first_start.get_or_insert(start);
        }
        (first_start.unwrap_or(now), ready)
    }

    /// The step in `slot` has ended at `now`; `left` receives the requests that end with it.
    pub(crate) fn end_step(
        &mut self,
        slot: u32,
        now: SimTime,
        observer: &mut impl Observer,
        mut left: impl FnMut(RequestId),
    ) {
        self.just_ended.push(slot);
        self.slots[slot as usize].busy = false;
        if std::mem::take(&mut self.slots[slot as usize].batch.decodes) {
            self.advance_group(slot as usize, now, observer);
            loop {
                let lives = &self.lives;
                let group = &mut self.slots[slot as usize].group;
                let Some(id) = group.pop_ended(|id, ticket| lives.holds(id, ticket)) else { break };
                self.detach(id);
                left(self.finish(id, observer));
            }
        }
        let mut pieces = std::mem::take(&mut self.slots[slot as usize].batch.pieces);
        for piece in &pieces {
            let live = self.lives.get_mut(piece.live);
            live.in_flight -= 1;
            if piece.completes && self.first_token_of_phase(piece.live, now, observer) {
                left(self.finish(piece.live, observer));
            }
        }
        pieces.clear();
        let batch = &mut self.slots[slot as usize].batch;
        batch.pieces = pieces;
        batch.shapes.clear();
    }

    fn advance_group(&mut self, slot: usize, now: SimTime, observer: &mut impl Observer) {
        let lives = &mut self.lives;
        let slot = &mut self.slots[slot];
        slot.group.advance(
            now,
            slot.batch.energy_per_token_nj,
            |id| {
                let live = lives.get_mut(id);
                let gap_ns = now.since(live.last_token).as_nanos();
                live.max_gap_ns = live.max_gap_ns.max(gap_ns);
                gap_ns
            },
            |gap_ns, members| observer.gaps(now, SimDuration::from_nanos(gap_ns), u64::from(members)),
        );
        slot.group.advance_windows(|id, ticket| lives.holds(id, ticket));
    }

    /// A request with nothing missing produces a token at the end of a prefill step; `true` if it was its last one,
    /// else the request decodes from now on.
    fn first_token_of_phase(&mut self, id: LiveId, now: SimTime, observer: &mut impl Observer) -> bool {
        let live = self.lives.get_mut(id);
        if live.first_token.is_none() {
            live.first_token = Some(now);
        } else {
            let gap = now - live.last_token;
            live.max_gap_ns = live.max_gap_ns.max(gap.as_nanos());
            observer.gaps(now, gap, 1);
        }
        live.last_token = now;
        live.generated += 1;
        live.phase = Phase::Loose;
        if live.generated == live.output_tokens {
            return true;
        }
        self.loose.push(id);
        false
    }

    /// The last token of a request is out.
    fn finish(&mut self, id: LiveId, observer: &mut impl Observer) -> RequestId {
        self.release(id);
        self.lives.unlink(id);
        let live = self.lives.remove(id);
        assert_eq!(live.generated, live.output_tokens, "request {:?} ends with other than all its tokens", live.id);
        assert_eq!(live.computed + 1, live.total(), "request {:?} ends with tokens not computed", live.id);
        self.outstanding_tokens -= u64::from(live.prompt.tokens());
        observer.request(&RequestRecord {
            id: live.id,
            session: live.session,
            ending: Ending::Completed,
            replica: self.number,
            arrival: live.arrival,
            first_scheduled: live.first_scheduled.expect("it was scheduled"),
            first_token: live.first_token.expect("its first token is out"),
            last_token: live.last_token,
            input_tokens: live.prompt.tokens(),
            cached_tokens: live.cached_tokens.expect("it was let in"),
            output_tokens: live.output_tokens,
            preemptions: live.preemptions,
            max_gap: SimDuration::from_nanos(live.max_gap_ns),
            energy_nj: live.energy_nj,
        });
        live.id
    }
}

fn step_work(totals: &CostTotals) -> StepWork {
    let sum = totals.sum();
    StepWork {
        flops: sum.flops,
        memory_bytes: sum.memory_bytes,
        link_bytes: sum.link_bytes,
        expert_load_bytes: totals.expert_load_bytes,
    }
}
