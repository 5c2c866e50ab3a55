//! Every run with its measures, and how systems differ.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use sim::{Better, Column, Section, Summary};

use crate::output::{Reach, four_digits, reach, reach_of_change};
use crate::results::{Kind, Results, ResultsError, Table, Values};

/// Most values of a page: beyond, of every run only the leading measures are in it.
const MOST_VALUES: usize = 500_000;

/// Runs, the measures they have, and changes from the first system.
#[derive(Serialize)]
pub(super) struct RunsData {
    /// Names of the systems, in the order of the tables.
    #[serde(skip)]
    pub(super) system_names: Vec<String>,
    measures: Vec<Measure>,
    /// Swept keys.
    keys: Vec<String>,
    /// Their values, at every point that was run.
    points: Vec<Vec<String>>,
    runs: Vec<Run>,
    changes: Vec<Change>,
    intervals: Vec<Interval>,
    /// What is not here of the runs; empty if all is.
    runs_note: String,
    /// What the changes are and where their intervals come from.
    compared: String,
}

/// A measure, as `docs/measures.md` has it.
#[derive(Serialize)]
struct Measure {
    name: String,
    unit: &'static str,
    /// Whether it is a share, printed in percent.
    share: bool,
    better: Option<&'static str>,
    section: &'static str,
    doc: String,
    headline: bool,
}

/// One system under one seed at one point.
#[derive(Serialize)]
struct Run {
    system: usize,
    seed: String,
    point: usize,
    values: Vec<Cell>,
}

/// A measure of a system against the first one.
#[derive(Serialize)]
struct Change {
    point: usize,
    system: usize,
    measure: usize,
    baseline: Cell,
    difference: Cell,
    low: Cell,
    high: Cell,
    /// How its interval was found, and from how many parts, where the table says so.
    method: Option<String>,
    /// How far its interval reaches, as the terminal shows it: half of it, both ends, or nothing.
    reach: Vec<String>,
}

/// The interval of a mean: point, system, measure, both ends, how it was found, and the mean and how far the interval reaches from it
/// as the terminal shows them (half of it, or both ends).
#[derive(Serialize)]
struct Interval(usize, usize, usize, Cell, Cell, String, String, Vec<String>);

/// Numbers of a point, a system and a measure.
type Place = (usize, usize, usize);

/// A field of a table. Numbers are rounded to six digits, which is more than anyone reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Number(f64),
    Word(String),
    None,
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::None => serializer.serialize_none(),
            Cell::Word(word) => serializer.serialize_str(word),
            Cell::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                serializer.serialize_i64(*number as i64)
            }
            Cell::Number(number) => {
                serializer.serialize_f64(format!("{number:.5e}").parse().expect("a number was written"))
            }
        }
    }
}

impl Cell {
    /// The field of a column in a row.
    pub(super) fn of(values: &Values, row: usize) -> Self {
        match values {
            Values::Numbers(numbers) => Self::number(numbers[row]),
            Values::Words(words) if words.get(row).is_empty() => Cell::None,
            Values::Words(words) => Cell::Word(words.get(row).to_owned()),
        }
    }

    fn number(number: f64) -> Self {
        if number.is_nan() { Cell::None } else { Cell::Number(number) }
    }
}

impl RunsData {
    /// Reads what a folder has; the table of runs is given back too. Folders of some kinds have none.
    pub(super) fn read(results: &Results) -> Result<(Self, Option<Table>), ResultsError> {
        let name = match results.kind() {
            Kind::Run | Kind::Sweep => "summary",
            Kind::Goodput => "probes",
            Kind::Plan | Kind::Cache => return Ok((Self::empty(), None)),
        };
        let table = results.table(name)?;
        let mut data = Self::of_table(&table)?;
        if results.path("comparison").is_some() {
            let comparison = results.table("comparison")?;
            data.changes = data.changes_of(&comparison)?;
            data.compared = compared(&comparison, &data.system_names[0])?;
        }
        if results.path("intervals").is_some() {
            data.intervals = data.intervals_of(&results.table("intervals")?)?;
        } else {
            data.intervals = data.intervals_over_seeds();
        }
        Ok((data, Some(table)))
    }

    fn empty() -> Self {
        RunsData {
            system_names: Vec::new(),
            measures: Vec::new(),
            keys: Vec::new(),
            points: Vec::new(),
            runs: Vec::new(),
            changes: Vec::new(),
            intervals: Vec::new(),
            runs_note: String::new(),
            compared: String::new(),
        }
    }

