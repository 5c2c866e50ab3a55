//! The seam between workloads and simulators: requests are pulled in order of arrival, and endings are told back.

use crate::error::WorkloadError;
use crate::request::{Request, RequestId};
use crate::time::SimTime;

/// Where requests come from. Arrival times never go backwards, also across calls of [`Source::ended`]: what an ending
/// releases (the next turn of a session, the next request of a closed loop) arrives no earlier than that ending.
pub trait Source {
    /// When the next request arrives. `None`: nothing is pending now; a later [`Source::ended`] may release more.
    ///
    /// # Errors
    /// What is wrong with the trace, with file and line.
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError>;

    /// Takes the request that [`Source::next_arrival`] announced.
    ///
    /// # Panics
    /// If none was announced.
    fn take(&mut self) -> Request;

    /// The request has left the deployment, answered or rejected, at `now`. Called once for every request taken.
    fn ended(&mut self, request: RequestId, now: SimTime);

    /// Requests still to come as far as is known, for progress bars.
    fn remaining_hint(&self) -> Option<u64> {
        None
    }
}
