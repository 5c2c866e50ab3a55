use super::*;

fn pair(step: u64, phase: Phase, predicted_ns: f64, measured_ns: &[f64]) -> StepPair {
    StepPair { step, phase, tokens: 100, context_tokens: 1000, predicted_ns, measured_ns: measured_ns.to_vec() }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn errors_are_those_that_a_hand_computes() {
    let pairs = [
        pair(0, Phase::Decode, 110.0, &[100.0]),
        pair(1, Phase::Decode, 95.0, &[100.0]),
        pair(2, Phase::Prefill, 300.0, &[200.0]),
    ];
    let comparison = Comparison::new(&pairs).expect("there are steps");
    let all = &comparison.all;
    assert_eq!(all.count, 3);
    assert!(close(all.median, 0.10) && close(all.largest, 0.50), "{all:?}");
    assert!(close(all.p90, 0.10 + 0.8 * 0.40), "numpy.quantile([0.05, 0.1, 0.5], 0.9): {all:?}");
    assert!(close(all.bias, (0.10 - 0.05 + 0.50) / 3.0), "{all:?}");
    assert!(close(all.time_bias, 505.0 / 400.0 - 1.0), "{all:?}");
    let phases: Vec<_> = comparison.phases.iter().map(|bucket| (bucket.label.as_str(), bucket.count)).collect();
    assert_eq!(phases, [("prefill", 1), ("decode", 2)], "phases that do not occur are not shown");
}

#[test]
fn every_step_is_in_one_bucket_of_each_kind() {
    let sizes = [(1, 1), (8, 4096), (9, 4097), (4096, 1 << 20), (4097, (1 << 20) + 1)];
    let pairs: Vec<_> = sizes
        .iter()
        .map(|&(tokens, context_tokens)| StepPair { tokens, context_tokens, ..pair(0, Phase::Mixed, 1.0, &[1.0]) })
        .collect();
    let comparison = Comparison::new(&pairs).expect("there are steps");
    let count =
        |what: &str| comparison.buckets().filter(|(by, _)| *by == what).map(|(_, bucket)| bucket.count).sum::<usize>();
    assert_eq!((count("all"), count("phase"), count("tokens"), count("context")), (5, 5, 5, 5));
    let labels: Vec<_> = comparison.tokens.iter().map(|bucket| bucket.label.as_str()).collect();
    assert_eq!(labels, ["1-8", "9-64", "1025-4096", "> 4096"]);
}

#[test]
fn errors_that_even_out_leave_a_clock_that_was_off_on_the_way() {
    let pairs = [pair(4, Phase::Decode, 150.0, &[100.0]), pair(9, Phase::Decode, 50.0, &[100.0])];
    let drift = Comparison::new(&pairs).expect("there are steps").drift;
    assert!(close(drift.at_end, 0.0) && close(drift.largest, 0.25), "{drift:?}");
    assert_eq!(drift.largest_after_step, 4);
}

#[test]
fn the_noise_floor_is_the_distance_of_two_passes_and_unknown_with_one() {
    let twice = [pair(0, Phase::Decode, 100.0, &[100.0, 102.0]), pair(1, Phase::Decode, 100.0, &[50.0, 50.0])];
    let noise = Comparison::new(&twice).expect("there are steps").noise.expect("two passes");
    assert!(close(noise.median, 1.0 / 101.0) && noise.steps == 2, "{noise:?}");
    let once = [pair(0, Phase::Decode, 100.0, &[100.0])];
    assert_eq!(Comparison::new(&once).expect("there are steps").noise, None);
}

#[test]
fn a_perfect_prediction_has_no_error_and_no_steps_have_no_comparison() {
    let pairs: Vec<_> = (1..50).map(|n| pair(n, Phase::Mixed, n as f64, &[n as f64, n as f64])).collect();
    let comparison = Comparison::new(&pairs).expect("there are steps");
    for (_, bucket) in comparison.buckets() {
        assert!(bucket.largest == 0.0 && bucket.bias == 0.0 && bucket.time_bias == 0.0, "{bucket:?}");
    }
    assert!(Comparison::new(&[]).is_none());
}
