//! Measured times as a serving step finds them: what the profile of a device is fitted to.
//!
//! Simulations that are given the tables themselves correct them so (`profiles::predict`); a fitted profile says the same.

use std::collections::BTreeMap;

use profiles::DeviceSpec;
use profiles::predict::attention::{DecodePredictor, HeadShape, Residency};
use profiles::predict::{GemmPredictor, OperandFormat, Operands};
use profiles::table::{Cache, DecodeAttentionRow, GemmRow, KernelTable};

/// Nanoseconds per microsecond.
const NS_PER_US: f64 = 1e3;

/// The same products, none of which takes longer than one of more rows, and none less than reading its weights from device
/// memory. Rows that cannot be corrected so stay as they are.
pub(super) fn products(rows: &[GemmRow], table: &KernelTable, device: &DeviceSpec) -> Vec<GemmRow> {
    let Ok(predictor) = GemmPredictor::new(rows, device) else { return rows.to_vec() };
    let predictor = predictor.lower_envelope();
    let operands = if table.header.cache == Cache::Cold { Operands::AsMeasured } else { Operands::Cold };
    let mut curves = BTreeMap::new();
    let in_service = |row: &GemmRow| {
        let mut row = row.clone();
        let format = OperandFormat { weights: row.weights, activations: row.activations, scaling: row.scaling };
        let curve =
            curves.entry((format, row.n, row.k)).or_insert_with(|| predictor.for_shape(format, row.n, row.k, operands));
        if let Some(curve) = curve {
            row.timing.time_us = curve.ns(row.m).0 / NS_PER_US;
        }
        row
    };
    rows.iter().map(in_service).collect()
}

/// The same attention over caches that lie in device memory: between two steps, the weights of all layers pass through L2.
pub(crate) fn decode(rows: &[DecodeAttentionRow], table: &KernelTable, device: &DeviceSpec) -> Vec<DecodeAttentionRow> {
    let residency = if table.header.cache == Cache::Cold { Residency::AsMeasured } else { Residency::DeviceMemory };
    let predictor = DecodePredictor::new(rows, device);
    let mut times = BTreeMap::new();
    let in_service = |row: &DecodeAttentionRow| {
        let mut row = row.clone();
        let heads = HeadShape {
            query_heads: row.query_heads,
            kv_heads: row.kv_heads,
            head_dim: row.head_dim,
            window: row.window,
            activations: row.activations,
            kv_cache: row.kv_cache,
        };
        let times = times.entry(heads).or_insert_with(|| predictor.for_heads(heads, residency));
        let requests = f64::from(row.requests);
        let mean = row.context_tokens as f64 / requests;
        if let (Some(times), true) = (times, row.longest_context_tokens as f64 <= 1.01 * mean) {
            row.timing.time_us = times.alike(requests, mean).ns / NS_PER_US;
        }
        row
    };
    rows.iter().map(in_service).collect()
}

#[cfg(test)]
mod tests {
    use profiles::DType;
    use profiles::table::{Header, Kernel, Launch, Rows, Scaling, Timing};

    use super::*;

    fn h100() -> DeviceSpec {
        DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped")
    }

    fn header(kernel: Kernel, cache: Cache) -> Header {
        Header::new(kernel, "H100-SXM-80GB", cache, Launch::Graph, "a test", "2026-01-01")
    }

    /// Products of 4096 columns and inner products by rows and microseconds.
    fn table_of_products(times_us: &[(u32, f64)]) -> (Vec<GemmRow>, KernelTable) {
        let (weights, activations, scaling) = (DType::Bf16, DType::Bf16, Scaling::None);
        let row = |&(m, us): &(u32, f64)| {
            let timing = Timing::of_us(us);
            GemmRow { m, n: 4096, k: 4096, weights, activations, scaling, timing }
        };
        let rows: Vec<GemmRow> = times_us.iter().map(row).collect();
        (rows.clone(), KernelTable { header: header(Kernel::Gemm, Cache::Cold), rows: Rows::Gemm(rows) })
    }

    #[test]
    fn a_product_that_took_longer_than_a_larger_one_is_taken_for_as_long_as_that() {
        let (rows, table) = table_of_products(&[(128, 25.0), (256, 44.0), (512, 40.0), (1024, 75.0)]);
        let times: Vec<f64> = products(&rows, &table, &h100()).iter().map(|row| row.timing.time_us).collect();
        for (time, expected) in times.iter().zip([25.0, 40.0, 40.0, 75.0]) {
            assert!((time / expected - 1.0).abs() < 1e-6, "{times:?}");
        }
    }

    /// Times of 8, 16, 32, 64 and 128 requests of 16 tokens, then of 1024: over 8 KV heads, 34 MB of caches to 537 MB, beside an
    /// L2 of 50 MB.
    fn decode_times(cache: Cache) -> Vec<f64> {
        let row = |(requests, context, us): (u32, u64, f64)| DecodeAttentionRow {
            requests,
            context_tokens: u64::from(requests) * context,
            longest_context_tokens: context,
            query_heads: 32,
            kv_heads: 8,
            head_dim: 128,
            window: 0,
            activations: DType::Bf16,
            kv_cache: DType::Bf16,
            timing: Timing::of_us(us),
        };
        let requests = [8, 16, 32, 64, 128];
        let short = requests.map(|requests| (requests, 16, 5.0));
        let long = requests.into_iter().zip([11.0, 28.0, 55.0, 105.0, 205.0]);
        let long = long.map(|(requests, us)| (requests, 1024, us));
        let rows: Vec<_> = short.into_iter().chain(long).map(row).collect();
        let rows_of_table = Rows::DecodeAttention(rows.clone());
        let table = KernelTable { header: header(Kernel::DecodeAttention, cache), rows: rows_of_table };
        decode(&rows, &table, &h100()).iter().map(|row| row.timing.time_us).collect()
    }

    #[test]
    fn caches_that_lay_in_l2_take_longer_from_device_memory_unless_the_table_was_measured_so() {
        let (cold, unknown) = (decode_times(Cache::Cold), decode_times(Cache::Unknown));
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.02;
        assert!(near(cold[5], 11.0) && near(cold[9], 205.0), "as measured: {cold:?}");
        // Large caches are read at 537 MB in 200 us, so 34 MB take 12.5 us beside the 5 us of a launch.
        assert!((unknown[5] - 17.5).abs() < 1.0, "{unknown:?}");
        assert!(near(unknown[9], 205.0), "caches beyond the L2 stay as they are: {unknown:?}");
    }
}
