//! A launch, and the memory it works on.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::source::Kernel;

/// A piece of a machine's memory. It keeps the memory alive.
#[derive(Clone)]
pub struct View {
    address: u64,
    bytes: u64,
    owner: Arc<dyn Any + Send + Sync>,
}

impl View {
    /// `bytes` at `address` of a machine, which stay valid while `owner` lives.
    pub fn new(address: u64, bytes: u64, owner: Arc<dyn Any + Send + Sync>) -> Self {
        View { address, bytes, owner }
    }

    /// Where it starts, as the machine counts.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `bytes` of it from byte `start` on.
    ///
    /// # Errors
    ///
    /// If it is not that long.
    pub fn part(&self, start: u64, bytes: u64) -> Result<View, LaunchError> {
        if start.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            let problem = format!("bytes {start} to {start} + {bytes} of a piece of memory of {} bytes", self.bytes);
            return Err(LaunchError::Memory { kernel: "a part", operand: "memory", problem });
        }
        Ok(View { address: self.address + start, bytes, owner: Arc::clone(&self.owner) })
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({:#x}, {} bytes)", self.address, self.bytes)
    }
}

/// An argument of a kernel.
#[derive(Clone, Debug)]
pub enum Arg {
    /// The address of a piece of memory.
    Memory(View),
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A float.
    F32(f32),
}

/// A kernel over a grid of blocks.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Which kernel.
    pub kernel: Kernel,
    /// Blocks across and down.
    pub grid: [u32; 2],
    /// Threads of a block, a multiple of 32 up to 1024.
    pub threads: u32,
    /// Dynamic shared memory of a block in bytes.
    pub shared_bytes: u32,
    /// The arguments in order.
    pub args: Vec<Arg>,
}

/// Why a launch cannot be described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The kernel does not do such a shape.
    #[error("{kernel}: {problem}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// What it was asked for, and what it can do.
        problem: String,
    },
    /// A piece of memory is too small.
    #[error("{kernel}: {operand}: {problem}")]
    Memory {
        /// The kernel.
        kernel: &'static str,
        /// Which operand.
        operand: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// A launch under construction: arguments are checked as they come.
pub(super) struct Builder {
    kernel: Kernel,
    args: Vec<Arg>,
    error: Option<LaunchError>,
}

impl Builder {
    pub(super) fn new(kernel: Kernel) -> Self {
        Builder { kernel, args: Vec::new(), error: None }
    }

    /// States what the kernel can do.
    pub(super) fn require(mut self, holds: bool, problem: impl FnOnce() -> String) -> Self {
        if !holds && self.error.is_none() {
            self.error = Some(LaunchError::Shape { kernel: self.kernel.name, problem: problem() });
        }
        self
    }

    /// A piece of memory of at least `elements` of `size` bytes, aligned for 16-byte accesses.
    pub(super) fn memory(mut self, operand: &'static str, view: &View, elements: u64, size: u64) -> Self {
        let problem = match elements.checked_mul(size) {
            Some(needed) if needed > view.bytes() => Some(format!("needs {needed} bytes, has {}", view.bytes())),
            None => Some("needs more bytes than can be counted".to_owned()),
            Some(_) if !view.address().is_multiple_of(16) => {
                Some("does not start at a multiple of 16 bytes".to_owned())
            }
            Some(_) => None,
        };
        if let (Some(problem), None) = (problem, &self.error) {
            self.error = Some(LaunchError::Memory { kernel: self.kernel.name, operand, problem });
        }
        self.args.push(Arg::Memory(view.clone()));
        self
    }

    /// A count, which the kernel takes as a 32-bit integer.
    pub(super) fn count(mut self, name: &'static str, value: u64) -> Self {
        let small = i32::try_from(value);
        if small.is_err() && self.error.is_none() {
            let problem = format!("{name} = {value} is above 2^31 - 1");
            self.error = Some(LaunchError::Shape { kernel: self.kernel.name, problem });
        }
        self.args.push(Arg::I32(small.unwrap_or(0)));
        self
    }

    pub(super) fn float(mut self, value: f32) -> Self {
        self.args.push(Arg::F32(value));
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.args.push(Arg::I64(value));
        self
    }

    /// The launch over `grid` blocks of `threads`.
    pub(super) fn over(self, grid: [u64; 2], threads: u32, shared_bytes: u32) -> Result<Launch, LaunchError> {
        let most = [u64::from(i32::MAX.unsigned_abs()), 65_535];
        let fits = (0..2).all(|axis| (1..=most[axis]).contains(&grid[axis]));
        let whole_warps = threads.is_multiple_of(32) && (32..=1024).contains(&threads);
        let checked = self
            .require(fits, || {
                format!("a grid of {} x {} blocks; 1 to 2^31 - 1 x 1 to 65535 are possible", grid[0], grid[1])
            })
            .require(whole_warps, || format!("blocks of {threads} threads; 32 to 1024 in steps of 32 are possible"));
        match checked.error {
            Some(error) => Err(error),
            None => Ok(Launch {
                kernel: checked.kernel,
                grid: [grid[0] as u32, grid[1] as u32],
                threads,
                shared_bytes,
                args: checked.args,
            }),
        }
    }
}

/// Threads for a row of `width` elements taken `per_thread` at a time: whole warps, 32 to `most`.
pub(super) fn threads_for(width: u64, per_thread: u64, most: u32) -> u32 {
    let wanted = width.div_ceil(per_thread).next_multiple_of(32);
    (wanted.min(u64::from(most)) as u32).max(32)
}
