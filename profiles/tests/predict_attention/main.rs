//! Attention predicted for shapes that were hidden from the predictor.
//!
//! The tests with `every` in their names run over whole tables and are ignored by default; they take minutes and want
//! `--release`.

mod decode;
mod mixed;
mod oracles;
mod prefill;
#[path = "../support/shared_data.rs"]
mod support;
mod tables;

use std::collections::BTreeMap;
use support::shared_data;

#[expect(clippy::print_stderr, reason = "a test says what it stood on")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Whether a group is hidden in one of `parts` folds: a hash of its name decides (FNV-1a).
fn hidden(group: &[u32], fold: u64, parts: u64) -> bool {
    let bytes = group.iter().flat_map(|value| value.to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash >> 20) % parts == fold
}

/// |predicted ÷ measured − 1| by what it was predicted for.
#[derive(Default)]
struct Errors {
    by_label: BTreeMap<String, Vec<f64>>,
    unmeasured: usize,
}

impl Errors {
    fn add(&mut self, label: &str, predicted: f64, measured: f64) {
        self.by_label.entry(label.to_string()).or_default().push((predicted / measured - 1.0).abs());
    }

    /// Reports median and 95th percentile under each label, and asserts both.
    fn judge(&mut self, what: &str, most_median: f64, most_p95: f64) {
        assert!(!self.by_label.is_empty(), "{what}: nothing was predicted");
        for (label, errors) in &mut self.by_label {
            errors.sort_by(f64::total_cmp);
            let (median, p95) = (errors[errors.len() / 2], errors[errors.len() * 95 / 100]);
            let (percent, percent_p95) = (median * 100.0, p95 * 100.0);
            say(&format!(
                "USED: {what}, {label}: {} hidden, median {percent:.2} %, p95 {percent_p95:.1} %",
                errors.len()
            ));
            assert!(median <= most_median, "{what}, {label}: median {median}");
            assert!(p95 <= most_p95, "{what}, {label}: p95 {p95}");
        }
        say(&format!("      {} of them outside of what was measured", self.unmeasured));
    }
}
