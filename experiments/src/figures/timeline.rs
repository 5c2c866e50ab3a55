//! What a replica ran over time: tokens of each step, and below them its queue and its free KV cache.

use serde_json::{Value as Json, json};

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Anchor, Color, Drawing, Layer, Point, Rect, Segment, Stroke, at, clip, polygon};
use super::font;
use super::legend::{Key, Legend, ROW};
use super::scale::{Scale, Tick};
use super::style::{FAINT_INK, INK, TEXT, Width, series_style};
use super::{Figure, vega};

/// Prompt tokens.
pub(crate) const PREFILL: Color = Color(0x00, 0x44, 0x88);
/// Generated tokens.
pub(crate) const DECODE: Color = Color(0xF0, 0xA8, 0x30);
const RUNNING: Stroke = Stroke { color: Color(0x1A, 0x1A, 0x1A), width: 1.0, dash: &[] };
const TOKENS_HEIGHT: f64 = 86.0;
const LAYERS_HEIGHT: f64 = 56.0;
const REQUESTS_HEIGHT: f64 = 48.0;
const KV_HEIGHT: f64 = 46.0;
const PANEL_GAP: f64 = 9.0;
const LEGEND_GAP: f64 = 4.0;
/// Widest white gap between the bars of neighbouring steps, in points.
const BAR_GAP: f64 = 0.4;

/// What ran from one moment to another: a step, or a stretch of many steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Seconds since the start of the workload.
    pub(crate) start_s: f64,
    /// Not before `start_s`.
    pub(crate) end_s: f64,
    /// Prompt tokens, per step or per second.
    pub(crate) prefill_tokens: f64,
    /// Generated tokens, per step or per second.
    pub(crate) decode_tokens: f64,
    /// Requests in the batch or prefilling.
    pub(crate) running: f64,
    /// Requests queued.
    pub(crate) waiting: f64,
    /// Share of the KV cache that is free, 0 to 1.
    pub(crate) free_kv: f64,
    /// First and one-past-last layer that the prompt tokens passed through; `None`: all.
    pub(crate) prefill_layers: Option<(u32, u32)>,
}

/// What the heights of the bars count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    PerStep,
    PerSecond,
}

impl Tokens {
    fn label(self) -> &'static str {
        match self {
            Tokens::PerStep => "Tokens per step",
            Tokens::PerSecond => "Tokens/s",
        }
    }
}

/// A figure of one replica over time.
#[derive(Clone, Debug)]
pub(crate) struct TimelineFigure {
    /// What is shown, such as the system's name.
    pub(crate) title: String,
    /// In order of their starts.
    pub(crate) bars: Vec<Bar>,
    pub(crate) tokens: Tokens,
    /// From when to when, in seconds.
    pub(crate) window_s: (f64, f64),
    /// Layers of the model. If a bar names layers, a panel shows which ones each step took its prompts through.
    pub(crate) layers: u32,
    pub(crate) width: Width,
}

/// A panel before its place is known.
struct Row {
    label: &'static str,
    height: f64,
    y: Scale,
    ticks: Vec<Tick>,
    draw: fn(&mut Drawing, &Panel, &[Bar]),
}

impl Row {
    fn new(label: &'static str, height: f64, y: Scale, whole: bool, draw: fn(&mut Drawing, &Panel, &[Bar])) -> Self {
        Row { label, height, y, ticks: axis::y_ticks(y, height, whole), draw }
    }
}

impl Figure for TimelineFigure {
    fn draw(&self) -> Drawing {
        let rows = self.rows();
        let left = axis::left_margin(rows.iter().flat_map(|row| &row.ticks));
        let width = self.width.points();
        let right = width - RIGHT_MARGIN;
        let legend = legend(right - left);
        let title_width = font::width(&self.title, TEXT);
        let beside = legend.height() <= ROW && legend.width() + 2.0 * TEXT + title_width <= right - left;
        let title_row = if beside || self.title.is_empty() { 0.0 } else { ROW };
        let mut top = 1.0 + title_row + legend.height() + LEGEND_GAP;
        let panels_height = rows.iter().map(|row| row.height).sum::<f64>() + PANEL_GAP * (rows.len() - 1) as f64;
        let height = top + panels_height + X_AXIS_HEIGHT + 2.5;

        let mut drawing = Drawing::new(width, height, format!("Timeline of {}", self.title));
        let x = self.x_scale();
        for (i, row) in rows.iter().enumerate() {
            let area = Rect { left, top, right, bottom: top + row.height };
            let panel = Panel { area, x, y: row.y };
            let x_label = (i + 1 == rows.len()).then_some("Simulated time (s)");
            draw_axes(&mut drawing, &panel, &row.ticks, row.label, x_label);
            if self.bars.is_empty() {
                draw_no_data(&mut drawing, area, "no data");
            } else {
                (row.draw)(&mut drawing, &panel, &self.bars);
            }
            top = area.bottom + PANEL_GAP;
        }
        legend.draw(&mut drawing, at(left, 1.0 + title_row));
        let title = font::fit(&self.title, TEXT, right - left);
        let baseline = 1.0 + ROW / 2.0 + font::CAP_HEIGHT * TEXT / 2.0;
        drawing.text(Layer::Legend, &title, at(right, baseline), TEXT, Anchor::End, FAINT_INK);
        drawing
    }

