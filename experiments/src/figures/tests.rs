//! What every figure has to be: the same each time, sound as a file, complete in words, and never covered by its legend.

use super::drawing::{Layer, Point, Segment, Shape};
use super::timeline::{Bar, TimelineFigure, Tokens};
use super::*;

/// A distribution whose quantile at `q` is `median_s` × (q ÷ (1 − q))^spread seconds.
fn log_logistic(median_s: f64, spread: f64) -> impl Fn(&[f64]) -> Vec<f64> {
    move |quantiles| quantiles.iter().map(|q| 1e9 * median_s * (q / (1.0 - q)).powf(spread)).collect()
}

fn cdf(series: Vec<CdfSeries>, slo_s: Option<f64>) -> Drawing {
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
    let (title, bars, tokens) = ("chunked".to_owned(), bars.to_vec(), Tokens::PerStep);
    TimelineFigure { title, bars, tokens, window_s, layers: 32, width: Width::Page }.draw()
}

fn lines(half: Option<f64>) -> LinesFigure {
    let points = |factor: f64| {
        [1.0, 2.0, 4.0]
            .map(|x| LinePoint {
                x,
                y: factor * x,
                interval: half.map(|half| ((factor - half) * x, (factor + half) * x)),
            })
            .to_vec()
    };
    let series = |label: &str, factor| LineSeries { label: label.to_owned(), points: points(factor) };
    LinesFigure {
        title: "P99 TTFT over the rate".to_owned(),
        x_label: "Offered rate (req/s)".to_owned(),
        y_label: "P99 TTFT (ms)".to_owned(),
        series: vec![series("chunked, 512", 100.0), series("layered, 512", 80.0)],
        limits: vec![350.0],
        varied: "max_num_batched_tokens".to_owned(),
        intervals: "95 %, over 3 seeds".to_owned(),
        width: Width::Column,
    }
}

fn frontier() -> FrontierFigure {
    let point = |x: f64, y: f64, note: &str| FrontierPoint {
        x: (x, Some((x - x / 9.0, x + x / 9.0))),
        y: (y, Some((y - 2.0, y + 2.0))),
        note: note.to_owned(),
    };
    let series = |label: &str, points| FrontierSeries { label: label.to_owned(), points, joined: true };
    FrontierFigure {
        title: "P99 TBT against P99 TTFT".to_owned(),
        x_label: "P99 TTFT (ms)".to_owned(),
        y_label: "P99 TBT (ms)".to_owned(),
        better: (Some(Towards::Low), Some(Towards::Low)),
        series: vec![
            series("chunked", vec![point(400.0, 20.0, "256"), point(200.0, 40.0, "1024")]),
            series("layered", vec![point(150.0, 30.0, "256"), point(300.0, 35.0, "1024")]),
        ],
        noted: "max_num_batched_tokens (tokens)".to_owned(),
        varied: String::new(),
        intervals: "95 %, over 3 seeds".to_owned(),
        shows_frontier: true,
        width: Width::Column,
    }
}

fn bars(parts: &[&str]) -> BarFigure {
    let row = |heading: Option<&str>, label: &str, total: f64| BarRow {
        heading: heading.map(str::to_owned),
        label: label.to_owned(),
        values: parts.iter().map(|_| total / parts.len() as f64).collect(),
        interval: Some((0.9 * total, 1.1 * total)),
    };
    let absent = BarRow { heading: None, label: "without a value".to_owned(), values: Vec::new(), interval: None };
    BarFigure {
        title: "Energy per output token".to_owned(),
        x_label: "Energy per output token (J/tok)".to_owned(),
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        whole: None,
        rows: vec![row(Some("rate 4"), "chunked", 0.22), row(None, "layered", 0.15), absent],
        intervals: "95 %, over 3 seeds".to_owned(),
        width: Width::Column,
    }
}

