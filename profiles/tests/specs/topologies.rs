//! Routes through clusters.

use profiles::DeviceSpec;
use profiles::topology::{Interconnect, RDMA_EFFICIENCY, ServerSpec, Topology};
use proptest::prelude::*;

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-9
}

#[test]
fn gpus_of_one_dgx_talk_over_nvlink() {
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 1, Interconnect::infiniband(400.0)).unwrap();
    let route = cluster.route(0, 7).unwrap();
    assert_eq!(route.links.len(), 2);
    assert!(close(route.bandwidth, 450e9) && close(route.latency_s, 2e-6));
    assert!(close(route.seconds(450e6), 2e-6 + 1e-3));
}

#[test]
fn gpus_of_two_servers_talk_over_their_adapters() {
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 2, Interconnect::infiniband(400.0)).unwrap();
    assert_eq!((cluster.gpus(), cluster.server_of(7), cluster.server_of(8)), (16, 0, 1));
    let route = cluster.route(3, 12).unwrap();
    // GPU, PCIe switch, adapter, network, adapter, PCIe switch, GPU.
    assert_eq!(route.links.len(), 6);
    assert!(close(route.bandwidth, RDMA_EFFICIENCY * 400e9 / 8.0));
}

/// Every GPU of a DGX has an adapter of its own, so transfers of different GPUs share no link; in a PCIe box they do.
#[test]
fn a_dgx_has_an_adapter_per_gpu_and_a_pcie_box_one_for_all() {
    let shared = |server: &ServerSpec| {
        let cluster = Topology::new(server, 2, Interconnect::ethernet(100.0)).unwrap();
        let other = cluster.route(1, server.gpus + 1).unwrap().links;
        cluster.route(0, server.gpus).unwrap().links.iter().filter(|link| other.contains(link)).count()
    };
    assert_eq!(shared(&ServerSpec::dgx_a100()), 0);
    assert_eq!(shared(&ServerSpec::pcie_box(4, 32e9)), 4);
}

#[test]
fn both_directions_of_a_cable_are_links_of_their_own() {
    let cluster = Topology::new(&ServerSpec::dgx_h200(), 1, Interconnect::infiniband(400.0)).unwrap();
    let there = cluster.route(0, 1).unwrap().links;
    let back = cluster.route(1, 0).unwrap().links;
    assert!(there.iter().all(|link| !back.contains(link)));
}

#[test]
fn a_ring_is_as_fast_as_its_slowest_hop() {
    let cluster = Topology::new(&ServerSpec::dgx_a100(), 2, Interconnect::ethernet(25.0)).unwrap();
    assert!(close(cluster.ring(&[0, 1, 2, 3]).unwrap().bandwidth, 300e9));
    assert!(close(cluster.ring(&[6, 7, 8, 9]).unwrap().bandwidth, RDMA_EFFICIENCY * 25e9 / 8.0));
    assert!(cluster.ring(&[5]).unwrap().bandwidth.is_infinite());
}

#[test]
fn the_usual_server_of_a_device_has_its_links() {
    for name in DeviceSpec::shipped_names() {
        let device = DeviceSpec::shipped(&name).unwrap();
        let cluster = Topology::new(&ServerSpec::for_device(&device), 1, Interconnect::ethernet(100.0)).unwrap();
        assert!(close(cluster.route(0, 1).unwrap().bandwidth, device.peer_bandwidth), "{name}");
    }
}

