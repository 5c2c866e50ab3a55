//! Random networks and messages.

use proptest::prelude::*;
use sim::network::{NetworkSpec, Path, Release, RouteId};

use super::naive::{NaiveFlow, ends};
use super::{Send, at, link, play};

#[derive(Clone, Debug)]
struct Case {
    /// Bytes/s and latency in ns.
    links: Vec<(u64, u64)>,
    routes: Vec<Vec<u32>>,
    /// When sent, route, bytes, release.
    messages: Vec<(u64, usize, u64, Option<Release>)>,
}

impl Case {
    fn spec(&self) -> (NetworkSpec, Vec<RouteId>) {
        let links = self.links.iter().map(|&(bytes_per_s, latency)| link(bytes_per_s, latency));
        let mut spec = NetworkSpec::new(links.collect());
        let routes = self.routes.iter().map(|links| spec.add_route(vec![Path { links: links.clone(), parts: 1 }]));
        let routes = routes.collect();
        (spec, routes)
    }

    fn messages(&self, routes: &[RouteId]) -> Vec<Send> {
        self.messages.iter().map(|&(sent, route, bytes, release)| (sent, routes[route], bytes, release)).collect()
    }
}

fn case() -> impl Strategy<Value = Case> {
    let release = (0_u64..2_000_000, 1_u64..3_000_000, 2_u32..80);
    let message = (0_u64..3_000_000, any::<prop::sample::Index>(), 1_u64..4_000_000, proptest::option::of(release));
    let links = prop::collection::vec((prop::sample::select(vec![1, 2, 3, 5, 12]), 0_u64..5_000), 1..8);
    links.prop_flat_map(move |links| {
        let numbers: Vec<u32> = (0..links.len() as u32).collect();
        let routes = prop::collection::vec(prop::sample::subsequence(numbers, 1..=links.len()), 1..7);
        (Just(links), routes, prop::collection::vec(message.clone(), 1..25)).prop_map(|(links, routes, drawn)| {
            let mut messages: Vec<_> = drawn
                .into_iter()
                .map(|(sent, route, bytes, release)| {
                    let release = release.map(|(wait, length, portions)| Release {
                        first: at(sent + wait),
                        last: at(sent + wait + length),
                        portions,
                    });
                    (sent, route.index(routes.len()), bytes, release)
                })
                .collect();
            messages.sort_by_key(|&(sent, ..)| sent);
            let links = links.into_iter().map(|(giga, latency)| (giga * 1_000_000_000, latency)).collect();
            Case { links, routes, messages }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn flows_end_when_the_naive_simulator_says(case in case()) {
        let (spec, routes) = case.spec();
        let (arrived, _) = play(spec, &case.messages(&routes));
        let flow = |&(sent, route, bytes, release): &(u64, usize, u64, Option<Release>)| NaiveFlow {
            sent,
            links: case.routes[route].iter().map(|&link| link as usize).collect(),
            bytes: bytes as f64,
            release,
        };
        let flows: Vec<NaiveFlow> = case.messages.iter().map(flow).collect();
        let capacities: Vec<u64> = case.links.iter().map(|&(bytes_per_s, _)| bytes_per_s).collect();
        prop_assert_eq!(arrived.len(), flows.len());
        for ((arrived, flow), end) in arrived.iter().zip(&flows).zip(ends(&capacities, &flows)) {
            let latency: u64 = flow.links.iter().map(|&link| case.links[link].1).sum();
            let expected = end + latency as f64;
            let got = arrived.at.as_nanos() as f64;
            // Each event on the way rounds to a nanosecond.
            prop_assert!((got - expected).abs() < 60.0, "message {} at {got}, not {expected}", arrived.tag);
        }
    }

    #[test]
    fn links_carry_what_is_sent_and_no_faster_than_they_can(case in case()) {
        let (spec, routes) = case.spec();
        let (arrived, links) = play(spec, &case.messages(&routes));
        for (number, outcome) in links.iter().enumerate() {
            let over = case.messages.iter().filter(|(_, route, ..)| case.routes[*route].contains(&(number as u32)));
            let sent: u64 = over.map(|&(_, _, bytes, _)| bytes).sum();
            prop_assert_eq!(outcome.bytes, sent);
            let least_ns = sent as f64 * 1e9 / case.links[number].0 as f64;
            prop_assert!(outcome.busy.as_nanos() as f64 >= least_ns - 1.0 - 1e-9 * least_ns);
        }
        let (spec, routes) = case.spec();
        prop_assert_eq!(play(spec, &case.messages(&routes)), (arrived, links), "the same again");
    }
}
