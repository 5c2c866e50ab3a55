//! Readers of the measured tables: rows of ours from files of others.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use profiles::DType;
use profiles::table::{DecodeAttentionRow, MixedAttentionRow, PrefillAttentionRow, Timing};

/// A row of a file, by its header.
struct Fields<'a> {
    header: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Fields<'_> {
    fn text(&self, name: &str) -> &str {
        let index = self.header.iter().position(|column| column == name);
        &self.record[index.unwrap_or_else(|| panic!("no `{name}`"))]
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_else(|_| panic!("`{name}`: {}", self.text(name)))
    }

    fn dtype(&self, name: &str) -> DType {
        match self.text(name) {
            "bfloat16" => DType::Bf16,
            "fp8" => DType::Fp8,
            other => panic!("`{name}`: {other}"),
        }
    }
}

fn read<T>(path: &Path, mut row: impl FnMut(Fields<'_>) -> Option<T>) -> Vec<T> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut table = csv::Reader::from_reader(GzDecoder::new(file));
    let header = table.headers().expect("a header").clone();
    let record =
        |record: csv::Result<csv::StringRecord>| row(Fields { header: &header, record: &record.expect("a row") });
    table.records().filter_map(record).collect()
}

/// Decode rows of an aiconfigurator table with heads of this size (0: any); kernels of other generations left out.
pub(crate) fn decode(path: &Path, head_dim: u32) -> Vec<DecodeAttentionRow> {
    read(path, |fields| {
        let kept = head_dim == 0 || fields.number::<u32>("head_dim") == head_dim;
        (kept && fields.text("kernel") != "vllm_flash_attn_fa4").then(|| {
            let (requests, context): (u32, u64) = (fields.number("batch_size"), fields.number("kv_len"));
            DecodeAttentionRow {
                requests,
                context_tokens: u64::from(requests) * context,
                longest_context_tokens: context,
                query_heads: fields.number("num_heads"),
                kv_heads: fields.number("num_key_value_heads"),
                head_dim: fields.number("head_dim"),
                window: fields.number("window_size"),
                activations: fields.dtype("attn_dtype"),
                kv_cache: fields.dtype("kv_cache_dtype"),
                timing: Timing::of_us(fields.number::<f64>("latency_ms") * 1e3),
            }
        })
    })
}

/// Prefill rows, likewise.
pub(crate) fn prefill(path: &Path, head_dim: u32) -> Vec<PrefillAttentionRow> {
    read(path, |fields| {
        let kept = head_dim == 0 || fields.number::<u32>("head_dim") == head_dim;
        (kept && fields.text("kernel") != "vllm_flash_attn_fa4").then(|| PrefillAttentionRow {
            requests: fields.number("batch_size"),
            new_tokens: fields.number("query_len"),
            context_tokens: fields.number("prefix_len"),
            query_heads: fields.number("num_heads"),
            kv_heads: fields.number("num_key_value_heads"),
            head_dim: fields.number("head_dim"),
            window: fields.number("window_size"),
            activations: fields.dtype("attn_dtype"),
            kv_cache: fields.dtype("kv_cache_dtype"),
            timing: Timing::of_us(fields.number::<f64>("latency_ms") * 1e3),
        })
    })
}

/// A model's heads on one GPU of an LLMServingSim table.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) query: u32,
    pub(crate) kv: u32,
}

/// Mixed batches of an LLMServingSim table.
pub(crate) fn mixed(path: &Path, heads: Heads) -> Vec<MixedAttentionRow> {
    read(path, |fields| {
        let (new_tokens, requests): (u32, u32) = (fields.number("prefill_chunk"), fields.number("n_decode"));
        let context: u64 = fields.number("kv_decode");
        let batch = (new_tokens, fields.number("kv_prefill"), requests, u64::from(requests) * context, context);
        (new_tokens > 0 && requests > 0).then(|| mixed_row(batch, heads, fields.number("time_us")))
    })
}