    fn vega(&self) -> Json {
        let rows = self.bars.iter().map(|bar| {
            let (first, end) = bar.prefill_layers.unwrap_or((0, self.layers));
            json!({
                "start": bar.start_s, "end": bar.end_s, "decode": bar.decode_tokens, "tokens": bar.decode_tokens + bar.prefill_tokens,
                "zero": 0, "running": bar.running, "waiting": bar.waiting, "free_kv": 100.0 * bar.free_kv,
                "prefill": bar.prefill_tokens, "first": first, "last": end,
            })
        });
        let span = json!({ "x": { "field": "start", "type": "quantitative", "title": "Simulated time (s)", "scale": { "zero": false } },
            "x2": { "field": "end" } });
        let boxes = |low: &str, high: &str, title: &str, color: &str| {
            let mut encoding = span.clone();
            encoding["y"] = json!({ "field": low, "type": "quantitative", "title": title });
            encoding["y2"] = json!({ "field": high });
            json!({ "mark": { "type": "rect", "color": color }, "encoding": encoding })
        };
        let line = |field: &str, title: &str, dash: &[u8]| {
            json!({ "mark": { "type": "line", "interpolate": "step-after", "strokeDash": dash, "color": "#1a1a1a", "strokeWidth": 1 },
                "encoding": { "x": span["x"], "y": { "field": field, "type": "quantitative", "title": title } } })
        };
        let panel = |height: f64, layers: Vec<Json>| {
            let mut one = vega::size(self.width, height);
            one["layer"] = layers.into();
            one
        };
        let tokens = self.tokens.label();
        let mut panels = vec![panel(
            TOKENS_HEIGHT,
            vec![boxes("zero", "decode", tokens, "#f0a830"), boxes("decode", "tokens", tokens, "#004488")],
        )];
        if self.shows_layers() {
            let mut prompts = boxes("first", "last", "Prefill layers", "#004488");
            prompts["transform"] = json!([{ "filter": "datum.prefill > 0" }]);
            panels.push(panel(LAYERS_HEIGHT, vec![prompts]));
        }
        panels.push(panel(
            REQUESTS_HEIGHT,
            vec![line("running", "Requests", &[1, 0]), line("waiting", "Requests", &[4, 2])],
        ));
        panels.push(panel(KV_HEIGHT, vec![line("free_kv", "Free KV (%)", &[1, 0])]));
        vega::specification(&format!("Timeline of {}", self.title), rows.collect(), json!({ "vconcat": panels }))
    }
}

impl TimelineFigure {
    fn shows_layers(&self) -> bool {
        self.bars.iter().any(|bar| bar.prefill_layers.is_some())
    }

    fn rows(&self) -> Vec<Row> {
        let highest = |value: fn(&Bar) -> f64| self.bars.iter().map(value).fold(0.0, f64::max);
        let tokens = Scale::from_zero(highest(|bar| bar.prefill_tokens + bar.decode_tokens));
        let requests = Scale::from_zero(highest(|bar| bar.running.max(bar.waiting)).max(1.0));
        let percent = Scale::Linear { low: 0.0, high: 100.0 };
        let mut rows = vec![Row::new(self.tokens.label(), TOKENS_HEIGHT, tokens, false, draw_tokens)];
        if self.shows_layers() {
            let layers = Scale::Linear { low: 0.0, high: f64::from(self.layers.max(1)) };
            rows.push(Row::new("Prefill layers", LAYERS_HEIGHT, layers, true, draw_layers));
        }
        rows.push(Row::new("Requests", REQUESTS_HEIGHT, requests, true, draw_requests));
        rows.push(Row::new("Free KV (%)", KV_HEIGHT, percent, true, draw_free_kv));
        rows
    }

