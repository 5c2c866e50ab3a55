//! Deployments by what they cost and what that buys: one panel for every two measures.

use serde_json::{Value as Json, json};

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Layer, Point, Rect, Stroke, at, circle, clip};
use super::font;
use super::frontier::corners;
use super::legend::{Key, Legend, note};
use super::scale::Scale;
use super::style::{INK, LIMIT, PAPER, TEXT, Width, mark, series_style};
use super::{Figure, vega};

const AREA_HEIGHT: f64 = 104.0;
const LEGEND_GAP: f64 = 5.0;
const PANEL_GAP: f64 = 9.0;
const ROW_GAP: f64 = 7.0;
/// Panels side by side.
const COLUMNS: usize = 3;
/// Marks of deployments that another one beats in every respect, and of those that none does.
const BEATEN: f64 = 2.4;
const ON_FRONTIER: f64 = 4.6;
const RING: f64 = 4.4;

/// What deployments are compared in; less is better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeploymentMeasure {
    /// Its column in the table.
    pub(crate) column: &'static str,
    /// Label of its axes, with the unit.
    pub(crate) label: &'static str,
}

/// One deployment.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentPoint {
    /// Index of its series.
    pub(crate) series: usize,
    /// Its name.
    pub(crate) label: String,
    /// By measure, where it is known; positive.
    pub(crate) values: Vec<Option<f64>>,
    /// Whether no other deployment is at least as good in every respect.
    pub(crate) on_frontier: bool,
    /// Whether it is the one that was chosen.
    pub(crate) chosen: bool,
}

/// A figure of deployments: every measure against every other.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentsFigure {
    /// What is shown, for those who cannot see it.
    pub(crate) title: String,
    /// What the legend calls the series.
    pub(crate) series: Vec<String>,
    /// At least two.
    pub(crate) measures: Vec<DeploymentMeasure>,
    /// In any order.
    pub(crate) points: Vec<DeploymentPoint>,
    /// What is not shown, and why.
    pub(crate) left_out: String,
}

impl Figure for DeploymentsFigure {
    fn draw(&self) -> Drawing {
        let width = Width::Page.points();
        let legend = Legend::new(self.legend(), width - RIGHT_MARGIN);
        let pairs = self.pairs();
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let (rows, row_height) = (pairs.len().div_ceil(COLUMNS), AREA_HEIGHT + X_AXIS_HEIGHT + ROW_GAP);
        let mut drawing = Drawing::new(width, top + rows as f64 * row_height - ROW_GAP + 2.5, self.title.as_str());
        let columns = COLUMNS.min(pairs.len()) as f64;
        let each = (width - PANEL_GAP * (columns - 1.0)) / columns;
        for (number, pair) in pairs.into_iter().enumerate() {
            let left = (number % COLUMNS) as f64 * (each + PANEL_GAP);
            let top = top + (number / COLUMNS) as f64 * row_height;
            self.draw_panel(&mut drawing, pair, Rect { left, top, right: left + each, bottom: top + AREA_HEIGHT });
        }
        legend.draw(&mut drawing, at(1.0, 1.0));
        drawing
    }

    fn vega(&self) -> Json {
        let rows = self.points.iter().map(|point| {
            let mut row = json!({
                "series": self.series[point.series], "deployment": point.label,
                "frontier": point.on_frontier, "plan": point.chosen,
            });
            for (measure, value) in self.measures.iter().zip(&point.values) {
                row[measure.column] = (*value).into();
            }
            row
        });
        let labels: Vec<&str> = self.series.iter().map(String::as_str).collect();
        let panel = |(across, up): (usize, usize)| {
            let axis = |of: usize| vega::quantity(self.measures[of].column, self.measures[of].label, self.scale(of));
            let (x, y) = (axis(across), axis(up));
            let tooltip: Vec<Json> = ["deployment"]
                .into_iter()
                .chain(self.measures.iter().map(|measure| measure.column))
                .map(|field| json!({ "field": field }))
                .collect();
            json!({ "width": 140, "height": 100, "layer": [
                { "mark": { "type": "point", "size": 130, "color": "#1a1a1a" },
                  "transform": [{ "filter": "datum.plan" }], "encoding": { "x": x, "y": y } },
                { "mark": { "type": "point", "filled": true }, "encoding": {
                    "x": x, "y": y, "color": vega::colors(&labels), "shape": vega::shapes(&labels), "tooltip": tooltip,
                    "size": { "condition": { "test": "datum.frontier", "value": 45 }, "value": 12 },
                } },
            ] })
        };
        let body = json!({ "concat": self.pairs().into_iter().map(panel).collect::<Vec<_>>(), "columns": COLUMNS });
        vega::specification(&self.title, rows.collect(), body)
    }
}

