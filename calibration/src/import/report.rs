//! What an import took and what it left out.

use std::collections::BTreeMap;

use profiles::table::Kernel;

/// Rows that were left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Rows.
    pub rows: u64,
    /// Line of the first one, counted from 1.
    pub first_line: u64,
    /// What stood there.
    pub example: String,
}

/// What an import took and what it left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Devices that were measured.
    pub devices: Vec<String>,
    /// Rows of our tables by kind of kernel. A row of a source may become several.
    pub taken: BTreeMap<Kernel, u64>,
    /// Rows of the source.
    pub read: u64,
    /// Rows of the source, or for sources with several times per row times, that were left out, by reason.
    pub left_out: BTreeMap<String, LeftOut>,
    /// What a reader should know beside.
    pub notes: Vec<String>,
}

/// Why one row, or one time of a row, is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// The reason, the same for all rows of its kind.
    pub(super) reason: String,
    /// What stood in this row.
    pub(super) example: String,
}

impl Rejected {
    pub(super) fn new(reason: impl Into<String>, example: impl Into<String>) -> Self {
        Self { reason: reason.into(), example: example.into() }
    }
}

impl Report {
    /// Counts a row that was left out.
    pub(super) fn leave_out(&mut self, line: u64, why: Rejected) {
        let entry = self.left_out.entry(why.reason);
        entry.or_insert_with(|| LeftOut { rows: 0, first_line: line, example: why.example }).rows += 1;
    }

    /// Says something once.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Names a device once.
    pub(super) fn device(&mut self, name: &str) {
        if !self.devices.iter().any(|known| known == name) {
            self.devices.push(name.to_string());
        }
    }

    /// Rows left out, all reasons together.
    pub fn left_out_rows(&self) -> u64 {
        self.left_out.values().map(|left_out| left_out.rows).sum()
    }
}
