//! How often intervals of 95 % contain the truth, and how often equal systems are told apart: on queues whose figures are
//! known. `docs/statistics.md` quotes what is printed here.

use profiles::cost::simple::{PolynomialCost, PolynomialOptions};
use sim::{Column, DeploymentSpec, Interval, Measures, RouterSpec, Slos, Summary, SystemFacts};
use workloads::{Lengths, Source};

use crate::deployment::{CHUNKED, FREE, cache, poisson, replica, scheduler};

const REPETITIONS: u64 = 500;
/// Mean service time in seconds.
const SERVICE_S: f64 = 0.1;
/// Mean of the prompts in tokens, of which each takes equally long.
const TOKENS: u32 = 500;
/// Longest prompt: what is left out is e⁻²⁰ of the probability.
const LONGEST: u32 = 20 * TOKENS;

pub(crate) const FACTS: SystemFacts = SystemFacts {
    devices: 1,
    usd_per_hour: None,
    prefill_usd_per_hour: None,
    decode_usd_per_hour: None,
    peak_flops: 0.0,
    peak_memory_bytes_per_s: 0.0,
};

/// Geometric lengths: a whole-number stand-in for the exponential distribution, with E[S²] = 2m² − m instead of 2m².
fn geometric() -> Lengths {
    let stay = 1.0 - 1.0 / f64::from(TOKENS);
    Lengths::Empirical { weights: (1..=LONGEST).map(|k| (k, stay.powf(f64::from(k - 1)))).collect() }
}

/// Queues with exponential service behind a router, `load` each.
struct Queues {
    count: usize,
    router: RouterSpec,
    load: f64,
    requests: u64,
    prompts: Lengths,
}

impl Queues {
    /// M/M/1.
    fn one(load: f64, requests: u64) -> Self {
        Queues { count: 1, router: RouterSpec::RoundRobin, load, requests, prompts: geometric() }
    }

    /// Serves the requests of `seed`; the router draws from `router_seed`.
    fn run(&self, seed: u64, router_seed: u64) -> Summary {
        let per_token = SERVICE_S / f64::from(TOKENS);
        let server = || {
            let cost = PolynomialCost::new(PolynomialOptions { per_prompt_token_ns: per_token * 1e9, ..FREE });
            replica(scheduler(CHUNKED, LONGEST, 1), cache(16, LONGEST.div_ceil(16) + 1), cost)
        };
        let deployment = DeploymentSpec {
            replicas: (0..self.count).map(|_| server()).collect(),
            router: self.router,
            seed: router_seed,
            handover: None,
        };
        let rate = self.count as f64 * self.load / SERVICE_S;
        let mut source = poisson(rate, self.prompts.clone(), Lengths::Fixed { tokens: 1 }, self.requests, seed);
        let mut measures = Measures::new(Slos::default(), None).with_samples();
        let source: &mut dyn Source = &mut source;
        let outcome = sim::simulate(deployment, source, &mut measures).expect("a valid run");
        Summary::new(&mut measures, &outcome, &FACTS)
    }

    /// Mean wait of M/G/1 in milliseconds (Pollaczek & Khinchine): λ E[S²] ÷ (2 (1 − ρ)).
    fn mean_wait_ms(&self) -> f64 {
        let tokens = f64::from(TOKENS);
        let second_moment = (2.0 - 1.0 / tokens) * SERVICE_S * SERVICE_S;
        1e3 * self.load / SERVICE_S * second_moment / (2.0 * (1.0 - self.load))
    }

    /// Quantile of the time in an M/M/1 queue in milliseconds, which is exponential: −ln(1 − q) ÷ (μ − λ).
    fn time_within_ms(&self, q: f64) -> f64 {
        -1e3 * (1.0 - q).ln() * SERVICE_S / (1.0 - self.load)
    }
}

fn column(name: &str) -> &'static Column {
    Summary::column(name).unwrap_or_else(|| panic!("there is no {name}"))
}

fn value(name: &str, summary: &Summary) -> f64 {
    column(name).value(summary).and_then(sim::Value::as_f64).unwrap_or_else(|| panic!("{name} has no value"))
}

/// How many intervals there were, how many of them held, and how wide they were.
#[derive(Default)]
struct Count {
    given: u64,
    held: u64,
    /// Relative to what they are of.
    relative_half_widths: f64,
}

impl Count {
    fn add(&mut self, interval: Option<Interval>, truth: f64, scale: f64) {
        let Some(interval) = interval else { return };
        self.given += 1;
        self.held += u64::from(interval.low <= truth && truth <= interval.high);
        self.relative_half_widths += interval.half_width() / scale;
    }

    /// Prints the share, and demands it between `low` and `high`, and an interval in most cases.
    #[expect(clippy::print_stdout, reason = "figures for whoever runs the tests with --nocapture")]
    fn demand(&self, what: &str, low: f64, high: f64) {
        let share = self.held as f64 / self.given as f64;
        println!(
            "{what}: {:.1} % of {} intervals hold, half-width {:.1} % on average",
            100.0 * share,
            self.given,
            100.0 * self.relative_half_widths / self.given as f64
        );
        assert!(self.given >= REPETITIONS * 8 / 10, "{what}: only {} of {REPETITIONS} had an interval", self.given);
        assert!((low..=high).contains(&share), "{what}: {share} is not within {low} and {high}");
    }
}