#[test]
fn clusters_that_cannot_be_are_refused() {
    let network = Interconnect::ethernet(100.0);
    let server = ServerSpec::dgx_h100();
    let refused =
        |server: &ServerSpec, servers, network| Topology::new(server, servers, network).unwrap_err().to_string();
    assert!(refused(&server, 0, network).contains("at least one server"));
    assert!(refused(&ServerSpec { nics: 0, ..server }, 2, network).contains("without network adapters"));
    assert!(refused(&ServerSpec { nics: 9, ..server }, 1, network).contains("more network adapters than GPUs"));
    assert!(refused(&server, 1, Interconnect::ethernet(0.0)).contains("a bandwidth above 0"));
    assert!(refused(&server, 1, Interconnect::ethernet(f64::NAN)).contains("a bandwidth above 0"));
    let cluster = Topology::new(&server, 1, network).unwrap();
    assert_eq!(cluster.route(0, 8).unwrap_err().to_string(), "there is no GPU 8; the cluster has 8 GPUs, from 0");
}

#[test]
fn servers_of_different_kinds_share_a_network() {
    let h20 = ServerSpec::for_device(&DeviceSpec::shipped("H20").unwrap());
    let servers = [ServerSpec::dgx_h100(), ServerSpec { gpus: 4, nics: 4, ..h20 }, ServerSpec::pcie_box(2, 32e9)];
    let cluster = Topology::of(&servers, Interconnect::ethernet(400.0)).unwrap();
    assert_eq!((cluster.gpus(), cluster.server_of(11), cluster.server_of(12)), (14, 1, 2));
    // Lamina, figure 13: 45.7 GB/s between its H100 and H20 servers.
    assert!(close(cluster.route(0, 8).unwrap().bandwidth, 45.7e9));
    assert!(close(cluster.route(0, 13).unwrap().bandwidth, 32e9));
    assert!(close(cluster.route(12, 13).unwrap().bandwidth, 32e9));
}

