//! Networks of clusters.

use profiles::ProfileError;
use profiles::topology::Topology;
use workloads::SimDuration;

use super::spec::{FlowLink, NetworkSpec, Path, RouteId};

impl NetworkSpec {
    /// The links of a cluster, with its numbers, bandwidths rounded to whole bytes/s and latencies to nanoseconds.
    pub fn of(cluster: &Topology) -> Self {
        let links = cluster.links().zip(0..).map(|(link, number)| {
            let (from, to) = cluster.ends(profiles::topology::LinkId(number));
            FlowLink {
                name: format!("{from} to {to}"),
                bytes_per_s: link.bandwidth.round() as u64,
                latency: SimDuration::from_secs_f64(link.latency_s),
            }
        });
        Self::new(links.collect())
    }

    /// Adds the route of messages whose equal parts lie on the GPUs `from`, in order, and shall lie so on `to`, as the KV
    /// cache does on the GPUs of replicas.
    ///
    /// # Errors
    /// If a GPU does not exist, or no way leads from one to another.
    pub fn connect(&mut self, cluster: &Topology, from: &[u32], to: &[u32]) -> Result<RouteId, ProfileError> {
        let paths = cluster.paths(from, to)?.into_iter().map(|(route, parts)| {
            let links = route.links.into_iter().map(|link| link.0).collect();
            Path { links, parts }
        });
        Ok(self.add_route(paths.collect()))
    }
}
