//! The legend: always a strip of its own above the panels, so that it can never cover data.

use super::drawing::{Anchor, Color, Drawing, Layer, Point, Rect, Stroke, at};
use super::font;
use super::style::{INK, PartStyle, SeriesStyle, TEXT, mark, part_box};

const KEY_WIDTH: f64 = 19.0;
const SWATCH_WIDTH: f64 = 8.0;
const KEY_GAP: f64 = 4.0;
const COLUMN_GAP: f64 = 11.0;
/// Height of one row of keys.
pub(crate) const ROW: f64 = 11.5;

/// What stands before a label.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// A piece of the curve with its mark.
    Curve(SeriesStyle),
    /// A mark without a line.
    Mark(SeriesStyle),
    /// A piece of a line without marks.
    Line(Stroke),
    /// The colour of bars.
    Swatch(Color),
    /// A part of stacked bars.
    Part(PartStyle),
    /// Nothing: a remark, which stands below the keys.
    Note,
    /// Nothing: a system that has no data.
    Absent,
}

impl Key {
    /// With the gap behind it.
    fn width(self) -> f64 {
        match self {
            Key::Curve(_) | Key::Line(_) => KEY_WIDTH + KEY_GAP,
            Key::Swatch(_) | Key::Mark(_) | Key::Part(_) => SWATCH_WIDTH + KEY_GAP,
            Key::Absent | Key::Note => 0.0,
        }
    }
}

/// A remark without a key, such as what the values in names are of; nothing if there is nothing to say.
pub(crate) fn note(of: &str, what: &str) -> Option<(Key, String)> {
    (!what.is_empty()).then(|| (Key::Note, format!("{of}: {what}")))
}

/// Keys and labels laid out in rows.
#[derive(Clone, Debug)]
pub(crate) struct Legend {
    /// Key, label and place relative to the top left corner: left edge and row.
    entries: Vec<(Key, String, f64, usize)>,
    rows: usize,
    width: f64,
}

impl Legend {
    /// Lays `entries` out in a strip of `width` points: in one row if they fit, else in columns; a label that is too long
    /// for the strip is cut.
    pub(crate) fn new(entries: Vec<(Key, String)>, width: f64) -> Self {
        let entries: Vec<(Key, String)> =
            entries.into_iter().map(|(key, label)| (key, font::fit(&label, TEXT, width - key.width()))).collect();
        let (notes, keys): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| matches!(key, Key::Note));
        let mut legend = Legend::of_keys(keys, width);
        legend.add_notes(notes, width);
        legend
    }

    /// Sets remarks one after the other: behind the keys if those are one row with enough room, else in rows below.
    fn add_notes(&mut self, notes: Vec<(Key, String)>, width: f64) {
        let mut row = self.rows.saturating_sub(1);
        let mut left = match self.rows {
            0 => 0.0,
            1 => self.width + COLUMN_GAP,
            _ => f64::INFINITY,
        };
        for (key, label) in notes {
            let room = font::width(&label, TEXT);
            if left > 0.0 && left + room > width {
                (left, row) = (0.0, row + 1);
            }
            self.width = self.width.max(left + room);
            self.rows = self.rows.max(row + 1);
            self.entries.push((key, label, left, row));
            left += room + COLUMN_GAP;
        }
    }

    fn of_keys(entries: Vec<(Key, String)>, width: f64) -> Self {
        let widths: Vec<f64> = entries.iter().map(|(key, label)| key.width() + font::width(label, TEXT)).collect();
        let one_row = widths.iter().sum::<f64>() + COLUMN_GAP * (widths.len().saturating_sub(1)) as f64;
        if one_row <= width {
            return Legend::flowing(entries, &widths);
        }
        // The most columns that fit, each as wide as its widest entry; one always fits, as labels were cut.
        let columns = |rows: usize| -> Vec<f64> {
            widths.chunks(rows).map(|column| column.iter().copied().fold(0.0, f64::max) + COLUMN_GAP).collect()
        };
        let fits = |rows: &usize| columns(*rows).iter().sum::<f64>() - COLUMN_GAP <= width;
        let rows = (2..entries.len()).find(fits).unwrap_or(entries.len());
        let columns = columns(rows);
        let left = |column: usize| columns[..column].iter().sum::<f64>();
        let place = |(i, (key, label))| (key, label, left(i / rows), i % rows);
        Legend {
            entries: entries.into_iter().enumerate().map(place).collect(),
            rows,
            width: left(columns.len()) - COLUMN_GAP,
        }
    }

    fn flowing(entries: Vec<(Key, String)>, widths: &[f64]) -> Self {
        let mut left = 0.0;
        let mut placed = Vec::with_capacity(entries.len());
        for ((key, label), width) in entries.into_iter().zip(widths) {
            placed.push((key, label, left, 0));
            left += width + COLUMN_GAP;
        }
        Legend { rows: usize::from(!placed.is_empty()), entries: placed, width: (left - COLUMN_GAP).max(0.0) }
    }

    /// Points from top to bottom.
    pub(crate) fn height(&self) -> f64 {
        self.rows as f64 * ROW
    }

    /// Points from left to right.
    pub(crate) fn width(&self) -> f64 {
        self.width
    }

    /// Draws it with its top left corner at `corner` and returns the box it takes.
    pub(crate) fn draw(&self, drawing: &mut Drawing, corner: Point) -> Rect {
        for (key, label, left, row) in &self.entries {
            let middle = corner.y + (*row as f64 + 0.5) * ROW;
            let left = corner.x + left;
            draw_key(drawing, *key, at(left, middle));
            let baseline = at(left + key.width(), middle + font::CAP_HEIGHT * TEXT / 2.0);
            drawing.text(Layer::Legend, label, baseline, TEXT, Anchor::Start, INK);
        }
        let (right, bottom) = (corner.x + self.width, corner.y + self.height());
        Rect { left: corner.x, top: corner.y, right, bottom }
    }
}

