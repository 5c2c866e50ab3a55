//! Cumulative distributions of latencies, systems compared.

use serde_json::{Value as Json, json};
use sim::{Distribution, WeightedHistogram};

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Anchor, Drawing, Layer, Point, Rect, Stroke, at, clip, polygon};
use super::font;
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::{FAINT_INK, LIMIT, SeriesStyle, TEXT, Width, mark, series_style, tint};
use super::units::TimeUnit;
use super::{Figure, vega};
use sim::Interval;

const AREA_HEIGHT: f64 = 118.0;
const LEGEND_GAP: f64 = 4.0;
/// Bounds of the percentile axis.
const LOWEST_PERCENT: f64 = 0.6;
const HIGHEST_PERCENT: f64 = 99.95;
/// Percentiles that carry a mark.
const MARKED: [f64; 4] = [50.0, 90.0, 99.0, 99.9];
/// A logarithmic axis pays from this ratio of largest to smallest value: one and a half decades.
const LOG_FROM_RATIO: f64 = 31.6;
/// Points of a curve, evenly spread over the height of the axis: a quarter of a point of the page apart.
const CURVE_POINTS: usize = 480;
/// Of these, every so many-th is one of the band.
const BAND_STEP: usize = 3;

/// One system's distribution.
#[derive(Clone, Debug)]
pub(crate) struct CdfSeries {
    label: String,
    count: u64,
    /// Percentages and the values, in seconds, that they do not exceed; ascending, empty if there is nothing to show.
    curve: Vec<(f64, f64)>,
    /// The same at the percentages that carry a mark.
    marks: Vec<(f64, f64)>,
    /// Percentages and the ends of the 95 % interval of the values there over seeds, in seconds; ascending, empty with one seed.
    band: Vec<(f64, f64, f64)>,
    /// How many seeds it is the mean of.
    seeds: usize,
}

/// The latencies of one run, from which quantiles can be had.
pub(crate) trait Sample {
    /// How many there are.
    fn count(&self) -> u64;
    /// Values at ascending quantiles, in nanoseconds.
    fn quantiles_ns(&mut self, quantiles: &[f64]) -> Vec<f64>;
}

impl Sample for Distribution {
    fn count(&self) -> u64 {
        Distribution::count(self)
    }

    fn quantiles_ns(&mut self, quantiles: &[f64]) -> Vec<f64> {
        Distribution::quantiles_ns(self, quantiles)
    }
}

impl Sample for WeightedHistogram {
    fn count(&self) -> u64 {
        WeightedHistogram::count(self)
    }

    fn quantiles_ns(&mut self, quantiles: &[f64]) -> Vec<f64> {
        WeightedHistogram::quantiles_ns(self, quantiles)
    }
}

impl CdfSeries {
    /// At every percentage the mean over seeds of the values that they have there, and its 95 % interval: so the marks stand where
    /// tables have the percentiles, and the band has the width of their intervals. Percentiles that the smallest of the seeds has are
    /// marked.
    pub(crate) fn of_seeds<S: Sample>(label: impl Into<String>, seeds: &mut [S]) -> Self {
        let counts: Vec<u64> = seeds.iter().map(Sample::count).filter(|count| *count > 0).collect();
        let mut band: Vec<(f64, f64)> = Vec::new();
        let mut places: Vec<f64> = Vec::new();
        let means = |quantiles: &[f64]| {
            let values: Vec<Vec<f64>> =
                seeds.iter_mut().map(|seed| seed.quantiles_ns(quantiles)).filter(|values| !values.is_empty()).collect();
            let of_seeds = |place: usize| values.iter().map(|values| values[place] * 1e-9).collect::<Vec<f64>>();
            let over_seeds = (0..quantiles.len()).filter_map(|place| Interval::over_seeds(&of_seeds(place)));
            band = over_seeds.map(|interval| (interval.low.max(0.0), interval.high)).collect();
            places = quantiles.iter().map(|quantile| 100.0 * quantile).collect();
            let mean = |place| of_seeds(place).iter().sum::<f64>() / values.len() as f64 * 1e9;
            (0..quantiles.len()).map(mean).collect()
        };
        let mut series = CdfSeries::new(label, counts.iter().copied().min().unwrap_or(0), means);
        series.band = places.into_iter().zip(band).map(|(percent, (low, high))| (percent, low, high)).collect();
        series.seeds = counts.len();
        series
    }

