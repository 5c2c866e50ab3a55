//! A discrete-event simulation of LLM serving deployments.
//!
//! No file is read, nothing printed, no clock asked here.

mod conveyor;
mod engine;
mod error;
mod kv;
mod measures;
pub mod network;
pub mod offline;
mod outcome;
mod power;
pub mod prefix_cache;
mod record;
mod replica;
mod router;
mod scheduler;
mod spec;
mod uncertainty;

pub use engine::simulate;
pub use error::SimError;
pub use measures::{
    Better, Column, Distribution, Measures, Method, PoolFigures, Section, Slos, Statistics, Summary, SystemFacts,
    TransferFigures, Value, Verdict, WeightedHistogram, Window,
};
pub use offline::{FirstLevel, PrefixGroup, Sharing};
pub use outcome::{MixedPool, Outcome, ReplicaOutcome, RequestCounts, Transfers};
pub use power::{PowerMeter, PowerSample};
pub use record::{
    DecodeMember, Ending, GapsOf, HandoverRecord, Observer, PrefillMember, Rejection, RequestRecord, StepDetails,
    StepRecord, StepWork,
};
pub use scheduler::{Action, Admission, CohortView, Reserve, Scheduler, SidesView, StepView};
pub use spec::{
    BranchStates, CheckpointEviction, CheckpointSpec, DecodeChoice, DeploymentSpec, EngineSpec, GroupOrder,
    HandoverSpec, KvSpec, LayerGroups, MixingSpec, OwnPolicy, Policy, QueueKey, QueueOrder, ReplicaSpec, Role,
    RouterSpec, SchedulerSpec, TransferMode, Waiting,
};
pub use uncertainty::{
    ArrivalSeries, Interval, IntervalMethod, RequestFigure, Spread, Steadiness, WarmUp, WithinRun, half_width, mser,
    student_t_quantile,
};
