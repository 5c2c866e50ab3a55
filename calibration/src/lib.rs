//! Which kernels to time on a GPU so that a model's steps can be priced from measurements.
//!
//! Nothing here needs a GPU, and nothing else in the project needs this crate. So far it knows what to measure; it
//! measures nothing yet.

mod gemm;

pub use gemm::{GemmShape, gemm_shapes, row_counts};
