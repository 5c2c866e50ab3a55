//! Prefill attention.

use std::collections::BTreeMap;

use profiles::predict::attention::{HeadShape, PrefillPredictor, PrefillTimes};
use profiles::table::PrefillAttentionRow;
use profiles::{DeviceSpec, Evidence, PrefillPiece};

use crate::{Errors, hidden, say, shared_data, tables};

fn heads(row: &PrefillAttentionRow) -> HeadShape {
    HeadShape {
        query_heads: row.query_heads,
        kv_heads: row.kv_heads,
        head_dim: row.head_dim,
        window: row.window,
        activations: row.activations,
        kv_cache: row.kv_cache,
    }
}

/// A group: heads and length, in all formats and windows.
fn group(row: &PrefillAttentionRow) -> [u32; 4] {
    [row.query_heads, row.kv_heads, row.head_dim, row.new_tokens]
}

fn label(gpu: &str, row: &PrefillAttentionRow) -> String {
    let window = if row.window == 0 { "" } else { ", windows" };
    format!("{gpu} {:?}{window}", row.kv_cache)
}

/// Predicts the rows that `hide` names and that `asked` wants from all others.
fn hold_out(
    errors: &mut Errors,
    gpu: &str,
    rows: &[PrefillAttentionRow],
    hide: impl Fn(&PrefillAttentionRow) -> bool,
    asked: impl Fn(&PrefillAttentionRow) -> bool,
) {
    let (out, seen): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(&hide);
    let device = DeviceSpec::shipped(gpu).expect("a shipped device");
    let predictor = PrefillPredictor::new(&seen, &device);
    let mut compiled: BTreeMap<HeadShape, Option<PrefillTimes>> = BTreeMap::new();
    for row in out.iter().filter(|row| asked(row)) {
        let times = compiled
            .entry(heads(row))
            .or_insert_with(|| predictor.for_heads(heads(row)))
            .as_ref()
            .expect("the family was measured");
        let piece = PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.context_tokens };
        let predicted = times.ns(&vec![piece; row.requests as usize]);
        errors.unmeasured += usize::from(predicted.evidence != Evidence::Measured);
        errors.add(&label(gpu, row), predicted.ns, row.timing.time_us * 1e3);
    }
}

const TABLES: [(&str, &str); 2] =
    [("H100", "H100_vllm_0.24.0_attention_prefill.csv.gz"), ("H200", "H200_vllm_0.24.0_attention_prefill.csv.gz")];

#[test]
fn hidden_prefill_groups_are_predicted_within_the_target() {
    let Some(data) = shared_data() else { return say("SKIPPED: hidden prefill groups need ../shared/data") };
    let mut errors = Errors::default();
    for (gpu, table) in TABLES {
        let rows = tables::prefill(&data.join("kernels/aiconfigurator").join(table), 128);
        let realistic = |row: &PrefillAttentionRow| {
            row.window == 0 && matches!((row.query_heads, row.kv_heads), (8, 1) | (32, 8) | (40, 4))
        };
        hold_out(&mut errors, gpu, &rows, |row| hidden(&group(row), 0, 5), realistic);
    }
    errors.judge("prefill attention, a fifth of the groups hidden", 0.03, 0.12);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn every_hidden_prefill_group_is_predicted_within_the_target() {
    let Some(data) = shared_data() else { return say("SKIPPED: hidden prefill groups need ../shared/data") };
    for parts in [5, 40] {
        let mut errors = Errors::default();
        for (gpu, table) in TABLES {
            let rows = tables::prefill(&data.join("kernels/aiconfigurator").join(table), 0);
            for fold in 0..if parts == 5 { 5 } else { 8 } {
                hold_out(&mut errors, gpu, &rows, |row| hidden(&group(row), fold, parts), |_| true);
            }
        }
        errors.judge(&format!("prefill attention, 1 of {parts} groups hidden"), 0.03, 0.12);
    }
    let mut errors = Errors::default();
    for (gpu, table) in TABLES {
        let rows = tables::prefill(&data.join("kernels/aiconfigurator").join(table), 0);
        hold_out(&mut errors, gpu, &rows, |row| hidden(&group(row)[..3], 1, 5), |_| true);
    }
    // Harder than the target asks for.
    errors.judge("prefill attention, whole heads hidden", 0.035, 0.15);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn a_length_that_was_measured_nowhere_lies_between_its_neighbours() {
    let Some(data) = shared_data() else { return say("SKIPPED: hidden lengths need ../shared/data") };
    let mut errors = Errors::default();
    for (gpu, table) in TABLES {
        let rows = tables::prefill(&data.join("kernels/aiconfigurator").join(table), 0);
        for hidden in [256, 1536, 3072, 8192] {
            hold_out(&mut errors, gpu, &rows, |row| row.new_tokens == hidden, |row| row.window == 0);
        }
    }
    errors.judge("prefill attention, a length hidden everywhere", 0.05, 0.2);
}