    fn of_table(table: &Table) -> Result<Self, ResultsError> {
        // Swept keys stand before the measures. What another version measured is not taken for a key.
        let is_measure = |name: &&str| Summary::column(name).is_some();
        let before = table.names().take_while(|name| !is_measure(name));
        let keys: Vec<&str> = before.filter(|name| !["system", "seed"].contains(name)).collect();
        let measured: Vec<&str> = table.names().filter(is_measure).collect();
        // Those of single operators are told with the evidence.
        let shown = |column: &&Column| {
            measured.contains(&column.name.as_str())
                && (column.section != Section::Evidence || super::evidence::is_total(&column.name))
        };
        let mut columns: Vec<&Column> = Summary::columns().iter().filter(shown).collect();
        let mut runs_note = String::new();
        if table.len() * columns.len() > MOST_VALUES {
            let all = columns.len();
            columns.retain(|column| column.headline);
            runs_note = format!(
                "This page has the {} leading of {all} measures of {} runs; the others are in the folder's tables.",
                columns.len(),
                table.len()
            );
        }
        let values: Vec<&Values> = columns.iter().map(|column| table.values(&column.name)).collect::<Result<_, _>>()?;
        let (system, seed) = (table.words("system")?, table.words("seed")?);
        let key_words: Vec<_> = keys.iter().map(|key| table.words(key)).collect::<Result<_, _>>()?;
        let mut points = Points::default();
        let runs = (0..table.len()).map(|row| Run {
            system: system.codes()[row] as usize,
            seed: seed.get(row).to_owned(),
            point: points.number(key_words.iter().map(|words| words.get(row).to_owned()).collect()),
            values: values.iter().map(|values| Cell::of(values, row)).collect(),
        });
        let runs = runs.collect();
        Ok(RunsData {
            system_names: system.names().to_vec(),
            measures: columns.into_iter().map(Measure::of).collect(),
            keys: keys.into_iter().map(str::to_owned).collect(),
            points: points.all,
            runs,
            changes: Vec::new(),
            intervals: Vec::new(),
            runs_note,
            compared: "Means over seeds.".to_owned(),
        })
    }

    /// The rows of `comparison` for measures that are shown.
    fn changes_of(&self, table: &Table) -> Result<Vec<Change>, ResultsError> {
        let numbers = |name| table.numbers(name);
        let (baseline, difference) = (numbers("baseline_mean")?, numbers("difference")?);
        let (low, high) = (numbers("difference_low")?, numbers("difference_high")?);
        let methods = if table.has("method") { Some((table.words("method")?, table.words("n")?)) } else { None };
        let mut changes = Vec::new();
        for (row, (point, system, measure)) in self.shown(table)? {
            let share = self.measures[measure].share;
            let scale = if share { 100.0 } else { 100.0 / baseline[row] };
            let ends = (low[row], high[row]);
            let has_reach = !low[row].is_nan() && scale.is_finite();
            changes.push(Change {
                reach: if has_reach { parts(reach_of_change(difference[row], ends, scale)) } else { Vec::new() },
                point,
                system,
                measure,
                baseline: Cell::number(baseline[row]),
                difference: Cell::number(difference[row]),
                low: Cell::number(low[row]),
                high: Cell::number(high[row]),
                method: methods
                    .as_ref()
                    .filter(|(method, _)| !method.get(row).is_empty())
                    .map(|(method, parts)| format!("{}, n = {}", method.get(row), parts.get(row))),
            });
        }
        Ok(changes)
    }

    /// The rows of `intervals` for measures that are shown.
    fn intervals_of(&self, table: &Table) -> Result<Vec<Interval>, ResultsError> {
        let (low, high) = (table.numbers("mean_low")?, table.numbers("mean_high")?);
        let (method, parts) = (table.words("method")?, table.words("n")?);
        let mean = table.numbers("mean")?;
        let known = self.shown(table)?.into_iter().filter(|(row, _)| !low[*row].is_nan());
        let interval = |(row, place): (usize, Place)| {
            let how = format!("{}, n = {}", method.get(row), parts.get(row));
            self.interval(place, mean[row], (low[row], high[row]), how)
        };
        Ok(known.map(interval).collect())
    }

    /// The intervals over seeds of what the runs have, where the folder has no table of them.
    fn intervals_over_seeds(&self) -> Vec<Interval> {
        let mut values: BTreeMap<Place, Vec<f64>> = BTreeMap::new();
        for run in &self.runs {
            for (measure, cell) in run.values.iter().enumerate() {
                if let Cell::Number(number) = cell {
                    values.entry((run.point, run.system, measure)).or_default().push(*number);
                }
            }
        }
        let interval = |(place, values): (&Place, &Vec<f64>)| {
            let found = sim::Interval::over_seeds(values)?;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let how = format!("{}, n = {}", found.method.name(), found.parts);
            Some(self.interval(*place, mean, (found.low, found.high), how))
        };
        values.iter().filter_map(interval).collect()
    }