#[test]
fn networks_have_names() {
    let named = |name| Interconnect::named(name).unwrap();
    assert_eq!(named("25 Gbit/s Ethernet"), Interconnect::ethernet(25.0));
    assert_eq!(named(" 400Gbit/s  RoCE "), Interconnect::ethernet(400.0));
    assert_eq!(named("NDR InfiniBand"), Interconnect::infiniband(400.0));
    assert_eq!(named("200 gbit/s infiniband"), named("hdr INFINIBAND"));
    for wrong in ["", "Ethernet", "400 InfiniBand", "400 GB/s InfiniBand", "HDR Ethernet", "ten Gbit/s Ethernet"] {
        let error = Interconnect::named(wrong).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{wrong}` is not a network; expected")), "{error}");
    }
    for wrong in ["0 Gbit/s Ethernet", "-1 Gbit/s Ethernet", "inf Gbit/s Ethernet", "nan Gbit/s Ethernet"] {
        assert!(Interconnect::named(wrong).unwrap_err().to_string().contains("a bandwidth above 0"), "{wrong}");
    }
}

#[test]
fn parts_of_a_message_go_where_they_belong() {
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 2, Interconnect::infiniband(400.0)).unwrap();
    let parts = |from: &[u32], to: &[u32]| -> Vec<u32> {
        cluster.paths(from, to).unwrap().into_iter().map(|(_, parts)| parts).collect()
    };
    assert_eq!(parts(&[0, 1], &[8, 9]), [2, 2]);
    assert_eq!(parts(&[0], &[8, 9, 10, 11]), [1; 4]);
    // Sixths: the first GPU's half is the first third and half of the second.
    assert_eq!(parts(&[0, 1], &[8, 9, 10]), [2, 1, 1, 2]);
}

#[test]
fn collectives_between_servers_use_the_adapters_of_all_their_gpus() {
    let network = Interconnect { efficiency: 1.0, ..Interconnect::infiniband(400.0) };
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 2, network).unwrap();
    let bandwidth = |gpus: &[u32]| cluster.collective_link(gpus).unwrap().bandwidth;
    let all: Vec<u32> = (0..16).collect();
    assert!(close(bandwidth(&all[..8]), 450e9), "inside a server: NVLink");
    assert!(close(bandwidth(&all), 400e9), "eight adapters of 50 GB/s");
    assert!(close(bandwidth(&[0, 8]), 50e9));
    assert!(close(bandwidth(&[0, 1, 2, 8]), 50e9), "the server with one adapter in use decides");
    let boxes = Topology::new(&ServerSpec::pcie_box(4, 64e9), 2, network).unwrap();
    assert!(close(boxes.collective_link(&all[..8]).unwrap().bandwidth, 50e9), "one adapter for four GPUs");
}

#[test]
fn groups_over_servers_leave_each_over_the_adapters_of_their_gpus() {
    let network = Interconnect { efficiency: 1.0, ..Interconnect::infiniband(400.0) };
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 3, network).unwrap();
    assert_eq!(cluster.between(&[0, 3, 7]).unwrap(), None, "one server");
    let between = cluster.between(&[0, 1, 8, 9, 16, 17]).unwrap().unwrap();
    assert_eq!((between.servers, between.gpus_per_server), (3, 2));
    assert!(close(between.bandwidth, 2.0 * 50e9) && close(between.latency_s, 6e-6));
    let shared = ServerSpec { nics: 2, ..ServerSpec::dgx_h100() };
    let between = Topology::new(&shared, 2, network).unwrap().between(&[0, 1, 2, 8, 9, 10]).unwrap().unwrap();
    assert!(close(between.bandwidth, 50e9), "three GPUs whose PCIe switch has one adapter");
    let uneven = cluster.between(&[0, 1, 8]).unwrap_err().to_string();
    assert_eq!(uneven, "2 + 1 GPUs of a group are not spread evenly over its servers");
    assert!(cluster.between(&[0, 24]).unwrap_err().to_string().starts_with("there is no GPU 24"));
}

#[test]
fn collectives_take_what_latency_and_bandwidth_say() {
    let cluster = Topology::new(&ServerSpec::dgx_h100(), 1, Interconnect::infiniband(400.0)).unwrap();
    let gpus = [0, 1, 2, 3];
    // Hops of 2 µs and 450 GB/s. A long message goes by rings, a short one by trees.
    let long = 450e6;
    assert!(close(cluster.all_reduce_s(&gpus, long).unwrap(), 6.0 * (2e-6 + 0.25e-3)));
    assert!(close(cluster.all_reduce_s(&gpus, 450.0).unwrap(), 2.0 * (2.0 * 2e-6 + 1e-9)));
    assert!(close(cluster.all_gather_s(&gpus, long).unwrap(), 3.0 * (2e-6 + 0.25e-3)));
    assert!(close(cluster.all_to_all_s(&gpus, long).unwrap(), 2e-6 + 0.75e-3));
    assert!(close(cluster.all_reduce_s(&[5], long).unwrap() + 1.0, 1.0), "one GPU has nothing to reduce");
}

#[test]
fn an_all_to_all_between_servers_waits_for_their_adapters() {
    let network = Interconnect { efficiency: 1.0, ..Interconnect::infiniband(400.0) };
    let seconds = |server, gpus: &[u32]| Topology::new(&server, 2, network).unwrap().all_to_all_s(gpus, 16e6).unwrap();
    let all: Vec<u32> = (0..16).collect();
    // Of 16 MB, 8 MB go to the other server, over the GPU's own adapter at 50 GB/s and six hops of 1 µs.
    assert!(close(seconds(ServerSpec::dgx_h100(), &all), 6e-6 + 8e6 / 50e9));
    // Four GPUs send 8 MB each over one adapter.
    assert!(close(seconds(ServerSpec::pcie_box(4, 64e9), &all[..8]), 6e-6 + 32e6 / 50e9));
}

proptest! {
    /// Ways there and back are alike, and no way is better than the network's own.
    #[test]
    fn routes_are_symmetric(servers in 1_u32..4, gpus in 1_u32..9, nics in 1_u32..9, a in 0_u32..32, b in 0_u32..32) {
        prop_assume!(nics <= gpus);
        let server = ServerSpec { gpus, nics, ..ServerSpec::dgx_h100() };
        let network = Interconnect::ethernet(100.0);
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
