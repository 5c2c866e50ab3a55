//! What Vega-Lite specifications have in common.

use serde_json::{Value as Json, json};

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
            "legend": { "labelFontSize": 8, "titleFontSize": 8, "orient": "top" },
            "header": { "labelFontSize": 8, "titleFontSize": 8 },
        },
    });
    json["data"] = data;
    if let (Json::Object(all), Json::Object(more)) = (&mut json, body) {
        all.extend(more);
    }
    json
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

/// An axis of numbers.
pub(super) fn quantity(field: &str, title: &str, is_log: bool) -> Json {
    let scale = if is_log { json!({ "type": "log" }) } else { json!({ "zero": true }) };
    json!({ "field": field, "type": "quantitative", "title": title, "scale": scale })
}
