//! `BlendServe`: decodes, then pieces and new requests of two sides, each with a part of the memory and of the step.
//!
//! The preparation of a batch is the engine's own: it is a pure function with tests of its own.

use sim::QueueOrder;
use sim::offline::{BatchRequest, Demand, PlanOptions, Side, partition, prepare};
use workloads::RequestId;

use super::job::Phase;
use super::replica::Replica;
use super::scheduling::Plan;

const QUANTUM: u32 = 128;

/// What the last preparation found.
#[derive(Default)]
pub(super) struct Batch {
    density: f64,
    /// Of both sides, twice the tokens; and prompt tokens per step.
    part: [f64; 2],
    per_step: [u32; 2],
}

impl Replica {
    /// Prepares everything that waits.
    pub(super) fn prepare_batch(&mut self, sample_permille: u32, known_from_tokens: u32, kept_permille: u32) {
        let ids: Vec<RequestId> = self.waiting.iter().copied().collect();
        let memory = f64::from(self.spec.kv.blocks) * f64::from(self.spec.kv.block_size);
        let options = PlanOptions {
            demand: Demand::of_cost(&*self.spec.cost).expect("it has prices"),
            sample: f64::from(sample_permille) / 1000.0,
            known_from_tokens,
            kept_sharing: f64::from(kept_permille) / 1000.0,
            unit_tokens: memory / 100.0,
            seed: self.seed,
        };
        let by_density = self.spec.scheduler.order == QueueOrder::Density;
        let given = (!by_density).then(|| (0..ids.len() as u32).collect());
        let requests = ids.iter().map(|id| {
            let request = &self.jobs[id].request;
            BatchRequest { prompt: request.prompt.spans(), output_tokens: request.output_tokens }
        });
        let plan = prepare(requests, given, &options);
        self.waiting = plan.order.iter().map(|&number| ids[number as usize]).collect();
        self.coverage.reordered += u64::from(self.waiting.iter().ne(&ids));
        for (&number, &unit) in plan.order.iter().zip(&plan.unit_of) {
            let job = self.jobs.get_mut(&ids[number as usize]).expect("it waits");
            (job.unit, job.expected_output) = (plan.units[unit as usize], plan.expected_output[number as usize]);
        }
        self.batch.density = plan.density;
    }

    /// Twice the tokens that the requests of a side are expected to hold.
    fn held(&self, side: Side) -> u64 {
        let of_side = self.running.iter().map(|id| &self.jobs[id]).filter(|job| job.side == Some(side));
        of_side.map(|job| job.held).sum()
    }

    fn join_side(&mut self, id: RequestId, side: Side) {
        let job = self.jobs.get_mut(&id).expect("it waits");
        job.side = Some(side);
        job.held = u64::from(job.request.prompt.tokens()) * 2 + u64::from(job.expected_output);
    }

    fn relabel(&mut self) {
        for id in self.running.clone() {
            let job = self.jobs.get_mut(&id).expect("it runs");
            let attached = matches!(job.phase, Phase::Decoding(Some(_))) && !job.is_finishing();
            let most = job.expected_output * 2;
            if job.side == Some(Side::Left) && attached && job.total() - job.request.prompt.tokens() >= most {
                job.side = Some(Side::Right);
                job.held = u64::from(job.request.prompt.tokens()) * 2 + u64::from(job.expected_output) * 4;
                self.coverage.relabelled += 1;
            }
        }
    }

    fn settle_sides(&mut self) {
        let Some((first, last)) = self.waiting.front().zip(self.waiting.back()) else { return };
        let ends = [first, last].map(|id| self.jobs[id].unit);
        let memory = 2.0 * (f64::from(self.spec.kv.blocks) * f64::from(self.spec.kv.block_size));
        self.batch.part = if self.spec.scheduler.order == QueueOrder::Density {
            partition(memory, self.batch.density, ends[0].density, ends[1].density)
        } else {
            [memory, 0.0]
        };
        for (side, unit) in ends.iter().enumerate() {
            let population = self.batch.part[side] / (2.0 * unit.prompt + unit.output);
            let tokens = (population * unit.prompt / unit.output).min(1e9) as u32;
            let one_sided = self.spec.scheduler.order != QueueOrder::Density && side == 1;
            self.batch.per_step[side] = if one_sided { tokens } else { tokens.max(QUANTUM) };
        }
    }
}

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan) {
    replica.relabel();
    replica.settle_sides();
    let most = plan.budget;
    replica.decode_part(plan);
    let rows = most - plan.budget;
    let mut left = replica.batch.per_step;
    let wanted = (rows + left[0] + left[1]).min(most);
    let whole = if wanted < QUANTUM { wanted } else { wanted - wanted % QUANTUM };
    let mut quota = whole.saturating_sub(rows);
    for id in replica.running.clone() {
        let job = &replica.jobs[&id];
        if job.phase != Phase::Prefilling || job.in_flight > 0 && !replica.spec.engine.async_scheduling {
            continue;
        }
        let side = job.side.expect("it was let in from a side") as usize;
        let n = (job.total() - job.computed).min(left[side]).min(quota);
        if n > 0 {
            let given = replica.give_piece(plan, id, n);
            assert!(given, "its prompt has blocks");
            (left[side], quota) = (left[side] - n, quota - n);
        }
    }
    if plan.preempted > 0 {
        return;
    }
    for side in [Side::Right, Side::Left] {
        while left[side as usize].min(quota) > 0 && (replica.held(side) as f64) < replica.batch.part[side as usize] {
            let Some(head) = replica.end(side) else { break };
            if !replica.fits(&head, head.total, replica.watermark()) {
                break;
            }
            let n = head.remaining().min(left[side as usize]).min(quota);
            let (id, reserve) = (head.id, head.total);
            replica.join_side(id, side);
            replica.let_in(plan, head, n, reserve);
            (left[side as usize], quota) = (left[side as usize] - n, quota - n);
        }
    }
}
