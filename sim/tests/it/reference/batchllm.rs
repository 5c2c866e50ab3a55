//! `BatchLLM`: groups by prefix, each prefix computed first and kept for its members; otherwise as Sarathi-Serve.

use profiles::SharedPrefixes;
use sim::offline::{BatchGroup, Demand, Side, prepare_groups};
use sim::{FirstLevel, GroupOrder, Policy};
use workloads::{Prompt, Request, RequestId, Span};

use super::grouping;
use super::job::{Job, Phase};
use super::replica::Replica;
use super::scheduling::{Head, Plan};

/// Prefixes are requests too, with numbers that nobody else has.
const PREFIX_NUMBERS: u64 = 1 << 60;

/// What a request is to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Prefix(usize),
    Member(usize),
}

/// Requests that begin with the same tokens.
pub(super) struct Group {
    pub(super) prefix: RequestId,
    pub(super) tokens: u32,
    /// In the order in which they came.
    members: Vec<RequestId>,
    /// Those of them that wait for the prefix.
    pub(super) held_back: Vec<RequestId>,
    left: usize,
    /// Whether its prefix has been let in.
    begun: bool,
    /// Most blocks that a member needs beside the prefix.
    most: usize,
}

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan) {
    replica.decode_part(plan);
    for id in replica.running.clone() {
        let job = &replica.jobs[&id];
        let n = (job.total() - job.computed).min(plan.budget);
        if job.phase == Phase::Prefilling && n > 0 && (job.in_flight == 0 || replica.spec.engine.async_scheduling) {
            let given = replica.give_piece(plan, id, n);
            assert!(given, "the blocks of its whole prompt were reserved");
        }
    }
    while plan.preempted == 0 && plan.budget > 0 {
        let Some(head) = replica.head(plan) else { break };
        let fits = replica.fits(&head, head.total, replica.watermark());
        if !replica.may_begin(head.id) {
            replica.coverage.kept_out += u64::from(fits);
            break;
        }
        if !fits {
            break;
        }
        replica.note_begun(head.id);
        let (n, reserve) = (head.remaining().min(plan.budget), head.total);
        replica.let_in(plan, head, n, reserve);
    }
}

impl Replica {
    /// Groups all requests that came since the last time, and queues them.
    pub(super) fn group_gathered(&mut self) {
        let (order, rule) = match self.spec.scheduler.policy {
            Policy::BatchLlm { order, first_level, .. } => (Some(order), first_level),
            Policy::BlendServe { group_prefixes: true, .. } => (None, FirstLevel::Enlarged),
            _ => return,
        };
        if self.gathered.is_empty() {
            return;
        }
        let gathered = std::mem::take(&mut self.gathered);
        let prompts: Vec<Vec<Span>> = gathered.iter().map(|id| self.jobs[id].request.prompt.spans().to_vec()).collect();
        // Each with the tokens that it generates and computes.
        let mut units: Vec<(Vec<RequestId>, u32, f64)> = Vec::new();
        for (prefix, places) in grouping::groups(&prompts, rule) {
            let members: Vec<RequestId> = places.into_iter().map(|place| gathered[place]).collect();
            let shortest = members.iter().map(|id| self.jobs[id].request.prompt.tokens()).min().expect("members");
            let tokens = prefix.min(shortest - 1) / self.spec.kv.block_size * self.spec.kv.block_size;
            let alone = members.len() == 1 || tokens == 0;
            let lists = if alone { members.into_iter().map(|id| vec![id]).collect() } else { vec![members] };
            let tokens = if alone { 0 } else { tokens };
            for members in lists {
                let requests = || members.iter().map(|id| &self.jobs[id].request);
                let generated: u32 = requests().map(|request| request.output_tokens).sum();
                let computed: u32 = tokens + requests().map(|request| request.prompt.tokens() - tokens).sum::<u32>();
                let share = f64::from(generated) / f64::from(computed);
                units.push((members, tokens, share));
            }
        }
        match order {
            Some(GroupOrder::DecodeShare) => units.sort_by(|left, right| right.2.total_cmp(&left.2)),
            Some(GroupOrder::Submission) => {}
            None => units = self.by_density(&gathered, &units),
        }
        let mut at = self.waiting.len();
        if order.is_none() {
            at = self.waiting.iter().position(|id| !self.has_begun(*id)).unwrap_or(at);
        }
        for (members, tokens, _) in units {
            let queued = if tokens == 0 { members[0] } else { self.make_group(members, tokens) };
            self.waiting.insert(at, queued);
            at += 1;
        }
    }

