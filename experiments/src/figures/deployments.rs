//! Deployments by cost: one panel for each thing that cost buys.

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Layer, Rect, Stroke, at, circle};
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{INK, PAPER, Width, mark, series_style};

const AREA_HEIGHT: f64 = 112.0;
const LEGEND_GAP: f64 = 4.0;
const PANEL_GAP: f64 = 9.0;
/// Marks of deployments that another one beats in every respect, and of those that none does.
const BEATEN: f64 = 2.4;
const ON_FRONTIER: f64 = 4.6;
const RING: f64 = 4.4;
/// Values this many times apart are drawn on a logarithmic axis.
const WIDE: f64 = 20.0;

/// One deployment.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentPoint {
    /// Index of its series.
    pub(crate) series: usize,
    /// US dollars per hour.
    pub(crate) usd_per_hour: f64,
    /// What it is worth in each panel, where that is known; positive.
    pub(crate) values: Vec<Option<f64>>,
    /// Whether no other deployment is at least as good in every respect.
    pub(crate) on_frontier: bool,
    /// Whether it is the one that was chosen.
    pub(crate) chosen: bool,
}

/// A figure of deployments, panels side by side.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentsFigure<'a> {
    /// What the legend calls the series.
    pub(crate) series: Vec<&'a str>,
    /// Labels of the vertical axes, units included; less is better in all.
    pub(crate) panels: &'a [&'a str],
    /// In any order.
    pub(crate) points: Vec<DeploymentPoint>,
}

impl DeploymentsFigure<'_> {
    /// Draws it.
    pub(crate) fn draw(&self) -> Drawing {
        let width = Width::Page.points();
        let legend = self.legend(width - RIGHT_MARGIN);
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let mut drawing = Drawing::new(
            width,
            top + AREA_HEIGHT + X_AXIS_HEIGHT + 2.5,
            "What deployments that serve cost, and what that buys",
        );
        let each = (width - PANEL_GAP * (self.panels.len() - 1) as f64) / self.panels.len() as f64;
        for (number, label) in self.panels.iter().enumerate() {
            let left = number as f64 * (each + PANEL_GAP);
            self.draw_panel(
                &mut drawing,
                number,
                label,
                Rect { left, top, right: left + each, bottom: top + AREA_HEIGHT },
            );
        }
        legend.draw(&mut drawing, at(1.0, 1.0));
        drawing
    }

    fn legend(&self, width: f64) -> Legend {
        let series =
            self.series.iter().enumerate().map(|(index, label)| (Key::Mark(series_style(index)), (*label).to_owned()));
        let words = "large: nothing beats it in every respect; in a ring: the plan";
        Legend::new(series.chain(std::iter::once((Key::Absent, words.to_owned()))).collect(), width)
    }

    fn draw_panel(&self, drawing: &mut Drawing, number: usize, label: &str, outer: Rect) {
        let values = || self.points.iter().filter_map(|point| point.values[number]);
        let y = scale(values());
        let y_ticks = axis::y_ticks(y, AREA_HEIGHT, false);
        let area = Rect { left: outer.left + axis::left_margin(&y_ticks), right: outer.right - RIGHT_MARGIN, ..outer };
        let panel = Panel { area, x: self.x_scale(), y };
        draw_axes_at(drawing, &panel, &y_ticks, label, outer.left);
        if values().next().is_none() {
            draw_no_data(drawing, area, "not known");
        }
        // What matters is drawn last, so that nothing covers it.
        let mut points: Vec<&DeploymentPoint> = self.points.iter().collect();
        points.sort_by_key(|point| (point.chosen, point.on_frontier));
        for point in points {
            let Some(value) = point.values[number] else { continue };
            let center = panel.place(point.usd_per_hour, value);
            if point.chosen {
                let edge = Stroke { color: INK, width: 0.8, dash: &[] };
                drawing.outline(Layer::Data, circle(center, RING), PAPER, Some(edge));
            }
            let size = if point.on_frontier { ON_FRONTIER } else { BEATEN };
            mark(drawing, Layer::Data, series_style(point.series), center, size);
        }
    }

    fn x_scale(&self) -> Scale {
        let costs = || self.points.iter().map(|point| point.usd_per_hour);
        let (least, most) = (costs().fold(f64::INFINITY, f64::min), costs().fold(0.0, f64::max));
        if least > most {
            return Scale::from_zero(1.0);
        }
        let margin = 0.06 * (most - least).max(0.2 * most);
        Scale::Linear { low: least - margin, high: most + margin }
    }
}

fn scale(values: impl Iterator<Item = f64> + Clone) -> Scale {
    let (least, most) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
    if least > 0.0 && least.is_finite() && most >= WIDE * least {
        Scale::log_around(least, most)
    } else {
        Scale::from_zero(most)
    }
}

/// The axes of a panel whose room begins at `left` rather than at the edge of the page.
fn draw_axes_at(drawing: &mut Drawing, panel: &Panel, ticks: &[super::scale::Tick], label: &str, left: f64) {
    draw_axes(drawing, panel, ticks, "", Some("Cost ($/h)"));
    let middle = f64::midpoint(panel.area.top, panel.area.bottom);
    let base = at(left + 1.0 + super::font::CAP_HEIGHT * super::style::TEXT, middle);
    drawing.text_upwards(Layer::Axes, label, base, super::style::TEXT, INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(usd_per_hour: f64, values: [Option<f64>; 2], chosen: bool) -> DeploymentPoint {
        DeploymentPoint { series: 0, usd_per_hour, values: values.to_vec(), on_frontier: chosen, chosen }
    }

    fn words(figure: &DeploymentsFigure<'_>) -> Vec<String> {
        figure.draw().shapes.into_iter().filter_map(|shape| shape.text).collect()
    }

    #[test]
    fn every_known_value_has_a_mark_and_the_plan_a_ring() {
        let points = vec![point(10.0, [Some(100.0), None], true), point(12.0, [Some(90.0), None], false)];
        let figure = DeploymentsFigure { series: vec!["chunked"], panels: &["TTFT (ms)", "Energy (J)"], points };
        let drawn = figure.draw().shapes.iter().filter(|shape| shape.layer == Layer::Data).count();
        assert_eq!(drawn, 2 + 1 + 1, "two marks, a ring, and the word that says that energy is not known");
        let words = words(&figure);
        for word in ["TTFT (ms)", "Energy (J)", "not known", "chunked", "Cost ($/h)"] {
            assert!(words.contains(&word.to_owned()), "{word} is not among {words:?}");
        }
    }

    #[test]
    fn nothing_and_equal_costs_can_be_drawn() {
        let none = DeploymentsFigure { series: Vec::new(), panels: &["TTFT (ms)", "TBT (ms)"], points: Vec::new() };
        assert_eq!(words(&none).iter().filter(|word| *word == "not known").count(), 2);
        let same = vec![point(10.0, [Some(1.0), Some(1.0)], false); 3];
        let same = DeploymentsFigure { series: vec!["a"], panels: &["x", "y"], points: same };
        let area = same.draw();
        for shape in area.shapes.iter().filter(|shape| shape.layer == Layer::Data) {
            for segment in &shape.path {
                if let super::super::drawing::Segment::Move(point) = segment {
                    assert!((0.0..=area.width).contains(&point.x), "{point:?} lies outside");
                }
            }
        }
    }
}
