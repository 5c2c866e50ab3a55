//! Splitwise's whole forward passes of static batches, with power.
//!
//! Power is a fraction of the GPUs' design power, over a whole run of a prompt phase and many token phases: its peak
//! falls into the prompt phase, and its average is that of the token phase where prompts take little of the run. 0 means
//! not recorded.

use std::collections::BTreeMap;

use profiles::table::{Cache, Header, Kernel, Launch, PassPhase, PassRow, Rows, Timing};
use profiles::{DType, ModelSpec};

use super::error::ImportError;
use super::records::{Column, Record, Records, micros};
use super::report::{Rejected, Report};
use super::sink::Sink;
use super::{Imported, Known, NamedTable, find_device, slug};

const MICROS_PER_MILLI: f64 = 1000.0;

/// Prompts may take this share of a run whose average power is taken as that of the token phase.
const PROMPT_SHARE: f64 = 0.05;

/// Columns of a run.
struct Run {
    model: Column,
    prompt: Column,
    requests: Column,
    output: Column,
    tensor: Column,
    prompt_ms: Column,
    token_ms: Column,
    whole_ms: Column,
    peak: Column,
    average: Column,
}

impl Run {
    fn columns(records: &mut Records<'_>) -> Result<Self, ImportError> {
        let mut column = |name| records.column(&[name]);
        Ok(Self {
            model: column("model")?,
            prompt: column("prompt_tokens_per_request")?,
            requests: column("batch_size")?,
            output: column("output_tokens_per_request")?,
            tensor: column("tensor_parallel")?,
            prompt_ms: column("prompt_phase_ms")?,
            token_ms: column("time_per_output_token_ms")?,
            whole_ms: column("e2e_ms")?,
            peak: column("peak_power_fraction_of_tdp")?,
            average: column("average_power_fraction_of_tdp")?,
        })
    }

    /// The passes of a run: a prompt phase and a mean token phase.
    fn passes(&self, record: &Record, limit_w: f64) -> Result<[PassRow; 2], Rejected> {
        let (prompt_ms, token_ms) = (record.positive(self.prompt_ms)?, record.positive(self.token_ms)?);
        let whole_ms = record.positive(self.whole_ms)?;
        let prompt = record.count(self.prompt, 1)?;
        let asked = record.count(self.output, 1)?;
        // Runs end early where the model does, so what was generated follows from the times.
        let generated = f64::from(asked).min((whole_ms - prompt_ms).max(0.0) / token_ms + 1.0);
        let power_w = |column| record.positive(column).ok().map(|fraction| fraction * limit_w);
        let settled = prompt_ms <= PROMPT_SHARE * whole_ms;
        let pass = |phase, new_tokens, context_tokens, time_ms: f64, power_w| {
            Ok(PassRow {
                phase,
                model: model(record.text(self.model))?,
                tensor_parallel_size: record.count(self.tensor, 1)?,
                requests: record.count(self.requests, 1)?,
                new_tokens,
                context_tokens,
                weights: DType::Bf16,
                timing: Timing { power_w, ..Timing::of_us(micros(time_ms, MICROS_PER_MILLI)) },
            })
        };
        let context = prompt + (generated / 2.0).round() as u32;
        let average = power_w(self.average).filter(|_| settled);
        Ok([
            pass(PassPhase::Prompt, prompt, 0, prompt_ms, power_w(self.peak))?,
            pass(PassPhase::Token, 1, context, token_ms, average)?,
        ])
    }
}

fn model(name: &str) -> Result<String, Rejected> {
    match name {
        "llama2-70b" => Ok(ModelSpec::shipped("Llama-2-70B").map_or_else(|_| name.to_string(), |model| model.name)),
        "bloom-176b" => Ok("bigscience/bloom".to_string()),
        other => Err(Rejected::new(format!("unknown model `{other}`"), other)),
    }
}

pub(super) fn import(mut records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    let hardware = records.column(&["hardware"])?;
    let run = Run::columns(&mut records)?;
    let file = records.file().to_string();
    let mut report = Report::default();
    let unused = records.unused().join(", ");
    if !unused.is_empty() {
        report.note(format!("columns not used: {unused}"));
    }
    let mut sinks: BTreeMap<String, Sink<PassRow>> = BTreeMap::new();
    for record in records {
        let record = record?;
        report.read += 1;
        let name = record.text(hardware);
        if name.ends_with("-pcap") {
            let why = "not measured: made of the rows without a power cap, prompts 1.3 times as long";
            report.leave_out(record.line, Rejected::new(why, name));
            continue;
        }
        if !sinks.contains_key(name) {
            sinks.insert(name.to_string(), Sink::new(find_device(&file, name, known)?));
        }
        let Some(sink) = sinks.get_mut(name) else { unreachable!("it was just put there") };
        match run.passes(&record, sink.device().power_limit_w) {
            Ok(passes) => passes.into_iter().for_each(|pass| sink.take(record.line, Ok(pass), &mut report)),
            Err(why) => report.leave_out(record.line, why),
        }
    }
    report.note("each row of the source holds two passes");
    let mut tables = Vec::new();
    for sink in sinks.into_values() {
        let header = header(sink.device(), known);
        let stem = format!("{}_splitwise_pass", slug(&header.device));
        let table = sink.finish(header, Rows::Pass, (&file, run.prompt_ms.name()), &mut report)?;
        if !table.is_empty() {
            tables.push(NamedTable { stem, table });
        }
    }
    Ok(Imported { tables, report })
}

fn header(device: &profiles::DeviceSpec, known: Known<'_>) -> Header {
    let source = "Splitwise (Microsoft, MIT), static batches on a DGX";
    let date = known.date.unwrap_or("unknown");
    let mut header = Header::new(Kernel::Pass, &device.name, Cache::Cold, Launch::Unknown, source, date);
    header.power_limit_w = Some(device.power_limit_w);
    header.notes = Some(format!(
        "power is the source's fraction of design power times {} W: for prompts the peak of the run, an upper bound of their \
         mean; for tokens the average of the run where prompts took at most {:.0} % of it, else empty",
        device.power_limit_w,
        100.0 * PROMPT_SHARE
    ));
    header
}
