//! Times of kernels predicted from kernel tables: of measured shapes as they were, of shapes between measured ones by
//! interpolation.
//!
//! A predictor is built once from the rows of a device's tables. Asked for the fixed part of a shape (the columns and inner
//! length of a product, the heads of an attention, the widths of a layer of experts) it compiles a look-up over what
//! changes from step to step, which answers in tens of nanoseconds with a time and the [`Evidence`](crate::Evidence)
//! for it: measured at or between measured shapes, extrapolated beyond.
//!
//! No prediction is below the roofline of the datasheet, except where measurements around it are: small operands that a
//! benchmark finds in the L2 cache over and over. [`Operands::Cold`] takes that back for the weights of products and
//! experts in steps of serving, where they are not there.

pub mod attention;
pub mod experts;
pub mod gemm;
mod local;
mod roofline;

pub use experts::{ExpertsCurve, ExpertsPredictor};
pub use gemm::{GemmCurve, GemmPredictor};
pub use roofline::{OperandFormat, Operands, PredictError};
