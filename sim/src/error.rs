//! Why a simulation cannot be started or finished.

use workloads::WorkloadError;

/// Why a simulation cannot be started or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The deployment makes no sense. Nothing was simulated.
    #[error("replica {replica}: {field} = {value}: {expected}")]
    Spec {
        /// Which replica.
        replica: usize,
        /// Field of its spec.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// The replicas' roles do not go together, or not with how requests are handed over. Nothing was simulated.
    #[error("{problem}")]
    Roles {
        /// What does not go together, and what would.
        problem: String,
    },
    /// The network that requests are handed over on makes no sense. Nothing was simulated.
    #[error(transparent)]
    Network(#[from] crate::network::NetworkError),
    /// The deployment has no replicas. Nothing was simulated.
    #[error("the deployment has no replicas")]
    NoReplicas,
    /// The workload cannot be read further. The run is incomplete.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The workload sent no requests.
    #[error("the workload has no requests")]
    EmptyWorkload,
    /// A request asks or answers nothing: a bug of the source.
    #[error(
        "request {request} has {input_tokens} prompt and {output_tokens} output tokens; it needs at least 1 of each"
    )]
    EmptyRequest {
        /// Its number.
        request: u64,
        /// Length of its prompt.
        input_tokens: u32,
        /// Length of its answer.
        output_tokens: u32,
    },
    /// Simulated time has passed a hundred years.
    #[error(
        "simulated time has reached {now}, more than a hundred years: does a rate or a bandwidth lack its unit prefix?"
    )]
    TooLong {
        /// Simulated time.
        now: workloads::SimTime,
    },
    /// A request arrives at another time than its source had announced, or earlier than the simulation has gone: a bug
    /// of the source.
    #[error(
        "request {request} says it arrives at {arrival}; simulated time is {now}, for which its source announced it"
    )]
    NotAsAnnounced {
        /// Its number.
        request: u64,
        /// Its arrival.
        arrival: workloads::SimTime,
        /// Simulated time.
        now: workloads::SimTime,
    },
}
