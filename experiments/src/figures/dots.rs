//! Errors of many cases: one row per case, one dot per figure, zero in the middle.

use super::axis::{Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes};
use super::drawing::{Anchor, Drawing, Layer, Rect, at};
use super::font;
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{AXIS, FAINT_INK, INK, TEXT, Width, mark, series_style};

const ROW_HEIGHT: f64 = 11.0;
const LEGEND_GAP: f64 = 4.0;
/// Errors beyond this many percent are shown at the edge, with their value.
const WIDEST_PERCENT: f64 = 100.0;

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct DotRow {
    /// Its name.
    pub(crate) label: String,
    /// Per series the error in percent, where there is one.
    pub(crate) errors_percent: Vec<Option<f64>>,
}

/// Errors of cases.
#[derive(Clone, Debug)]
pub(crate) struct DotFigure<'a> {
    /// What is shown, for those who cannot see it.
    pub(crate) title: &'a str,
    /// What each kind of dot stands for.
    pub(crate) series: &'a [&'a str],
    /// The cases, from top to bottom.
    pub(crate) rows: &'a [DotRow],
}

impl DotFigure<'_> {
    /// Draws it.
    pub(crate) fn draw(&self) -> Drawing {
        let width = Width::Page.points();
        let widest = self.rows.iter().map(|row| font::width(&row.label, TEXT)).fold(0.0, f64::max);
        let left = (widest + 6.0).min(0.55 * width);
        let right = width - RIGHT_MARGIN - 14.0;
        let entries = self.series.iter().enumerate();
        let legend = Legend::new(
            entries.map(|(i, name)| (Key::Curve(series_style(i)), (*name).to_owned())).collect(),
            right - left,
        );
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let bottom = top + ROW_HEIGHT * self.rows.len() as f64;
        let mut drawing = Drawing::new(width, bottom + X_AXIS_HEIGHT + 2.5, self.title);
        let panel = Panel {
            area: Rect { left, top, right, bottom },
            x: self.x_scale(),
            y: Scale::Linear { low: 0.0, high: self.rows.len().max(1) as f64 },
        };
        draw_axes(&mut drawing, &panel, &[], "", Some("Error (%)"));
        let zero = panel.place(0.0, 0.0).x;
        drawing.line(Layer::Axes, &[at(zero, top), at(zero, bottom)], AXIS);
        for (number, row) in self.rows.iter().enumerate() {
            let middle = top + ROW_HEIGHT * (number as f64 + 0.5);
            let label = font::fit(&row.label, TEXT, left - 6.0);
            let baseline = at(left - 4.0, middle + font::CAP_HEIGHT * TEXT / 2.0);
            drawing.text(Layer::Axes, &label, baseline, TEXT, Anchor::End, INK);
            draw_row(&mut drawing, &panel, row, middle);
        }
        legend.draw(&mut drawing, at(left, 1.0));
        drawing
    }

    /// Symmetric about zero, and wide enough for all but extreme errors.
    fn x_scale(&self) -> Scale {
        let errors = self.rows.iter().flat_map(|row| row.errors_percent.iter().flatten());
        let largest = errors.map(|error| error.abs()).filter(|error| *error <= WIDEST_PERCENT).fold(1.0, f64::max);
        let Scale::Linear { high, .. } = Scale::from_zero(1.05 * largest) else { unreachable!("it is linear") };
        Scale::Linear { low: -high, high }
    }
}

fn draw_row(drawing: &mut Drawing, panel: &Panel, row: &DotRow, middle: f64) {
    let area = panel.area;
    for (series, error) in row.errors_percent.iter().enumerate() {
        let Some(error) = error else { continue };
        let place = panel.place(*error, 0.0).x;
        let inside = place.clamp(area.left, area.right);
        mark(drawing, Layer::Data, series_style(series), at(inside, middle), 4.6);
        if place > area.right + 0.5 {
            let baseline = at(area.right + 4.0, middle + font::CAP_HEIGHT * TEXT / 2.0);
            drawing.text(Layer::Data, &format!("{error:+.0}"), baseline, TEXT, Anchor::Start, FAINT_INK);
        }
    }
}
