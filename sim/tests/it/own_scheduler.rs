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
fn the_guide_shows_the_policy_as_it_is_compiled() {
    let source = include_str!("../../examples/own_scheduler.rs");
    let policy = source.split("// begin: the policy\n").nth(1).expect("it begins");
    let policy = policy.split("// end: the policy").next().expect("it ends");
    let guide = include_str!("../../../docs/first-hour.md");
    assert!(guide.contains(policy), "docs/first-hour.md shows another policy than sim/examples/own_scheduler.rs");
}
