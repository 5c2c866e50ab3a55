//! Reading a table.

use csv::{ReaderBuilder, StringRecord};
use sha2::{Digest, Sha256};

use super::error::{FieldError, TableError, TableWarning};
use super::fields::Fields;
use super::header::{FORMAT, Header, is_calendar_date};
use super::kernel::Kernel;
use super::rows::{Row, Rows, each_kind};
use super::{KernelTable, TIMING_COLUMNS};

/// Times of one shape may differ by this part before a reader is told.
const AGREEMENT: f64 = 0.1;
/// What a header says where the day is not known.
const UNKNOWN_DATE: &str = "unknown";

impl KernelTable {
    /// Reads a table. `file` is the name used in errors.
    ///
    /// # Errors
    ///
    /// If the header is missing, wrong or of another version, a column is missing or unknown, a field is not what its
    /// column holds (a time must be finite and above 0), or the rows do not match the digest.
    pub fn read(text: &str, file: &str) -> Result<(Self, Vec<TableWarning>), TableError> {
        let (header_text, body, first_line) = split(text);
        let header = header(&header_text, file)?;
        let wrong = |problem| TableError::Header { file: file.to_string(), problem };
        let kernel: Kernel = header.kernel.parse().map_err(wrong)?;
        check_digest(&header, body, file)?;
        let mut rows = Rows::none(kernel);
        let source = Source { file, body, first_line };
        let mut warnings = Vec::new();
        each_kind!(&mut rows, rows => *rows = source.rows(&mut warnings)?);
        Ok((Self { header, rows }, warnings))
    }
}

/// Header without its marks, what follows, and the line on which that starts.
fn split(text: &str) -> (String, &str, u64) {
    let mut header = String::new();
    let mut body = text;
    let mut line = 1;
    while let Some(marked) = body.strip_prefix('#') {
        let (this, rest) = marked.split_once('\n').unwrap_or((marked, ""));
        header.push_str(this.trim_end_matches('\r'));
        header.push('\n');
        body = rest;
        line += 1;
    }
    (header, body, line)
}

fn header(text: &str, file: &str) -> Result<Header, TableError> {
    let wrong = |problem: String| TableError::Header { file: file.to_string(), problem };
    if text.is_empty() {
        let problem = "there is none; a kernel table starts with lines of TOML behind `# `, such as `# format = 1`";
        return Err(wrong(problem.to_string()));
    }
    let parsed: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_string()))?;
    match parsed.get("format").and_then(toml::Value::as_integer) {
        Some(version) if version == i64::from(FORMAT) => {}
        Some(version) => return Err(wrong(format!("format = {version} is not known; this program reads {FORMAT}"))),
        None => return Err(wrong(format!("`format` is missing; write `# format = {FORMAT}`"))),
    }
    let header: Header = toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_string()))?;
    if header.date != UNKNOWN_DATE && !is_calendar_date(&header.date) {
        let date = &header.date;
        return Err(wrong(format!(
            "date = \"{date}\" is no day; expected one such as 2026-11-25, or `{UNKNOWN_DATE}`"
        )));
    }
    Ok(header)
}

/// Digest of what follows the header.
pub(super) fn digest(body: &str) -> String {
    let hex = |byte: &u8| format!("{byte:02x}");
    format!("sha256:{}", Sha256::digest(body).iter().map(hex).collect::<String>())
}

fn check_digest(header: &Header, body: &str, file: &str) -> Result<(), TableError> {
    let found = digest(body);
    match &header.digest {
        Some(expected) if *expected != found => {
            Err(TableError::Digest { file: file.to_string(), expected: expected.clone(), found })
        }
        _ => Ok(()),
    }
}

/// The CSV part of a file.
struct Source<'a> {
    file: &'a str,
    body: &'a str,
    first_line: u64,
}

