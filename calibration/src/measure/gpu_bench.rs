//! Timing points on a GPU.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::bench::{Bench, BenchError, Conditions, Sample};
use super::overhead;
use super::point::Point;
use super::workload::{Item, Operands, Workload, WorkloadError, workload};
use crate::gpu::{Event, Gpu, GpuError, Graph, ProductPlan, ProductShape, Work};

/// How long a graph should take, so that the resolution of events does not matter.
const GRAPH_US: f64 = 1000.0;
/// Most launches of a point in a graph, beyond one of each variant.
const MOST_COPIES: usize = 100;
/// GPU time that a point's repetitions should take, and how many there are at least and at most.
const REPETITIONS_US: f64 = 60_000.0;
const FEWEST_REPETITIONS: usize = 5;
const MOST_REPETITIONS: usize = 30;

/// Times points on a GPU by captured graphs.
pub struct GpuBench<'a> {
    gpu: &'a mut Gpu,
    operands: Operands,
    started: Instant,
    plans: BTreeMap<ProductShape, Arc<ProductPlan>>,
}

/// A point's work in a graph.
pub(super) struct Captured {
    pub(super) graph: Graph,
    /// Launches of the point in it.
    pub(super) launches: usize,
    /// About how long one takes, from a first look.
    pub(super) about_us: f64,
    pub(super) touched_experts: Option<u32>,
}

impl From<GpuError> for BenchError {
    fn from(error: GpuError) -> Self {
        match error {
            // cuBLASLt and launch checks refuse one shape, and the next may do.
            GpuError::Product { .. } | GpuError::Launch(_) => BenchError::Unmeasurable(error.to_string()),
            error => BenchError::Failed(error.to_string()),
        }
    }
}

impl From<WorkloadError> for BenchError {
    fn from(error: WorkloadError) -> Self {
        match error {
            WorkloadError::Machine(error) => BenchError::Failed(error.to_string()),
            error => BenchError::Unmeasurable(error.to_string()),
        }
    }
}

impl<'a> GpuBench<'a> {
    /// A bench on a device; `seed` fixes the operands, and time counts from `started`.
    pub fn new(gpu: &'a mut Gpu, seed: u64, started: Instant) -> Self {
        GpuBench { gpu, operands: Operands::new(seed), started, plans: BTreeMap::new() }
    }

    /// The device.
    pub(super) fn gpu(&mut self) -> &mut Gpu {
        self.gpu
    }

    fn work(&mut self, items: &[Item]) -> Result<Vec<Work>, GpuError> {
        let mut work = Vec::with_capacity(items.len());
        for item in items {
            work.push(match item {
                Item::Kernel(launch) => Work::Kernel(launch.clone()),
                Item::Product { shape, x, w, y } => {
                    let plan = match self.plans.get(shape) {
                        Some(plan) => Arc::clone(plan),
                        None => self.gpu.product_plan(*shape)?,
                    };
                    self.plans.insert(*shape, Arc::clone(&plan));
                    Work::Product { plan, x: x.clone(), w: w.clone(), y: y.clone() }
                }
            });
        }
        Ok(work)
    }

    /// Captures a point into a graph that takes about `graph_us`, and holds every variant equally often.
    pub(super) fn capture(&mut self, point: &Point, graph_us: f64) -> Result<Captured, BenchError> {
        // What the point before has freed is free only now.
        self.gpu.synchronise()?;
        let Workload { variants, touched_experts } = workload(point, self.gpu, &self.operands)?;
        let variants: Vec<Vec<Work>> = variants.iter().map(|items| self.work(items)).collect::<Result<_, _>>()?;
        // The first run compiles, the second is looked at.
        self.gpu.submit(&variants[0])?;
        self.gpu.synchronise()?;
        let start = self.gpu.record()?;
        for variant in &variants {
            self.gpu.submit(variant)?;
        }
        let about_us = start.elapsed_us(&self.gpu.record()?)? / variants.len() as f64;
        let rounds = copies(about_us, graph_us, variants.len());
        let all: Vec<Work> = std::iter::repeat_n(&variants, rounds).flatten().flatten().cloned().collect();
        let graph = self.gpu.capture(&all)?;
        Ok(Captured { graph, launches: rounds * variants.len(), about_us, touched_experts })
    }

    pub(super) fn conditions(&self) -> Conditions {
        let state = self.gpu.board().map(crate::gpu::Board::state).unwrap_or_default();
        Conditions { sm_clock_mhz: state.sm_clock_mhz, throttle: state.throttle }
    }
}

/// How often a graph runs through all variants.
fn copies(about_us: f64, graph_us: f64, variants: usize) -> usize {
    let wanted = (graph_us / about_us.max(0.1)).ceil() as usize;
    // A graph for long measurements needs more launches than one for a short look.
    let most = MOST_COPIES * (graph_us / GRAPH_US).max(1.0) as usize;
    wanted.clamp(1, most).div_ceil(variants)
}

fn repetitions(graph_us: f64) -> usize {
    ((REPETITIONS_US / graph_us.max(1.0)) as usize).clamp(FEWEST_REPETITIONS, MOST_REPETITIONS)
}

impl Bench for GpuBench<'_> {
    fn time(&mut self, point: &Point) -> Result<Sample, BenchError> {
        if let Point::Overhead(row) = point {
            let times_us = overhead::time(row, self.gpu)?;
            let conditions = self.conditions();
            return Ok(Sample { times_us, power_w: None, conditions, touched_experts: None });
        }
        let captured = self.capture(point, GRAPH_US)?;
        // Once to warm up: clocks rise, and the graph's own memory is touched.
        self.gpu.launch(&captured.graph)?;
        let mut events: Vec<Event> = vec![self.gpu.record()?];
        for _ in 0..repetitions(captured.about_us * captured.launches as f64) {
            self.gpu.launch(&captured.graph)?;
            events.push(self.gpu.record()?);
        }
        // While the GPU is still at it.
        let conditions = self.conditions();
        let mut times_us = Vec::with_capacity(events.len());
        for pair in events.windows(2) {
            times_us.push(pair[0].elapsed_us(&pair[1])? / captured.launches as f64);
        }
        Ok(Sample { times_us, power_w: None, conditions, touched_experts: captured.touched_experts })
    }

    fn elapsed_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::{copies, repetitions};

    #[test]
    fn small_kernels_are_repeated_in_a_graph_and_large_ones_are_not() {
        assert_eq!(copies(2.0, 1000.0, 1), 100, "no more than a hundred");
        assert_eq!(copies(50.0, 1000.0, 1), 20);
        assert_eq!(copies(5000.0, 1000.0, 1), 1);
        assert_eq!(copies(50.0, 1000.0, 7), 3, "every variant equally often: 21 launches");
        assert_eq!(copies(2.0, 1000.0, 300), 1, "every variant at least once");
        assert_eq!(copies(10.0, 30_000.0, 1), 3000, "long measurements take long graphs");
    }

    #[test]
    fn repetitions_fit_a_time_but_are_never_few() {
        assert_eq!(repetitions(1000.0), 30);
        assert_eq!(repetitions(6000.0), 10);
        assert_eq!(repetitions(1e6), 5);
    }
}
