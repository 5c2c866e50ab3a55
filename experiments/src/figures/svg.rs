//! Drawings as SVG.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::drawing::{Color, Drawing, Layer, Point, Segment, Setting, Shape};
use super::font;
use super::style::PAPER;

/// The drawing as an SVG document, in points, text outlined: each glyph once, and used where it occurs. The same drawing gives
/// the same bytes, and a glyph has the same name in all of them, so that several can stand in one page.
pub(crate) fn svg(drawing: &Drawing) -> String {
    let mut out = String::new();
    let (width, height) = (number(drawing.width), number(drawing.height));
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{width}pt\" height=\"{height}pt\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">"
    );
    let _ = writeln!(out, "<title>{}</title>", escaped(&drawing.title));
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>", hex(PAPER));
    write_glyphs(&mut out, drawing);
    for run in drawing.shapes.chunk_by(|a, b| a.layer == b.layer) {
        let _ = writeln!(out, "<g class=\"{}\" fill=\"none\">", class(run[0].layer));
        for shape in run {
            write_shape(&mut out, shape);
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn class(layer: Layer) -> &'static str {
    match layer {
        Layer::Axes => "axes",
        Layer::Data => "data",
        Layer::Legend => "legend",
    }
}

/// The outlines of all glyphs of the drawing, in font units.
fn write_glyphs(out: &mut String, drawing: &Drawing) {
    let texts = drawing.shapes.iter().filter_map(|shape| shape.text.as_deref());
    let used: BTreeSet<u16> = texts.flat_map(font::glyphs).map(|(glyph, _)| glyph).collect();
    if used.is_empty() {
        return;
    }
    out.push_str("<defs>\n");
    for glyph in used {
        let _ = write!(out, "<path id=\"g{glyph}\" d=\"");
        let mut pen = Pen { out, x: 0, y: 0, begun: (0, 0), in_units: true };
        for segment in font::glyph_outline(glyph) {
            pen.write(segment);
        }
        out.push_str("\"/>\n");
    }
    out.push_str("</defs>\n");
}

fn write_text(out: &mut String, text: &str, set: Setting, color: Color) {
    let (x, y) = (number(set.from.x), number(set.from.y));
    let turn = if set.upwards { "rotate(-90)" } else { "" };
    let scale = format!("{:.7}", set.size / font::units_per_em());
    let scale = scale.trim_start_matches('0').trim_end_matches('0');
    let label = escaped(text);
    let _ = write!(
        out,
        "<g aria-label=\"{label}\" fill=\"{}\" transform=\"translate({x} {y}){turn}scale({scale})\">",
        hex(color)
    );
    for (glyph, x) in font::glyphs(text) {
        let x = x.round() as i64;
        let place = if x == 0 { String::new() } else { format!(" x=\"{x}\"") };
        let _ = write!(out, "<use xlink:href=\"#g{glyph}\"{place}/>");
    }
    out.push_str("</g>\n");
}

fn write_shape(out: &mut String, shape: &Shape) {
    if let (Some(text), Some(set), Some(color)) = (&shape.text, shape.set, shape.fill) {
        return write_text(out, text, set, color);
    }
    out.push_str("<path");
    if let Some(fill) = shape.fill {
        let _ = write!(out, " fill=\"{}\"", hex(fill));
    }
    if let Some(stroke) = shape.stroke {
        let _ = write!(out, " stroke=\"{}\" stroke-width=\"{}\"", hex(stroke.color), number(stroke.width));
        out.push_str(" stroke-linejoin=\"round\"");
        if !stroke.dash.is_empty() {
            let lengths: Vec<String> = stroke.dash.iter().map(|&length| number(length).to_string()).collect();
            let _ = write!(out, " stroke-dasharray=\"{}\"", lengths.join(" "));
        }
    }
    out.push_str(" d=\"");
    let mut pen = Pen { out, x: 0, y: 0, begun: (0, 0), in_units: false };
    for segment in &shape.path {
        pen.write(*segment);
    }
    out.push_str("\"/>\n");
}

/// Writes a path with coordinates relative to the point before, which halves a file made mostly of letters. Everything is
/// rounded to hundredths of a point before differences are taken, so that no error adds up.
struct Pen<'a> {
    out: &'a mut String,
    /// Where the pen is, in what is written.
    x: i64,
    y: i64,
    /// Where the current outline began.
    begun: (i64, i64),
    /// Whether coordinates are whole font units rather than hundredths of a point.
    in_units: bool,
}

