//! A step as kernels and products in order, each with the operator that it counts towards.

use profiles::Operator;

use crate::kernels::{
    AttentionShape, ExpertRouting, GroupedInput, Launch, LaunchError, PagedKv, RotaryShape, View, add_rms_norm,
    combine_experts, decode_attention, embed, grouped_product, grouped_tile_rows, prefill_attention, rms_norm,
    rotate_and_append, route, sample_greedy, silu_mul, sort_by_expert,
};

use super::bounds::StepRows;
use super::lists::{ListViews, StepLists, prompts_pass};
use super::memory::{LayerMemory, ReplayMemory};
use super::schedule::ScheduledStep;
use super::shard::{Shard, ShardFfn};

const BF16: u64 = 2;

/// One thing to run.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A kernel of ours.
    Kernel(Launch),
    /// `y[m, n] = x[m, k] · w[n, k]'` in bf16.
    Product {
        /// Rows, columns and depth.
        shape: [u64; 3],
        /// Activations.
        x: View,
        /// Weights.
        w: View,
        /// Result.
        y: View,
    },
}

/// Everything that a step runs.
pub(super) type Program = Vec<(Operator, Item)>;

/// Rows that pass through a layer.
#[derive(Clone, Copy)]
struct Rows {
    /// Padding included.
    count: u64,
    /// Rows of decoding requests among them.
    decode: u64,
    /// Rows of prompts among them, behind those.
    prefill: u64,
}

impl Rows {
    /// These rows of something with `width` bf16 per row.
    fn of(self, view: &View, width: u64) -> Result<View, LaunchError> {
        view.part(0, self.count * width * BF16)
    }

    /// Rows without padding.
    fn unpadded(self) -> u64 {
        self.decode + self.prefill
    }
}

/// Puts a program together.
pub(super) struct ProgramBuilder<'a> {
    pub(super) shard: &'a Shard,
    pub(super) memory: &'a ReplayMemory,
    pub(super) lists: &'a StepLists,
    pub(super) views: &'a ListViews,
    pub(super) step: &'a ScheduledStep,
    pub(super) rows: StepRows,
    program: Program,
}

impl<'a> ProgramBuilder<'a> {
    pub(super) fn new(
        shard: &'a Shard,
        memory: &'a ReplayMemory,
        lists: &'a StepLists,
        views: &'a ListViews,
        step: &'a ScheduledStep,
        rows: StepRows,
    ) -> Self {
        ProgramBuilder { shard, memory, lists, views, step, rows, program: Vec::new() }
    }

    /// The whole step.
    pub(super) fn build(mut self) -> Result<Program, LaunchError> {
        self.embed()?;
        for layer in 0..self.shard.layers {
            let rows = self.rows_of(layer);
            if rows.count > 0 {
                self.layer(layer, rows)?;
            }
        }
        self.head()?;
        Ok(self.program)
    }

    /// Rows that pass through a layer.
    fn rows_of(&self, layer: u32) -> Rows {
        let prefill = u64::from(self.step.prefill_tokens());
        let decode = self.step.decode.len() as u64;
        if prompts_pass(self.step, layer) {
            Rows { count: u64::from(self.rows.all), decode, prefill }
        } else {
            Rows { count: u64::from(self.rows.decode_only), decode, prefill: 0 }
        }
    }

    fn push(&mut self, operator: Operator, launch: Launch) {
        self.program.push((operator, Item::Kernel(launch)));
    }

    fn product(&mut self, operator: Operator, shape: [u64; 3], x: View, w: &View, y: View) {
        self.program.push((operator, Item::Product { shape, x, w: w.clone(), y }));
    }

    fn embed(&mut self) -> Result<(), LaunchError> {
        let (shard, shared) = (self.shard, &self.memory.shared);
        let rows = self.rows_of(0);
        if rows.count == 0 {
            return Ok(());
        }
        let ids = self.views.tokens.part(0, 4 * rows.count)?;
        let out = rows.of(&shared.residual, shard.hidden)?;
        let launch = embed(rows.count, shard.hidden, shard.vocabulary, &shared.embedding, &ids, &out)?;
        self.push(Operator::Embedding, launch);
        Ok(())
    }

