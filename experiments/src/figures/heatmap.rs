//! A measure over two things that were varied: one cell per pair, one panel per system.

use serde_json::{Value as Json, json};

use super::drawing::{Anchor, Color, Drawing, Layer, Point, Rect, Stroke, at, polygon};
use super::font;
use super::scale::Scale;
use super::style::{AXIS, INK, PAPER, TEXT, Width, shade};
use super::{Figure, vega};
use crate::output::is_centred;

const CELL_HEIGHT: f64 = 20.0;
/// Size of the numbers in cells: the smallest that stays readable in print.
const NUMBER: f64 = 7.0;
const GAP: f64 = 10.0;
const BAR_WIDTH: f64 = 78.0;
const BAR_HEIGHT: f64 = 6.5;
const BAR_STEPS: usize = 26;
/// Shades from here on are dark: numbers on them are white.
const DARK: f64 = 0.52;

/// A figure with one map per system.
#[derive(Clone, Debug)]
pub(crate) struct HeatmapFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    /// Labels of the axes and of the measure, with units.
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) measure: String,
    /// Values of the two keys, from left to right and from bottom to top.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<String>,
    pub(crate) maps: Vec<HeatMap>,
    /// What intervals are over.
    pub(crate) intervals: String,
    pub(crate) width: Width,
}

/// A value and the ends of its interval.
pub(crate) type Cell = (f64, Option<(f64, f64)>);

/// The cells of one system.
#[derive(Clone, Debug)]
pub(crate) struct HeatMap {
    pub(crate) label: String,
    /// Row by row; nothing where no run has the measure.
    pub(crate) cells: Vec<Vec<Option<Cell>>>,
}

impl Figure for HeatmapFigure {
    fn draw(&self) -> Drawing {
        let width = self.width.points();
        let widest = self.rows.iter().map(|row| font::width(row, TEXT)).fold(0.0, f64::max).min(0.2 * width);
        let left = 1.0 + widest + 4.0;
        let across = if self.width == Width::Page { self.maps.len().clamp(1, 3) } else { 1 };
        let panel_width = (width - left - 3.0 - GAP * (across - 1) as f64) / across as f64;
        let panel_height = CELL_HEIGHT * self.rows.len().max(1) as f64;
        let below = 3.0 + TEXT + 3.0;
        let title_height = TEXT + 4.0;
        let stacked = self.maps.len().max(1).div_ceil(across);
        // The strip of the colours, and below it what the rows are.
        let head = 2.0 * (TEXT + 5.0);
        let pitch = title_height + panel_height + below;
        let height = head + pitch * stacked as f64 + TEXT + 4.0;
        let mut drawing = Drawing::new(width, height, self.title.as_str());
        let scale = self.scale();
        self.draw_color_bar(&mut drawing, scale);
        let spreads = match self.interval_words() {
            "" => String::new(),
            words => font::fit(&format!("intervals: {words}"), TEXT, 0.6 * width),
        };
        drawing.text(Layer::Legend, &spreads, at(width - 2.0, head - 4.5), TEXT, Anchor::End, INK);
        let room = width - 2.0 - font::width(&spreads, TEXT) - 6.0;
        let rows = font::fit(&format!("↑ {}", self.y_label), TEXT, room);
        let baseline = at(1.0, head - 4.5);
        drawing.text(Layer::Axes, &rows, baseline, TEXT, Anchor::Start, INK);
        for (index, map) in self.maps.iter().enumerate() {
            let (column, row) = (index % across, index / across);
            let origin = at(left + column as f64 * (panel_width + GAP), head + row as f64 * pitch + title_height);
            let title = font::fit(&map.label, TEXT, panel_width);
            let baseline = at(origin.x + panel_width / 2.0, origin.y - 3.5);
            drawing.text(Layer::Axes, &title, baseline, TEXT, Anchor::Middle, INK);
            self.draw_map(&mut drawing, map, origin, panel_width, scale, column == 0);
        }
        let middle = at(f64::midpoint(left, width - 3.0), height - 2.5);
        drawing.text(Layer::Axes, &format!("{} →", self.x_label), middle, TEXT, Anchor::Middle, INK);
        drawing
    }

