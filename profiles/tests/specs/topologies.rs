//! Routes through clusters.

use profiles::DeviceSpec;
use profiles::topology::{NetworkSpec, ServerSpec, Topology};
use proptest::prelude::*;

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-9
}

#[test]
fn gpus_of_one_dgx_talk_over_nvlink() {
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 1, NetworkSpec::infiniband(400.0)).unwrap();
    let route = cluster.route(0, 7).unwrap();
    assert_eq!(route.links.len(), 2);
    assert!(close(route.bandwidth, 450e9) && close(route.latency_s, 2e-6));
    assert!(close(route.seconds(450e6), 2e-6 + 1e-3));
}

#[test]
fn gpus_of_two_servers_talk_over_their_adapters() {
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 2, NetworkSpec::infiniband(400.0)).unwrap();
    assert_eq!((cluster.gpus(), cluster.server_of(7), cluster.server_of(8)), (16, 0, 1));
    let route = cluster.route(3, 12).unwrap();
    // GPU, PCIe switch, adapter, network, adapter, PCIe switch, GPU.
    assert_eq!(route.links.len(), 6);
    assert!(close(route.bandwidth, 400e9 / 8.0));
}

/// Every GPU of a DGX has an adapter of its own, so transfers of different GPUs share no link; in a PCIe box they do.
#[test]
fn a_dgx_has_an_adapter_per_gpu_and_a_pcie_box_one_for_all() {
    let shared = |server: &ServerSpec| {
        let cluster = Topology::new(server, 2, NetworkSpec::ethernet(100.0)).unwrap();
        let other = cluster.route(1, server.gpus + 1).unwrap().links;
        cluster.route(0, server.gpus).unwrap().links.iter().filter(|link| other.contains(link)).count()
    };
    assert_eq!(shared(&ServerSpec::dgx_a100()), 0);
    assert_eq!(shared(&ServerSpec::pcie_box(4, 32e9)), 4);
}

#[test]
fn both_directions_of_a_cable_are_links_of_their_own() {
    let cluster = Topology::new(&ServerSpec::dgx_h200(), 1, NetworkSpec::infiniband(400.0)).unwrap();
    let there = cluster.route(0, 1).unwrap().links;
    let back = cluster.route(1, 0).unwrap().links;
    assert!(there.iter().all(|link| !back.contains(link)));
}

#[test]
fn a_ring_is_as_fast_as_its_slowest_hop() {
    let cluster = Topology::new(&ServerSpec::dgx_a100(), 2, NetworkSpec::ethernet(25.0)).unwrap();
    assert!(close(cluster.ring(&[0, 1, 2, 3]).unwrap().bandwidth, 300e9));
    assert!(close(cluster.ring(&[6, 7, 8, 9]).unwrap().bandwidth, 25e9 / 8.0));
    assert!(cluster.ring(&[5]).unwrap().bandwidth.is_infinite());
}

#[test]
fn the_usual_server_of_a_device_has_its_links() {
    for name in DeviceSpec::shipped_names() {
        let device = DeviceSpec::shipped(&name).unwrap();
        let cluster = Topology::new(&ServerSpec::for_device(&device), 1, NetworkSpec::ethernet(100.0)).unwrap();
        assert!(close(cluster.route(0, 1).unwrap().bandwidth, device.peer_bandwidth), "{name}");
    }
}

#[test]
fn clusters_that_cannot_be_are_refused() {
    let network = NetworkSpec::ethernet(100.0);
    let server = ServerSpec::dgx_h100();
    let refused =
        |server: &ServerSpec, servers, network| Topology::new(server, servers, network).unwrap_err().to_string();
    assert!(refused(&server, 0, network).contains("at least one server"));
    assert!(refused(&ServerSpec { nics: 0, ..server }, 2, network).contains("without network adapters"));
    assert!(refused(&ServerSpec { nics: 9, ..server }, 1, network).contains("more network adapters than GPUs"));
    assert!(refused(&server, 1, NetworkSpec::ethernet(0.0)).contains("a bandwidth above 0"));
    assert!(refused(&server, 1, NetworkSpec::ethernet(f64::NAN)).contains("a bandwidth above 0"));
    let cluster = Topology::new(&server, 1, network).unwrap();
    assert_eq!(cluster.route(0, 8).unwrap_err().to_string(), "there is no GPU 8; the cluster has 8 GPUs, from 0");
}

proptest! {
    /// Ways there and back are alike, and no way is better than the network's own.
    #[test]
    fn routes_are_symmetric(servers in 1_u32..4, gpus in 1_u32..9, nics in 1_u32..9, a in 0_u32..32, b in 0_u32..32) {
        prop_assume!(nics <= gpus);
        let server = ServerSpec { gpus, nics, ..ServerSpec::dgx_h100() };
        let network = NetworkSpec::ethernet(100.0);
        let cluster = Topology::new(&server, servers, network).unwrap();
        let (a, b) = (a % cluster.gpus(), b % cluster.gpus());
        let (there, back) = (cluster.route(a, b).unwrap(), cluster.route(b, a).unwrap());
        prop_assert_eq!(there.links.len(), back.links.len());
        prop_assert!((there.latency_s - back.latency_s).abs() < 1e-12);
        prop_assert!(there.bandwidth.total_cmp(&back.bandwidth).is_eq());
        if cluster.server_of(a) != cluster.server_of(b) {
            prop_assert!(there.bandwidth <= network.nic_bandwidth);
        }
        prop_assert_eq!(a == b, there.links.is_empty());
    }
}
