//! What a replay found, on the terminal and in files.

use std::path::{Path, PathBuf};

use calibration::replay::schedule::{RunHeader, ScheduledStep};
use calibration::replay::{Bucket, Comparison, MeasuredStep, Phase, StepPair};
use profiles::Evidence;
use serde_json::{Value, json};

use super::Contains;
use crate::cli::profiles::{new_table, right_aligned};
use crate::figures::{FigureSet, Format, ScatterFigure, ScatterSeries, Width};
use crate::output::{OutputError, REPLAY_TABLES, buckets_csv, operators_csv, steps_csv, write_whole};
use crate::terminal::{self, Terminal, short};

/// What no replay on one GPU sees, said beside every figure.
const LEFT_OUT: &str =
    "GPU time holds no host, no collectives and no transfers between GPUs; their predictions are left out";

/// Steps with their predicted and measured times.
pub(super) struct Replayed {
    pub(super) header: RunHeader,
    /// Layers that were executed.
    pub(super) layers: u32,
    pub(super) steps: Vec<ScheduledStep>,
    /// One per step, in the same order.
    pub(super) pairs: Vec<StepPair>,
    /// One per step if they were executed here.
    pub(super) measured: Vec<MeasuredStep>,
    /// What the times are of.
    pub(super) contains: Contains,
    /// How many steps, and who measured.
    pub(super) by: String,
}

impl Replayed {
    /// Writes tables and figures; with `force` also removes tables of earlier results that are not written again.
    pub(super) fn write(&self, directory: &Path, force: bool) -> Result<Vec<PathBuf>, OutputError> {
        let [steps, operators, buckets] = REPLAY_TABLES;
        let mut paths = vec![write_whole(directory, steps, &steps_csv(&self.steps, &self.pairs, &self.measured))?];
        let all_layers = self.header.model.layer_count();
        let predicted = |step: &ScheduledStep, operator| step.operator_ns_of(operator, self.layers, all_layers);
        match operators_csv(&self.steps, &self.measured, predicted) {
            Some(table) => paths.push(write_whole(directory, operators, &table)?),
            None if force && directory.join(operators).exists() => {
                let stale = directory.join(operators);
                std::fs::remove_file(&stale).map_err(OutputError::write(&stale))?;
            }
            None => {}
        }
        if let Some(comparison) = Comparison::new(&self.pairs) {
            paths.push(write_whole(directory, buckets, &buckets_csv(&comparison))?);
        }
        let mut figures = FigureSet::default();
        figures.add("replay_scatter", self.figure().draw());
        paths.append(&mut figures.write(&directory.join("figures"), &Format::USUAL)?);
        Ok(paths)
    }

