//! Attention of a prompt chunk and decoding requests in one call, with equal and with unequal contexts.

use profiles::table::{DecodeAttentionRow, MixedAttentionRow, PrefillAttentionRow, Rows, Timing};
use profiles::{Attention, DType};

use super::{Subject, layers, precision, report};
use crate::import::Imported;
use crate::import::error::ImportError;
use crate::import::records::Records;
use crate::import::report::{Rejected, Report};
use crate::import::sink::Sink;

const EACH: &str =
    "contexts of decoding requests are taken as the tokens attended to; the source may count one less per request";

/// What one call processes: a chunk after cached tokens, and requests with so many tokens in all and in the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) new_tokens: u32,
    pub(super) cached_tokens: u32,
    pub(super) requests: u32,
    pub(super) context_tokens: u64,
    pub(super) longest_context_tokens: u64,
}

/// Where calls go: a table for each of the three kinds.
pub(super) struct Calls<'a> {
    subject: &'a Subject<'a>,
    heads: Attention,
    format: DType,
    prefill: Sink<PrefillAttentionRow>,
    decode: Sink<DecodeAttentionRow>,
    mixed: Sink<MixedAttentionRow>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(subject: &'a Subject<'a>) -> Result<Self, ImportError> {
        let heads = layers::attention(&subject.model).map_err(|why| ImportError::Model {
            file: subject.file.clone(),
            problem: format!("{}, and the file holds times of attention: {}", why.reason, why.example),
        })?;
        let heads = Attention {
            query_heads: subject.divided(heads.query_heads),
            kv_heads: subject.divided(heads.kv_heads),
            ..*heads
        };
        let (prefill, decode, mixed) = (subject.sink(), subject.sink(), subject.sink());
        Ok(Self { subject, heads, format: precision(subject)?, prefill, decode, mixed })
    }

    pub(super) fn take(&mut self, line: u64, call: Result<(Call, Timing), Rejected>, report: &mut Report) {
        let (call, timing) = match call {
            Ok(call) => call,
            Err(why) => return report.leave_out(line, why),
        };
        let Attention { query_heads, kv_heads, head_dim, window, .. } = self.heads;
        let window = window.unwrap_or(0);
        let (activations, kv_cache) = (self.format, self.format);
        if call.requests > 0 && call.context_tokens == 0 {
            return report.leave_out(line, Rejected::new("decoding requests without a context", "0"));
        }
        match (call.new_tokens, call.requests) {
            (0, 0) => report.leave_out(line, Rejected::new("neither prompt nor decoding requests", "0, 0")),
            (new_tokens, 0) => {
                let context_tokens = call.cached_tokens;
                let row = PrefillAttentionRow {
                    requests: 1,
                    new_tokens,
                    context_tokens,
                    query_heads,
                    kv_heads,
                    head_dim,
                    window,
                    activations,
                    kv_cache,
                    timing,
                };
                self.prefill.take(line, Ok(row), report);
            }
            (0, requests) => {
                let row = DecodeAttentionRow {
                    requests,
                    context_tokens: call.context_tokens,
                    longest_context_tokens: call.longest_context_tokens,
                    query_heads,
                    kv_heads,
                    head_dim,
                    window,
                    activations,
                    kv_cache,
                    timing,
                };
                self.decode.take(line, Ok(row), report);
            }
            (new_tokens, decode_requests) => {
                let row = MixedAttentionRow {
                    prefill_requests: 1,
                    new_tokens,
                    prefill_context_tokens: call.cached_tokens,
                    decode_requests,
                    decode_context_tokens: call.context_tokens,
                    longest_context_tokens: call.longest_context_tokens,
                    query_heads,
                    kv_heads,
                    head_dim,
                    window,
                    activations,
                    kv_cache,
                    timing,
                };
                self.mixed.take(line, Ok(row), report);
            }
        }
    }

    pub(super) fn finish(self, at: (&str, &str), imported: &mut Imported) -> Result<(), ImportError> {
        self.subject.finish(self.prefill, Rows::PrefillAttention, at, imported)?;
        self.subject.finish(self.decode, Rows::DecodeAttention, at, imported)?;
        self.subject.finish(self.mixed, Rows::MixedAttention, at, imported)
    }
}

