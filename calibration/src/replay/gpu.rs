//! Executing steps on a CUDA device.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use profiles::Operator;

use crate::gpu::{Event, Gpu, GpuError, ProductFormat, ProductPlan, ProductShape, Work};
use crate::kernels::{Kernel, LaunchError, rotary_angles};
use crate::machine::{Machine as _, MachineError};
use crate::numbers::{Random, bf16_bytes, f32_bytes};

use super::ReplayError;
use super::blocks::BlockTables;
use super::bounds::{StepRows, bounds, captured_rows, step_rows};
use super::execute::{StepExecutor, StepTiming, Timing};
use super::experts::ExpertDraws;
use super::lists::{Layout, StepLists};
use super::memory::{MemoryNeeds, ReplayMemory};
use super::program::{Item, Program, ProgramBuilder};
use super::schedule::{RunHeader, ScheduledStep};
use super::shard::{Shard, ShardFfn};

/// Deviation of weights: keeps activations of models of usual widths near 1 (GPT-2's initialisation).
const DEVIATION: f32 = 0.02;
/// Random numbers after which weights repeat.
const PATTERN: usize = 1 << 20;
/// Base of the rotation's frequencies. It changes angles, which take the same time whatever they are.
const ROTARY_BASE: f64 = 10_000.0;

/// How steps are executed on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuReplay {
    /// Number of the device, as CUDA counts.
    pub device: u32,
    /// Layers that are executed, from the first one on; `None`: all.
    pub layers: Option<u32>,
    /// Whether no CUDA graphs are captured and no rows padded.
    pub eager: bool,
}

/// A device with the weights, the KV pool and the scratch memory of one GPU's share of a model.
///
/// Weights and keys are random normal numbers; every layer has memory of its own. Steps that the engine would run as a
/// captured graph run as a graph of their own, with rows padded as the engine pads them; all others are launched kernel by
/// kernel.
pub struct GpuExecutor {
    gpu: Gpu,
    run: RunHeader,
    shard: Shard,
    eager: bool,
    memory: ReplayMemory,
    tables: BlockTables,
    draws: Option<ExpertDraws>,
    plans: BTreeMap<ProductShape, Arc<ProductPlan>>,
    /// Kernels that have run, and so are compiled.
    compiled: BTreeSet<Kernel>,
    /// Products that have run, and so are loaded.
    loaded: BTreeSet<ProductShape>,
}

impl From<GpuError> for ReplayError {
    fn from(error: GpuError) -> Self {
        ReplayError::Device(error.to_string())
    }
}

impl From<MachineError> for ReplayError {
    fn from(error: MachineError) -> Self {
        ReplayError::Device(error.to_string())
    }
}

impl From<LaunchError> for ReplayError {
    fn from(error: LaunchError) -> Self {
        ReplayError::Device(error.to_string())
    }
}

