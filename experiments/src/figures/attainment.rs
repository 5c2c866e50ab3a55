//! Share of requests that meet the objectives, over the rate they are offered at.

use serde_json::{Value as Json, json};

use super::axis::Panel;
use super::drawing::{Drawing, Layer, Point, Stroke, at, clip};
use super::frame::{Frame, PANEL_HEIGHT};
use super::frontier::Value;
use super::legend::Key;
use super::scale::Scale;
use super::style::{LIMIT, Width, interval, mark, series_style};
use super::{Figure, vega};
use crate::file::quantity::Plain;

const MARK: f64 = 3.6;
/// How far beyond the largest goodput the axis reaches: systems that fail look alike there.
const BEYOND: f64 = 2.0;
const Y_LABEL: &str = "Requests in time (%)";
const X_LABEL: &str = "Offered rate (req/s)";
const TITLE: &str = "Requests that meet the objectives over the rate they are offered at";

/// One system's curve.
#[derive(Clone, Debug)]
pub(crate) struct AttainmentSeries {
    /// What the legend calls it.
    pub(crate) label: String,
    /// Rates in requests per second, ascending; the share of requests at each (0 to 1), and the ends of its interval.
    pub(crate) points: Vec<(f64, Value)>,
    /// The highest rate that holds, in requests per second.
    pub(crate) goodput: Option<f64>,
    /// Whether that was searched, so that the legend says if there is none.
    pub(crate) searched: bool,
}

/// What a search tried: a rate, the requests of a run there, and the share at it.
pub(crate) type SearchLook = (f64, f64, Value);

impl AttainmentSeries {
    /// Of a search, ascending. Looks with fewer requests than were made at a lower rate and at a higher one do not count for what it
    /// found, and would go up and down between those that do: they are left out.
    pub(crate) fn searched(label: String, looks: &[SearchLook], goodput: Option<f64>) -> Self {
        let counts = |(place, look): &(usize, &SearchLook)| {
            let longer = |other: &SearchLook| other.1 > look.1;
            !(looks[..*place].iter().any(longer) && looks[place + 1..].iter().any(longer))
        };
        let points = looks.iter().enumerate().filter(counts).map(|(_, &(rate, _, share))| (rate, share)).collect();
        AttainmentSeries { label, points, goodput, searched: true }
    }
}

/// A figure with one curve per system, and the rate that each holds marked on the axis.
#[derive(Clone, Debug)]
pub(crate) struct AttainmentFigure {
    /// In the order of the experiment file.
    pub(crate) series: Vec<AttainmentSeries>,
    /// Shares that are asked for (0 to 1).
    pub(crate) wanted: Vec<f64>,
    /// What the values in the names of curves are of; empty if they hold none.
    pub(crate) varied: String,
    /// What intervals are over.
    pub(crate) intervals: String,
    pub(crate) width: Width,
}

impl Figure for AttainmentFigure {
    fn draw(&self) -> Drawing {
        let (mut drawing, panel) = Frame {
            title: TITLE,
            width: self.width,
            legend: self.legend(),
            x: self.x_scale(),
            y: Scale::Linear { low: 0.0, high: 100.0 },
            x_label: X_LABEL,
            y_label: Y_LABEL,
            is_empty: self.series.iter().all(|series| series.points.is_empty()),
        }
        .draw();
        for wanted in &self.wanted {
            let height = panel.place(0.0, 100.0 * wanted).y;
            drawing.line(Layer::Axes, &[at(panel.area.left, height), at(panel.area.right, height)], LIMIT);
        }
        for (index, series) in self.series.iter().enumerate() {
            draw_series(&mut drawing, &panel, series, index);
        }
        drawing
    }

    fn vega(&self) -> Json {
        let rows = self.series.iter().flat_map(|series| {
            series.points.iter().map(|&(rate, (share, interval))| {
                let (low, high) = interval.map(|(low, high)| (percent(low), percent(high))).unzip();
                json!({ "series": series.label, "rate": rate, "percent": 100.0 * share, "low": low, "high": high })
            })
        });
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        let Scale::Linear { high, .. } = self.x_scale() else { unreachable!("the scale is linear") };
        let x = json!({ "field": "rate", "type": "quantitative", "title": X_LABEL, "scale": { "domain": [0, high] } });
        let y =
            json!({ "field": "percent", "type": "quantitative", "title": Y_LABEL, "scale": { "domain": [0, 100] } });
        let color = vega::colors(&labels);
        let mut layers = vec![
            json!({ "mark": { "type": "line", "clip": true }, "encoding": { "x": x, "y": y, "color": color, "strokeDash": vega::dashes(&labels) } }),
            json!({ "mark": { "type": "point", "clip": true }, "encoding": { "x": x, "y": y, "color": color,
                "shape": vega::shapes(&labels) } }),
            json!({ "mark": { "type": "rule", "clip": true }, "transform": [{ "filter": "isValid(datum.low)" }], "encoding": {
                "x": x, "y": { "field": "low", "type": "quantitative" }, "y2": { "field": "high" }, "color": color } }),
        ];
        layers.extend(self.wanted.iter().map(|wanted| {
            json!({ "data": { "values": [{}] }, "mark": { "type": "rule", "strokeDash": [2, 2] }, "encoding": { "y": { "datum": 100.0 * wanted } } })
        }));
        let mut body = vega::size(self.width, PANEL_HEIGHT);
        body["layer"] = layers.into();
        vega::specification(&vega::described(TITLE, self.interval_words()), rows.collect(), body)
    }
}

