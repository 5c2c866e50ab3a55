//! The comparison a terminal shows.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};
use sim::{Better, Column, Interval, Summary, Value};

use super::comparison::{Comparison, Run, by_point, compare, systems};
use super::estimate;
use super::evidence;
use super::label::RunLabel;
use super::shown::{Reach, four_digits, reach, reach_of_change, signed};

/// How the table may look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Colours and bold type: on a terminal, unless `NO_COLOR` is set.
    pub(crate) color: bool,
    /// Columns of the terminal; `None`: as wide as it gets.
    pub(crate) width: Option<u16>,
}

/// The leading figures of every system side by side, per swept point: means over seeds, each system's change against
/// the first one with its 95 % interval, the best marked, and what the step times stand on. Ends with a line feed.
pub(crate) fn comparison_table(runs: &[RunLabel], summaries: &[Summary], look: Look) -> String {
    let comparisons = compare(runs, summaries);
    let mut text = String::new();
    for (point, group) in by_point(runs, summaries) {
        let of_point: Vec<&Comparison> = comparisons.iter().filter(|comparison| comparison.point == point).collect();
        if !point.is_empty() {
            let keys: Vec<String> = point.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            text += &(keys.join(", ") + "\n");
        }
        text += &point_table(&group, &of_point, look);
    }
    text
}