    fn vega(&self) -> Json {
        let scale = self.scale();
        let mut rows = Vec::new();
        for map in &self.maps {
            for (row, cells) in self.rows.iter().zip(&map.cells) {
                for (column, cell) in self.columns.iter().zip(cells) {
                    if let Some((value, interval)) = cell {
                        let (low, high) = interval.unzip();
                        rows.push(json!({ "series": map.label, "x": column, "y": row, "value": value, "low": low, "high": high, "dark": scale.position(*value) > DARK }));
                    }
                }
            }
        }
        let axis = |field: &str, title: &str, sort: Vec<&String>| json!({ "field": field, "type": "ordinal", "title": title, "sort": sort });
        let kind = if matches!(scale, Scale::Log { .. }) { "log" } else { "linear" };
        let body = json!({
            "facet": { "column": { "field": "series", "type": "nominal", "title": null, "sort": null } },
            "spec": {
                "width": { "step": 34 }, "height": { "step": CELL_HEIGHT },
                "encoding": {
                    "x": axis("x", &self.x_label, self.columns.iter().collect()),
                    "y": axis("y", &self.y_label, self.rows.iter().rev().collect()),
                },
                "layer": [
                    { "mark": "rect", "encoding": { "color": { "field": "value", "type": "quantitative", "title": self.measure,
                        "scale": { "type": kind, "scheme": "blues" } } } },
                    { "mark": { "type": "text", "fontSize": 7 },
                      "encoding": { "text": { "field": "value", "type": "quantitative", "format": ".3s" },
                        "color": { "condition": { "test": "datum.dark", "value": "white" }, "value": "black" } } },
                ],
            },
        });
        vega::specification(&vega::described(&self.title, self.interval_words()), rows, body)
    }
}

impl HeatmapFigure {
    /// What the intervals that are written are over.
    fn interval_words(&self) -> &str {
        let mut cells = self.maps.iter().flat_map(|map| map.cells.iter().flatten().flatten());
        if cells.any(|(_, interval)| interval.is_some()) { &self.intervals } else { "" }
    }

    /// From the smallest to the largest value.
    fn scale(&self) -> Scale {
        let values = self.maps.iter().flat_map(|map| map.cells.iter().flatten().flatten().map(|cell| cell.0));
        let bounds = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        match bounds {
            (low, high) if low < high && low > 0.0 && high / low >= Scale::LOG_FROM_RATIO_UP => {
                Scale::Log { low, high }
            }
            (low, high) if low < high => Scale::Linear { low, high },
            // Equal values are neither high nor low.
            (low, high) if low <= high => Scale::Linear { low: low - 1.0, high: high + 1.0 },
            _ => Scale::Linear { low: 0.0, high: 1.0 },
        }
    }

    fn draw_color_bar(&self, drawing: &mut Drawing, scale: Scale) {
        let values = self.maps.iter().flat_map(|map| map.cells.iter().flatten().flatten().map(|cell| cell.0));
        let bounds = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let baseline = 1.0 + font::CAP_HEIGHT * TEXT + 0.6;
        if bounds.0 >= bounds.1 {
            let label = font::fit(&self.measure, TEXT, drawing.width - 2.0);
            return drawing.text(Layer::Legend, &label, at(drawing.width - 2.0, baseline), TEXT, Anchor::End, INK);
        }
        let ends = [short(bounds.0), short(bounds.1)];
        let widths = ends.each_ref().map(|end| font::width(end, TEXT));
        let right = drawing.width - 3.0 - widths[1] - 3.0;
        let left = right - BAR_WIDTH;
        let top = baseline - font::CAP_HEIGHT * TEXT;
        for step in 0..BAR_STEPS {
            let x = |step: usize| left + BAR_WIDTH * step as f64 / BAR_STEPS as f64;
            // Each step reaches a little under the next one, so that no gap shines through.
            let end = (x(step + 1) + 0.2).min(right);
            let rect = Rect { left: x(step), top, right: end, bottom: top + BAR_HEIGHT };
            drawing.bar(Layer::Legend, rect, shade((step as f64 + 0.5) / BAR_STEPS as f64));
        }
        let word = if matches!(scale, Scale::Log { .. }) { " (logarithmic)" } else { "" };
        drawing.text(Layer::Legend, &ends[1], at(right + 3.0, baseline), TEXT, Anchor::Start, INK);
        drawing.text(Layer::Legend, &ends[0], at(left - 3.0, baseline), TEXT, Anchor::End, INK);
        let room = left - 3.0 - widths[0] - 8.0;
        let label = font::fit(&format!("{}{word}", self.measure), TEXT, room);
        drawing.text(Layer::Legend, &label, at(1.0, baseline), TEXT, Anchor::Start, INK);
    }

