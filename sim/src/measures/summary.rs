//! Every figure reported of a run, as one plain struct.

use std::sync::Arc;

use profiles::cost::StepParts;
use profiles::{Evidence, Operator, OperatorClass};
use serde::{Deserialize, Serialize};
use workloads::{SimDuration, SimTime};

use super::collector::Measures;
use super::pools::{PoolFigures, TransferFigures};
use super::statistics::Statistics;
use crate::outcome::{MixedPool, Outcome, ReplicaOutcome, RequestCounts};
use crate::spec::Role;
use crate::uncertainty::{Steadiness, WarmUp, WithinRun};

/// What a run's figures need to know of the hardware it ran on. Sums over all devices of the deployment, so that
/// deployments of unlike devices have them too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SystemFacts {
    /// Devices.
    pub devices: u32,
    /// Price of all of them in US dollars per hour; `None` where one has no price.
    pub usd_per_hour: Option<f64>,
    /// That of the prefill replicas' devices, where there are such.
    pub prefill_usd_per_hour: Option<f64>,
    /// That of the decode replicas' devices, where there are such.
    pub decode_usd_per_hour: Option<f64>,
    /// Peak rate of all of them in FLOP/s, dense, at the precision of the matrix products. 0 where the cost model knows times
    /// only: then figures of FLOPs, bytes and energy do not exist, for it counts none.
    pub peak_flops: f64,
    /// Peak bandwidth of all their memories in bytes/s.
    pub peak_memory_bytes_per_s: f64,
}

/// Every figure reported of a run. What each means, in which unit, is said once: in [`Summary::columns`].
///
/// Figures that do not exist are `None`: attainment without objectives, a rate over no time, cost without a price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Summary::columns documents each figure, once")]
pub struct Summary {
    pub duration_s: f64,
    pub measured_s: f64,
    pub measured_from_s: f64,
    pub warm_up: Option<WarmUp>,
    pub steadiness: Steadiness,
    pub devices: u32,
    pub requests: RequestCounts,
    pub total_input_tokens: u64,
    pub total_output_tokens: u64,

    pub ttft: Option<Statistics>,
    pub tpot: Option<Statistics>,
    pub itl: Option<Statistics>,
    pub request_max_itl: Option<Statistics>,
    pub e2el: Option<Statistics>,
    pub normalized_latency: Option<Statistics>,
    pub queue_time: Option<Statistics>,

    pub request_throughput: Option<f64>,
    pub output_throughput: Option<f64>,
    pub total_token_throughput: Option<f64>,

    pub slo_attainment: Option<f64>,
    pub ttft_attainment: Option<f64>,
    pub tpot_attainment: Option<f64>,
    pub tbt_attainment: Option<f64>,
    pub e2e_attainment: Option<f64>,
    pub request_goodput: Option<f64>,

    pub knows_work: bool,
    pub idle_energy_j: f64,
    pub dynamic_energy_j: f64,
    pub cost_usd: Option<f64>,

    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    pub kv_cache_peak: f64,

    pub steps: u64,
    pub preemptions: u64,
    pub prefill_tokens: u64,
    pub decode_tokens: u64,
    pub busy_share: Option<f64>,
    pub parts: StepParts,
    pub optimum_share: Option<f64>,
    pub attention_busy_share: Option<f64>,
    pub model_busy_share: Option<f64>,
    pub flops: f64,
    pub memory_bytes: f64,
    pub link_bytes: f64,
    pub expert_load_bytes: f64,
    pub mfu: Option<f64>,
    pub mbu: Option<f64>,

    pub prefill: Option<PoolFigures>,
    pub decode: Option<PoolFigures>,
    pub transfers: Option<TransferFigures>,
    pub mixed: Option<MixedPool>,

