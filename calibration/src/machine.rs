//! What runs kernels: a GPU, or something that stands in for one.

use crate::kernels::{Launch, View};

/// Memory and kernels, as far as correctness checks need them. Implemented by [`gpu::Gpu`](crate::gpu::Gpu); the tests
/// implement it by a CPU emulation of the kernels.
pub trait Machine {
    /// Puts `bytes` into new memory.
    ///
    /// # Errors
    ///
    /// What the machine says, such as that its memory is full.
    fn upload(&mut self, bytes: &[u8]) -> Result<View, MachineError>;

    /// The bytes of `view`, after everything launched so far.
    ///
    /// # Errors
    ///
    /// What the machine says; a kernel that failed says so here at the latest.
    fn download(&mut self, view: &View) -> Result<Vec<u8>, MachineError>;

    /// Runs `launches` in order.
    ///
    /// # Errors
    ///
    /// What the machine says.
    fn run(&mut self, launches: &[Launch]) -> Result<(), MachineError>;

    /// Streaming multiprocessors, over which a decode plan spreads its work.
    fn multiprocessors(&self) -> u32;
}

/// What a machine says when it does not do what it is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MachineError(pub String);
