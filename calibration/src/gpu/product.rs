//! Matrix products by cuBLASLt: `y[m, n] = x[m, k] * w[n, k]'`, row-major.
//!
//! A plan holds descriptors and the algorithm that the library's heuristic puts first, which is what inference engines
//! run; the bindings' own safe layer would ask the heuristic at every call, and has no fp8.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::cublaslt::{result, sys};
use cudarc::driver::CudaStream;

use super::device::Gpu;
use super::error::{GpuError, driver};
use super::libraries::{Library, open};
use crate::kernels::{LaunchError, View};

/// Scratch memory of the library, which NVIDIA recommends for Hopper (cuBLAS documentation, `cublasSetWorkspace`).
const WORKSPACE_BYTES: usize = 32 << 20;

/// `CUBLAS_OP_T`, which these bindings leave out.
const OPERATION_TRANSPOSED: i32 = 1;

/// Formats of the operands; results are bfloat16, sums float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProductFormat {
    /// Both bfloat16.
    Bf16,
    /// Both fp8 e4m3, with one scale per tensor; the tensor cores may sum fast.
    E4m3,
}

impl ProductFormat {
    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        match self {
            ProductFormat::Bf16 => 2,
            ProductFormat::E4m3 => 1,
        }
    }
}

/// A product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductShape {
    /// Rows of activations.
    pub m: u32,
    /// Columns of the result.
    pub n: u32,
    /// Depth.
    pub k: u32,
    /// Formats.
    pub format: ProductFormat,
}

/// How cuBLASLt computes a product.
#[derive(Debug)]
pub struct ProductPlan {
    shape: ProductShape,
    description: sys::cublasLtMatmulDesc_t,
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    algorithm: sys::cublasLtMatmulAlgo_t,
}

// SAFETY: descriptors and algorithm are plain data behind pointers that only this plan has; the library only reads them
// in `cublasLtMatmul`.
unsafe impl Send for ProductPlan {}
// SAFETY: as above.
unsafe impl Sync for ProductPlan {}

impl ProductPlan {
    /// The product.
    pub fn shape(&self) -> ProductShape {
        self.shape
    }
}

impl Drop for ProductPlan {
    fn drop(&mut self) {
        // SAFETY: made once in `plan`, destroyed once here. An error would leave memory behind, and nothing else.
        unsafe {
            let _ = result::destroy_matmul_desc(self.description);
            for layout in self.layouts {
                let _ = result::destroy_matrix_layout(layout);
            }
        }
    }
}

/// The library's handle and scratch memory on one device.
pub(super) struct Products {
    handle: sys::cublasLtHandle_t,
    workspace: cudarc::driver::CudaSlice<u8>,
    workspace_address: u64,
    /// A float 1, the scale of fp8 operands.
    one: cudarc::driver::CudaSlice<f32>,
}

