//! What is computed once about a batch of requests that are all known before any of them runs: pure functions.

mod cut;
mod demand;
mod depth_first;
mod dual_scan;
mod estimate;
mod group_plan;
mod plan;
mod prefix_groups;
mod split;
mod tree;
mod units;

pub use cut::cut;
pub use demand::{Demand, Work};
pub(crate) use depth_first::depth_first;
pub(crate) use dual_scan::{QUANTUM, Sides};
pub use dual_scan::{ScanUnit, Side, SideView, partition};
pub use estimate::{estimate_outputs, sampled};
pub use group_plan::{BatchGroup, GroupPlan, prepare_groups};
pub use plan::{BatchRequest, Plan, PlanOptions, prepare};
pub use prefix_groups::{FirstLevel, PrefixGroup, Sharing};
pub use tree::ResourceTree;