    /// The distribution of `count` values, shown as `label` in the legend. `quantiles_ns` is asked once for the values, in
    /// nanoseconds, at ascending quantiles between 0 and 1, and answers nothing if there are none. The marks thus stand
    /// at the percentiles that tables quote, interpolation between samples included.
    pub(crate) fn new(label: impl Into<String>, count: u64, quantiles_ns: impl FnOnce(&[f64]) -> Vec<f64>) -> Self {
        let y = percent_scale();
        // Half the values lie above the median of any sample; further out, at least one has to.
        let marked = |percent: &f64| *percent <= 50.0 || count as f64 * (100.0 - percent) >= 99.999;
        let mut percents: Vec<(f64, bool)> = MARKED.into_iter().filter(marked).map(|percent| (percent, true)).collect();
        percents.extend((0..=CURVE_POINTS).map(|i| (y.value(i as f64 / CURVE_POINTS as f64), false)));
        percents.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quantiles: Vec<f64> = percents.iter().map(|(percent, _)| percent / 100.0).collect();
        let values = if count == 0 { Vec::new() } else { quantiles_ns(&quantiles) };
        let points = || percents.iter().zip(&values).map(|(&(percent, marked), ns)| (percent, ns * 1e-9, marked));
        let curve = points().map(|(percent, value_s, _)| (percent, value_s)).collect();
        let marks = points().filter(|point| point.2).map(|(percent, value_s, _)| (percent, value_s)).collect();
        CdfSeries { label: label.into(), count, curve, marks, band: Vec::new(), seeds: 1 }
    }

    /// Smallest and largest value shown, in seconds.
    fn bounds(&self) -> Option<(f64, f64)> {
        Some((self.curve.first()?.1, self.curve.last()?.1))
    }

    fn draw_line(&self, drawing: &mut Drawing, panel: &Panel, unit: TimeUnit, style: SeriesStyle) {
        let points: Vec<Point> = self.curve.iter().map(|&(percent, s)| panel.place(unit.of(s), percent)).collect();
        for run in clip(&points, panel.area) {
            drawing.line(Layer::Data, &run, style.stroke);
        }
    }

    /// What lies between the ends of the intervals, under all curves.
    fn draw_band(&self, drawing: &mut Drawing, panel: &Panel, unit: TimeUnit, style: SeriesStyle) {
        let end = |percent: f64, seconds: f64| {
            let place = panel.place(unit.of(seconds), percent);
            at(place.x.clamp(panel.area.left, panel.area.right), place.y.clamp(panel.area.top, panel.area.bottom))
        };
        let every = || self.band.iter().step_by(BAND_STEP).chain(self.band.last());
        let lows: Vec<Point> = every().map(|&(percent, low_s, _)| end(percent, low_s)).collect();
        let highs: Vec<Point> = every().map(|&(percent, _, high_s)| end(percent, high_s)).collect();
        if lows.len() < 2 {
            return;
        }
        let around: Vec<Point> = lows.iter().copied().chain(highs.iter().rev().copied()).collect();
        drawing.outline(Layer::Data, polygon(&around), tint(style.stroke.color, 0.82), None);
        let edge = Stroke { color: tint(style.stroke.color, 0.45), width: 0.4, dash: &[] };
        drawing.lines(Layer::Data, [lows, highs], edge);
    }

    fn draw_marks(&self, drawing: &mut Drawing, panel: &Panel, unit: TimeUnit, style: SeriesStyle) {
        for &(percent, value_s) in &self.marks {
            mark(drawing, Layer::Data, style, panel.place(unit.of(value_s), percent), 4.4);
        }
    }
}

fn percent_scale() -> Scale {
    Scale::Odds { low: LOWEST_PERCENT, high: HIGHEST_PERCENT }
}

/// A figure with one cumulative distribution per system.
///
/// The vertical axis counts odds (0.6 % to 99.95 %), because serving systems differ in their tails; the 50th, 90th, 99th
/// and 99.9th percentiles are marked. The horizontal axis is logarithmic when the values span
/// more than one and a half decades.
#[derive(Clone, Debug)]
pub(crate) struct CdfFigure<'a> {
    /// The measure, such as `TTFT`.
    pub(crate) quantity: &'a str,
    /// What there is one value of, such as `Requests`.
    pub(crate) counted: &'a str,
    /// Systems in the order of the experiment file.
    pub(crate) series: Vec<CdfSeries>,
    /// A limit to be drawn, in seconds.
    pub(crate) slo_s: Option<f64>,
    pub(crate) width: Width,
}