impl GpuExecutor {
    /// Opens the device and fills its memory for `steps` of `run`.
    ///
    /// # Errors
    /// If there is no such device, a library is missing, the model cannot be executed, or the memory is too small.
    pub fn open(run: &RunHeader, steps: &[ScheduledStep], options: GpuReplay) -> Result<Self, ReplayError> {
        let shard = Shard::new(run, options.layers)?;
        let layered = steps.iter().any(|step| step.prefill_layers.is_some());
        if layered && shard.layers < run.model.layer_count() {
            return Err(ReplayError::Unsupported {
                what: format!("{} of {} layers", shard.layers, run.model.layer_count()),
                why: "prompts of this schedule pass through some layers at a time, so all of them are needed"
                    .to_owned(),
            });
        }
        let mut gpu = Gpu::open(options.device)?;
        let draws = match shard.feed_forward {
            ShardFfn::Experts { experts, top_k, .. } => {
                Some(ExpertDraws::new(run.routing.clone(), experts as u32, top_k as u32, run.seed))
            }
            ShardFfn::Dense { .. } => None,
        };
        let tables = BlockTables::new(run.kv_blocks, run.block_size, run.seed);
        let multiprocessors = gpu.info().multiprocessors;
        let bounds = bounds(multiprocessors, &shard, run, steps, options.eager, tables.clone());
        let needs = MemoryNeeds::new(&shard, bounds, multiprocessors);
        let angles = f32_bytes(&rotary_angles(shard.positions, shard.head_dim, ROTARY_BASE));
        let (needed, free) = (needs.bytes() + angles.len() as u64, gpu.free_bytes()?);
        if needed > free {
            return Err(ReplayError::Unsupported {
                what: format!("{} of {} layers of {}", shard.layers, run.model.layer_count(), run.model.name),
                why: format!(
                    "weights, {} KV blocks and activations take {needed} bytes, and {free} are free on {}; execute fewer \
                     layers with --layers",
                    run.kv_blocks,
                    gpu.info().name
                ),
            });
        }
        let angles = gpu.upload(&angles)?;
        // The same numbers for all layers, each with memory of its own: what they are decides power, not which.
        let pattern = bf16_bytes(&Random::new(run.seed).normals(PATTERN, DEVIATION));
        let numbers = |bytes: u64| {
            let view = gpu.allocate(bytes)?;
            gpu.fill(&view, &pattern)?;
            Ok(view)
        };
        let memory = needs.take::<GpuError>(angles, numbers, |bytes| gpu.allocate(bytes))?;
        Ok(GpuExecutor {
            gpu,
            run: run.clone(),
            shard,
            eager: options.eager,
            memory,
            tables,
            draws,
            plans: BTreeMap::new(),
            compiled: BTreeSet::new(),
            loaded: BTreeSet::new(),
        })
    }

    /// What has to be said beside the figures.
    pub fn remarks(&self) -> Vec<String> {
        let shared = self.tables.shared();
        let eager = self.eager.then(|| {
            let gaps = "note: without graphs, GPU time holds the gaps in which the GPU waits for launches";
            format!("{gaps}; predictions of kernels do not")
        });
        let shared = (shared > 0).then(|| {
            format!(
                "note: {shared} times a KV block was used by a second request, since the schedule does not say which requests \
                 shared blocks; where they are read twice, the L2 cache may have helped"
            )
        });
        eager.into_iter().chain(shared).collect()
    }

    /// Everything the step runs, and its lists.
    fn prepare(&mut self, step: &ScheduledStep, rows: StepRows) -> Result<(Program, StepLists), ReplayError> {
        let multiprocessors = self.gpu.info().multiprocessors;
        let draws =
            self.draws.as_ref().map(|draws| draws.step(step.step, step.prefill_tokens(), step.decode.len() as u32));
        let layout = Layout { shard: &self.shard, step, rows: rows.all, multiprocessors, draws: draws.as_ref() };
        let lists = StepLists::new(&layout, &mut self.tables);
        let views = lists.views(&self.memory.lists, &self.memory.shared.decode)?;
        let program = ProgramBuilder::new(&self.shard, &self.memory, &lists, &views, step, rows).build()?;
        Ok((program, lists))
    }

    /// Turns products into plans.
    fn planned(&mut self, program: Program) -> Result<Vec<(Operator, Work)>, ReplayError> {
        let mut works = Vec::with_capacity(program.len());
        for (operator, item) in program {
            let work = match item {
                Item::Kernel(launch) => Work::Kernel(launch),
                Item::Product { shape: [m, n, k], x, w, y } => {
                    let shape = ProductShape { m: m as u32, n: n as u32, k: k as u32, format: ProductFormat::Bf16 };
                    let plan = match self.plans.get(&shape) {
                        Some(plan) => Arc::clone(plan),
                        None => Arc::clone(self.plans.entry(shape).or_insert(self.gpu.product_plan(shape)?)),
                    };
                    Work::Product { plan, x, w, y }
                }
            };
            works.push((operator, work));
        }
        Ok(works)
    }

    /// Runs a step with kernels or products that never ran, so that nothing is compiled or loaded while the clock runs or a
    /// graph is captured.
    fn compile(&mut self, works: &[Work]) -> Result<(), ReplayError> {
        let mut new = false;
        for work in works {
            new |= match work {
                Work::Kernel(launch) => self.compiled.insert(launch.kernel),
                Work::Product { plan, .. } => self.loaded.insert(plan.shape()),
            };
        }
        if new {
            self.gpu.submit(works)?;
            self.gpu.synchronise()?;
        }
        Ok(())
    }

