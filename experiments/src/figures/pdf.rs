//! Drawings as PDF.
//!
//! One page as large as the drawing. Text is outlined like everything else, so no font has to be embedded, and publishers'
//! checks for fonts have nothing to find. There is no date in the file: the same drawing gives the same bytes.
//! Operators and file structure: ISO 32000-1:2008, sections 7.5, 8.4 and 8.5.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::drawing::{Color, Drawing, Point, Segment, Shape, at};
use super::style::PAPER;

/// The drawing as a PDF 1.4 file.
pub(crate) fn pdf(drawing: &Drawing) -> Vec<u8> {
    let (width, height) = (number(drawing.width), number(drawing.height));
    let content = deflated(content(drawing).as_bytes());
    let mut file = PdfFile::new();
    file.object("<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /DisplayDocTitle true >> >>", None);
    file.object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>", None);
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Resources << /ProcSet [/PDF] >> /Contents 4 0 R >>"
    );
    file.object(&page, None);
    file.object(&format!("<< /Length {} /Filter /FlateDecode >>", content.len()), Some(&content));
    file.object(&format!("<< /Title {} /Producer (servesim) >>", text_string(&drawing.title)), None);
    file.finish()
}

/// A file that is being written, object by object.
struct PdfFile {
    bytes: Vec<u8>,
    /// Where each object begins.
    offsets: Vec<usize>,
}

