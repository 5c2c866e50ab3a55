//! What is computed once about a batch of requests that are all known before any of them runs: pure functions.

mod depth_first;
mod prefix_groups;

pub(crate) use depth_first::depth_first;
pub use prefix_groups::{FirstLevel, PrefixGroup, Sharing};
