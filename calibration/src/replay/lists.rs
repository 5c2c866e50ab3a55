//! What a step says to the kernels beside its numbers: which tokens, where their KV lies, who attends to what.

use crate::kernels::{DecodeLists, DecodePlan, LaunchError, Piece, PrefillLists, PrefillPlan, View};
use crate::numbers::{Random, i32_bytes};

use super::blocks::BlockTables;
use super::experts::StepDraws;
use super::schedule::ScheduledStep;
use super::shard::Shard;

/// Lists start at multiples of this many bytes.
const ALIGNMENT: usize = 256;

/// The lists of a step as bytes, one after the other, and what the host has to know of them.
#[derive(Clone, Debug)]
pub(super) struct StepLists {
    /// All of it.
    pub(super) bytes: Vec<u8>,
    /// Where each list starts.
    starts: Starts,
    /// How prompts attend, if there are any.
    pub(super) prefill: Option<PrefillPlan>,
    /// How decoding requests attend, if there are any.
    pub(super) decode: Option<DecodePlan>,
    /// Places for page numbers per prompt, and per decoding request.
    pub(super) max_pages: [u64; 2],
}

#[derive(Clone, Debug, Default)]
struct Starts {
    tokens: (usize, usize),
    positions: (usize, usize),
    slots: (usize, usize),
    sampled: (usize, usize),
    prefill_tables: (usize, usize),
    decode_tables: (usize, usize),
    prefill: [(usize, usize); 4],
    decode: [(usize, usize); 2],
    /// One per executed layer.
    chosen: Vec<(usize, usize)>,
}

/// A step that is about to be laid out: decoding requests first, prompts behind them, padding last.
pub(super) struct Layout<'a> {
    pub(super) shard: &'a Shard,
    pub(super) step: &'a ScheduledStep,
    /// Rows, padding included.
    pub(super) rows: u32,
    pub(super) multiprocessors: u32,
    /// The draws of the step where there are experts.
    pub(super) draws: Option<&'a StepDraws>,
}

impl StepLists {
    /// Lays a step out: blocks from `tables`.
    pub(super) fn new(layout: &Layout<'_>, tables: &mut BlockTables) -> Self {
        let Layout { shard, step, rows, .. } = layout;
        let mut writer = Writer::default();
        let mut starts = Starts::default();
        let padding = *rows - step.rows();
        starts.tokens = writer.push(&padded(tokens(layout), padding, 0));

        let prompts = step.prefill.iter().map(|piece| (piece.request, piece.context_tokens + piece.new_tokens));
        let requests: Vec<(u64, u32)> = step.decode.iter().copied().chain(prompts).collect();
        let tables = tables.step(&requests);
        let (decode_tables, prefill_tables) = tables.split_at(step.decode.len());
        let (positions, slots) = places(layout, decode_tables, prefill_tables);
        // Padding writes its KV to a block of its own, behind the pool.
        let spare = (shard.kv_blocks * shard.block_size) as i32;
        starts.positions = writer.push(&padded(positions, padding, 0));
        starts.slots = writer.push(&padded(slots, padding, spare));
        starts.sampled = writer.push(&sampled_rows(step));

        let mut max_pages = [0; 2];
        (starts.prefill_tables, max_pages[0]) = writer.push_tables(prefill_tables);
        (starts.decode_tables, max_pages[1]) = writer.push_tables(decode_tables);
        let prefill = prefill_plan(step);
        if let Some(plan) = &prefill {
            let tiles = plan.tiles.as_flattened();
            starts.prefill = [tiles, &plan.query_start, &plan.query_length, &plan.cached].map(|list| writer.push(list));
        }
        let decode = decode_plan(layout);
        if let Some(plan) = &decode {
            starts.decode = [plan.work.as_flattened(), plan.splits.as_flattened()].map(|list| writer.push(list));
        }
        if let Some(draws) = layout.draws {
            for layer in 0..shard.layers {
                let mut chosen = Vec::new();
                draws.layer(layer, prompts_pass(step, layer), &mut chosen);
                starts.chosen.push(writer.push(&chosen));
            }
        }
        StepLists { bytes: writer.bytes, starts, prefill, decode, max_pages }
    }

    /// Bytes that the lists of a step take at most, without laying it out: enough room for `choices` numbers of experts in
    /// each layer beside `others`, the bytes of all other lists.
    pub(super) fn most_bytes(shard: &Shard, others: u64, choices: u64) -> u64 {
        others + u64::from(shard.layers) * (4 * choices + ALIGNMENT as u64)
    }

    /// The lists in memory, where `all` holds [`bytes`](Self::bytes).
    pub(super) fn views(&self, all: &View, memory: &DecodeRoom) -> Result<ListViews, LaunchError> {
        let view = |&(start, bytes): &(usize, usize)| all.part(start as u64, bytes as u64);
        let starts = &self.starts;
        let [tiles, query_start, query_length, cached] = &starts.prefill;
        let [work, splits] = &starts.decode;
        Ok(ListViews {
            tokens: view(&starts.tokens)?,
            positions: view(&starts.positions)?,
            slots: view(&starts.slots)?,
            sampled: view(&starts.sampled)?,
            prefill_table: view(&starts.prefill_tables)?,
            decode_table: view(&starts.decode_tables)?,
            prefill: PrefillLists {
                tiles: view(tiles)?,
                query_start: view(query_start)?,
                query_length: view(query_length)?,
                cached: view(cached)?,
            },
            decode: DecodeLists {
                work: view(work)?,
                splits: view(splits)?,
                partial_sums: memory.partial_sums.clone(),
                partial_scales: memory.partial_scales.clone(),
            },
            chosen: starts.chosen.iter().map(view).collect::<Result<_, _>>()?,
        })
    }
}