    /// Seconds of step time by [`Operator`] and [`Evidence`] (index with `as usize`), summed over replicas.
    pub operator_time_s: [[f64; Evidence::COUNT]; Operator::COUNT],
    /// Joules above idle by [`Operator`] (index with `as usize`), summed over replicas: together `dynamic_energy_j`.
    pub operator_energy_j: [f64; Operator::COUNT],

    /// What the run tells of how far chance moved its figures. Files have it without single requests, so it is
    /// [condensed](WithinRun::condensed) before it is written; where it is empty it is not written.
    #[serde(default, skip_serializing_if = "is_empty", with = "shared")]
    pub within_run: Arc<WithinRun>,
}

fn is_empty(within_run: &Arc<WithinRun>) -> bool {
    within_run.is_empty()
}

/// What is shared is written as if it were not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::uncertainty::WithinRun;

    pub(super) fn serialize<S: Serializer>(shared: &Arc<WithinRun>, serializer: S) -> Result<S::Ok, S::Error> {
        WithinRun::serialize(shared, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<WithinRun>, D::Error> {
        WithinRun::deserialize(deserializer).map(Arc::new)
    }
}

/// `amount` per `divisor`, where there is any.
pub(super) fn per(amount: f64, divisor: f64) -> Option<f64> {
    (divisor > 0.0).then(|| amount / divisor)
}

impl Summary {
    /// Joins what requests experienced with the books of the run. Takes `&mut` to sort the samples once.
    pub fn new(measures: &mut Measures, outcome: &Outcome, facts: &SystemFacts) -> Self {
        let duration_s = outcome.elapsed().as_secs_f64();
        let measured_s = measured_time(measures, outcome).as_secs_f64();
        let served = measures.in_window;
        let attained = measures.attained;
        let slos = *measures.slos();
        let share = |given: bool, count: u64| per(count as f64, attained.judged as f64).filter(|_| given);
        let replicas = Replicas(&outcome.replicas);
        let useful_flops = replicas.real(|replica| replica.cost.useful_flops);
        let necessary_bytes = replicas.real(|replica| replica.cost.necessary_bytes);
        Summary {
            duration_s,
            measured_s,
            measured_from_s: measured_from(measures, outcome).as_secs_f64(),
            warm_up: measures.series.warm_up(),
            steadiness: measures.series.steadiness(),
            devices: facts.devices,
            requests: outcome.requests,
            total_input_tokens: measures.whole_run.input_tokens,
            total_output_tokens: measures.whole_run.output_tokens,
            ttft: measures.ttft.statistics(),
            tpot: measures.tpot.statistics(),
            itl: measures.gaps().statistics(),
            request_max_itl: measures.max_gap.statistics(),
            e2el: measures.e2e.statistics(),
            normalized_latency: measures.normalized_latency.statistics(),
            queue_time: measures.queue_time.statistics(),
            request_throughput: per(served.requests as f64, measured_s),
            output_throughput: per(served.output_tokens as f64, measured_s),
            total_token_throughput: per((served.input_tokens + served.output_tokens) as f64, measured_s),
            slo_attainment: share(slos.any(), attained.all),
            ttft_attainment: share(slos.ttft.is_some(), attained.ttft),
            tpot_attainment: share(slos.tpot.is_some(), attained.tpot),
            tbt_attainment: share(slos.tbt.is_some(), attained.tbt),
            e2e_attainment: share(slos.e2e.is_some(), attained.e2e),
            request_goodput: per(served.good_requests as f64, measured_s).filter(|_| slos.any()),
            knows_work: facts.peak_flops > 0.0,
            idle_energy_j: replicas.real(|replica| replica.idle_energy_j),
            dynamic_energy_j: replicas.real(|replica| replica.dynamic_energy_j),
            cost_usd: facts.usd_per_hour.map(|usd| usd * duration_s / 3600.0),
            prompt_tokens: replicas.count(|replica| replica.prompt_tokens),
            cached_tokens: replicas.count(|replica| replica.cached_tokens),
            kv_cache_peak: replicas.kv_cache_peak(),
            steps: replicas.count(|replica| replica.steps),
            preemptions: replicas.count(|replica| replica.preemptions),
            prefill_tokens: replicas.count(|replica| replica.prefill_tokens),
            decode_tokens: replicas.count(|replica| replica.decode_tokens),
            busy_share: replicas.busy_share(),
            parts: replicas.parts(),
            optimum_share: replicas.optimum_s().and_then(|sum| per(sum / replicas.0.len() as f64, duration_s)),
            attention_busy_share: replicas.offloading_shares().map(|[attention, _]| attention),
            model_busy_share: replicas.offloading_shares().map(|[_, model]| model),
            flops: replicas.real(|replica| replica.cost.flops()),
            memory_bytes: replicas.real(|replica| replica.cost.sum().memory_bytes),
            link_bytes: replicas.real(|replica| replica.cost.sum().link_bytes),
            expert_load_bytes: replicas.real(|replica| replica.cost.expert_load_bytes),
            mfu: per(useful_flops, facts.peak_flops * duration_s),
            mbu: per(necessary_bytes, facts.peak_memory_bytes_per_s * duration_s),
            prefill: PoolFigures::of(outcome, Role::Prefill, facts),
            decode: PoolFigures::of(outcome, Role::Decode, facts),
            mixed: outcome.mixed,
            transfers: outcome.transfers.as_ref().map(|transfers| TransferFigures {
                requests: transfers.requests,
                bytes: transfers.bytes,
                time: measures.transfer_time.statistics(),
                wait: measures.handover_wait.statistics(),
            }),
            operator_time_s: replicas.operator_time_s(),
            operator_energy_j: Operator::ALL
                .map(|operator| replicas.real(|replica| replica.cost.operator(operator).dynamic_energy_j)),
            within_run: Arc::new(measures.series.within_run()),
        }
    }

    /// The same with [`WithinRun::condensed`].
    #[must_use]
    pub fn condensed(self) -> Self {
        Summary { within_run: Arc::new(self.within_run.condensed()), ..self }
    }

    /// A figure of FLOPs, bytes or energy above idle; `None` where the cost model counts none of them.
    pub(super) fn of_work(&self, figure: f64) -> Option<f64> {
        self.knows_work.then_some(figure)
    }

    /// Energy of all devices over the whole run in joules, idle power included.
    pub fn energy_j(&self) -> f64 {
        self.idle_energy_j + self.dynamic_energy_j
    }

    /// Energy above idle of the operators of a class, in joules.
    pub fn class_energy_j(&self, class: OperatorClass) -> f64 {
        let of_class = Operator::ALL.into_iter().filter(|operator| OperatorClass::of(*operator) == class);
        of_class.map(|operator| self.operator_energy_j[operator as usize]).sum()
    }

    /// Share of the step time (0 to 1) that stands on this kind of evidence; `None` if no step ran.
    pub fn evidence_share(&self, evidence: Evidence) -> Option<f64> {
        let time_s = self.operator_time_s.iter().map(|by_evidence| by_evidence[evidence as usize]).sum();
        per(time_s, self.step_time_s())
    }

    /// Share of the step time (0 to 1) that an operator took; `None` if no step ran.
    pub fn operator_share(&self, operator: Operator) -> Option<f64> {
        per(self.operator_time_s[operator as usize].iter().sum(), self.step_time_s())
    }

    /// Share of the step time (0 to 1) that an operator took and that stands on this kind of evidence; `None` if no step
    /// ran.
    pub fn operator_evidence_share(&self, operator: Operator, evidence: Evidence) -> Option<f64> {
        per(self.operator_time_s[operator as usize][evidence as usize], self.step_time_s())
    }

    /// Time of all steps in seconds, all operators.
    pub(super) fn step_time_s(&self) -> f64 {
        self.operator_time_s.iter().flatten().sum()
    }
}

/// The part of the measuring window in which the run took place, or the whole run without one.
fn measured_time(measures: &Measures, outcome: &Outcome) -> SimDuration {
    let Some(window) = measures.window() else { return outcome.elapsed() };
    let start: SimTime = window.start.max(outcome.first_arrival);
    let end = window.end.min(outcome.end);
    if start < end { end - start } else { SimDuration::ZERO }
}

/// From the first arrival to the start of the measuring window, if it starts later.
fn measured_from(measures: &Measures, outcome: &Outcome) -> SimDuration {
    let start = measures.window().map_or(outcome.first_arrival, |window| window.start);
    start.max(outcome.first_arrival) - outcome.first_arrival
}

/// Sums over replicas.
struct Replicas<'a>(&'a [ReplicaOutcome]);