impl PdfFile {
    fn new() -> Self {
        // Bytes above 127 tell tools that copy files that this is not text.
        PdfFile { bytes: b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".to_vec(), offsets: Vec::new() }
    }

    fn object(&mut self, dictionary: &str, stream: Option<&[u8]>) {
        self.offsets.push(self.bytes.len());
        let head = format!("{} 0 obj\n{dictionary}\n", self.offsets.len());
        self.bytes.extend_from_slice(head.as_bytes());
        if let Some(stream) = stream {
            self.bytes.extend_from_slice(b"stream\n");
            self.bytes.extend_from_slice(stream);
            self.bytes.extend_from_slice(b"\nendstream\n");
        }
        self.bytes.extend_from_slice(b"endobj\n");
    }

    /// The cross-reference table has entries of exactly 20 bytes; the first object is the catalogue, the last the
    /// information.
    fn finish(mut self) -> Vec<u8> {
        let (start, size) = (self.bytes.len(), self.offsets.len() + 1);
        let mut tail = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for offset in &self.offsets {
            let _ = writeln!(tail, "{offset:010} 00000 n ");
        }
        let _ = write!(
            tail,
            "trailer\n<< /Size {size} /Root 1 0 R /Info {} 0 R >>\nstartxref\n{start}\n%%EOF\n",
            self.offsets.len()
        );
        self.bytes.extend_from_slice(tail.as_bytes());
        self.bytes
    }
}

/// The operators that paint the page. The first line turns the axes: in a PDF, y grows upwards.
fn content(drawing: &Drawing) -> String {
    let (width, height) = (number(drawing.width), number(drawing.height));
    let mut out = format!("1 0 0 -1 0 {height} cm\n1 j\n{} rg\n0 0 {width} {height} re f\n", color(PAPER));
    for shape in &drawing.shapes {
        paint(&mut out, shape);
    }
    out
}

fn paint(out: &mut String, shape: &Shape) {
    if shape.fill.is_none() && shape.stroke.is_none() || shape.path.is_empty() {
        return;
    }
    if let Some(fill) = shape.fill {
        let _ = writeln!(out, "{} rg", color(fill));
    }
    if let Some(stroke) = shape.stroke {
        let lengths: Vec<String> = stroke.dash.iter().map(|&length| number(length)).collect();
        let _ = writeln!(out, "{} RG {} w [{}] 0 d", color(stroke.color), number(stroke.width), lengths.join(" "));
    }
    let mut pen = at(0.0, 0.0);
    for segment in &shape.path {
        pen = write_segment(out, *segment, pen);
    }
    out.push_str(match (shape.fill, shape.stroke) {
        (Some(_), Some(_)) => "B\n",
        (Some(_), None) => "f\n",
        _ => "S\n",
    });
}

/// Writes one piece of a path that has come to `pen`, and returns where it comes to.
fn write_segment(out: &mut String, segment: Segment, pen: Point) -> Point {
    let pair = |p: Point| format!("{} {}", number(p.x), number(p.y));
    match segment {
        Segment::Move(p) => {
            let _ = writeln!(out, "{} m", pair(p));
            p
        }
        Segment::Line(p) => {
            let _ = writeln!(out, "{} l", pair(p));
            p
        }
        // PDF has cubic curves only: the control points lie two thirds of the way to the quadratic one.
        Segment::Quad(c, p) => {
            let towards = |end: Point| at(end.x + 2.0 / 3.0 * (c.x - end.x), end.y + 2.0 / 3.0 * (c.y - end.y));
            let _ = writeln!(out, "{} {} {} c", pair(towards(pen)), pair(towards(p)), pair(p));
            p
        }
        Segment::Cubic(a, b, p) => {
            let _ = writeln!(out, "{} {} {} c", pair(a), pair(b), pair(p));
            p
        }
        Segment::Close => {
            out.push_str("h\n");
            pen
        }
    }
}

/// A length to a thousandth of a point, without ballast.
fn number(points: f64) -> String {
    let text = format!("{points:.3}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        short => short.to_owned(),
    }
}

fn color(Color(red, green, blue): Color) -> String {
    [red, green, blue].map(|part| number(f64::from(part) / 255.0)).join(" ")
}

/// A string of any characters: UTF-16 with a byte order mark, in hexadecimal digits.
fn text_string(text: &str) -> String {
    let mut out = "<FEFF".to_owned();
    for unit in text.encode_utf16() {
        let _ = write!(out, "{unit:04X}");
    }
    out + ">"
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes what is written to it");
    encoder.finish().expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::drawing::{Anchor, Layer, Rect, Stroke};
    use super::*;

    fn drawing() -> Drawing {
        let mut drawing = Drawing::new(20.0, 10.0, "Übersicht (§)");
        let stroke = Stroke { color: Color(0, 0x44, 0x88), width: 0.6, dash: &[2.0, 1.5] };
        drawing.line(Layer::Axes, &[at(1.0, 9.0), at(19.0, 9.0)], stroke);
        drawing.bar(Layer::Data, Rect { left: 2.0, top: 3.0, right: 4.25, bottom: 9.0 }, Color(0xFF, 0, 0));
        drawing.text(Layer::Legend, "i", at(10.0, 8.0), 8.0, Anchor::Middle, Color(0, 0, 0));
        drawing
    }

    /// The objects of a file, found as a reader finds them: from the end, through the table of offsets.
    fn objects(file: &[u8]) -> Vec<&[u8]> {
        let text = String::from_utf8_lossy(file).into_owned();
        let start: usize =
            text.rsplit_once("startxref\n").and_then(|(_, end)| end.lines().next()?.parse().ok()).expect("a start");
        let table = &file[start..];
        assert!(table.starts_with(b"xref\n0 "), "the offset of the table is that of the table");
        let rows = std::str::from_utf8(table).expect("the table is ASCII");
        let size: usize = rows.lines().nth(1).and_then(|line| line[2..].parse().ok()).expect("a size");
        let entries = &table[rows.match_indices('\n').nth(1).expect("two lines").0 + 1..];
        (1..size)
            .map(|object| {
                let entry = std::str::from_utf8(&entries[20 * object..20 * (object + 1)]).expect("ASCII");
                assert!(entry.ends_with(" 00000 n \n"), "{entry:?}");
                let offset: usize = entry[..10].parse().expect("an offset");
                let body = &file[offset..];
                assert!(
                    body.starts_with(format!("{object} 0 obj\n").as_bytes()),
                    "object {object} is where the table says"
                );
                let end = body.windows(7).position(|window| window == b"endobj\n").expect("objects end");
                &body[..end]
            })
            .collect()
    }

    #[test]
    fn every_object_is_where_the_table_says_and_the_stream_is_as_long_as_it_says() {
        let file = pdf(&drawing());
        let objects = objects(&file);
        assert_eq!(objects.len(), 5);
        let stream = objects[3];
        let begin = stream.windows(7).position(|window| window == b"stream\n").expect("a stream") + 7;
        let end = stream.len() - b"\nendstream\n".len();
        assert!(String::from_utf8_lossy(&stream[..begin]).contains(&format!("/Length {} ", end - begin)));
        let mut content = String::new();
        flate2::read::ZlibDecoder::new(&stream[begin..end]).read_to_string(&mut content).expect("it inflates");
        assert!(content.starts_with("1 0 0 -1 0 10 cm\n"), "{content}");
        assert!(content.contains("0 0.267 0.533 RG 0.6 w [2 1.5] 0 d\n1 9 m\n19 9 l\nS\n"), "{content}");
        assert!(content.contains("1 0 0 rg\n2 3 m\n4.25 3 l\n4.25 9 l\n2 9 l\nh\nf\n"), "{content}");
        let title = String::from_utf8_lossy(objects[4]).into_owned();
        assert!(title.contains("<FEFF00DC0062006500720073"), "{title}");
    }

    #[test]
    fn a_quadratic_curve_becomes_the_same_cubic_one() {
        let mut out = String::new();
        let end = write_segment(&mut out, Segment::Quad(at(3.0, 3.0), at(6.0, 0.0)), at(0.0, 0.0));
        assert_eq!((out.as_str(), end), ("2 2 4 2 6 0 c\n", at(6.0, 0.0)));
    }
}