    fn tokens(&mut self, step: &ScheduledStep) -> Result<(), ReplayError> {
        let tokens = self.memory.shared.tokens_out.part(0, 4 * u64::from(step.sampled))?;
        self.gpu.download(&tokens)?;
        // A step that samples nothing downloads nothing, and so has not been waited for.
        Ok(self.gpu.synchronise()?)
    }

    fn time_whole(
        &mut self,
        step: &ScheduledStep,
        works: &[Work],
        lists: &[u8],
    ) -> Result<(f64, f64, bool), ReplayError> {
        let captured = !self.eager && captured_rows(&self.run.engine, step.rows()).is_some();
        let graph = if captured { Some(self.gpu.capture(works)?) } else { None };
        self.gpu.synchronise()?;
        let begun = Instant::now();
        self.gpu.write(&self.memory.lists, lists)?;
        let start = self.gpu.record()?;
        match &graph {
            Some(graph) => self.gpu.launch(graph)?,
            None => self.gpu.submit(works)?,
        }
        let end = self.gpu.record()?;
        self.tokens(step)?;
        let wall_ns = begun.elapsed().as_nanos() as f64;
        Ok((start.elapsed_us(&end)? * 1e3, wall_ns, captured))
    }

    fn time_by_operator(
        &mut self,
        works: &[(Operator, Work)],
        lists: &[u8],
    ) -> Result<Vec<(Operator, f64)>, ReplayError> {
        self.gpu.write(&self.memory.lists, lists)?;
        let mut marks: Vec<(Operator, Event)> = Vec::new();
        for run in works.chunk_by(|a, b| a.0 == b.0) {
            marks.push((run[0].0, self.gpu.record()?));
            let works: Vec<Work> = run.iter().map(|(_, work)| work.clone()).collect();
            self.gpu.submit(&works)?;
        }
        let end = self.gpu.record()?;
        let mut sums: BTreeMap<Operator, f64> = BTreeMap::new();
        for (place, (operator, mark)) in marks.iter().enumerate() {
            let next = marks.get(place + 1).map_or(&end, |(_, next)| next);
            *sums.entry(*operator).or_default() += mark.elapsed_us(next)? * 1e3;
        }
        Ok(sums.into_iter().collect())
    }
}

impl StepExecutor for GpuExecutor {
    fn describe(&self) -> String {
        let info = self.gpu.info();
        format!(
            "{} (driver {}), {} of {} layers of {}, one of {} tensor-parallel GPUs, bf16, {}",
            info.name,
            info.driver,
            self.shard.layers,
            self.run.model.layer_count(),
            self.run.model.name,
            self.run.parallelism.tensor_parallel_size,
            if self.eager { "eager" } else { "CUDA graphs where the engine captures them" }
        )
    }

    fn execute(&mut self, step: &ScheduledStep, timing: Timing) -> Result<StepTiming, ReplayError> {
        let rows = step_rows(&self.run, step, self.eager);
        let (program, lists) = self.prepare(step, rows)?;
        let works = self.planned(program)?;
        let alone: Vec<Work> = works.iter().map(|(_, work)| work.clone()).collect();
        // Lists come first: kernels follow page numbers without checking them.
        self.gpu.write(&self.memory.lists, &lists.bytes)?;
        self.compile(&alone)?;
        if timing == Timing::ByOperator {
            let operators_ns = self.time_by_operator(&works, &lists.bytes)?;
            let gpu_ns: f64 = operators_ns.iter().map(|(_, ns)| ns).sum();
            return Ok(StepTiming { gpu_ns, wall_ns: gpu_ns, rows: rows.all, graph: false, operators_ns });
        }
        let (gpu_ns, wall_ns, graph) = self.time_whole(step, &alone, &lists.bytes)?;
        Ok(StepTiming { gpu_ns, wall_ns, rows: rows.all, graph, operators_ns: Vec::new() })
    }
}
