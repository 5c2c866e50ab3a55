//! Bars that lie, one per row, so that names of any length have room: totals with intervals, and what they are made of.

use serde_json::{Value as Json, json};

use super::axis::{Panel, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Anchor, Drawing, Layer, Rect, Stroke, at};
use super::font;
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{FAINT_INK, INK, TEXT, Width, interval, part_box, part_style};
use super::{Figure, vega};
use crate::output::four_digits;

const ROW_HEIGHT: f64 = 14.0;
const BAR_HEIGHT: f64 = 8.6;
const LEGEND_GAP: f64 = 4.0;
/// Largest share of the width that names may take.
const NAMES: f64 = 0.38;

/// A figure with one bar per row.
#[derive(Clone, Debug)]
pub(crate) struct BarFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    /// Label of the axis, with its unit.
    pub(crate) x_label: String,
    /// What bars are made of, from left to right; one part without a name for plain bars.
    pub(crate) parts: Vec<String>,
    /// What every bar adds up to, where they all are parts of one whole: the axis ends there, and totals are not written.
    pub(crate) whole: Option<f64>,
    /// From top to bottom.
    pub(crate) rows: Vec<BarRow>,
    /// What intervals are over.
    pub(crate) intervals: String,
    pub(crate) width: Width,
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct BarRow {
    /// A line of its own above this row, if it begins a group.
    pub(crate) heading: Option<String>,
    pub(crate) label: String,
    /// One value per part, none negative; empty if there is no value.
    pub(crate) values: Vec<f64>,
    /// The interval of the total.
    pub(crate) interval: Option<(f64, f64)>,
}

impl BarRow {
    fn total(&self) -> f64 {
        self.values.iter().sum()
    }

    fn number(&self) -> String {
        if self.values.is_empty() { "–".to_owned() } else { four_digits(self.total()) }
    }
}

impl Figure for BarFigure {
    fn draw(&self) -> Drawing {
        let width = self.width.points();
        let widest =
            |texts: &mut dyn Iterator<Item = String>| texts.map(|text| font::width(&text, TEXT)).fold(0.0, f64::max);
        let names = widest(&mut self.rows.iter().map(|row| row.label.clone())).min(NAMES * width);
        let numbers = match self.whole {
            // Room for half of the last label of the axis.
            Some(_) => 4.0,
            None => widest(&mut self.rows.iter().map(BarRow::number)),
        };
        let (left, right) = (names + 6.0, width - numbers - 8.0);
        let legend = Legend::new(self.legend(), width - 2.0);
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let headings = self.rows.iter().filter(|row| row.heading.is_some()).count();
        let bottom = top + ROW_HEIGHT * (self.rows.len().max(1) + headings) as f64;
        let mut drawing = Drawing::new(width, bottom + X_AXIS_HEIGHT + 2.5, self.title.as_str());
        let panel = Panel {
            area: Rect { left, top, right, bottom },
            x: self.x_scale(),
            y: Scale::Linear { low: 0.0, high: 1.0 },
        };
        draw_axes(&mut drawing, &panel, &[], "", Some(&self.x_label));
        if self.rows.is_empty() {
            draw_no_data(&mut drawing, panel.area, "no data");
        }
        let mut middle = top + ROW_HEIGHT / 2.0;
        for row in &self.rows {
            if let Some(heading) = &row.heading {
                let baseline = at(1.0, middle + font::CAP_HEIGHT * TEXT / 2.0);
                let heading = font::fit(heading, TEXT, width - 2.0);
                drawing.text(Layer::Axes, &heading, baseline, TEXT, Anchor::Start, FAINT_INK);
                middle += ROW_HEIGHT;
            }
            row.draw(&mut drawing, &panel, middle, self.whole.is_none());
            middle += ROW_HEIGHT;
        }
        legend.draw(&mut drawing, at(1.0, 1.0));
        drawing
    }

