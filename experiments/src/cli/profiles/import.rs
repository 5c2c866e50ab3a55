//! `servesim profiles import`

mod files;
mod parquet;
mod print;
mod write;

use std::path::{Path, PathBuf};

use calibration::import::{self, Format, ImportError, Imported, Known, Meta, Recognised};
use clap::Args;
use profiles::table::is_calendar_date;
use profiles::{DeviceSpec, ModelSpec};

use crate::diagnostic::{Problem, Problems, Sources};
use crate::failure::Failure;
use crate::terminal::Terminal;
use files::Opened;
use write::Output;

/// What can be said to `import`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim profiles import H200_vllm_0.24.0_gemm.csv.gz -o tables\n  servesim profiles import \
                  LLMServingSim/profiler/perf -o tables --format llmservingsim\n\nThe formats are described in \
                  docs/importers.md. Nothing of a source is taken silently: every row that is left out is counted with its \
                  reason."
)]
pub(in crate::cli) struct ImportArgs {
    /// Files, or folders of files
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Where the tables go
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Whose format the sources have; recognised where it is not said
    #[arg(long, value_parser = ["aiconfigurator", "llmservingsim", "vidur", "splitwise", "distserve"])]
    format: Option<String>,
    /// The device that was measured: a shipped one or a device file. Sources that name another are refused
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// The model that was measured, where sources name one that is not shipped: a shipped one or a `config.json`
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Day of the measurement or of its publication, where sources do not say it
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    date: Option<String>,
    /// Replace tables that are there already
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn day(text: &str) -> Result<String, String> {
    if is_calendar_date(text) {
        return Ok(text.to_owned());
    }
    Err("expected a day of the calendar such as 2026-11-25".to_owned())
}

/// What became of one source.
struct Outcome {
    file: PathBuf,
    recognised: Option<Recognised>,
    result: Result<Done, ImportError>,
}

/// What was made of a source, and where it was written.
struct Done {
    imported: Imported,
    written: Vec<PathBuf>,
}

/// Imports every source and says what became of each.
pub(super) fn run(args: &ImportArgs, terminal: Terminal) -> Result<(), Failure> {
    let device = args.device.as_deref().map(device).transpose()?;
    let model = args.model.as_deref().map(model).transpose()?;
    let format: Option<Format> = args.format.as_deref().map(str::parse).transpose().map_err(Failure::Request)?;
    let known = Known { device: device.as_ref(), model: model.as_ref(), date: args.date.as_deref(), meta: None };
    let found = files::collect(&args.sources)?;
    if found.tables.is_empty() {
        return Err(Failure::Request(no_table(&args.sources, &found.others)));
    }
    let mut output = Output::new(&args.output, args.force)?;
    let mut outcomes = Vec::new();
    for file in &found.tables {
        outcomes.push(import_file(file, format, known, &mut output));
    }
    print::print(&outcomes, &found.others, args.json, terminal);
    let mut problems = Problems::default();
    for error in outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()) {
        problems.push(Problem::general(error.to_string()));
    }
    if !problems.is_empty() {
        return Err(Failure::input(problems, Sources::default()));
    }
    if outcomes.iter().all(|outcome| outcome.result.as_ref().is_ok_and(|done| done.written.is_empty())) {
        return Err(Failure::Request(no_row(&outcomes)));
    }
    Ok(())
}

/// What is said where no source holds a file of a known kind.
fn no_table(sources: &[PathBuf], others: &[PathBuf]) -> String {
    let names = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let there =
        if others.is_empty() { "the folder is empty".to_owned() } else { format!("there are {}", names(others)) };
    format!("{}: {there}; expected files that end in {}, plain or .gz", names(sources), files::TABLE_ENDS.join(", "))
}

/// What is said where no file holds a row that can be used: of each file, why.
fn no_row(outcomes: &[Outcome]) -> String {
    let why = |outcome: &Outcome| {
        let left_out = outcome.result.as_ref().map_or(0, |done| done.imported.report.left_out_rows());
        let why = match left_out {
            0 => "holds no row below the names of its columns".to_owned(),
            rows => format!("all of its rows were left out ({rows}; the table above says why)"),
        };
        format!("{}: {why}", outcome.file.display())
    };
    format!("no source held a row that can be used: {}", outcomes.iter().map(why).collect::<Vec<_>>().join("; "))
}

