//! Tables of the first version: plain `PyTorch`.

use profiles::table::Timing;

use super::attention::{Call, Calls};
use super::{Subject, dense, report};
use crate::import::Imported;
use crate::import::error::ImportError;
use crate::import::records::{Records, micros};
use crate::import::report::Rejected;

const MICROS_PER_MILLI: f64 = 1e3;
const MICROS_PER_NANO: f64 = 1e-3;

pub(super) fn layers(subject: &Subject<'_>, records: Records<'_>) -> Result<Imported, ImportError> {
    dense::layers(subject, records, ["layer_name", "tokens", "latency_ns"], MICROS_PER_NANO, "")
}

/// A prompt chunk, or decoding requests; `kv_cache_size` counts all tokens attended to: those of the chunk too, and those
/// of all requests together.
///
/// The source does not say so, its times do (H100, 16 heads): chunks of 512 and of 1024 tokens with 1024 take the same
/// time, and 2 requests with 65,536 take half the time of 1, which they could not with so many each.
pub(super) fn attention(subject: &Subject<'_>, mut records: Records<'_>) -> Result<Imported, ImportError> {
    let (phase, requests) = (records.column(&["phase"])?, records.column(&["batch_size"])?);
    let (chunk, seen) = (records.column(&["prefill_chunk_size"])?, records.column(&["kv_cache_size"])?);
    let time = records.column(&["latency_ms"])?;
    let mut imported = Imported { tables: Vec::new(), report: report(&records) };
    let mut calls = Calls::new(subject)?;
    for record in records {
        let record = record?;
        imported.report.read += 1;
        let call = || {
            let (requests, seen) = (record.count(requests, 1)?, record.count(seen, 1)?);
            let new_tokens = record.count(chunk, 0)?;
            let call = match (record.text(phase), requests, new_tokens) {
                ("prefill", 1, 1..) if new_tokens <= seen => Call {
                    new_tokens,
                    cached_tokens: seen - new_tokens,
                    requests: 0,
                    context_tokens: 0,
                    longest_context_tokens: 0,
                },
                ("decode", _, 0) if requests <= seen => Call {
                    new_tokens: 0,
                    cached_tokens: 0,
                    requests,
                    context_tokens: seen.into(),
                    longest_context_tokens: seen.div_ceil(requests).into(),
                },
                ("prefill", 1, 1..) | ("decode", _, 0) => {
                    let shown = format!("{new_tokens} new tokens, {requests} requests, {seen} tokens");
                    return Err(Rejected::new("fewer tokens attended to than there are queries", shown));
                }
                (phase, ..) => {
                    let shown = format!("{phase}, {requests} requests, {new_tokens} new tokens");
                    return Err(Rejected::new("neither one prompt chunk nor decoding requests", shown));
                }
            };
            Ok((call, Timing::of_us(micros(record.positive(time)?, MICROS_PER_MILLI))))
        };
        calls.take(record.line, call(), &mut imported.report);
    }
    imported.report.note("`kv_cache_size` is taken as the tokens that all queries of a call attend to together");
    calls.finish((time.name(), ""), &mut imported)?;
    Ok(imported)
}