    /// The same units in the order of their density, which the engine's own pure function says.
    fn by_density(
        &mut self,
        gathered: &[RequestId],
        units: &[(Vec<RequestId>, u32, f64)],
    ) -> Vec<(Vec<RequestId>, u32, f64)> {
        let requests: Vec<Request> = gathered.iter().map(|id| self.jobs[id].request.clone()).collect();
        let number = |id: &RequestId| gathered.iter().position(|other| other == id).expect("it was gathered") as u32;
        let group = |(members, tokens, _): &(Vec<RequestId>, u32, f64)| BatchGroup {
            members: members.iter().map(number).collect(),
            prefix_tokens: *tokens,
        };
        let groups: Vec<BatchGroup> = units.iter().map(group).collect();
        let (batch, options) = self.batch_of(&requests);
        let reads_once = Demand::reads_prefixes_once(&*self.spec.cost);
        let plan = prepare_groups(batch.into_iter(), &groups, reads_once, &options);
        for (&group, &unit) in plan.order.iter().zip(&plan.unit_of) {
            for &member in &groups[group as usize].members {
                let job = self.jobs.get_mut(&gathered[member as usize]).expect("it was gathered");
                job.unit = plan.units[unit as usize];
                job.expected_output = plan.expected_output[member as usize];
            }
        }
        self.coverage.reordered += u64::from(!plan.order.is_sorted());
        self.note_batch(plan.density, plan.demand);
        plan.order.iter().map(|&group| units[group as usize].clone()).collect()
    }

    /// Whether it, or its group, was let in before.
    fn has_begun(&self, id: RequestId) -> bool {
        let job = &self.jobs[&id];
        match job.part {
            Some(Part::Member(_)) => true,
            Some(Part::Prefix(group)) => self.groups[group].begun,
            None => job.cached.is_some(),
        }
    }

    fn make_group(&mut self, members: Vec<RequestId>, tokens: u32) -> RequestId {
        let number = self.groups.len();
        let first = self.jobs[&members[0]].request.clone();
        let prefix = RequestId(PREFIX_NUMBERS + number as u64);
        let prompt = Prompt::new(first_tokens(&first.prompt, tokens));
        let mut job = Job::new(Request { id: prefix, prompt, output_tokens: 1, ..first });
        job.part = Some(Part::Prefix(number));
        job.unit = self.jobs[&members[0]].unit;
        self.jobs.insert(prefix, job);
        let blocks = self.kv.blocks_for(tokens);
        let mut most = 0;
        for id in &members {
            let job = self.jobs.get_mut(id).expect("members exist");
            job.part = Some(Part::Member(number));
            most = most.max(self.kv.blocks_for(job.longest()) - blocks);
        }
        let (held_back, left) = (members.clone(), members.len());
        self.groups.push(Group { prefix, tokens, members, held_back, left, begun: false, most });
        prefix
    }

    /// The blocks of the prefix of a member.
    pub(super) fn prefix_blocks(&self, group: usize) -> Vec<usize> {
        self.kv.blocks_of(self.groups[group].prefix)
    }