pub(super) fn mixed(subject: &Subject<'_>, mut records: Records<'_>) -> Result<Imported, ImportError> {
    let (chunk, cached) = (records.column(&["prefill_chunk"])?, records.column(&["kv_prefill"])?);
    let (requests, context) = (records.column(&["n_decode"])?, records.column(&["kv_decode"])?);
    let time = records.column(&["time_us"])?;
    let mut imported = Imported { tables: Vec::new(), report: report(&records) };
    let mut calls = Calls::new(subject)?;
    for record in records {
        let record = record?;
        imported.report.read += 1;
        let call = record.count(chunk, 0).and_then(|new_tokens| {
            let requests = record.count(requests, 0)?;
            let each = u64::from(record.count(context, 0)?);
            let call = Call {
                new_tokens,
                cached_tokens: record.count(cached, 0)?,
                requests,
                context_tokens: u64::from(requests) * each,
                longest_context_tokens: each,
            };
            Ok((call, Timing::of_us(record.positive(time)?)))
        });
        calls.take(record.line, call, &mut imported.report);
    }
    imported.report.note(EACH);
    calls.finish((time.name(), ""), &mut imported)?;
    Ok(imported)
}

/// Each row holds three times: all contexts as long as the mean, all as long as the longest, and `nb` of `n` requests with
/// `kv_big` tokens beside others with `kvs`.
pub(super) fn skewed(subject: &Subject<'_>, mut records: Records<'_>) -> Result<Imported, ImportError> {
    let (chunk, cached) = (records.column(&["pc"])?, records.column(&["kp"])?);
    let (requests, long) = (records.column(&["n"])?, records.column(&["nb"])?);
    let (small, big) = (records.column(&["kvs"])?, records.column(&["kv_big"])?);
    let mean = records.column(&["kv_mean"])?;
    let times = [records.column(&["t_mean_us"])?, records.column(&["t_max_us"])?, records.column(&["t_skew_us"])?];
    // What these say follows from the others.
    for derived in ["regime", "ratio", "skew", "alpha"] {
        records.maybe_column(&[derived]);
    }
    let mut imported = Imported { tables: Vec::new(), report: report(&records) };
    let mut calls = Calls::new(subject)?;
    for record in records {
        let record = record?;
        imported.report.read += 1;
        let shape = || {
            let (requests, long) = (record.count(requests, 1)?, record.count(long, 0)?);
            if long > requests {
                return Err(Rejected::new("more long requests than requests", format!("{long} of {requests}")));
            }
            let (small, big) = (u64::from(record.count(small, 1)?), u64::from(record.count(big, 1)?));
            let mean = u64::from(record.count(mean, 1)?);
            let all = u64::from(requests);
            let sum = u64::from(long) * big + (all - u64::from(long)) * small;
            let sums = [(all * mean, mean), (all * big, big), (sum, big)];
            let base = Call {
                new_tokens: record.count(chunk, 0)?,
                cached_tokens: record.count(cached, 0)?,
                requests,
                context_tokens: 0,
                longest_context_tokens: 0,
            };
            Ok(sums.map(|(context_tokens, longest_context_tokens)| Call {
                context_tokens,
                longest_context_tokens,
                ..base
            }))
        };
        match shape() {
            Ok(three) => {
                for (call, time) in three.into_iter().zip(times) {
                    let call = record.positive(time).map(|time_us| (call, Timing::of_us(time_us)));
                    calls.take(record.line, call, &mut imported.report);
                }
            }
            Err(why) => imported.report.leave_out(record.line, why),
        }
    }
    imported.report.note(EACH);
    imported.report.note("each row of the source holds three times");
    calls.finish((times[2].name(), super::SKEW), &mut imported)?;
    Ok(imported)
}
