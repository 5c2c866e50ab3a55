//! The files of sources, and their records.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use calibration::import::{ImportError, Record, Records};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;

use super::parquet;
use crate::failure::Failure;

/// How names of files end that may be tables.
pub(super) const TABLE_ENDS: [&str; 4] = [".csv", ".parquet", "_perf.txt", "_coefficients.json"];

/// Files that may be tables, and what else lay in the folders.
pub(super) struct Found {
    pub(super) tables: Vec<PathBuf>,
    pub(super) others: Vec<PathBuf>,
}

/// A file whose columns are known.
pub(super) struct Opened {
    pub(super) records: Records<'static>,
}

/// The files of these sources, folders walked in the order of names.
///
/// # Errors
/// If a source is not there, cannot be walked, or a file is named twice: its rows would count twice.
pub(super) fn collect(sources: &[PathBuf]) -> Result<Found, Failure> {
    let mut found = Found { tables: Vec::new(), others: Vec::new() };
    for source in sources {
        if source.is_dir() {
            walk(source, &mut found)
                .map_err(|error| Failure::Request(format!("cannot read {}: {error}", source.display())))?;
        } else if source.is_file() {
            found.tables.push(source.clone());
        } else {
            return Err(Failure::Request(format!("there is no file or folder {}", source.display())));
        }
    }
    let mut seen: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    for file in &found.tables {
        let same = fs::canonicalize(file)
            .map_err(|error| Failure::Request(format!("cannot read {}: {error}", file.display())))?;
        if let Some(before) = seen.insert(same, file) {
            let (before, again) = (before.display(), file.display());
            return Err(Failure::Request(format!("{again} is the same file as {before}; name each file once")));
        }
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Found) -> io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found)?;
        } else if is_table(&path) {
            found.tables.push(path);
        } else if !is_meta(&path) {
            found.others.push(path);
        }
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn is_table(path: &Path) -> bool {
    let name = name(path);
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    TABLE_ENDS.iter().any(|end| plain.ends_with(end))
}

fn is_meta(path: &Path) -> bool {
    name(path).ends_with("meta.yaml")
}

/// A failure to read a file, said in full.
pub(super) fn unreadable(path: &Path, line: Option<u64>, error: &io::Error) -> ImportError {
    let problem = if error.kind() == io::ErrorKind::UnexpectedEof {
        "it ends in the middle: the file was cut; fetch it again".to_owned()
    } else {
        error.to_string()
    };
    ImportError::Unreadable { file: path.display().to_string(), line, problem }
}

/// Opens a file of records, CSV (with or without gzip) or Parquet.
pub(super) fn open(path: &Path) -> Result<Opened, ImportError> {
    let file = File::open(path).map_err(|error| unreadable(path, None, &error))?;
    let ends = |end: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(end));
    let records = if ends("parquet") {
        parquet::records(path, file)?
    } else if ends("gz") {
        csv_records(path, MultiGzDecoder::new(io::BufReader::new(file)))?
    } else {
        csv_records(path, io::BufReader::new(file))?
    };
    Ok(Opened { records })
}

fn csv_records(path: &Path, from: impl Read + 'static) -> Result<Records<'static>, ImportError> {
    let shown = path.to_owned();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(from);
    let names = reader.headers().map_err(|error| csv_error(path, &error))?;
    let columns: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    if columns.is_empty() {
        return Err(ImportError::Unreadable {
            file: path.display().to_string(),
            line: Some(1),
            problem: "it is empty; expected a line of column names".to_owned(),
        });
    }
    let mut record = StringRecord::new();
    let mut failed = false;
    let rows = std::iter::from_fn(move || {
        if failed {
            return None;
        }
        match reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                Some(Ok(Record { line, fields: record.iter().map(str::to_owned).collect() }))
            }
            Err(error) => {
                failed = true;
                Some(Err(csv_error(&shown, &error)))
            }
        }
    });
    Ok(Records::new(path.display().to_string(), columns, rows))
}

fn csv_error(path: &Path, error: &csv::Error) -> ImportError {
    let line = error.position().map(csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Io(error) => unreadable(path, line, error),
        csv::ErrorKind::Utf8 { .. } => ImportError::Unreadable {
            file: path.display().to_string(),
            line,
            problem: "this is no text in UTF-8".to_owned(),
        },
        _ => ImportError::Unreadable { file: path.display().to_string(), line, problem: error.to_string() },
    }
}

/// The `meta.yaml` of a profile and its text: `HARDWARE_MODEL_meta.yaml` beside the table, or `meta.yaml` beside it or in
/// the folder above.
pub(super) fn meta(table: &Path) -> Result<Option<(PathBuf, String)>, ImportError> {
    let folder = table.parent().unwrap_or(Path::new(""));
    let file = table.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.rfind("_tp").map(|at| folder.join(format!("{}_meta.yaml", &file[..at])));
    let inside = [Some(folder.join("meta.yaml")), folder.parent().map(|above| above.join("meta.yaml"))];
    let found = beside.into_iter().chain(inside.into_iter().flatten()).find(|path| path.is_file());
    found
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, None, &error))?;
            Ok((path, text))
        })
        .transpose()
}
