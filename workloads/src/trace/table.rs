//! The header of a CSV trace and the fields of its rows.

use std::ops::Range;

use super::error::{RowError, quote};

/// Columns of a CSV file, and where the fields of the row at hand lie.
pub(super) struct Table {
    names: Vec<String>,
    fields: Vec<Range<usize>>,
}

/// A column that is there.
#[derive(Clone, Copy)]
pub(super) struct Column(usize);

impl Table {
    /// Columns named by the first line of a file.
    pub(super) fn new(header: &[u8]) -> Self {
        let mut fields = Vec::new();
        split(header, &mut fields);
        let names = fields.iter().map(|field| String::from_utf8_lossy(&header[field.clone()]).into_owned()).collect();
        Table { names, fields: Vec::new() }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The column of this name, if it is there; letter case and a unit in brackets (`Timestamp(s)`) do not matter.
    pub(super) fn find(&self, name: &str) -> Option<Column> {
        self.names.iter().position(|candidate| same_name(candidate, name)).map(Column)
    }

    /// The column of this number, counted from 0.
    pub(super) fn column(&self, index: usize) -> Column {
        debug_assert!(index < self.names.len(), "there are {} columns", self.names.len());
        Column(index)
    }

    /// Finds the fields of a row.
    pub(super) fn split(&mut self, line: &[u8]) -> Result<(), RowError> {
        split(line, &mut self.fields);
        if self.fields.len() == self.names.len() {
            return Ok(());
        }
        Err(RowError::whole(
            format!("{} fields ({})", self.fields.len(), quote(line, 60)),
            format!("{} as in the header ({})", self.names.len(), quote(self.names.join(",").as_bytes(), 60)),
        ))
    }

    /// The text in this column of the row that was split last.
    pub(super) fn text<'l>(&self, line: &'l [u8], column: Column) -> &'l [u8] {
        &line[self.fields[column.0].clone()]
    }

    /// The number in this column, as `parse` reads it; a fault is located in the column.
    pub(super) fn parse<T>(
        &self,
        line: &[u8],
        column: Column,
        parse: impl FnOnce(&[u8]) -> Result<T, RowError>,
    ) -> Result<T, RowError> {
        parse(self.text(line, column)).map_err(|error| error.in_column(column.0, &self.names[column.0]))
    }
}

/// Whether a column called `candidate` is meant by `name`.
pub(super) fn same_name(candidate: &str, name: &str) -> bool {
    let plain = candidate.split_once('(').map_or(candidate, |(plain, _)| plain).trim();
    plain.eq_ignore_ascii_case(name) || candidate.eq_ignore_ascii_case(name)
}

/// Ranges of the fields, without quotes and blanks around them. A comma inside quotes separates nothing.
fn split(line: &[u8], fields: &mut Vec<Range<usize>>) {
    fields.clear();
    let mut start = 0;
    let mut quoted = false;
    for (index, &byte) in line.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                fields.push(bare(line, start..index));
                start = index + 1;
            }
            _ => {}
        }
    }
    fields.push(bare(line, start..line.len()));
}

/// The range without blanks and one pair of quotes at its ends.
fn bare(line: &[u8], range: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = range;
    while start < end && line[start].is_ascii_whitespace() {
        start += 1;
    }
    while start < end && line[end - 1].is_ascii_whitespace() {
        end -= 1;
    }
    if end - start >= 2 && line[start] == b'"' && line[end - 1] == b'"' {
        start += 1;
        end -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Vec<&str> {
        let mut ranges = Vec::new();
        split(line.as_bytes(), &mut ranges);
        ranges.into_iter().map(|range| &line[range]).collect()
    }

    #[test]
    fn fields_lose_their_quotes_and_blanks() {
        assert_eq!(fields("1, 2 ,\"3\",\"a,b\","), ["1", "2", "3", "a,b", ""]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields("\""), ["\""]);
    }

    #[test]
    fn columns_are_found_whatever_their_case_and_unit() {
        let table = Table::new(b"Timestamp(s),\"Session ID\",MODEL");
        assert_eq!(table.find("timestamp").map(|column| column.0), Some(0));
        assert_eq!(table.find("Session ID").map(|column| column.0), Some(1));
        assert_eq!(table.find("Model").map(|column| column.0), Some(2));
        assert!(table.find("Time").is_none());
    }
}
