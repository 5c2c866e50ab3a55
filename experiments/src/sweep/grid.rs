//! The points of a sweep: which values each of them lays over the experiment file.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Problem, Problems, Span};
use crate::file::document::{Node, Table, Value};
use crate::file::keys::{self, system};
use crate::file::{Laid, SWEEP, is_path, words};

/// The key of points that are listed rather than crossed.
const POINTS: &str = "points";

/// Most points of a sweep: beyond, what is kept of each in memory would be gigabytes.
const MOST_POINTS: usize = 1_000_000;

/// Keys that no run depends on, or that a sweep crosses by itself, and why they cannot be swept.
const NOT_SWEPT: [(&str, &str); 7] = [
    (keys::SEEDS.name, "every point runs under every seed of `seeds`: list them there"),
    (keys::NAME.name, "it does not change a run"),
    (keys::OUTPUT.name, "it does not change a run"),
    (keys::GOODPUT.name, "it is for `servesim goodput`, and does not change a run"),
    (keys::PLAN.name, "it is for `servesim plan`, and does not change a run"),
    (keys::LOCK.name, "it does not change a run"),
    (SWEEP, "a sweep has no sweeps"),
];

/// One combination of swept values.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Swept keys as they were written, and their values, in the order of the file.
    pub(super) label: Vec<(String, String)>,
    /// The values.
    pub(super) laid: Vec<Laid>,
}

/// What a file sweeps.
pub(super) struct Grid {
    /// All points, the first key varying slowest.
    pub(super) points: Vec<Point>,
    /// Names of the systems, in the order of the file.
    pub(super) systems: Vec<String>,
}

impl Point {
    /// Its keys and values, for messages.
    pub(super) fn shown(&self) -> String {
        shown_point(&self.label)
    }
}

