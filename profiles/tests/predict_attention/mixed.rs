//! Mixed batches and unequal contexts.

use std::path::PathBuf;

use profiles::predict::attention::{
    DecodePredictor, HeadShape, MixedForm, MixedPredictor, MixedTimes, PrefillPredictor, RaggedFactor, TileKernel,
};
use profiles::table::MixedAttentionRow;
use profiles::{DType, DeviceSpec, PrefillPiece};

use crate::tables::Heads;
use crate::{Errors, hidden, say, shared_data, tables};

/// The tables: device, file, heads on a GPU.
const TABLES: [(&str, &str, Heads); 7] = [
    ("RTX-4090", "RTX4090_Llama-3.1-8B_tp1", Heads { query: 32, kv: 8 }),
    ("RTX-PRO-6000", "RTXPRO6000_Llama-3.1-8B_tp1", Heads { query: 32, kv: 8 }),
    ("RTX-PRO-6000", "RTXPRO6000_Llama-3.1-8B_tp2", Heads { query: 16, kv: 4 }),
    ("RTX-PRO-6000", "RTXPRO6000_Qwen3-30B-A3B-Instruct-2507_tp1", Heads { query: 32, kv: 4 }),
    ("RTX-PRO-6000", "RTXPRO6000_Qwen3-30B-A3B-Instruct-2507_tp2", Heads { query: 16, kv: 2 }),
    ("RTX-PRO-6000", "RTXPRO6000_Qwen3-32B_tp1", Heads { query: 64, kv: 8 }),
    ("RTX-PRO-6000", "RTXPRO6000_Qwen3-32B_tp2", Heads { query: 32, kv: 4 }),
];

struct Table {
    device: DeviceSpec,
    stem: &'static str,
    heads: Heads,
    folder: PathBuf,
}

impl Table {
    /// The first tables, where there are any.
    fn first(count: usize) -> Option<Vec<Self>> {
        let folder = shared_data()?.join("kernels/llmservingsim");
        let table = |(device, stem, heads)| {
            let device = DeviceSpec::shipped(device).expect("a shipped device");
            Self { device, stem, heads, folder: folder.clone() }
        };
        Some(TABLES.into_iter().take(count).map(table).collect())
    }

    fn shape(&self) -> HeadShape {
        HeadShape {
            query_heads: self.heads.query,
            kv_heads: self.heads.kv,
            head_dim: 128,
            window: 0,
            activations: DType::Bf16,
            kv_cache: DType::Bf16,
        }
    }

    fn batches(&self) -> PathBuf {
        self.folder.join(format!("{}_attention.csv.gz", self.stem))
    }

    fn skewed(&self) -> PathBuf {
        self.folder.join(format!("{}_attention_skew.csv.gz", self.stem))
    }

    fn predictor(&self, rows: &[MixedAttentionRow]) -> MixedTimes {
        let predictor = MixedPredictor::new(rows, &self.device, TileKernel::PerQueryHead);
        predictor.for_heads(self.shape()).expect("these heads were measured")
    }
}

fn predicted_us(times: &MixedTimes, row: &MixedAttentionRow) -> f64 {
    let piece = PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.prefill_context_tokens };
    let pieces = vec![piece; row.prefill_requests as usize];
    times.ns(&pieces, row.decode_requests, row.decode_context_tokens, row.longest_context_tokens).ns * 1e-3
}

fn hidden_pieces(tables: Vec<Table>) {
    let mut errors = Errors::default();
    for table in tables {
        let rows = tables::mixed(&table.batches(), table.heads);
        let hide = |row: &MixedAttentionRow| hidden(&[row.new_tokens, row.prefill_context_tokens], 0, 5);
        let (out, seen): (Vec<_>, Vec<_>) = rows.into_iter().partition(hide);
        let times = table.predictor(&seen);
        for row in &out {
            errors.add(table.stem, predicted_us(&times, row), row.timing.time_us);
        }
    }
    errors.judge("mixed attention, a fifth of the pieces hidden", 0.03, 0.12);
}

