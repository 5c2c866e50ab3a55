//! A device, its memory, and the kernels compiled for it.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr as _, result, sys};
use cudarc::nvrtc::Ptx;

use super::board::{Board, driver_version};
use super::compile::{compile_for, version as nvrtc_version};
use super::error::{GpuError, driver};
use super::libraries::{Library, open};
use super::product::{Products, version as cublaslt_version};
use crate::kernels::{Kernel, Launch, Source, View};
use crate::machine::{Machine, MachineError};
use crate::numbers::{Random, bf16_bytes};

/// Shared memory that a kernel gets without asking.
const USUAL_SHARED_BYTES: u32 = 48 << 10;

/// A device as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its product name, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Compute capability.
    pub capability: (u32, u32),
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// L2 cache in bytes.
    pub l2_bytes: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// PCI bus address.
    pub bus: String,
    /// Version of the driver, empty if NVML does not say.
    pub driver: String,
    /// Version of CUDA that the driver supports, such as `13.0`.
    pub driver_cuda: String,
    /// Versions of NVRTC and cuBLASLt.
    pub libraries: BTreeMap<String, String>,
}

impl DeviceInfo {
    /// The architecture to compile for. From 9.0 on, with the instructions of that one chip.
    pub fn architecture(&self) -> String {
        let (major, minor) = self.capability;
        format!("sm_{major}{minor}{}", if major >= 9 { "a" } else { "" })
    }
}

/// A device with one stream. All work goes into that stream, in order.
pub struct Gpu {
    pub(super) context: Arc<CudaContext>,
    pub(super) stream: Arc<CudaStream>,
    pub(super) products: Products,
    info: DeviceInfo,
    board: Result<Board, GpuError>,
    modules: BTreeMap<Source, Arc<CudaModule>>,
    functions: BTreeMap<Kernel, (CudaFunction, u32)>,
}

impl Gpu {
    /// Opens device number `ordinal`, as CUDA counts.
    ///
    /// # Errors
    ///
    /// If a library is missing, or there is no such device.
    pub fn open(ordinal: u32) -> Result<Self, GpuError> {
        for library in [Library::Driver, Library::Nvrtc, Library::CublasLt] {
            open(library)?;
        }
        result::init().map_err(driver("starting the NVIDIA driver"))?;
        let found = CudaContext::device_count().map_err(driver("counting GPUs"))?.cast_unsigned();
        if ordinal >= found {
            return Err(GpuError::NoDevice { ordinal, found });
        }
        let context = CudaContext::new(ordinal as usize).map_err(driver("opening the GPU"))?;
        // SAFETY: there is one stream only, so nothing needs to be ordered between streams. Tracking would put events
        // between kernels and disturb timing and capture.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(driver("making a stream"))?;
        let info = describe(&context)?;
        let bus = CString::new(info.bus.clone()).unwrap_or_default();
        let products = Products::new(&stream)?;
        Ok(Gpu {
            board: Board::open(&bus),
            context,
            stream,
            products,
            info,
            modules: BTreeMap::new(),
            functions: BTreeMap::new(),
        })
    }

    /// The device.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// The board, if NVML knows it.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn board(&self) -> Result<&Board, &GpuError> {
        self.board.as_ref()
    }

    /// New memory with any content.
    ///
    /// # Errors
    ///
    /// If there is not so much.
    pub fn allocate(&self, bytes: u64) -> Result<View, GpuError> {
        let doing = || format!("allocating {bytes} bytes on the GPU");
        // One byte at least: an empty allocation has no address.
        let length = usize::try_from(bytes).unwrap_or(usize::MAX).max(1);
        // SAFETY: the bytes are not read before something is written, or as bytes, of which any is one.
        let memory: CudaSlice<u8> = unsafe { self.stream.alloc(length) }.map_err(driver(doing()))?;
        let address = {
            let (address, _order) = memory.device_ptr(&self.stream);
            address
        };
        Ok(View::new(address, bytes, Arc::new(memory)))
    }

    /// Writes `bytes` to the start of `view`, in the order of the stream.
    ///
    /// # Errors
    ///
    /// If the view is shorter, or the driver refuses.
    pub fn write(&self, view: &View, bytes: &[u8]) -> Result<(), GpuError> {
        let view = view.part(0, bytes.len() as u64)?;
        self.bind()?;
        // SAFETY: the view is as long as the bytes; pageable memory is taken before the call returns, and the stream is
        // awaited so that it holds on any memory.
        unsafe { result::memcpy_htod_async(view.address(), bytes, self.stream.cu_stream()) }
            .map_err(driver("copying to the GPU"))?;
        self.synchronise()
    }

    /// Fills `view` with normal bfloat16 numbers of standard deviation `deviation`, the same for the same seed; they repeat
    /// after 2 MiB.
    ///
    /// # Errors
    ///
    /// If the driver refuses.
    pub fn fill_normal(&self, view: &View, deviation: f32, seed: u64) -> Result<(), GpuError> {
        let numbers = (view.bytes() / 2).min(1 << 20);
        self.fill(view, &bf16_bytes(&Random::new(seed).normals(numbers as usize, deviation)))
    }

    /// Fills `view` with `pattern` over and over.
    ///
    /// # Errors
    ///
    /// If the driver refuses.
    pub fn fill(&self, view: &View, pattern: &[u8]) -> Result<(), GpuError> {
        let first = view.bytes().min(pattern.len() as u64);
        self.write(view, &pattern[..first as usize])?;
        let mut filled = first;
        while filled > 0 && filled < view.bytes() {
            let bytes = filled.min(view.bytes() - filled);
            // SAFETY: both ranges are inside the view and do not overlap.
            unsafe {
                let to = view.address() + filled;
                result::memcpy_dtod_async(to, view.address(), bytes as usize, self.stream.cu_stream())
            }
            .map_err(driver("filling memory"))?;
            filled += bytes;
        }
        self.synchronise()
    }

    /// Makes the device's context current on this thread.
    pub(super) fn bind(&self) -> Result<(), GpuError> {
        self.context.bind_to_thread().map_err(driver("binding the GPU to a thread"))
    }

    /// A kernel, compiled at its first use, allowed to use `shared_bytes` of dynamic shared memory.
    pub(super) fn function(&mut self, kernel: Kernel, shared_bytes: u32) -> Result<sys::CUfunction, GpuError> {
        if !self.functions.contains_key(&kernel) {
            let function = self.load(kernel)?;
            self.functions.insert(kernel, (function, USUAL_SHARED_BYTES));
        }
        let (function, allowed) = self.functions.get_mut(&kernel).expect("it was inserted above");
        if shared_bytes > *allowed {
            let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function
                .set_attribute(attribute, shared_bytes.cast_signed())
                .map_err(driver(format!("giving {} {shared_bytes} bytes of shared memory", kernel.name)))?;
            *allowed = shared_bytes;
        }
        Ok(function.cu_function())
    }

    fn load(&mut self, kernel: Kernel) -> Result<CudaFunction, GpuError> {
        if !self.modules.contains_key(&kernel.source) {
            let compiled = compile_for(kernel.source, &self.info.architecture())?;
            let loaded = self.context.load_module(Ptx::from_binary(compiled.binary));
            let module = loaded.map_err(driver(format!("loading {}", kernel.source.file())))?;
            self.modules.insert(kernel.source, module);
        }
        let module = &self.modules[&kernel.source];
        module.load_function(kernel.name).map_err(driver(format!("finding {}", kernel.name)))
    }
}

