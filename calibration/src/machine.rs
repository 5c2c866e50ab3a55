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

    /// New memory of `bytes`, filled with `pattern` over and over; with zeros where the pattern is empty.
    ///
    /// # Errors
    ///
    /// What the machine says, such as that its memory is full.
    fn repeated(&mut self, pattern: &[u8], bytes: u64) -> Result<View, MachineError> {
        let pattern = if pattern.is_empty() { &[0] } else { pattern };
        let content: Vec<u8> = pattern.iter().copied().cycle().take(bytes as usize).collect();
        self.upload(&content)
    }

    /// Streaming multiprocessors, over which a decode plan spreads its work.
    fn multiprocessors(&self) -> u32;

    /// L2 cache in bytes.
    fn l2_bytes(&self) -> u64;

    /// Memory that is free, in bytes.
    ///
    /// # Errors
    ///
    /// If the machine does not say.
    fn free_bytes(&self) -> Result<u64, MachineError>;
}

/// What a machine says when it does not do what it is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MachineError(pub String);