#[test]
fn mixed_batches_with_hidden_pieces_are_predicted_within_the_target() {
    let Some(tables) = Table::first(2) else { return say("SKIPPED: mixed batches need ../shared/data") };
    hidden_pieces(tables);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn mixed_batches_with_hidden_pieces_are_predicted_in_every_table() {
    let Some(tables) = Table::first(7) else { return say("SKIPPED: mixed batches need ../shared/data") };
    hidden_pieces(tables);
}

/// The form at the pace of prefill attention knows nothing of mixed batches of the table, and adding the parts is worse.
fn the_form_alone(tables: Vec<Table>) {
    let (mut form, mut sum) = (Errors::default(), Errors::default());
    for table in tables {
        let (prefill, decode) = tables::pure(&table.batches(), table.heads);
        let prefill = PrefillPredictor::new(&prefill, &table.device).for_heads(table.shape()).expect("measured");
        let decode = DecodePredictor::new(&decode, &table.device)
            .for_heads(table.shape(), profiles::predict::attention::Residency::AsMeasured)
            .expect("measured");
        let times = MixedTimes::from_prefill(table.shape(), &table.device, TileKernel::PerQueryHead, &prefill);
        for row in tables::mixed(&table.batches(), table.heads).iter().step_by(7) {
            let piece = PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.prefill_context_tokens };
            let decode_ns = decode.ns(row.decode_requests, row.decode_context_tokens, row.longest_context_tokens).ns;
            sum.add(table.stem, (prefill.ns(&[piece]).ns + decode_ns) * 1e-3, row.timing.time_us);
            form.add(table.stem, predicted_us(&times, row), row.timing.time_us);
        }
    }
    sum.judge("prefill + decode", 0.5, 0.9);
    form.judge("mixed form at the pace of prefill", 0.12, 0.4);
}

#[test]
fn the_form_without_mixed_batches_is_nearer_than_the_sum_of_the_parts() {
    let Some(tables) = Table::first(2) else { return say("SKIPPED: mixed batches need ../shared/data") };
    the_form_alone(tables);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn the_form_without_mixed_batches_is_near_in_every_table() {
    let Some(tables) = Table::first(7) else { return say("SKIPPED: mixed batches need ../shared/data") };
    the_form_alone(tables);
}

/// Time of an unequal batch from that of an equal one with the same sum, with and without its longest context.
fn unequal(tables: Vec<Table>) {
    let (mut alone, mut mixed) = (Errors::default(), Errors::default());
    for table in tables {
        let sms = f64::from(table.device.sms);
        let (decode_rows, mixed_rows) = tables::skewed(&table.skewed(), table.heads);
        for skewed in &decode_rows {
            let row = &skewed.row;
            let requests = f64::from(row.requests);
            let over_mean = row.longest_context_tokens as f64 * requests / row.context_tokens as f64;
            let factor = RaggedFactor::SHIPPED.factor(requests, f64::from(row.kv_heads), sms, over_mean);
            alone.add("longest ignored", skewed.equal_us, row.timing.time_us);
            alone.add("longest known", skewed.equal_us * factor, row.timing.time_us);
        }
        let (prefill, _) = tables::pure(&table.batches(), table.heads);
        let prefill = PrefillPredictor::new(&prefill, &table.device).for_heads(table.shape()).expect("measured");
        let form = MixedForm::from_prefill(table.shape(), &table.device, TileKernel::PerQueryHead, &prefill);
        for skewed in &mixed_rows {
            let row = &skewed.row;
            let piece = [PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.prefill_context_tokens }];
            let requests = f64::from(row.decode_requests);
            let mean = row.decode_context_tokens as f64 / requests;
            let factor = form.ns(&piece, requests, mean, row.longest_context_tokens as f64)
                / form.ns(&piece, requests, mean, mean);
            mixed.add("longest ignored", skewed.equal_us, row.timing.time_us);
            mixed.add("longest known", skewed.equal_us * factor, row.timing.time_us);
        }
    }
    let p95 = |errors: &mut Errors, label: &str| {
        let errors = errors.by_label.get_mut(label).expect("a label");
        errors.sort_by(f64::total_cmp);
        errors[errors.len() * 95 / 100]
    };
    for errors in [&mut alone, &mut mixed] {
        assert!(p95(errors, "longest known") < 0.75 * p95(errors, "longest ignored"), "the longest context tells");
    }
    alone.judge("unequal contexts, decode", 0.03, 0.2);
    mixed.judge("unequal contexts, mixed", 0.08, 0.5);
}

#[test]
fn the_longest_context_tells_what_unequal_contexts_cost() {
    let Some(tables) = Table::first(2) else { return say("SKIPPED: unequal contexts need ../shared/data") };
    unequal(tables);
}

#[test]
#[ignore = "reads whole tables, which takes minutes without optimisation: .ci/run runs it in release"]
fn the_longest_context_tells_what_unequal_contexts_cost_in_every_table() {
    let Some(tables) = Table::first(7) else { return say("SKIPPED: unequal contexts need ../shared/data") };
    unequal(tables);
}
