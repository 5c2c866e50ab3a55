//! A drawing: shapes in points (1/72 inch) from the top left corner, before anyone decides on a file format.
//!
//! SVG and PNG are written from the same drawing, so that both show the same picture. Text is kept as outlines, beside
//! the words it stands for.

use super::font;

/// A place on the page, in points; y grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Short for [`Point`].
pub(crate) const fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// An upright box, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Rect {
    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// An opaque sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// How a line is drawn; lengths in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) color: Color,
    pub(crate) width: f64,
    /// Lengths of dashes and gaps in turn; empty for an unbroken line.
    pub(crate) dash: &'static [f64],
}

/// One piece of an outline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Segment {
    Move(Point),
    Line(Point),
    Quad(Point, Point),
    Cubic(Point, Point, Point),
    Close,
}

/// What a shape belongs to: SVG groups carry these names, so that a figure can be restyled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Grid, axes and their labels.
    Axes,
    /// The curves and bars.
    Data,
    /// Keys and their labels.
    Legend,
}

/// One shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) layer: Layer,
    pub(crate) path: Vec<Segment>,
    pub(crate) fill: Option<Color>,
    pub(crate) stroke: Option<Stroke>,
    /// The words that this shape is the outline of.
    pub(crate) text: Option<String>,
    /// How those words are set.
    pub(crate) set: Option<Setting>,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Where the baseline begins.
    pub(crate) from: Point,
    /// Font size in points.
    pub(crate) size: f64,
    /// Whether it reads upwards.
    pub(crate) upwards: bool,
}

/// Where a text sits relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A page with shapes on it, drawn in the order they were added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    /// Width in points.
    pub(crate) width: f64,
    /// Height in points.
    pub(crate) height: f64,
    /// What the picture shows, for those who cannot see it.
    pub(crate) title: String,
    pub(crate) shapes: Vec<Shape>,
}

impl Drawing {
    pub(crate) fn new(width: f64, height: f64, title: impl Into<String>) -> Self {
        Drawing { width, height, title: title.into(), shapes: Vec::new() }
    }

    /// A filled box.
    pub(crate) fn bar(&mut self, layer: Layer, rect: Rect, fill: Color) {
        let Rect { left, top, right, bottom } = rect;
        let corners = [at(left, top), at(right, top), at(right, bottom), at(left, bottom)];
        self.shapes.push(Shape {
            layer,
            path: polygon(&corners),
            fill: Some(fill),
            stroke: None,
            text: None,
            set: None,
        });
    }

    /// A line through `points`; fewer than two draw nothing.
    pub(crate) fn line(&mut self, layer: Layer, points: &[Point], stroke: Stroke) {
        if points.len() >= 2 {
            self.shapes.push(Shape {
                layer,
                path: open(points),
                fill: None,
                stroke: Some(stroke),
                text: None,
                set: None,
            });
        }
    }

    /// Several lines as one shape; none draw nothing.
    pub(crate) fn lines(&mut self, layer: Layer, lines: impl IntoIterator<Item = Vec<Point>>, stroke: Stroke) {
        let path: Vec<Segment> = lines.into_iter().flat_map(|line| open(&line)).collect();
        if !path.is_empty() {
            self.shapes.push(Shape { layer, path, fill: None, stroke: Some(stroke), text: None, set: None });
        }
    }

    /// An outline that is not filled.
    pub(crate) fn edge(&mut self, layer: Layer, path: Vec<Segment>, stroke: Stroke) {
        self.shapes.push(Shape { layer, path, fill: None, stroke: Some(stroke), text: None, set: None });
    }

    /// A filled outline, with or without an edge.
    pub(crate) fn outline(&mut self, layer: Layer, path: Vec<Segment>, fill: Color, edge: Option<Stroke>) {
        self.shapes.push(Shape { layer, path, fill: Some(fill), stroke: edge, text: None, set: None });
    }

    /// Horizontal text whose baseline goes through `point`.
    pub(crate) fn text(&mut self, layer: Layer, text: &str, point: Point, size: f64, anchor: Anchor, color: Color) {
        let back = shift(anchor) * font::width(text, size);
        let path = font::outline(text, size, |x, y| at(point.x - back + x, point.y - y));
        let set = Setting { from: at(point.x - back, point.y), size, upwards: false };
        self.push_text(layer, text, path, color, set);
    }

