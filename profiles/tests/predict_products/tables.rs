//! Reads the distilled tables of aiconfigurator.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use profiles::DType;
use profiles::predict::OperandFormat;
use profiles::table::{ExpertsRow, GemmRow, Scaling, Timing};

fn read<R>(path: &Path, mut row: impl FnMut(&dyn Fn(&str) -> String) -> Option<R>) -> Vec<R> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut table = csv::Reader::from_reader(GzDecoder::new(file));
    let header = table.headers().expect("a header").clone();
    let index = |name: &str| header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no `{name}`"));
    let mut rows = Vec::new();
    for record in table.records() {
        let record = record.expect("a row");
        rows.extend(row(&|name| record[index(name)].to_string()));
    }
    rows
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}

fn timing(milliseconds: &str) -> Timing {
    Timing::of_us(milliseconds.parse::<f64>().expect("a time") * 1e3)
}

fn format(name: &str) -> Option<OperandFormat> {
    let format = |weights, activations, scaling| Some(OperandFormat { weights, activations, scaling });
    match name {
        "bfloat16" => format(DType::Bf16, DType::Bf16, Scaling::None),
        "fp8" => format(DType::Fp8, DType::Fp8, Scaling::Tensor),
        "fp8_block" => format(DType::Fp8, DType::Fp8, Scaling::Block),
        "int4_wo" => format(DType::Int4, DType::Bf16, Scaling::None),
        _ => None,
    }
}

pub(crate) fn gemm(path: &Path) -> Vec<GemmRow> {
    read(path, |field| {
        let OperandFormat { weights, activations, scaling } = format(&field("gemm_dtype"))?;
        let [m, n, k] = ["m", "n", "k"].map(|name| number(&field(name)));
        Some(GemmRow { m, n, k, weights, activations, scaling, timing: timing(&field("latency_ms")) })
    })
}

pub(crate) fn experts(path: &Path) -> Vec<ExpertsRow> {
    read(path, |field| {
        let OperandFormat { weights, activations, scaling } = format(&field("moe_dtype"))?;
        let count = |name: &str| number(&field(name));
        Some(ExpertsRow {
            tokens: count("num_tokens"),
            hidden_size: count("hidden_size"),
            intermediate_size: count("inter_size") / count("moe_tp_size"),
            top_k: count("topk"),
            experts: count("num_experts"),
            local_experts: count("num_experts") / count("moe_ep_size"),
            routing: field("distribution"),
            touched_experts: None,
            weights,
            activations,
            scaling,
            timing: timing(&field("latency_ms")),
        })
    })
}