fn describe(context: &Arc<CudaContext>) -> Result<DeviceInfo, GpuError> {
    let asked = || driver("asking the GPU what it is");
    let attribute = |attribute| context.attribute(attribute).map(i32::cast_unsigned).map_err(asked());
    let (major, minor) = context.compute_capability().map_err(asked())?;
    let mut bus = [0 as c_char; 32];
    // SAFETY: the length is the buffer's.
    unsafe { sys::cuDeviceGetPCIBusId(bus.as_mut_ptr(), bus.len() as i32, context.cu_device()) }
        .result()
        .map_err(asked())?;
    let bus: Vec<u8> = bus.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    let libraries = [("nvrtc".to_owned(), nvrtc_version()?), ("cublaslt".to_owned(), cublaslt_version()?)];
    Ok(DeviceInfo {
        name: context.name().map_err(asked())?,
        capability: (major.cast_unsigned(), minor.cast_unsigned()),
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        l2_bytes: u64::from(attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?),
        memory_bytes: context.total_mem().map_err(asked())? as u64,
        bus: String::from_utf8_lossy(&bus).into_owned(),
        driver: driver_version().unwrap_or_default(),
        driver_cuda: driver_cuda_version()?,
        libraries: libraries.into_iter().collect(),
    })
}

/// Version of CUDA that the driver supports.
pub(super) fn driver_cuda_version() -> Result<String, GpuError> {
    let mut version = 0;
    // SAFETY: the place is valid.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }
        .result()
        .map_err(driver("asking the driver for its version"))?;
    Ok(format!("{}.{}", version / 1000, version % 1000 / 10))
}

impl Machine for Gpu {
    fn upload(&mut self, bytes: &[u8]) -> Result<View, MachineError> {
        let view = self.allocate(bytes.len() as u64)?;
        self.write(&view, bytes)?;
        Ok(view)
    }

    fn download(&mut self, view: &View) -> Result<Vec<u8>, MachineError> {
        let mut bytes = vec![0; view.bytes() as usize];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        self.bind()?;
        // SAFETY: the buffer is as long as the view, and the stream is awaited before it is used.
        unsafe { result::memcpy_dtoh_async(&mut bytes, view.address(), self.stream.cu_stream()) }
            .map_err(driver("copying from the GPU"))?;
        self.synchronise()?;
        Ok(bytes)
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), MachineError> {
        for launch in launches {
            self.submit(&[launch.clone().into()])?;
        }
        Ok(self.synchronise()?)
    }

    fn repeated(&mut self, pattern: &[u8], bytes: u64) -> Result<View, MachineError> {
        let view = self.allocate(bytes)?;
        self.fill(&view, if pattern.is_empty() { &[0; 4096] } else { pattern })?;
        Ok(view)
    }

    fn multiprocessors(&self) -> u32 {
        self.info.multiprocessors
    }

    fn l2_bytes(&self) -> u64 {
        self.info.l2_bytes
    }

    fn free_bytes(&self) -> Result<u64, MachineError> {
        let (free, _) = self.context.mem_get_info().map_err(driver("asking for free memory"))?;
        Ok(free as u64)
    }
}
