//! Attention of prompts, and of requests that each generate one token; all requests of a batch alike.

use profiles::DType;
use profiles::table::{DecodeAttentionRow, PrefillAttentionRow, Rows};

use super::{table, unknown_format};
use crate::import::error::ImportError;
use crate::import::format::Recognised;
use crate::import::records::{Column, Record, Records};
use crate::import::report::Rejected;
use crate::import::{Imported, Known};

/// Columns that both phases have.
struct Shared {
    requests: Column,
    query_heads: Column,
    kv_heads: Column,
    head_dim: Column,
    window: Option<Column>,
    beam_width: Option<Column>,
    activations: Column,
    kv_cache: Column,
}

impl Shared {
    fn columns(records: &mut Records<'_>) -> Result<Self, ImportError> {
        Ok(Self {
            requests: records.column(&["batch_size"])?,
            query_heads: records.column(&["num_heads"])?,
            kv_heads: records.column(&["num_key_value_heads"])?,
            head_dim: records.column(&["head_dim"])?,
            window: records.maybe_column(&["window_size"]),
            beam_width: records.maybe_column(&["beam_width"]),
            activations: records.column(&["attn_dtype"])?,
            kv_cache: records.column(&["kv_cache_dtype"])?,
        })
    }

    /// The sliding window; tables without the column were made before windows were measured.
    fn window(&self, record: &Record) -> Result<u32, Rejected> {
        if let Some(beam_width) = self.beam_width
            && record.text(beam_width) != "1"
        {
            return Err(Rejected::new("beam search is not modelled", record.text(beam_width)));
        }
        self.window.map_or(Ok(0), |window| record.count(window, 0))
    }
}

fn format(record: &Record, column: Column) -> Result<DType, Rejected> {
    match record.text(column) {
        "bfloat16" | "float16" => Ok(DType::Bf16),
        "fp8" => Ok(DType::Fp8),
        "int8" => Ok(DType::Int8),
        other => Err(unknown_format(other)),
    }
}

pub(super) fn prefill(
    recognised: &Recognised,
    mut records: Records<'_>,
    known: Known<'_>,
) -> Result<Imported, ImportError> {
    let shared = Shared::columns(&mut records)?;
    let new_tokens = records.column(&["query_len", "isl"])?;
    let context_tokens = records.column(&["prefix_len", "step"])?;
    table(recognised, records, known, Rows::PrefillAttention, |record, timing| {
        Ok(PrefillAttentionRow {
            requests: record.count(shared.requests, 1)?,
            new_tokens: record.count(new_tokens, 1)?,
            context_tokens: record.count(context_tokens, 0)?,
            query_heads: record.count(shared.query_heads, 1)?,
            kv_heads: record.count(shared.kv_heads, 1)?,
            head_dim: record.count(shared.head_dim, 1)?,
            window: shared.window(record)?,
            activations: format(record, shared.activations)?,
            kv_cache: format(record, shared.kv_cache)?,
            timing,
        })
    })
}

pub(super) fn decode(
    recognised: &Recognised,
    mut records: Records<'_>,
    known: Known<'_>,
) -> Result<Imported, ImportError> {
    let shared = Shared::columns(&mut records)?;
    // `kv_len` tokens, the new one included; or `isl` = 1 new ones after `step` cached ones.
    let attended = match records.maybe_column(&["kv_len"]) {
        Some(attended) => (attended, None),
        None => (records.column(&["step"])?, Some(records.column(&["isl"])?)),
    };
    table(recognised, records, known, Rows::DecodeAttention, |record, timing| {
        let requests = record.count(shared.requests, 1)?;
        let each = match attended {
            (attended, None) => record.count(attended, 1)?,
            (cached, Some(new)) => record.count(cached, 0)? + record.count(new, 1)?,
        };
        Ok(DecodeAttentionRow {
            requests,
            context_tokens: u64::from(requests) * u64::from(each),
            longest_context_tokens: each.into(),
            query_heads: record.count(shared.query_heads, 1)?,
            kv_heads: record.count(shared.kv_heads, 1)?,
            head_dim: record.count(shared.head_dim, 1)?,
            window: shared.window(record)?,
            activations: format(record, shared.activations)?,
            kv_cache: format(record, shared.kv_cache)?,
            timing,
        })
    })
}