/// Intervals of one run each.
fn within_runs(load: f64, requests: u64) {
    let queue = Queues::one(load, requests);
    let truths = [
        ("mean_queue_ms", queue.mean_wait_ms()),
        ("median_ttft_ms", queue.time_within_ms(0.5)),
        ("p90_ttft_ms", queue.time_within_ms(0.9)),
        ("p99_ttft_ms", queue.time_within_ms(0.99)),
    ];
    let mut counts = truths.map(|_| Count::default());
    for seed in 0..REPETITIONS {
        let summary = queue.run(seed, 0);
        for (count, (name, truth)) in counts.iter_mut().zip(truths) {
            let spread = column(name).spread(&summary);
            assert_eq!(spread, column(name).spread(&summary.clone().condensed()), "{name}, seed {seed}");
            count.add(spread.map(|spread| spread.around(value(name, &summary))), truth, truth);
        }
    }
    for (count, (name, _)) in counts.iter().zip(truths) {
        count.demand(&format!("one run of {requests} at load {load}, {name}"), 0.92, 0.98);
    }
}

/// Intervals over `seeds` runs each.
fn over_seeds(load: f64, requests: u64, seeds: u64) {
    let queue = Queues::one(load, requests);
    let truths = [("mean_queue_ms", queue.mean_wait_ms()), ("p90_ttft_ms", queue.time_within_ms(0.9))];
    let mut counts = truths.map(|_| Count::default());
    for repetition in 0..REPETITIONS {
        let runs: Vec<Summary> = (0..seeds).map(|seed| queue.run(repetition * seeds + seed, 0)).collect();
        for (count, (name, truth)) in counts.iter_mut().zip(truths) {
            let figures: Vec<f64> = runs.iter().map(|run| value(name, run)).collect();
            count.add(Interval::over_seeds(&figures), truth, truth);
        }
    }
    for (count, (name, _)) in counts.iter().zip(truths) {
        count.demand(&format!("{seeds} seeds of {requests} at load {load}, {name}"), 0.92, 0.98);
    }
}

#[test]
#[ignore = "500 repetitions take minutes without optimisation: .ci/run runs it in release"]
fn one_run_at_half_load_says_how_far_its_figures_can_be_trusted() {
    within_runs(0.5, 15_000);
}

#[test]
#[ignore = "500 repetitions take minutes without optimisation: .ci/run runs it in release"]
fn one_run_near_its_capacity_does_so_if_it_is_long_enough() {
    within_runs(0.8, 80_000);
}

#[test]
#[ignore = "500 repetitions take minutes without optimisation: .ci/run runs it in release"]
fn several_seeds_say_how_far_their_means_can_be_trusted() {
    over_seeds(0.5, 2_000, 5);
    over_seeds(0.8, 10_000, 5);
}

/// Two systems alike but for what their router draws: on the same requests, how often is a difference called?
#[test]
#[ignore = "500 repetitions take minutes without optimisation: .ci/run runs it in release"]
fn systems_that_are_alike_are_seldom_told_apart() {
    let queues = Queues { count: 2, router: RouterSpec::PowerOfTwoChoices, ..Queues::one(0.7, 5_000) };
    let names = ["mean_ttft_ms", "p90_ttft_ms", "p99_ttft_ms"];
    let counts = || names.map(|_| Count::default());
    let (mut within, mut condensed, mut over) = (counts(), counts(), counts());
    for repetition in 0..REPETITIONS {
        let pairs: Vec<(Summary, Summary)> = (0..3)
            .map(|seed| 3 * repetition + seed)
            .map(|seed| (queues.run(seed, 2 * seed), queues.run(seed, 2 * seed + 1)))
            .collect();
        let kept = [&pairs[0].0, &pairs[0].1].map(|run| run.clone().condensed());
        for (index, name) in names.iter().enumerate() {
            let (within, condensed, over) = (&mut within[index], &mut condensed[index], &mut over[index]);
            let (one, other) = &pairs[0];
            let difference = value(name, other) - value(name, one);
            let spread = column(name).difference_spread(one, other);
            let scale = value(name, one);
            within.add(spread.map(|spread| spread.around(difference)), 0.0, scale);
            let spread = column(name).difference_spread(&kept[0], &kept[1]);
            condensed.add(spread.map(|spread| spread.around(difference)), 0.0, scale);
            let differences: Vec<f64> =
                pairs.iter().map(|(one, other)| value(name, other) - value(name, one)).collect();
            over.add(Interval::over_seeds(&differences), 0.0, scale);
        }
    }
    for (index, name) in names.iter().enumerate() {
        let (within, condensed, over) = (&within[index], &condensed[index], &over[index]);
        condensed.demand(&format!("alike, one run of 5,000, condensed, {name}"), 0.93, 1.0);
        within.demand(&format!("alike, one run of 5,000, {name}"), 0.93, 1.0);
        over.demand(&format!("alike, three seeds of 5,000, {name}"), 0.93, 1.0);
    }
}
