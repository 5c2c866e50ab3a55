//! Finding NVIDIA's libraries.
//!
//! The bindings open libraries by bare names and panic where one is missing. So each is opened here first, by its path,
//! and kept: the loader then finds it by its SONAME, without `LD_LIBRARY_PATH`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::error::GpuError;

/// A library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// The driver.
    Driver,
    /// The run-time compiler.
    Nvrtc,
    /// Matrix products.
    CublasLt,
    /// The management library.
    Nvml,
}

const PIP_HELP: &str = "`pip install nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3`, PyTorch for CUDA 13, or the CUDA \
                        toolkit 13 bring it; SERVESIM_CUDA_LIBS names further folders";

impl Library {
    pub(super) const ALL: [Library; 4] = [Library::Driver, Library::Nvrtc, Library::CublasLt, Library::Nvml];

    /// What it is, in words.
    pub(super) fn what(self) -> &'static str {
        match self {
            Library::Driver => "NVIDIA driver",
            Library::Nvrtc => "CUDA run-time compiler",
            Library::CublasLt => "cuBLASLt",
            Library::Nvml => "NVIDIA management library",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Library::Driver => "libcuda.so.1",
            Library::Nvrtc => "libnvrtc.so.13",
            Library::CublasLt => "libcublasLt.so.13",
            Library::Nvml => "libnvidia-ml.so.1",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Library::Driver => {
                "install the NVIDIA driver, or run this on the GPU machine; simulation itself needs no GPU"
            }
            Library::Nvml => {
                "it comes with the NVIDIA driver; without it nothing of energy, clocks or throttling is known"
            }
            Library::Nvrtc | Library::CublasLt => PIP_HELP,
        }
    }

    /// Files that must be open before it: the compiler opens a part of itself by bare name at its first use.
    fn companion_prefix(self) -> Option<&'static str> {
        (self == Library::Nvrtc).then_some("libnvrtc-builtins.so.13")
    }
}

/// An opened library.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its file, or its bare name where the system's loader found it.
    pub(super) path: PathBuf,
    handle: Option<libloading::Library>,
}

impl Opened {
    /// A function of it.
    ///
    /// # Safety
    ///
    /// `T` must be the type of the function.
    pub(super) unsafe fn function<T: Copy>(&self, name: &str) -> Option<T> {
        let handle = self.handle.as_ref()?;
        // SAFETY: the caller knows the type; the library is never closed.
        unsafe { handle.get::<T>(name.as_bytes()) }.ok().map(|symbol| *symbol)
    }
}

/// Folders that users and packages put libraries in, those that exist.
fn folders() -> &'static [PathBuf] {
    static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let mut folders: Vec<PathBuf> = Vec::new();
        folders.extend(
            env::var_os("SERVESIM_CUDA_LIBS").iter().flat_map(|paths| env::split_paths(paths).collect::<Vec<_>>()),
        );
        folders.extend(env::var_os("CUDA_HOME").map(|home| Path::new(&home).join("lib64")));
        folders.extend(python_packages().map(|packages| packages.join("nvidia/cu13/lib")));
        let usual = [
            "/usr/local/cuda/lib64",
            "/usr/local/nvidia/lib64",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
        ];
        folders.extend(usual.map(PathBuf::from));
        folders.retain(|folder| folder.is_dir());
        folders
    })
}

/// Where the Python that users have installs packages, if there is one.
fn python_packages() -> Option<PathBuf> {
    let script = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
    let said = Command::new("python3").args(["-c", script]).output().ok()?;
    let path = String::from_utf8(said.stdout).ok()?;
    said.status.success().then(|| PathBuf::from(path.trim()))
}

fn open_file(path: &Path) -> Result<libloading::Library, String> {
    #[cfg(unix)]
    {
        use libloading::os::unix;
        // SAFETY: these are NVIDIA's libraries, whose initialisers have no conditions.
        let opened = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_GLOBAL) };
        opened.map(Into::into).map_err(|error| source_of(&error))
    }
    #[cfg(not(unix))]
    {
        // SAFETY: as above.
        unsafe { libloading::Library::new(path) }.map_err(|error| source_of(&error))
    }
}

/// The loader's own words.
fn source_of(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Opens the other file of a library that is in `folder`, or by its name anywhere; the first use reports if it is missing.
fn open_companion(folder: &Path, prefix: &str) {
    let is_it = |name: &str| name.starts_with(prefix);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_it)).map(|entry| entry.path()).collect();
    files.sort_unstable();
    if let Some(Ok(library)) = files.first().map(|file| open_file(file)) {
        std::mem::forget(library);
    }
}

fn search(library: Library) -> Result<Opened, GpuError> {
    let mut last_error = String::new();
    for folder in folders() {
        let path = folder.join(library.file());
        if !path.exists() {
            continue;
        }
        if let Some(prefix) = library.companion_prefix() {
            open_companion(folder, prefix);
        }
        match open_file(&path) {
            Ok(handle) => return Ok(Opened { path, handle: Some(handle) }),
            Err(error) => last_error = error,
        }
    }
    match open_file(Path::new(library.file())) {
        Ok(handle) => Ok(Opened { path: PathBuf::from(library.file()), handle: Some(handle) }),
        Err(error) => Err(GpuError::Library {
            what: library.what(),
            file: library.file(),
            looked_in: folders().to_vec(),
            last_error: if last_error.is_empty() { error } else { last_error },
            help: library.help(),
        }),
    }
}

/// Opens a library, once; it stays open as long as the program runs.
pub(super) fn open(library: Library) -> Result<&'static Opened, GpuError> {
    static OPENED: [OnceLock<Opened>; 4] = [const { OnceLock::new() }; 4];
    let place = &OPENED[library as usize];
    if place.get().is_none() {
        let _ = place.set(search(library)?);
    }
    let opened = place.get().expect("it was set above");
    // SAFETY: asking whether the bindings find their library has no conditions.
    let bound = unsafe {
        match library {
            Library::Driver => cudarc::driver::sys::is_culib_present(),
            Library::Nvrtc => cudarc::nvrtc::sys::is_culib_present(),
            Library::CublasLt => cudarc::cublaslt::sys::is_culib_present(),
            Library::Nvml => true,
        }
    };
    if bound {
        Ok(opened)
    } else {
        Err(GpuError::Library {
            what: library.what(),
            file: library.file(),
            looked_in: folders().to_vec(),
            last_error: format!("{} was opened, but not under its name", opened.path.display()),
            help: library.help(),
        })
    }
}
