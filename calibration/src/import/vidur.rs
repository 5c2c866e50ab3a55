//! Vidur's operator times and collectives.
//!
//! `layers`: milliseconds of each operator of one layer by model, tokens and tensor-parallel GPUs, launched one by one by
//! `PyTorch`, rounded to 0.5 or 1 µs; the dimensions of the model are in the row. `collectives`: milliseconds by message
//! size in bytes (16-bit elements), the slowest rank's median.

mod collectives;

use std::collections::BTreeMap;

use profiles::table::{Cache, ElementwiseRow, GemmRow, Header, Launch, Row, Rows, Scaling, Timing};
use profiles::{DType, DeviceSpec};

use super::error::ImportError;
use super::format::{Kind, Recognised};
use super::plausible::Floor;
use super::records::{Column, Record, Records, micros};
use super::report::{Rejected, Report};
use super::sink::Sink;
use super::{Imported, Known, NamedTable, find_device, slug};

const MICROS_PER_MILLI: f64 = 1000.0;
const ACTIVATION_BYTES: u64 = 2;
/// Rows from which times of products tell their sizes.
const MANY_TOKENS: u32 = 2048;

pub(super) fn import(recognised: &Recognised, records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    match recognised.kind {
        Kind::VidurLayers => layers(records, known),
        Kind::VidurCollectives => collectives::collectives(records, known),
        other => unreachable!("{other:?} is no table of Vidur"),
    }
}

/// Dimensions of a row, on one GPU.
struct Layer {
    tokens: u32,
    hidden: u32,
    query: u32,
    key_value: u32,
    width: u32,
}

/// Columns of dimensions.
struct Dimensions {
    model: Column,
    tokens: Column,
    tensor: Column,
    heads: Column,
    kv_heads: Column,
    hidden: Column,
    width: Column,
}

impl Dimensions {
    fn columns(records: &mut Records<'_>) -> Result<Self, ImportError> {
        let mut column = |name| records.column(&[name]);
        Ok(Self {
            model: column("model")?,
            tokens: column("num_tokens")?,
            tensor: column("tp")?,
            heads: column("n_head")?,
            kv_heads: column("n_kv_head")?,
            hidden: column("n_embd")?,
            width: column("n_expanded_embd")?,
        })
    }

    fn read(&self, record: &Record) -> Result<Layer, Rejected> {
        let tensor = record.count(self.tensor, 1)?;
        let (heads, kv_heads) = (record.count(self.heads, 1)?, record.count(self.kv_heads, 1)?);
        let (hidden, width) = (record.count(self.hidden, 1)?, record.count(self.width, 1)?);
        if !heads.is_multiple_of(tensor) || !hidden.is_multiple_of(heads) || !width.is_multiple_of(tensor) {
            let shown = format!("{heads} heads, hidden {hidden}, width {width}, {tensor} GPUs");
            return Err(Rejected::new("heads or widths are not divided evenly", shown));
        }
        let head_dim = hidden / heads;
        Ok(Layer {
            tokens: record.count(self.tokens, 1)?,
            hidden,
            query: heads / tensor * head_dim,
            key_value: kv_heads.div_ceil(tensor) * head_dim,
            width: width / tensor,
        })
    }
}

/// One operator of a layer.
#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Embedding,
    Norm,
    Qkv,
    Rotary,
    Output,
    Up,
    Activation,
    Down,
    Add,
}

/// The columns of times and what they time.
const OPERATORS: [(&str, Operator); 10] = [
    ("emb_ms", Operator::Embedding),
    ("input_layernorm_ms", Operator::Norm),
    ("attn_pre_proj_ms", Operator::Qkv),
    ("attn_rope_ms", Operator::Rotary),
    ("attn_post_proj_ms", Operator::Output),
    ("post_attention_layernorm_ms", Operator::Norm),
    ("mlp_up_proj_ms", Operator::Up),
    ("mlp_act_ms", Operator::Activation),
    ("mlp_down_proj_ms", Operator::Down),
    ("add_ms", Operator::Add),
];

fn layers(mut records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    let gpu = records.column(&["gpu"])?;
    let dimensions = Dimensions::columns(&mut records)?;
    let mut times = Vec::new();
    for (name, operator) in OPERATORS {
        times.push((records.column(&[name])?, operator));
    }
    records.maybe_column(&["vocab_size"]);
    let file = records.file().to_string();
    let mut report = Report::default();
    let unused = records.unused().join(", ");
    if !unused.is_empty() {
        report.note(format!("columns not used: {unused}"));
    }
    let all: Vec<Record> = records.collect::<Result<_, _>>()?;
    let gated = gated_models(&all, &dimensions, &times, &mut report);
    let mut sinks: BTreeMap<String, (Sink<GemmRow>, Sink<ElementwiseRow>)> = BTreeMap::new();
    for record in &all {
        report.read += 1;
        let name = record.text(gpu);
        if !sinks.contains_key(name) {
            let device = find_device(&file, name, known)?;
            sinks.insert(name.to_string(), (Sink::new(device.clone()), Sink::new(device)));
        }
        let Some((gemm, elementwise)) = sinks.get_mut(name) else { unreachable!("it was just put there") };
        let layer = match dimensions.read(record) {
            Ok(layer) => layer,
            Err(why) => {
                report.leave_out(record.line, why);
                continue;
            }
        };
        let gated = gated.get(record.text(dimensions.model)).copied();
        for &(time, operator) in &times {
            let timing = record.positive(time).map(|time_ms| Timing::of_us(micros(time_ms, MICROS_PER_MILLI)));
            match timing.and_then(|timing| row(&layer, operator, gated, timing)) {
                Ok(LayerRow::Gemm(row)) => gemm.take(record.line, Ok(row), &mut report),
                Ok(LayerRow::Elementwise(row)) => elementwise.take(record.line, Ok(row), &mut report),
                Err(why) => report.leave_out(record.line, why),
            }
        }
    }
    report.note(format!("each row of the source holds {} times", OPERATORS.len()));
    let mut tables = Vec::new();
    for (gemm, elementwise) in sinks.into_values() {
        tables.extend(finish(gemm, Rows::Gemm, &file, "mlp_up_proj_ms", known, &mut report)?);
        tables.extend(finish(elementwise, Rows::Elementwise, &file, "add_ms", known, &mut report)?);
    }
    Ok(Imported { tables, report })
}

