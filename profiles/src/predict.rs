//! Times of kernels predicted from kernel tables.

pub mod attention;
