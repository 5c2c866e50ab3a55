//! Replicas that are larger than a server: what their collectives and hand-overs take between servers.

use profiles::cost::{CostOptions, Evidence, Link, Operator, Servers};
use profiles::kernels::{Kernels, NamedTable};
use profiles::table::{Cache, CollectiveOperation, CollectiveRow, Header, Kernel, KernelTable, Launch, Rows, Timing};
use profiles::topology::{Interconnect, NCCL_POINT_TO_POINT_EFFICIENCY, ServerSpec, Topology};
use profiles::{CostModel, Parallelism};
use proptest::prelude::*;

use crate::{assert_same, bare, compile, decode, h100, shape, shipped};

const LLAMA: &str = "meta-llama/Llama-3.1-70B";
const QWEN: &str = "Qwen/Qwen3-30B-A3B";
/// Two in each of Llama's 80 layers, and one behind the embedding.
const ALL_REDUCES: f64 = 161.0;
/// Of Llama, in 16 bits.
const ROW_BYTES: f64 = 8192.0 * 2.0;
/// Six hops of a microsecond: GPU, PCIe switch, adapter, network, and back up.
const HOP_NS: f64 = 6_000.0;

/// A network that reaches its line rate: eight adapters of 50 GB/s for each server.
fn ideal() -> Interconnect {
    Interconnect { efficiency: 1.0, ..Interconnect::infiniband(400.0) }
}

fn dgx(network: Interconnect) -> Servers {
    Servers { server: ServerSpec::dgx_h100(), network }
}

/// Ranks of one GPU each that share experts.
fn expert_parallel(data_parallel_size: u32) -> Parallelism {
    Parallelism { data_parallel_size, enable_expert_parallel: true, ..Parallelism::default() }
}

/// Nanoseconds of an operator in a decode step of so many requests.
fn nanos(operator: Operator, model: &str, parallelism: Parallelism, servers: Option<Servers>, requests: u32) -> f64 {
    let (model, device) = (shipped(model), h100());
    // Small limits make small tables; what is larger is computed directly.
    let options =
        CostOptions { parallelism, servers, max_num_batched_tokens: 1, max_num_seqs: 1, ..bare(&model, &device) };
    compile(&options).explain(&shape(&[], decode(requests, 100))).operator(operator).time_ns()
}

fn one_all_reduce(tensor: u32, servers: Option<Servers>, requests: u32) -> f64 {
    nanos(Operator::AllReduce, LLAMA, Parallelism::tensor(tensor), servers, requests) / ALL_REDUCES
}

#[test]
fn a_replica_within_a_server_does_not_see_the_network() {
    let slow = Some(dgx(Interconnect::ethernet(1.0)));
    for (operator, model, parallelism) in [
        (Operator::AllReduce, LLAMA, Parallelism::tensor(8)),
        (Operator::LmHead, LLAMA, Parallelism::tensor(8)),
        (Operator::AllToAll, QWEN, expert_parallel(8)),
    ] {
        let (with, without) =
            (nanos(operator, model, parallelism, slow, 64), nanos(operator, model, parallelism, None, 64));
        assert!(with > 0.0);
        assert_same(with, without, operator.name());
    }
}

/// Chunks follow each other through both parts: the slower one decides, and there and back over the network comes on top.
#[test]
fn an_all_reduce_over_servers_is_one_in_each_and_one_between_them() {
    for requests in [1, 64, 4096] {
        let inside = one_all_reduce(8, None, requests);
        for (servers, ways) in [(2.0, 2.0), (4.0, 4.0)] {
            let leaving = 2.0 * (servers - 1.0) / servers * f64::from(requests) * ROW_BYTES;
            let between = leaving / (8.0 * 50e9) * 1e9;
            let whole = one_all_reduce(8 * servers as u32, Some(dgx(ideal())), requests);
            assert_same(whole, inside.max(between) + ways * HOP_NS, "time of an all-reduce");
        }
    }
}