impl DeploymentsFigure {
    /// Every two measures, the first one across.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let count = self.measures.len();
        (0..count).flat_map(|across| (across + 1..count).map(move |up| (across, up))).collect()
    }

    fn legend(&self) -> Vec<(Key, String)> {
        let series =
            self.series.iter().enumerate().map(|(index, label)| (Key::Mark(series_style(index)), label.clone()));
        let lines = std::iter::once((Key::Line(LIMIT), "not beaten in these two".to_owned()));
        let all = note("large", "not beaten in all at once").into_iter().chain(note("in a ring", "the plan"));
        series.chain(lines).chain(all).chain(note("not shown", &self.left_out)).collect()
    }

    fn draw_panel(&self, drawing: &mut Drawing, (across, up): (usize, usize), outer: Rect) {
        let (x, y) = (self.scale(across), self.scale(up));
        let y_ticks = axis::y_ticks(y, AREA_HEIGHT, false);
        let area = Rect { left: outer.left + axis::left_margin(&y_ticks), right: outer.right - RIGHT_MARGIN, ..outer };
        let panel = Panel { area, x, y };
        draw_axes(drawing, &panel, &y_ticks, "", Some(self.measures[across].label));
        let base = at(outer.left + 1.0 + font::CAP_HEIGHT * TEXT, f64::midpoint(area.top, area.bottom));
        drawing.text_upwards(Layer::Axes, self.measures[up].label, base, TEXT, INK);
        let mut points: Vec<(&DeploymentPoint, f64, f64)> =
            self.points.iter().filter_map(|point| Some((point, point.values[across]?, point.values[up]?))).collect();
        if points.is_empty() {
            draw_no_data(drawing, area, "not known");
        }
        let corners: Vec<Point> =
            corners(points.iter().map(|(_, x, y)| (*x, *y))).into_iter().map(|(x, y)| panel.place(x, y)).collect();
        for run in clip(&corners, area) {
            drawing.line(Layer::Axes, &run, LIMIT);
        }
        // What matters is drawn last, so that nothing covers it.
        points.sort_by_key(|(point, ..)| (point.chosen, point.on_frontier));
        for (point, x, y) in points {
            let center = panel.place(x, y);
            if point.chosen {
                let edge = Stroke { color: INK, width: 0.8, dash: &[] };
                drawing.outline(Layer::Data, circle(center, RING), PAPER, Some(edge));
            }
            let size = if point.on_frontier { ON_FRONTIER } else { BEATEN };
            mark(drawing, Layer::Data, series_style(point.series), center, size);
        }
    }

    /// Room for all values of a measure: logarithmic where they are far apart.
    fn scale(&self, measure: usize) -> Scale {
        let values = || self.points.iter().filter_map(|point| point.values[measure]);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        if least > most {
            return Scale::from_zero(1.0);
        }
        if least > 0.0 && most >= Scale::LOG_FROM_RATIO_ACROSS * least {
            return Scale::log_around(least, most);
        }
        let margin = 0.06 * (most - least).max(0.2 * most);
        if margin > 0.0 {
            Scale::Linear { low: (least - margin).max(0.0), high: most + margin }
        } else {
            Scale::from_zero(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawing::Segment;
    use super::*;

    const MEASURES: [DeploymentMeasure; 3] = [
        DeploymentMeasure { column: "usd_per_hour", label: "Cost ($/h)" },
        DeploymentMeasure { column: "p99_ttft_ms", label: "P99 TTFT (ms)" },
        DeploymentMeasure { column: "energy_j_per_output_token", label: "Energy (J/tok)" },
    ];

    fn figure(points: Vec<DeploymentPoint>) -> DeploymentsFigure {
        DeploymentsFigure {
            title: "Deployments".to_owned(),
            series: vec!["chunked".to_owned()],
            measures: MEASURES.to_vec(),
            points,
            left_out: "3 that miss".to_owned(),
        }
    }

    fn point(values: [Option<f64>; 3], chosen: bool) -> DeploymentPoint {
        let label = "chunked: 1 x H100".to_owned();
        DeploymentPoint { series: 0, label, values: values.to_vec(), on_frontier: chosen, chosen }
    }

    fn words(figure: &DeploymentsFigure) -> Vec<String> {
        figure.draw().shapes.into_iter().filter_map(|shape| shape.text).collect()
    }

    #[test]
    fn every_pair_of_measures_has_a_panel_with_a_mark_for_each_known_value_and_a_ring_for_the_plan() {
        let figure =
            figure(vec![point([Some(10.0), Some(100.0), None], true), point([Some(12.0), Some(90.0), None], false)]);
        let drawn = figure.draw().shapes.iter().filter(|shape| shape.layer == Layer::Data).count();
        assert_eq!(drawn, 2 + 1 + 2, "two marks, a ring, and twice the word that says that energy is not known");
        let words = words(&figure);
        let times = |wanted: &str| words.iter().filter(|word| *word == wanted).count();
        for (word, count) in [("Cost ($/h)", 2), ("P99 TTFT (ms)", 2), ("Energy (J/tok)", 2), ("not known", 2)] {
            assert_eq!(times(word), count, "{word}: {words:?}");
        }
        assert!(times("not shown: 3 that miss") == 1 && times("chunked") == 1, "{words:?}");
        let rows = figure.vega()["data"]["values"].clone();
        assert_eq!((&rows[0]["plan"], &rows[1]["p99_ttft_ms"]), (&true.into(), &90.0.into()));
        assert_eq!(figure.vega()["concat"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn nothing_and_equal_values_can_be_drawn() {
        assert_eq!(words(&figure(Vec::new())).iter().filter(|word| *word == "not known").count(), 3);
        let same =
            figure(vec![point([Some(1.0); 3], false), point([Some(1.0); 3], true), point([Some(0.0); 3], false)]);
        let page = same.draw();
        for shape in page.shapes.iter().filter(|shape| shape.layer == Layer::Data) {
            for segment in &shape.path {
                if let Segment::Move(place) = segment {
                    let inside = (0.0..=page.width).contains(&place.x) && (0.0..=page.height).contains(&place.y);
                    assert!(inside, "{place:?} lies outside");
                }
            }
        }
    }

    #[test]
    fn what_is_not_beaten_in_two_measures_is_joined_by_what_it_beats() {
        let points = [(3.0, 1.0), (1.0, 5.0), (2.0, 5.0), (2.0, 3.0)];
        assert_eq!(corners(points.into_iter()), [(1.0, 5.0), (2.0, 5.0), (2.0, 3.0), (3.0, 3.0), (3.0, 1.0)]);
    }
}