impl Pen<'_> {
    fn write(&mut self, segment: Segment) {
        match segment {
            Segment::Move(p) => {
                self.command('m', &[p]);
                self.begun = (self.x, self.y);
            }
            Segment::Line(p) => self.command('l', &[p]),
            Segment::Quad(a, p) => self.command('q', &[a, p]),
            Segment::Cubic(a, b, p) => self.command('c', &[a, b, p]),
            Segment::Close => {
                self.out.push('z');
                (self.x, self.y) = self.begun;
            }
        }
    }

    fn command(&mut self, letter: char, points: &[Point]) {
        self.out.push(letter);
        let (mut x, mut y) = (self.x, self.y);
        for (i, point) in points.iter().enumerate() {
            let whole = |value: f64| if self.in_units { value.round() as i64 } else { hundredths(value) };
            (x, y) = (whole(point.x), whole(point.y));
            for (j, difference) in [x - self.x, y - self.y].into_iter().enumerate() {
                // A minus sign separates as well as a space does.
                if i + j > 0 && difference >= 0 {
                    self.out.push(' ');
                }
                let _ = if self.in_units {
                    write!(self.out, "{difference}")
                } else {
                    write!(self.out, "{}", Hundredths(difference))
                };
            }
        }
        (self.x, self.y) = (x, y);
    }
}

/// A length in hundredths of a point: 1/7200 inch, finer than any printer.
fn hundredths(points: f64) -> i64 {
    (points * 100.0).round() as i64
}

/// Hundredths, written as a decimal number without ballast.
struct Hundredths(i64);

impl std::fmt::Display for Hundredths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        match (self.0.abs() / 100, self.0.abs() % 100) {
            (whole, 0) => write!(f, "{sign}{whole}"),
            (0, rest) if rest % 10 == 0 => write!(f, "{sign}.{}", rest / 10),
            (0, rest) => write!(f, "{sign}.{rest:02}"),
            (whole, rest) if rest % 10 == 0 => write!(f, "{sign}{whole}.{}", rest / 10),
            (whole, rest) => write!(f, "{sign}{whole}.{rest:02}"),
        }
    }
}

/// A length for an attribute.
fn number(points: f64) -> Hundredths {
    Hundredths(hundredths(points))
}

fn hex(Color(red, green, blue): Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text for XML content and attributes. Control characters, which XML forbids, become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::drawing::{Anchor, Rect, Stroke, at};
    use super::*;

    #[test]
    fn numbers_keep_two_decimals_and_no_ballast() {
        let written = |points: f64| number(points).to_string();
        assert_eq!([written(1.0), written(0.5), written(2.346), written(-0.004)], ["1", ".5", "2.35", "0"]);
        assert_eq!([written(-1.05), written(120.0), written(-0.07)], ["-1.05", "120", "-.07"]);
    }

    #[test]
    fn a_tiny_drawing_is_written_as_before() {
        let mut drawing = Drawing::new(20.0, 10.0, "<tiny> & \"quoted\"");
        let stroke = Stroke { color: Color(0, 0x44, 0x88), width: 0.6, dash: &[2.0, 1.5] };
        drawing.line(Layer::Axes, &[at(1.0, 9.0), at(19.0, 9.0)], stroke);
        let rect = Rect { left: 2.0, top: 3.0, right: 4.25, bottom: 9.0 };
        drawing.bar(Layer::Data, rect, Color(0xE6, 0x9F, 0));
        drawing.text(Layer::Legend, "i<", at(10.0, 8.0), 8.0, Anchor::Middle, Color(0, 0, 0));
        insta::assert_snapshot!(svg(&drawing));
    }
}
