//! Decode attention.

use std::collections::BTreeMap;

use profiles::predict::attention::{DecodePredictor, DecodeTimes, HeadShape, Residency};
use profiles::table::DecodeAttentionRow;
use profiles::{DeviceSpec, Evidence};

use crate::{Errors, hidden, say, shared_data, tables};

fn heads(row: &DecodeAttentionRow) -> HeadShape {
    HeadShape {
        query_heads: row.query_heads,
        kv_heads: row.kv_heads,
        head_dim: row.head_dim,
        window: row.window,
        activations: row.activations,
        kv_cache: row.kv_cache,
    }
}

/// A group: heads and context, in all formats and windows.
fn group(row: &DecodeAttentionRow) -> [u32; 4] {
    [row.query_heads, row.kv_heads, row.head_dim, (row.context_tokens / u64::from(row.requests)) as u32]
}

fn label(gpu: &str, row: &DecodeAttentionRow) -> String {
    let window = if row.window == 0 { "" } else { ", windows" };
    format!("{gpu} {:?}{window}", row.kv_cache)
}

/// Predicts the rows that `hide` names and that `asked` wants from all others.
fn hold_out(
    errors: &mut Errors,
    gpu: &str,
    rows: &[DecodeAttentionRow],
    hide: impl Fn(&DecodeAttentionRow) -> bool,
    asked: impl Fn(&DecodeAttentionRow) -> bool,
) {
    let (out, seen): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(&hide);
    let device = DeviceSpec::shipped(gpu).expect("a shipped device");
    let predictor = DecodePredictor::new(&seen, &device);
    let mut compiled: BTreeMap<HeadShape, Option<DecodeTimes>> = BTreeMap::new();
    for row in out.iter().filter(|row| asked(row)) {
        let times = compiled
            .entry(heads(row))
            .or_insert_with(|| predictor.for_heads(heads(row), Residency::AsMeasured))
            .as_ref()
            .expect("the family was measured");
        let longest = row.longest_context_tokens;
        let visible = if row.window == 0 { longest } else { longest.min(u64::from(row.window)) };
        let predicted = times.ns(row.requests, u64::from(row.requests) * visible, longest);
        errors.unmeasured += usize::from(predicted.evidence != Evidence::Measured);
        errors.add(&label(gpu, row), predicted.ns, row.timing.time_us * 1e3);
    }
}

const TABLES: [(&str, &str); 2] =
    [("H100", "H100_vllm_0.24.0_attention_decode.csv.gz"), ("H200", "H200_vllm_0.24.0_attention_decode.csv.gz")];

#[test]
fn hidden_decode_groups_are_predicted_within_the_target() {
    let Some(data) = shared_data() else { return say("SKIPPED: hidden decode groups need ../shared/data") };
    let mut errors = Errors::default();
    for (gpu, table) in TABLES {
        let rows = tables::decode(&data.join("kernels/aiconfigurator").join(table), 128);
        let realistic = |row: &DecodeAttentionRow| {
            row.window == 0 && matches!((row.query_heads, row.kv_heads), (8, 1) | (32, 8) | (40, 4))
        };
        hold_out(&mut errors, gpu, &rows, |row| hidden(&group(row), 0, 5), realistic);
    }
    errors.judge("decode attention, a fifth of the groups hidden", 0.03, 0.12);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn every_hidden_decode_group_is_predicted_within_the_target() {
    let Some(data) = shared_data() else { return say("SKIPPED: hidden decode groups need ../shared/data") };
    for parts in [5, 40] {
        let mut errors = Errors::default();
        for (gpu, table) in TABLES {
            let rows = tables::decode(&data.join("kernels/aiconfigurator").join(table), 0);
            for fold in 0..if parts == 5 { 5 } else { 8 } {
                hold_out(&mut errors, gpu, &rows, |row| hidden(&group(row), fold, parts), |_| true);
            }
        }
        errors.judge(&format!("decode attention, 1 of {parts} groups hidden"), 0.03, 0.12);
    }
    let mut errors = Errors::default();
    for (gpu, table) in TABLES {
        let rows = tables::decode(&data.join("kernels/aiconfigurator").join(table), 0);
        hold_out(&mut errors, gpu, &rows, |row| hidden(&group(row)[..3], 1, 5), |_| true);
    }
    // Harder than the target asks for.
    errors.judge("decode attention, whole heads hidden", 0.035, 0.15);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn a_context_that_was_measured_nowhere_lies_between_its_neighbours() {
    let Some(data) = shared_data() else { return say("SKIPPED: hidden contexts need ../shared/data") };
    let mut errors = Errors::default();
    for (gpu, table) in TABLES {
        let rows = tables::decode(&data.join("kernels/aiconfigurator").join(table), 0);
        for hidden in [256, 2048, 16_384] {
            hold_out(&mut errors, gpu, &rows, |row| group(row)[3] == hidden, |row| row.window == 0);
        }
    }
    errors.judge("decode attention, a context hidden everywhere", 0.05, 0.2);
}
