//! A CUDA device: the only part of the project that calls foreign code.
//!
//! [`Gpu::open`] finds and loads the driver, NVRTC, cuBLASLt and NVML at run time, so that the program builds and starts
//! on machines without them, and says what is missing where they are wanted ([`doctor`] lists it all). A [`Gpu`] then
//!
//! - owns device memory as [`View`](crate::kernels::View)s ([`Gpu::allocate`], [`Gpu::fill_normal`]; as a
//!   [`Machine`](crate::machine::Machine) it uploads and downloads),
//! - runs [`Work`]: our own kernels (any [`Launch`](crate::kernels::Launch) of [`kernels`](crate::kernels)) and matrix
//!   products by cuBLASLt ([`Gpu::product_plan`]), in one stream ([`Gpu::submit`]),
//! - captures work into a [`Graph`] ([`Gpu::capture`]) and launches it,
//! - times it by [`Event`]s ([`Gpu::record`]), and reads energy, power, clocks and throttle reasons ([`Gpu::board`]).
//!
//! ```no_run
//! use calibration::gpu::{Gpu, Work};
//! use calibration::kernels;
//!
//! let mut gpu = Gpu::open(0)?;
//! let (input, out) = (gpu.allocate(4096 * 2 * 2)?, gpu.allocate(4096 * 2)?);
//! gpu.fill_normal(&input, 1.0, 7)?;
//! let work = [Work::Kernel(kernels::silu_mul(1, 4096, &input, &out)?)];
//! gpu.submit(&work)?; // compiles what it needs
//! let graph = gpu.capture(&work)?;
//! let start = gpu.record()?;
//! gpu.launch(&graph)?;
//! let end = gpu.record()?;
//! println!("{} us", start.elapsed_us(&end)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![allow(unsafe_code, reason = "calls into the CUDA driver and NVRTC are: this is the one module that makes them")]

mod board;
mod compile;
mod device;
mod doctor;
mod error;
mod libraries;
mod product;
mod stream;

pub use board::{Board, BoardState};
pub use compile::{CompiledSource, KernelResources, compile_for};
pub use device::{DeviceInfo, Gpu};
pub use doctor::{Finding, doctor};
pub use error::GpuError;
pub use product::{ProductFormat, ProductPlan, ProductShape};
pub use stream::{Event, Graph, Work};
