//! What a network is made of.

use std::ops::Range;

use workloads::SimDuration;

/// Slowest link, in bytes/s: shares of it stay far above a byte per second.
const SLOWEST: u64 = 1_000_000;

/// One direction of a cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowLink {
    /// What books and messages call it.
    pub name: String,
    /// Bytes/s (≥ 1,000,000).
    pub bytes_per_s: u64,
    /// Time until the first byte of a message is through.
    pub latency: SimDuration,
}

/// One way of a part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its links by number, each at most once; none: the bytes are there already.
    pub links: Vec<u32>,
    /// How many parts of the message go this way; the parts of all paths of a route together are the message.
    pub parts: u32,
}

/// The ways between two endpoints: as many as pairs of devices exchange parts of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    first_path: u32,
    paths: Vec<Path>,
}

impl Route {
    pub(super) fn path_numbers(&self) -> Range<u32> {
        self.first_path..self.first_path + self.paths.len() as u32
    }

    /// Bytes of each path: in proportion to its parts, and the bytes of the message together.
    pub(super) fn shares(&self, bytes: u64) -> std::vec::IntoIter<u64> {
        let all: u128 = self.paths.iter().map(|path| u128::from(path.parts)).sum();
        let until = |parts: u128| (u128::from(bytes) * parts / all) as u64;
        let mut parts = 0;
        let share = |path: &Path| {
            let before = until(parts);
            parts += u128::from(path.parts);
            until(parts) - before
        };
        self.paths.iter().map(share).collect::<Vec<_>>().into_iter()
    }
}

/// A route by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteId(pub(super) u32);

/// Links, and the routes between endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The links, in order of their numbers.
    pub links: Vec<FlowLink>,
    pub(super) routes: Vec<Route>,
    latencies: Vec<SimDuration>,
}

impl NetworkSpec {
    /// Links without routes.
    pub fn new(links: Vec<FlowLink>) -> Self {
        Self { links, ..Self::default() }
    }

    /// Adds a route over one or several paths.
    pub fn add_route(&mut self, paths: Vec<Path>) -> RouteId {
        let latency = |number: &u32| self.links.get(*number as usize).map_or(SimDuration::ZERO, |link| link.latency);
        let first_path = self.latencies.len() as u32;
        for path in &paths {
            self.latencies.push(path.links.iter().map(latency).fold(SimDuration::ZERO, |sum, each| sum + each));
        }
        self.routes.push(Route { first_path, paths });
        RouteId(self.routes.len() as u32 - 1)
    }

    /// The paths of a route.
    ///
    /// # Panics
    /// If it is a route of another network.
    pub fn paths_of(&self, route: RouteId) -> &[Path] {
        &self.routes[route.0 as usize].paths
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.routes.iter().flat_map(|route| &route.paths)
    }

    pub(super) fn latency(&self, path: u32) -> SimDuration {
        self.latencies[path as usize]
    }

    pub(super) fn check(&self) -> Result<(), NetworkError> {
        if let Some(link) = self.links.iter().find(|link| link.bytes_per_s < SLOWEST) {
            return Err(NetworkError::Slow { link: link.name.clone(), bytes_per_s: link.bytes_per_s });
        }
        for (number, route) in self.routes.iter().enumerate() {
            if route.paths.is_empty() || route.paths.iter().any(|path| path.parts == 0) {
                return Err(NetworkError::NoParts { route: number });
            }
            for path in &route.paths {
                let mut links = path.links.clone();
                links.sort_unstable();
                let repeats = links.windows(2).any(|pair| pair[0] == pair[1]);
                let missing = links.last().is_some_and(|&last| last as usize >= self.links.len());
                if repeats || missing {
                    return Err(NetworkError::BadPath { route: number, links: path.links.clone() });
                }
            }
        }
        Ok(())
    }
}

/// Why a network makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A link is too slow.
    #[error("link {link} has {bytes_per_s} bytes/s; at least {SLOWEST} are needed")]
    Slow {
        /// Its name.
        link: String,
        /// Its bandwidth.
        bytes_per_s: u64,
    },
    /// A route has no path, or one that nothing goes over.
    #[error("route {route} needs at least one path, and each path at least one part of the message")]
    NoParts {
        /// Its number.
        route: usize,
    },
    /// A path goes over a link twice, or over one that does not exist.
    #[error("route {route} has a path over links {links:?}, of which one does not exist or comes twice")]
    BadPath {
        /// Number of the route.
        route: usize,
        /// Numbers of its links.
        links: Vec<u32>,
    },
}
