//! A case as an experiment file with its trace: what is simulated can be run by hand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use workloads::{ContentId, SimTime, Span as PromptSpan, TraceFormat, TraceRow, TraceWriter};

use super::case::{Case, Content, Request, Workload};
use super::error::NotScored;
use super::place::{EXPERIMENT, MARK, TRACE};
use crate::diagnostic::{Sources, Span};
use crate::experiment::{self, Experiment, KernelLibrary};
use crate::file;
use crate::file::resolved::quoted;

/// Content that a request shares with nobody is numbered from here, above all ids of prompts and blocks.
const OWN: u64 = 1 << 59;

/// Writes the experiment of a case into a folder, and reads it as `servesim run` would.
///
/// # Errors
/// What `servesim run` would find wrong with it; a folder that cannot be written.
pub(super) fn make(
    case: &Case,
    kernel_tables: &[PathBuf],
    settings: &[String],
    folder: &Path,
    library: &KernelLibrary,
) -> Result<Experiment, NotScored> {
    let failed =
        |path: &Path, error: std::io::Error| NotScored::Unreadable { path: path.to_owned(), why: error.to_string() };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    if let Workload::Requests { requests, .. } = &case.workload {
        write_trace(requests, &folder.join(TRACE))?;
    }
    let path = folder.join(EXPERIMENT);
    let text = toml(case, kernel_tables);
    std::fs::write(&path, &text).map_err(|error| failed(&path, error))?;
    let mut sources = Sources::default();
    let id = sources.add(path.display().to_string(), text, folder);
    let span = Span { source: id, start: 0, end: 0 };
    file::read(id, settings, &mut sources)
        .and_then(|root| experiment::resolve_with(&root, &path, span, &sources, library))
        .map_err(|problems| NotScored::Experiment(problems.brief()))
}

fn toml(case: &Case, kernel_tables: &[PathBuf]) -> String {
    let mut text = format!("{MARK}{} as an experiment, made by `servesim validate`.\n", case.name);
    for assumption in &case.assumptions {
        let _ = writeln!(text, "# Assumed: {assumption}");
    }
    let _ = writeln!(text, "name = {}\nseeds = [1]\nmodel = {}\n\n[workload]", quoted(&case.name), quoted(&case.model));
    match &case.workload {
        Workload::Requests { max_concurrency, .. } => {
            let _ = writeln!(text, "trace = \"{TRACE}\"\nformat = \"csv\"");
            if let Some(limit) = max_concurrency {
                let _ = writeln!(text, "max_concurrency = {limit}");
            }
        }
        Workload::Described { toml, .. } => text += toml,
    }
    let _ = writeln!(text, "\n[[system]]\nname = \"simulated\"\ngpu = {}", quoted(&case.gpu));
    for (key, toml) in &case.settings {
        let _ = writeln!(text, "{key} = {toml}");
    }
    if !kernel_tables.is_empty() {
        let paths: Vec<String> = kernel_tables.iter().map(|path| quoted(&path.to_string_lossy())).collect();
        let _ = writeln!(text, "kernel_tables = [{}]", paths.join(", "));
    }
    text + "\n[output]\nfigures = false\n"
}

fn write_trace(requests: &[Request], path: &Path) -> Result<(), NotScored> {
    let failed =
        |error: workloads::WorkloadError| NotScored::Simulation(format!("the trace cannot be written: {error}"));
    let mut writer = TraceWriter::create(path, TraceFormat::Csv, true).map_err(failed)?;
    for (index, request) in requests.iter().enumerate() {
        writer.write(&row(request, index as u64)).map_err(failed)?;
    }
    writer.finish().map(|_| ()).map_err(failed)
}

fn row(request: &Request, index: u64) -> TraceRow {
    let content = |number: u64| ContentId::from_trace(number).unwrap_or(ContentId::unique(number));
    let spans = match &request.content {
        Content::Own => None,
        Content::Prompt(id) => Some(vec![PromptSpan { content: content(*id), tokens: request.input_tokens }]),
        Content::Blocks { ids, tokens } => {
            let mut spans: Vec<_> =
                ids.iter().map(|id| PromptSpan { content: content(*id), tokens: *tokens }).collect();
            let rest = request.input_tokens - ids.len() as u32 * tokens;
            if rest > 0 {
                spans.push(PromptSpan { content: content(OWN + index), tokens: rest });
            }
            Some(spans)
        }
    };
    TraceRow {
        arrival: SimTime::from_secs_f64(request.arrival_s),
        input_tokens: request.input_tokens,
        output_tokens: request.output_tokens,
        spans,
        session: None,
        line: index + 2,
    }
}
