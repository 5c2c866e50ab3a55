//! From a point to launches on memory.

mod attention;
mod elementwise;
mod experts;
mod product;
mod state_space;

pub(super) use elementwise::bytes as elementwise_bytes;

use crate::gpu::ProductShape;
use crate::kernels::{Launch, LaunchError, View};
use crate::machine::{Machine, MachineError};
use crate::measure::point::Point;
use crate::numbers::{Random, bf16_bytes, to_e4m3};

/// Something to run: as [`gpu::Work`](crate::gpu::Work), before products are planned.
#[derive(Clone, Debug)]
pub enum Item {
    /// One of our kernels.
    Kernel(Launch),
    /// A product by cuBLASLt.
    Product {
        /// Its shape.
        shape: ProductShape,
        /// Activations.
        x: View,
        /// Weights.
        w: View,
        /// Result.
        y: View,
    },
}

/// What a point runs.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The same launches on different copies of what the caches must not hold.
    pub variants: Vec<Vec<Item>>,
    /// Experts that at least one row chose, on average over the variants.
    pub touched_experts: Option<u32>,
}

/// Why a point has no launches.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// No kernel here does it.
    #[error("{0}")]
    NoKernel(String),
    /// The kernel does not do the shape.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The operands exceed the memory that is free.
    #[error("needs {needed} bytes of memory, {free} are free")]
    Memory {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
}

/// Numbers that operands repeat: enough to look random, few enough to be made quickly.
const NOISE_NUMBERS: usize = 1 << 18;
/// The same in fp8, to which rounding is slow here.
const NOISE_E4M3: usize = 1 << 14;

/// What operands are made of.
#[derive(Clone, Debug)]
pub struct Operands {
    seed: u64,
    bf16: Vec<u8>,
    e4m3: Vec<u8>,
}

impl Operands {
    /// Normal numbers of a seed.
    pub fn new(seed: u64) -> Self {
        let noise = Random::new(seed).normals(NOISE_NUMBERS, 1.0);
        let e4m3 = noise[..NOISE_E4M3].iter().map(|&value| to_e4m3(value)).collect();
        Operands { seed, bf16: bf16_bytes(&noise), e4m3 }
    }
}

/// Builds what a point runs.
///
/// # Errors
///
/// If no kernel does the point, its operands do not fit, or the machine fails.
pub fn workload(point: &Point, machine: &mut dyn Machine, operands: &Operands) -> Result<Workload, WorkloadError> {
    let builder = &mut Builder { machine, random: Random::new(operands.seed), operands };
    match point {
        Point::Gemm(row) => product::build(row, builder),
        Point::PrefillAttention(row) => attention::prefill(row, builder),
        Point::DecodeAttention(row) => attention::decode(row, builder),
        Point::MixedAttention(row) => attention::mixed(row, builder),
        Point::Experts(row) => experts::build(row, builder),
        Point::StateSpace(row) => state_space::build(row, builder),
        Point::Elementwise(row) => elementwise::build(row, builder),
        Point::Overhead(_) => {
            Err(WorkloadError::NoKernel("overheads are no launches; a bench times them itself".into()))
        }
    }
}

/// Makes operands.
struct Builder<'a> {
    machine: &'a mut dyn Machine,
    random: Random,
    operands: &'a Operands,
}

impl Builder<'_> {
    /// Normal bfloat16 numbers.
    fn bf16(&mut self, numbers: u64) -> Result<View, WorkloadError> {
        Ok(self.machine.repeated(&self.operands.bf16, numbers * 2)?)
    }

    /// Normal fp8 numbers.
    fn e4m3(&mut self, numbers: u64) -> Result<View, WorkloadError> {
        Ok(self.machine.repeated(&self.operands.e4m3, numbers)?)
    }

    /// Room for results.
    fn room(&mut self, bytes: u64) -> Result<View, WorkloadError> {
        Ok(self.machine.repeated(&[], bytes)?)
    }

    /// Integers.
    fn integers(&mut self, values: &[i32]) -> Result<View, WorkloadError> {
        Ok(self.machine.upload(&crate::numbers::i32_bytes(values))?)
    }

    /// Floats.
    fn floats(&mut self, values: &[f32]) -> Result<View, WorkloadError> {
        Ok(self.machine.upload(&crate::numbers::f32_bytes(values))?)
    }

    /// Copies of something that each launch reads `read_bytes` of and that takes `bytes` of memory, so that what a launch
    /// reads was pushed out of the L2 cache since it was read last: three times the cache in all, within half of the
    /// memory that `other_bytes` of further operands leave.
    fn copies(&self, read_bytes: u64, bytes: u64, other_bytes: u64) -> Result<u64, WorkloadError> {
        const MOST: u64 = 512;
        let free = self.machine.free_bytes()?;
        let needed = bytes + other_bytes;
        if needed > free / 10 * 9 {
            return Err(WorkloadError::Memory { needed, free });
        }
        let cache = 3 * self.machine.l2_bytes();
        // The copy that is being read does not push itself out.
        let wanted = if read_bytes >= cache { 1 } else { cache.div_ceil(read_bytes.max(1)) + 1 };
        Ok(wanted.min(MOST).min((free.saturating_sub(other_bytes) / 2 / bytes.max(1)).max(1)))
    }
}

fn no_kernel<T>(reason: impl Into<String>) -> Result<T, WorkloadError> {
    Err(WorkloadError::NoKernel(reason.into()))
}
