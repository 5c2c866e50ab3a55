//! Share of requests that meet the objectives, over the rate they are offered at.

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Layer, Point, Rect, Stroke, at, clip};
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{LIMIT, Width, mark, series_style};

const AREA_HEIGHT: f64 = 118.0;
const LEGEND_GAP: f64 = 4.0;
const MARK: f64 = 3.6;
/// How far beyond the largest goodput the axis reaches: systems that fail look alike there.
const BEYOND: f64 = 2.0;

/// One system's curve.
#[derive(Clone, Debug)]
pub(crate) struct AttainmentSeries<'a> {
    /// What the legend calls it.
    pub(crate) label: &'a str,
    /// Rates in requests per second, ascending; the share of requests at each (0 to 1), and half of its interval.
    pub(crate) points: Vec<(f64, (f64, Option<f64>))>,
    /// The highest rate that holds, in requests per second.
    pub(crate) goodput: Option<f64>,
}

/// A figure with one curve per system, and the rate that each holds marked on the axis.
#[derive(Clone, Debug)]
pub(crate) struct AttainmentFigure<'a> {
    /// In the order of the experiment file.
    pub(crate) series: Vec<AttainmentSeries<'a>>,
    /// Shares that are asked for (0 to 1).
    pub(crate) wanted: Vec<f64>,
}

impl AttainmentFigure<'_> {
    /// Draws it.
    pub(crate) fn draw(&self) -> Drawing {
        let y = Scale::Linear { low: 0.0, high: 100.0 };
        let y_ticks = axis::y_ticks(y, AREA_HEIGHT, true);
        let (left, width) = (axis::left_margin(&y_ticks), Width::Column.points());
        let right = width - RIGHT_MARGIN;
        let legend = self.legend(right - left);
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let area = Rect { left, top, right, bottom: top + AREA_HEIGHT };
        let title = "Requests that meet the objectives over the rate they are offered at";
        let mut drawing = Drawing::new(width, area.bottom + X_AXIS_HEIGHT + 2.5, title);
        let panel = Panel { area, x: self.x_scale(), y };
        draw_axes(&mut drawing, &panel, &y_ticks, "Requests in time (%)", Some("Offered rate (req/s)"));
        for wanted in &self.wanted {
            let height = panel.place(0.0, 100.0 * wanted).y;
            drawing.line(Layer::Axes, &[at(area.left, height), at(area.right, height)], LIMIT);
        }
        for (index, series) in self.series.iter().enumerate() {
            draw_series(&mut drawing, &panel, series, index);
        }
        if self.series.iter().all(|series| series.points.is_empty()) {
            draw_no_data(&mut drawing, area, "no data");
        }
        legend.draw(&mut drawing, at(left, 1.0));
        drawing
    }

    fn legend(&self, width: f64) -> Legend {
        let entry = |(index, series): (usize, &AttainmentSeries<'_>)| {
            let found = match series.goodput {
                Some(rate) => format!("{} ({} req/s)", series.label, crate::output::four_digits(rate)),
                None => format!("{} (no limit found)", series.label),
            };
            (Key::Curve(series_style(index)), found)
        };
        Legend::new(self.series.iter().enumerate().map(entry).collect(), width)
    }

    fn x_scale(&self) -> Scale {
        let tried = self.series.iter().flat_map(|series| &series.points).map(|(rate, _)| *rate).fold(0.0, f64::max);
        let found = self.series.iter().filter_map(|series| series.goodput).fold(0.0, f64::max);
        Scale::from_zero(if found > 0.0 { tried.min(BEYOND * found) } else { tried })
    }
}

fn draw_series(drawing: &mut Drawing, panel: &Panel, series: &AttainmentSeries<'_>, index: usize) {
    let style = series_style(index);
    let thin = Stroke { width: 0.7, dash: &[], ..style.stroke };
    let points: Vec<Point> = series.points.iter().map(|&(rate, (share, _))| panel.place(rate, 100.0 * share)).collect();
    for run in clip(&points, panel.area) {
        drawing.line(Layer::Data, &run, style.stroke);
    }
    let inside = |point: &Point| point.x <= panel.area.right + 0.01;
    for &(rate, (share, half)) in &series.points {
        let center = panel.place(rate, 100.0 * share);
        if !inside(&center) {
            continue;
        }
        if let Some(half) = half {
            let end = |share: f64| panel.place(rate, 100.0 * share.clamp(0.0, 1.0));
            drawing.line(Layer::Data, &[end(share - half), end(share + half)], thin);
        }
        mark(drawing, Layer::Data, style, center, MARK);
    }
    if let Some(rate) = series.goodput {
        let share = series.points.iter().find(|(tried, _)| *tried >= rate).map_or(0.0, |(_, (share, _))| *share);
        let drop = Stroke { width: 0.7, ..style.stroke };
        drawing.line(Layer::Data, &[panel.place(rate, 100.0 * share), panel.place(rate, 0.0)], drop);
        mark(drawing, Layer::Data, style, panel.place(rate, 0.0), 1.5 * MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_far_beyond_the_limit_do_not_squeeze_the_curve() {
        let points = [(1.0, 1.0), (2.0, 0.95), (3.0, 0.5), (400.0, 0.0)];
        let series = AttainmentSeries {
            label: "a",
            points: points.map(|(rate, share)| (rate, (share, Some(0.02)))).to_vec(),
            goodput: Some(2.0),
        };
        let figure = AttainmentFigure { series: vec![series], wanted: vec![0.9] };
        assert_eq!(figure.x_scale(), Scale::from_zero(4.0));
        let words: Vec<_> = figure.draw().shapes.into_iter().filter_map(|shape| shape.text).collect();
        assert!(words.contains(&"a (2.000 req/s)".to_owned()), "{words:?}");
    }

    #[test]
    fn systems_without_a_limit_and_no_systems_can_be_drawn() {
        let lone = AttainmentSeries { label: "a", points: vec![(5.0, (0.1, None))], goodput: None };
        for series in [Vec::new(), vec![lone]] {
            AttainmentFigure { series, wanted: vec![0.9] }.draw();
        }
    }
}
