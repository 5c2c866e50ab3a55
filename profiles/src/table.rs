//! Kernel tables: what kernels took on a device, shape by shape, and the file format that carries it.
//!
//! A file holds one kind of kernel. It starts with a header, whose lines begin with `# ` and are TOML behind it, and goes
//! on as CSV: the columns of the shape (those of the row types here, in any order), `time_us`, and what else was recorded
//! about the timing.
//!
//! ```text
//! # format = 1
//! # kernel = "gemm"
//! # device = "H200-SXM-141GB"
//! # cache = "cold"
//! # launch = "graph"
//! # source = "measured with servesim calibrate"
//! # date = "2026-11-25"
//! m,n,k,weights,activations,scaling,time_us
//! 1,4096,4096,bf16,bf16,none,9.1
//! ```

mod error;
mod fields;
mod header;
mod kernel;
mod read;
mod rows;
mod timing;
mod write;

pub use error::{TableError, TableWarning};
pub use header::{Cache, Clocks, Header, Launch, is_calendar_date};
pub use kernel::Kernel;
pub use rows::{
    CollectiveOperation, CollectiveRow, Column, DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow,
    MixedAttentionRow, OverheadRow, PassPhase, PassRow, PrefillAttentionRow, Row, Rows, Scaling, StateSpacePhase,
    StateSpaceRow,
};
pub use timing::{TIMING_COLUMNS, Timing};

/// Timings of one kind of kernel on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTable {
    /// Where they come from and how they were taken.
    pub header: Header,
    /// Shapes with their times, in the order of the file.
    pub rows: Rows,
}

impl KernelTable {
    /// The kind of kernel.
    pub fn kernel(&self) -> Kernel {
        self.rows.kernel()
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