    fn figure(&self) -> ScatterFigure<'_> {
        let series = |phase: Phase| {
            let points = self.pairs.iter().filter(|pair| pair.phase == phase);
            ScatterSeries {
                label: phase.name(),
                points: points.map(|pair| (pair.median_ns() * 1e-9, pair.predicted_ns * 1e-9)).collect(),
            }
        };
        let series = Phase::ALL.into_iter().map(series).filter(|series| !series.points.is_empty());
        ScatterFigure { quantity: self.contains.quantity(), series: series.collect(), width: Width::Column }
    }

    /// Says it.
    pub(super) fn show(&self, paths: &[PathBuf], as_json: bool, terminal: Terminal) {
        let comparison = Comparison::new(&self.pairs);
        if as_json {
            return terminal::print_line(&self.json(comparison.as_ref(), paths).to_string());
        }
        if !terminal.talks() {
            return;
        }
        let header = &self.header;
        terminal::print_line(&format!(
            "{}, seed {}: {} predicted for {}, {}",
            header.system, header.seed, header.model.name, header.device, header.policy
        ));
        terminal::print_line(&format!("{}: {}", self.contains.quantity(), self.by));
        let Some(comparison) = comparison else { return terminal::print_line("no step was measured") };
        let mut table =
            new_table(terminal, &["steps", "", "count", "median |error|", "p90 |error|", "bias", "time bias"]);
        for (by, bucket) in comparison.buckets() {
            table.add_row(row(by, bucket));
        }
        terminal::print_line(&right_aligned(table).to_string());
        let drift = comparison.drift;
        terminal::print_line(&format!(
            "clock: {} at the end, at most {} (after step {})",
            signed(drift.at_end),
            signed(drift.largest),
            drift.largest_after_step
        ));
        terminal::print_line(&match comparison.noise {
            Some(noise) => format!(
                "noise floor: two passes differ by {} (median), {} (p90) over {} steps",
                percent(noise.median),
                percent(noise.p90),
                noise.steps
            ),
            None => "noise floor: unknown, as no step was measured twice".to_owned(),
        });
        terminal::print_line(&format!("predictions stand on: {}", self.evidence()));
        if self.contains == Contains::Kernels {
            terminal::print_line(&format!("{LEFT_OUT}."));
        }
        for (place, path) in paths.iter().enumerate() {
            terminal::print_line(&format!("{}  {}", if place == 0 { "Wrote:\n" } else { "" }, short(path)));
        }
    }

    /// Shares of the predicted time that is compared, by what it stands on.
    fn evidence(&self) -> String {
        let whole_ns = |evidence: Evidence| {
            let of_step = |step: &ScheduledStep| step.evidence_ns.get(&evidence).copied().unwrap_or(0);
            self.steps.iter().map(of_step).sum::<u64>() as f64
        };
        let (parts_ns, remark) = match (self.contains, self.kernels_evidence_ns()) {
            (Contains::Kernels, Some(kernels_ns)) => (kernels_ns, ""),
            (Contains::Kernels, None) => {
                (Evidence::ALL.map(whole_ns), " of whole steps (the schedule does not tell kernels apart)")
            }
            (Contains::Step, _) => (Evidence::ALL.map(whole_ns), ""),
        };
        let all_ns: f64 = parts_ns.iter().sum();
        let say =
            |(evidence, ns): (Evidence, f64)| format!("{} {:.1} %", evidence.name(), 100.0 * ns / all_ns.max(1.0));
        let parts: Vec<String> = Evidence::ALL.into_iter().zip(parts_ns).map(say).collect();
        parts.join(", ") + remark
    }

    /// Predicted time of the kernels that are compared by what it stands on, if the schedule tells it.
    fn kernels_evidence_ns(&self) -> Option<[f64; Evidence::COUNT]> {
        let all_layers = self.header.model.layer_count();
        let mut parts_ns = [0.0; Evidence::COUNT];
        for (part_ns, evidence) in parts_ns.iter_mut().zip(Evidence::ALL) {
            let of_step = |step: &ScheduledStep| step.kernels_evidence_ns_of(evidence, self.layers, all_layers);
            *part_ns = self.steps.iter().map(of_step).sum::<Option<f64>>()?;
        }
        Some(parts_ns)
    }

    fn json(&self, comparison: Option<&Comparison>, paths: &[PathBuf]) -> Value {
        let header = &self.header;
        let bucket = |(by, bucket): (&str, &Bucket)| {
            json!({
                "by": by, "bucket": bucket.label, "steps": bucket.count, "median_error": bucket.median,
                "p90_error": bucket.p90, "largest_error": bucket.largest, "bias": bucket.bias,
                "time_bias": bucket.time_bias, "measured_ms": bucket.measured_ns / 1e6,
            })
        };
        json!({
            "system": header.system, "seed": header.seed, "model": header.model.name, "device": header.device,
            "policy": header.policy, "layers": self.layers, "quantity": self.contains.quantity(), "measured": self.by,
            "buckets": comparison.map(|all| all.buckets().map(bucket).collect::<Vec<_>>()),
            "clock": comparison.map(|all| json!({
                "at_end": all.drift.at_end, "largest": all.drift.largest,
                "largest_after_step": all.drift.largest_after_step,
            })),
            "noise_floor": comparison.and_then(|all| all.noise).map(|noise| json!({
                "steps": noise.steps, "median": noise.median, "p90": noise.p90,
            })),
            "evidence": self.evidence(),
            "files": paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        })
    }
}

fn row(by: &str, bucket: &Bucket) -> [String; 7] {
    [
        by.to_owned(),
        if by == "all" { String::new() } else { bucket.label.clone() },
        bucket.count.to_string(),
        percent(bucket.median),
        percent(bucket.p90),
        signed(bucket.bias),
        signed(bucket.time_bias),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn signed(share: f64) -> String {
    let text = format!("{:+.2} %", 100.0 * share);
    if text == "+0.00 %" || text == "-0.00 %" { "0.00 %".to_owned() } else { text }
}
