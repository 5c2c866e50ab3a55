//! What the host adds.
//!
//! | operation | time_us |
//! |---|---|
//! | `launch` | host time of one of `count` launches of an empty kernel in a row |
//! | `graph_launch` | host time of launching a graph of `count` empty kernels, not waiting for it |
//! | `graph_node` | GPU time of one of the `count` empty kernels of a graph |
//! | `synchronise` | host time of copying 4 bytes back from an idle GPU |
//! | `event` | GPU time between two events with nothing between them |
//! | `step_gap` | time that the GPU idles between steps of one graph of `count` kernels, whose 4-byte result the host awaits |

use std::time::Instant;

use profiles::table::OverheadRow;

use super::bench::BenchError;
use crate::gpu::{Gpu, GpuError, Work};
use crate::kernels::nothing;
use crate::machine::Machine as _;

const REPETITIONS: usize = 50;

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Times an operation; one value per repetition, above 0.
pub(super) fn time(row: &OverheadRow, gpu: &mut Gpu) -> Result<Vec<f64>, BenchError> {
    let count = row.count as usize;
    let kernels: Vec<Work> = vec![Work::Kernel(nothing().map_err(GpuError::from)?); count];
    gpu.submit(&kernels[..1])?;
    let graph = gpu.capture(&kernels)?;
    gpu.launch(&graph)?;
    let word = gpu.allocate(4)?;
    gpu.write(&word, &[0; 4])?;
    let failed = |error: crate::machine::MachineError| BenchError::Failed(error.to_string());
    let mut once = || -> Result<f64, BenchError> {
        gpu.synchronise()?;
        let start = Instant::now();
        match row.operation.as_str() {
            "launch" => {
                gpu.submit(&kernels)?;
                Ok(micros(start) / count as f64)
            }
            "graph_launch" => {
                gpu.launch(&graph)?;
                Ok(micros(start))
            }
            "graph_node" => {
                let first = gpu.record()?;
                gpu.launch(&graph)?;
                Ok(first.elapsed_us(&gpu.record()?)? / count as f64)
            }
            "synchronise" => {
                gpu.download(&word).map_err(failed)?;
                Ok(micros(start))
            }
            "event" => {
                let first = gpu.record()?;
                Ok(first.elapsed_us(&gpu.record()?)?)
            }
            "step_gap" => {
                // By the GPU's own clock: from the end of a step to the end of the next, less what a step takes when it
                // waits in the stream behind another.
                gpu.launch(&graph)?;
                let end = gpu.record()?;
                gpu.download(&word).map_err(failed)?;
                gpu.launch(&graph)?;
                let next = gpu.record()?;
                gpu.launch(&graph)?;
                let last = gpu.record()?;
                Ok(end.elapsed_us(&next)? - next.elapsed_us(&last)?)
            }
            other => Err(BenchError::Unmeasurable(format!("no such operation: `{other}`"))),
        }
    };
    once()?;
    // Events resolve about half a microsecond, so that nothing can come out as 0.
    (0..REPETITIONS).map(|_| once().map(|time| time.max(1e-3))).collect()
}
