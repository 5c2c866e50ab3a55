//! Predicted over measured times: on the diagonal where they agree.

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Layer, Rect, Stroke, at, clip};
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{AXIS, LIMIT, Width, mark, series_style};
use super::units::TimeUnit;

const LEGEND_GAP: f64 = 4.0;
/// Size of a mark in points.
const MARK: f64 = 2.6;
/// Marks of a figure. More would make the file large and hide each other; they are thinned evenly, and the legend says so.
const MOST_MARKS: usize = 4000;
/// Lines beside the diagonal: as much too long, or too short, relative to the measured time.
const BAND: f64 = 0.1;

/// Points that belong together.
#[derive(Clone, Debug)]
pub(crate) struct ScatterSeries<'a> {
    /// What the legend calls them.
    pub(crate) label: &'a str,
    /// Measured and predicted seconds, both positive.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A figure with one mark per pair of a measured and a predicted time. Both axes are logarithmic and alike.
#[derive(Clone, Debug)]
pub(crate) struct ScatterFigure<'a> {
    /// What took so long, such as `GPU time of a step`.
    pub(crate) quantity: &'a str,
    /// In the order of the legend.
    pub(crate) series: Vec<ScatterSeries<'a>>,
    pub(crate) width: Width,
}

impl ScatterFigure<'_> {
    /// Draws it.
    pub(crate) fn draw(&self) -> Drawing {
        let bounds = self.bounds();
        let unit = TimeUnit::for_axis(bounds.map_or(1.0, |(_, high)| high));
        let scale = bounds.map_or(Scale::Linear { low: 0.0, high: 1.0 }, |(low, high)| {
            Scale::log_around(unit.of(low) * (1.0 - BAND), unit.of(high) * (1.0 + BAND))
        });
        let width = self.width.points();
        // The height decides which ticks fit, and the ticks how much is left for the width: a square, nearly.
        let height = width - RIGHT_MARGIN - 45.0;
        let y_ticks = axis::y_ticks(scale, height, false);
        let left = axis::left_margin(&y_ticks);
        let right = width - RIGHT_MARGIN;
        let legend = self.legend(right - left);
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let area = Rect { left, top, right, bottom: top + (right - left) };
        let mut drawing = Drawing::new(
            width,
            area.bottom + X_AXIS_HEIGHT + 2.5,
            format!("Predicted over measured {}", self.quantity),
        );
        let panel = Panel { area, x: scale, y: scale };
        let label = |what: &str| format!("{what} {} ({})", self.quantity, unit.name());
        draw_axes(&mut drawing, &panel, &y_ticks, &label("Predicted"), Some(&label("Measured")));
        if bounds.is_none() {
            draw_no_data(&mut drawing, area, "no data");
        } else {
            draw_guides(&mut drawing, &panel);
        }
        let thinning = self.points().div_ceil(MOST_MARKS).max(1);
        for (index, series) in self.series.iter().enumerate() {
            for &(measured_s, predicted_s) in series.points.iter().step_by(thinning) {
                let center = panel.place(unit.of(measured_s), unit.of(predicted_s));
                mark(&mut drawing, Layer::Data, series_style(index), center, MARK);
            }
        }
        legend.draw(&mut drawing, at(left, 1.0));
        drawing
    }

    fn points(&self) -> usize {
        self.series.iter().map(|series| series.points.len()).sum()
    }

    fn legend(&self, width: f64) -> Legend {
        let thinning = self.points().div_ceil(MOST_MARKS).max(1);
        let entry = |(index, series): (usize, &ScatterSeries<'_>)| {
            let (all, shown) = (series.points.len(), series.points.len().div_ceil(thinning));
            let count = if shown < all { format!("{shown} of {all}") } else { all.to_string() };
            (Key::Mark(series_style(index)), format!("{} ({count})", series.label))
        };
        let band = (Key::Line(LIMIT), format!("±{:.0} %", 100.0 * BAND));
        Legend::new(self.series.iter().enumerate().map(entry).chain(std::iter::once(band)).collect(), width)
    }

    /// Smallest and largest time that has to be shown, in seconds.
    fn bounds(&self) -> Option<(f64, f64)> {
        let times = self.series.iter().flat_map(|series| &series.points).flat_map(|&(x, y)| [x, y]);
        times.fold(None, |bounds, time| {
            Some(bounds.map_or((time, time), |(low, high): (f64, f64)| (low.min(time), high.max(time))))
        })
    }
}

/// The diagonal and the lines beside it.
fn draw_guides(drawing: &mut Drawing, panel: &Panel) {
    let Scale::Log { low, high } = panel.x else { return };
    let lines: [(f64, Stroke); 3] = [(1.0, AXIS), (1.0 - BAND, LIMIT), (1.0 + BAND, LIMIT)];
    for (ratio, stroke) in lines {
        let ends = [panel.place(low, ratio * low), panel.place(high, ratio * high)];
        for run in clip(&ends, panel.area) {
            drawing.line(Layer::Axes, &run, stroke);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(points: Vec<(f64, f64)>) -> ScatterFigure<'static> {
        let series = ScatterSeries { label: "decode", points };
        ScatterFigure { quantity: "GPU time of a step", series: vec![series], width: Width::Column }
    }

    fn marks(drawing: &Drawing) -> usize {
        drawing.shapes.iter().filter(|shape| shape.layer == Layer::Data).count()
    }

    #[test]
    fn points_where_both_times_agree_lie_on_the_diagonal_and_all_inside() {
        let drawing = figure(vec![(0.001, 0.001), (0.01, 0.01), (0.2, 0.25)]).draw();
        assert_eq!(marks(&drawing), 3);
        for shape in drawing.shapes.iter().filter(|shape| shape.layer == Layer::Data) {
            for segment in &shape.path {
                if let super::super::drawing::Segment::Move(point) = segment {
                    assert!((0.0..=drawing.width).contains(&point.x) && (0.0..=drawing.height).contains(&point.y));
                }
            }
        }
    }

    #[test]
    fn many_points_are_thinned_and_the_legend_says_so() {
        let drawing = figure((1..=10_000).map(|n| (f64::from(n) * 1e-5, f64::from(n) * 1e-5)).collect()).draw();
        assert_eq!(marks(&drawing), 3334);
        let words: Vec<_> = drawing.shapes.iter().filter_map(|shape| shape.text.as_deref()).collect();
        assert!(words.contains(&"decode (3334 of 10000)"), "{words:?}");
        assert!(words.contains(&"Measured GPU time of a step (ms)"), "{words:?}");
    }

    #[test]
    fn no_points_and_equal_points_can_be_drawn() {
        let words = |drawing: Drawing| drawing.shapes.into_iter().filter_map(|shape| shape.text).collect::<Vec<_>>();
        assert!(words(figure(Vec::new()).draw()).contains(&"no data".to_owned()));
        assert_eq!(marks(&figure(vec![(0.5, 0.5); 3]).draw()), 3);
    }
}
