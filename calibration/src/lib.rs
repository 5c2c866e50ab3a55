//! Which kernels to time on a GPU so that a model's steps can be priced from measurements, and the timing of them.
//!
//! Nothing else in the project needs this crate.

pub mod check;
pub mod fit;
mod gemm;
pub mod gpu;
pub mod import;
pub mod kernels;
pub mod machine;
pub mod measure;
pub mod numbers;
pub mod replay;
pub mod stages;
pub mod verify;
mod work;

pub use gemm::{GemmShape, gemm_shapes, row_counts};
