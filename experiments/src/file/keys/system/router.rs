//! `[system.router]`

use crate::file::key::{Key, Kind, TableDef, Tag};

/// Router's policy.
pub(crate) static ROUTER_POLICY: Key = Key::new(
    "policy",
    Kind::Choice(&[
        ("round-robin", "in turn"),
        ("least-outstanding-tokens", "to the replica with the fewest prompt tokens of requests that have not ended"),
        ("power-of-two-choices", "to the less loaded, by the same measure, of two drawn at random"),
        (PREFIX_AFFINITY, "to the replica whose cache holds the longest prefix, unless it is overloaded"),
        (
            "density-cut",
            "BlendServe's data parallelism: what arrives at the same moment is cut along its tree of prompts into parts of equal work, \
             each as dense as all together; only with blendserve, and of use with `arrivals = \"all-at-once\"`",
        ),
    ]),
    "Which router.",
)
.value("\"round-robin\"");
const PREFIX_AFFINITY: &str = "prefix-affinity";
/// When affinity gives way.
pub(crate) static MAX_IMBALANCE_TOKENS: Key = Key::new(
    "max_imbalance_tokens",
    Kind::Integer(0, 1 << 50),
    "A replica is overloaded if it carries this many more outstanding prompt tokens than the least loaded one, which then \
     gets the request.",
)
.only(&[PREFIX_AFFINITY])
.value("65536");

pub(crate) static ROUTER_TABLE: TableDef = TableDef {
    path: "system.router",
    doc: "How requests are spread over replicas. `router = \"round-robin\"` is short for `router = { policy = \"round-robin\" }`.",
    tag: Tag::Key(&ROUTER_POLICY),
    keys: &[&ROUTER_POLICY, &MAX_IMBALANCE_TOKENS],
};