    fn vega(&self) -> Json {
        let mut group = String::new();
        let mut rows = Vec::new();
        for (order, row) in self.rows.iter().enumerate() {
            group = row.heading.clone().unwrap_or(group);
            for (part, value) in row.values.iter().enumerate() {
                let ends = row.interval.filter(|_| part == 0);
                rows.push(json!({
                    "group": group, "row": row.label, "order": order, "part": self.parts[part], "part_order": part,
                    "value": value, "low": ends.map(|ends| ends.0), "high": ends.map(|ends| ends.1),
                }));
            }
        }
        let name = |index: usize| {
            let color = part_style(index).fill;
            format!("#{:02x}{:02x}{:02x}", color.0, color.1, color.2)
        };
        let range: Vec<String> = (0..self.parts.len()).map(name).collect();
        let is_plain = self.parts.len() == 1;
        let legend = if is_plain { Json::Null } else { json!({}) };
        let bar = json!({ "mark": "bar", "encoding": {
            "x": { "field": "value", "type": "quantitative", "title": self.x_label, "stack": true },
            "color": { "field": "part", "type": "nominal", "title": null, "legend": legend,
                "scale": { "domain": self.parts, "range": range } },
            "order": { "field": "part_order" },
        } });
        let rule = json!({ "mark": "rule", "transform": [{ "filter": "isValid(datum.low)" }], "encoding": {
            "x": { "field": "low", "type": "quantitative" }, "x2": { "field": "high" } } });
        let y = json!({ "field": "row", "type": "nominal", "title": null, "sort": { "field": "order" } });
        let mut body = json!({});
        let width = vega::size(self.width, 0.0)["width"].clone();
        let layers = json!({ "width": width, "encoding": { "y": y }, "layer": [bar, rule] });
        if self.rows.iter().any(|row| row.heading.is_some()) {
            body["facet"] = json!({ "row": { "field": "group", "type": "nominal", "title": null, "sort": null } });
            body["spec"] = layers;
            body["resolve"] = json!({ "scale": { "y": "independent" } });
        } else {
            body = layers;
        }
        vega::specification(&vega::described(&self.title, self.interval_words()), rows, body)
    }
}

impl BarFigure {
    fn legend(&self) -> Vec<(Key, String)> {
        let shown = if self.parts.len() < 2 { &[] } else { &self.parts[..] };
        let parts = shown.iter().enumerate().map(|(index, name)| (Key::Part(part_style(index)), name.clone()));
        parts.chain(super::legend::note("intervals", self.interval_words())).collect()
    }

    /// What the intervals that are drawn are over.
    fn interval_words(&self) -> &str {
        let drawn = self.whole.is_none() && self.rows.iter().any(|row| row.interval.is_some());
        if drawn { &self.intervals } else { "" }
    }

    fn x_scale(&self) -> Scale {
        if let Some(high) = self.whole {
            return Scale::Linear { low: 0.0, high };
        }
        let ends = self.rows.iter().map(|row| row.interval.map_or(row.total(), |(_, high)| high.max(row.total())));
        Scale::from_zero(ends.fold(0.0, f64::max))
    }
}

impl BarRow {
    fn draw(&self, drawing: &mut Drawing, panel: &Panel, middle: f64, with_number: bool) {
        let area = panel.area;
        let baseline = middle + font::CAP_HEIGHT * TEXT / 2.0;
        let label = font::fit(&self.label, TEXT, area.left - 5.0);
        drawing.text(Layer::Axes, &label, at(area.left - 4.0, baseline), TEXT, Anchor::End, INK);
        let mut from = 0.0;
        for (index, value) in self.values.iter().enumerate() {
            let (left, right) = (panel.place(from, 0.0).x, panel.place(from + value, 0.0).x);
            if right > left {
                let (top, bottom) = (middle - BAR_HEIGHT / 2.0, middle + BAR_HEIGHT / 2.0);
                part_box(drawing, Layer::Data, Rect { left, top, right, bottom }, part_style(index));
            }
            from += value;
        }
        if let Some((low, high)) = self.interval.filter(|_| with_number) {
            let place = |value: f64| at(panel.place(value.max(0.0), 0.0).x, middle);
            // White under black, so that it shows on dark bars too.
            for (color, width) in [(super::style::PAPER, 2.2), (INK, 0.9)] {
                interval(drawing, place(low), place(high), Stroke { color, width, dash: &[] });
            }
        }
        if with_number || self.values.is_empty() {
            let number = self.number();
            drawing.text(Layer::Data, &number, at(drawing.width - 1.5, baseline), TEXT, Anchor::End, INK);
        }
    }
}
