//! One measure against another: what has to be given of one for more of the other.

use serde_json::{Value as Json, json};

use super::axis::Panel;
use super::drawing::{Anchor, Drawing, Layer, Point, Rect, Stroke, at, clip};
use super::font;
use super::frame::{Frame, PANEL_HEIGHT};
use super::legend::Key;
use super::scale::Scale;
use super::style::{INK, LIMIT, Width, interval, mark, series_style};
use super::{Figure, vega};

const MARK: f64 = 4.2;
/// Size of the notes beside points: the smallest that stays readable in print.
const NOTE: f64 = 7.0;

/// A figure with one curve per system through its points.
#[derive(Clone, Debug)]
pub(crate) struct FrontierFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    /// Labels of the axes, with units.
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    /// Which direction is better, horizontally and vertically, where one is.
    pub(crate) better: (Option<Towards>, Option<Towards>),
    /// In the order of the legend.
    pub(crate) series: Vec<FrontierSeries>,
    /// What the notes beside the points are values of; empty without notes.
    pub(crate) noted: String,
    /// What the values in the names of curves are of; empty if they hold none.
    pub(crate) varied: String,
    /// What intervals are over.
    pub(crate) intervals: String,
    /// Whether the points that no other one beats in both measures are joined.
    pub(crate) shows_frontier: bool,
    pub(crate) width: Width,
}

/// Which end of an axis is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    Low,
    High,
}

/// The points of one system.
#[derive(Clone, Debug)]
pub(crate) struct FrontierSeries {
    /// What the legend calls it.
    pub(crate) label: String,
    /// In the order in which they are joined.
    pub(crate) points: Vec<FrontierPoint>,
    /// Whether they are joined.
    pub(crate) joined: bool,
}

/// A value and the ends of its interval.
pub(crate) type Value = (f64, Option<(f64, f64)>);

/// A point in the units of the axes.
#[derive(Clone, Debug)]
pub(crate) struct FrontierPoint {
    pub(crate) x: Value,
    pub(crate) y: Value,
    /// What was varied to come here.
    pub(crate) note: String,
}

impl Figure for FrontierFigure {
    fn draw(&self) -> Drawing {
        let (mut drawing, panel) = Frame {
            title: &self.title,
            width: self.width,
            legend: self.legend(),
            x: self.scale(|point| point.x),
            y: self.scale(|point| point.y),
            x_label: &self.x_label,
            y_label: &self.y_label,
            is_empty: self.points().next().is_none(),
        }
        .draw();
        let corners: Vec<Point> = self.frontier().into_iter().map(|(x, y)| panel.place(x, y)).collect();
        for run in clip(&corners, panel.area) {
            drawing.line(Layer::Axes, &run, LIMIT);
        }
        for (index, series) in self.series.iter().enumerate() {
            series.draw(&mut drawing, &panel, index);
        }
        self.draw_notes(&mut drawing, &panel);
        drawing
    }

    fn vega(&self) -> Json {
        let (x_scale, y_scale) = (self.scale(|point| point.x), self.scale(|point| point.y));
        let rows = self.series.iter().flat_map(|series| {
            series.points.iter().enumerate().map(|(order, point)| {
                let inside = |end: Option<f64>, scale| end.map(|end| vega::inside(end, scale));
                let ((x_low, x_high), (y_low, y_high)) = (point.x.1.unzip(), point.y.1.unzip());
                json!({
                    "series": series.label, "order": order, "note": point.note, "x": point.x.0, "y": point.y.0,
                    "x_low": inside(x_low, x_scale), "x_high": inside(x_high, x_scale),
                    "y_low": inside(y_low, y_scale), "y_high": inside(y_high, y_scale),
                })
            })
        });
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        let x = vega::quantity("x", &self.x_label, x_scale);
        let y = vega::quantity("y", &self.y_label, y_scale);
        let mut layers = vec![
            json!({ "mark": "point", "encoding": { "x": x, "y": y,
                "shape": vega::shapes(&labels) } }),
            json!({ "mark": { "type": "text", "dx": 6, "dy": -6, "fontSize": 7 },
                "encoding": { "x": x, "y": y, "text": { "field": "note" } } }),
            json!({ "mark": "rule", "transform": [{ "filter": "isValid(datum.y_low)" }],
                "encoding": { "x": x, "y": { "field": "y_low", "type": "quantitative" }, "y2": { "field": "y_high" } } }),
            json!({ "mark": "rule", "transform": [{ "filter": "isValid(datum.x_low)" }],
                "encoding": { "x": { "field": "x_low", "type": "quantitative" }, "x2": { "field": "x_high" }, "y": y } }),
        ];
        if self.series.iter().any(|series| series.joined) {
            layers.insert(
                0,
                json!({ "mark": "line", "encoding": { "x": x, "y": y, "order": { "field": "order", "type": "quantitative" },
                    "strokeDash": vega::dashes(&labels) } }),
            );
        }
        let mut body = vega::size(self.width, PANEL_HEIGHT);
        body["encoding"] = json!({ "color": vega::colors(&labels) });
        body["layer"] = layers.into();
        vega::specification(&vega::described(&self.title, self.interval_words()), rows.collect(), body)
    }
}

