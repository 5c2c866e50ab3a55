//! A batch that is taken from both ends of its queue: who belongs to which side, and what each side holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::prefixes::Unit;
use super::{Grouped, Live, LiveId, Phase, Replica};
use crate::offline::{BatchGroup, BatchRequest, Demand, PlanOptions, Side, SideView, Sides, prepare, prepare_groups};
use crate::scheduler::SidesView;
use crate::spec::{Policy, QueueOrder, ReplicaSpec};

/// The state of `BlendServe`.
#[derive(Debug)]
pub(super) struct Blend {
    pub(super) sides: Sides,
    options: PlanOptions,
    /// Batches that were prepared, and what the last one demands, in the time that both parts beside each other take at best.
    prepared: u32,
    optimum_ns: f64,
    /// Whether the order is that of densities, and not another one.
    by_density: bool,
    /// Whether attention reads a prefix once for all members of its group.
    reads_prefixes_once: bool,
    /// Requests of the left side that generate twice what was expected: at which decode step, and in which membership.
    overdue: BinaryHeap<Reverse<(u64, LiveId, u64)>>,
}

impl Blend {
    pub(super) fn new(spec: &ReplicaSpec, seed: u64) -> Option<Self> {
        let Policy::BlendServe { sample_permille, known_from_tokens, kept_sharing_permille, .. } =
            spec.scheduler.policy
        else {
            return None;
        };
        let memory_tokens = u64::from(spec.kv.blocks) * u64::from(spec.kv.block_size);
        let by_density = spec.scheduler.order == QueueOrder::Density;
        let options = PlanOptions {
            demand: Demand::of_cost(&*spec.cost).expect("costs without a price of memory were refused"),
            sample: f64::from(sample_permille) / 1000.0,
            known_from_tokens,
            kept_sharing: f64::from(kept_sharing_permille) / 1000.0,
            unit_tokens: memory_tokens as f64 / 100.0,
            seed,
        };
        Some(Blend {
            sides: Sides::new(memory_tokens, by_density),
            options,
            prepared: 0,
            optimum_ns: 0.0,
            by_density,
            reads_prefixes_once: Demand::reads_prefixes_once(&*spec.cost),
            overdue: BinaryHeap::new(),
        })
    }
}

impl Replica {
    /// How batches are prepared, if that is the policy's way.
    pub(crate) fn plan_options(&self) -> Option<&PlanOptions> {
        self.blend.as_ref().map(|blend| &blend.options)
    }

    /// Nanoseconds that its requests take at best, if they were prepared in one batch: what all of them demand, each shared token
    /// computed once and both parts always beside each other.
    pub(super) fn optimum_ns(&self) -> Option<f64> {
        self.blend.as_ref().filter(|blend| blend.prepared == 1).map(|blend| blend.optimum_ns)
    }

    /// Prepares everything that waits, if that is the policy's way.
    pub(super) fn prepare_batch(&mut self) {
        let Some(blend) = &mut self.blend else { return };
        let ids: Vec<LiveId> = self.waiting.iter().copied().collect();
        let lives = &self.lives;
        let requests = ids.iter().map(|&id| {
            let live = lives.get(id);
            BatchRequest { prompt: live.prompt.spans(), output_tokens: live.output_tokens }
        });
        let given = (!blend.by_density).then(|| (0..ids.len() as u32).collect());
        let plan = prepare(requests, given, &blend.options);
        for (place, (&number, &unit)) in plan.order.iter().zip(&plan.unit_of).enumerate() {
            let id = ids[number as usize];
            self.waiting[place] = id;
            let live = self.lives.get_mut(id);
            (live.unit, live.expected_output) = (plan.units[unit as usize], plan.expected_output[number as usize]);
        }
        blend.sides.density = plan.density;
        blend.prepared += 1;
        blend.optimum_ns = self.cost.composed_ns(plan.demand.compute_ns, plan.demand.memory_ns);
        // Others may be at the ends now.
        self.blocked = [None; 2];
    }

    /// Prepares groups of the requests that were `gathered`, and sorts them.
    pub(super) fn prepare_groups(&mut self, gathered: &[LiveId], units: &mut Vec<Unit>) {
        let blend = self.blend.as_mut().expect("groups have densities where they are taken from both ends");
        let lives = &self.lives;
        let requests = gathered.iter().map(|&id| {
            let live = lives.get(id);
            BatchRequest { prompt: live.prompt.spans(), output_tokens: live.output_tokens }
        });
        let numbers: FxHashMap<LiveId, u32> = gathered.iter().copied().zip(0..).collect();
        let number = |unit: &Unit| BatchGroup {
            members: unit.members.iter().map(|id| numbers[id]).collect(),
            prefix_tokens: unit.prefix_tokens,
        };
        let groups: Vec<BatchGroup> = units.iter().map(number).collect();
        let plan = prepare_groups(requests, &groups, blend.reads_prefixes_once, &blend.options);
        for (&group, &unit) in plan.order.iter().zip(&plan.unit_of) {
            for &member in &groups[group as usize].members {
                let live = self.lives.get_mut(gathered[member as usize]);
                (live.unit, live.expected_output) = (plan.units[unit as usize], plan.expected_output[member as usize]);
            }
        }
        let mut unsorted: Vec<Option<Unit>> = std::mem::take(units).into_iter().map(Some).collect();
        units.extend(plan.order.iter().map(|&group| unsorted[group as usize].take().expect("each has one place")));
        blend.sides.density = plan.density;
        blend.prepared += 1;
        blend.optimum_ns = self.cost.composed_ns(plan.demand.compute_ns, plan.demand.memory_ns);
    }