impl Source<'_> {
    fn rows<R: Row>(&self, warnings: &mut Vec<TableWarning>) -> Result<Vec<R>, TableError> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(self.body.as_bytes());
        let columns: Vec<String> = match reader.headers() {
            Ok(names) => names.iter().map(|name| name.trim().to_string()).collect(),
            Err(error) => return Err(self.row_error(self.first_line, error.to_string())),
        };
        self.check_columns::<R>(&columns)?;
        let mut rows: Vec<R> = Vec::new();
        let mut lines = Vec::new();
        let mut record = StringRecord::new();
        loop {
            let more = reader.read_record(&mut record).map_err(|error| self.row_error(0, error.to_string()))?;
            if !more {
                break;
            }
            let line = record.position().map_or(0, csv::Position::line) + self.first_line - 1;
            if record.len() != columns.len() {
                let problem = format!("{} fields, but {} columns", record.len(), columns.len());
                return Err(self.row_error(line, problem));
            }
            let row = R::read(&Fields::new(&columns, &record));
            rows.push(row.map_err(|error| self.field_error(line, error))?);
            lines.push(line);
        }
        warnings.extend(self.repeated(&rows, &lines));
        Ok(rows)
    }

    fn check_columns<R: Row>(&self, columns: &[String]) -> Result<(), TableError> {
        let wrong = |problem| TableError::Columns { file: self.file.to_string(), line: self.first_line, problem };
        let known = || R::COLUMNS.iter().chain(&TIMING_COLUMNS).map(|column| column.name);
        for column in R::COLUMNS.iter().chain(&TIMING_COLUMNS[..1]) {
            // Where nothing was recorded, the column may be left out.
            if column.name != "touched_experts" && !columns.iter().any(|name| name == column.name) {
                let problem =
                    format!("column `{}` ({}) is missing from a table of {}", column.name, column.about, R::KERNEL);
                return Err(wrong(problem));
            }
        }
        for (index, name) in columns.iter().enumerate() {
            if !known().any(|known| known == name) {
                let near = known().min_by_key(|known| strsim::osa_distance(known, name)).unwrap_or_default();
                return Err(wrong(format!("column `{name}` is not one of a table of {}; is it `{near}`?", R::KERNEL)));
            }
            if columns[..index].contains(name) {
                return Err(wrong(format!("column `{name}` is there twice")));
            }
        }
        Ok(())
    }

    /// Shapes that occur more than once with times that differ too much.
    fn repeated<R: Row>(&self, rows: &[R], lines: &[u64]) -> Option<TableWarning> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| rows[a].cmp_shape(&rows[b]));
        let time = |&index: &usize| rows[index].timing().time_us;
        let disagree = |indices: &&[usize]| {
            let least = indices.iter().map(time).fold(f64::INFINITY, f64::min);
            let most = indices.iter().map(time).fold(0.0, f64::max);
            most > least * (1.0 + AGREEMENT)
        };
        let alike = |&a: &usize, &b: &usize| rows[a].cmp_shape(&rows[b]).is_eq();
        let mut doubtful: Vec<&[usize]> = order.chunk_by(alike).filter(disagree).collect();
        doubtful.sort_unstable();
        let first = doubtful.first()?;
        let places: Vec<String> =
            first.iter().map(|index| format!("line {}: {} us", lines[*index], time(index))).collect();
        let problem = format!(
            "{} {} more than once with times that differ by more than {:.0} % ({}); their median is used",
            doubtful.len(),
            if doubtful.len() == 1 { "shape occurs" } else { "shapes occur" },
            AGREEMENT * 100.0,
            places.join(", "),
        );
        Some(TableWarning { file: self.file.to_string(), count: doubtful.len() as u64, problem })
    }

    fn row_error(&self, line: u64, problem: String) -> TableError {
        if line == 0 {
            return TableError::Unreadable { file: self.file.to_string(), problem };
        }
        TableError::Row { file: self.file.to_string(), line, problem }
    }

    fn field_error(&self, line: u64, error: FieldError) -> TableError {
        TableError::Field {
            file: self.file.to_string(),
            line,
            column: error.column.to_string(),
            problem: error.problem,
        }
    }
}

#[cfg(test)]
mod tests;
