//! The machines of a cluster and the links between them, as a graph.

mod preset;

use petgraph::Direction;
use petgraph::algo::astar;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;

pub use preset::{GpuFabric, NetworkSpec, ServerSpec};

use crate::error::ProfileError;

/// Message size at which routes are compared, in bytes: large enough that bandwidth counts beside latency.
const TYPICAL_MESSAGE_BYTES: f64 = 1e6;

/// What a link connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A GPU, by its number in the cluster.
    Gpu(u32),
    /// The NVLink switches of a server, taken as one.
    NvSwitch {
        /// Server.
        server: u32,
    },
    /// A PCIe switch, which joins one network adapter and its share of the GPUs.
    PcieSwitch {
        /// Server.
        server: u32,
        /// Its number in the server.
        index: u32,
    },
    /// What joins a server's PCIe switches: its processors.
    Host {
        /// Server.
        server: u32,
    },
    /// A network adapter.
    Nic {
        /// Server.
        server: u32,
        /// Its number in the server.
        index: u32,
    },
    /// The network's switches, taken as one that does not block.
    NetworkSwitch,
}

/// One direction of a cable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes/s.
    pub bandwidth: f64,
    /// Seconds until the first byte of a message is through.
    pub latency_s: f64,
}

/// A link's number; the two directions of a cable are two links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// The way of a message from one GPU to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Bandwidth of the narrowest link, in bytes/s; infinite from a GPU to itself.
    pub bandwidth: f64,
    /// Sum of the links' latencies, in seconds.
    pub latency_s: f64,
    /// The links, first one first.
    pub links: Vec<LinkId>,
}

impl Route {
    /// Seconds for `bytes` bytes when nobody else uses the links.
    pub fn seconds(&self, bytes: f64) -> f64 {
        self.latency_s + bytes / self.bandwidth
    }
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct Topology {
    graph: DiGraph<Node, Link>,
    gpus: Vec<NodeIndex>,
    gpus_per_server: u32,
}

impl Topology {
    /// `servers` servers of one kind on one network.
    ///
    /// # Errors
    ///
    /// If there are no servers or GPUs, several servers without adapters, or a bandwidth is not positive.
    pub fn new(server: &ServerSpec, servers: u32, network: NetworkSpec) -> Result<Self, ProfileError> {
        server.check(servers, network)?;
        let mut topology = Self { graph: DiGraph::new(), gpus: Vec::new(), gpus_per_server: server.gpus };
        let switch = topology.graph.add_node(Node::NetworkSwitch);
        for index in 0..servers {
            topology.add_server(server, index, switch, network);
        }
        Ok(topology)
    }

    fn add_server(&mut self, spec: &ServerSpec, server: u32, network_switch: NodeIndex, network: NetworkSpec) {
        let fabric = match spec.fabric {
            GpuFabric::NvSwitch(link) => Some((self.graph.add_node(Node::NvSwitch { server }), link)),
            GpuFabric::Pcie => None,
        };
        let host = self.graph.add_node(Node::Host { server });
        let switches = spec.nics.max(1);
        let pcie: Vec<NodeIndex> = (0..switches)
            .map(|index| {
                let switch = self.graph.add_node(Node::PcieSwitch { server, index });
                self.connect(switch, host, spec.pcie);
                switch
            })
            .collect();
        for index in 0..spec.gpus {
            let gpu = self.graph.add_node(Node::Gpu(self.gpus.len() as u32));
            self.gpus.push(gpu);
            self.connect(gpu, pcie[(index * switches / spec.gpus) as usize], spec.pcie);
            if let Some((switch, link)) = fabric {
                self.connect(gpu, switch, link);
            }
        }
        for index in 0..spec.nics {
            let nic = self.graph.add_node(Node::Nic { server, index });
            self.connect(pcie[index as usize], nic, spec.pcie);
            self.connect(nic, network_switch, network.link());
        }
    }

    /// Lays a cable: a link each way.
    fn connect(&mut self, a: NodeIndex, b: NodeIndex, link: Link) {
        self.graph.add_edge(a, b, link);
        self.graph.add_edge(b, a, link);
    }

    /// GPUs in the cluster.
    pub fn gpus(&self) -> u32 {
        self.gpus.len() as u32
    }

    /// The server that GPU `gpu` is in.
    pub fn server_of(&self, gpu: u32) -> u32 {
        gpu / self.gpus_per_server
    }

    /// All links, by [`LinkId`].
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        self.graph.edge_weights().copied()
    }

    /// The quickest way for a message of a megabyte, by Dijkstra's algorithm. GPUs do not forward others' traffic.
    ///
    /// # Errors
    ///
    /// If a GPU does not exist, or no way leads from one to the other.
    pub fn route(&self, from: u32, to: u32) -> Result<Route, ProfileError> {
        let (start, goal) = (self.node(from)?, self.node(to)?);
        let ahead = |edge: &petgraph::graph::EdgeReference<'_, Link>| {
            let link = edge.weight();
            let forwards = edge.source() == start || !matches!(self.graph[edge.source()], Node::Gpu(_));
            if forwards { link.latency_s + TYPICAL_MESSAGE_BYTES / link.bandwidth } else { f64::INFINITY }
        };
        let found = astar(&self.graph, start, |node| node == goal, |edge| ahead(&edge), |_| 0.0);
        match found {
            Some((cost, path)) if cost.is_finite() => Ok(self.along(&path)),
            _ => Err(ProfileError::Topology(format!("no route leads from GPU {from} to GPU {to}"))),
        }
    }

    /// Routes between all pairs of `gpus`, row by row.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn routes(&self, gpus: &[u32]) -> Result<Vec<Vec<Route>>, ProfileError> {
        gpus.iter().map(|&from| gpus.iter().map(|&to| self.route(from, to)).collect()).collect()
    }

    /// The link that a ring over `gpus`, in this order, is as fast as: the least bandwidth and the greatest latency of
    /// its hops. What tensor-parallel collectives run at.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn ring(&self, gpus: &[u32]) -> Result<Link, ProfileError> {
        let mut slowest = Link { bandwidth: f64::INFINITY, latency_s: 0.0 };
        for (index, &from) in gpus.iter().enumerate() {
            let hop = self.route(from, gpus[(index + 1) % gpus.len()])?;
            slowest.bandwidth = slowest.bandwidth.min(hop.bandwidth);
            slowest.latency_s = slowest.latency_s.max(hop.latency_s);
        }
        Ok(slowest)
    }

    fn node(&self, gpu: u32) -> Result<NodeIndex, ProfileError> {
        self.gpus.get(gpu as usize).copied().ok_or_else(|| {
            ProfileError::Topology(format!("there is no GPU {gpu}; the cluster has {} GPUs, from 0", self.gpus.len()))
        })
    }

    fn along(&self, path: &[NodeIndex]) -> Route {
        let mut route = Route { bandwidth: f64::INFINITY, latency_s: 0.0, links: Vec::new() };
        for hop in path.windows(2) {
            let edge = self.edge(hop[0], hop[1]);
            let link = self.graph[edge];
            route.bandwidth = route.bandwidth.min(link.bandwidth);
            route.latency_s += link.latency_s;
            route.links.push(LinkId(edge.index() as u32));
        }
        route
    }

    fn edge(&self, from: NodeIndex, to: NodeIndex) -> EdgeIndex {
        let mut edges = self.graph.edges_directed(from, Direction::Outgoing);
        edges.find(|edge| edge.target() == to).expect("a path runs along edges").id()
    }
}
