//! What a request is, where requests come from, and how their traces are read.
//!
//! This crate knows nothing of GPUs, models or schedulers.

mod arrivals;
mod check;
mod concurrency;
mod durations;
mod error;
pub mod generators;
mod lengths;
mod mixture;
mod prefix;
pub mod radix;
mod replay;
mod request;
mod rng;
mod row;
mod sessions;
mod source;
mod spec;
mod special;
pub mod stats;
mod synthetic;
mod time;
pub mod trace;
mod unserved;

pub use arrivals::{Arrivals, RatePiece};
pub use check::MAX_TOKENS;
pub use concurrency::ConcurrencyLimit;
pub use durations::Durations;
pub use error::WorkloadError;
pub use lengths::{Bounds, Cut, Lengths, LogNormalShape, RequestLengths};
pub use mixture::Mixture;
pub use prefix::{Popularity, PrefixLength, PrefixSpec, PrefixTree, PromptLengths};
pub use radix::RadixTree;
pub use replay::{Replay, ReplaySpec, Timing, ZeroTokens};
pub use request::{ContentId, Prompt, Request, RequestId, SessionId, Span};
pub use rng::{Streams, stream};
pub use row::TraceRow;
pub use sessions::SessionSpec;
pub use source::Source;
pub use spec::WorkloadSpec;
pub use synthetic::Synthetic;
pub use time::{SimDuration, SimTime};
pub use trace::{ReadOptions, TraceError, TraceFormat, TraceInfo, TraceReader, TraceWriter};
pub use unserved::Unserved;
