//! `BlendServe`: decodes, then pieces and new requests of two sides, each with a part of the memory and of the step.
//!
//! The preparation of a batch is the engine's own: it is a pure function with tests of its own.

use super::batchllm::Part;
use sim::offline::{BatchRequest, Demand, PlanOptions, Side, Work, partition, prepare};
use sim::{Policy, QueueOrder};
use workloads::{Request, RequestId};

use super::job::Phase;
use super::replica::Replica;
use super::scheduling::Plan;

const QUANTUM: u32 = 128;

/// What the last preparation found.
#[derive(Default)]
pub(super) struct Batch {
    density: f64,
    /// Of both sides, twice the tokens; prompt tokens per step, as a limit and as a pace; and how many may be let in.
    part: [f64; 2],
    per_step: [u32; 2],
    pace: [f64; 2],
    credit: [f64; 2],
    /// Of each batch that was prepared.
    optima_ns: Vec<f64>,
}

impl Batch {
    /// What the only batch takes at best.
    pub(super) fn optimum_ns(&self) -> Option<f64> {
        if let [only] = self.optima_ns[..] { Some(only) } else { None }
    }
}

impl Replica {
    fn plan_options(&self) -> PlanOptions {
        let policy = self.spec.scheduler.policy;
        let Policy::BlendServe { sample_permille, known_from_tokens, kept_sharing_permille, .. } = policy else {
            panic!("{policy:?} prepares nothing")
        };
        let memory = f64::from(self.spec.kv.blocks) * f64::from(self.spec.kv.block_size);
        PlanOptions {
            demand: Demand::of_cost(&*self.spec.cost).expect("it has prices"),
            sample: f64::from(sample_permille) / 1000.0,
            known_from_tokens,
            kept_sharing: f64::from(kept_sharing_permille) / 1000.0,
            unit_tokens: memory / 100.0,
            seed: self.seed,
        }
    }

    /// These as a batch, and how it is prepared here.
    pub(super) fn batch_of<'a>(&self, requests: &'a [Request]) -> (Vec<BatchRequest<'a>>, PlanOptions) {
        let of = |request: &'a Request| BatchRequest {
            prompt: request.prompt.spans(),
            output_tokens: request.output_tokens,
        };
        (requests.iter().map(of).collect(), self.plan_options())
    }

    /// Prepares everything that waits.
    pub(super) fn prepare_batch(&mut self) {
        let ids: Vec<RequestId> = self.waiting.iter().copied().collect();
        let options = self.plan_options();
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
        self.note_batch(plan.density, plan.demand);
    }

    pub(super) fn note_batch(&mut self, density: f64, Work { compute_ns, memory_ns }: Work) {
        self.batch.density = density;
        self.batch.optima_ns.push(self.spec.cost.composed_ns(compute_ns, memory_ns));
    }

    /// Twice what a request with such an answer is expected to hold itself.
    fn own(&self, id: RequestId, output: u32) -> u64 {
        let prompt = u64::from(self.jobs[&id].request.prompt.tokens());
        match self.jobs[&id].part {
            Some(Part::Prefix(_)) => 2 * prompt,
            Some(Part::Member(group)) => 2 * (prompt - u64::from(self.groups[group].tokens)) + u64::from(output),
            None => 2 * prompt + u64::from(output),
        }
    }

    /// Twice the tokens that the requests of a side are expected to hold.
    fn held(&self, side: Side) -> u64 {
        // Those that run, and prefixes that stay.
        self.jobs.values().filter(|job| job.side == Some(side)).map(|job| job.held).sum()
    }

    fn join_side(&mut self, id: RequestId, side: Side) {
        let held = self.own(id, self.jobs[&id].expected_output);
        let job = self.jobs.get_mut(&id).expect("it waits");
        (job.side, job.held) = (Some(side), held);
    }

    fn relabel(&mut self) {
        for id in self.running.clone() {
            let held = self.own(id, self.jobs[&id].expected_output * 4);
            let job = self.jobs.get_mut(&id).expect("it runs");
            let attached = matches!(job.phase, Phase::Decoding(Some(_))) && !job.is_finishing();
            let most = job.expected_output * 2;
            if job.side == Some(Side::Left) && attached && job.total() - job.request.prompt.tokens() >= most {
                (job.side, job.held) = (Some(Side::Right), held);
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
            let pace = (population * unit.prompt / unit.output).min(1e9);
            let saved = if pace < f64::from(QUANTUM) { f64::from(QUANTUM) } else { pace };
            self.batch.pace[side] = pace;
            self.batch.credit[side] = (self.batch.credit[side] + pace).min(saved);
            let tokens = pace as u32;
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
        let groups = replica.spec.scheduler.policy.groups_prefixes();
        while left[side as usize].min(quota) > 0 {
            let open = (replica.held(side) as f64) < replica.batch.part[side as usize];
            let nobody_runs = groups && replica.running.is_empty();
            if !(open || nobody_runs) {
                break;
            }
            let Some(head) = replica.end(side) else { break };
            let answered = head.total > replica.jobs[&head.id].request.prompt.tokens();
            let both = replica.spec.scheduler.order == QueueOrder::Density;
            let early = replica.batch.credit[side as usize] <= 0.0;
            if both && early && !answered && !replica.running.is_empty() {
                replica.coverage.paced += u64::from(replica.fits(&head, head.total, replica.watermark()));
                break;
            }
            let fits = replica.fits(&head, head.total, replica.watermark());
            let may_begin = !groups || replica.may_begin(head.id);
            replica.coverage.kept_out += u64::from(fits && !may_begin);
            if !fits || !may_begin {
                break;
            }
            replica.note_begun(head.id);
            let uncached = head.remaining();
            let n = uncached.min(left[side as usize]).min(quota);
            let (id, reserve) = (head.id, head.total);
            replica.join_side(id, side);
            if !answered {
                replica.batch.credit[side as usize] -= f64::from(uncached);
            }
            replica.let_in(plan, head, n, reserve);
            (left[side as usize], quota) = (left[side as usize] - n, quota - n);
        }
    }
}
