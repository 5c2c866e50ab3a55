//! What can go wrong on a GPU.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::kernels::LaunchError;
use crate::machine::MachineError;

/// What can go wrong on a GPU.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// A library is not there.
    #[error("cannot load {what} ({file}){}", details(.looked_in, .last_error, .help))]
    Library {
        /// What it is.
        what: &'static str,
        /// Its file name.
        file: &'static str,
        /// The folders that were looked in.
        looked_in: Vec<PathBuf>,
        /// What the loader said last.
        last_error: String,
        /// How to get it.
        help: &'static str,
    },
    /// The driver is there but finds no such GPU.
    #[error(
        "no GPU number {ordinal}: the driver finds {found}\n    help: `nvidia-smi -L` lists GPUs; CUDA_VISIBLE_DEVICES hides them"
    )]
    NoDevice {
        /// Which was wanted.
        ordinal: u32,
        /// How many there are.
        found: u32,
    },
    /// The driver refused something.
    #[error("{doing}: {problem}")]
    Driver {
        /// What was being done.
        doing: String,
        /// What the driver said.
        problem: String,
    },
    /// A kernel does not compile for this GPU.
    #[error("{file} does not compile for {architecture}:\n{log}")]
    Compile {
        /// The source.
        file: &'static str,
        /// The architecture.
        architecture: String,
        /// What the compiler said.
        log: String,
    },
    /// cuBLASLt refused a product.
    #[error("{doing}: {status}")]
    Product {
        /// What was being done.
        doing: String,
        /// What cuBLASLt said.
        status: String,
    },
    /// A launch cannot be described.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

fn details(looked_in: &[PathBuf], last_error: &str, help: &str) -> String {
    let mut text = String::new();
    if !looked_in.is_empty() {
        let folders: Vec<String> = looked_in.iter().map(|folder| folder.display().to_string()).collect();
        let _ = write!(text, "\n    looked in {}", folders.join(", "));
    }
    let _ = write!(text, "\n    last error: {last_error}\n    help: {help}");
    text
}

impl From<GpuError> for MachineError {
    fn from(error: GpuError) -> Self {
        MachineError(error.to_string())
    }
}

/// Makes a driver error of what was being done.
pub(super) fn driver(doing: impl Into<String>) -> impl FnOnce(cudarc::driver::DriverError) -> GpuError {
    let doing = doing.into();
    move |error| GpuError::Driver { doing, problem: error.to_string() }
}