    /// Text that reads upwards, with its baseline on the vertical through `point` and its middle at `point`.
    pub(crate) fn text_upwards(&mut self, layer: Layer, text: &str, point: Point, size: f64, color: Color) {
        let back = shift(Anchor::Middle) * font::width(text, size);
        let path = font::outline(text, size, |x, y| at(point.x - y, point.y + back - x));
        let set = Setting { from: at(point.x, point.y + back), size, upwards: true };
        self.push_text(layer, text, path, color, set);
    }

    fn push_text(&mut self, layer: Layer, text: &str, path: Vec<Segment>, color: Color, set: Setting) {
        let text = Some(text.to_owned());
        self.shapes.push(Shape { layer, path, fill: Some(color), stroke: None, text, set: Some(set) });
    }
}

fn shift(anchor: Anchor) -> f64 {
    match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => 0.5,
        Anchor::End => 1.0,
    }
}

fn open(points: &[Point]) -> Vec<Segment> {
    points.iter().enumerate().map(|(i, &p)| if i == 0 { Segment::Move(p) } else { Segment::Line(p) }).collect()
}

/// A closed outline through `corners`.
pub(crate) fn polygon(corners: &[Point]) -> Vec<Segment> {
    let mut path = open(corners);
    path.push(Segment::Close);
    path
}

/// A circle of `radius` points as four cubic arcs.
pub(crate) fn circle(center: Point, radius: f64) -> Vec<Segment> {
    // Distance of the control points that makes a cubic closest to a quarter circle: 4/3 (√2 − 1).
    let k = radius * 0.552_284_75;
    let p = |dx: f64, dy: f64| at(center.x + dx, center.y + dy);
    vec![
        Segment::Move(p(radius, 0.0)),
        Segment::Cubic(p(radius, k), p(k, radius), p(0.0, radius)),
        Segment::Cubic(p(-k, radius), p(-radius, k), p(-radius, 0.0)),
        Segment::Cubic(p(-radius, -k), p(-k, -radius), p(0.0, -radius)),
        Segment::Cubic(p(k, -radius), p(radius, -k), p(radius, 0.0)),
        Segment::Close,
    ]
}

/// The parts of the line through `points` that lie inside `bounds`.
pub(crate) fn clip(points: &[Point], bounds: Rect) -> Vec<Vec<Point>> {
    let mut runs: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = clip_segment(pair[0], pair[1], bounds) else { continue };
        match runs.last_mut() {
            Some(run) if run.last() == Some(&from) => run.push(to),
            _ => runs.push(vec![from, to]),
        }
    }
    runs
}

/// Liang and Barsky's clipping of one segment (ACM Transactions on Graphics 3(1), 1984).
fn clip_segment(from: Point, to: Point, bounds: Rect) -> Option<(Point, Point)> {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (step, room) in [
        (-dx, from.x - bounds.left),
        (dx, bounds.right - from.x),
        (-dy, from.y - bounds.top),
        (dy, bounds.bottom - from.y),
    ] {
        if step == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if step < 0.0 {
            enter = enter.max(room / step);
        } else {
            leave = leave.min(room / step);
        }
    }
    let along = |share: f64| {
        if share <= 0.0 {
            from
        } else if share >= 1.0 {
            to
        } else {
            at(from.x + share * dx, from.y + share * dy)
        }
    };
    (enter <= leave).then(|| (along(enter), along(leave)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn a_line_that_leaves_and_returns_is_clipped_into_two() {
        let runs = clip(&[at(1.0, 5.0), at(5.0, 15.0), at(9.0, 5.0)], BOUNDS);
        assert_eq!(runs, vec![vec![at(1.0, 5.0), at(3.0, 10.0)], vec![at(7.0, 10.0), at(9.0, 5.0)]]);
    }

    #[test]
    fn a_line_outside_leaves_nothing() {
        assert!(clip(&[at(-5.0, 11.0), at(20.0, 12.0)], BOUNDS).is_empty());
    }

    #[test]
    fn a_line_inside_is_kept_whole() {
        let points = [at(1.0, 1.0), at(2.0, 8.0), at(3.0, 3.0)];
        assert_eq!(clip(&points, BOUNDS), vec![points.to_vec()]);
    }
}
