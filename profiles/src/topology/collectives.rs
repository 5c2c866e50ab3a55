//! Operations over several GPUs, from latencies and bandwidths of the links between them.
//!
//! These are lower bounds in the α-β model (Thakur, Rabenseifner and Gropp, *Optimization of collective communication
//! operations in MPICH*, 2005): what kernels add, and what of a bandwidth they reach, is measured where kernel tables have
//! it, and these stand where no table reaches, between servers above all.

use std::collections::BTreeMap;

use super::{Link, LinkId, Node, Topology};
use crate::error::ProfileError;

/// What a group of GPUs has between its servers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    /// Servers.
    pub servers: u32,
    /// GPUs of the group in each of them.
    pub gpus_per_server: u32,
    /// Bytes/s out of a server over the adapters that belong to these GPUs, and as much into it; of the slowest server.
    pub bandwidth: f64,
    /// Seconds that the slowest of their ways to another server takes a message's first byte.
    pub latency_s: f64,
}

/// Ways out of servers.
#[derive(Default)]
struct WaysOut {
    /// By server, the bandwidth of the way over each adapter's cable.
    adapters: BTreeMap<u32, BTreeMap<LinkId, f64>>,
    latency_s: f64,
}

impl WaysOut {
    /// Bytes/s over all adapters of the server that has least; infinite where nothing leads out.
    fn bandwidth(&self) -> f64 {
        self.adapters.values().map(|links| links.values().sum()).fold(f64::INFINITY, f64::min)
    }
}

impl Topology {
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

    /// The link that collectives over `gpus` run at: that of a [`ring`](Self::ring), of which as many run side by side
    /// between servers as the GPUs of each have adapters (as NCCL's channels do), each over one of them.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn collective_link(&self, gpus: &[u32]) -> Result<Link, ProfileError> {
        let mut inside = Link { bandwidth: f64::INFINITY, latency_s: 0.0 };
        let mut ordered = gpus.to_vec();
        ordered.sort_by_key(|&gpu| self.servers.get(gpu as usize).copied());
        for (index, &from) in ordered.iter().enumerate() {
            let to = ordered[(index + 1) % ordered.len()];
            let hop = self.route(from, to)?;
            inside.latency_s = inside.latency_s.max(hop.latency_s);
            if self.server_of(from) == self.server_of(to) {
                inside.bandwidth = inside.bandwidth.min(hop.bandwidth);
            }
        }
        let between = self.ways_out(&ordered)?.bandwidth();
        Ok(Link { bandwidth: inside.bandwidth.min(between), ..inside })
    }

    /// What `gpus` have between their servers; `None` if all are in one.
    ///
    /// # Errors
    ///
    /// If the servers do not have equally many of them, and as [`route`](Self::route).
    pub fn between(&self, gpus: &[u32]) -> Result<Option<Between>, ProfileError> {
        for &gpu in gpus {
            self.node(gpu)?;
        }
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for &gpu in gpus {
            *counts.entry(self.server_of(gpu)).or_default() += 1;
        }
        let servers = counts.len() as u32;
        if servers <= 1 {
            return Ok(None);
        }
        let gpus_per_server = gpus.len() as u32 / servers;
        if counts.values().any(|&count| count != gpus_per_server) {
            let counts: Vec<String> = counts.values().map(u32::to_string).collect();
            let problem = format!("{} GPUs of a group are not spread evenly over its servers", counts.join(" + "));
            return Err(ProfileError::Topology(problem));
        }
        let ways = self.ways_out(gpus)?;
        Ok(Some(Between { servers, gpus_per_server, bandwidth: ways.bandwidth(), latency_s: ways.latency_s }))
    }

    /// The ways of `gpus` to another server of theirs.
    fn ways_out(&self, gpus: &[u32]) -> Result<WaysOut, ProfileError> {
        let mut ways = WaysOut::default();
        for &from in gpus {
            let Some(&elsewhere) = gpus.iter().find(|&&gpu| self.server_of(gpu) != self.server_of(from)) else {
                continue;
            };
            let out = self.route(from, elsewhere)?;
            let to_network = |&link: &LinkId| self.ends(link).1 == Node::NetworkSwitch;
            let cable = out.links.iter().copied().find(to_network).expect("a way out of a server");
            ways.adapters.entry(self.server_of(from)).or_default().insert(cable, out.bandwidth);
            ways.latency_s = ways.latency_s.max(out.latency_s);
        }
        Ok(ways)
    }

    /// Seconds for an all-reduce of `bytes` bytes over `gpus`: by rings, `2·(n − 1)·(α + bytes/n/β)`, or by two trees,
    /// `2·(⌈log₂ n⌉·α + bytes/β)` (Sanders, Speck and Träff, *Two-tree algorithms*, 2009), whichever is quicker.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn all_reduce_s(&self, gpus: &[u32], bytes: f64) -> Result<f64, ProfileError> {
        let link = self.collective_link(gpus)?;
        let n = gpus.len() as f64;
        let ring = 2.0 * (n - 1.0) * (link.latency_s + bytes / n / link.bandwidth);
        let tree = 2.0 * (n.log2().ceil() * link.latency_s + bytes / link.bandwidth);
        Ok(ring.min(tree))
    }

    /// Seconds for an all-gather over `gpus` after which each has `bytes` bytes: `(n − 1)·(α + bytes/n/β)` by rings. A
    /// reduce-scatter takes as long.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn all_gather_s(&self, gpus: &[u32], bytes: f64) -> Result<f64, ProfileError> {
        let link = self.collective_link(gpus)?;
        let n = gpus.len() as f64;
        Ok((n - 1.0) * (link.latency_s + bytes / n / link.bandwidth))
    }

    /// Seconds for an all-to-all over `gpus` in which each sends `bytes` bytes, `1/n` of it to each: every link carries
    /// what all pairs send over it, the fullest decides, and the longest way's latency comes on top once (messages to all
    /// are under way at a time).
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn all_to_all_s(&self, gpus: &[u32], bytes: f64) -> Result<f64, ProfileError> {
        let each = bytes / gpus.len() as f64;
        let mut load: BTreeMap<LinkId, f64> = BTreeMap::new();
        let mut latency_s = 0.0_f64;
        for (i, &from) in gpus.iter().enumerate() {
            for (_, &to) in gpus.iter().enumerate().filter(|&(j, _)| j != i) {
                let route = self.route(from, to)?;
                latency_s = latency_s.max(route.latency_s);
                for link in route.links {
                    *load.entry(link).or_default() += each;
                }
            }
        }
        let links: Vec<Link> = self.links().collect();
        let fullest = load.iter().map(|(link, bytes)| bytes / links[link.0 as usize].bandwidth).fold(0.0, f64::max);
        Ok(latency_s + fullest)
    }
}
