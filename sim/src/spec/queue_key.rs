//! What an order of the waiting queue may go by.

use workloads::{RequestId, SessionId, SimTime};

/// A request that waits, as an order of the queue sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which one.
    pub id: RequestId,
    /// The conversation that it belongs to, if the workload says so.
    pub session: Option<SessionId>,
    /// When it arrived.
    pub arrival: SimTime,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens that it will generate, which a real engine does not know.
    pub output_tokens: u32,
}

/// What requests that wait are sorted by: those of the smallest key go first, those of equal keys as they came. It is asked
/// when a request joins the queue and has to say the same whenever it is asked again.
///
/// A deadline is `arrival` and a limit, a priority the number of its class; what grows with time for all alike, such as
/// how long each has waited, makes no difference to the order of `arrival`.
#[derive(Clone, Copy, Debug)]
pub struct QueueKey {
    /// What the order is called; two of the same name count as the same.
    pub name: &'static str,
    /// The key of a request.
    pub of: fn(&Waiting) -> u64,
}

impl PartialEq for QueueKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for QueueKey {}
