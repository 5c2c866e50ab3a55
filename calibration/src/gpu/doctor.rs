//! What there is and what is missing.

use cudarc::driver::{CudaContext, result};

use super::board::driver_version;
use super::compile;
use super::device::{Gpu, driver_cuda_version};
use super::error::{GpuError, driver};
use super::libraries::{Library, open};
use super::product;

/// One thing that calibration needs or wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// What was found, or what is wrong and how to mend it.
    pub says: Result<String, String>,
    /// Whether nothing can be measured without it.
    pub needed: bool,
}

/// Looks for everything that calibration needs: driver, compiler, products, management library, and device `ordinal`.
pub fn doctor(ordinal: u32) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Library::ALL.into_iter().map(library_finding).collect();
    let mut add = |what: &str, says: Result<String, GpuError>, needed| {
        findings.push(Finding { what: what.to_owned(), says: says.map_err(|error| error.to_string()), needed });
    };
    if open(Library::Driver).is_err() {
        return findings;
    }
    let gpus = result::init()
        .map_err(driver("starting the NVIDIA driver"))
        .and_then(|()| CudaContext::device_count().map_err(driver("counting GPUs")));
    let works = gpus.is_ok();
    add("GPUs", gpus.map(|count| format!("{count} visible")), true);
    if !works {
        return findings;
    }
    match Gpu::open(ordinal) {
        Err(error) => add("device", Err(error), true),
        Ok(gpu) => {
            let info = gpu.info();
            let (gib, mib) = (info.memory_bytes as f64 / f64::from(1 << 30), info.l2_bytes >> 20);
            let text = format!(
                "{}, {}, {} multiprocessors, {mib} MiB L2, {gib:.1} GiB, at {}",
                info.name,
                info.architecture(),
                info.multiprocessors,
                info.bus
            );
            add("device", Ok(text), true);
            let energy = gpu.board().map_err(ToString::to_string).and_then(|board| {
                let energy = board.energy_mj().map_err(|error| error.to_string())?;
                let state = board.state();
                Ok(format!("counter at {:.0} J, clocks and power {state:?}", energy as f64 / 1e3))
            });
            findings.push(Finding { what: "energy counter".to_owned(), says: energy, needed: false });
        }
    }
    findings
}

fn library_finding(library: Library) -> Finding {
    let version = |opened: &super::libraries::Opened| {
        let version = match library {
            Library::Driver => driver_cuda_version().map(|version| format!("supports CUDA {version}")),
            Library::Nvrtc => compile::version(),
            Library::CublasLt => product::version(),
            Library::Nvml => driver_version().map(|version| format!("driver {version}")),
        };
        let version = version.unwrap_or_else(|error| error.to_string());
        format!("{version}, {}", opened.path.display())
    };
    Finding {
        what: library.what().to_owned(),
        says: open(library).map(version).map_err(|error| error.to_string()),
        needed: library != Library::Nvml,
    }
}