fn heatmap() -> HeatmapFigure {
    let cells = vec![
        vec![Some((100.0, Some((99.5, 100.5)))), Some((62.5, Some((61.0, 67.0))))],
        vec![Some((15.2, None)), None],
    ];
    HeatmapFigure {
        title: "Requests in time".to_owned(),
        x_label: "Offered rate (req/s)".to_owned(),
        y_label: "max_num_batched_tokens (tokens)".to_owned(),
        measure: "Requests in time (%)".to_owned(),
        columns: vec!["4".to_owned(), "8".to_owned()],
        rows: vec!["256".to_owned(), "1024".to_owned()],
        maps: vec![
            HeatMap { label: "chunked".to_owned(), cells: cells.clone() },
            HeatMap { label: "layered".to_owned(), cells },
        ],
        intervals: "95 %, over 3 seeds".to_owned(),
        width: Width::Page,
    }
}

fn over_time() -> OverTimeFigure {
    let line = |height: f64| vec![(0.0, 1.0, height), (1.0, 2.0, 2.0 * height), (4.0, 5.0, height)];
    OverTimeFigure {
        title: "Requests waiting, and KV in use".to_owned(),
        panels: vec![
            TimePanel { label: "Waiting (req)".to_owned(), most: None, lines: vec![line(3.0), line(5.0)] },
            TimePanel { label: "KV in use (%)".to_owned(), most: Some(100.0), lines: vec![line(40.0), Vec::new()] },
        ],
        systems: vec!["chunked".to_owned(), "layered".to_owned()],
        width: Width::Column,
    }
}

fn work() -> WorkFigure {
    let step = |i: u32, prefill_tokens, prefill_layers| {
        let start_s = 0.012 * f64::from(i);
        WorkStep { start_s, end_s: start_s + 0.011, prefill_tokens, prefill_layers, decodes: i != 2 }
    };
    let panel = |label: &str, steps| WorkPanel { label: label.to_owned(), layers: 32, steps };
    WorkFigure {
        title: "What each step ran".to_owned(),
        systems: vec![
            panel("chunked", (0..4).map(|i| step(i, if i < 3 { 448 } else { 0 }, (0, 32))).collect()),
            panel("layered", (0..4).map(|i| step(i, 2_000, (8 * i, 8 * i + 8))).collect()),
        ],
        width: Width::Page,
    }
}

fn attainment() -> AttainmentFigure {
    let points = [(1.0, 1.0), (2.0, 0.95), (3.0, 0.5)]
        .map(|(rate, share)| (rate, (share, Some((share - 0.04, share + 0.04)))))
        .to_vec();
    let series = AttainmentSeries { label: "chunked".to_owned(), points, goodput: Some(2.1), searched: true };
    AttainmentFigure {
        series: vec![series],
        wanted: vec![0.9],
        varied: String::new(),
        intervals: String::new(),
        width: Width::Column,
    }
}