fn finish<R: Row + Floor>(
    sink: Sink<R>,
    wrap: impl FnOnce(Vec<R>) -> Rows,
    file: &str,
    column: &str,
    known: Known<'_>,
    report: &mut Report,
) -> Result<Option<NamedTable>, ImportError> {
    let device: DeviceSpec = sink.device().clone();
    let source = "Vidur (Microsoft, MIT), medians of operators launched by PyTorch";
    let date = known.date.unwrap_or("unknown");
    let mut header = Header::new(R::KERNEL, &device.name, Cache::Unknown, Launch::Eager, source, date);
    header.notes = Some("times are rounded to 0.5 or 1 us; short ones hold their launches".to_string());
    let table = sink.finish(header, wrap, (file, column), report)?;
    let stem = format!("{}_vidur_{}", slug(&device.name), R::KERNEL);
    Ok((!table.is_empty()).then_some(NamedTable { stem, table }))
}

/// Which models have a gated network, whose first product is twice as wide. The source does not say; the ratio of the
/// times of both products over many tokens does, being 2 or 1.
fn gated_models(
    records: &[Record],
    dimensions: &Dimensions,
    times: &[(Column, Operator)],
    report: &mut Report,
) -> BTreeMap<String, bool> {
    let time = |record: &Record, of: Operator| {
        let column = times.iter().find(|(_, operator)| *operator == of).map(|(column, _)| *column);
        column.and_then(|column| record.positive(column).ok())
    };
    let mut ratios: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in records {
        let many = record.count(dimensions.tokens, 1).is_ok_and(|tokens| tokens >= MANY_TOKENS);
        if let (true, Some(up), Some(down)) = (many, time(record, Operator::Up), time(record, Operator::Down)) {
            ratios.entry(record.text(dimensions.model).to_string()).or_default().push(up / down);
        }
    }
    let mut gated = BTreeMap::new();
    for (model, mut ratios) in ratios {
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        let (is, clear) = (median > 1.5, (1.75..2.3).contains(&median) || (0.8..1.25).contains(&median));
        if clear {
            report.note(format!(
                "{model}: feed-forward network {} a gate (its first product takes {median:.2} times as long as its second)",
                if is { "with" } else { "without" }
            ));
            gated.insert(model, is);
        }
    }
    gated
}

enum LayerRow {
    Gemm(GemmRow),
    Elementwise(ElementwiseRow),
}

fn row(layer: &Layer, operator: Operator, gated: Option<bool>, timing: Timing) -> Result<LayerRow, Rejected> {
    let gemm = |n, k| {
        Ok(LayerRow::Gemm(GemmRow {
            m: layer.tokens,
            n,
            k,
            weights: DType::Bf16,
            activations: DType::Bf16,
            scaling: Scaling::None,
            timing,
        }))
    };
    let elementwise = |operation: &str, width: u32, passes: u64| {
        Ok(LayerRow::Elementwise(ElementwiseRow {
            operation: operation.to_string(),
            rows: layer.tokens,
            width,
            bytes: u64::from(layer.tokens) * u64::from(width) * passes * ACTIVATION_BYTES,
            timing,
        }))
    };
    let gate = || gated.ok_or_else(|| Rejected::new("whether the feed-forward network has a gate is not clear", ""));
    match operator {
        Operator::Embedding => elementwise("embedding", layer.hidden, 2),
        // The residual is added by an operator of its own, whose time is another column.
        Operator::Norm => elementwise("plain_rms_norm", layer.hidden, 2),
        Operator::Qkv => gemm(layer.query + 2 * layer.key_value, layer.hidden),
        Operator::Rotary => elementwise("rotary", layer.query + layer.key_value, 2),
        Operator::Output => gemm(layer.hidden, layer.query),
        Operator::Up => gemm(if gate()? { 2 * layer.width } else { layer.width }, layer.hidden),
        Operator::Activation if gate()? => elementwise("silu_mul", layer.width, 3),
        Operator::Activation => elementwise("activation", layer.width, 2),
        Operator::Down => gemm(layer.hidden, layer.width),
        Operator::Add => elementwise("add", layer.hidden, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_do_not_add_the_residual_and_activations_have_the_names_of_kernel_tables() {
        let layer = Layer { tokens: 3, hidden: 4096, query: 4096, key_value: 1024, width: 14_336 };
        let small = |operator, gated| match row(&layer, operator, Some(gated), Timing::of_us(3.0)) {
            Ok(LayerRow::Elementwise(row)) => (row.operation, row.width, row.bytes),
            _ => panic!("it is a small kernel"),
        };
        assert_eq!(small(Operator::Norm, true), ("plain_rms_norm".to_owned(), 4096, 3 * 2 * 4096 * 2));
        assert_eq!(small(Operator::Activation, true), ("silu_mul".to_owned(), 14_336, 3 * 3 * 14_336 * 2));
        assert_eq!(small(Operator::Activation, false), ("activation".to_owned(), 14_336, 3 * 2 * 14_336 * 2));
    }
}
