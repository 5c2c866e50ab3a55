//! Writing a table.

use super::read::digest;
use super::rows::{Row, each_kind};
use super::{KernelTable, TIMING_COLUMNS, Timing};

impl KernelTable {
    /// The table as the text of a file, with the digest of its rows in the header. Timing columns that no row uses are
    /// left out.
    pub fn write(&self) -> String {
        let body = each_kind!(&self.rows, rows => body(rows));
        let mut header = self.header.clone();
        header.digest = Some(digest(&body));
        let toml = toml::to_string(&header).expect("a header is TOML");
        let mut text = String::with_capacity(body.len() + toml.len() + 64);
        for line in toml.lines() {
            text.push_str(if line.is_empty() { "#" } else { "# " });
            text.push_str(line);
            text.push('\n');
        }
        text + &body
    }
}

fn body<R: Row>(rows: &[R]) -> String {
    let timings: Vec<[String; 7]> = rows.iter().map(|row| Timing::write(row.timing())).collect();
    let used: Vec<usize> = (0..TIMING_COLUMNS.len())
        .filter(|&column| column == 0 || timings.iter().any(|fields| !fields[column].is_empty()))
        .collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = R::COLUMNS.iter().map(|column| column.name);
    let written = |result: csv::Result<()>| result.expect("writing to memory does not fail");
    written(writer.write_record(names.chain(used.iter().map(|&column| TIMING_COLUMNS[column].name))));
    for (row, timing) in rows.iter().zip(&timings) {
        let recorded = used.iter().map(|&column| timing[column].clone());
        written(writer.write_record(row.shape().into_iter().chain(recorded)));
    }
    String::from_utf8(writer.into_inner().expect("writing to memory does not fail")).expect("fields are UTF-8")
}
