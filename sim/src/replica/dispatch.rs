//! Filling slots with steps, and sending those through the pipeline stages.

use profiles::{CostTotals, DecodeBatch, StepShape};
use workloads::{SimDuration, SimTime};

use super::Replica;
use super::compose::Draft;
use super::prefixes::Prefixes;
use crate::record::{Observer, StepRecord, StepWork};
use crate::spec::Role;

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
    /// When it ends; where attention is offloaded, nobody knows yet.
    pub(crate) end: Option<SimTime>,
    /// When it starts, if the host then turns to the next step and nothing else happens at that time.
    pub(crate) turn_at: Option<SimTime>,
}

impl Replica {
    /// Fills idle slots with steps; `sent` receives those that were dispatched, and numbers them.
    pub(crate) fn pump(
        &mut self,
        now: SimTime,
        observer: &mut impl Observer,
        wants: Wants,
        mut sent: impl FnMut(Dispatched) -> u64,
    ) {
        self.order_pool();
        let mut ended = std::mem::take(&mut self.just_ended);
        if self.intake.stands_still() {
            // The copy that its loop awaits goes on.
        } else if self.engine.async_scheduling {
            self.pump_ahead(now, observer, wants, &mut sent);
        } else {
            self.pump_slots(&ended, now, observer, wants, &mut sent);
        }
        ended.clear();
        self.just_ended = ended;
    }

    /// The slots in `ended` first.
    fn pump_slots(
        &mut self,
        ended: &[u32],
        now: SimTime,
        observer: &mut impl Observer,
        wants: Wants,
        sent: &mut impl FnMut(Dispatched) -> u64,
    ) {
        loop {
            let preempted = self.counts.preemptions;
            for &slot in ended {
                self.try_slot(slot as usize, now, observer, wants, sent);
            }
            if self.slots.len() > 1 || ended.is_empty() {
                for slot in 0..self.slots.len() {
                    if !ended.contains(&(slot as u32)) {
                        self.try_slot(slot, now, observer, wants, sent);
                    }
                }
            }
            // A lone request that preempted itself (its private copies left no room) must not wait for an event.
            if self.counts.preemptions == preempted || self.slots.iter().any(|slot| slot.busy) {
                break;
            }
        }
    }

    /// `true` if a step was dispatched.
    pub(super) fn try_slot(
        &mut self,
        slot: usize,
        now: SimTime,
        observer: &mut impl Observer,
        wants: Wants,
        sent: &mut impl FnMut(Dispatched) -> u64,
    ) -> bool {
        if self.slots[slot].busy {
            return false;
        }
        let joined = self.let_arrived_in();
        self.group_gathered();
        if self.waiting.is_empty() && self.lives.running() == 0 {
            return false;
        }
        let mut draft = self.compose(slot);
        draft.admitted += joined;
        let batch = &self.slots[slot].batch;
        let any = batch.decodes || !batch.pieces.is_empty();
        if any {
            self.slots[slot].order = sent(self.dispatch(&draft, now, observer, wants));
        }
        any
    }

