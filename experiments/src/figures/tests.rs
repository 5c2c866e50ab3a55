//! What every figure has to be: the same each time, sound as a file, complete in words, and never covered by its legend.

use super::drawing::{Layer, Point, Segment, Shape};
use super::timeline::{Bar, TimelineFigure, Tokens};
use super::*;

/// A distribution whose quantile at `q` is `median_s` × (q ÷ (1 − q))^spread seconds.
fn log_logistic(median_s: f64, spread: f64) -> impl Fn(&[f64]) -> Vec<f64> {
    move |quantiles| quantiles.iter().map(|q| 1e9 * median_s * (q / (1.0 - q)).powf(spread)).collect()
}

fn cdf(series: Vec<CdfSeries<'_>>, slo_s: Option<f64>) -> Drawing {
    CdfFigure { quantity: "TTFT", counted: "Requests", series, slo_s, width: Width::Column }.draw()
}

fn steps(count: usize) -> Vec<Bar> {
    let bar = |i: usize| {
        let start_s = 1834.0 + 0.012 * i as f64;
        Bar {
            start_s,
            end_s: start_s + 0.011,
            prefill_tokens: [448.0, 100.0, 0.0][i / 7 % 3],
            decode_tokens: 64.0,
            running: 64.0 + (i % 5) as f64,
            waiting: (i % 11) as f64,
            free_kv: 0.9 - 0.004 * i as f64,
            prefill_layers: None,
        }
    };
    (0..count).map(bar).collect()
}

fn timeline(bars: &[Bar]) -> Drawing {
    let window_s = (1834.0, 1836.4);
    TimelineFigure { title: "chunked", bars, tokens: Tokens::PerStep, window_s, layers: 32, width: Width::Page }.draw()
}

/// Figures of every kind, common and degenerate.
fn gallery() -> Vec<(&'static str, Drawing)> {
    let name = "a system with a name that is far too long for a column of a paper, and then some";
    let many = (0..8_u32).map(|i| CdfSeries::new(name, 5_000, log_logistic(0.2 + 0.1 * f64::from(i), 0.3))).collect();
    let two = vec![
        CdfSeries::new("chunked-prefill", 19_366, log_logistic(0.25, 0.2)),
        CdfSeries::new("prefill-first", 19_366, log_logistic(0.2, 0.6)),
    ];
    let layered: Vec<Bar> = steps(200).iter().map(|&bar| Bar { prefill_layers: Some((4, 12)), ..bar }).collect();
    vec![
        ("two systems", cdf(two, Some(1.0))),
        ("eight systems with long names", cdf(many, None)),
        ("a narrow distribution", cdf(vec![CdfSeries::new("one", 100, log_logistic(0.03, 0.01))], None)),
        ("one request", cdf(vec![CdfSeries::new("one", 1, |q| vec![2.5e8; q.len()])], None)),
        ("values of zero", cdf(vec![CdfSeries::new("one", 9, |q| vec![0.0; q.len()])], None)),
        ("an objective far above", cdf(vec![CdfSeries::new("one", 9, |q| vec![1e6; q.len()])], Some(3_600.0))),
        ("nothing completed", cdf(vec![CdfSeries::new("one", 0, |_| Vec::new())], None)),
        ("no systems", cdf(Vec::new(), None)),
        ("steps", timeline(&steps(200))),
        ("one step", timeline(&steps(1))),
        ("no steps", timeline(&[])),
        ("steps through some layers", timeline(&layered)),
    ]
}

fn points(shape: &Shape) -> Vec<Point> {
    let point = |segment: &Segment| match *segment {
        Segment::Move(p) | Segment::Line(p) | Segment::Quad(_, p) | Segment::Cubic(_, _, p) => Some(p),
        Segment::Close => None,
    };
    shape.path.iter().filter_map(point).collect()
}

fn words(drawing: &Drawing) -> Vec<&str> {
    drawing.shapes.iter().filter_map(|shape| shape.text.as_deref()).collect()
}

#[test]
fn the_same_data_give_the_same_bytes() {
    for ((name, first), (_, second)) in gallery().iter().zip(gallery()) {
        assert_eq!(svg(first), svg(&second), "{name}");
    }
    let (curves, bars) = (&gallery()[0].1, &gallery()[8].1);
    assert_eq!([png(curves), png(bars)], [png(curves), png(bars)]);
}

#[test]
fn everything_lies_on_the_page() {
    for (name, drawing) in gallery() {
        for shape in &drawing.shapes {
            for p in points(shape) {
                let inside = (0.0..=drawing.width).contains(&p.x) && (0.0..=drawing.height).contains(&p.y);
                assert!(inside, "{name}: {p:?} of {:?} lies off the page", shape.text);
            }
        }
    }
}