/// Draws a key whose left edge is at `left`, on its middle line.
fn draw_key(drawing: &mut Drawing, key: Key, left: Point) {
    let end = at(left.x + KEY_WIDTH, left.y);
    match key {
        Key::Curve(style) => {
            drawing.line(Layer::Legend, &[left, end], style.stroke);
            mark(drawing, Layer::Legend, style, at(left.x + KEY_WIDTH / 2.0, left.y), 4.4);
        }
        Key::Mark(style) => mark(drawing, Layer::Legend, style, at(left.x + SWATCH_WIDTH / 2.0, left.y), 4.4),
        Key::Line(stroke) => drawing.line(Layer::Legend, &[left, end], stroke),
        Key::Swatch(color) => {
            let (top, bottom) = (left.y - 3.2, left.y + 3.2);
            drawing.bar(Layer::Legend, Rect { left: left.x, top, right: left.x + SWATCH_WIDTH, bottom }, color);
        }
        Key::Part(style) => {
            let (top, bottom) = (left.y - 3.4, left.y + 3.4);
            part_box(drawing, Layer::Legend, Rect { left: left.x, top, right: left.x + SWATCH_WIDTH, bottom }, style);
        }
        Key::Absent | Key::Note => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::series_style;
    use super::*;

    #[test]
    fn many_systems_wrap_into_columns_within_the_strip() {
        let entries: Vec<(Key, String)> =
            (0..8).map(|i| (Key::Curve(series_style(i)), format!("a system {i}"))).collect();
        let legend = Legend::new(entries.clone(), 200.0);
        assert_eq!(legend.rows, 4);
        assert!(legend.width() <= 200.0);
        assert!(Legend::new(entries[..2].to_vec(), 200.0).rows == 1);
    }

    #[test]
    fn remarks_stand_below_the_keys_and_do_not_widen_their_columns() {
        let mut entries: Vec<(Key, String)> =
            (0..4).map(|i| (Key::Curve(series_style(i)), format!("system {i}"))).collect();
        entries.extend(note("beside points", "max_num_batched_tokens (tokens)"));
        let legend = Legend::new(entries, 150.0);
        let rows: Vec<usize> = legend.entries.iter().map(|entry| entry.3).collect();
        assert_eq!((rows, legend.rows), (vec![0, 1, 0, 1, 2], 3));
    }

    #[test]
    fn no_entries_take_no_room() {
        assert!(Legend::new(Vec::new(), 200.0).height() < 1e-9);
    }
}