impl AttainmentFigure {
    fn legend(&self) -> Vec<(Key, String)> {
        let entry = |(index, series): (usize, &AttainmentSeries)| {
            let found = match series.goodput {
                Some(rate) => format!("{} ({} req/s)", series.label, crate::output::four_digits(rate)),
                None if series.searched => format!("{} (no limit found)", series.label),
                None => series.label.clone(),
            };
            (Key::Curve(series_style(index)), found)
        };
        let curves = self.series.iter().enumerate().map(entry);
        let asked = |share: &f64| (Key::Line(LIMIT), format!("{} % asked for", Plain((1e5 * share).round() / 1e3)));
        let notes = [("curves", self.varied.as_str()), ("intervals", self.interval_words())];
        let notes = notes.into_iter().filter_map(|(of, what)| super::legend::note(of, what));
        curves.chain(self.wanted.iter().map(asked)).chain(notes).collect()
    }

    /// What the intervals that are drawn are over.
    fn interval_words(&self) -> &str {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        if points.any(|(_, (_, interval))| interval.is_some()) { &self.intervals } else { "" }
    }

    fn x_scale(&self) -> Scale {
        let tried = self.series.iter().flat_map(|series| &series.points).map(|(rate, _)| *rate).fold(0.0, f64::max);
        let found = self.series.iter().filter_map(|series| series.goodput).fold(0.0, f64::max);
        Scale::from_zero(if found > 0.0 { tried.min(BEYOND * found) } else { tried })
    }
}

/// A share in percent, within what shares can be.
fn percent(share: f64) -> f64 {
    100.0 * share.clamp(0.0, 1.0)
}

fn draw_series(drawing: &mut Drawing, panel: &Panel, series: &AttainmentSeries, index: usize) {
    let style = series_style(index);
    let thin = Stroke { width: 0.7, dash: &[], ..style.stroke };
    let points: Vec<Point> = series.points.iter().map(|&(rate, (share, _))| panel.place(rate, 100.0 * share)).collect();
    for run in clip(&points, panel.area) {
        drawing.line(Layer::Data, &run, style.stroke);
    }
    let inside = |point: &Point| point.x <= panel.area.right + 0.01;
    for &(rate, (share, ends)) in &series.points {
        let center = panel.place(rate, 100.0 * share);
        if !inside(&center) {
            continue;
        }
        if let Some((low, high)) = ends {
            let end = |share: f64| panel.place(rate, percent(share));
            interval(drawing, end(low), end(high), thin);
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
            label: "a".to_owned(),
            points: points.map(|(rate, share)| (rate, (share, Some((share - 0.02, share + 0.02))))).to_vec(),
            goodput: Some(2.0),
            searched: true,
        };
        let figure = AttainmentFigure {
            series: vec![series],
            wanted: vec![0.9],
            varied: String::new(),
            intervals: String::new(),
            width: Width::Column,
        };
        assert_eq!(figure.x_scale(), Scale::from_zero(4.0));
        let words: Vec<_> = figure.draw().shapes.into_iter().filter_map(|shape| shape.text).collect();
        assert!(words.contains(&"a (2.000 req/s)".to_owned()), "{words:?}");
    }

    #[test]
    fn systems_without_a_limit_and_no_systems_can_be_drawn() {
        let lone =
            AttainmentSeries { label: "a".to_owned(), points: vec![(5.0, (0.1, None))], goodput: None, searched: true };
        for series in [Vec::new(), vec![lone]] {
            AttainmentFigure {
                series,
                wanted: vec![0.9],
                varied: String::new(),
                intervals: String::new(),
                width: Width::Column,
            }
            .draw();
        }
    }

    #[test]
    fn short_looks_between_longer_ones_are_left_out_and_those_beyond_them_are_not() {
        let look = |rate, requests, share| (rate, requests, (share, None));
        let looks = [
            look(1.0, 10.0, 1.0),
            look(2.0, 40.0, 0.9),
            look(2.5, 10.0, 1.0),
            look(3.0, 40.0, 0.5),
            look(9.0, 10.0, 0.0),
        ];
        let rates = |series: &AttainmentSeries| series.points.iter().map(|(rate, _)| *rate).collect::<Vec<_>>();
        let series = AttainmentSeries::searched("a".to_owned(), &looks, Some(2.0));
        assert_eq!(rates(&series), [1.0, 2.0, 3.0, 9.0]);
        // With a least duration, higher rates have more requests: none of them is short.
        let rising: Vec<SearchLook> = [1.0, 2.0, 4.0].map(|rate| look(rate, 10.0 * rate, 1.0)).to_vec();
        assert_eq!(rates(&AttainmentSeries::searched("a".to_owned(), &rising, None)), [1.0, 2.0, 4.0]);
    }
}
