//! Share of prompt tokens that caches reuse, over their capacity.

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Layer, Point, Rect, Stroke, at};
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{Width, mark, series_style};

const AREA_HEIGHT: f64 = 118.0;
const LEGEND_GAP: f64 = 4.0;
const MARK: f64 = 3.6;
/// Capacities this many times apart are drawn on a logarithmic axis.
const WIDE: f64 = 20.0;

/// One cache's curve.
#[derive(Clone, Debug)]
pub(crate) struct HitRateSeries<'a> {
    /// What the legend calls it.
    pub(crate) label: &'a str,
    /// Capacities in bytes, ascending; the share reused at each (0 to 1), and half of its interval.
    pub(crate) points: Vec<(f64, (f64, Option<f64>))>,
}

/// A figure with one curve per cache.
#[derive(Clone, Debug)]
pub(crate) struct HitRateFigure<'a> {
    /// In the order of the study.
    pub(crate) series: Vec<HitRateSeries<'a>>,
}

impl HitRateFigure<'_> {
    /// Draws it.
    pub(crate) fn draw(&self) -> Drawing {
        let shares = self.series.iter().flat_map(|series| &series.points).map(|(_, (share, _))| 100.0 * share);
        let y = Scale::from_zero(shares.fold(0.0, f64::max));
        let y_ticks = axis::y_ticks(y, AREA_HEIGHT, true);
        let (left, width) = (axis::left_margin(&y_ticks), Width::Column.points());
        let right = width - RIGHT_MARGIN;
        let legend = self.legend(right - left);
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let area = Rect { left, top, right, bottom: top + AREA_HEIGHT };
        let title = "Prompt tokens that prefix caches reuse over their capacity";
        let mut drawing = Drawing::new(width, area.bottom + X_AXIS_HEIGHT + 2.5, title);
        let panel = Panel { area, x: self.x_scale(), y };
        draw_axes(&mut drawing, &panel, &y_ticks, "Prompt tokens reused (%)", Some("Capacity (GB)"));
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
        let entry =
            |(index, series): (usize, &HitRateSeries<'_>)| (Key::Curve(series_style(index)), series.label.to_owned());
        Legend::new(self.series.iter().enumerate().map(entry).collect(), width)
    }

    fn x_scale(&self) -> Scale {
        let capacities = || self.series.iter().flat_map(|series| &series.points).map(|(bytes, _)| bytes / 1e9);
        let (least, most) = (capacities().fold(f64::INFINITY, f64::min), capacities().fold(0.0, f64::max));
        if most >= WIDE * least { Scale::log_around(least, most) } else { Scale::from_zero(most) }
    }
}

fn draw_series(drawing: &mut Drawing, panel: &Panel, series: &HitRateSeries<'_>, index: usize) {
    let style = series_style(index);
    let thin = Stroke { width: 0.7, dash: &[], ..style.stroke };
    let place = |bytes: f64, share: f64| panel.place(bytes / 1e9, 100.0 * share);
    let points: Vec<Point> = series.points.iter().map(|&(bytes, (share, _))| place(bytes, share)).collect();
    drawing.line(Layer::Data, &points, style.stroke);
    for &(bytes, (share, half)) in &series.points {
        if let Some(half) = half {
            let ends = [(share - half).max(0.0), share + half].map(|share| place(bytes, share));
            drawing.line(Layer::Data, &ends, thin);
        }
        mark(drawing, Layer::Data, style, place(bytes, share), MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(capacities: [f64; 3]) -> HitRateFigure<'static> {
        let points = capacities.map(|gigabytes| (gigabytes * 1e9, (0.3, Some(0.4)))).to_vec();
        HitRateFigure { series: vec![HitRateSeries { label: "marconi", points }] }
    }

    #[test]
    fn capacities_far_apart_are_drawn_on_a_logarithmic_axis() {
        assert_eq!(figure([60.0, 80.0, 140.0]).x_scale(), Scale::from_zero(140.0));
        assert_eq!(figure([1.0, 10.0, 100.0]).x_scale(), Scale::log_around(1.0, 100.0));
    }

    #[test]
    fn an_interval_that_reaches_below_nothing_ends_at_the_axis_and_no_caches_can_be_drawn() {
        let words: Vec<_> = figure([1.0, 2.0, 3.0]).draw().shapes.into_iter().filter_map(|shape| shape.text).collect();
        assert!(words.contains(&"Capacity (GB)".to_owned()) && words.contains(&"marconi".to_owned()), "{words:?}");
        let words: Vec<_> =
            HitRateFigure { series: Vec::new() }.draw().shapes.into_iter().filter_map(|shape| shape.text).collect();
        assert!(words.contains(&"no data".to_owned()), "{words:?}");
    }
}