/// With 1 Gbit/s per adapter nothing else counts: GPUs in several servers, one in each.
#[test]
fn an_all_reduce_of_one_gpu_per_server_is_one_over_their_adapters() {
    let slow = Interconnect { nic_bandwidth: 125e6, ..ideal() };
    let servers = Servers { server: ServerSpec { gpus: 1, nics: 1, ..ServerSpec::dgx_h100() }, network: slow };
    let leaving = 2.0 * 7.0 / 8.0 * 512.0 * ROW_BYTES;
    // A tree over eight has three levels.
    let expected = leaving / 125e6 * 1e9 + 6.0 * HOP_NS;
    assert_same(one_all_reduce(8, Some(servers), 512), expected, "time of an all-reduce");
}

#[test]
fn logits_are_gathered_over_the_network() {
    let gather = |servers| {
        let head = |tensor, servers| nanos(Operator::LmHead, LLAMA, Parallelism::tensor(tensor), servers, 4096);
        head(16, Some(dgx(servers))) - head(16, Some(dgx(Interconnect { nic_bandwidth: 1e15, ..servers })))
    };
    // 128,256 logits are 501 × 256, of which the other server's half arrives over eight adapters of 125 MB/s.
    let slow = Interconnect { nic_bandwidth: 125e6, ..ideal() };
    let arriving = 0.5 * 4096.0 * 128_256.0 * 2.0 / (8.0 * 125e6) * 1e9;
    let inside = 4096.0 * 128_256.0 * 2.0 / 450e9 * 1e9;
    let difference = gather(slow);
    assert!(difference < arriving && difference > arriving - 3.0 * inside, "{difference} of {arriving}");
}

/// The graph's own count of what crosses its fullest link bounds the price from below, and meets it where that is the
/// network.
#[test]
fn experts_on_other_servers_are_reached_over_the_adapters() {
    let gpus: Vec<u32> = (0..16).collect();
    for (gbit_per_s, exact) in [(1.0, true), (400.0, false)] {
        let network = Interconnect { efficiency: 1.0, ..Interconnect::infiniband(gbit_per_s) };
        let cluster = Topology::new(&ServerSpec::dgx_h100(), 2, network).unwrap();
        // Eight experts for each row, hidden size 2048.
        let bound = cluster.all_to_all_s(&gpus, 512.0 * 8.0 * 2048.0 * 2.0).unwrap() * 1e9;
        let priced = nanos(Operator::AllToAll, QWEN, expert_parallel(16), Some(dgx(network)), 512) / (2.0 * 48.0);
        assert!(priced >= bound * (1.0 - 1e-9), "{priced} below {bound}");
        assert!(!exact || priced < 1.001 * bound, "{priced} far above {bound}");
    }
}

#[test]
fn stages_hand_over_within_a_server_where_they_share_one() {
    let (model, device) = (shipped(LLAMA), h100());
    let parallelism = Parallelism { tensor_parallel_size: 4, pipeline_parallel_size: 4, ..Parallelism::default() };
    let cost = |servers| compile(&CostOptions { parallelism, servers, ..bare(&model, &device) });
    let (inside, over) = (cost(None), cost(Some(dgx(ideal()))));
    let both = |cost: &profiles::cost::AnalyticCost| [1, 2, 3].map(|stage| cost.handover_ns(stage, 2048));
    assert_eq!(both(&inside)[0], both(&inside)[1], "all in one server");
    assert_eq!(
        [both(&over)[0], both(&over)[2]],
        [both(&inside)[0], both(&inside)[2]],
        "pairs of stages share a server"
    );
    // Each of four GPUs sends its share of hidden state and residual over its own adapter.
    let expected = Link::between_peers(&device).latency_ns
        + HOP_NS
        + 2.0 * 2048.0 * ROW_BYTES / (4.0 * 50e9 * NCCL_POINT_TO_POINT_EFFICIENCY) * 1e9;
    assert!((both(&over)[1] as f64 - expected).abs() <= 1.0, "{} and {expected}", both(&over)[1]);
}