/// Keys and values in one line.
pub(super) fn shown_point(label: &[(String, String)]) -> String {
    label.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

/// Reads `[sweep]` of a tree whose paths are absolute: listed `points`, crossed with the list of values of every other key.
pub(super) fn read(root: &Table, whole: Span) -> Result<Grid, Problems> {
    let mut problems = Problems::default();
    let systems = problems.keep(systems(root, whole)).unwrap_or_default();
    let Some(entry) = root.entry(SWEEP) else {
        let problem = Problem::at(whole, "this file sweeps nothing")
            .label("it has no `[sweep]`")
            .help("values to try go into [sweep], such as \"workload.rate\" = [2, 4]; `servesim run` runs a file once");
        return Err(problem.into());
    };
    let Value::Table(sweep) = &entry.node.value else {
        let problem = Problem::at(entry.node.span, "wrong value for `sweep`");
        return Err(problem.label("expected a table of keys and the lists of their values").into());
    };
    let mut axes: Vec<Vec<Point>> = Vec::new();
    for entry in &sweep.entries {
        if entry.key == POINTS {
            axes.extend(problems.keep(listed(&entry.node)));
        } else if let Some(path) = problems.keep(words_of(&entry.key, entry.key_span)) {
            crossed(&entry.key, &path, &entry.node, &mut axes, &mut problems);
        }
    }
    if axes.is_empty() && problems.is_empty() {
        let problem = Problem::at(entry.key_span, "`[sweep]` is empty");
        problems.push(problem.label("expected a key and its values, such as \"workload.rate\" = [2, 4]"));
    }
    if let Err(problem) = all_sweepable(&axes).and_then(|()| not_too_many(&axes, entry.key_span)) {
        problems.push(problem);
        return Err(problems);
    }
    for axis in &mut axes {
        shorten_paths(axis);
    }
    let points = axes.iter().fold(vec![Point { label: Vec::new(), laid: Vec::new() }], |points, axis| {
        let both = |point: &Point, more: &Point| Point {
            label: [point.label.as_slice(), &more.label].concat(),
            laid: [point.laid.as_slice(), &more.laid].concat(),
        };
        points.iter().flat_map(|point| axis.iter().map(move |more| both(point, more))).collect()
    });
    if let Some(point) = points.first() {
        problems.keep(each_key_once(point, &systems));
    }
    if problems.is_empty() { Ok(Grid { points, systems }) } else { Err(problems) }
}

/// Whether every key changes runs.
fn all_sweepable(axes: &[Vec<Point>]) -> Result<(), Problem> {
    for laid in axes.iter().filter_map(|axis| axis.first()).flat_map(|point| &point.laid) {
        let words: Vec<&str> = laid.path.iter().map(|(word, _)| word.as_str()).collect();
        let span = laid.path[0].1;
        if let Some((key, why)) = NOT_SWEPT.iter().find(|(key, _)| words[0] == *key) {
            return Err(Problem::at(span, format!("`{key}` cannot be swept")).label(*why));
        }
        let names_system =
            words[0] == keys::SYSTEM.name && words.last() == Some(&system::NAME.name) && words.len() <= 3;
        if names_system || words == [keys::SYSTEM.name] {
            let problem = Problem::at(span, format!("`{}` cannot be swept", words.join(".")));
            return Err(problem
                .label("the systems of a sweep are those of the file, at every point")
                .help("a key of theirs can be: \"system.NAME.KEY\" of one, \"system.KEY\" of all"));
        }
    }
    Ok(())
}

fn not_too_many(axes: &[Vec<Point>], span: Span) -> Result<(), Problem> {
    let points = axes.iter().try_fold(1_usize, |points, axis| points.checked_mul(axis.len()));
    match points {
        Some(points) if points <= MOST_POINTS => Ok(()),
        _ => Err(Problem::at(span, "this sweep has too many points").label(format!("at most {MOST_POINTS}"))),
    }
}

/// A key that stands alone is one word whatever it looks like; with dots in quotes it is a path.
fn words_of(key: &str, span: Span) -> Result<Vec<(String, Span)>, Problem> {
    if key.contains('.') { words(key, span) } else { Ok(vec![(key.to_owned(), span)]) }
}

/// The values of one key; of a table, those of each key inside.
fn crossed(name: &str, path: &[(String, Span)], node: &Node, axes: &mut Vec<Vec<Point>>, problems: &mut Problems) {
    match &node.value {
        Value::Table(inner) => {
            for entry in &inner.entries {
                let below = [path, &[(entry.key.clone(), entry.key_span)]].concat();
                crossed(&format!("{name}.{}", entry.key), &below, &entry.node, axes, problems);
            }
        }
        Value::List(items) if !items.is_empty() => {
            let point = |item: &Node| Point {
                label: vec![(name.to_owned(), shown(item))],
                laid: vec![Laid { path: path.to_vec(), node: item.clone() }],
            };
            let values: Vec<Point> = items.iter().map(point).collect();
            problems.keep(all_different(&values));
            axes.push(values);
        }
        other => {
            let problem = Problem::at(node.span, format!("wrong value for `{name}` in `[sweep]`"));
            problems.push(problem.label(format!("{}; expected a list of the values to try", other.describe())));
        }
    }
}

/// `points`: a list of tables with the same keys, each a path in quotes.
fn listed(node: &Node) -> Result<Vec<Point>, Problem> {
    let wrong = |span: Span| {
        Problem::at(span, "wrong value for `sweep.points`")
            .label("expected a list of tables, such as [{ \"workload.rate\" = 2, \"system.gpu\" = \"L40S\" }]")
    };
    let Value::List(items) = &node.value else { return Err(wrong(node.span)) };
    let mut points: Vec<Point> = Vec::new();
    for item in items {
        let Value::Table(table) = &item.value else { return Err(wrong(item.span)) };
        let mut point = Point { label: Vec::new(), laid: Vec::new() };
        for entry in &table.entries {
            if !entry.key.contains('.') && matches!(entry.node.value, Value::Table(_)) {
                let problem = Problem::at(entry.key_span, format!("`{}` is a whole table", entry.key));
                return Err(problem.label(format!("expected a path in quotes, such as \"{}.KEY\"", entry.key)));
            }
            point.label.push((entry.key.clone(), shown(&entry.node)));
            point.laid.push(Laid { path: words_of(&entry.key, entry.key_span)?, node: entry.node.clone() });
        }
        if let Some(first) = points.first()
            && first.label.iter().map(|(key, _)| key).ne(point.label.iter().map(|(key, _)| key))
        {
            let keys: Vec<&str> = first.label.iter().map(|(key, _)| key.as_str()).collect();
            let problem = Problem::at(item.span, "this point has other keys than the first");
            return Err(problem.label(format!("expected {}, in this order", keys.join(", "))));
        }
        points.push(point);
    }
    all_different(&points)?;
    if points.is_empty() { Err(wrong(node.span)) } else { Ok(points) }
}

fn all_different(axis: &[Point]) -> Result<(), Problem> {
    for (n, point) in axis.iter().enumerate() {
        if axis[..n].iter().any(|earlier| earlier.label == point.label) {
            let span = point.laid.first().map(|laid| laid.node.span).expect("a point has a value");
            return Err(Problem::at(span, "this value is listed twice").label("it would run the same again"));
        }
    }
    Ok(())
}

/// No key may be set twice, nor a table and a key inside it: one would be ignored, or depend on the order. A key of all
/// systems is also one of each.
fn each_key_once(point: &Point, systems: &[String]) -> Result<(), Problem> {
    let parts = |laid: &Laid| {
        let mut words: Vec<String> = laid.path.iter().map(|(word, _)| word.clone()).collect();
        let names_one = words.len() > 2 && words[0] == keys::SYSTEM.name && systems.contains(&words[1]);
        let system = names_one.then(|| words.remove(1));
        (system, words)
    };
    for (n, laid) in point.laid.iter().enumerate() {
        let (system, words) = parts(laid);
        let clashes = |earlier: &Laid| {
            let (other, others) = parts(earlier);
            (system.is_none() || other.is_none() || system == other) && words.iter().zip(&others).all(|(a, b)| a == b)
        };
        if let Some(earlier) = (0..n).find(|&earlier| clashes(&point.laid[earlier])) {
            let (key, other) = (&point.label[n].0, &point.label[earlier].0);
            let problem = Problem::at(laid.path[0].1, format!("`{key}` and `{other}` set the same value"));
            return Err(problem.label("one of them would be without effect"));
        }
    }
    Ok(())
}

/// Names of the systems, as they have to be to tell runs apart.
fn systems(root: &Table, whole: Span) -> Result<Vec<String>, Problem> {
    let Some(Node { value: Value::List(items), .. }) = root.get(keys::SYSTEM.name) else {
        return Err(Problem::at(whole, "there is no system").label("expected at least one [[system]]"));
    };
    let name = |item: &Node| match &item.value {
        Value::Table(table) => match table.get(system::NAME.name) {
            Some(Node { value: Value::Text(name), .. }) => Ok(name.clone()),
            _ => Err(Problem::at(item.span, "this system has no name").label("expected name = \"…\"")),
        },
        _ => Err(Problem::at(item.span, "this is not a system").label("expected a table")),
    };
    items.iter().map(name).collect()
}

/// Shows paths by what they do not have in common, so that tables do not depend on where the files lie.
fn shorten_paths(axis: &mut [Point]) {
    let columns = axis.first().map_or(0, |point| point.laid.len());
    for column in 0..columns {
        let is_path = |point: &Point| is_path(&point.laid[column]);
        let paths: Vec<PathBuf> =
            axis.iter().filter(|point| is_path(point)).map(|point| PathBuf::from(&point.label[column].1)).collect();
        let folders = paths.iter().filter_map(|path| path.parent());
        let shared = folders.map(Path::to_owned).reduce(|one, other| {
            one.components().zip(other.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        });
        let Some(shared) = shared else { continue };
        for point in axis.iter_mut().filter(|point| is_path(point)) {
            let label = &mut point.label[column].1;
            if let Ok(rest) = Path::new(&*label).strip_prefix(&shared) {
                *label = rest.display().to_string();
            }
        }
    }
}

/// A value in a table: numbers in their shortest form, strings without their quotes.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => text.clone(),
        value => value.to_toml(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::file::document;

    fn grid(sweep: &str) -> Result<Vec<String>, String> {
        let text = format!("[[system]]\nname = \"a\"\n[[system]]\nname = \"b\"\n[sweep]\n{sweep}\n");
        let mut sources = Sources::default();
        let source = sources.add("x.toml", text.as_str(), Path::new(""));
        let root = document::parse(source, &text).expect("TOML");
        match read(&root, Span { source, start: 0, end: 0 }) {
            Ok(grid) => Ok(grid.points.iter().map(Point::shown).collect()),
            Err(problems) => Err(problems.brief()),
        }
    }

    #[test]
    fn keys_are_crossed_in_the_order_of_the_file_the_first_varying_slowest() {
        let points =
            grid("\"workload.rate\" = [2, 4.50]\n\"system.a.gpu\" = [\"L40S\", \"H100-SXM-80GB\"]").expect("a grid");
        assert_eq!(
            points,
            [
                "workload.rate = 2, system.a.gpu = L40S",
                "workload.rate = 2, system.a.gpu = H100-SXM-80GB",
                "workload.rate = 4.5, system.a.gpu = L40S",
                "workload.rate = 4.5, system.a.gpu = H100-SXM-80GB",
            ]
        );
    }

    #[test]
    fn keys_may_be_written_as_tables_and_listed_points_are_crossed_with_the_rest() {
        let points = grid(
            "workload.rate = [1, 2]\npoints = [{ \"system.gpu\" = \"A\", model = \"m\" }, { \"system.gpu\" = \"B\", model = \"n\" }]",
        );
        let points = points.expect("a grid");
        assert_eq!(points.len(), 4);
        assert_eq!(points[1], "workload.rate = 1, system.gpu = B, model = n");
    }

    #[test]
    fn paths_are_shown_by_what_they_do_not_share_and_other_texts_as_they_are() {
        let points = grid(
            "\"workload.trace\" = [\"/a/b/c/t.csv\", \"/a/b/d/t.csv\"]\nmodel = [\"/m/x.json\", \"Qwen/Qwen3-14B\"]",
        );
        let points = points.expect("a grid");
        assert_eq!(points[0], "workload.trace = c/t.csv, model = x.json");
        assert_eq!(points[3], "workload.trace = d/t.csv, model = Qwen/Qwen3-14B");
    }

    #[test]
    fn what_cannot_be_swept_says_why() {
        for (sweep, why) in [
            ("", "`[sweep]` is empty"),
            ("seeds = [1, 2]", "list them there"),
            ("\"output.format\" = [\"csv\"]", "it does not change a run"),
            ("\"system.a.name\" = [\"c\"]", "the systems of a sweep are those of the file"),
            ("\"workload.rate\" = 2", "a whole number; expected a list of the values to try"),
            ("\"workload.rate\" = []", "expected a list of the values to try"),
            ("\"workload.rate\" = [2, 2.0]", "this value is listed twice"),
            ("\"workload..rate\" = [2]", "is not a key"),
            ("\"workload.rate\" = [2]\nworkload = [{ rate = 2 }]", "set the same value"),
            (
                "\"system.gpu\" = [\"A\"]\n\"system.a.gpu\" = [\"B\"]",
                "`system.a.gpu` and `system.gpu` set the same value",
            ),
            ("\"system.a.scheduler.policy\" = [\"orca\"]\n\"system.scheduler\" = [\"sarathi\"]", "set the same value"),
            ("points = [{ a = 1 }, { b = 1 }]", "this point has other keys than the first"),
            ("points = [3]", "expected a list of tables"),
        ] {
            let said = grid(sweep).expect_err(sweep);
            assert!(said.contains(why), "{sweep}: {said}");
        }
    }

    #[test]
    fn the_same_key_of_different_systems_and_different_keys_of_one_are_crossed() {
        let sweep = "\"system.a.gpu\" = [\"A\"]\n\"system.b.gpu\" = [\"B\"]\n\"system.replicas\" = [1, 2]";
        assert_eq!(grid(sweep).expect("a grid").len(), 2);
    }

    #[test]
    fn a_sweep_beyond_all_bounds_is_refused_before_it_is_made() {
        let values: Vec<String> = (1..=1001).map(|value| value.to_string()).collect();
        let list = format!("[{}]", values.join(", "));
        let sweep = format!("\"workload.rate\" = {list}\n\"workload.requests\" = {list}");
        assert!(grid(&sweep).expect_err("too many").contains("at most 1000000"));
    }
}
