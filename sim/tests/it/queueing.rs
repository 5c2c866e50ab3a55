//! A replica that serves one request at a time is a queue with one server: its waiting times are known exactly.

use profiles::cost::simple::{ConstantCost, PolynomialCost, PolynomialOptions};
use sim::{DeploymentSpec, RequestRecord};
use workloads::{Lengths, SimTime};

use crate::deployment::{CHUNKED, FREE, alone, assert_within, cache, mean, poisson, records, replica, scheduler};
use crate::engine;

const REQUESTS: u64 = 100_000;
const ONE_TOKEN: Lengths = Lengths::Fixed { tokens: 1 };

/// One request at a time, its prompt in one step.
fn one_server(longest: u32, cost: impl profiles::CostModel + 'static) -> DeploymentSpec {
    alone(replica(scheduler(CHUNKED, longest, 1), cache(16, longest.div_ceil(16) + 1), cost))
}

/// Service of 0.1 ms per prompt token.
fn per_token() -> PolynomialCost {
    PolynomialCost::new(PolynomialOptions { per_prompt_token_ns: 1e5, ..FREE })
}

/// Share of requests that waited longer than `seconds`.
fn share_waiting(records: &[RequestRecord], seconds: f64) -> f64 {
    let longer = records.iter().filter(|record| record.queue_time().as_secs_f64() > seconds).count();
    longer as f64 / records.len() as f64
}

/// Geometric lengths (from 1) with this mean: a whole-number stand-in for the exponential distribution, E[S²] = 2m² − m
/// instead of 2m². Cut at 20 means, where e⁻²⁰ of the probability is left.
fn geometric(mean: u32) -> Lengths {
    let stay = 1.0 - 1.0 / f64::from(mean);
    Lengths::Empirical { weights: (1..=20 * mean).map(|k| (k, stay.powf(f64::from(k - 1)))).collect() }
}

/// P(W ≤ t) of the M/D/1 queue (Erlang 1909; Iversen & Staalhagen 1999, eq. 1).
fn md1_wait_within(rate: f64, service_s: f64, t: f64) -> f64 {
    let mut sum = 0.0;
    for k in 0..=(t / service_s).floor() as i32 {
        let x = rate * (f64::from(k) * service_s - t);
        let factorial: f64 = (1..=k).map(f64::from).product();
        sum += x.powi(k) / factorial * (-x).exp();
    }
    (1.0 - rate * service_s) * sum
}

#[test]
fn constant_service_waits_like_m_d_1() {
    let (rate, service_s) = (5.0, 0.1);
    let mut source = poisson(rate, Lengths::Fixed { tokens: 64 }, ONE_TOKEN, REQUESTS, 1);
    let (records, outcome) = records(one_server(64, ConstantCost::new(100_000_000)), &mut source);

    // D + R D² / (2 (1 − R D)).
    let ttft_s = service_s + rate * service_s * service_s / (2.0 * (1.0 - rate * service_s));
    assert_within(
        "M/D/1, mean TTFT in s",
        mean(records.iter().map(|record| record.ttft().as_secs_f64())),
        ttft_s,
        0.01,
    );
    for t in [0.0, 0.05, 0.1, 0.15, 0.2, 0.3] {
        let expected = 1.0 - md1_wait_within(rate, service_s, t);
        assert_within(&format!("M/D/1, P(wait > {t} s)"), share_waiting(&records, t), expected, 0.06);
    }
    let busy_ns = outcome.replicas[0].stage_busy[0].as_nanos();
    assert_eq!(busy_ns, REQUESTS * 100_000_000, "every request is served once, alone");
    assert_within("M/D/1, utilisation", busy_ns as f64 / outcome.elapsed().as_nanos() as f64, rate * service_s, 0.01);
}

#[test]
fn exponential_service_waits_like_m_m_1() {
    let (arrivals, services) = (5.0_f64, 10.0_f64);
    let mut source = poisson(arrivals, geometric(1000), ONE_TOKEN, REQUESTS, 2);
    let (records, _) = records(one_server(20_000, per_token()), &mut source);

    let load = arrivals / services;
    let wait_s = load / (services - arrivals);
    assert_within("M/M/1, mean wait in s", mean(records.iter().map(|r| r.queue_time().as_secs_f64())), wait_s, 0.04);
    assert_within("M/M/1, mean TTFT in s", mean(records.iter().map(|r| r.ttft().as_secs_f64())), 0.2, 0.02);
    for t in [0.0, 0.1, 0.2, 0.4, 0.6] {
        let decay = (-(services - arrivals) * t).exp();
        assert_within(&format!("M/M/1, P(wait > {t} s)"), share_waiting(&records, t), load * decay, 0.08);
        let longer = records.iter().filter(|record| record.ttft().as_secs_f64() > t).count();
        let share = longer as f64 / records.len() as f64;
        assert_within(&format!("M/M/1, P(TTFT > {t} s)"), share, decay, 0.08);
    }
}

