//! Panels: an area of the page with a scale on each side, and the axes around it.

use super::drawing::{Anchor, Drawing, Layer, Point, Rect, Stroke, at};
use super::font;
use super::scale::{Scale, Tick};
use super::style::{AXIS, FAINT_INK, GRID, INK, PAPER, TEXT};

const TICK_LENGTH: f64 = 2.6;
const SMALL_TICK_LENGTH: f64 = 1.5;
const GAP: f64 = 2.5;
/// Height taken by the tick labels and the label of a horizontal axis.
pub(crate) const X_AXIS_HEIGHT: f64 = TICK_LENGTH + GAP + TEXT + 4.0 + TEXT;
/// Room beside the last tick label.
pub(crate) const RIGHT_MARGIN: f64 = 10.0;

/// An area with two scales.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) area: Rect,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
}

impl Panel {
    /// Where the values `x`, `y` lie on the page.
    pub(crate) fn place(&self, x: f64, y: f64) -> Point {
        let Rect { left, bottom, .. } = self.area;
        let (across, up) = (self.x.position(x), self.y.position(y));
        at(left + across * self.area.width(), bottom - up * self.area.height())
    }
}

/// Ticks of a vertical axis `height` points high; `whole` keeps fractions off axes that count things.
pub(crate) fn y_ticks(scale: Scale, height: f64, whole: bool) -> Vec<Tick> {
    scale.ticks(|ticks| {
        let apart = ticks.windows(2).all(|pair| distance(scale, &pair[0], &pair[1]) * height >= 1.45 * TEXT);
        apart && (!whole || ticks.iter().all(|tick| tick.value.fract() == 0.0))
    })
}

fn x_ticks(scale: Scale, width: f64) -> Vec<Tick> {
    scale.ticks(|ticks| {
        let room = |pair: &[Tick]| f64::midpoint(label_width(&pair[0]), label_width(&pair[1])) + 1.2 * TEXT;
        ticks.windows(2).all(|pair| distance(scale, &pair[0], &pair[1]) * width >= room(pair))
    })
}

fn distance(scale: Scale, before: &Tick, after: &Tick) -> f64 {
    scale.position(after.value) - scale.position(before.value)
}

fn label_width(tick: &Tick) -> f64 {
    tick.label.as_ref().map_or(0.0, |label| font::width(label, TEXT))
}

/// Room that vertical axes with these ticks need, their labels included.
pub(crate) fn left_margin<'a>(ticks: impl IntoIterator<Item = &'a Tick>) -> f64 {
    let widest = ticks.into_iter().map(label_width).fold(0.0, f64::max);
    1.0 + TEXT + GAP + widest + GAP + TICK_LENGTH
}

/// Draws the grid, the vertical axis with `label`, and the horizontal axis, which has labels if `x_label` is given.
pub(crate) fn draw_axes(drawing: &mut Drawing, panel: &Panel, ticks: &[Tick], label: &str, x_label: Option<&str>) {
    let area = panel.area;
    let across = x_ticks(panel.x, area.width());
    for tick in across.iter().filter(|tick| tick.label.is_some()) {
        let x = area.left + panel.x.position(tick.value) * area.width();
        drawing.line(Layer::Axes, &[at(x, area.top), at(x, area.bottom)], GRID);
    }
    for tick in ticks.iter().filter(|tick| tick.label.is_some()) {
        let y = area.bottom - panel.y.position(tick.value) * area.height();
        drawing.line(Layer::Axes, &[at(area.left, y), at(area.right, y)], GRID);
    }
    draw_y_axis(drawing, panel, ticks, label);
    draw_x_axis(drawing, panel, &across, x_label);
}

fn draw_y_axis(drawing: &mut Drawing, panel: &Panel, ticks: &[Tick], label: &str) {
    let area = panel.area;
    drawing.line(Layer::Axes, &[at(area.left, area.top), at(area.left, area.bottom)], AXIS);
    for tick in ticks {
        let y = area.bottom - panel.y.position(tick.value) * area.height();
        drawing.line(Layer::Axes, &[at(area.left - tick_length(tick), y), at(area.left, y)], tick_stroke());
        if let Some(text) = &tick.label {
            let baseline = y + font::CAP_HEIGHT * TEXT / 2.0;
            let end = at(area.left - TICK_LENGTH - GAP, baseline);
            drawing.text(Layer::Axes, text, end, TEXT, Anchor::End, INK);
        }
    }
    // A label that is longer than its panel stays on the page.
    let label = &font::fit(label, TEXT, area.bottom - 1.0);
    let middle = f64::midpoint(area.top, area.bottom).max(font::width(label, TEXT) / 2.0 + 1.0);
    drawing.text_upwards(Layer::Axes, label, at(1.0 + font::CAP_HEIGHT * TEXT, middle), TEXT, INK);
}

fn draw_x_axis(drawing: &mut Drawing, panel: &Panel, ticks: &[Tick], label: Option<&str>) {
    let area = panel.area;
    drawing.line(Layer::Axes, &[at(area.left, area.bottom), at(area.right, area.bottom)], AXIS);
    let baseline = area.bottom + TICK_LENGTH + GAP + font::CAP_HEIGHT * TEXT;
    for tick in ticks {
        let x = area.left + panel.x.position(tick.value) * area.width();
        drawing.line(Layer::Axes, &[at(x, area.bottom), at(x, area.bottom + tick_length(tick))], tick_stroke());
        if let (Some(text), Some(_)) = (&tick.label, label) {
            let furthest = drawing.width - 1.0 - label_width(tick) / 2.0;
            drawing.text(Layer::Axes, text, at(x.min(furthest), baseline), TEXT, Anchor::Middle, INK);
        }
    }
    if let Some(label) = label {
        let middle = f64::midpoint(area.left, area.right);
        drawing.text(Layer::Axes, label, at(middle, baseline + TEXT + 4.0), TEXT, Anchor::Middle, INK);
    }
}

fn tick_length(tick: &Tick) -> f64 {
    if tick.label.is_some() { TICK_LENGTH } else { SMALL_TICK_LENGTH }
}

fn tick_stroke() -> Stroke {
    Stroke { width: 0.5, ..AXIS }
}

/// Says in the middle of an empty area that it is empty for want of data.
pub(crate) fn draw_no_data(drawing: &mut Drawing, area: Rect, why: &str) {
    let middle = at(f64::midpoint(area.left, area.right), f64::midpoint(area.top, area.bottom));
    let half = font::width(why, TEXT) / 2.0 + 2.0;
    let (left, right) = (middle.x - half, middle.x + half);
    drawing.bar(Layer::Axes, Rect { left, top: middle.y - TEXT, right, bottom: middle.y + TEXT }, PAPER);
    let baseline = at(middle.x, middle.y + font::CAP_HEIGHT * TEXT / 2.0);
    drawing.text(Layer::Data, why, baseline, TEXT, Anchor::Middle, FAINT_INK);
}
