//! Work in the device's stream: kernels and products, graphs of them, and events.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaGraph, result, sys};

use super::device::Gpu;
use super::error::{GpuError, driver};
use super::product::ProductPlan;
use crate::kernels::{Arg, Launch, View};

/// Something to run.
#[derive(Clone, Debug)]
pub enum Work {
    /// One of our kernels.
    Kernel(Launch),
    /// `y = x * w'` by cuBLASLt.
    Product {
        /// How.
        plan: Arc<ProductPlan>,
        /// Activations, rows of `k`.
        x: View,
        /// Weights, rows of `k`.
        w: View,
        /// Result, rows of `n` bfloat16.
        y: View,
    },
}

impl From<Launch> for Work {
    fn from(launch: Launch) -> Self {
        Work::Kernel(launch)
    }
}

/// Captured work. It keeps the memory it works on.
pub struct Graph {
    graph: CudaGraph,
    _work: Vec<Work>,
}

/// A point in the stream.
pub struct Event(CudaEvent);

impl Event {
    /// Microseconds from this event to a later one; waits for both. The resolution is about 0.5 us.
    ///
    /// # Errors
    ///
    /// If work before either of them failed.
    pub fn elapsed_us(&self, later: &Event) -> Result<f64, GpuError> {
        let milliseconds = self.0.elapsed_ms(&later.0).map_err(driver("timing by events"))?;
        Ok(f64::from(milliseconds) * 1e3)
    }

    /// Whether the stream has come to it.
    ///
    /// # Errors
    ///
    /// If work before it failed.
    pub fn is_done(&self) -> Result<bool, GpuError> {
        self.0.try_is_complete().map_err(driver("asking whether the GPU is done"))
    }
}

impl Gpu {
    /// Puts work into the stream, in order. A kernel used for the first time is compiled.
    ///
    /// # Errors
    ///
    /// If a kernel does not compile or the driver refuses a launch.
    pub fn submit(&mut self, work: &[Work]) -> Result<(), GpuError> {
        for item in work {
            match item {
                Work::Kernel(launch) => self.launch_kernel(launch)?,
                Work::Product { plan, x, w, y } => self.launch_product(plan, x, w, y)?,
            }
        }
        Ok(())
    }

    fn launch_kernel(&mut self, launch: &Launch) -> Result<(), GpuError> {
        let function = self.function(launch.kernel, launch.shared_bytes)?;
        let mut values: Vec<u64> = launch
            .args
            .iter()
            .map(|arg| match arg {
                Arg::Memory(view) => view.address(),
                Arg::I32(value) => u64::from(value.cast_unsigned()),
                Arg::I64(value) => value.cast_unsigned(),
                Arg::F32(value) => u64::from(value.to_bits()),
            })
            .collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect();
        let grid = (launch.grid[0], launch.grid[1], 1);
        self.bind()?;
        // SAFETY: the function is of a loaded module. The driver reads as many bytes of each argument as the kernel
        // declares, at most the 8 that are there (little-endian, so a shorter one comes first), before it returns. What
        // the kernel reaches was checked when the launch was described, and lives as long as its views do.
        unsafe {
            result::launch_kernel(
                function,
                grid,
                (launch.threads, 1, 1),
                launch.shared_bytes,
                self.stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(driver(format!("launching {}", launch.kernel.name)))
    }

    /// Captures work into a graph, without running it. Submit the work once before, so that everything is compiled.
    ///
    /// # Errors
    ///
    /// If the driver refuses.
    pub fn capture(&mut self, work: &[Work]) -> Result<Graph, GpuError> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.stream.begin_capture(mode).map_err(driver("starting to capture"))?;
        let submitted = self.submit(work);
        // Capturing must end whatever happened, or the stream is of no use any more.
        let captured = self.stream.end_capture(sys::CUgraphInstantiate_flags(0));
        submitted?;
        let graph = captured.map_err(driver("capturing a graph"))?;
        let graph = graph.ok_or_else(|| GpuError::Driver {
            doing: "capturing a graph".to_owned(),
            problem: "the driver gave none".to_owned(),
        })?;
        graph.upload().map_err(driver("uploading a graph"))?;
        Ok(Graph { graph, _work: work.to_vec() })
    }

    /// Puts a graph into the stream.
    ///
    /// # Errors
    ///
    /// If the driver refuses.
    pub fn launch(&self, graph: &Graph) -> Result<(), GpuError> {
        graph.graph.launch().map_err(driver("launching a graph"))
    }

    /// Marks this point of the stream.
    ///
    /// # Errors
    ///
    /// If the driver refuses.
    pub fn record(&self) -> Result<Event, GpuError> {
        // Without flags, the bindings make events that do not time.
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let event = self.context.new_event(flags).map_err(driver("making an event"))?;
        event.record(&self.stream).map_err(driver("recording an event"))?;
        Ok(Event(event))
    }

    /// Waits until everything in the stream is done.
    ///
    /// # Errors
    ///
    /// If something in it failed.
    pub fn synchronise(&self) -> Result<(), GpuError> {
        self.stream.synchronize().map_err(driver("waiting for the GPU"))
    }
}