    fn layer(&mut self, number: u32, rows: Rows) -> Result<(), LaunchError> {
        let memory = self.memory;
        let layer = &memory.layers[number as usize];
        self.norm(number == 0, rows, &layer.norm)?;
        self.attention(layer, rows)?;
        self.norm(false, rows, &layer.ffn_norm)?;
        match self.shard.feed_forward {
            ShardFfn::Dense { width } => self.dense(layer, rows, width),
            ShardFfn::Experts { experts, top_k, width } => {
                let routing = ExpertRouting { tokens: rows.unpadded(), experts, top_k };
                self.experts(layer, rows, routing, width, &self.views.chosen[number as usize])
            }
        }
    }

    /// The norm before a part, with the output of the part before it added to the residual, unless it is the `first`.
    fn norm(&mut self, first: bool, rows: Rows, weight: &View) -> Result<(), LaunchError> {
        let (hidden, shared) = (self.shard.hidden, &self.memory.shared);
        let residual = rows.of(&shared.residual, hidden)?;
        let out = rows.of(&shared.normed, hidden)?;
        let launch = if first {
            rms_norm(rows.count, hidden, &residual, weight, &out)?
        } else {
            let delta = rows.of(&shared.delta, hidden)?;
            add_rms_norm(rows.count, hidden, &delta, &residual, weight, &out)?
        };
        self.push(Operator::Elementwise, launch);
        Ok(())
    }

    fn attention(&mut self, layer: &LayerMemory, rows: Rows) -> Result<(), LaunchError> {
        let (shard, shared, views) = (self.shard, &self.memory.shared, self.views);
        let (hidden, wide, queries) = (shard.hidden, shard.qkv_width(), shard.query_width());
        let x = rows.of(&shared.normed, hidden)?;
        let qkv = rows.of(&shared.qkv, wide)?;
        self.product(Operator::QkvProjection, [rows.count, wide, hidden], x, &layer.qkv, qkv.clone());
        let rotated = if shard.qk_norm { self.head_norm(layer, rows, &qkv)? } else { qkv };
        let shape = RotaryShape {
            tokens: rows.count,
            query_heads: shard.query_heads,
            kv_heads: shard.kv_heads,
            head_dim: shard.head_dim,
            positions: shard.positions,
            slots: (shard.kv_blocks + 1) * shard.block_size,
        };
        let positions = views.positions.part(0, 4 * rows.count)?;
        let slots = views.slots.part(0, 4 * rows.count)?;
        let query = rows.of(&shared.query, queries)?;
        let (angles, keys, values) = (&self.memory.angles, &layer.keys, &layer.values);
        let launch = rotate_and_append(shape, &rotated, angles, &positions, &slots, &query, keys, values)?;
        self.push(Operator::Elementwise, launch);
        self.attend(layer, rows)?;
        let attended = rows.of(&shared.attended, queries)?;
        let delta = rows.of(&shared.delta, hidden)?;
        self.product(Operator::OutputProjection, [rows.count, hidden, queries], attended, &layer.out, delta);
        Ok(())
    }

    /// Normalises heads. The kernel takes all heads of a row alike, so that those of the values are normalised along.
    fn head_norm(&mut self, layer: &LayerMemory, rows: Rows, qkv: &View) -> Result<View, LaunchError> {
        let shard = self.shard;
        let heads = rows.count * (shard.query_heads + 2 * shard.kv_heads);
        let out = rows.of(&self.memory.shared.qkv_normed, shard.qkv_width())?;
        let launch = rms_norm(heads, shard.head_dim, qkv, &layer.head_norm, &out)?;
        self.push(Operator::Elementwise, launch);
        Ok(out)
    }

    /// Attention itself: decoding requests, then prompts.
    fn attend(&mut self, layer: &LayerMemory, rows: Rows) -> Result<(), LaunchError> {
        let (shard, shared, lists, views) = (self.shard, &self.memory.shared, self.lists, self.views);
        let shape = AttentionShape {
            query_heads: shard.query_heads,
            kv_heads: shard.kv_heads,
            head_dim: shard.head_dim,
            page_size: shard.block_size,
        };
        let (keys, values, pages) = (&layer.keys, &layer.values, shard.kv_blocks + 1);
        let [prompt_pages, decode_pages] = lists.max_pages;
        if let Some(plan) = &lists.decode {
            let kv = PagedKv { keys, values, pages, table: &views.decode_table, max_pages: decode_pages };
            for launch in decode_attention(shape, plan, &views.decode, &shared.query, kv, &shared.attended)? {
                self.push(Operator::DecodeAttention, launch);
            }
        }
        if let (true, Some(plan)) = (rows.prefill > 0, &lists.prefill) {
            let kv = PagedKv { keys, values, pages, table: &views.prefill_table, max_pages: prompt_pages };
            let bytes_per_row = shard.query_width() * BF16;
            let of_prompts = |view: &View| view.part(rows.decode * bytes_per_row, rows.prefill * bytes_per_row);
            let (query, out) = (of_prompts(&shared.query)?, of_prompts(&shared.attended)?);
            self.push(Operator::PrefillAttention, prefill_attention(shape, plan, &views.prefill, &query, kv, &out)?);
        }
        Ok(())
    }

