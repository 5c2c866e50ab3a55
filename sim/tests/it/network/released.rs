//! Flows whose bytes become available over time.

use super::{GB, Release, arrivals, at, link, one_way, play};
use sim::network::NetworkSpec;

const MB: u64 = 1_000_000;
const MS: u64 = 1_000_000;

/// When a flow alone on a link ends, portion by portion.
fn by_portions(release: Release, portion: u64, bytes_per_s: u64) -> u64 {
    let interval = (release.last - release.first).as_nanos() / u64::from(release.portions - 1);
    let mut free = 0;
    for index in 0..u64::from(release.portions) {
        free = free.max(release.first.as_nanos() + index * interval) + portion * 1_000_000_000 / bytes_per_s;
    }
    free
}

#[test]
fn alone_a_flow_ends_as_if_each_layer_were_a_message() {
    // A portion of 1 MB each millisecond: links faster than that, as fast, and slower.
    let release = Release { first: at(3 * MS), last: at(82 * MS), portions: 80 };
    for bytes_per_s in [20 * GB, 2 * GB, GB, GB / 2, GB / 10] {
        let mut spec = NetworkSpec::new(vec![link(bytes_per_s, 0)]);
        let route = spec.add_route(one_way(&[0]));
        let ends = arrivals(spec, &[(0, route, 80 * MB, Some(release))]);
        assert_eq!(ends, [by_portions(release, MB, bytes_per_s)], "at {bytes_per_s} bytes/s");
    }
}

#[test]
fn behind_a_fast_link_only_the_last_layer_is_seen() {
    let mut spec = NetworkSpec::new(vec![link(10 * GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let release = Release { first: at(MS), last: at(40 * MS), portions: 40 };
    let (arrived, links) = play(spec, &[(0, route, 40 * MB, Some(release))]);
    assert_eq!(arrived[0].at, at(40 * MS + MS / 10));
    assert_eq!(links[0].bytes, 40 * MB);
}

#[test]
fn what_a_paced_flow_leaves_is_for_others() {
    // Layers come at 0.25 GB/s from 0 to 80 ms; a second flow of 60 MB gets the other 0.75 GB/s until then.
    let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let release = Release { first: at(0), last: at(80 * MS), portions: 81 };
    let portion = 250_000;
    let sent = [(0, route, 81 * portion, Some(release)), (0, route, 60 * MB, None)];
    assert_eq!(arrivals(spec, &sent), [80 * MS + MS / 4, 80 * MS]);
}

#[test]
fn a_flow_that_fell_behind_its_release_catches_up() {
    // Layers come at 0.6 GB/s for 100 ms. Until the other flow of 20 MB ends at 40 ms, both have 0.5 GB/s; then 4 MB are
    // overdue, caught up at 0.4 GB/s more than the release within 10 ms. From 60 ms on it shares with a third flow of
    // 16 MB, 0.5 GB/s each, until that ends at 92 ms; the 3.2 MB that are overdue then are caught up by 100 ms, where only
    // the last 0.6 MB are missing.
    let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let release = Release { first: at(0), last: at(100 * MS), portions: 101 };
    let late = (60 * MS, route, 16 * MB, None);
    let sent = [(0, route, 101 * 600_000, Some(release)), (0, route, 20 * MB, None), late];
    assert_eq!(arrivals(spec, &sent), [100 * MS + 600_000, 40 * MS, 92 * MS]);
}

#[test]
fn a_release_at_one_moment_is_a_message_sent_then() {
    for portions in [1, 7] {
        let mut spec = NetworkSpec::new(vec![link(GB, 5)]);
        let route = spec.add_route(one_way(&[0]));
        let first = if portions == 1 { at(0) } else { at(100) };
        let release = Release { first, last: at(100), portions };
        assert_eq!(arrivals(spec, &[(0, route, 1_000, Some(release))]), [1_105]);
    }
}

#[test]
fn what_was_released_before_it_is_sent_goes_at_once() {
    let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let release = Release { first: at(10), last: at(100), portions: 10 };
    assert_eq!(arrivals(spec, &[(200, route, 1_000, Some(release))]), [1_200]);
}