impl Figure for CdfFigure<'_> {
    fn draw(&self) -> Drawing {
        let y = percent_scale();
        let y_ticks = axis::y_ticks(y, AREA_HEIGHT, false);
        let left = axis::left_margin(&y_ticks);
        let width = self.width.points();
        let right = width - RIGHT_MARGIN;
        let legend = self.legend(right - left);
        let slo_row = if self.slo_s.is_some() { TEXT + 1.0 } else { 0.0 };
        let top = 1.0 + legend.height() + LEGEND_GAP + slo_row;
        let area = Rect { left, top, right, bottom: top + AREA_HEIGHT };
        let height = area.bottom + X_AXIS_HEIGHT + 2.5;

        let mut drawing = Drawing::new(width, height, format!("Cumulative distribution of {}", self.quantity));
        let bounds = self.bounds();
        let unit = TimeUnit::for_axis(bounds.map_or(1.0, |(_, high)| high));
        let panel = Panel { area, x: x_scale(bounds, unit), y };
        let x_label = format!("{} ({})", self.quantity, unit.name());
        draw_axes(&mut drawing, &panel, &y_ticks, &format!("{} (%)", self.counted), Some(&x_label));
        if let Some(slo_s) = self.slo_s {
            draw_limit(&mut drawing, &panel, slo_s, unit);
        }
        for (i, series) in self.series.iter().enumerate() {
            series.draw_band(&mut drawing, &panel, unit, series_style(i));
        }
        for (i, series) in self.series.iter().enumerate() {
            series.draw_line(&mut drawing, &panel, unit, series_style(i));
        }
        for (i, series) in self.series.iter().enumerate() {
            series.draw_marks(&mut drawing, &panel, unit, series_style(i));
        }
        if self.series.iter().all(|series| series.count == 0) {
            draw_no_data(&mut drawing, area, "no data");
        }
        legend.draw(&mut drawing, at(left, 1.0));
        drawing
    }

    fn vega(&self) -> Json {
        let bounds = self.bounds();
        let unit = TimeUnit::for_axis(bounds.map_or(1.0, |(_, high)| high));
        let scale = x_scale(bounds, unit);
        let mut rows = Vec::new();
        for series in &self.series {
            rows.extend(series.curve.iter().map(
                |&(percent, value_s)| json!({ "series": series.label, "x": unit.of(value_s), "percent": percent }),
            ));
            rows.extend(series.band.iter().step_by(BAND_STEP).map(|&(percent, low_s, high_s)| {
                json!({ "series": series.label, "percent": percent, "low": vega::inside(unit.of(low_s), scale), "high": vega::inside(unit.of(high_s), scale) })
            }));
        }
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        let x = vega::quantity("x", &format!("{} ({})", self.quantity, unit.name()), scale);
        let y = json!({ "field": "percent", "type": "quantitative", "title": format!("{} (%)", self.counted) });
        let color = vega::colors(&labels);
        let mut layers = vec![
            json!({ "mark": { "type": "area", "orient": "horizontal", "opacity": 0.2 }, "transform": [{ "filter": "isValid(datum.low)" }],
                "encoding": { "x": { "field": "low", "type": "quantitative" }, "x2": { "field": "high" }, "y": y, "color": color } }),
            json!({ "mark": "line", "transform": [{ "filter": "isValid(datum.x)" }],
                "encoding": { "x": x, "y": y, "order": { "field": "percent" }, "color": color, "strokeDash": vega::dashes(&labels) } }),
        ];
        layers.extend(self.slo_s.map(|slo_s| {
            json!({ "data": { "values": [{}] }, "mark": { "type": "rule", "strokeDash": [2, 2] }, "encoding": { "x": { "datum": unit.of(slo_s) } } })
        }));
        let mut body = vega::size(self.width, AREA_HEIGHT);
        body["layer"] = layers.into();
        vega::specification(
            &vega::described(&format!("Cumulative distribution of {}", self.quantity), &self.seed_words()),
            rows,
            body,
        )
    }
}

impl CdfFigure<'_> {
    fn legend(&self, width: f64) -> Legend {
        let entry = |(i, series): (usize, &CdfSeries)| match series.count {
            0 => (Key::Absent, format!("{} (no data)", series.label)),
            _ => (Key::Curve(series_style(i)), series.label.clone()),
        };
        let entries = self.series.iter().enumerate().map(entry);
        Legend::new(entries.chain(super::legend::note("shaded", &self.seed_words())).collect(), width)
    }

    /// What the bands are, and over how many seeds; empty where there are none.
    fn seed_words(&self) -> String {
        let seeds = self.series.iter().filter(|series| !series.band.is_empty()).map(|series| series.seeds).max();
        seeds.map(|seeds| format!("95 % interval of the mean over {seeds} seeds")).unwrap_or_default()
    }

    /// Smallest and largest value that the figure has to show, in seconds, the limit included.
    fn bounds(&self) -> Option<(f64, f64)> {
        let ends = self.series.iter().filter_map(CdfSeries::bounds);
        // With some room, so that the limit does not fall on the edge.
        ends.chain(self.slo_s.map(|slo_s| (slo_s, 1.05 * slo_s))).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

fn x_scale(bounds: Option<(f64, f64)>, unit: TimeUnit) -> Scale {
    let Some((low, high)) = bounds.map(|(low, high)| (unit.of(low), unit.of(high))) else {
        return Scale::Linear { low: 0.0, high: 1.0 };
    };
    if low > 0.0 && high / low >= LOG_FROM_RATIO { Scale::log_around(low, high) } else { Scale::from_zero(1.03 * high) }
}

fn draw_limit(drawing: &mut Drawing, panel: &Panel, slo_s: f64, unit: TimeUnit) {
    let x = panel.place(unit.of(slo_s), HIGHEST_PERCENT).x;
    drawing.line(Layer::Axes, &[at(x, panel.area.top), at(x, panel.area.bottom)], LIMIT);
    let label = format!("SLO {}", unit.text(slo_s));
    let half = font::width(&label, TEXT) / 2.0;
    let middle = x.clamp(panel.area.left + half, drawing.width - 1.0 - half);
    drawing.text(Layer::Axes, &label, at(middle, panel.area.top - 2.5), TEXT, Anchor::Middle, FAINT_INK);
}