/// Figures of every kind, as small as they show what they are.
fn kinds() -> Vec<(&'static str, Box<dyn Figure>)> {
    let mut seeds = [1_u64, 2, 3].map(|seed| {
        let mut sample = sim::Distribution::new();
        (1..=200).for_each(|ms| sample.add(workloads::SimDuration::from_nanos((ms + 10 * seed) * 1_000_000)));
        sample
    });
    let series = vec![CdfSeries::of_seeds("chunked", &mut seeds)];
    let cdf = CdfFigure { quantity: "TTFT", counted: "Requests", series, slo_s: Some(0.15), width: Width::Column };
    let bar = steps(3);
    let timeline = TimelineFigure {
        title: "layered".to_owned(),
        bars: bar.iter().map(|&bar| Bar { prefill_layers: Some((4, 12)), ..bar }).collect(),
        tokens: Tokens::PerStep,
        window_s: (1834.0, 1834.04),
        layers: 32,
        width: Width::Page,
    };
    vec![
        ("cdf", Box::new(cdf)),
        ("lines", Box::new(lines(Some(9.0)))),
        ("frontier", Box::new(frontier())),
        ("bars", Box::new(bars(&[""]))),
        ("stacked bars", Box::new(bars(&["idle", "dynamic"]))),
        ("heatmap", Box::new(heatmap())),
        ("over time", Box::new(over_time())),
        ("work", Box::new(work())),
        ("attainment", Box::new(attainment())),
        ("timeline", Box::new(timeline)),
    ]
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
    let empty_lines = LinesFigure { series: Vec::new(), ..lines(None) };
    let empty_bars = BarFigure { rows: Vec::new(), ..bars(&["idle", "dynamic"]) };
    let empty_frontier = FrontierFigure { series: Vec::new(), ..frontier() };
    let empty_map = HeatmapFigure { maps: Vec::new(), ..heatmap() };
    let empty_work = WorkFigure { systems: Vec::new(), ..work() };
    let empty: [&dyn Figure; 5] = [&empty_lines, &empty_bars, &empty_frontier, &empty_map, &empty_work];
    let kinds = kinds().into_iter().map(|(name, figure)| (name, figure.draw()));
    let latencies = vec![
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
    ];
    latencies.into_iter().chain(kinds).chain(empty.map(|figure| ("nothing", figure.draw()))).collect()
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
    for (name, drawing) in gallery().into_iter().take(12) {
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

#[test]
fn a_distribution_of_several_seeds_stands_where_tables_have_its_percentiles_and_is_shaded_by_their_intervals() {
    let mut seeds = [10_u64, 20, 60].map(|shift| {
        let mut sample = sim::Distribution::new();
        (0..=1000).for_each(|ms| sample.add(workloads::SimDuration::from_nanos((ms + shift) * 1_000_000)));
        sample
    });
    let lone = cdf(vec![CdfSeries::of_seeds("a", &mut seeds[..1])], None);
    assert!(!words(&lone).iter().any(|word| word.starts_with("shaded")), "one seed has no band: {:?}", words(&lone));
    let series = CdfSeries::of_seeds("a", &mut seeds);
    let figure =
        CdfFigure { quantity: "TTFT", counted: "Requests", series: vec![series], slo_s: None, width: Width::Column };
    let said = words(&figure.draw()).join(" ");
    assert!(said.contains("shaded: 95 % interval of the mean over 3 seeds"), "{said}");
    // Shifts of 10, 20 and 60 ms: 30 on average, ± 4.302 65 × 26.458 ÷ √3.
    let rows = figure.vega()["data"]["values"].clone();
    let rows = rows.as_array().expect("values").iter();
    let mut banded = 0;
    for row in rows {
        let percent = row["percent"].as_f64().expect("a share");
        let (mean, half) = (0.01 * percent + 0.03, 0.065_725);
        let expected: &[(&str, f64)] = if row.get("x").is_some() {
            &[("x", mean)]
        } else {
            &[("low", (mean - half).max(0.0)), ("high", mean + half)]
        };
        for (field, expected) in expected {
            let found = row[*field].as_f64().expect("a number");
            let at_the_edge = *field == "high" && found < *expected && percent > 90.0;
            assert!((found - expected).abs() < 1e-5 || at_the_edge, "{percent} %, {field}: {found}, not {expected}");
        }
        banded += usize::from(row.get("low").is_some());
    }
    assert!(banded > 100, "{banded}");
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

#[test]
fn every_label_of_an_axis_carries_a_unit_or_counts_something() {
    let counts = ["Layers", "Prefill layers", "Requests", "Tokens per step", "Tokens/s"];
    for (name, figure) in kinds() {
        let drawing = figure.draw();
        let has_unit = |word: &&str| word.contains('(') && word.trim_end_matches([' ', '→']).ends_with(')');
        let labels = words(&drawing).into_iter().filter(|word| has_unit(word) || counts.contains(word)).count();
        let axes = if name.contains("bars") { 1 } else { 2 };
        assert!(labels >= axes, "{name}: {:?}", words(&drawing));
    }
}

/// What is on a page, shape by shape, without the outlines of letters: a drawing that people can compare.
fn sketch(drawing: &Drawing) -> String {
    let mut lines = vec![format!("{} × {} pt: {}", drawing.width.round(), drawing.height.round(), drawing.title)];
    for shape in &drawing.shapes {
        let color = |color: Option<drawing::Color>| {
            color.map_or_else(|| "none".to_owned(), |c| format!("#{:02x}{:02x}{:02x}", c.0, c.1, c.2))
        };
        let place = |p: &Point| format!("{:.0},{:.0}", p.x, p.y);
        let what = if let (Some(text), Some(set)) = (&shape.text, shape.set) {
            format!("{text:?} at {}{}", place(&set.from), if set.upwards { " upwards" } else { "" })
        } else {
            let points = points(shape);
            let shown: Vec<String> = points.iter().take(6).map(place).collect();
            let more = if points.len() > 6 { format!(" … {} points", points.len()) } else { String::new() };
            let dash = shape.stroke.filter(|stroke| !stroke.dash.is_empty()).map_or("", |_| " dashed");
            let (fill, line) = (color(shape.fill), color(shape.stroke.map(|stroke| stroke.color)));
            format!("fill {fill} line {line}{dash} {}{more}", shown.join(" "))
        };
        lines.push(format!("{:?}: {what}", shape.layer));
    }
    lines.join("\n")
}

#[test]
fn every_kind_of_figure_is_drawn_as_before() {
    for (name, figure) in kinds() {
        insta::assert_snapshot!(name.replace(' ', "_"), sketch(&figure.draw()));
    }
}

#[test]
fn specifications_hold_the_data_and_name_every_field_that_they_use() {
    /// Every `field` that is asked for anywhere in a specification.
    fn fields<'a>(json: &'a serde_json::Value, found: &mut Vec<&'a str>) {
        match json {
            serde_json::Value::Object(map) => {
                for (key, value) in map.iter().filter(|(key, _)| *key != "data") {
                    match value.as_str() {
                        Some(field) if key == "field" => found.push(field),
                        _ => fields(value, found),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
            _ => {}
        }
    }
    for (name, figure) in kinds() {
        let json = figure.vega();
        assert_eq!(json["$schema"], "https://vega.github.io/schema/vega-lite/v5.json", "{name}");
        let rows = json["data"]["values"].as_array().expect("the data are in it");
        assert!(!rows.is_empty(), "{name}");
        let mut used = Vec::new();
        fields(&json, &mut used);
        assert!(!used.is_empty(), "{name}");
        for field in used {
            assert!(rows.iter().any(|row| row.get(field).is_some()), "{name}: no row has `{field}`");
        }
    }
}

#[test]
fn neighbours_differ_in_grey_by_shade_or_by_pattern() {
    // Rec. 709 luma of what each fill prints as.
    let luma = |c: drawing::Color| 0.2126 * f64::from(c.0) + 0.7152 * f64::from(c.1) + 0.0722 * f64::from(c.2);
    let parts: Vec<style::PartStyle> = (0..8).map(style::part_style).collect();
    for pair in parts.windows(2) {
        let differs = (luma(pair[0].fill) - luma(pair[1].fill)).abs() > 40.0 || pair[0].hatch != pair[1].hatch;
        assert!(differs, "{pair:?}");
    }
    let curves: Vec<style::SeriesStyle> = (0..8).map(style::series_style).collect();
    for pair in curves.windows(2) {
        assert!(pair[0].stroke.dash != pair[1].stroke.dash && pair[0].marker != pair[1].marker, "{pair:?}");
    }
    let shades: Vec<f64> = (0..=20).map(|i| luma(style::shade(f64::from(i) / 20.0))).collect();
    assert!(shades.is_sorted_by(|a, b| a > b), "shades grow darker: {shades:?}");
}

#[test]
fn letters_are_never_smaller_than_seven_points() {
    for (name, drawing) in gallery() {
        for shape in &drawing.shapes {
            assert!(shape.set.is_none_or(|set| set.size >= 7.0), "{name}: {:?}", shape.text);
        }
    }
}

#[test]
fn a_frontier_joins_what_no_other_point_beats() {
    let drawing = frontier().draw();
    let line = |shape: &&Shape| shape.stroke == Some(style::LIMIT) && shape.layer == Layer::Axes;
    let corners = points(drawing.shapes.iter().find(line).expect("it is drawn"));
    // Of (400, 20), (200, 40), (150, 30) and (300, 35) only the first and the third are unbeaten: one corner between them.
    assert_eq!(corners.len(), 3, "{corners:?}");
    assert!(words(&drawing).contains(&"frontier") && words(&drawing).contains(&"better: ← ↓"), "{:?}", words(&drawing));
}