impl Drop for Products {
    fn drop(&mut self) {
        // SAFETY: made once in `new`, destroyed once here.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

fn product_error(doing: impl Into<String>) -> impl FnOnce(result::CublasError) -> GpuError {
    let doing = doing.into();
    move |error| GpuError::Product { doing, status: error.to_string() }
}

impl Products {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Self, GpuError> {
        use cudarc::driver::DevicePtr as _;
        open(Library::CublasLt)?;
        // SAFETY: scratch memory is written before it is read, by the library.
        let workspace = unsafe { stream.alloc::<u8>(WORKSPACE_BYTES) }.map_err(driver("allocating scratch memory"))?;
        let one = stream.clone_htod(&[1.0f32]).map_err(driver("copying a scale to the GPU"))?;
        let workspace_address = {
            let (address, _order) = workspace.device_ptr(stream);
            address
        };
        let handle = result::create_handle().map_err(product_error("starting cuBLASLt"))?;
        Ok(Products { handle, workspace, workspace_address, one })
    }
}

fn pointer<T>(value: &T) -> *const c_void {
    std::ptr::from_ref(value).cast()
}

/// Descriptors on their way into a plan: those made so far are destroyed if a later one fails.
struct Parts {
    description: sys::cublasLtMatmulDesc_t,
    layouts: Vec<sys::cublasLtMatrixLayout_t>,
    preference: Option<sys::cublasLtMatmulPreference_t>,
    finished: bool,
}

impl Drop for Parts {
    fn drop(&mut self) {
        // SAFETY: made once each, and destroyed here only if no plan took them over.
        unsafe {
            if let Some(preference) = self.preference {
                let _ = result::destroy_matmul_pref(preference);
            }
            if !self.finished {
                let _ = result::destroy_matmul_desc(self.description);
                for &layout in &self.layouts {
                    let _ = result::destroy_matrix_layout(layout);
                }
            }
        }
    }
}

impl Gpu {
    /// Plans a product.
    ///
    /// # Errors
    ///
    /// If cuBLASLt has no algorithm for it: fp8 wants Ada or newer, and n and k in multiples of 16.
    pub fn product_plan(&self, shape: ProductShape) -> Result<Arc<ProductPlan>, GpuError> {
        use cudarc::driver::DevicePtr as _;
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        let ProductShape { m, n, k, format } = shape;
        let failed = || product_error(format!("planning a {format:?} product of m = {m}, n = {n}, k = {k}"));
        self.bind()?;
        let operand = match format {
            ProductFormat::Bf16 => sys::cudaDataType::CUDA_R_16BF,
            ProductFormat::E4m3 => sys::cudaDataType::CUDA_R_8F_E4M3,
        };
        let (compute, scale) = (sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, sys::cudaDataType::CUDA_R_32F);
        let description = result::create_matmul_desc(compute, scale).map_err(failed())?;
        let mut parts = Parts { description, layouts: Vec::new(), preference: None, finished: false };
        // The library counts column-major: our y is its D (n x m) = A' B with A = w (k x n) and B = x (k x m).
        let (m, n, k) = (u64::from(m), u64::from(n), u64::from(k));
        for (kind, rows, columns) in [(operand, k, n), (operand, k, m), (sys::cudaDataType::CUDA_R_16BF, n, m)] {
            let layout = result::create_matrix_layout(kind, rows, columns, rows.cast_signed()).map_err(failed())?;
            parts.layouts.push(layout);
        }
        let (transposed, fast) = (OPERATION_TRANSPOSED, 1i8);
        let one: u64 = {
            let (address, _order) = self.products.one.device_ptr(&self.stream);
            address
        };
        let mut attributes =
            vec![(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, pointer(&transposed), size_of_val(&transposed))];
        if format == ProductFormat::E4m3 {
            attributes.push((Attribute::CUBLASLT_MATMUL_DESC_FAST_ACCUM, pointer(&fast), size_of_val(&fast)));
            attributes.push((Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, pointer(&one), size_of_val(&one)));
            attributes.push((Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, pointer(&one), size_of_val(&one)));
        }
        let preference = result::create_matmul_pref().map_err(failed())?;
        parts.preference = Some(preference);
        // SAFETY: descriptors live until `parts` or the plan is dropped; values are read during the calls and have the
        // sizes given.
        let algorithm = unsafe {
            for (attribute, value, size) in attributes {
                result::set_matmul_desc_attribute(description, attribute, value, size).map_err(failed())?;
            }
            let limit = sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            result::set_matmul_pref_attribute(preference, limit, pointer(&WORKSPACE_BYTES), size_of::<usize>())
                .map_err(failed())?;
            let [a, b, d] = [parts.layouts[0], parts.layouts[1], parts.layouts[2]];
            result::get_matmul_algo_heuristic(self.products.handle, description, a, b, d, d, preference)
                .map_err(failed())?
                .algo
        };
        parts.finished = true;
        let layouts = [parts.layouts[0], parts.layouts[1], parts.layouts[2]];
        Ok(Arc::new(ProductPlan { shape, description, layouts, algorithm }))
    }

    pub(super) fn launch_product(&self, plan: &ProductPlan, x: &View, w: &View, y: &View) -> Result<(), GpuError> {
        let ProductShape { m, n, k, format } = plan.shape;
        let (m, n, k) = (u64::from(m), u64::from(n), u64::from(k));
        for (operand, view, needed) in
            [("x", x, m * k * format.bytes()), ("w", w, n * k * format.bytes()), ("y", y, m * n * 2)]
        {
            if view.bytes() < needed {
                let problem = format!("needs {needed} bytes, has {}", view.bytes());
                return Err(LaunchError::Memory { kernel: "a product", operand, problem }.into());
            }
        }
        let (alpha, beta) = (1.0f32, 0.0f32);
        self.bind()?;
        // SAFETY: descriptors live with the plan, operands are as large as they describe, and alpha and beta are read
        // during the call.
        unsafe {
            result::matmul(
                self.products.handle,
                plan.description,
                pointer(&alpha),
                pointer(&beta),
                w.address() as *const c_void,
                plan.layouts[0],
                x.address() as *const c_void,
                plan.layouts[1],
                y.address() as *const c_void,
                plan.layouts[2],
                y.address() as *mut c_void,
                plan.layouts[2],
                &raw const plan.algorithm,
                self.products.workspace_address as *mut c_void,
                self.products.workspace.len(),
                self.stream.cu_stream().cast(),
            )
        }
        .map_err(product_error(format!("computing a {format:?} product of m = {m}, n = {n}, k = {k}")))
    }
}

/// Version of cuBLASLt as `major.minor.patch`.
pub(super) fn version() -> Result<String, GpuError> {
    open(Library::CublasLt)?;
    // SAFETY: it has no conditions.
    let version = unsafe { sys::cublasLtGetVersion() };
    Ok(format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100))
}
