//! A discrete-event simulation of LLM serving deployments.
//!
//! No file is read, nothing printed, no clock asked here.

mod outcome;
mod record;
mod spec;

pub use outcome::{Outcome, ReplicaOutcome, RequestCounts};
pub use record::{Ending, Observer, Rejection, RequestRecord, StepRecord};
pub use spec::{DeploymentSpec, KvSpec, Policy, ReplicaSpec, RouterSpec, SchedulerSpec};