    fn interval(&self, (point, system, measure): Place, mean: f64, ends: (f64, f64), how: String) -> Interval {
        let Measure { share, unit, .. } = &self.measures[measure];
        let scale = if *share { 100.0 } else { 1.0 };
        let text = match (*share, *unit) {
            (true, _) => format!("{:.1}", 100.0 * mean),
            (false, "") if mean.fract() == 0.0 => format!("{mean:.0}"),
            _ => four_digits(mean),
        };
        let reaches = reach(&text, mean, ends, scale).map(parts).unwrap_or_default();
        Interval(point, system, measure, Cell::number(ends.0), Cell::number(ends.1), how, text, reaches)
    }

    /// The rows of a table by point, system and measure whose measure is shown, with the numbers of these three.
    fn shown(&self, table: &Table) -> Result<Vec<(usize, Place)>, ResultsError> {
        let (system, measure) = (table.words("system")?, table.words("measure")?);
        let key_words: Vec<_> = self.keys.iter().map(|key| table.words(key)).collect::<Result<_, _>>()?;
        let points: BTreeMap<Vec<&str>, usize> = self
            .points
            .iter()
            .enumerate()
            .map(|(number, point)| (point.iter().map(String::as_str).collect(), number))
            .collect();
        let measures: BTreeMap<&str, usize> =
            self.measures.iter().enumerate().map(|(number, measure)| (measure.name.as_str(), number)).collect();
        let place = |row: usize| {
            let point: Vec<&str> = key_words.iter().map(|words| words.get(row)).collect();
            let system = self.system_names.iter().position(|there| there == system.get(row))?;
            Some((row, (*points.get(&point)?, system, *measures.get(measure.get(row))?)))
        };
        Ok((0..table.len()).filter_map(place).collect())
    }

    /// How many runs there are.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The seeds of the first system at the first point.
    pub(super) fn seeds(&self) -> usize {
        self.runs.iter().filter(|run| run.system == 0 && run.point == 0).count()
    }

    /// Values of a measure with the system of each; words and what does not exist are left out.
    pub(super) fn numbers(&self, measure: &str) -> impl Iterator<Item = (usize, f64)> + '_ {
        let at = self.measures.iter().position(|there| there.name == measure);
        self.runs.iter().filter_map(move |run| match run.values[at?] {
            Cell::Number(number) => Some((run.system, number)),
            _ => None,
        })
    }
}

/// As a list: half of the interval, or both ends.
fn parts(reach: Reach) -> Vec<String> {
    match reach {
        Reach::Half(half) => vec![half],
        Reach::Ends(low, high) => vec![low, high],
    }
}

/// Points in the order in which they first occur.
#[derive(Default)]
struct Points {
    all: Vec<Vec<String>>,
    known: BTreeMap<Vec<String>, usize>,
}

impl Points {
    fn number(&mut self, point: Vec<String>) -> usize {
        let next = self.all.len();
        let number = *self.known.entry(point.clone()).or_insert(next);
        if number == next {
            self.all.push(point);
        }
        number
    }
}

impl Measure {
    fn of(column: &Column) -> Self {
        Measure {
            name: column.name.clone(),
            unit: column.unit,
            share: column.share,
            better: match column.better {
                Better::Lower => Some("lower"),
                Better::Higher => Some("higher"),
                Better::Neither => None,
            },
            section: column.section.title(),
            doc: column.doc.clone(),
            headline: column.headline,
        }
    }
}

/// What the comparison is of, and what its intervals stand on.
fn compared(table: &Table, baseline: &str) -> Result<String, ResultsError> {
    let low = table.numbers("difference_low")?;
    let seeds = table.numbers("seeds")?.iter().copied().fold(0.0, f64::max);
    let intervals = if low.iter().all(|low| low.is_nan()) {
        "without intervals: one seed tells nothing about them"
    } else {
        "with 95 % intervals, as comparison.csv has them"
    };
    Ok(format!(
        "Means over {seeds} {}. Changes are against {baseline} on the same seeds, {intervals}; pp are points of a share. \
         “better” and “worse” hold beyond the interval, “open” is what it leaves undecided.",
        if seeds > 1.0 { "seeds" } else { "seed" },
    ))
}
