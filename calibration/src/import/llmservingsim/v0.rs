//! Tables of the first version: plain `PyTorch`.

use profiles::table::Timing;

use super::attention::{Call, Calls};
use super::{Subject, dense, report};
use crate::import::Imported;
use crate::import::error::ImportError;
use crate::import::records::Records;
use crate::import::report::Rejected;

const MICROS_PER_MILLI: f64 = 1e3;
const MICROS_PER_NANO: f64 = 1e-3;

pub(super) fn layers(subject: &Subject<'_>, records: Records<'_>) -> Result<Imported, ImportError> {
    dense::layers(subject, records, ["layer_name", "tokens", "latency_ns"], MICROS_PER_NANO, "")
}

/// A prompt chunk after `kv_cache_size` cached tokens (chunk and cache together never exceed 2048 tokens), or requests
/// that each attend to so many.
pub(super) fn attention(subject: &Subject<'_>, mut records: Records<'_>) -> Result<Imported, ImportError> {
    let (phase, requests) = (records.column(&["phase"])?, records.column(&["batch_size"])?);
    let (chunk, cached) = (records.column(&["prefill_chunk_size"])?, records.column(&["kv_cache_size"])?);
    let time = records.column(&["latency_ms"])?;
    let mut imported = Imported { tables: Vec::new(), report: report(&records) };
    let mut calls = Calls::new(subject)?;
    for record in records {
        let record = record?;
        imported.report.read += 1;
        let call = || {
            let (requests, cached) = (record.count(requests, 1)?, record.count(cached, 0)?);
            let new_tokens = record.count(chunk, 0)?;
            let call = match (record.text(phase), requests, new_tokens) {
                ("prefill", 1, 1..) => Call {
                    new_tokens,
                    cached_tokens: cached,
                    requests: 0,
                    context_tokens: 0,
                    longest_context_tokens: 0,
                },
                ("decode", _, 0) => Call {
                    new_tokens: 0,
                    cached_tokens: 0,
                    requests,
                    context_tokens: u64::from(requests) * u64::from(cached),
                    longest_context_tokens: cached.into(),
                },
                (phase, ..) => {
                    let shown = format!("{phase}, {requests} requests, {new_tokens} new tokens");
                    return Err(Rejected::new("neither one prompt chunk nor decoding requests", shown));
                }
            };
            Ok((call, Timing::of_us(record.positive(time)? * MICROS_PER_MILLI)))
        };
        calls.take(record.line, call(), &mut imported.report);
    }
    calls.finish((time.name(), ""), &mut imported)?;
    Ok(imported)
}