    fn draw_map(&self, drawing: &mut Drawing, map: &HeatMap, origin: Point, width: f64, scale: Scale, labelled: bool) {
        let cell_width = width / self.columns.len().max(1) as f64;
        let bottom = origin.y + CELL_HEIGHT * self.rows.len() as f64;
        for (row, cells) in map.cells.iter().enumerate() {
            let top = bottom - CELL_HEIGHT * (row + 1) as f64;
            for (column, cell) in cells.iter().enumerate() {
                let left = origin.x + cell_width * column as f64;
                let rect = Rect { left, top, right: left + cell_width, bottom: top + CELL_HEIGHT };
                draw_cell(drawing, rect, *cell, scale);
            }
            if labelled {
                let text = font::fit(&self.rows[row], TEXT, origin.x - 4.0);
                let baseline = at(origin.x - 3.5, top + CELL_HEIGHT / 2.0 + font::CAP_HEIGHT * TEXT / 2.0);
                drawing.text(Layer::Axes, &text, baseline, TEXT, Anchor::End, INK);
            }
        }
        // Labels that would touch are left out, every second, third … one stays.
        let widest = self.columns.iter().map(|name| font::width(name, TEXT)).fold(0.0, f64::max) + 3.0;
        let every = (widest / cell_width).ceil().max(1.0) as usize;
        for (column, name) in self.columns.iter().enumerate().step_by(every) {
            let middle = at(origin.x + cell_width * (column as f64 + 0.5), bottom + 3.0 + font::CAP_HEIGHT * TEXT);
            drawing.text(Layer::Axes, name, middle, TEXT, Anchor::Middle, INK);
        }
        let corners = [origin, at(origin.x + width, origin.y), at(origin.x + width, bottom), at(origin.x, bottom)];
        drawing.edge(Layer::Axes, polygon(&corners), AXIS);
    }
}

fn draw_cell(drawing: &mut Drawing, rect: Rect, cell: Option<Cell>, scale: Scale) {
    let middle = f64::midpoint(rect.left, rect.right);
    let center = f64::midpoint(rect.top, rect.bottom) + font::CAP_HEIGHT * NUMBER / 2.0;
    let Some((value, interval)) = cell else {
        // Struck through: nothing is known here, which is not the same as little.
        let stroke = Stroke { color: Color(0xBB, 0xBB, 0xBB), width: 0.5, dash: &[] };
        return drawing.line(Layer::Data, &[at(rect.left, rect.bottom), at(rect.right, rect.top)], stroke);
    };
    let share = scale.position(value);
    drawing.bar(Layer::Data, rect, shade(share));
    let ink = if share > DARK { PAPER } else { INK };
    let mean = short(value);
    if font::width(&mean, NUMBER) > rect.width() - 1.5 {
        return;
    }
    let spread = interval
        .map(|(low, high)| {
            if is_centred((low, high), value) {
                format!("±{}", short((high - low) / 2.0))
            } else {
                format!("{}…{}", short(low), short(high))
            }
        })
        .filter(|text| font::width(text, NUMBER) <= rect.width() - 1.5);
    if let Some(spread) = spread {
        drawing.text(Layer::Data, &mean, at(middle, center - 4.3), NUMBER, Anchor::Middle, ink);
        drawing.text(Layer::Data, &spread, at(middle, center + 4.3), NUMBER, Anchor::Middle, ink);
    } else {
        drawing.text(Layer::Data, &mean, at(middle, center), NUMBER, Anchor::Middle, ink);
    }
}

/// Three digits, or all those before the point.
fn short(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}").replace('-', "−")
}
