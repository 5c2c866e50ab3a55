//! What Vega-Lite specifications have in common.

use serde_json::{Value as Json, json};

use super::scale::Scale;
use super::style::{Width, series_style};

/// The version that specifications are written for.
const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";

/// A specification: `body` with schema, title, data and the look of all figures.
pub(super) fn specification(title: &str, rows: Vec<Json>, body: Json) -> Json {
    let data = json!({ "values": Json::Array(rows) });
    let mut json = json!({
        "$schema": SCHEMA,
        "description": title,
        "config": {
            "font": "Inter, Helvetica, Arial, sans-serif",
            "axis": { "labelFontSize": 8, "titleFontSize": 8, "titleFontWeight": "normal" },
            "legend": { "labelFontSize": 8, "titleFontSize": 8, "orient": "top", "columns": 2 },
            "header": { "labelFontSize": 8, "titleFontSize": 8 },
        },
    });
    json["data"] = data;
    if let (Json::Object(all), Json::Object(more)) = (&mut json, body) {
        all.extend(more);
    }
    json
}

/// A title with what intervals are over, if there are any.
pub(super) fn described(title: &str, intervals: &str) -> String {
    if intervals.is_empty() { title.to_owned() } else { format!("{title}; intervals: {intervals}") }
}

/// Width and height of one panel, in pixels of 1/72 inch.
pub(super) fn size(width: Width, height: f64) -> Json {
    json!({ "width": width.points() - 60.0, "height": height })
}

/// Colours of series by their labels, as the figures have them.
pub(super) fn colors(labels: &[&str]) -> Json {
    let color = |index| {
        let color = series_style(index).stroke.color;
        format!("#{:02x}{:02x}{:02x}", color.0, color.1, color.2)
    };
    let range: Vec<String> = (0..labels.len()).map(color).collect();
    json!({ "field": "series", "type": "nominal", "title": null, "sort": null, "scale": { "domain": labels, "range": range } })
}

/// Dashes of series by their labels.
pub(super) fn dashes(labels: &[&str]) -> Json {
    let range: Vec<&[f64]> = (0..labels.len()).map(|index| series_style(index).stroke.dash).collect();
    json!({
        "field": "series", "type": "nominal", "title": null, "sort": null,
        "scale": { "domain": labels, "range": range.iter().map(|dash| if dash.is_empty() { &[1.0, 0.0][..] } else { dash }).collect::<Vec<_>>() }
    })
}

/// Markers of series by their labels; with the same labels and title as the colours they share a legend.
pub(super) fn shapes(labels: &[&str]) -> Json {
    json!({ "field": "series", "type": "nominal", "title": null, "sort": null, "scale": { "domain": labels } })
}

/// An axis of numbers, from end to end as it is drawn.
pub(super) fn quantity(field: &str, title: &str, scale: Scale) -> Json {
    let scale = match scale {
        Scale::Log { low, high } => json!({ "type": "log", "domain": [low, high], "nice": false }),
        Scale::Linear { low, high } | Scale::Odds { low, high } => json!({ "domain": [low, high], "nice": false }),
    };
    json!({ "field": field, "type": "quantitative", "title": title, "scale": scale })
}

/// A value, or, where an axis has no place for it, the end of the axis.
pub(super) fn inside(value: f64, scale: Scale) -> f64 {
    let (Scale::Linear { low, high } | Scale::Log { low, high } | Scale::Odds { low, high }) = scale;
    value.clamp(low, high)
}
