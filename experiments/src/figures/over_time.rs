//! Quantities over simulated time, systems compared: one panel per quantity, one line per system.

use serde_json::{Value as Json, json};

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Layer, Point, Rect, Stroke, at, clip};
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{Width, series_style};
use super::{Figure, vega};

const PANEL_HEIGHT: f64 = 62.0;
const PANEL_GAP: f64 = 9.0;
const LEGEND_GAP: f64 = 4.0;
const LINE_WIDTH: f64 = 0.9;

/// A figure with one line per system in every panel.
#[derive(Clone, Debug)]
pub(crate) struct OverTimeFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    pub(crate) panels: Vec<TimePanel>,
    /// Names of the systems, in the order of the legend.
    pub(crate) systems: Vec<String>,
    pub(crate) width: Width,
}

/// One quantity over time.
#[derive(Clone, Debug)]
pub(crate) struct TimePanel {
    /// With its unit.
    pub(crate) label: String,
    /// The axis never reaches beyond this, if it is set: the largest value there can be.
    pub(crate) most: Option<f64>,
    /// Per system: stretches of time, in seconds, and the value of each.
    pub(crate) lines: Vec<Vec<(f64, f64, f64)>>,
}

impl Figure for OverTimeFigure {
    fn draw(&self) -> Drawing {
        let scales: Vec<Scale> = self.panels.iter().map(TimePanel::scale).collect();
        let ticks: Vec<_> = scales.iter().map(|scale| axis::y_ticks(*scale, PANEL_HEIGHT, false)).collect();
        let left = axis::left_margin(ticks.iter().flatten());
        let width = self.width.points();
        let right = width - RIGHT_MARGIN;
        let key = |index| Key::Line(style(index));
        let legend = Legend::new(
            self.systems.iter().enumerate().map(|(index, name)| (key(index), name.clone())).collect(),
            right - left,
        );
        let count = self.panels.len();
        let mut top = 1.0 + legend.height() + LEGEND_GAP;
        let bottom = top + PANEL_HEIGHT * count as f64 + PANEL_GAP * count.saturating_sub(1) as f64;
        let mut drawing = Drawing::new(width, bottom + X_AXIS_HEIGHT + 2.5, self.title.as_str());
        let until_s = self.ends().fold(0.0, f64::max);
        let x = Scale::Linear { low: 0.0, high: if until_s > 0.0 { until_s } else { 1.0 } };
        for (index, (shown, ticks)) in self.panels.iter().zip(&ticks).enumerate() {
            let area = Rect { left, top, right, bottom: top + PANEL_HEIGHT };
            let panel = Panel { area, x, y: scales[index] };
            let label = (index + 1 == count).then_some("Simulated time (s)");
            draw_axes(&mut drawing, &panel, ticks, &shown.label, label);
            if shown.lines.iter().all(Vec::is_empty) {
                draw_no_data(&mut drawing, area, "no data");
            }
            for (system, line) in shown.lines.iter().enumerate() {
                draw_line(&mut drawing, &panel, line, style(system));
            }
            top = area.bottom + PANEL_GAP;
        }
        legend.draw(&mut drawing, at(left, 1.0));
        drawing
    }

    fn vega(&self) -> Json {
        let mut rows = Vec::new();
        for (number, panel) in self.panels.iter().enumerate() {
            for (system, line) in self.systems.iter().zip(&panel.lines) {
                let row = |&(start, end, value): &(f64, f64, f64)| json!({ "panel": number, "series": system, "start": start, "end": end, "value": value });
                rows.extend(line.iter().map(row));
            }
        }
        let labels: Vec<&str> = self.systems.iter().map(String::as_str).collect();
        let panels: Vec<Json> = self
            .panels
            .iter()
            .enumerate()
            .map(|(number, panel)| {
                let mut one = vega::size(self.width, PANEL_HEIGHT);
                one["transform"] = json!([{ "filter": { "field": "panel", "equal": number } }]);
                one["mark"] = json!({ "type": "line", "interpolate": "step-after", "strokeWidth": 1 });
                one["encoding"] = json!({
                    "x": { "field": "start", "type": "quantitative", "title": "Simulated time (s)" },
                    "y": { "field": "value", "type": "quantitative", "title": panel.label },
                    "color": vega::colors(&labels), "strokeDash": vega::dashes(&labels),
                });
                one
            })
            .collect();
        vega::specification(&self.title, rows, json!({ "vconcat": panels }))
    }
}

impl OverTimeFigure {
    fn ends(&self) -> impl Iterator<Item = f64> {
        self.panels.iter().flat_map(|panel| panel.lines.iter().flatten().map(|(_, end, _)| *end))
    }
}

impl TimePanel {
    fn scale(&self) -> Scale {
        let highest = self.lines.iter().flatten().map(|(.., value)| *value).fold(0.0, f64::max);
        match Scale::from_zero(highest) {
            Scale::Linear { low, high } => Scale::Linear { low, high: self.most.map_or(high, |most| most.min(high)) },
            scale => scale,
        }
    }
}

fn style(system: usize) -> Stroke {
    Stroke { width: LINE_WIDTH, ..series_style(system).stroke }
}

/// A line that holds each value until the next stretch begins, and stops where none follows at once.
fn draw_line(drawing: &mut Drawing, panel: &Panel, line: &[(f64, f64, f64)], stroke: Stroke) {
    let mut runs: Vec<Vec<Point>> = Vec::new();
    let mut until = f64::NEG_INFINITY;
    for &(start, end, value) in line {
        let (from, to) = (panel.place(start, value), panel.place(end, value));
        let follows = start <= until + 1e-9;
        until = end;
        match runs.last_mut().filter(|_| follows) {
            Some(run) => {
                let level = run.last().map_or(from.y, |last| last.y);
                if (level - from.y).abs() > 0.01 {
                    run.extend([at(from.x, level), from]);
                }
                run.push(to);
            }
            None => runs.push(vec![from, to]),
        }
    }
    for run in runs {
        for piece in clip(&run, panel.area) {
            drawing.line(Layer::Data, &piece, stroke);
        }
    }
}
