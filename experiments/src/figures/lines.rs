//! A measure over something that was varied: one curve per system, with intervals.

use serde_json::{Value as Json, json};

use super::axis::Panel;
use super::drawing::{Drawing, Layer, Point, Stroke, at, clip};
use super::frame::{Frame, PANEL_HEIGHT};
use super::legend::Key;
use super::scale::Scale;
use super::style::{LIMIT, Width, interval, mark, series_style};
use super::{Figure, vega};

const MARK: f64 = 3.8;

/// A figure with one curve per system.
#[derive(Clone, Debug)]
pub(crate) struct LinesFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    /// Labels of the axes, with units.
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    /// In the order of the legend.
    pub(crate) series: Vec<LineSeries>,
    /// Values that are asked for: lines across.
    pub(crate) limits: Vec<f64>,
    /// What the values in the names of curves are of; empty if they hold none.
    pub(crate) varied: String,
    /// What intervals are over.
    pub(crate) intervals: String,
    pub(crate) width: Width,
}

/// One curve.
#[derive(Clone, Debug)]
pub(crate) struct LineSeries {
    /// What the legend calls it.
    pub(crate) label: String,
    /// In ascending order of `x`.
    pub(crate) points: Vec<LinePoint>,
}

/// A point of a curve, in the units of the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LinePoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Ends of the interval of `y`.
    pub(crate) interval: Option<(f64, f64)>,
}

impl Figure for LinesFigure {
    fn draw(&self) -> Drawing {
        let legend = self.series.iter().enumerate();
        let (mut drawing, panel) = Frame {
            title: &self.title,
            width: self.width,
            legend: legend
                .map(|(i, series)| (Key::Curve(series_style(i)), series.label.clone()))
                .chain(super::legend::note("curves", &self.varied))
                .chain(super::legend::note("intervals", self.interval_words()))
                .collect(),
            x: self.x_scale(),
            y: self.y_scale(),
            x_label: &self.x_label,
            y_label: &self.y_label,
            is_empty: self.points().next().is_none(),
        }
        .draw();
        for limit in &self.limits {
            let ends =
                [at(panel.area.left, panel.place(0.0, *limit).y), at(panel.area.right, panel.place(0.0, *limit).y)];
            for run in clip(&ends, panel.area) {
                drawing.line(Layer::Axes, &run, LIMIT);
            }
        }
        for (index, series) in self.series.iter().enumerate() {
            series.draw(&mut drawing, &panel, index);
        }
        drawing
    }

    fn vega(&self) -> Json {
        let scale = self.y_scale();
        let rows = self.series.iter().flat_map(|series| {
            series.points.iter().map(|point| {
                let (low, high) =
                    point.interval.map(|(low, high)| (vega::inside(low, scale), vega::inside(high, scale))).unzip();
                json!({ "series": series.label, "x": point.x, "y": point.y, "low": low, "high": high })
            })
        });
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        let y = vega::quantity("y", &self.y_label, self.y_scale());
        let mut layers = vec![
            json!({ "mark": "line", "encoding": { "y": y, "strokeDash": vega::dashes(&labels) } }),
            json!({ "mark": "point", "encoding": { "y": y, "shape": vega::shapes(&labels) } }),
            json!({ "mark": "rule", "transform": [{ "filter": "isValid(datum.low)" }],
                "encoding": { "y": { "field": "low", "type": "quantitative" }, "y2": { "field": "high" } } }),
        ];
        layers.extend(self.limits.iter().map(|limit| {
            json!({ "data": { "values": [{}] }, "mark": { "type": "rule", "strokeDash": [2, 2] }, "encoding": { "y": { "datum": limit } } })
        }));
        let x = vega::quantity("x", &self.x_label, self.x_scale());
        let mut body = vega::size(self.width, PANEL_HEIGHT);
        let shared = json!({ "x": x, "color": vega::colors(&labels) });
        // A line across has no x of its own.
        for layer in layers.iter_mut().filter(|layer| layer.get("data").is_none()) {
            if let (Some(encoding), Json::Object(shared)) = (layer["encoding"].as_object_mut(), shared.clone()) {
                encoding.extend(shared);
            }
        }
        body["layer"] = layers.into();
        vega::specification(&vega::described(&self.title, self.interval_words()), rows.collect(), body)
    }
}