fn point_table(group: &[Run<'_>], comparisons: &[&Comparison], look: Look) -> String {
    let systems = systems(group);
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    if look.color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let title = |name: &&str| Cell::new(name).set_alignment(CellAlignment::Right);
    table.set_header([Cell::new("measure"), Cell::new("unit")].into_iter().chain(systems.iter().map(title)));
    for column in Summary::columns().iter().filter(|column| column.headline) {
        let means: Vec<Option<Mean>> = systems.iter().map(|system| Mean::of(column, group, system)).collect();
        if means.iter().all(Option::is_none) {
            continue;
        }
        let changes: Vec<Option<&Comparison>> = systems
            .iter()
            .map(|system| {
                comparisons.iter().find(|row| row.system == *system && row.measure.name == column.name).copied()
            })
            .collect();
        let best = best(column, &means, &changes);
        let cells = means.iter().zip(&changes).enumerate().map(|(index, (mean, change))| {
            // The first system has no change that could carry an interval.
            let interval = if index == 0 { estimate::interval(column, group, systems[0]) } else { None };
            cell(mean.as_ref(), interval, *change, (best == Some(index), systems.len() > 1))
        });
        table.add_row([Cell::new(&column.name), Cell::new(column.unit)].into_iter().chain(cells));
    }
    format!("{table}\n{}{}", notes(group, &systems), evidence::lines(group, &systems))
}

/// A figure's mean over seeds.
#[derive(Clone, Copy)]
struct Mean {
    value: f64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Quantity,
    /// Between 0 and 1: a real number without unit.
    Share,
}

impl Mean {
    fn of(column: &Column, group: &[Run<'_>], system: &str) -> Option<Self> {
        let runs = group.iter().filter(|(label, _)| label.system == system);
        let values: Vec<Value> = runs.filter_map(|(_, summary)| column.value(summary)).collect();
        let kind = match (values.first()?, column.unit) {
            (Value::Real(_), "") => Kind::Share,
            (Value::Real(_), _) => Kind::Quantity,
            _ => Kind::Count,
        };
        let numbers: Vec<f64> = values.into_iter().filter_map(Value::as_f64).collect();
        Some(Mean { value: numbers.iter().sum::<f64>() / numbers.len() as f64, kind })
    }

    /// With half of its interval, or both ends of a skewed one; unless it has no width.
    fn with_interval(&self, interval: Option<Interval>) -> String {
        let (scale, unit) = if self.kind == Kind::Share { (100.0, " %") } else { (1.0, "") };
        let text = self.text();
        let number = text.trim_end_matches(" %");
        match interval.and_then(|Interval { low, high, .. }| reach(number, self.value, (low, high), scale)) {
            None => text,
            Some(Reach::Half(half)) => format!("{number} ± {half}{unit}"),
            Some(Reach::Ends(low, high)) => format!("{number} ({low} … {high}){unit}"),
        }
    }

    fn text(&self) -> String {
        match self.kind {
            Kind::Count if self.value.fract() == 0.0 => format!("{:.0}", self.value),
            Kind::Share => format!("{:.1} %", self.value * 100.0),
            Kind::Count | Kind::Quantity => four_digits(self.value),
        }
    }

    /// The change against the first system: in percentage points for shares, in percent of it otherwise.
    fn change(&self, comparison: &Comparison) -> Option<String> {
        if comparison.difference() == 0.0 && comparison.is_certain() {
            return Some("(=)".to_owned());
        }
        let (scale, unit) = match self.kind {
            Kind::Share => (100.0, "pp"),
            Kind::Count | Kind::Quantity if comparison.baseline_mean == 0.0 => return None,
            Kind::Count | Kind::Quantity => (100.0 / comparison.baseline_mean, "%"),
        };
        let difference = signed(comparison.difference() * scale);
        let interval = comparison.interval.map(|Interval { low, high, .. }| {
            match reach_of_change(comparison.difference(), (low, high), scale) {
                Reach::Half(half) => format!(" ± {half}"),
                Reach::Ends(low, high) => format!(" [{low} … {high}]"),
            }
        });
        Some(format!("({difference}{} {unit})", interval.unwrap_or_default()))
    }
}

/// Which system is best; `None` where nothing is better, all look the same, or the intervals leave it open.
fn best(column: &Column, means: &[Option<Mean>], changes: &[Option<&Comparison>]) -> Option<usize> {
    let known: Vec<(usize, &Mean)> =
        means.iter().enumerate().filter_map(|(index, mean)| Some((index, mean.as_ref()?))).collect();
    let first = known.first()?.1.text();
    if known.iter().all(|(_, mean)| mean.text() == first) {
        return None;
    }
    let order = |a: &&(usize, &Mean), b: &&(usize, &Mean)| a.1.value.total_cmp(&b.1.value);
    let &(best, _) = match column.better {
        Better::Lower => known.iter().min_by(order)?,
        Better::Higher => known.iter().max_by(order)?,
        Better::Neither => return None,
    };
    // The first system is best if it is for certain better than every other one; another if it is than the first.
    let rivals = changes.iter().enumerate().filter(|(index, _)| best == 0 || *index == best);
    rivals.filter_map(|(_, change)| *change).all(Comparison::is_certain).then_some(best)
}

/// One system's cell of one figure; `marks` leaves room for the mark of the best.
fn cell(
    mean: Option<&Mean>,
    interval: Option<Interval>,
    comparison: Option<&Comparison>,
    (is_best, marks): (bool, bool),
) -> Cell {
    let Some(mean) = mean else { return Cell::new("–").set_alignment(CellAlignment::Right) };
    let mut text = mean.with_interval(interval);
    if let Some(change) = comparison.and_then(|comparison| mean.change(comparison)) {
        text = format!("{text} {change}");
    }
    if marks {
        text += if is_best { " *" } else { "  " };
    }
    let cell = Cell::new(text).set_alignment(CellAlignment::Right);
    if is_best { cell.add_attribute(Attribute::Bold).fg(Color::Green) } else { cell }
}

/// What stands behind intervals with one seed.
const WITHIN: &str = "±, or low … high: 95 % intervals from the runs themselves, where they are long enough and it is a figure of requests";

fn notes(group: &[Run<'_>], systems: &[&str]) -> String {
    let seeds = group.iter().filter(|(label, _)| label.system == systems[0]).count();
    match (systems.len(), seeds) {
        (1, 1) => format!("{WITHIN}\n"),
        (1, _) => format!("means over {seeds} seeds, with 95 % intervals\n"),
        (_, 1) => format!(
            "* best beyond its interval, if it has one; changes are against {}; one seed; {WITHIN}\n",
            systems[0]
        ),
        (..) => format!(
            "* best beyond its interval; means over {seeds} seeds; changes are against {} on the same seeds; ±: 95 % intervals\n",
            systems[0]
        ),
    }
}

#[cfg(test)]
mod tests {
    use sim::{IntervalMethod, Spread};

    use super::super::plan::tests::summary;
    use super::*;

    fn table(runs: &[(&str, u64, u64)], look: Look) -> String {
        let labels: Vec<_> = runs.iter().map(|(system, seed, _)| RunLabel::new(*system, *seed)).collect();
        let summaries: Vec<_> = runs.iter().map(|(_, _, e2e_ms)| summary(e2e_ms * 1_000_000)).collect();
        comparison_table(&labels, &summaries, look)
    }

    #[test]
    fn two_systems_stand_side_by_side_with_their_difference_and_the_best_marked() {
        let runs = [("chunked", 1, 100), ("chunked", 2, 120), ("layered", 1, 90), ("layered", 2, 109)];
        insta::assert_snapshot!(table(&runs, Look::default()));
    }

    #[test]
    fn a_difference_that_its_interval_leaves_open_marks_no_best() {
        let row = |runs: &[(&str, u64, u64)]| {
            let text = table(runs, Look::default());
            text.lines().find(|line| line.contains("mean_e2el_ms")).expect("a row").to_owned()
        };
        let (open, certain) = (
            [("a", 1, 100), ("a", 2, 100), ("b", 1, 90), ("b", 2, 105)],
            [("a", 1, 100), ("a", 2, 102), ("b", 1, 90), ("b", 2, 92)],
        );
        assert!(!row(&open).contains('*'), "{}", row(&open));
        assert!(row(&certain).trim_end().ends_with("(−9.9 ± 0.0 %) *"), "{}", row(&certain));
        let first_is_best = certain.map(|(system, seed, e2e)| (if system == "a" { "z" } else { "y" }, seed, e2e));
        let mut swapped = first_is_best;
        swapped.rotate_left(2);
        assert!(row(&swapped).contains("91.00 ± 12.71 *"), "{}", row(&swapped));
    }

    #[test]
    fn one_system_has_no_marks_and_no_differences() {
        let text = table(&[("chunked", 1, 100)], Look::default());
        assert!(!text.contains('*') && !text.contains("pp)") && text.contains("mean_ttft_ms"), "{text}");
        assert!(text.ends_with("step time stands on: 75 % measured, 25 % fitted (dense_ffn 25 %)\n"), "{text}");
    }

    #[test]
    fn one_seed_says_where_its_intervals_are_from() {
        let text = table(&[("a", 1, 100), ("b", 1, 90)], Look::default());
        assert!(
            text.contains("(−10.0 %)") && text.contains("one seed; ±, or low … high: 95 % intervals from the runs"),
            "{text}"
        );
    }

    #[test]
    fn a_skewed_interval_is_shown_by_its_ends() {
        let within = |below, above| Spread { below, above, method: IntervalMethod::BatchShares, parts: 20 };
        let mean = Mean { value: 100.0, kind: Kind::Quantity };
        assert_eq!(mean.with_interval(Some(within(5.0, 20.0).around(100.0))), "100.0 (95.0 … 120.0)");
        assert_eq!(mean.with_interval(Some(within(5.0, 5.1).around(100.0))), "100.0 ± 5.0");
        let share = Mean { value: 0.98, kind: Kind::Share };
        assert_eq!(share.with_interval(Some(within(0.03, 0.01).around(0.98))), "98.0 (95.0 … 99.0) %");
    }

    #[test]
    fn colours_appear_only_when_they_are_allowed() {
        let runs = [("a", 1, 100), ("b", 1, 90)];
        assert!(table(&runs, Look { color: true, width: None }).contains("\u{1b}["));
        assert!(!table(&runs, Look { color: false, width: Some(100) }).contains('\u{1b}'));
    }
}