    fn x_scale(&self) -> Scale {
        let (low, high) = self.window_s;
        if low < high { Scale::Linear { low, high } } else { Scale::Linear { low, high: low + 1.0 } }
    }
}

fn legend(width: f64) -> Legend {
    let entries = [
        (Key::Swatch(PREFILL), "prefill tokens"),
        (Key::Swatch(DECODE), "decode tokens"),
        (Key::Line(RUNNING), "running"),
        (Key::Line(waiting_stroke()), "waiting"),
    ];
    Legend::new(entries.map(|(key, label)| (key, label.to_owned())).to_vec(), width)
}

fn waiting_stroke() -> Stroke {
    series_style(1).stroke
}

/// Bars from the decode tokens up, prompt tokens on top of them.
fn draw_tokens(drawing: &mut Drawing, panel: &Panel, bars: &[Bar]) {
    let (mut decode, mut prefill) = (Vec::new(), Vec::new());
    for bar in bars {
        push_box(&mut decode, panel, bar, 0.0, bar.decode_tokens);
        push_box(&mut prefill, panel, bar, bar.decode_tokens, bar.decode_tokens + bar.prefill_tokens);
    }
    drawing.outline(Layer::Data, decode, DECODE, None);
    drawing.outline(Layer::Data, prefill, PREFILL, None);
}

fn draw_layers(drawing: &mut Drawing, panel: &Panel, bars: &[Bar]) {
    let Scale::Linear { high: layers, .. } = panel.y else { return };
    let mut prefill = Vec::new();
    for bar in bars.iter().filter(|bar| bar.prefill_tokens > 0.0) {
        let (first, end) = bar.prefill_layers.map_or((0.0, layers), |(a, b)| (f64::from(a), f64::from(b)));
        push_box(&mut prefill, panel, bar, first, end);
    }
    drawing.outline(Layer::Data, prefill, PREFILL, None);
}

/// Adds the box of `bar` between two heights, cut to the panel.
fn push_box(path: &mut Vec<Segment>, panel: &Panel, bar: &Bar, low: f64, high: f64) {
    let (from, to) = (panel.place(bar.start_s, low), panel.place(bar.end_s, high));
    let (left, right) = (from.x.max(panel.area.left), to.x.min(panel.area.right));
    if low >= high || left >= right {
        return;
    }
    let right = right - (0.15 * (right - left)).min(BAR_GAP);
    path.extend(polygon(&[at(left, to.y), at(right, to.y), at(right, from.y), at(left, from.y)]));
}

fn draw_requests(drawing: &mut Drawing, panel: &Panel, bars: &[Bar]) {
    draw_steps(drawing, panel, bars, |bar| bar.running, RUNNING);
    draw_steps(drawing, panel, bars, |bar| bar.waiting, waiting_stroke());
}

fn draw_free_kv(drawing: &mut Drawing, panel: &Panel, bars: &[Bar]) {
    draw_steps(drawing, panel, bars, |bar| 100.0 * bar.free_kv, Stroke { color: INK, ..RUNNING });
}

/// A line that holds its value from the start of one bar to the start of the next, and stops where nothing ran for longer
/// than the bar itself took.
fn draw_steps(drawing: &mut Drawing, panel: &Panel, bars: &[Bar], value: fn(&Bar) -> f64, stroke: Stroke) {
    let mut points: Vec<Point> = Vec::new();
    let mut until_s = f64::INFINITY;
    for bar in bars {
        if bar.start_s > until_s + 1e-9 {
            draw_clipped(drawing, panel, &std::mem::take(&mut points), stroke);
        }
        let here = panel.place(bar.start_s, value(bar));
        if let Some(last) = points.pop() {
            let before = points.last().copied().unwrap_or(last);
            points.extend([at(here.x, before.y), here]);
        } else {
            points.push(here);
        }
        // Stands for the end of the bar until the next one is known.
        points.push(panel.place(bar.end_s, value(bar)));
        until_s = bar.end_s + (bar.end_s - bar.start_s);
    }
    draw_clipped(drawing, panel, &points, stroke);
}

fn draw_clipped(drawing: &mut Drawing, panel: &Panel, points: &[Point], stroke: Stroke) {
    for run in clip(points, panel.area) {
        drawing.line(Layer::Data, &run, stroke);
    }
}