#[test]
fn legends_never_cover_data() {
    for (name, drawing) in gallery() {
        let on = |layer| drawing.shapes.iter().filter(move |shape| shape.layer == layer).flat_map(points);
        let legend_bottom = on(Layer::Legend).map(|p| p.y).fold(0.0, f64::max);
        let data_top = on(Layer::Data).map(|p| p.y).fold(f64::INFINITY, f64::min);
        assert!(legend_bottom < data_top, "{name}: the legend reaches down to {legend_bottom}, data up to {data_top}");
    }
}

#[test]
fn axes_name_their_units() {
    for (name, drawing) in gallery() {
        let words = words(&drawing);
        let expected: &[&str] = if words.contains(&"Simulated time (s)") {
            &["Tokens per step", "Requests", "Free KV (%)"]
        } else if name == "a narrow distribution" || name == "one request" {
            &["TTFT (ms)", "Requests (%)"]
        } else {
            &["TTFT (s)", "Requests (%)"]
        };
        if name != "an objective far above" {
            assert!(expected.iter().all(|label| words.contains(label)), "{name}: {expected:?} not all in {words:?}");
        }
    }
}

#[test]
fn systems_without_data_are_named_as_such() {
    let gallery = gallery();
    let of = |name: &str| words(&gallery.iter().find(|(n, _)| *n == name).expect("it is in the gallery").1);
    assert!(of("nothing completed").contains(&"one (no data)"));
    assert!(of("nothing completed").contains(&"no data") && of("no steps").contains(&"no data"));
    assert!(!of("one request").contains(&"no data"));
}

#[test]
fn marks_stand_only_where_enough_values_lie_above() {
    let marks = |count| {
        let drawing = cdf(vec![CdfSeries::new("one", count, log_logistic(0.2, 0.5))], None);
        drawing.shapes.iter().filter(|shape| shape.layer == Layer::Data && shape.fill.is_some()).count()
    };
    assert_eq!([1, 10, 99, 100, 999, 1_000].map(marks), [1, 2, 2, 3, 3, 4]);
}

/// Panics unless `document` is well-formed XML of the few kinds of markup that a figure has.
fn assert_well_formed(name: &str, document: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in document.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("{name}: a tag does not end: {piece}"));
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{name}: tags are closed in the wrong order");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().expect("a tag has a name"));
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{name}: an attribute does not end: {tag}");
        for entity in tag.split('&').skip(1).chain(text.split('&').skip(1)) {
            let known = ["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known));
            assert!(known, "{name}: an ampersand stands alone before {entity}");
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} are not closed");
}

#[test]
fn svg_files_are_well_formed_whatever_systems_are_called() {
    for (name, drawing) in gallery() {
        assert_well_formed(name, &svg(&drawing));
    }
    let nasty = "<&\"'> \u{1}\u{2028}名 ]]>";
    assert_well_formed(nasty, &svg(&cdf(vec![CdfSeries::new(nasty, 5, log_logistic(0.2, 0.3))], None)));
}

/// Pixels per row, rows, pixels per metre, and the pixels as red, green and blue.
fn decoded(name: &str, bytes: &[u8]) -> (u32, u32, u32, Vec<[u8; 3]>) {
    let decoder = ::png::Decoder::new(std::io::Cursor::new(bytes));
    let mut reader = decoder.read_info().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits into memory")];
    reader.next_frame(&mut pixels).unwrap_or_else(|error| panic!("{name}: {error}"));
    let info = reader.info();
    let per_metre = info.pixel_dims.map_or(0, |dims| dims.xppu);
    (info.width, info.height, per_metre, pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}

#[test]
fn png_files_have_300_dots_per_inch_and_something_on_them() {
    // Enough to see every kind of shape painted.
    let painted = ["two systems", "nothing completed", "steps", "no steps"];
    for (name, drawing) in gallery().into_iter().filter(|(name, _)| painted.contains(name)) {
        let (width, height, per_metre, image) = decoded(name, &png(&drawing));
        assert_eq!(per_metre, 11_811, "{name}: 300 dots per inch");
        let pixels = |points: f64| (points * 300.0 / 72.0).round() as u32;
        assert_eq!((width, height), (pixels(drawing.width), pixels(drawing.height)), "{name}");
        let inked = image.iter().filter(|&&pixel| pixel != [255, 255, 255]).count();
        let share = inked as f64 / image.len() as f64;
        assert!((0.01..0.5).contains(&share), "{name}: {share} of the pixels are inked");
    }
}

#[test]
fn curves_are_drawn_in_the_colours_of_their_keys() {
    let (name, drawing) = &gallery()[0];
    let (_, _, _, image) = decoded(name, &png(drawing));
    for color in [[0x00, 0x44, 0x88], [0xD5, 0x5E, 0x00]] {
        let painted = image.iter().filter(|&&pixel| pixel == color).count();
        assert!(painted > 1_000, "only {painted} pixels of {color:02x?}");
    }
}