impl Replicas<'_> {
    fn count(&self, of: impl Fn(&ReplicaOutcome) -> u64) -> u64 {
        self.0.iter().map(of).sum()
    }

    fn real(&self, of: impl Fn(&ReplicaOutcome) -> f64) -> f64 {
        self.0.iter().map(of).sum()
    }

    fn busy_share(&self) -> Option<f64> {
        let seconds = |times: &[SimDuration]| times.iter().map(|time| time.as_secs_f64()).sum::<f64>();
        let busy = self.real(|replica| seconds(&replica.stage_busy));
        let idle = self.real(|replica| seconds(&replica.stage_idle));
        per(busy, busy + idle)
    }

    fn parts(&self) -> StepParts {
        self.0.iter().fold(StepParts::default(), |mut sum, replica| {
            sum += &replica.cost.parts;
            sum
        })
    }

    /// Seconds that all would take at best, one after the other; `None` if that is not known of one.
    fn optimum_s(&self) -> Option<f64> {
        self.0.iter().map(|replica| replica.optimum_ns.map(|ns| ns / 1e9)).sum()
    }

    /// Where attention is offloaded: shares of time in which attention workers and model workers compute.
    fn offloading_shares(&self) -> Option<[f64; 2]> {
        let mut seconds = [[0.0; 2]; 2];
        for replica in self.0 {
            let Some(attention) = replica.attention_busy else { continue };
            let all_busy: f64 = replica.stage_busy.iter().map(|time| time.as_secs_f64()).sum();
            let elapsed = replica.stage_busy.first()?.as_secs_f64() + replica.stage_idle.first()?.as_secs_f64();
            let models = (replica.stage_busy.len() - 1) as f64;
            let attention = attention.as_secs_f64();
            for (sums, (busy, all)) in
                seconds.iter_mut().zip([(attention, elapsed), (all_busy - attention, models * elapsed)])
            {
                sums[0] += busy;
                sums[1] += all;
            }
        }
        let [attention, models] = seconds.map(|[busy, all]| per(busy, all));
        Some([attention?, models?])
    }

    fn kv_cache_peak(&self) -> f64 {
        let usage = |replica: &ReplicaOutcome| f64::from(replica.kv_blocks_peak) / f64::from(replica.kv_blocks.max(1));
        self.0.iter().map(usage).fold(0.0, f64::max)
    }

    fn operator_time_s(&self) -> [[f64; Evidence::COUNT]; Operator::COUNT] {
        let mut time_s = [[0.0; Evidence::COUNT]; Operator::COUNT];
        for replica in self.0 {
            for (operator, totals) in replica.cost.operators() {
                for (sum, ns) in time_s[operator as usize].iter_mut().zip(totals.time_ns_by_evidence) {
                    *sum += ns / 1e9;
                }
            }
        }
        time_s
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures of these examples are exact in floating point")]
pub(in crate::measures) mod tests {
    use profiles::CostTotals;

    use super::super::collector::Window;
    use super::super::collector::tests::{completed, rejected};
    use super::super::slo::Slos;
    use super::*;
    use crate::record::Observer;

    fn seconds(seconds: f64) -> SimDuration {
        SimDuration::from_secs_f64(seconds)
    }

    const SECOND: u64 = 1_000_000_000;

    fn replica() -> ReplicaOutcome {
        let mut cost = CostTotals::default();
        cost.useful_flops = 6e12;
        cost.necessary_bytes = 3e12;
        cost.expert_load_bytes = 5e9;
        cost.operator_mut(Operator::DenseFfn).time_ns_by_evidence = [1e9, 2e9, 0.0];
        cost.operator_mut(Operator::DecodeAttention).time_ns_by_evidence = [0.0, 0.0, 1e9];
        cost.operator_mut(Operator::DenseFfn).dynamic_energy_j = 750.0;
        cost.operator_mut(Operator::DecodeAttention).dynamic_energy_j = 250.0;
        ReplicaOutcome {
            role: Role::Serve,
            requests: 2,
            steps: 3,
            preemptions: 1,
            prefill_tokens: 1500,
            decode_tokens: 10,
            prompt_tokens: 2000,
            cached_tokens: 500,
            handed_over: 0,
            taken_over: 0,
            stage_busy: vec![seconds(4.0)],
            stage_idle: vec![seconds(6.0)],
            attention_busy: None,
            optimum_ns: None,
            kv_blocks: 100,
            kv_blocks_peak: 25,
            devices: 2,
            idle_energy_j: 2000.0,
            dynamic_energy_j: 1000.0,
            cost,
        }
    }

    /// A run of 10 s on two devices: two requests of 1000 + 5 tokens, and one rejected.
    fn outcome() -> Outcome {
        let requests = RequestCounts { issued: 3, completed: 2, rejected_kv_cache: 1, ..RequestCounts::default() };
        Outcome {
            first_arrival: SimTime::from_nanos(SECOND),
            end: SimTime::from_nanos(11 * SECOND),
            requests,
            replicas: vec![replica()],
            transfers: None,
            mixed: None,
        }
    }

    fn measures(slos: Slos, window: Option<Window>) -> Measures {
        let mut measures = Measures::new(slos, window);
        measures.request(&completed(SECOND, [SECOND, 2 * SECOND, 6 * SECOND], 5, 2 * SECOND));
        measures.request(&completed(2 * SECOND, [3 * SECOND, 5 * SECOND, 11 * SECOND], 5, 3 * SECOND));
        measures.request(&rejected(3 * SECOND));
        measures
    }

    const FACTS: SystemFacts = SystemFacts {
        devices: 2,
        usd_per_hour: Some(7.2),
        prefill_usd_per_hour: None,
        decode_usd_per_hour: None,
        peak_flops: 2e12,
        peak_memory_bytes_per_s: 6e12,
    };

    pub(in crate::measures) fn summary() -> Summary {
        let slos = Slos { ttft: Some(seconds(2.0)), tbt: Some(seconds(60.0)), ..Slos::default() };
        Summary::new(&mut measures(slos, None), &outcome(), &FACTS)
    }

    #[test]
    fn a_cost_model_that_knows_times_only_has_no_figures_of_work() {
        let facts = SystemFacts { peak_flops: 0.0, peak_memory_bytes_per_s: 0.0, ..FACTS };
        let outcome = outcome();
        let known = |facts: &SystemFacts| {
            let summary = Summary::new(&mut Measures::new(Slos::default(), None), &outcome, facts);
            let has = |name: &str| {
                let columns = Summary::columns();
                let column = columns.iter().find(|column| column.name == name).expect("a column of this name");
                column.value(&summary).is_some()
            };
            ["energy_j", "dynamic_energy_j", "mean_power_w", "flops", "memory_bytes", "link_bytes", "mfu", "mbu"]
                .map(has)
        };
        assert_eq!(known(&facts), [false; 8]);
        assert!(known(&FACTS)[0], "the same run has an energy where its cost model counts it");
    }

    #[test]
    fn rates_are_over_the_time_from_the_first_arrival_to_the_last_ending() {
        let summary = summary();
        assert_eq!(summary.duration_s, 10.0);
        assert_eq!(summary.request_throughput, Some(0.2));
        assert_eq!(summary.output_throughput, Some(1.0));
        assert_eq!(summary.total_token_throughput, Some(201.0));
    }

    #[test]
    fn attainment_counts_every_request_that_was_issued_and_goodput_those_that_met_all() {
        let summary = summary();
        assert_eq!(summary.slo_attainment, Some(1.0 / 3.0));
        assert_eq!(summary.ttft_attainment, Some(1.0 / 3.0));
        assert_eq!(summary.tbt_attainment, Some(2.0 / 3.0));
        assert_eq!(summary.tpot_attainment, None);
        assert_eq!(summary.request_goodput, Some(0.1));
    }

    #[test]
    fn without_objectives_there_is_no_attainment() {
        let summary = Summary::new(&mut measures(Slos::default(), None), &outcome(), &FACTS);
        assert_eq!((summary.slo_attainment, summary.request_goodput), (None, None));
    }

    #[test]
    fn a_window_measures_rates_over_the_part_of_it_in_which_the_run_took_place() {
        let window = Window { start: SimTime::ZERO, end: SimTime::from_nanos(6 * SECOND + 1) };
        let summary = Summary::new(&mut measures(Slos::default(), Some(window)), &outcome(), &FACTS);
        assert!((summary.measured_s - 5.0).abs() < 1e-6);
        assert!((summary.request_throughput.expect("time passed") - 0.2).abs() < 1e-6);
        assert_eq!(summary.duration_s, 10.0);
    }

    #[test]
    fn utilisation_is_over_the_peaks_of_all_devices_for_the_whole_run() {
        let summary = summary();
        assert_eq!(summary.mfu, Some(0.3));
        assert_eq!(summary.mbu, Some(0.05));
        assert_eq!(summary.busy_share, Some(0.4));
        assert_eq!(summary.kv_cache_peak, 0.25);
    }

    #[test]
    fn a_run_has_the_share_of_the_optimum_that_the_time_of_its_batches_is_if_it_is_known_of_all() {
        let mut outcome = outcome();
        outcome.replicas.push(replica());
        let share = |outcome: &Outcome| Summary::new(&mut Measures::default(), outcome, &FACTS).optimum_share;
        outcome.replicas[0].optimum_ns = Some(8e9);
        assert_eq!(share(&outcome), None);
        outcome.replicas[1].optimum_ns = Some(4e9);
        assert_eq!(share(&outcome), Some(0.6), "of ten seconds on two");
    }

    #[test]
    fn cost_is_device_hours_times_their_price() {
        assert_eq!(summary().cost_usd, Some(0.02));
        let free = Summary::new(
            &mut measures(Slos::default(), None),
            &outcome(),
            &SystemFacts { usd_per_hour: None, ..FACTS },
        );
        assert_eq!(free.cost_usd, None);
    }

    #[test]
    fn step_time_is_shared_out_to_operators_and_evidence() {
        let summary = summary();
        assert_eq!(summary.operator_share(Operator::DenseFfn), Some(0.75));
        assert_eq!(summary.evidence_share(Evidence::Fitted), Some(0.5));
        assert_eq!(Evidence::ALL.iter().filter_map(|&kind| summary.evidence_share(kind)).sum::<f64>(), 1.0);
    }

    #[test]
    fn a_run_of_no_length_has_no_rates() {
        let mut empty = outcome();
        empty.end = empty.first_arrival;
        let summary = Summary::new(&mut Measures::default(), &empty, &FACTS);
        assert_eq!((summary.request_throughput, summary.mfu, summary.ttft), (None, None, None));
    }
}