/// Room for the partial results of decode attention.
#[derive(Clone, Debug)]
pub(super) struct DecodeRoom {
    pub(super) partial_sums: View,
    pub(super) partial_scales: View,
}

/// The lists of a step in memory.
pub(super) struct ListViews {
    pub(super) tokens: View,
    pub(super) positions: View,
    pub(super) slots: View,
    pub(super) sampled: View,
    pub(super) prefill_table: View,
    pub(super) decode_table: View,
    pub(super) prefill: PrefillLists,
    pub(super) decode: DecodeLists,
    /// One per executed layer, where there are experts.
    pub(super) chosen: Vec<View>,
}

/// Whether the prompts of a step pass through a layer.
pub(super) fn prompts_pass(step: &ScheduledStep, layer: u32) -> bool {
    step.prefill_layers.is_none_or(|part| (part.start..part.end).contains(&layer))
}

fn prefill_plan(step: &ScheduledStep) -> Option<PrefillPlan> {
    let piece = |piece: &super::schedule::ScheduledPiece| Piece {
        new_tokens: piece.new_tokens,
        cached_tokens: piece.context_tokens,
    };
    let pieces: Vec<Piece> = step.prefill.iter().map(piece).collect();
    (!pieces.is_empty()).then(|| PrefillPlan::new(&pieces))
}

fn decode_plan(layout: &Layout<'_>) -> Option<DecodePlan> {
    let contexts: Vec<u32> = layout.step.decode.iter().map(|&(_, context)| context).collect();
    (!contexts.is_empty()).then(|| DecodePlan::new(&contexts, layout.shard.kv_heads, layout.multiprocessors))
}

/// The token of each row: any, but the same for the same place of the same request.
fn tokens(layout: &Layout<'_>) -> Vec<i32> {
    let token = |request: u64, position: u32| {
        let seed = Random::new(request).bits() ^ u64::from(position);
        Random::new(seed).below(layout.shard.vocabulary) as i32
    };
    let decode = layout.step.decode.iter().map(|&(request, context)| token(request, context - 1));
    let prefill = layout.step.prefill.iter().flat_map(|piece| {
        (piece.context_tokens..piece.context_tokens + piece.new_tokens).map(|at| token(piece.request, at))
    });
    decode.chain(prefill).collect()
}

/// Position and place in the pool of each row's token.
fn places(layout: &Layout<'_>, decode_tables: &[&[u32]], prefill_tables: &[&[u32]]) -> (Vec<i32>, Vec<i32>) {
    let block_size = layout.shard.block_size as u32;
    let slot = |table: &[u32], position: u32| {
        (table[(position / block_size) as usize] * block_size + position % block_size).cast_signed()
    };
    let (mut positions, mut slots) = (Vec::new(), Vec::new());
    for (&(_, context), table) in layout.step.decode.iter().zip(decode_tables) {
        positions.push((context - 1).cast_signed());
        slots.push(slot(table, context - 1));
    }
    for (piece, table) in layout.step.prefill.iter().zip(prefill_tables) {
        for position in piece.context_tokens..piece.context_tokens + piece.new_tokens {
            positions.push(position.cast_signed());
            slots.push(slot(table, position));
        }
    }
    (positions, slots)
}

fn padded(mut values: Vec<i32>, padding: u32, with: i32) -> Vec<i32> {
    values.resize(values.len() + padding as usize, with);
    values
}

/// Rows whose logits are computed: every decode row, and the last one of each prompt that completes.
fn sampled_rows(step: &ScheduledStep) -> Vec<i32> {
    let mut end = step.decode.len() as i32;
    let mut rows: Vec<i32> = (0..end).collect();
    for piece in &step.prefill {
        end += piece.new_tokens.cast_signed();
        if piece.completes {
            rows.push(end - 1);
        }
    }
    rows
}

/// Lists one after the other.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends a list; returns its start and length in bytes.
    fn push(&mut self, values: &[i32]) -> (usize, usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&i32_bytes(values));
        (start, self.bytes.len() - start)
    }

    /// Appends block tables as rows of equal length; returns also that length.
    fn push_tables(&mut self, tables: &[&[u32]]) -> ((usize, usize), u64) {
        let longest = tables.iter().map(|table| table.len()).max().unwrap_or(0);
        let row = |table: &&[u32]| {
            let numbers = table.iter().map(|block| block.cast_signed()).collect::<Vec<_>>();
            padded(numbers, (longest - table.len()) as u32, 0)
        };
        let rows: Vec<i32> = tables.iter().flat_map(row).collect();
        (self.push(&rows), longest as u64)
    }
}

#[cfg(test)]
mod tests;
