//! What each step ran, as tokens × layers: systems one above the other over equal stretches of time.

use serde_json::{Value as Json, json};

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Anchor, Color, Drawing, Layer, Rect, Segment, Stroke, at, polygon};
use super::font;
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{INK, PAPER, TEXT, Width, shade};
use super::{Figure, vega};

const DECODE: Color = Color(0xF7, 0xDC, 0xA8);
const PANEL_HEIGHT: f64 = 56.0;
const PANEL_GAP: f64 = 17.0;
const LEGEND_GAP: f64 = 14.0;
/// Prompt tokens are told apart in this many shades at most.
const MOST_CLASSES: usize = 5;
/// The palest shade: paler would not stand off the steps without prompts.
const PALEST: f64 = 0.3;

/// A figure with one panel per system.
#[derive(Clone, Debug)]
pub(crate) struct WorkFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    /// From top to bottom.
    pub(crate) systems: Vec<WorkPanel>,
    pub(crate) width: Width,
}

/// Some steps of one replica of one system.
#[derive(Clone, Debug)]
pub(crate) struct WorkPanel {
    pub(crate) label: String,
    /// Layers of the model.
    pub(crate) layers: u32,
    pub(crate) steps: Vec<WorkStep>,
}

/// What one step ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WorkStep {
    /// Seconds since the first step that is shown.
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    /// Prompt tokens, and the layers they passed through: first and one past the last.
    pub(crate) prefill_tokens: u32,
    pub(crate) prefill_layers: (u32, u32),
    /// Whether requests generated a token beside them: those pass through all layers.
    pub(crate) decodes: bool,
}

impl Figure for WorkFigure {
    fn draw(&self) -> Drawing {
        let classes = Classes::up_to(self.steps().map(|step| step.prefill_tokens).max().unwrap_or(0));
        let scale = |panel: &WorkPanel| Scale::Linear { low: 0.0, high: f64::from(panel.layers.max(1)) };
        let ticks: Vec<_> = self.systems.iter().map(|panel| axis::y_ticks(scale(panel), PANEL_HEIGHT, true)).collect();
        let left = axis::left_margin(ticks.iter().flatten());
        let width = self.width.points();
        let right = width - RIGHT_MARGIN;
        let legend = Legend::new(classes.legend(self.steps()), right - left);
        let mut top = 1.0 + legend.height() + LEGEND_GAP;
        let count = self.systems.len();
        let bottom = top + PANEL_HEIGHT * count as f64 + PANEL_GAP * count.saturating_sub(1) as f64;
        let mut drawing = Drawing::new(width, bottom + X_AXIS_HEIGHT + 2.5, self.title.as_str());
        let until_ms = 1e3 * self.steps().map(|step| step.end_s).fold(0.0, f64::max);
        let x = Scale::Linear { low: 0.0, high: if until_ms > 0.0 { until_ms } else { 1.0 } };
        for (index, (shown, ticks)) in self.systems.iter().zip(&ticks).enumerate() {
            let area = Rect { left, top, right, bottom: top + PANEL_HEIGHT };
            let panel = Panel { area, x, y: scale(shown) };
            let label = (index + 1 == count).then_some("Time since the first step shown (ms)");
            draw_axes(&mut drawing, &panel, ticks, "Layers", label);
            if shown.steps.is_empty() {
                draw_no_data(&mut drawing, area, "no data");
            }
            shown.draw(&mut drawing, &panel, classes);
            let title = font::fit(&shown.label, TEXT, right - left);
            drawing.text(Layer::Axes, &title, at(left, area.top - 3.5), TEXT, Anchor::Start, INK);
            top = area.bottom + PANEL_GAP;
        }
        legend.draw(&mut drawing, at(left, 1.0));
        drawing
    }

