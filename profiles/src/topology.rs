//! The machines of a cluster and the links between them, as a graph.

mod collectives;
mod interconnect;
mod preset;

use std::fmt;

use petgraph::Direction;
use petgraph::algo::astar;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;

pub use collectives::Between;
pub use interconnect::{Interconnect, NCCL_POINT_TO_POINT_EFFICIENCY, RDMA_EFFICIENCY};
pub use preset::{GpuFabric, ServerSpec};

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

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu(number) => write!(f, "GPU {number}"),
            Self::NvSwitch { server } => write!(f, "NVSwitch of server {server}"),
            Self::PcieSwitch { server, index } => write!(f, "PCIe switch {index} of server {server}"),
            Self::Host { server } => write!(f, "host of server {server}"),
            Self::Nic { server, index } => write!(f, "adapter {index} of server {server}"),
            Self::NetworkSwitch => write!(f, "network"),
        }
    }
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
    network_switch: NodeIndex,
    gpus: Vec<NodeIndex>,
    /// The server of each GPU.
    servers: Vec<u32>,
}

impl Topology {
    /// `servers` servers of one kind on one network.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn new(server: &ServerSpec, servers: u32, network: Interconnect) -> Result<Self, ProfileError> {
        Self::of(&vec![*server; servers as usize], network)
    }

    /// Servers of any kinds on one network. GPUs are numbered through, server by server.
    ///
    /// # Errors
    ///
    /// If there are no servers or GPUs, several servers without adapters, or a bandwidth is not positive.
    pub fn of(servers: &[ServerSpec], network: Interconnect) -> Result<Self, ProfileError> {
        if servers.is_empty() {
            let problem = "a cluster needs at least one server with at least one GPU";
            return Err(ProfileError::Topology(problem.to_string()));
        }
        network.check()?;
        let mut graph = DiGraph::new();
        let network_switch = graph.add_node(Node::NetworkSwitch);
        let mut topology = Self { graph, network_switch, gpus: Vec::new(), servers: Vec::new() };
        for (index, server) in servers.iter().enumerate() {
            server.check(servers.len() > 1)?;
            topology.add_server(server, index as u32, network.link());
        }
        Ok(topology)
    }

    fn add_server(&mut self, spec: &ServerSpec, server: u32, network: Link) {
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
            self.servers.push(server);
            self.connect(gpu, pcie[(index * switches / spec.gpus) as usize], spec.pcie);
            if let Some((switch, link)) = fabric {
                self.connect(gpu, switch, link);
            }
        }
        for index in 0..spec.nics {
            let nic = self.graph.add_node(Node::Nic { server, index });
            self.connect(pcie[index as usize], nic, spec.pcie);
            self.connect(nic, self.network_switch, network);
        }
    }

    /// Lays a cable: a link each way, of which the one of even number leads from `a` to `b`.
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
        self.servers[gpu as usize]
    }

    /// All links, by [`LinkId`].
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        self.graph.edge_weights().copied()
    }

    /// What a link connects, from which to which.
    pub fn ends(&self, link: LinkId) -> (Node, Node) {
        let (from, to) = self.graph.edge_endpoints(EdgeIndex::new(link.0 as usize)).expect("a link of this cluster");
        (self.graph[from], self.graph[to])
    }

    /// The quickest way for a message of a megabyte. GPUs do not forward others' traffic.
    ///
    /// # Errors
    ///
    /// If a GPU does not exist, or no way leads from one to the other.
    pub fn route(&self, from: u32, to: u32) -> Result<Route, ProfileError> {
        let (start, goal) = (self.node(from)?, self.node(to)?);
        let links = if self.server_of(from) == self.server_of(to) {
            self.quickest(start, goal)
        } else {
            // Whatever leads from server to server goes through the network's switch.
            let halves = self.quickest(start, self.network_switch).zip(self.quickest(goal, self.network_switch));
            halves.map(|(up, down)| up.into_iter().chain(down.into_iter().rev().map(back)).collect())
        };
        match links {
            Some(links) => Ok(self.along(links)),
            None => Err(ProfileError::Topology(format!("no route leads from GPU {from} to GPU {to}"))),
        }
    }

    /// The links of the quickest way between nodes, by Dijkstra's algorithm.
    fn quickest(&self, start: NodeIndex, goal: NodeIndex) -> Option<Vec<LinkId>> {
        let ahead = |edge: &petgraph::graph::EdgeReference<'_, Link>| {
            let link = edge.weight();
            let forwards = edge.source() == start || !matches!(self.graph[edge.source()], Node::Gpu(_));
            if forwards { link.latency_s + TYPICAL_MESSAGE_BYTES / link.bandwidth } else { f64::INFINITY }
        };
        let (cost, path) = astar(&self.graph, start, |node| node == goal, |edge| ahead(&edge), |_| 0.0)?;
        let link = |hop: &[NodeIndex]| LinkId(self.edge(hop[0], hop[1]).index() as u32);
        cost.is_finite().then(|| path.windows(2).map(link).collect())
    }

    /// The ways of a message whose equal parts lie on the GPUs `from`, in order, and shall lie so on `to`: a route for each
    /// pair of GPUs that exchange something, and how many of the message's parts go there.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn paths(&self, from: &[u32], to: &[u32]) -> Result<Vec<(Route, u32)>, ProfileError> {
        let mut paths = Vec::new();
        let (sources, targets) = (from.len() as u64, to.len() as u64);
        for (i, &source) in (0..).zip(from) {
            for (j, &target) in (0..).zip(to) {
                // Part i of `sources` and part j of `targets`, in units of which the message has sources × targets.
                let begin = (i * targets).max(j * sources);
                let end = ((i + 1) * targets).min((j + 1) * sources);
                if begin < end {
                    paths.push((self.route(source, target)?, (end - begin) as u32));
                }
            }
        }
        Ok(paths)
    }

    /// Routes between all pairs of `gpus`, row by row.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn routes(&self, gpus: &[u32]) -> Result<Vec<Vec<Route>>, ProfileError> {
        gpus.iter().map(|&from| gpus.iter().map(|&to| self.route(from, to)).collect()).collect()
    }

    fn node(&self, gpu: u32) -> Result<NodeIndex, ProfileError> {
        self.gpus.get(gpu as usize).copied().ok_or_else(|| {
            ProfileError::Topology(format!("there is no GPU {gpu}; the cluster has {} GPUs, from 0", self.gpus.len()))
        })
    }

    fn along(&self, links: Vec<LinkId>) -> Route {
        let mut route = Route { bandwidth: f64::INFINITY, latency_s: 0.0, links };
        for link in &route.links {
            let link = self.graph[EdgeIndex::new(link.0 as usize)];
            route.bandwidth = route.bandwidth.min(link.bandwidth);
            route.latency_s += link.latency_s;
        }
        route
    }

    fn edge(&self, from: NodeIndex, to: NodeIndex) -> EdgeIndex {
        let mut edges = self.graph.edges_directed(from, Direction::Outgoing);
        edges.find(|edge| edge.target() == to).expect("a path runs along edges").id()
    }
}

/// The other direction of a cable.
fn back(link: LinkId) -> LinkId {
    LinkId(link.0 ^ 1)
}
