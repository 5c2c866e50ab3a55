//! What a request is, where requests come from, and how their traces are read.
//!
//! This crate knows nothing of GPUs, models or schedulers.

mod error;
mod request;
mod row;
mod source;
mod time;

pub use error::WorkloadError;
pub use request::{ContentId, Prompt, Request, RequestId, SessionId, Span};
pub use row::TraceRow;
pub use source::Source;
pub use time::{SimDuration, SimTime};
