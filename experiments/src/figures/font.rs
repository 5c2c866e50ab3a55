//! The one typeface of all figures, built into the program: text becomes outlines, so that a figure looks the same on
//! every machine, whatever fonts it has.
//!
//! The typeface is Inter 4.1 by Rasmus Andersson and contributors (SIL Open Font License 1.1, `font/OFL.txt`), cut down
//! to Latin and Greek letters and common signs, its digits replaced by those of equal width; `font/subset.py` makes the
//! file from the original.

use std::sync::OnceLock;

use ttf_parser::gpos::{PairAdjustment, PositioningSubtable};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use super::drawing::{Point, Segment};

static INTER: &[u8] = include_bytes!("font/inter-subset.ttf");

/// Height of a capital or digit over the font size.
pub(crate) const CAP_HEIGHT: f64 = 0.727;

fn face() -> &'static Face<'static> {
    static FACE: OnceLock<Face<'static>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(INTER, 0).expect("the built-in typeface is sound"))
}

/// Width of `text` set at `size` points, in points.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let face = face();
    let (_, units) = shape(face, text);
    units * size / f64::from(face.units_per_em())
}

/// The longest beginning of `text` that fits into `room` points, with an ellipsis if anything had to go.
pub(crate) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let ends = text.char_indices().map(|(i, _)| i).rev();
    let cut = ends.map(|end| format!("{}…", text[..end].trim_end())).find(|cut| width(cut, size) <= room);
    cut.unwrap_or_default()
}

/// The outline of `text` set at `size` points. `place` turns a distance along the baseline and a height above it, both in
/// points, into a place on the page. A character that the typeface lacks becomes an empty box.
pub(crate) fn outline(text: &str, size: f64, place: impl Fn(f64, f64) -> Point) -> Vec<Segment> {
    let face = face();
    let scale = size / f64::from(face.units_per_em());
    let mut path = Vec::new();
    for (glyph, x) in shape(face, text).0 {
        face.outline_glyph(glyph, &mut Pen { path: &mut path, x, scale, place: &place });
    }
    path
}

/// Font units of the font size.
pub(crate) fn units_per_em() -> f64 {
    f64::from(face().units_per_em())
}

/// The numbers of the glyphs of `text` and their distances along the baseline, in font units; glyphs without an outline,
/// such as spaces, are left out.
pub(crate) fn glyphs(text: &str) -> Vec<(u16, f64)> {
    let face = face();
    let has_outline = |(glyph, _): &(GlyphId, f64)| face.glyph_bounding_box(*glyph).is_some();
    shape(face, text).0.into_iter().filter(has_outline).map(|(glyph, x)| (glyph.0, x)).collect()
}

/// The outline of a glyph in font units, with y growing downwards.
pub(crate) fn glyph_outline(glyph: u16) -> Vec<Segment> {
    let mut path = Vec::new();
    let place = |x: f64, y: f64| Point { x, y: -y };
    face().outline_glyph(GlyphId(glyph), &mut Pen { path: &mut path, x: 0.0, scale: 1.0, place: &place });
    path
}

/// Glyphs with their distance along the baseline, and the whole width, in font units.
fn shape(face: &Face<'_>, text: &str) -> (Vec<(GlyphId, f64)>, f64) {
    let mut glyphs: Vec<(GlyphId, f64)> = Vec::with_capacity(text.len());
    let mut x = 0.0;
    for character in text.chars() {
        let glyph = face.glyph_index(character).unwrap_or_default();
        if let Some(&(before, _)) = glyphs.last() {
            x += kerning(face, before, glyph);
        }
        glyphs.push((glyph, x));
        x += f64::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    (glyphs, x)
}

/// By how much `second` moves when it follows `first`: the first pair adjustment of the font that covers `first`.
fn kerning(face: &Face<'_>, first: GlyphId, second: GlyphId) -> f64 {
    let Some(gpos) = face.tables().gpos else { return 0.0 };
    let subtables = gpos.lookups.into_iter().flat_map(|lookup| lookup.subtables.into_iter::<PositioningSubtable<'_>>());
    let pairs =
        subtables.filter_map(|table| if let PositioningSubtable::Pair(pair) = table { Some(pair) } else { None });
    let adjusted = pairs.filter_map(|pair| match pair {
        PairAdjustment::Format1 { coverage, sets } => sets.get(coverage.get(first)?)?.get(second),
        PairAdjustment::Format2 { coverage, classes, matrix } => {
            coverage.get(first)?;
            matrix.get((classes.0.get(first), classes.1.get(second)))
        }
    });
    adjusted.map(|(value, _)| f64::from(value.x_advance)).next().unwrap_or(0.0)
}

/// Collects a glyph's outline on the page.
struct Pen<'a, F> {
    path: &'a mut Vec<Segment>,
    /// Where the glyph begins, in font units.
    x: f64,
    scale: f64,
    place: &'a F,
}

impl<F: Fn(f64, f64) -> Point> Pen<'_, F> {
    fn point(&self, x: f32, y: f32) -> Point {
        (self.place)((self.x + f64::from(x)) * self.scale, f64::from(y) * self.scale)
    }
}

impl<F: Fn(f64, f64) -> Point> OutlineBuilder for Pen<'_, F> {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.push(Segment::Move(self.point(x, y)));
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.path.push(Segment::Line(self.point(x, y)));
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.push(Segment::Quad(self.point(x1, y1), self.point(x, y)));
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.path.push(Segment::Cubic(self.point(x1, y1), self.point(x2, y2), self.point(x, y)));
    }
    fn close(&mut self) {
        self.path.push(Segment::Close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_equally_wide_so_that_tick_labels_align() {
        let widths: Vec<f64> = "0123456789".chars().map(|d| width(&d.to_string(), 8.0)).collect();
        assert!(widths.iter().all(|w| (w - widths[0]).abs() < 1e-9), "{widths:?}");
    }

    #[test]
    fn kerning_draws_a_and_v_together() {
        assert!(width("AV", 8.0) < width("A", 8.0) + width("V", 8.0) - 0.1);
    }

    #[test]
    fn a_long_name_is_cut_to_its_room() {
        let cut = fit("a system with quite a long name", 8.0, 60.0);
        assert!(cut.ends_with('…') && width(&cut, 8.0) <= 60.0, "{cut}");
        assert_eq!(fit("short", 8.0, 60.0), "short");
    }

    #[test]
    fn signs_that_axes_need_are_in_the_typeface() {
        for sign in "µ×≤≥−–…Σ·%²".chars() {
            assert!(face().glyph_index(sign).is_some(), "{sign} is missing");
        }
    }
}