    fn dense(&mut self, layer: &LayerMemory, rows: Rows, width: u64) -> Result<(), LaunchError> {
        let (hidden, shared) = (self.shard.hidden, &self.memory.shared);
        let x = rows.of(&shared.normed, hidden)?;
        let up = rows.of(&shared.up, 2 * width)?;
        let activated = rows.of(&shared.activated, width)?;
        let delta = rows.of(&shared.delta, hidden)?;
        self.product(Operator::DenseFfn, [rows.count, 2 * width, hidden], x, &layer.up, up.clone());
        self.push(Operator::Elementwise, silu_mul(rows.count, width, &up, &activated)?);
        self.product(Operator::DenseFfn, [rows.count, hidden, width], activated, &layer.down, delta);
        Ok(())
    }

    /// Routed experts. The router computes, and chooses, as it would; then the schedule's choices are taken, so that as
    /// many experts are read as were predicted.
    fn experts(
        &mut self,
        layer: &LayerMemory,
        rows: Rows,
        routing: ExpertRouting,
        width: u64,
        chosen: &View,
    ) -> Result<(), LaunchError> {
        let (hidden, shared) = (self.shard.hidden, &self.memory.shared);
        let scratch = &shared.experts;
        let x = rows.of(&shared.normed, hidden)?;
        let logits = rows.of(&scratch.logits, routing.experts)?;
        let shape = [rows.count, routing.experts, hidden];
        self.product(Operator::Router, shape, x.clone(), &layer.router, logits.clone());
        self.push(Operator::Router, route(routing, &logits, &scratch.routed, &scratch.weights)?);
        let tile_rows = grouped_tile_rows(routing);
        self.push(Operator::Experts, sort_by_expert(routing, tile_rows, chosen, &scratch.sorted)?);
        let tokens = GroupedInput::Tokens;
        let up = grouped_product(
            routing,
            tile_rows,
            [2 * width, hidden],
            tokens,
            &x,
            &layer.up,
            &shared.up,
            &scratch.sorted,
        )?;
        self.push(Operator::Experts, up);
        self.push(Operator::Experts, silu_mul(routing.pairs(), width, &shared.up, &shared.activated)?);
        let (input, out, sorted) = (&shared.activated, &scratch.out, &scratch.sorted);
        let down = [hidden, width];
        let by_pair = GroupedInput::Sorted;
        let down = grouped_product(routing, tile_rows, down, by_pair, input, &layer.down, out, sorted)?;
        self.push(Operator::Experts, down);
        let delta = rows.of(&shared.delta, hidden)?;
        let combine = combine_experts(routing, hidden, out, &scratch.weights, &sorted.row_of_pair, &delta)?;
        self.push(Operator::Experts, combine);
        Ok(())
    }

    /// Final norm, head and sampling.
    fn head(&mut self) -> Result<(), LaunchError> {
        let (shard, shared, sampled) = (self.shard, &self.memory.shared, u64::from(self.step.sampled));
        let rows = self.rows_of(shard.layers - 1);
        if rows.count > 0 {
            self.norm(false, rows, &shared.final_norm)?;
        }
        if sampled == 0 {
            return Ok(());
        }
        let (hidden, vocabulary) = (shard.hidden, shard.vocabulary);
        let all_rows = u64::from(self.rows.all);
        let gathered = embed(sampled, hidden, all_rows, &shared.normed, &self.views.sampled, &shared.sampled_hidden)?;
        self.push(Operator::LmHead, gathered);
        let shape = [sampled, vocabulary, hidden];
        let (x, y) = (shared.sampled_hidden.clone(), shared.logits.clone());
        self.product(Operator::LmHead, shape, x, &shared.head, y);
        let sample = sample_greedy(sampled, vocabulary, &shared.logits, &shared.tokens_out)?;
        self.push(Operator::Sampling, sample);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
