//! Drawings as PNG.

use png::PixelDimensions;
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, StrokeDash, Transform};

use super::drawing::{Color, Drawing, Segment, Shape, Stroke};
use super::style::PAPER;

/// Pixels per inch: what publishers ask for at least.
const DPI: f64 = 300.0;
const POINTS_PER_INCH: f64 = 72.0;
const METRES_PER_INCH: f64 = 0.0254;
/// The drawing as a PNG file at 300 dpi, its physical size written into it. The same drawing gives the same bytes.
pub(crate) fn png(drawing: &Drawing) -> Vec<u8> {
    let scale = DPI / POINTS_PER_INCH;
    let pixels = |points: f64| (points * scale).round() as u32;
    let mut pixmap = Pixmap::new(pixels(drawing.width), pixels(drawing.height)).expect("a figure has an area");
    pixmap.fill(skia_color(PAPER));
    let transform = Transform::from_scale(scale as f32, scale as f32);
    for shape in &drawing.shapes {
        paint_shape(&mut pixmap, shape, transform);
    }
    encoded(&pixmap).expect("encoding into memory cannot fail")
}

/// The picture as a file, without the opacity that a figure has everywhere.
fn encoded(pixmap: &Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let per_metre = (DPI / METRES_PER_INCH).round() as u32;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixmap.width(), pixmap.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_pixel_dims(Some(PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header()?;
    let mut colors = vec![0; pixmap.data().len() / 4 * 3];
    for (color, pixel) in colors.chunks_exact_mut(3).zip(pixmap.data().chunks_exact(4)) {
        color.copy_from_slice(&pixel[..3]);
    }
    writer.write_image_data(&colors)?;
    writer.finish()?;
    Ok(bytes)
}

fn paint_shape(pixmap: &mut Pixmap, shape: &Shape, transform: Transform) {
    let Some(path) = skia_path(&shape.path) else { return };
    if let Some(fill) = shape.fill {
        pixmap.fill_path(&path, &paint(fill), FillRule::Winding, transform, None);
    }
    if let Some(stroke) = shape.stroke {
        pixmap.stroke_path(&path, &paint(stroke.color), &skia_stroke(stroke), transform, None);
    }
}

fn skia_path(segments: &[Segment]) -> Option<tiny_skia::Path> {
    let mut path = PathBuilder::new();
    for segment in segments {
        match *segment {
            Segment::Move(p) => path.move_to(p.x as f32, p.y as f32),
            Segment::Line(p) => path.line_to(p.x as f32, p.y as f32),
            Segment::Quad(a, p) => path.quad_to(a.x as f32, a.y as f32, p.x as f32, p.y as f32),
            Segment::Cubic(a, b, p) => {
                path.cubic_to(a.x as f32, a.y as f32, b.x as f32, b.y as f32, p.x as f32, p.y as f32);
            }
            Segment::Close => path.close(),
        }
    }
    path.finish()
}

fn skia_stroke(stroke: Stroke) -> tiny_skia::Stroke {
    let lengths: Vec<f32> = stroke.dash.iter().map(|&length| length as f32).collect();
    tiny_skia::Stroke {
        width: stroke.width as f32,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        dash: StrokeDash::new(lengths, 0.0),
        ..tiny_skia::Stroke::default()
    }
}

fn skia_color(Color(red, green, blue): Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(red, green, blue, 0xFF)
}

fn paint(color: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(skia_color(color));
    paint.anti_alias = true;
    paint
}
