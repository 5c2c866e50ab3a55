//! `gaps.csv`: how often each gap between two tokens occurred, from which distributions of TBT can be drawn.

use sim::WeightedHistogram;

use super::decimal::{push_integer, push_nanos};
use super::label::RunLabel;
use super::part::Part;

/// Columns behind those of the label: a gap in seconds, and how many gaps were like it, within 0.05 %.
pub(super) const COLUMNS: &str = "tbt_s,gaps\n";

/// Writes the rows of one run.
pub(super) struct GapsCsv {
    part: Part,
    label: Vec<u8>,
}

impl GapsCsv {
    pub(super) fn new(part: Part, label: &RunLabel) -> Self {
        GapsCsv { part, label: label.fields() }
    }

    /// One row per bucket of `gaps` that holds something.
    pub(super) fn into_part(mut self, gaps: &WeightedHistogram) -> Part {
        for (gap, count) in gaps.occupied() {
            let row = self.part.row();
            row.extend_from_slice(&self.label);
            push_nanos(row, gap.as_nanos());
            row.push(b',');
            push_integer(row, count);
            row.push(b'\n');
        }
        self.part
    }
}