impl LinesFigure {
    fn points(&self) -> impl Iterator<Item = &LinePoint> {
        self.series.iter().flat_map(|series| &series.points)
    }

    /// What the intervals that are drawn are over.
    fn interval_words(&self) -> &str {
        if self.points().any(|point| point.interval.is_some()) { &self.intervals } else { "" }
    }

    fn x_scale(&self) -> Scale {
        Scale::around(self.points().map(|point| point.x), Scale::LOG_FROM_RATIO_ACROSS)
    }

    fn y_scale(&self) -> Scale {
        let ends = self.points().flat_map(|point| {
            let (low, high) = point.interval.unzip();
            // An interval that reaches below nothing is no reason for an axis without an end.
            [Some(point.y), high, low.filter(|low| *low > 0.0)].into_iter().flatten()
        });
        // Shares of a whole are compared by their differences.
        let log_from = if self.y_label.ends_with("(%)") { f64::INFINITY } else { Scale::LOG_FROM_RATIO_UP };
        Scale::around(ends.chain(self.limits.iter().copied()), log_from)
    }
}

impl LineSeries {
    fn draw(&self, drawing: &mut Drawing, panel: &Panel, index: usize) {
        let style = series_style(index);
        let thin = Stroke { width: 0.7, dash: &[], ..style.stroke };
        let points: Vec<Point> = self.points.iter().map(|point| panel.place(point.x, point.y)).collect();
        for run in clip(&points, panel.area) {
            drawing.line(Layer::Data, &run, style.stroke);
        }
        for (point, &center) in self.points.iter().zip(&points) {
            if let Some((low, high)) = point.interval {
                let end = |y: f64| panel.place(point.x, y).y.clamp(panel.area.top, panel.area.bottom);
                interval(drawing, at(center.x, end(low)), at(center.x, end(high)), thin);
            }
            mark(drawing, Layer::Data, style, center, MARK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(xs: [f64; 3], half: f64) -> LinesFigure {
        let points = xs.map(|x| LinePoint { x, y: 30.0, interval: Some((30.0 - half, 30.0 + half)) }).to_vec();
        LinesFigure {
            title: "Prompt tokens reused".to_owned(),
            x_label: "Capacity (GB)".to_owned(),
            y_label: "Prompt tokens reused (%)".to_owned(),
            series: vec![LineSeries { label: "marconi".to_owned(), points }],
            limits: Vec::new(),
            varied: String::new(),
            intervals: String::new(),
            width: Width::Column,
        }
    }

    #[test]
    fn values_far_apart_are_drawn_on_a_logarithmic_axis() {
        assert_eq!(figure([60.0, 80.0, 140.0], 1.0).x_scale(), Scale::from_zero(140.0));
        assert_eq!(figure([1.0, 10.0, 100.0], 1.0).x_scale(), Scale::log_around(1.0, 100.0));
    }

    #[test]
    fn shares_start_from_nothing_however_far_apart_they_are() {
        let mut shares = figure([1.0, 2.0, 3.0], 0.0);
        shares.series[0].points[0].y = 0.1;
        assert_eq!(shares.y_scale(), Scale::from_zero(30.0));
        "P99 TTFT (ms)".clone_into(&mut shares.y_label);
        assert_eq!(shares.y_scale(), Scale::log_around(0.1, 30.0));
    }

    #[test]
    fn an_interval_that_reaches_below_nothing_ends_at_the_axis() {
        let drawing = figure([1.0, 2.0, 3.0], 40.0).draw();
        let data = drawing.shapes.iter().filter(|shape| shape.layer == Layer::Data);
        let axis = drawing.shapes.iter().filter(|shape| shape.layer == Layer::Axes && shape.text.is_none());
        let bottom = |shapes: &mut dyn Iterator<Item = &super::super::drawing::Shape>| {
            let ends = shapes.flat_map(|shape| &shape.path).filter_map(|segment| match segment {
                super::super::drawing::Segment::Move(p) | super::super::drawing::Segment::Line(p) => Some(p.y),
                _ => None,
            });
            ends.fold(0.0, f64::max)
        };
        assert!(bottom(&mut data.into_iter()) <= bottom(&mut axis.into_iter()) + 1e-9);
    }
}