#[test]
fn what_crosses_the_network_counts_as_extrapolated_unless_it_was_measured_there() {
    let (model, device) = (shipped(LLAMA), h100());
    let network = Interconnect::infiniband(400.0);
    let row = |bytes: u64, time_us: f64| CollectiveRow {
        operation: CollectiveOperation::AllReduce,
        ranks: 16,
        servers: 2,
        bytes,
        library: "nccl".to_string(),
        timing: Timing::of_us(time_us),
    };
    let kernels = |named: Option<&str>| {
        let mut header =
            Header::new(Kernel::Collective, "H100-SXM-80GB", Cache::Unknown, Launch::Graph, "made up", "2026-01-01");
        header.network = named.map(str::to_string);
        let rows = Rows::Collective(vec![row(1024, 40.0), row(16 << 20, 400.0)]);
        let table = NamedTable { file: "made-up.csv".to_string(), table: KernelTable { header, rows } };
        Kernels::new(&device, &[table]).unwrap()
    };
    let all_reduce = |kernels: &Kernels| {
        let servers = Some(dgx(network));
        let parallelism = Parallelism::tensor(16);
        let options = CostOptions { parallelism, servers, kernels: Some(kernels), ..bare(&model, &device) };
        *compile(&options).explain(&shape(&[], decode(64, 100))).operator(Operator::AllReduce)
    };
    let (measured, warnings) = kernels(Some("NDR InfiniBand"));
    assert!(warnings.is_empty(), "{warnings:?}");
    let found = all_reduce(&measured);
    let bytes = 64.0 * ROW_BYTES;
    let between = 40.0 + 360.0 * (bytes - 1024.0) / f64::from((16 << 20) - 1024);
    assert_same(found.time_ns(), ALL_REDUCES * between * 1e3, "as measured");
    assert_same(found.time_ns_by_evidence[Evidence::Measured as usize], found.time_ns(), "and said to be");
    for other in [Some("400 Gbit/s Ethernet"), None, Some("a fast one")] {
        let (unused, warnings) = kernels(other);
        let found = all_reduce(&unused);
        assert_same(found.time_ns_by_evidence[Evidence::Extrapolated as usize], found.time_ns(), "not of this network");
        assert_same(found.time_ns(), ALL_REDUCES * one_all_reduce(16, Some(dgx(network)), 64), "by the topology");
        assert_eq!(warnings.is_empty(), other == Some("400 Gbit/s Ethernet"), "{warnings:?}");
    }
}

#[test]
fn one_link_between_all_gpus_and_servers_exclude_each_other() {
    let (model, device) = (shipped(LLAMA), h100());
    let link = Some(Link::between_peers(&device));
    let options = CostOptions { link, servers: Some(dgx(ideal())), ..bare(&model, &device) };
    let error = profiles::cost::AnalyticCost::new(&options).unwrap_err().to_string();
    assert!(error.contains("exclude each other"), "{error}");
}

/// A given link's latency bounds what goes over it, of whatever kind.
#[test]
fn no_collective_is_quicker_than_the_latency_of_a_given_link() {
    let (model, device) = (shipped(QWEN), h100());
    let link = Some(Link { latency_ns: 200_000.0, ..Link::between_peers(&device) });
    let parallelism = expert_parallel(4);
    let options = CostOptions { parallelism, link, ..bare(&model, &device) };
    let step = compile(&options).explain(&shape(&[], decode(1, 100)));
    assert!(step.operator(Operator::AllToAll).time_ns() >= 96.0 * 200_000.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A collective is never quicker than its bytes are through the narrowest way, and not quicker over a slower network.
    #[test]
    fn the_slowest_link_bounds_collectives(
        gbit_per_s in 1.0_f64..800.0, slower in 0.01_f64..1.0, requests in 1_u32..4096, doublings in 1_u32..4,
    ) {
        let network = |gbit_per_s| Interconnect::ethernet(gbit_per_s);
        let servers = 1 << doublings;
        let gpus: Vec<u32> = (0..8 * servers).collect();
        let cluster = Topology::new(&ServerSpec::dgx_h100(), servers, network(gbit_per_s)).unwrap();
        let out = cluster.between(&gpus).unwrap().unwrap().bandwidth;
        let time = |gbit_per_s| one_all_reduce(8 * servers, Some(dgx(network(gbit_per_s))), requests);
        // Whatever the algorithm, half of each server's sum has to leave it and the other half to arrive.
        let least = f64::from(requests) * ROW_BYTES / out * 1e9;
        prop_assert!(time(gbit_per_s) >= least * (1.0 - 1e-9), "{} below {least}", time(gbit_per_s));
        prop_assert!(time(gbit_per_s * slower) >= time(gbit_per_s));
        prop_assert!(time(gbit_per_s) >= one_all_reduce(8, None, requests), "the servers' own part is in it");
    }
}
