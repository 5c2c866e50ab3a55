//! `[system.network]`

use crate::file::key::{COUNT, Key, Kind, TableDef, Tag};

/// What is between servers.
pub(crate) static BETWEEN_SERVERS: Key = Key::new(
    "between_servers",
    Kind::Text,
    "A speed per adapter and a kind, such as \"100 Gbit/s Ethernet\", \"400 Gbit/s InfiniBand\", \"NDR InfiniBand\".",
);
/// How large they are.
pub(crate) static GPUS_PER_SERVER: Key = Key::new("gpus_per_server", COUNT, "GPUs in a server.").computed("8");
/// How many ways lead out of them.
pub(crate) static ADAPTERS_PER_SERVER: Key = Key::new(
    "adapters_per_server",
    COUNT,
    "Network adapters of a server, each with its even share of the GPUs; no more than GPUs.",
)
.computed("one for each GPU; one for all where the GPU's own link is PCIe");

pub(super) static NETWORK_TABLE: TableDef = TableDef {
    path: "system.network",
    doc: "Servers and the network between them. `network = \"400 Gbit/s InfiniBand\"` is short for `network = { between_servers = \
          \"400 Gbit/s InfiniBand\" }`. A replica larger than a server stands on servers of its own: a pipeline stage (all its \
          data-parallel ranks) on as few as can have equally many of its GPUs and whole tensor-parallel groups, and as many \
          stages as fit in one. Within a server collectives take what was measured or fitted there; between servers what \
          bandwidth and latency of adapters and network say at least, or what a kernel table has that names this network. \
          Traffic of other replicas and KV caches does not slow them.",
    tag: Tag::Key(&BETWEEN_SERVERS),
    keys: &[&BETWEEN_SERVERS, &GPUS_PER_SERVER, &ADAPTERS_PER_SERVER],
};