impl FrontierFigure {
    fn points(&self) -> impl Iterator<Item = &FrontierPoint> {
        self.series.iter().flat_map(|series| &series.points)
    }

    fn legend(&self) -> Vec<(Key, String)> {
        let of = |(index, series): (usize, &FrontierSeries)| {
            let style = series_style(index);
            (if series.joined { Key::Curve(style) } else { Key::Mark(style) }, series.label.clone())
        };
        let mut entries: Vec<(Key, String)> = self.series.iter().enumerate().map(of).collect();
        if !self.frontier().is_empty() {
            entries.push((Key::Line(LIMIT), "frontier".to_owned()));
        }
        let arrows = [self.better.0.map(|to| to.arrow("←", "→")), self.better.1.map(|to| to.arrow("↓", "↑"))];
        let arrows: Vec<&str> = arrows.into_iter().flatten().collect();
        if !arrows.is_empty() {
            entries.extend(super::legend::note("better", &arrows.join(" ")));
        }
        entries.extend(super::legend::note("curves", &self.varied));
        entries.extend(super::legend::note("beside points", &self.noted));
        entries.extend(super::legend::note("intervals", self.interval_words()));
        entries
    }

    /// What the intervals that are drawn are over.
    fn interval_words(&self) -> &str {
        if self.points().any(|point| point.x.1.is_some() || point.y.1.is_some()) { &self.intervals } else { "" }
    }

    fn scale(&self, of: fn(&FrontierPoint) -> Value) -> Scale {
        let ends = self.points().flat_map(|point| {
            let (mean, interval) = of(point);
            let (low, high) = interval.unzip();
            [Some(mean), high, low.filter(|low| *low > 0.0)].into_iter().flatten()
        });
        Scale::around(ends, Scale::LOG_FROM_RATIO_UP)
    }

    /// The points that no other beats in both measures, by the corners of what they beat; nothing if it is one point.
    fn frontier(&self) -> Vec<(f64, f64)> {
        let (Some(across), Some(up)) = self.better else { return Vec::new() };
        let corners = corners(self.points().map(|point| (across.cost(point.x.0), up.cost(point.y.0))));
        if corners.len() < 2 || !self.shows_frontier {
            return Vec::new();
        }
        corners.into_iter().map(|(x, y)| (across.cost(x), up.cost(y))).collect()
    }

    /// Writes what was varied beside as many points as have room for it, the ends of curves first.
    fn draw_notes(&self, drawing: &mut Drawing, panel: &Panel) {
        let around = |center: Point, reach: f64| Rect {
            left: center.x - reach,
            top: center.y - reach,
            right: center.x + reach,
            bottom: center.y + reach,
        };
        let place = |point: &FrontierPoint| panel.place(point.x.0, point.y.0);
        let mut taken: Vec<Rect> = self.points().map(|point| around(place(point), 0.55 * MARK)).collect();
        for point in self.points() {
            let ends = |(mean, interval): Value| interval.unwrap_or((mean, mean));
            let (x, y) = (ends(point.x), ends(point.y));
            let (low, high) = (panel.place(x.0, y.0), panel.place(x.1, y.1));
            let center = place(point);
            taken.push(Rect { left: low.x, top: center.y - 0.4, right: high.x, bottom: center.y + 0.4 });
            taken.push(Rect { left: center.x - 0.4, top: high.y, right: center.x + 0.4, bottom: low.y });
        }
        for series in &self.series {
            // Lines between points are kept clear by a few boxes along them.
            for pair in series.points.windows(2).filter(|_| series.joined) {
                let (from, to) = (place(&pair[0]), place(&pair[1]));
                let along = |share: f64| at(from.x + share * (to.x - from.x), from.y + share * (to.y - from.y));
                taken.extend((1..12).map(|step| around(along(f64::from(step) / 12.0), 0.4)));
            }
        }
        let ends_first = |series: &FrontierSeries| {
            let last = series.points.len().saturating_sub(1);
            let mut order: Vec<usize> = (0..series.points.len()).collect();
            order.sort_by_key(|&index| index != 0 && index != last);
            order
        };
        for series in &self.series {
            for index in ends_first(series) {
                let point = &series.points[index];
                let Some((baseline, room)) = free_place(place(point), &point.note, panel.area, &taken) else {
                    continue;
                };
                drawing.text(Layer::Data, &point.note, baseline, NOTE, Anchor::Start, INK);
                taken.push(room);
            }
        }
    }
}

