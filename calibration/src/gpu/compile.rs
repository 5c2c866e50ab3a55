//! Compiling kernels at run time.

use std::ffi::{CString, c_char};

use cudarc::nvrtc::{result, sys};

use super::error::GpuError;
use super::libraries::{Library, open};
use crate::kernels::{PRELUDE, Source};

/// A source compiled for one architecture.
#[derive(Clone, Debug)]
pub struct CompiledSource {
    /// Machine code.
    pub binary: Vec<u8>,
    /// What each kernel takes, as far as the assembler said.
    pub resources: Vec<KernelResources>,
}

/// What a kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelResources {
    /// Its name.
    pub kernel: String,
    /// Registers per thread.
    pub registers: u32,
    /// Bytes that do not fit the registers and are stored elsewhere.
    pub spilled_bytes: u32,
}

/// Compiles a source for an architecture such as `sm_90a`. Needs NVRTC, but no GPU.
///
/// # Errors
///
/// If NVRTC cannot be loaded, does not know the architecture, or the source does not compile.
pub fn compile_for(source: Source, architecture: &str) -> Result<CompiledSource, GpuError> {
    open(Library::Nvrtc)?;
    let text = format!("{PRELUDE}\n#line 1 \"{}\"\n{}", source.file(), source.text());
    let text = CString::new(text).expect("sources hold no zero byte");
    let failed = |log: String| GpuError::Compile { file: source.file(), architecture: architecture.to_owned(), log };
    let program = result::create_program(&text, None).map_err(|error| failed(error.to_string()))?;
    let options =
        [format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned(), "--ptxas-options=-v".to_owned()];
    // SAFETY: the program was created above and is destroyed below, once; `text` outlives it.
    unsafe {
        let compiled = result::compile_program(program, &options);
        let log = result::get_program_log(program).map(|log| text_of(&log)).unwrap_or_default();
        let binary = match compiled {
            Ok(()) => binary_of(program).map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed(log.clone())),
        };
        let destroyed = result::destroy_program(program);
        let binary = binary?;
        destroyed.map_err(|error| failed(error.to_string()))?;
        Ok(CompiledSource { binary, resources: resources(&log) })
    }
}

/// # Safety
///
/// `program` must have been compiled and not destroyed.
unsafe fn binary_of(program: sys::nvrtcProgram) -> Result<Vec<u8>, result::NvrtcError> {
    let mut size = 0;
    // SAFETY: by the caller; the buffer is as long as NVRTC says.
    unsafe {
        sys::nvrtcGetCUBINSize(program, &raw mut size).result()?;
        let mut binary = vec![0u8; size];
        sys::nvrtcGetCUBIN(program, binary.as_mut_ptr().cast::<c_char>()).result()?;
        Ok(binary)
    }
}

fn text_of(log: &[c_char]) -> String {
    let bytes: Vec<u8> = log.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads the assembler's report, three lines per kernel: its name, its spills, its registers.
fn resources(log: &str) -> Vec<KernelResources> {
    let number_before =
        |line: &str, word: &str| -> Option<u32> { line.split_once(word)?.0.split_whitespace().last()?.parse().ok() };
    let mut all = Vec::new();
    let (mut kernel, mut spilled_bytes) = (String::new(), 0);
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            rest.split('\'').next().unwrap_or_default().clone_into(&mut kernel);
            spilled_bytes = 0;
        } else if let Some(bytes) = number_before(line, "bytes spill stores") {
            spilled_bytes = bytes;
        } else if let Some(registers) = number_before(line, "registers") {
            all.push(KernelResources { kernel: kernel.clone(), registers, spilled_bytes });
        }
    }
    all
}

/// Version of NVRTC as `major.minor`.
pub(super) fn version() -> Result<String, GpuError> {
    open(Library::Nvrtc)?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both places are valid.
    let said = unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }.result();
    said.map(|()| format!("{major}.{minor}"))
        .map_err(|error| GpuError::Driver { doing: "asking NVRTC for its version".into(), problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assemblers_report_is_read() {
        let log = "ptxas info    : 0 bytes gmem\n\
                   ptxas info    : Compiling entry function 'rms_norm' for 'sm_90a'\n\
                   ptxas info    : Function properties for rms_norm\n\
                   ptxas         .     8 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads\n\
                   ptxas info    : Used 32 registers, used 1 barriers, 132 bytes smem\n\
                   ptxas info    : Compiling entry function 'nothing' for 'sm_90a'\n\
                   ptxas info    : Used 4 registers, used 0 barriers\n";
        let of = |kernel: &str, registers, spilled_bytes| KernelResources {
            kernel: kernel.to_owned(),
            registers,
            spilled_bytes,
        };
        assert_eq!(resources(log), [of("rms_norm", 32, 16), of("nothing", 4, 0)]);
    }
}
