//! The example that writes a policy of its own is what the guide for newcomers shows, and does what it says.

#[path = "../../examples/own_scheduler.rs"]
#[expect(dead_code, reason = "an example has a `main`")]
mod example;

#[test]
fn a_policy_written_outside_stalls_decodes_no_more_than_small_chunks_and_answers_sooner() {
    let found = example::compare(600).expect("the example runs");
    let [small, large, own] = found.as_slice() else { panic!("three systems") };
    assert!(own.1.tbt.p99_ns < 1.2 * small.1.tbt.p99_ns, "small chunks beside decodes");
    assert!(large.1.tbt.p99_ns > 1.4 * own.1.tbt.p99_ns, "large chunks stall");
    assert!(own.1.ttft.mean_ns < 0.95 * small.1.ttft.mean_ns, "whole steps while nobody decodes");
}

#[test]
fn an_order_written_outside_helps_short_prompts_and_does_not_starve_long_ones() {
    let found = example::compare_orders(3000).expect("the example runs");
    let [as_they_come, shortest, aged] = found.as_slice() else { panic!("three systems") };
    let mean = |found: &(&str, example::Latencies)| found.1.ttft.mean_ns;
    assert!(mean(shortest) < 0.8 * mean(as_they_come), "the shortest first wait least in the mean");
    assert!(mean(shortest) < mean(aged) && mean(aged) < mean(as_they_come), "age tempers it");
    assert!(aged.1.ttft.p99_ns < 0.95 * shortest.1.ttft.p99_ns, "and spares the long ones");
}

#[test]
fn the_guide_shows_the_policy_and_the_order_as_they_are_compiled() {
    let source = include_str!("../../examples/own_scheduler.rs");
    let guide = include_str!("../../../docs/first-hour.md");
    for what in ["policy", "order"] {
        let shown = source.split(&format!("// begin: the {what}\n")).nth(1).expect("it begins");
        let shown = shown.split(&format!("// end: the {what}")).next().expect("it ends");
        assert!(guide.contains(shown), "docs/first-hour.md shows another {what} than sim/examples/own_scheduler.rs");
    }
}
