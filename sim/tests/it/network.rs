//! Transfers over shared links, against textbook examples, closed forms and a naive simulator.

mod cluster;
mod naive;
mod random;
mod released;

use sim::network::{Arrived, FlowLink, LinkOutcome, Network, NetworkError, NetworkSpec, Path, Release, RouteId};
use workloads::{SimDuration, SimTime};

const GB: u64 = 1_000_000_000;

fn at(nanos: u64) -> SimTime {
    SimTime::from_nanos(nanos)
}

fn link(bytes_per_s: u64, latency_ns: u64) -> FlowLink {
    FlowLink { name: format!("{bytes_per_s} bytes/s"), bytes_per_s, latency: SimDuration::from_nanos(latency_ns) }
}

fn one_way(links: &[u32]) -> Vec<Path> {
    vec![Path { links: links.to_vec(), parts: 1 }]
}

/// A message: when it is sent, on which route, bytes, release.
type Send = (u64, RouteId, u64, Option<Release>);

/// Sends messages in order of their times; tells what arrived, by tag, and what the links carried.
fn play(spec: NetworkSpec, messages: &[Send]) -> (Vec<Arrived>, Vec<LinkOutcome>) {
    let mut network = Network::new(spec).expect("the network makes sense");
    let mut arrived = Vec::new();
    for (tag, &(sent, route, bytes, release)) in messages.iter().enumerate() {
        network.advance(at(sent), |message| arrived.push(message));
        match release {
            Some(release) => network.send_as_released(at(sent), route, bytes, release, tag as u64),
            None => network.send(at(sent), route, bytes, tag as u64),
        }
    }
    while let Some(next) = network.next_due() {
        network.advance(next, |message| arrived.push(message));
    }
    assert!(arrived.is_sorted_by_key(|message| message.at), "messages arrive in order");
    arrived.sort_by_key(|message| message.tag);
    (arrived, network.close())
}

fn arrivals(spec: NetworkSpec, messages: &[Send]) -> Vec<u64> {
    play(spec, messages).0.iter().map(|message| message.at.as_nanos()).collect()
}

#[test]
fn two_flows_halve_a_link_until_one_ends() {
    let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    // Half a GB/s each: the shorter ends after 2 s, and the longer has 1 GB left then.
    assert_eq!(arrivals(spec, &[(0, route, 2 * GB, None), (0, route, GB, None)]), [3_000_000_000, 2_000_000_000]);
}

#[test]
fn a_flow_that_comes_later_slows_the_first_from_then_on() {
    let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let sent = [(0, route, GB, None), (500_000_000, route, 250_000_000, None)];
    assert_eq!(arrivals(spec, &sent), [1_250_000_000, 1_000_000_000]);
}

/// Whoever sends at the nanosecond at which another flow ends need not have been told of that end.
#[test]
fn a_flow_that_comes_when_another_ends_has_the_link_to_itself() {
    // Three bytes at 2 GB/s take 1.5 ns, and the link is free after 2.
    let mut spec = NetworkSpec::new(vec![link(2 * GB, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let mut network = Network::new(spec).expect("the network makes sense");
    network.send(at(0), route, 3, 0);
    assert_eq!(network.next_due(), Some(at(2)));
    network.send(at(2), route, 4, 1);
    let mut arrived = Vec::new();
    while let Some(next) = network.next_due() {
        network.advance(next, |message| arrived.push((message.tag, message.at.as_nanos())));
    }
    assert_eq!(arrived, [(0, 2), (1, 4)]);
    assert_eq!(network.close()[0].bytes, 7);
}

#[test]
fn a_flow_held_up_elsewhere_leaves_its_share_to_the_others() {
    // Links of 1 and 3 GB/s; the first flow goes over both, the second over the first link, the third over the second
    // one. The first link gives half a GB/s to each; the third flow gets what the first leaves of its link, 2.5 GB/s.
    let mut spec = NetworkSpec::new(vec![link(GB, 0), link(3 * GB, 0)]);
    let routes = [&[0, 1][..], &[0], &[1]].map(|links| spec.add_route(one_way(links)));
    let sent = [(0, routes[0], GB, None), (0, routes[1], GB, None), (0, routes[2], 5 * GB, None)];
    assert_eq!(arrivals(spec, &sent), [2_000_000_000; 3]);
}

#[test]
fn latencies_of_all_links_come_on_top_of_the_transfer_and_hold_up_nobody() {
    let mut spec = NetworkSpec::new(vec![link(GB, 700), link(2 * GB, 300)]);
    let route = spec.add_route(one_way(&[0, 1]));
    let sent = [(0, route, 1_000, None), (1_000, route, 1_000, None), (5_000, route, 0, None)];
    let (arrived, links) = play(spec, &sent);
    assert_eq!(arrived.iter().map(|message| message.at.as_nanos()).collect::<Vec<_>>(), [2_000, 3_000, 6_000]);
    assert_eq!(links[0].busy.as_nanos(), 2_000);
    assert_eq!(links[1].bytes, 2_000);
}

#[test]
fn a_message_over_several_paths_arrives_with_its_last_part() {
    // A third goes over 1 GB/s and two thirds over 4 GB/s.
    let mut spec = NetworkSpec::new(vec![link(GB, 0), link(4 * GB, 0)]);
    let route = spec.add_route(vec![Path { links: vec![0], parts: 1 }, Path { links: vec![1], parts: 2 }]);
    let (arrived, links) = play(spec, &[(0, route, 3_000_001, None)]);
    assert_eq!(arrived[0].at, at(1_000_000));
    assert_eq!(links.iter().map(|link| link.bytes).collect::<Vec<_>>(), [1_000_000, 2_000_001]);
}

#[test]
fn what_is_there_already_arrives_at_once() {
    let mut spec = NetworkSpec::new(Vec::new());
    let route = spec.add_route(one_way(&[]));
    let release = Release { first: at(10), last: at(90), portions: 4 };
    assert_eq!(arrivals(spec, &[(7, route, GB, None), (7, route, GB, Some(release))]), [7, 90]);
}

#[test]
fn rates_that_are_no_whole_bytes_lose_no_byte() {
    // Three flows share 1,000,000 bytes/s: a third of a byte/s each is lost, and 10⁻⁶ of the time with it.
    let mut spec = NetworkSpec::new(vec![link(1_000_000, 0)]);
    let route = spec.add_route(one_way(&[0]));
    let (arrived, links) = play(spec, &[(0, route, 333_333, None); 3]);
    assert_eq!(arrived[2].at, at(1_000_000_000));
    assert_eq!(links[0].bytes, 999_999);
}

#[test]
fn networks_that_make_no_sense_are_refused() {
    let mut slow = NetworkSpec::new(vec![link(10, 0)]);
    slow.add_route(one_way(&[0]));
    let error = Network::new(slow).unwrap_err();
    assert_eq!(error.to_string(), "link 10 bytes/s has 10 bytes/s; at least 1000000 are needed");
    for links in [&[0, 0][..], &[1]] {
        let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
        spec.add_route(one_way(links));
        assert_eq!(Network::new(spec).unwrap_err(), NetworkError::BadPath { route: 0, links: links.to_vec() });
    }
    let mut spec = NetworkSpec::new(vec![link(GB, 0)]);
    spec.add_route(Vec::new());
    assert_eq!(Network::new(spec).unwrap_err(), NetworkError::NoParts { route: 0 });
}
