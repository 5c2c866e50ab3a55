//! `plan.csv`: every deployment, what came out or why it was not simulated.

use profiles::Evidence;

use super::super::placement::Shape;
use super::family::Family;
use super::judge::Judged;
use super::search::Fate;
use super::{Found, Row};
use crate::experiment::Experiment;

/// Columns of `plan.csv` where whole deployments are searched.
const HEADER: [&str; 34] = [
    "deployment",
    "system",
    "gpu",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "replicas",
    "decode_gpu",
    "decode_tensor_parallel_size",
    "decode_pipeline_parallel_size",
    "decode_data_parallel_size",
    "decode_replicas",
    "max_num_batched_tokens",
    "gpus",
    "usd_per_hour",
    "decode_usd_per_hour",
    "status",
    "reason",
    "demand",
    "wanted",
    "attainment",
    "attainment_half_width",
    "beyond_noise",
    "clearly_misses",
    "median_ttft_ms",
    "p99_ttft_ms",
    "mean_tpot_ms",
    "p99_itl_ms",
    "energy_j_per_output_token",
    "measured_time_share",
    "fitted_time_share",
    "extrapolated_time_share",
    "frontier",
    "winner",
];

impl Fate {
    /// In a word.
    pub(super) fn status(&self) -> &'static str {
        match self {
            Fate::Judged(judged) if judged.holds => "serves",
            Fate::Judged(_) => "misses",
            Fate::CannotBe(_) => "cannot be",
            Fate::Dearer | Fate::Late(_) | Fate::BelowMissing(_) => "not simulated",
        }
    }

    /// Why it was not simulated; empty if it was.
    pub(super) fn reason(&self, family: &Family) -> String {
        match self {
            Fate::Judged(_) => String::new(),
            Fate::CannotBe(reason) => reason.clone(),
            Fate::Dearer => "costs more than is asked for".to_owned(),
            Fate::Late(late) => format!(
                "{} come too fast for any schedule: at most {:.1} % of requests are in time, and {:.1} % are asked for",
                late.phase,
                100.0 * late.at_most,
                100.0 * late.wanted
            ),
            Fate::BelowMissing(replicas) => {
                format!("`{}`, no smaller, clearly misses the objectives", family.name(replicas))
            }
        }
    }
}

/// The table.
pub(super) fn csv(experiment: &Experiment, found: &Found) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).expect("memory takes it");
    for (index, row) in found.rows.iter().enumerate() {
        writer.write_record(record(experiment, row, found.winner == Some(index))).expect("memory takes it");
    }
    for (family, reason) in &found.cannot {
        let any = vec![1; family.shapes.len()];
        let name = family.name(&any).replace("1 x ", "any x ");
        let mut record = described(family, name, None).to_vec();
        record.extend([String::new(), String::new(), String::new(), "cannot be".to_owned(), reason.clone()]);
        record.resize(HEADER.len() - 2, String::new());
        record.extend(["false".to_owned(), "false".to_owned()]);
        writer.write_record(record).expect("memory takes it");
    }
    String::from_utf8(writer.into_inner().expect("memory takes it")).expect("text goes in")
}

fn record(experiment: &Experiment, row: &Row, winner: bool) -> Vec<String> {
    let Row { family, deployment, on_frontier } = row;
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let judged = deployment.judged();
    let figures = judged.map(|judged| judged.figures);
    let mut record = described(family, row.name(), Some(&deployment.replicas)).to_vec();
    record.extend([
        deployment.gpus.to_string(),
        deployment.usd_per_hour.to_string(),
        number(deployment.decode_usd_per_hour),
        deployment.fate.status().to_owned(),
        deployment.fate.reason(family),
        judged.map(|judged| experiment.demands[judged.tightest.0].limit.name().to_owned()).unwrap_or_default(),
        number(judged.map(|judged| judged.wanted(experiment))),
        number(judged.map(Judged::attainment)),
        number(judged.and_then(Judged::half_width)),
        judged.and_then(|judged| judged.certain).map(|certain| certain.to_string()).unwrap_or_default(),
        judged.map(|judged| judged.clearly_misses.to_string()).unwrap_or_default(),
        number(figures.and_then(|figures| figures.median_ttft_ms)),
        number(figures.and_then(|figures| figures.p99_ttft_ms)),
        number(figures.and_then(|figures| figures.mean_tpot_ms)),
        number(figures.and_then(|figures| figures.p99_itl_ms)),
        number(figures.and_then(|figures| figures.energy_j_per_output_token)),
    ]);
    record.extend((0..Evidence::COUNT).map(|kind| number(figures.and_then(|figures| figures.evidence[kind]))));
    record.extend([on_frontier.to_string(), winner.to_string()]);
    record
}

/// The columns that say what a deployment is.
fn described(family: &Family, name: String, replicas: Option<&[u32]>) -> [String; 13] {
    let count = |pool: usize| replicas.map(|replicas| replicas[pool].to_string()).unwrap_or_default();
    let shape = |pool: usize| match family.shapes.get(pool) {
        Some(Shape { gpu, tensor, pipeline, data }) => [
            gpu.clone().unwrap_or_default(),
            tensor.to_string(),
            pipeline.to_string(),
            data.map(|data| data.to_string()).unwrap_or_default(),
            count(pool),
        ],
        None => Default::default(),
    };
    let ([gpu, tensor, pipeline, data, count], [decode_gpu, decode_tensor, decode_pipeline, decode_data, decode_count]) =
        (shape(0), shape(1));
    [
        name,
        family.system.clone(),
        gpu,
        tensor,
        pipeline,
        data,
        count,
        decode_gpu,
        decode_tensor,
        decode_pipeline,
        decode_data,
        decode_count,
        family.budget.map(|budget| budget.to_string()).unwrap_or_default(),
    ]
}