    fn vega(&self) -> Json {
        let mut rows = Vec::new();
        for (number, panel) in self.systems.iter().enumerate() {
            for step in &panel.steps {
                let (first, end) = step.prefill_layers;
                rows.push(json!({
                    "panel": number, "start": 1e3 * step.start_s, "end": 1e3 * step.end_s, "tokens": step.prefill_tokens,
                    "first": first, "last": end, "decodes": step.decodes, "bottom": 0, "top": panel.layers,
                }));
            }
        }
        let x = json!({ "field": "start", "type": "quantitative", "title": "Time since the first step shown (ms)" });
        let panel = |(number, panel): (usize, &WorkPanel)| {
            let mut one = vega::size(self.width, PANEL_HEIGHT);
            one["title"] = json!({ "text": panel.label, "anchor": "start", "fontSize": 8, "fontWeight": "normal" });
            one["transform"] = json!([{ "filter": { "field": "panel", "equal": number } }]);
            one["layer"] = json!([
                { "mark": { "type": "rect", "color": "#f7dca8", "stroke": "white", "strokeWidth": 0.5 },
                  "transform": [{ "filter": "datum.decodes" }],
                  "encoding": { "x": x, "x2": { "field": "end" },
                    "y": { "field": "bottom", "type": "quantitative", "title": "Layers" }, "y2": { "field": "top" } } },
                { "mark": { "type": "rect", "stroke": "white", "strokeWidth": 0.5 },
                  "transform": [{ "filter": "datum.tokens > 0" }],
                  "encoding": { "x": x, "x2": { "field": "end" },
                    "y": { "field": "first", "type": "quantitative", "title": "Layers" }, "y2": { "field": "last" },
                    "color": { "field": "tokens", "type": "quantitative", "title": "Prompt tokens", "scale": { "scheme": "blues" } } } },
            ]);
            one
        };
        let panels: Vec<Json> = self.systems.iter().enumerate().map(panel).collect();
        vega::specification(&self.title, rows, json!({ "vconcat": panels }))
    }
}

impl WorkFigure {
    fn steps(&self) -> impl Iterator<Item = &WorkStep> {
        self.systems.iter().flat_map(|panel| &panel.steps)
    }
}

/// Prompt tokens of a step in classes of equal width, a shade each.
#[derive(Clone, Copy)]
struct Classes {
    width: u32,
    count: usize,
}

impl Classes {
    /// A few classes with round bounds, the last of which holds `most`.
    fn up_to(most: u32) -> Self {
        let fits = |width: &u32| most.div_ceil(*width) as usize <= MOST_CLASSES;
        let round = (0..10).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u32.pow(power)));
        let width = round.into_iter().find(fits).unwrap_or(u32::MAX);
        Classes { width, count: most.div_ceil(width) as usize }
    }

    fn of(self, tokens: u32) -> usize {
        tokens.saturating_sub(1) as usize / self.width as usize
    }

    fn shade(self, class: usize) -> Color {
        let share = if self.count < 2 { 1.0 } else { class as f64 / (self.count - 1) as f64 };
        shade(PALEST + (1.0 - PALEST) * share)
    }

    /// Keys of the classes that occur among `steps`.
    fn legend<'a>(self, steps: impl Iterator<Item = &'a WorkStep>) -> Vec<(Key, String)> {
        let mut occurs = vec![false; self.count];
        steps.filter(|step| step.prefill_tokens > 0).for_each(|step| occurs[self.of(step.prefill_tokens)] = true);
        let mut entries = vec![(Key::Swatch(DECODE), "decodes".to_owned())];
        if self.count > 0 {
            entries.push((Key::Absent, "prompt tokens, up to".to_owned()));
        }
        let bound = |class: usize| super::scale::number(((class + 1) * self.width as usize) as f64, 1.0);
        entries.extend(
            (0..self.count).filter(|&class| occurs[class]).map(|class| (Key::Swatch(self.shade(class)), bound(class))),
        );
        entries
    }
}

impl WorkPanel {
    fn draw(&self, drawing: &mut Drawing, panel: &Panel, classes: Classes) {
        let mut decodes: Vec<Segment> = Vec::new();
        let mut prompts: Vec<Vec<Segment>> = vec![Vec::new(); classes.count];
        for step in &self.steps {
            if step.decodes {
                decodes.extend(rectangle(panel, step, (0, self.layers)));
            }
            if step.prefill_tokens > 0 {
                prompts[classes.of(step.prefill_tokens)].extend(rectangle(panel, step, step.prefill_layers));
            }
        }
        let edge = Stroke { color: PAPER, width: 0.5, dash: &[] };
        let boxes = std::iter::once((DECODE, decodes))
            .chain(prompts.into_iter().enumerate().map(|(i, path)| (classes.shade(i), path)));
        for (color, path) in boxes.filter(|(_, path)| !path.is_empty()) {
            drawing.outline(Layer::Data, path, color, Some(edge));
        }
    }
}

fn rectangle(panel: &Panel, step: &WorkStep, layers: (u32, u32)) -> Vec<Segment> {
    let from = panel.place(1e3 * step.start_s, f64::from(layers.0));
    let to = panel.place(1e3 * step.end_s, f64::from(layers.1));
    let (left, right) = (from.x.max(panel.area.left), to.x.min(panel.area.right));
    polygon(&[at(left, to.y), at(right, to.y), at(right, from.y), at(left, from.y)])
}