    fn dispatch(&mut self, draft: &Draft, now: SimTime, observer: &mut impl Observer, wants: Wants) -> Dispatched {
        if self.conveyor.is_some() {
            return self.send_passing(draft, now, wants);
        }
        let slot = &mut self.slots[draft.slot];
        slot.busy = true;
        let decode = if slot.batch.decodes { slot.group.batch() } else { DecodeBatch::default() };
        let completing = slot.batch.pieces.iter().filter(|piece| piece.completes).count() as u32;
        let prefill_tokens = slot.batch.pieces.iter().map(|piece| piece.tokens).sum::<u32>();
        let layers = slot.batch.layers;
        let shape = StepShape {
            prefill: &slot.batch.shapes,
            decode,
            sampled: decode.requests + completing,
            prefill_layers: layers,
        };
        let cost = self.cost.step(&shape, &mut self.stage_ns);
        let totals = (wants.work || wants.details).then(|| self.cost.explain(&shape));
        let sampled = shape.sampled;
        let rows = prefill_tokens + decode.requests;
        let requests = self.slots[draft.slot].batch.pieces.len() as u32 + decode.requests;
        let free_at = self.stages[0].free_at;
        self.host_free_at = self.host_free_at.max(now) + self.engine.host_time(requests);
        let (start, end) = self.pass_stages(self.host_free_at, rows);

        self.dynamic_energy_j += cost.dynamic_energy_j;
        let idle_j = self.idle_power_w * (end - start).as_secs_f64() / self.stages.len() as f64;
        // A prompt token that passes some of the layers counts for as much of a token.
        let weight = layers.map_or(1.0, |part| self.cohort.share(part));
        let whole_rows = f64::from(prefill_tokens) * weight + f64::from(decode.requests);
        let energy_nj = (idle_j + cost.dynamic_energy_j) * 1e9;
        let energy_per_token_nj = (energy_nj / whole_rows).round() as u64;
        let energy_per_prompt_token_nj = (energy_nj * weight / whole_rows).round() as u64;

        let slot = &mut self.slots[draft.slot];
        slot.start = start;
        slot.batch.energy_per_token_nj = energy_per_token_nj;
        for piece in &slot.batch.pieces {
            let live = self.lives.get_mut(piece.live);
            live.first_scheduled.get_or_insert(start);
            live.energy_nj += energy_per_prompt_token_nj * u64::from(piece.tokens);
        }
        if self.role == Role::Decode && slot.batch.decodes {
            for id in slot.group.newcomers() {
                self.lives.get_mut(id).first_scheduled.get_or_insert(start);
            }
        }
        if self.pushes_layers.is_some() && !self.gathers_cohorts {
            self.begin_pushing(draft.slot, start, end);
        }
        self.counts.steps += 1;
        let last = layers.is_none_or(|part| self.cohort.ends_with(part));
        self.counts.prefill_tokens += if last { u64::from(prefill_tokens) } else { 0 };
        self.counts.decode_tokens += u64::from(decode.requests);
        if wants.steps || wants.details {
            let record = StepRecord {
                replica: self.number,
                slot: draft.slot as u32,
                scheduled: now,
                start,
                end,
                prefill_tokens,
                prefill_requests: requests - decode.requests,
                decode_requests: decode.requests,
                decode_context_tokens: decode.context_tokens,
                admitted: draft.admitted,
                preempted: draft.preempted,
                waiting: self.waiting_requests(),
                running: self.lives.running(),
                free_blocks: self.kv.free(),
                prefill_layers: layers.map(|part| (part.start, part.end)),
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
        let by_itself = self.engine.async_scheduling && start > now && start > free_at;
        Dispatched { slot: draft.slot as u32, end: Some(end), turn_at: by_itself.then_some(start) }
    }

    /// Requests that are not let in.
    pub(super) fn waiting_requests(&self) -> u32 {
        let held_back = self.prefixes.as_ref().map_or(0, Prefixes::held_back);
        self.waiting.len() as u32 + self.intake.waiting() + held_back
    }

    /// Books a step of `rows` rows on every pipeline stage from `now` on, as `stage_ns` says; returns when the first stage
    /// begins and the last one ends.
    fn pass_stages(&mut self, now: SimTime, rows: u32) -> (SimTime, SimTime) {
        let mut ready = now;
        let mut first_start = None;
        for (index, stage) in self.stages.iter_mut().enumerate() {
            if index > 0 {
                ready += SimDuration::from_nanos(self.cost.handover_ns(index, rows));
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
}

pub(super) fn step_work(totals: &CostTotals) -> StepWork {
    let sum = totals.sum();
    StepWork {
        flops: sum.flops,
        memory_bytes: sum.memory_bytes,
        link_bytes: sum.link_bytes,
        expert_load_bytes: totals.expert_load_bytes,
    }
}
