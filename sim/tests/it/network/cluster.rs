//! Transfers between replicas on clusters.

use profiles::topology::{Interconnect, ServerSpec, Topology};
use sim::network::NetworkSpec;

use super::{GB, play};

/// 400 Gbit/s of which all is reached, and 2 µs one way.
fn network() -> Interconnect {
    Interconnect { efficiency: 1.0, ..Interconnect::infiniband(400.0) }
}

/// Nanoseconds for 6 GB from GPUs of one server to those of another.
fn transfer(servers: [ServerSpec; 2], from: &[u32], to: &[u32]) -> u64 {
    let cluster = Topology::of(&servers, network()).unwrap();
    let mut spec = NetworkSpec::of(&cluster);
    let route = spec.connect(&cluster, from, to).unwrap();
    play(spec, &[(0, route, 6 * GB, None)]).0[0].at.as_nanos()
}

#[test]
fn gpus_with_adapters_of_their_own_send_their_parts_side_by_side() {
    let dgx = [ServerSpec::dgx_h100(); 2];
    // Six links of 1 µs; an adapter carries 50 GB/s.
    assert_eq!(transfer(dgx, &[0], &[8]), 120_000_000 + 6_000);
    assert_eq!(transfer(dgx, &[0, 1, 2, 3], &[8, 9, 10, 11]), 30_000_000 + 6_000);
    // Two halves come out of two adapters, into four.
    assert_eq!(transfer(dgx, &[0, 1], &[8, 9, 10, 11]), 60_000_000 + 6_000);
    // Thirds onto two GPUs: each adapter of the receivers takes a half.
    assert_eq!(transfer(dgx, &[0, 1, 2], &[8, 9]), 60_000_000 + 6_000);
}

#[test]
fn gpus_that_share_an_adapter_share_its_bandwidth() {
    let boxes = [ServerSpec::pcie_box(4, 64e9); 2];
    assert_eq!(transfer(boxes, &[0, 1, 2, 3], &[4, 5, 6, 7]), 120_000_000 + 6_000);
    // From one adapter into four, the one decides.
    assert_eq!(transfer([boxes[0], ServerSpec::dgx_h100()], &[0, 1, 2, 3], &[4, 5, 6, 7]), 120_000_000 + 6_000);
}

#[test]
fn replicas_that_send_to_one_receiver_share_what_it_takes_in() {
    let cluster = Topology::of(&[ServerSpec::dgx_h100(); 3], network()).unwrap();
    let mut spec = NetworkSpec::of(&cluster);
    let routes = [0, 8].map(|gpu| spec.connect(&cluster, &[gpu], &[16]).unwrap());
    let (arrived, links) = play(spec, &[(0, routes[0], GB, None), (0, routes[1], GB, None)]);
    assert!(arrived.iter().all(|message| message.at.as_nanos() == 40_000_000 + 6_000));
    let receiver = links.iter().find(|link| link.name == "network to adapter 0 of server 2").unwrap();
    assert_eq!((receiver.bytes, receiver.busy.as_nanos()), (2 * GB, 40_000_000));
    let sender = links.iter().find(|link| link.name == "GPU 8 to PCIe switch 0 of server 1").unwrap();
    assert_eq!(sender.bytes, GB);
}