fn import_file(file: &Path, format: Option<Format>, known: Known<'_>, output: &mut Output) -> Outcome {
    let outcome = |recognised, result| Outcome { file: file.to_owned(), recognised, result };
    if file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
        let path = file.to_string_lossy().into_owned();
        let recognised = Recognised { format: Format::DistServe, kind: import::Kind::Coefficients, path };
        let result = expected(&recognised, format).and_then(|()| step_costs(file, known, output));
        return outcome(Some(recognised), result);
    }
    let opened = match files::open(file) {
        Ok(opened) => opened,
        Err(error) => return outcome(None, Err(error)),
    };
    let columns = opened.records.columns();
    let Some(recognised) = import::recognise(file, columns) else {
        let problem = if columns.first().is_some_and(|first| first.starts_with("# format")) {
            "this is a kernel table already; name it in `kernel_tables`".to_owned()
        } else {
            format!("this is none of the formats that can be imported; its columns are {}", columns.join(", "))
        };
        return outcome(None, Err(ImportError::Unrecognised { file: file.display().to_string(), problem }));
    };
    let result = expected(&recognised, format).and_then(|()| table(opened, &recognised, known, output));
    outcome(Some(recognised), result)
}

/// Refuses another format than was asked for.
fn expected(recognised: &Recognised, format: Option<Format>) -> Result<(), ImportError> {
    match format {
        Some(format) if format != recognised.format => Err(ImportError::Unrecognised {
            file: recognised.path.clone(),
            problem: format!("this is a file of {}, and --format says {format}", recognised.format),
        }),
        _ => Ok(()),
    }
}

fn table(opened: Opened, recognised: &Recognised, known: Known<'_>, output: &mut Output) -> Result<Done, ImportError> {
    let meta = match recognised.format {
        Format::LlmServingSim => files::meta(Path::new(&recognised.path))?,
        _ => None,
    };
    let meta: Option<Meta> = meta.map(|(path, text)| Meta::read(&text, &path.display().to_string())).transpose()?;
    let imported = import::import(recognised, opened.records, Known { meta: meta.as_ref(), ..known })?;
    let mut written = Vec::new();
    for table in &imported.tables {
        written.push(output.write(&table.stem, "csv", &table.table.write(), &recognised.path)?);
    }
    Ok(Done { imported, written })
}

fn step_costs(file: &Path, known: Known<'_>, output: &mut Output) -> Result<Done, ImportError> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| files::unreadable(file, None, &error))?;
    let mut written = Vec::new();
    let mut imported = Imported::default();
    for cost in import::step_costs(&text, &shown, known)? {
        written.push(output.write(&cost.stem, "toml", &cost.file.to_toml(&cost.comments), &shown)?);
        imported.report.read += 1;
    }
    imported.report.notes.push("step costs, for the key `step_cost` of a system".to_owned());
    Ok(Done { imported, written })
}

pub(super) fn device(name: &str) -> Result<DeviceSpec, Failure> {
    named(name, "toml", DeviceSpec::shipped, DeviceSpec::from_toml)
}

fn model(name: &str) -> Result<ModelSpec, Failure> {
    named(name, "json", ModelSpec::shipped, |text, path| ModelSpec::from_hf_config(text, path, path))
}

/// A shipped thing, or one described by a file that ends in `.{extension}`.
fn named<T>(
    name: &str,
    extension: &str,
    shipped: impl Fn(&str) -> Result<T, profiles::ProfileError>,
    from_text: impl Fn(&str, &str) -> Result<T, profiles::ProfileError>,
) -> Result<T, Failure> {
    let ends_so = Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case(extension));
    if !ends_so {
        return shipped(name).map_err(|error| Failure::Request(error.to_string()));
    }
    let text =
        std::fs::read_to_string(name).map_err(|error| Failure::Request(format!("cannot read {name}: {error}")))?;
    from_text(&text, name).map_err(|error| Failure::Request(error.to_string()))
}