    /// A step is composed: what each side may do in it.
    pub(super) fn begin_sides(&mut self) {
        self.relabel();
        let Some(blend) = &mut self.blend else { return };
        let unit = |id: &LiveId| self.lives.get(*id).unit;
        let ends = self.waiting.front().zip(self.waiting.back()).map(|(first, last)| [unit(first), unit(last)]);
        blend.sides.begin_step(ends);
    }

    /// What the policy sees of both sides; `continued`: the request that is to be continued next.
    pub(super) fn sides_view(&self, refused: [bool; 2], continued: Option<LiveId>) -> Option<SidesView> {
        let sides = &self.blend.as_ref()?.sides;
        let next = continued.and_then(|id| Some(self.lives.get(id).side?.0));
        let idle = self.lives.running() == 0;
        let has_begun = |id: Option<&LiveId>| id.is_some_and(|id| self.lives.get(*id).generated > 0);
        let begun = [has_begun(self.waiting.front()), has_begun(self.waiting.back())];
        let view = |side: Side| {
            // No step brings anybody nearer while nobody runs.
            let view = sides.view(side, begun[side as usize] || idle, refused[side as usize]);
            // Prefixes that stay may be all that a side is to hold: its members must be let in all the same.
            SideView { open: view.open || self.prefixes.is_some() && idle, ..view }
        };
        Some(SidesView { ends: [view(Side::Left), view(Side::Right)], next })
    }

    /// A request is let in from this end, of which so many tokens are to be computed.
    pub(super) fn join_side(&mut self, id: LiveId, side: Side, tokens: u32) {
        let Some(blend) = &mut self.blend else { return };
        let live = self.lives.get_mut(id);
        let held = holds(live, live.expected_output);
        live.side = Some((side, held));
        blend.sides.hold(side, held);
        if live.generated == 0 {
            blend.sides.let_in(side, tokens);
        }
    }

    /// A request gives its blocks back.
    pub(super) fn leave_side(&mut self, id: LiveId) {
        if let Some(blend) = &mut self.blend
            && let Some((side, held)) = self.lives.get_mut(id).side.take()
        {
            blend.sides.let_go(side, held);
        }
    }

    /// A request has joined the decoding ones of the slot: it is noted when it will have twice its expected answer.
    pub(super) fn expect_answer(&mut self, slot: usize, id: LiveId) {
        let Some(blend) = &mut self.blend else { return };
        let live = self.lives.get(id);
        let most = live.expected_output.saturating_mul(2);
        if most < live.output_tokens && matches!(live.side, Some((Side::Left, _))) {
            let due = self.slots[slot].group.steps() + u64::from(most.saturating_sub(live.generated));
            blend.overdue.push(Reverse((due, id, live.ticket)));
        }
    }

    /// Requests of the left side that have generated twice what was expected, and go on, belong to the right one.
    fn relabel(&mut self) {
        let Some(blend) = &mut self.blend else { return };
        while let Some(&Reverse((due, id, ticket))) = blend.overdue.peek() {
            if due > self.slots[0].group.steps() {
                return;
            }
            blend.overdue.pop();
            if !self.lives.holds(id, ticket) {
                continue;
            }
            let live = self.lives.get_mut(id);
            debug_assert!(matches!(live.phase, Phase::Decoding { .. }), "it has a ticket");
            let Some((Side::Left, held)) = live.side else { continue };
            // It has that many already.
            let now = holds(live, live.expected_output.saturating_mul(4));
            live.side = Some((Side::Right, now));
            blend.sides.let_go(Side::Left, held);
            blend.sides.hold(Side::Right, now);
        }
    }
}

/// Twice the tokens that a request with an answer of this length is expected to hold on average. Members hold what follows their
/// prefix, and the prefix holds itself.
fn holds(live: &Live, output: u32) -> u64 {
    match live.grouped {
        Some(Grouped::Member { tokens, .. }) => Sides::expected(live.prompt.tokens() - tokens, output),
        Some(Grouped::Prefix { .. }) => Sides::expected(live.prompt.tokens(), 0),
        None => Sides::expected(live.prompt.tokens(), output),
    }
}
