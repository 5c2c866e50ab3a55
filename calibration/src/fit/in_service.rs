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
pub(super) fn decode(rows: &[DecodeAttentionRow], table: &KernelTable, device: &DeviceSpec) -> Vec<DecodeAttentionRow> {
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