#[test]
fn mixed_service_waits_as_pollaczek_and_khinchine_say() {
    let (rate, lengths) = (5.0, [(500, 0.9), (5500, 0.1)]);
    // Quadratic in the length, as attention is.
    let options = PolynomialOptions { per_prompt_token_ns: 5e4, per_prompt_token_squared_ns: 9.0, ..FREE };
    let mut source = poisson(rate, Lengths::Empirical { weights: lengths.to_vec() }, ONE_TOKEN, REQUESTS, 3);
    let (records, _) = records(one_server(5500, PolynomialCost::new(options)), &mut source);

    let service_s = |tokens: u32| 5e-5 * f64::from(tokens) + 9e-9 * f64::from(tokens) * f64::from(tokens);
    let moment = |power: i32| lengths.iter().map(|&(l, share)| share * service_s(l).powi(power)).sum::<f64>();
    let wait_s = rate * moment(2) / (2.0 * (1.0 - rate * moment(1)));
    assert_within("M/G/1, mean wait in s", mean(records.iter().map(|r| r.queue_time().as_secs_f64())), wait_s, 0.05);
}

/// ∫ (requests in the system) dt in nanoseconds, walked from one arrival or ending to the next; and at each of the times
/// `asked` (in order), how many were in the system once all that arrived or ended at it had done so.
fn in_system(records: &[RequestRecord], asked: &[SimTime]) -> (u128, Vec<u64>) {
    let mut changes: Vec<(SimTime, i64)> = Vec::new();
    for record in records {
        changes.push((record.arrival, 1));
        changes.push((record.last_token, -1));
    }
    changes.sort_unstable();
    let (mut present, mut integral, mut now, mut next) = (0_i64, 0_u128, SimTime::ZERO, 0);
    let mut answers = Vec::new();
    let mut advance = |until: Option<SimTime>, present: &mut i64| {
        while let Some(&(at, change)) = changes.get(next)
            && until.is_none_or(|until| at <= until)
        {
            integral += u128::from((at - now).as_nanos()) * *present as u128;
            now = at;
            *present += change;
            next += 1;
        }
    };
    for &at in asked {
        advance(Some(at), &mut present);
        answers.push(present as u64);
    }
    advance(None, &mut present);
    (integral, answers)
}

#[test]
fn littles_law_holds_to_the_nanosecond() {
    // Batches of decodes and prompts this time, and a queue.
    let (rate, requests) = (40.0, 10_000);
    let options = PolynomialOptions { per_step_ns: 2e6, per_prompt_token_ns: 2e4, per_step_token_ns: 4e4, ..FREE };
    let deployment = alone(replica(scheduler(CHUNKED, 256, 32), cache(16, 400), PolynomialCost::new(options)));
    let output = Lengths::Uniform { min: 1, max: 40 };
    let mut source = poisson(rate, Lengths::Uniform { min: 1, max: 400 }, output, requests, 4);
    let run = engine::simulate(deployment, &mut source).expect("a valid run");

    let scheduled: Vec<_> = run.steps.iter().map(|step| step.scheduled).collect();
    let (integral_ns, present) = in_system(&run.records, &scheduled);
    for (step, present) in run.steps.iter().zip(present) {
        let counted = u64::from(step.waiting + step.running);
        assert_eq!(counted, present, "requests waiting and running at {}", step.scheduled);
    }
    let stays_ns: u128 = run.records.iter().map(|record| u128::from(record.e2e().as_nanos())).sum();
    assert_eq!(integral_ns, stays_ns, "the area under the number in the system is the sum of all stays");

    // L = λ W with the offered rate, and L of the steps as they saw it.
    let held = |(step, next): (&sim::StepRecord, &sim::StepRecord)| {
        f64::from(step.waiting + step.running) * (next.scheduled - step.scheduled).as_secs_f64()
    };
    let seen: f64 = run.steps.iter().zip(&run.steps[1..]).map(held).sum();
    let elapsed_s = run.outcome.elapsed().as_secs_f64();
    let stay_s = stays_ns as f64 / 1e9 / requests as f64;
    let in_system = integral_ns as f64 / 1e9 / elapsed_s;
    assert_within("Little, L against λW", in_system, rate * stay_s, 0.02);
    assert!(in_system > 2.0, "{in_system} requests in the system on average are no queue");
    // Steps see arrivals at their next boundary only: less than the whole by what came meanwhile.
    assert_within("Little, L seen by steps", seen / elapsed_s, in_system, 0.1);
}