/// Where a note fits beside a point without touching what is there: its baseline and the room it takes.
fn free_place(center: Point, note: &str, area: Rect, taken: &[Rect]) -> Option<(Point, Rect)> {
    if note.is_empty() {
        return None;
    }
    let (width, height) = (font::width(note, NOTE), font::CAP_HEIGHT * NOTE);
    let gap = 0.5 * MARK + 1.2;
    let (beside, middle) = (center.x + gap, center.x - width / 2.0);
    let before = center.x - gap - width;
    let (above, level, below) = (center.y - gap, center.y + height / 2.0, center.y + gap + height);
    let places = [
        (beside, above + 0.4 * gap),
        (before, above + 0.4 * gap),
        (beside, below - 0.4 * gap),
        (before, below - 0.4 * gap),
        (beside, level),
        (before, level),
        (middle, above),
        (middle, below),
    ];
    let overlaps = |a: &Rect, b: &Rect| a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    places.into_iter().find_map(|(x, y)| {
        let room = Rect { left: x - 0.6, top: y - height - 0.6, right: x + width + 0.6, bottom: y + 0.6 };
        let inside = room.left >= area.left + 1.0
            && room.right <= area.right + 8.0
            && room.top >= area.top - 2.0
            && room.bottom <= area.bottom - 1.0;
        (inside && !taken.iter().any(|there| overlaps(there, &room))).then_some((at(x, y), room))
    })
}

impl Towards {
    fn arrow<'a>(self, low: &'a str, high: &'a str) -> &'a str {
        match self {
            Towards::Low => low,
            Towards::High => high,
        }
    }

    /// The value, turned so that less is better; its own inverse.
    fn cost(self, value: f64) -> f64 {
        match self {
            Towards::Low => value,
            Towards::High => -value,
        }
    }
}

impl FrontierSeries {
    fn draw(&self, drawing: &mut Drawing, panel: &Panel, index: usize) {
        let style = series_style(index);
        let thin = Stroke { width: 0.7, dash: &[], ..style.stroke };
        let points: Vec<Point> = self.points.iter().map(|point| panel.place(point.x.0, point.y.0)).collect();
        if self.joined {
            for run in clip(&points, panel.area) {
                drawing.line(Layer::Data, &run, style.stroke);
            }
        }
        let inside =
            |p: Point| at(p.x.clamp(panel.area.left, panel.area.right), p.y.clamp(panel.area.top, panel.area.bottom));
        for (point, &center) in self.points.iter().zip(&points) {
            if let Some((low, high)) = point.x.1 {
                let ends = [low, high].map(|x| inside(panel.place(x, point.y.0)));
                interval(drawing, ends[0], ends[1], thin);
            }
            if let Some((low, high)) = point.y.1 {
                let ends = [low, high].map(|y| inside(panel.place(point.x.0, y)));
                interval(drawing, ends[0], ends[1], thin);
            }
            mark(drawing, Layer::Data, style, center, MARK);
        }
    }
}

/// The points that no other beats in both, joined by the corners of what they beat.
pub(super) fn corners(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> = points.collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for (x, y) in all {
        match corners.last().copied() {
            Some((_, lowest)) if y >= lowest => {}
            Some((_, lowest)) => corners.extend([(x, lowest), (x, y)]),
            None => corners.push((x, y)),
        }
    }
    corners
}
