//! What all figures share: sizes, greys, and the colours, dashes and markers that tell systems apart.

use super::drawing::{Color, Drawing, Layer, Point, Rect, Segment, Stroke, at, circle, clip, polygon};

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

/// A colour mixed with so much of the paper's (0 to 1).
pub(crate) fn tint(color: Color, paper: f64) -> Color {
    let mix = |ink: u8, paper_ink: u8| (f64::from(ink) + paper * (f64::from(paper_ink) - f64::from(ink))).round() as u8;
    Color(mix(color.0, PAPER.0), mix(color.1, PAPER.1), mix(color.2, PAPER.2))
}

/// Draws a mark of about `size` points across.
pub(crate) fn mark(drawing: &mut Drawing, layer: Layer, style: SeriesStyle, center: Point, size: f64) {
    let edge = Stroke { color: PAPER, width: 0.5, dash: &[] };
    drawing.outline(layer, marker_path(style.marker, center, size / 2.0), style.stroke.color, Some(edge));
}

/// Half the length of the bars at the ends of an interval, in points.
const CAP: f64 = 1.4;

/// Draws an interval from one point to another, upright or level, with a bar across each end.
pub(crate) fn interval(drawing: &mut Drawing, from: Point, to: Point, stroke: Stroke) {
    let (dx, dy) = if (to.x - from.x).abs() > (to.y - from.y).abs() { (0.0, CAP) } else { (CAP, 0.0) };
    drawing.line(Layer::Data, &[from, to], stroke);
    for end in [from, to] {
        drawing.line(Layer::Data, &[at(end.x - dx, end.y - dy), at(end.x + dx, end.y + dy)], stroke);
    }
}

/// Lines over a filled box, for those who print without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hatch {
    None,
    Rising,
    Falling,
    Level,
    Crossed,
    Upright,
}

/// How one part of stacked bars looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartStyle {
    pub(crate) fill: Color,
    pub(crate) hatch: Hatch,
}

const PARTS: [PartStyle; 8] = [
    PartStyle { fill: Color(0x00, 0x44, 0x88), hatch: Hatch::None },
    PartStyle { fill: Color(0xF0, 0xA8, 0x30), hatch: Hatch::Rising },
    PartStyle { fill: Color(0x00, 0x9E, 0x73), hatch: Hatch::Falling },
    PartStyle { fill: Color(0xE8, 0xD5, 0xE3), hatch: Hatch::Crossed },
    PartStyle { fill: Color(0xD5, 0x5E, 0x00), hatch: Hatch::Level },
    PartStyle { fill: Color(0x9C, 0xD0, 0xF0), hatch: Hatch::Upright },
    PartStyle { fill: Color(0x9A, 0x2F, 0x7A), hatch: Hatch::Rising },
    PartStyle { fill: Color(0xC8, 0xC8, 0xC8), hatch: Hatch::None },
];

/// The look of part number `index` of stacked bars; repeats after eight.
pub(crate) fn part_style(index: usize) -> PartStyle {
    PARTS[index % PARTS.len()]
}

/// Draws a box of a part: filled, hatched, with an edge.
pub(crate) fn part_box(drawing: &mut Drawing, layer: Layer, rect: Rect, style: PartStyle) {
    const SPACING: f64 = 3.0;
    drawing.bar(layer, rect, style.fill);
    let bright = u32::from(style.fill.0) + u32::from(style.fill.1) + u32::from(style.fill.2) > 380;
    let stroke = Stroke { color: if bright { INK } else { PAPER }, width: 0.45, dash: &[] };
    let (width, height) = (rect.width(), rect.height());
    let mut lines: Vec<[Point; 2]> = Vec::new();
    if matches!(style.hatch, Hatch::Rising | Hatch::Crossed) {
        let count = ((width + height) / SPACING) as usize;
        lines.extend((0..=count).map(|i| {
            let x = rect.left + SPACING * (i as f64 + 0.5);
            [at(x, rect.top), at(x - height, rect.bottom)]
        }));
    }
    if matches!(style.hatch, Hatch::Falling | Hatch::Crossed) {
        let count = ((width + height) / SPACING) as usize;
        lines.extend((0..=count).map(|i| {
            let x = rect.left + SPACING * (i as f64 + 0.5);
            [at(x - height, rect.top), at(x, rect.bottom)]
        }));
    }
    if style.hatch == Hatch::Level {
        let count = (height / SPACING) as usize;
        lines.extend((0..count).map(|i| {
            let y = rect.top + SPACING * (i as f64 + 0.75);
            [at(rect.left, y), at(rect.right, y)]
        }));
    }
    if style.hatch == Hatch::Upright {
        let count = (width / SPACING) as usize;
        lines.extend((0..count).map(|i| {
            let x = rect.left + SPACING * (i as f64 + 0.75);
            [at(x, rect.top), at(x, rect.bottom)]
        }));
    }
    let inside = lines.iter().flat_map(|ends| clip(ends, rect));
    drawing.lines(layer, inside, stroke);
    let corners =
        [at(rect.left, rect.top), at(rect.right, rect.top), at(rect.right, rect.bottom), at(rect.left, rect.bottom)];
    let edge = Stroke { color: INK, width: 0.4, dash: &[] };
    drawing.edge(layer, polygon(&corners), edge);
}

/// Shades from pale to dark, which grow darker evenly so that they say the same in grey: blues between the ends of
/// `ColorBrewer`'s `Blues`.
pub(crate) fn shade(share: f64) -> Color {
    const STOPS: [Color; 5] = [
        Color(0xEF, 0xF5, 0xFB),
        Color(0xB5, 0xD3, 0xE9),
        Color(0x63, 0xA8, 0xD3),
        Color(0x21, 0x71, 0xB5),
        Color(0x08, 0x30, 0x6B),
    ];
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let (before, part) = (place.floor() as usize, place.fract());
    let (from, to) = (STOPS[before], STOPS[(before + 1).min(STOPS.len() - 1)]);
    let mix = |from: u8, to: u8| (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8;
    Color(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
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
