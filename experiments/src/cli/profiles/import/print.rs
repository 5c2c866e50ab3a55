//! What became of the sources.

use std::collections::BTreeSet;
use std::path::PathBuf;

use calibration::import::{LeftOut, Report};
use serde_json::{Value, json};

use super::{Done, Outcome};
use crate::cli::profiles::{new_table, right_aligned};
use crate::terminal::{self, Terminal, short};

/// Prints a table of files, and below it why rows were left out.
pub(super) fn print(outcomes: &[Outcome], others: &[PathBuf], as_json: bool, terminal: Terminal) {
    if as_json {
        let files: Vec<Value> = outcomes.iter().map(outcome_json).collect();
        let others: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
        terminal::print_line(&json!({ "files": files, "not_tables": others }).to_string());
        return;
    }
    if !terminal.talks() {
        return;
    }
    let name = names(outcomes);
    let mut table = new_table(terminal, &["file", "format", "device", "kernel", "rows read", "rows taken", "left out"]);
    for outcome in outcomes {
        for row in rows(outcome, name(outcome)) {
            table.add_row(row);
        }
    }
    terminal::print_line(&right_aligned(table).to_string());
    for outcome in outcomes {
        let Ok(done) = &outcome.result else { continue };
        let file = name(outcome);
        for (reason, left_out) in &done.imported.report.left_out {
            terminal::print_line(&format!("{file}: {}", left_out_line(reason, left_out)));
        }
        for note in &done.imported.report.notes {
            terminal::print_line(&format!("{file}: note: {note}"));
        }
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|path| short(path)).collect();
        terminal::print_line(&format!("not read, because they are no tables: {}", names.join(", ")));
    }
    let written: usize =
        outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()).map(|done| done.written.len()).sum();
    terminal::print_line(&format!("wrote {written} {}", if written == 1 { "file" } else { "files" }));
}

fn left_out_line(reason: &str, left_out: &LeftOut) -> String {
    let LeftOut { rows, first_line, example } = left_out;
    let such = if example.is_empty() { String::new() } else { format!(" ({example})") };
    format!("{rows} left out: {reason}; first on line {first_line}{such}")
}

/// How files are called: by their names where these tell them apart, else by their paths.
fn names(outcomes: &[Outcome]) -> impl Fn(&Outcome) -> String {
    let name = |outcome: &Outcome| outcome.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let distinct = outcomes.iter().map(name).collect::<BTreeSet<_>>().len() == outcomes.len();
    move |outcome| name(outcome).filter(|_| distinct).unwrap_or_else(|| short(&outcome.file))
}

/// A line for each kind of kernel that a file gave.
fn rows(outcome: &Outcome, file: String) -> Vec<[String; 7]> {
    let format = outcome.recognised.as_ref().map_or("-", |recognised| recognised.format.name()).to_owned();
    let none = || "-".to_owned();
    let Ok(Done { imported, written }) = &outcome.result else {
        return vec![[file, format, none(), "failed".to_owned(), none(), none(), none()]];
    };
    let Report { devices, taken, read, .. } = &imported.report;
    let left_out = imported.report.left_out_rows().to_string();
    let device = if devices.is_empty() { none() } else { devices.join(", ") };
    let taken: Vec<_> = taken.iter().filter(|(_, rows)| **rows > 0).collect();
    if taken.is_empty() {
        let kind = if written.is_empty() { none() } else { "step cost".to_owned() };
        let taken = if written.is_empty() { "0".to_owned() } else { written.len().to_string() };
        return vec![[file, format, device, kind, read.to_string(), taken, left_out]];
    }
    let line = |(n, (kernel, rows)): (usize, &(&profiles::table::Kernel, &u64))| {
        let once = |text: &str| if n == 0 { text.to_owned() } else { String::new() };
        let (kernel, rows) = (kernel.to_string(), rows.to_string());
        [once(&file), once(&format), once(&device), kernel, once(&read.to_string()), rows, once(&left_out)]
    };
    taken.iter().enumerate().map(line).collect()
}

fn outcome_json(outcome: &Outcome) -> Value {
    let mut value = json!({
        "file": outcome.file.display().to_string(),
        "format": outcome.recognised.as_ref().map(|recognised| recognised.format.name()),
    });
    match &outcome.result {
        Ok(Done { imported, written }) => {
            let report = &imported.report;
            value["devices"] = json!(report.devices);
            value["rows_read"] = json!(report.read);
            value["rows_taken"] = report.taken.iter().map(|(kernel, rows)| (kernel.to_string(), json!(rows))).collect();
            let left_out = |(reason, left_out): (&String, &LeftOut)| {
                json!({
                    "reason": reason,
                    "rows": left_out.rows,
                    "first_line": left_out.first_line,
                    "example": left_out.example,
                })
            };
            value["left_out"] = report.left_out.iter().map(left_out).collect();
            value["notes"] = json!(report.notes);
            value["written"] = written.iter().map(|path| path.display().to_string()).collect();
        }
        Err(error) => value["error"] = error.to_string().into(),
    }
    value
}
