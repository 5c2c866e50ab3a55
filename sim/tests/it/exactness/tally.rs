//! How many scenarios showed each of the rare things, so that the generator cannot rot unnoticed.

use sim::{Ending, Rejection};

use crate::reference::{Coverage, Run};
use crate::scenario::Scenario;

macro_rules! shares {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Per cent of the scenarios in which something occurred.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Shares { $($(#[$doc])* pub(super) $name: u32),* }

        /// In how many scenarios it occurred.
        #[derive(Debug, Default)]
        pub(super) struct Tally { scenarios: u32, seen: Shares }

        impl Tally {
            fn note(&mut self, seen: &Shares) {
                self.scenarios += 1;
                $(self.seen.$name += seen.$name;)*
            }

            /// Panics with the whole tally if anything occurred in too few scenarios.
            pub(super) fn assert_shares(&self, least: &Shares) {
                $(
                    let (seen, wanted) = (self.seen.$name * 100, least.$name * self.scenarios);
                    assert!(seen >= wanted, "{} in {} of {} scenarios, below {} %: {self:?}",
                        stringify!($name), self.seen.$name, self.scenarios, least.$name);
                )*
            }
        }
    };
}

shares! {
    preemptions,
    self_preemptions,
    without_victim,
    cache_hits,
    hits_after_preemption,
    hits_in_same_step,
    evictions,
    duplicates,
    overlapping_prefills,
    chained_chunks,
    loosened,
    rejected_length,
    rejected_cache,
    rejected_batch,
    several_replicas,
    pipelined,
    simultaneous_ends,
    pumped_again,
    one_token_answers,
    requests_waited,
    victims_in_flight,
    finishing_victims,
    waited_for_host,
    handed_over,
    waited_for_decode,
    waited_for_place,
    taken_from_prefill,
    taken_from_decode,
    whole_requests,
    went_home,
    found_no_place,
    pushed_early,
    shared_cohorts,
    resumed_prompts,
    preemptions_beside_cohorts,
    groups_of_layers,
    reordered,
    cut_apart,
    relabelled,
    paced,
    opened_groups,
    opened_at_the_tail,
    preempted_prefixes,
    kept_out,
    pushed_by_group,
    offloaded,
    left_to_other_batches,
    kept_blocks,
    branches,
    bare_branches,
    not_kept,
    given_up_hits,
}

impl Shares {
    /// What every policy's scenarios show.
    pub(super) const COMMON: Shares = Shares {
        preemptions: 0,
        self_preemptions: 0,
        without_victim: 0,
        cache_hits: 25,
        hits_after_preemption: 0,
        hits_in_same_step: 5,
        evictions: 15,
        duplicates: 10,
        overlapping_prefills: 0,
        chained_chunks: 0,
        loosened: 0,
        rejected_length: 2,
        rejected_cache: 3,
        rejected_batch: 0,
        several_replicas: 40,
        pipelined: 0,
        simultaneous_ends: 3,
        pumped_again: 0,
        one_token_answers: 70,
        requests_waited: 50,
        victims_in_flight: 0,
        finishing_victims: 0,
        waited_for_host: 30,
        handed_over: 0,
        waited_for_decode: 0,
        waited_for_place: 0,
        taken_from_prefill: 0,
        taken_from_decode: 0,
        whole_requests: 0,
        went_home: 0,
        found_no_place: 0,
        pushed_early: 0,
        shared_cohorts: 0,
        resumed_prompts: 0,
        preemptions_beside_cohorts: 0,
        groups_of_layers: 0,
        reordered: 0,
        cut_apart: 0,
        relabelled: 0,
        paced: 0,
        opened_groups: 0,
        opened_at_the_tail: 0,
        preempted_prefixes: 0,
        kept_out: 0,
        pushed_by_group: 0,
        offloaded: 0,
        left_to_other_batches: 0,
        kept_blocks: 0,
        branches: 0,
        bare_branches: 0,
        not_kept: 0,
        given_up_hits: 0,
    };

    /// What those of prefix groups show, which find nothing but their prefix.
    pub(super) const GROUPED: Shares = Shares {
        preemptions: 12,
        hits_in_same_step: 0,
        evictions: 0,
        duplicates: 0,
        cache_hits: 45,
        hits_after_preemption: 10,
        opened_groups: 45,
        kept_out: 2,
        ..Shares::COMMON
    };

    /// What those of prefixes with checkpoints show: nothing is found in the step that computes it.
    pub(super) const CHECKPOINTS: Shares = Shares {
        hits_in_same_step: 0,
        duplicates: 0,
        cache_hits: 35,
        evictions: 35,
        branches: 25,
        bare_branches: 10,
        not_kept: 10,
        rejected_cache: 1,
        ..Shares::COMMON
    };

    /// What those with offloaded attention show.
    pub(super) const OFFLOADED: Shares =
        Shares { offloaded: 60, left_to_other_batches: 30, handed_over: 20, ..Shares::COMMON };

    /// What disaggregated ones show.
    pub(super) const DISAGGREGATED: Shares = Shares {
        preemptions: 15,
        handed_over: 65,
        waited_for_decode: 20,
        waited_for_place: 5,
        pushed_early: 10,
        hits_after_preemption: 1,
        ..Shares::COMMON
    };

    /// What those with a mixed pool show: nothing is preempted or cached.
    pub(super) const MIXED: Shares = Shares {
        cache_hits: 0,
        hits_in_same_step: 0,
        evictions: 0,
        duplicates: 0,
        handed_over: 70,
        waited_for_place: 5,
        pushed_early: 10,
        taken_from_prefill: 25,
        taken_from_decode: 25,
        whole_requests: 40,
        went_home: 15,
        found_no_place: 20,
        ..Shares::COMMON
    };

    /// What synchronous ones show.
    pub(super) const SYNCHRONOUS: Shares = Shares { pipelined: 35, ..Shares::COMMON };

    /// What those of layered prefill show, whose blocks are known too late to be found in the same step.
    pub(super) const LAYERED: Shares = Shares {
        preemptions: 12,
        hits_in_same_step: 0,
        shared_cohorts: 50,
        resumed_prompts: 10,
        preemptions_beside_cohorts: 4,
        groups_of_layers: 45,
        ..Shares::COMMON
    };

    /// What asynchronous ones show of policies that preempt.
    pub(super) const PREEMPTING: Shares =
        Shares { preemptions: 15, victims_in_flight: 10, finishing_victims: 1, ..Shares::COMMON };
}

impl Tally {
    pub(super) fn add(&mut self, scenario: &Scenario, run: &Run, coverage: &Coverage) {
        let preempted = run.records.iter().any(|record| record.preemptions > 0);
        let rejected = |why| run.records.iter().any(|record| record.ending == Ending::Rejected(why));
        let mixed = run.outcome.mixed.unwrap_or_default();
        self.note(&Shares {
            preemptions: u32::from(preempted),
            self_preemptions: u32::from(coverage.self_preemptions > 0),
            without_victim: u32::from(coverage.without_victim > 0),
            cache_hits: u32::from(run.records.iter().any(|record| record.cached_tokens > 0)),
            hits_after_preemption: u32::from(coverage.hits_after_preemption > 0),
            hits_in_same_step: u32::from(coverage.hits_in_same_step > 0),
            evictions: u32::from(coverage.evictions > 0),
            duplicates: u32::from(coverage.duplicates > 0),
            overlapping_prefills: u32::from(coverage.overlapping_prefills > 0),
            chained_chunks: u32::from(coverage.chained_chunks > 0),
            loosened: u32::from(coverage.loosened > 0),
            rejected_length: u32::from(rejected(Rejection::ExceedsModelLength)),
            rejected_cache: u32::from(rejected(Rejection::ExceedsKvCache)),
            rejected_batch: u32::from(rejected(Rejection::ExceedsBatch)),
            several_replicas: u32::from(scenario.replicas() > 1),
            pipelined: u32::from(scenario.stages() > 1),
            simultaneous_ends: u32::from(coverage.simultaneous_ends > 0),
            pumped_again: u32::from(coverage.pumped_again > 0),
            one_token_answers: u32::from(run.records.iter().any(|record| record.output_tokens == 1)),
            requests_waited: u32::from(run.steps.iter().any(|step| step.waiting > 0)),
            victims_in_flight: u32::from(coverage.victims_in_flight > 0),
            finishing_victims: u32::from(coverage.finishing_victims > 0),
            waited_for_host: u32::from(coverage.waited_for_host > 0),
            handed_over: u32::from(run.records.iter().any(|record| record.handover.is_some())),
            waited_for_decode: u32::from(coverage.waited_for_decode > 0),
            waited_for_place: u32::from(coverage.waited_for_place > 0),
            taken_from_prefill: u32::from(mixed.taken_from_prefill > 0),
            taken_from_decode: u32::from(mixed.taken_from_decode > 0),
            whole_requests: u32::from(mixed.whole_requests > 0),
            went_home: u32::from(coverage.went_home > 0),
            found_no_place: u32::from(coverage.found_no_place > 0),
            pushed_early: u32::from(coverage.pushed_early > 0),
            reordered: u32::from(coverage.reordered > 0),
            cut_apart: u32::from(coverage.cut_apart > 0),
            pushed_by_group: u32::from(coverage.pushed_by_group > 0),
            offloaded: u32::from(run.outcome.replicas.iter().any(|replica| replica.attention_busy.is_some())),
            left_to_other_batches: u32::from(coverage.left_to_other_batches > 0),
            kept_blocks: u32::from(coverage.kept_blocks > 0),
            branches: u32::from(coverage.branches > 0),
            bare_branches: u32::from(coverage.bare_branches > 0),
            not_kept: u32::from(coverage.not_kept > 0),
            given_up_hits: u32::from(coverage.given_up_hits > 0),
            relabelled: u32::from(coverage.relabelled > 0),
            paced: u32::from(coverage.paced > 0),
            shared_cohorts: u32::from(coverage.shared_cohorts > 0),
            resumed_prompts: u32::from(coverage.resumed_prompts > 0),
            preemptions_beside_cohorts: u32::from(coverage.preemptions_beside_cohorts > 0),
            opened_groups: u32::from(coverage.opened_groups > 0),
            opened_at_the_tail: u32::from(coverage.opened_at_the_tail > 0),
            preempted_prefixes: u32::from(coverage.preempted_prefixes > 0),
            kept_out: u32::from(coverage.kept_out > 0),
            groups_of_layers: u32::from(
                run.steps.iter().any(|step| step.prefill_layers.is_some_and(|(first, _)| first > 0)),
            ),
        });
    }
}