/// Prompt pieces and generating requests alone, of the same table.
pub(crate) fn pure(path: &Path, heads: Heads) -> (Vec<PrefillAttentionRow>, Vec<DecodeAttentionRow>) {
    let prefill = read(path, |fields| {
        let new_tokens: u32 = fields.number("prefill_chunk");
        (new_tokens > 0 && fields.number::<u32>("n_decode") == 0).then(|| PrefillAttentionRow {
            requests: 1,
            new_tokens,
            context_tokens: fields.number("kv_prefill"),
            query_heads: heads.query,
            kv_heads: heads.kv,
            head_dim: 128,
            window: 0,
            activations: DType::Bf16,
            kv_cache: DType::Bf16,
            timing: Timing::of_us(fields.number("time_us")),
        })
    });
    let decode = read(path, |fields| {
        let requests: u32 = fields.number("n_decode");
        let context: u64 = fields.number("kv_decode");
        (requests > 0 && fields.number::<u32>("prefill_chunk") == 0)
            .then(|| decode_row(requests, u64::from(requests) * context, context, heads, fields.number("time_us")))
    });
    (prefill, decode)
}

/// An unequal batch: as measured, and the time of equal contexts with the same sum.
pub(crate) struct Skewed<Row> {
    pub(crate) row: Row,
    pub(crate) equal_us: f64,
}

/// The unequal batches of an LLMServingSim skew table: generating requests alone, and with a piece.
pub(crate) fn skewed(path: &Path, heads: Heads) -> (Vec<Skewed<DecodeAttentionRow>>, Vec<Skewed<MixedAttentionRow>>) {
    let sums = |fields: &Fields<'_>| {
        let requests: u32 = fields.number("n");
        let (mean, longest): (u64, u64) = (fields.number("kv_mean"), fields.number("kv_big"));
        (requests, u64::from(requests) * mean, longest)
    };
    let alone = read(path, |fields| {
        let (requests, sum, longest) = sums(&fields);
        (fields.text("regime") == "pure").then(|| Skewed {
            row: decode_row(requests, sum, longest, heads, fields.number("t_skew_us")),
            equal_us: fields.number("t_mean_us"),
        })
    });
    let mixed = read(path, |fields| {
        let (requests, sum, longest) = sums(&fields);
        let batch = (fields.number("pc"), fields.number("kp"), requests, sum, longest);
        (fields.text("regime") == "mixed").then(|| Skewed {
            row: mixed_row(batch, heads, fields.number("t_skew_us")),
            equal_us: fields.number("t_mean_us"),
        })
    });
    (alone, mixed)
}

fn decode_row(requests: u32, sum: u64, longest: u64, heads: Heads, time_us: f64) -> DecodeAttentionRow {
    DecodeAttentionRow {
        requests,
        context_tokens: sum,
        longest_context_tokens: longest,
        query_heads: heads.query,
        kv_heads: heads.kv,
        head_dim: 128,
        window: 0,
        activations: DType::Bf16,
        kv_cache: DType::Bf16,
        timing: Timing::of_us(time_us),
    }
}

/// `batch`: new tokens and context of the piece, requests, sum and longest of their contexts.
fn mixed_row(batch: (u32, u32, u32, u64, u64), heads: Heads, time_us: f64) -> MixedAttentionRow {
    let (new_tokens, prefill_context_tokens, decode_requests, decode_context_tokens, longest_context_tokens) = batch;
    MixedAttentionRow {
        prefill_requests: 1,
        new_tokens,
        prefill_context_tokens,
        decode_requests,
        decode_context_tokens,
        longest_context_tokens,
        query_heads: heads.query,
        kv_heads: heads.kv,
        head_dim: 128,
        window: 0,
        activations: DType::Bf16,
        kv_cache: DType::Bf16,
        timing: Timing::of_us(time_us),
    }
}
