//! How far the figures of a run can be trusted: whether it ever became steady, and how far chance moves them.
//!
//! [`ArrivalSeries`] follows requests in the order in which they arrive, in bounded memory; [`WithinRun`] is what is kept
//! of it beside a summary. `docs/statistics.md` says which method stands behind which interval, and how often the
//! intervals hold what they promise.

mod bootstrap;
mod cell;
mod figure;
mod interval;
mod kept;
mod mser;
mod samples;
mod series;
mod steadiness;
mod student;
mod within;

pub use figure::RequestFigure;
pub use interval::{Interval, IntervalMethod, Spread, half_width};
pub use mser::mser;
pub use series::ArrivalSeries;
pub use steadiness::{Steadiness, WarmUp};
pub use student::student_t_quantile;
pub use within::WithinRun;