    /// Whether all prefixes that have begun, this one's included, and the largest request that has begun fit together.
    pub(super) fn may_begin(&self, id: RequestId) -> bool {
        let mut begun: Vec<&Group> = self.groups.iter().filter(|group| group.begun && group.left > 0).collect();
        let mut most = begun.iter().map(|group| group.most).max().unwrap_or(0);
        let let_in = self.jobs.values().filter(|job| job.part.is_none() && job.cached.is_some());
        most = most.max(let_in.map(|job| self.kv.blocks_for(job.longest())).max().unwrap_or(0));
        let job = &self.jobs[&id];
        match job.part {
            Some(Part::Member(_)) => return true,
            Some(Part::Prefix(group)) if self.groups[group].begun => return true,
            Some(Part::Prefix(group)) => {
                begun.push(&self.groups[group]);
                most = most.max(self.groups[group].most);
            }
            None if job.cached.is_some() => return true,
            None => most = most.max(self.kv.blocks_for(job.longest())),
        }
        let prefixes: usize = begun.iter().map(|group| self.kv.blocks_for(group.tokens)).sum();
        prefixes + most + self.watermark() <= self.kv.all()
    }

    pub(super) fn note_begun(&mut self, id: RequestId) {
        if let Some(Part::Prefix(group)) = self.jobs[&id].part {
            self.groups[group].begun = true;
        }
    }

    /// A prefix is complete: its members come to the end that it was let in from, and the first one takes over what it cost.
    pub(super) fn open_group(&mut self, prefix: RequestId) {
        let job = self.jobs.get_mut(&prefix).expect("prefixes stay");
        let Some(Part::Prefix(number)) = job.part else { panic!("{prefix:?} is no prefix") };
        job.phase = Phase::Kept;
        let side = job.side;
        let (energy_nj, preemptions, first_scheduled) = (job.energy_nj, job.preemptions, job.first_scheduled);
        self.running.retain(|id| *id != prefix);
        let members = std::mem::take(&mut self.groups[number].held_back);
        let first = self.jobs.get_mut(&members[0]).expect("members exist");
        first.energy_nj += energy_nj;
        first.preemptions += preemptions;
        first.first_scheduled = first_scheduled;
        for id in members.into_iter().rev() {
            if side == Some(Side::Right) {
                self.waiting.push_back(id);
            } else {
                self.waiting.push_front(id);
            }
        }
        self.coverage.opened_at_the_tail += u64::from(side == Some(Side::Right));
        self.coverage.opened_groups += 1;
        self.coverage.preempted_prefixes += u64::from(preemptions > 0);
    }

    /// A request has ended.
    pub(super) fn leave_group(&mut self, job: &Job) {
        let Some(Part::Member(number)) = job.part else { return };
        self.groups[number].left -= 1;
        if self.groups[number].left == 0 {
            let prefix = self.groups[number].prefix;
            let job = self.jobs.remove(&prefix).expect("a prefix stays as long as its members");
            self.kv.release(prefix, &job.content(), job.computed);
        }
    }

    /// The request that a piece is computed for.
    pub(super) fn for_whom(&self, id: RequestId) -> RequestId {
        match self.jobs[&id].part {
            Some(Part::Prefix(group)) => self.groups[group].members[0],
            _ => id,
        }
    }

    /// What these decoding requests share.
    pub(super) fn shared_prefixes(&self, decoding: &[RequestId]) -> SharedPrefixes {
        let mut shared = SharedPrefixes::default();
        for (number, group) in self.groups.iter().enumerate() {
            let members = decoding.iter().filter(|id| self.jobs[id].part == Some(Part::Member(number))).count() as u64;
            if members > 0 {
                shared.prefixes += 1;
                shared.tokens += u64::from(group.tokens);
                shared.member_tokens += members * u64::from(group.tokens);
            }
        }
        shared
    }

    /// Whether the prefix was computed for this member.
    pub(super) fn pays_for_prefix(&self, head: &Head) -> bool {
        matches!(self.jobs[&head.id].part, Some(Part::Member(group)) if self.groups[group].members[0] == head.id)
    }
}

fn first_tokens(prompt: &Prompt, tokens: u32) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut left = tokens;
    for span in prompt.spans() {
        spans.push(Span { tokens: span.tokens.min(left), ..*span });
        left -= span.tokens.min(left);
    }
    spans
}
