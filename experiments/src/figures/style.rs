//! What all figures share: sizes, greys, and the colours, dashes and markers that tell systems apart.

use super::drawing::{Color, Drawing, Layer, Point, Segment, Stroke, at, circle, polygon};

/// Font size of everything, in points.
pub(crate) const TEXT: f64 = 8.0;
/// Words.
pub(crate) const INK: Color = Color(0x1A, 0x1A, 0x1A);
/// Words of lesser weight.
pub(crate) const FAINT_INK: Color = Color(0x66, 0x66, 0x66);
/// The paper.
pub(crate) const PAPER: Color = Color(0xFF, 0xFF, 0xFF);
/// Axis lines and ticks.
pub(crate) const AXIS: Stroke = Stroke { color: Color(0x33, 0x33, 0x33), width: 0.6, dash: &[] };
/// Lines behind the data.
pub(crate) const GRID: Stroke = Stroke { color: Color(0xE2, 0xE2, 0xE2), width: 0.45, dash: &[] };
/// Limits such as a service level objective.
pub(crate) const LIMIT: Stroke = Stroke { color: Color(0x66, 0x66, 0x66), width: 0.8, dash: &[1.2, 1.6] };

/// Width of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One column of a two-column page: 3.33 inches.
    Column,
    /// The whole page: 7 inches.
    Page,
}

impl Width {
    /// In points.
    pub(crate) const fn points(self) -> f64 {
        match self {
            Width::Column => 240.0,
            Width::Page => 504.0,
        }
    }
}

/// Shape of the marks on a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
}

/// How one system's curve looks in every figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SeriesStyle {
    pub(crate) stroke: Stroke,
    pub(crate) marker: Marker,
}

const SOLID: &[f64] = &[];
const DASHED: &[f64] = &[4.5, 1.6];
const DOTTED: &[f64] = &[1.3, 1.3];
const DASH_DOT: &[f64] = &[5.5, 1.5, 1.3, 1.5];

const fn series(red: u8, green: u8, blue: u8, dash: &'static [f64], marker: Marker) -> SeriesStyle {
    SeriesStyle { stroke: Stroke { color: Color(red, green, blue), width: 1.25, dash }, marker }
}

/// How many systems look different.
pub(crate) const SERIES_COUNT: usize = 8;

/// Colours told apart with any common colour blindness (after Okabe and Ito, and Tol's high-contrast scheme), in an order
/// in which neighbours also differ in grey; dashes and markers differ for those who print without colour.
const SERIES: [SeriesStyle; SERIES_COUNT] = [
    series(0x00, 0x44, 0x88, SOLID, Marker::Circle),
    series(0xD5, 0x5E, 0x00, DASHED, Marker::Square),
    series(0x00, 0x9E, 0x73, DASH_DOT, Marker::Triangle),
    series(0x9A, 0x2F, 0x7A, DOTTED, Marker::Diamond),
    series(0xE6, 0x9F, 0x00, SOLID, Marker::TriangleDown),
    series(0x1A, 0x1A, 0x1A, DASHED, Marker::Circle),
    series(0x56, 0xB4, 0xE9, DASH_DOT, Marker::Square),
    series(0x80, 0x80, 0x80, DOTTED, Marker::Triangle),
];

/// The look of system number `index`; repeats after eight.
pub(crate) fn series_style(index: usize) -> SeriesStyle {
    SERIES[index % SERIES.len()]
}

/// Draws a mark of about `size` points across.
pub(crate) fn mark(drawing: &mut Drawing, layer: Layer, style: SeriesStyle, center: Point, size: f64) {
    let edge = Stroke { color: PAPER, width: 0.5, dash: &[] };
    drawing.outline(layer, marker_path(style.marker, center, size / 2.0), style.stroke.color, Some(edge));
}

fn marker_path(marker: Marker, center: Point, r: f64) -> Vec<Segment> {
    let p = |dx: f64, dy: f64| at(center.x + dx * r, center.y + dy * r);
    // Factors give all markers about the same area as the circle.
    match marker {
        Marker::Circle => circle(center, r),
        Marker::Square => polygon(&[p(-0.9, -0.9), p(0.9, -0.9), p(0.9, 0.9), p(-0.9, 0.9)]),
        Marker::Triangle => polygon(&[p(0.0, -1.3), p(1.25, 0.9), p(-1.25, 0.9)]),
        Marker::Diamond => polygon(&[p(0.0, -1.3), p(1.3, 0.0), p(0.0, 1.3), p(-1.3, 0.0)]),
        Marker::TriangleDown => polygon(&[p(0.0, 1.3), p(1.25, -0.9), p(-1.25, -0.9)]),
    }
}
