//! A step on any machine, products included, so that whole steps can be checked where no cuBLASLt is.

use std::cell::RefCell;

use crate::kernels::{
    ExpertRouting, GroupedInput, Launch, LaunchError, SortedPairs, View, grouped_product, rotary_angles,
};
use crate::machine::{Machine, MachineError};
use crate::numbers::{Random, bf16_bytes, bf16_values, f32_bytes, i32_bytes};
use crate::verify::VerifyError;

use super::blocks::BlockTables;
use super::bounds::{bounds, step_rows};
use super::experts::ExpertDraws;
use super::lists::{Layout, StepLists};
use super::memory::{MemoryNeeds, ReplayMemory};
use super::program::{Item, ProgramBuilder};
use super::schedule::{RunHeader, ScheduledStep};
use super::shard::{Shard, ShardFfn};

/// Rows of a tile of the grouped product that stands in for a product.
const TILE_ROWS: u64 = 16;

/// A small model on a machine.
pub(crate) struct Rehearsal<'a> {
    machine: &'a mut dyn Machine,
    run: &'a RunHeader,
    shard: Shard,
    memory: ReplayMemory,
    tables: BlockTables,
}

impl<'a> Rehearsal<'a> {
    /// Fills the machine with random weights of deviation `deviation` and memory for `steps`.
    pub(crate) fn new(
        machine: &'a mut dyn Machine,
        run: &'a RunHeader,
        steps: &[ScheduledStep],
        deviation: f32,
    ) -> Result<Self, VerifyError> {
        let shard = Shard::new(run, None).expect("checks are of models that can be executed");
        let tables = BlockTables::new(run.kv_blocks, run.block_size, run.seed);
        let multiprocessors = machine.multiprocessors();
        let needs = MemoryNeeds::new(
            &shard,
            bounds(multiprocessors, &shard, run, steps, false, tables.clone()),
            multiprocessors,
        );
        let angles = machine.upload(&f32_bytes(&rotary_angles(shard.positions, shard.head_dim, 10_000.0)))?;
        let shared = RefCell::new(&mut *machine);
        let mut random = Random::new(run.seed);
        let numbers = |bytes: u64| {
            let numbers = bf16_bytes(&random.normals((bytes / 2) as usize, deviation));
            Ok(shared.borrow_mut().upload(&numbers)?)
        };
        let memory =
            needs.take::<VerifyError>(angles, numbers, |bytes| Ok(shared.borrow_mut().repeated(&[], bytes)?))?;
        Ok(Rehearsal { machine, run, shard, memory, tables })
    }

    /// Executes a step and gives back the logits of each sampled position.
    pub(crate) fn step(&mut self, step: &ScheduledStep) -> Result<Vec<Vec<f32>>, VerifyError> {
        let rows = step_rows(self.run, step, false);
        let draws = match self.shard.feed_forward {
            ShardFfn::Experts { experts, top_k, .. } => {
                let draws = ExpertDraws::new(self.run.routing.clone(), experts as u32, top_k as u32, self.run.seed);
                Some(draws.step(step.step, step.prefill_tokens(), step.decode.len() as u32))
            }
            ShardFfn::Dense { .. } => None,
        };
        let multiprocessors = self.machine.multiprocessors();
        let layout = Layout { shard: &self.shard, step, rows: rows.all, multiprocessors, draws: draws.as_ref() };
        let lists = StepLists::new(&layout, &mut self.tables);
        let uploaded = self.machine.upload(&lists.bytes)?;
        let views = lists.views(&uploaded, &self.memory.shared.decode)?;
        let program = ProgramBuilder::new(&self.shard, &self.memory, &lists, &views, step, rows).build()?;
        let mut launches = Vec::with_capacity(program.len());
        for (_, item) in program {
            launches.push(match item {
                Item::Kernel(launch) => launch,
                Item::Product { shape, x, w, y } => product(self.machine, shape, [&x, &w, &y])?,
            });
        }
        self.machine.run(&launches)?;
        let width = self.shard.vocabulary;
        let logits = self.memory.shared.logits.part(0, u64::from(step.sampled) * width * 2)?;
        Ok(bf16_values(&self.machine.download(&logits)?).chunks(width as usize).map(<[f32]>::to_vec).collect())
    }
}

/// `y = x · w'` as the product of a single expert that every row chose.
fn product(machine: &mut dyn Machine, [m, n, k]: [u64; 3], [x, w, y]: [&View; 3]) -> Result<Launch, VerifyError> {
    let routing = ExpertRouting { tokens: m, experts: 1, top_k: 1 };
    let mut upload = |list: Vec<i32>| -> Result<View, MachineError> { machine.upload(&i32_bytes(&list)) };
    let rows: Vec<i32> = (0..m as i32).collect();
    let tiles = m.div_ceil(TILE_ROWS);
    let mut tile_list: Vec<i32> = (0..tiles).flat_map(|tile| [0, (tile * TILE_ROWS) as i32]).collect();
    tile_list.resize(2 * routing.most_tiles(TILE_ROWS) as usize, 0);
    let sorted = SortedPairs {
        expert_start: upload(vec![0, m as i32])?,
        pair_of_row: upload(rows.clone())?,
        row_of_pair: upload(rows)?,
        tiles: upload(tile_list)?,
        tile_count: upload(vec![tiles as i32])?,
    };
    let launch: Result<Launch, LaunchError> =
        grouped_product(routing, TILE_ROWS, [n, k], GroupedInput::Sorted, x, w, y, &sorted);
    Ok(launch?)
}
