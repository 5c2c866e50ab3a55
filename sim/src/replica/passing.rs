//! Steps that pass a conveyor, because the replica offloads attention.
//!
//! When such a step ends depends on the steps that other batches begin meanwhile. So what stands in its record beside times,
//! and its energy, is kept until it has ended.

use profiles::{CostTotals, DecodeBatch, StepShape};
use workloads::{SimDuration, SimTime};

use super::Replica;
use super::compose::Draft;
use super::dispatch::{Dispatched, Wants, step_work};
use crate::record::{Observer, StepRecord};
use crate::spec::Role;

/// A step on the conveyor.
#[derive(Clone, Debug)]
pub(super) struct Passing {
    /// Its record; when it ends is not known.
    record: StepRecord,
    sampled: u32,
    totals: Option<CostTotals>,
    wants: Wants,
}

impl Replica {
    /// Sends the step of `draft` on its way.
    pub(super) fn send_passing(&mut self, draft: &Draft, now: SimTime, wants: Wants) -> Dispatched {
        let slot = &mut self.slots[draft.slot];
        slot.busy = true;
        let decode = if slot.batch.decodes { slot.group.batch() } else { DecodeBatch::default() };
        let completing = slot.batch.pieces.iter().filter(|piece| piece.completes).count() as u32;
        let prefill_tokens = slot.batch.pieces.iter().map(|piece| piece.tokens).sum::<u32>();
        let sampled = decode.requests + completing;
        let shape = StepShape { prefill: &slot.batch.shapes, decode, sampled, prefill_layers: None };
        let totals = (wants.work || wants.details).then(|| self.cost.explain(&shape));
        let step = self.cost.pass(&shape);
        let prefill_requests = slot.batch.pieces.len() as u32;
        self.host_free_at = self.host_free_at.max(now) + self.engine.host_time(prefill_requests + decode.requests);
        let start = self.host_free_at;
        slot.start = start;
        for piece in &slot.batch.pieces {
            self.lives.get_mut(piece.live).first_scheduled.get_or_insert(start);
        }
        if self.role == Role::Decode && slot.batch.decodes {
            for id in slot.group.newcomers() {
                self.lives.get_mut(id).first_scheduled.get_or_insert(start);
            }
        }
        self.dynamic_energy_j += step.dynamic_energy_j;
        self.counts.steps += 1;
        self.counts.prefill_tokens += u64::from(prefill_tokens);
        self.counts.decode_tokens += u64::from(decode.requests);
        let record = StepRecord {
            replica: self.number,
            slot: draft.slot as u32,
            scheduled: now,
            start,
            end: start,
            prefill_tokens,
            prefill_requests,
            decode_requests: decode.requests,
            decode_context_tokens: decode.context_tokens,
            admitted: draft.admitted,
            preempted: draft.preempted,
            waiting: self.waiting.len() as u32 + self.intake.waiting(),
            running: self.lives.running(),
            free_blocks: self.kv.free(),
            prefill_layers: None,
            dynamic_energy_j: step.dynamic_energy_j,
            work: totals.as_ref().filter(|_| wants.work).map(step_work),
        };
        slot.passing = Some(Passing { record, sampled, totals, wants });
        let conveyor = self.conveyor.as_mut().expect("it offloads attention");
        conveyor.start(draft.slot, now, start, step.passage);
        Dispatched { slot: draft.slot as u32, end: None, turn_at: None }
    }

    /// When the next step ends, which number it has and in which slot it is, where that is a forecast which holds until another
    /// one begins.
    pub(crate) fn next_end(&self) -> Option<(SimTime, u64, u32)> {
        let (end, slot) = self.conveyor.as_ref()?.next_end()?;
        Some((end, self.slots[slot].order, slot as u32))
    }

    /// Whether the step in `slot` is the one that ends at `at`, as was said before: a forecast may have been overtaken.
    pub(crate) fn still_ends(&self, slot: u32, at: SimTime) -> bool {
        self.conveyor.as_ref().is_none_or(|conveyor| conveyor.next_end() == Some((at, slot as usize)))
    }

    /// The step in `slot` leaves the conveyor at `now`: it is known what it took.
    pub(super) fn leave_conveyor(&mut self, slot: usize, now: SimTime, observer: &mut impl Observer) {
        let Some(conveyor) = &mut self.conveyor else { return };
        conveyor.end();
        let batches = self.slots.len() as f64;
        let Passing { mut record, sampled, totals, wants } = self.slots[slot].passing.take().expect("it is on its way");
        record.end = now;
        let rows = record.prefill_tokens + record.decode_requests;
        let idle_j = self.idle_power_w * (record.end - record.start).as_secs_f64() / batches;
        let energy_per_token_nj = ((idle_j + record.dynamic_energy_j) * 1e9 / f64::from(rows)).round() as u64;
        let batch = &mut self.slots[slot].batch;
        batch.energy_per_token_nj = energy_per_token_nj;
        for piece in &batch.pieces {
            self.lives.get_mut(piece.live).energy_nj += energy_per_token_nj * u64::from(piece.tokens);
        }
        if wants.steps {
            observer.step(&record);
        }
        if let (true, Some(totals)) = (wants.details, &totals) {
            self.tell_details(slot, &record, sampled, totals, observer);
        }
    }

    /// Takes the busy times of model workers and attention workers into the books of the stages.
    pub(super) fn close_conveyor(&mut self, end: SimTime) {
        let Some(conveyor) = &self.conveyor else { return };
        let books = conveyor.books();
        let servers = books.models.iter().copied().chain([books.pool]);
        for (stage, busy) in self.stages.iter_mut().zip(servers) {
            let elapsed = end - stage.free_at;
            assert!(busy <= elapsed, "a worker of replica {} was busy for longer than the run took", self.number);
            stage.busy = busy;
            stage.idle = SimDuration::from_nanos(elapsed.as_nanos() - busy.as_nanos());
            stage.free_at = end;
        }
    }
}
