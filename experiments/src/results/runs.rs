//! Tables with one row per run, sorted out by what was swept, system and seed.

use std::collections::BTreeMap;

use sim::{Interval, Summary};

use super::table::{Table, Words};
use super::{Results, ResultsError};

/// The runs of a `summary` or `probes` table.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    table: Table,
    system: Words,
    /// Swept keys and, per row, their values as they are written.
    keys: Vec<(String, Words)>,
    /// How many different seeds there are.
    seeds: usize,
    /// With one seed: the 95 % intervals that its runs have of their own, by measure, system and values of the keys.
    within: BTreeMap<Vec<String>, (f64, f64)>,
}

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The mean.
    pub(crate) mean: f64,
    /// Ends of its 95 % interval: by Student's t over seeds; with one seed that within its run, `None` where it has none.
    pub(crate) interval: Option<(f64, f64)>,
    /// Seeds that have the measure.
    pub(crate) seeds: usize,
}

impl Estimate {
    /// Of the values of several seeds; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let interval = Interval::over_seeds(values).map(|interval| (interval.low, interval.high));
        (!values.is_empty()).then_some(Estimate { mean, interval, seeds: values.len() })
    }

    /// In a unit that is one part in `factor` of the present one.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        let interval = self.interval.map(|(low, high)| (low * factor, high * factor));
        Estimate { mean: self.mean * factor, interval, ..self }
    }
}

impl Runs {
    /// Reads a table with one row per run.
    ///
    /// # Errors
    ///
    /// If it is not there, cannot be read, or has no columns `system` and `seed`.
    pub(crate) fn read(results: &Results, table: &str) -> Result<Self, ResultsError> {
        let table = results.table(table)?;
        let system = table.words("system")?;
        table.column("seed")?;
        // Swept keys stand before the measures; they have no name that a measure has.
        let before = table.names().take_while(|name| Summary::column(name).is_none());
        let names: Vec<String> = before.filter(|name| !super::LABELS.contains(name)).map(str::to_owned).collect();
        let keys = names
            .into_iter()
            .map(|name| {
                let words = table.words(&name)?;
                Ok((name, words))
            })
            .collect::<Result<Vec<_>, ResultsError>>()?;
        let seeds = table.words("seed")?.names().len();
        let has_intervals = seeds == 1 && results.path("intervals").is_some();
        let within = if has_intervals { within_runs(results, &keys)? } else { BTreeMap::new() };
        Ok(Runs { table, system, keys, seeds, within })
    }

    /// What intervals of measures are over, in words for a legend.
    pub(crate) fn interval_words(&self) -> String {
        if self.seeds > 1 { over_seeds(self.seeds) } else { "95 %, within the run (one seed)".to_owned() }
    }

    /// The table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Names of the swept keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| name.as_str())
    }

    /// Names of the systems, in the order in which they first occur.
    pub(crate) fn systems(&self) -> &[String] {
        self.system.names()
    }

    /// The different values of a swept key, in the order in which they first occur; none if it was not swept.
    pub(crate) fn values_of(&self, key: &str) -> &[String] {
        self.words_of(key).map_or(&[], Words::names)
    }

    fn words_of(&self, key: &str) -> Option<&Words> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, words)| words)
    }

    /// A measure's mean over the seeds of a system, at a point given by values of some swept keys; `None` where no run there
    /// has the measure.
    ///
    /// # Errors
    ///
    /// If there is no such column, or it is not of numbers.
    pub(crate) fn estimate(
        &self,
        measure: &str,
        system: &str,
        point: &[(&str, &str)],
    ) -> Result<Option<Estimate>, ResultsError> {
        let numbers = self.table.numbers(measure)?;
        let rows: Vec<usize> = self.rows(system, point).filter(|&row| !numbers[row].is_nan()).collect();
        let values: Vec<f64> = rows.iter().map(|&row| numbers[row]).collect();
        let estimate = Estimate::of(&values);
        let [row] = rows[..] else { return Ok(estimate) };
        let keys = self.keys.iter().map(|(_, words)| words.get(row).to_owned());
        let place: Vec<String> = [measure.to_owned(), system.to_owned()].into_iter().chain(keys).collect();
        Ok(estimate.map(|estimate| Estimate { interval: self.within.get(&place).copied(), ..estimate }))
    }

    /// Whether a system's measures differ over a swept key, all other keys and the seed being the same; also where no two runs can
    /// tell, as keys that were varied together.
    pub(crate) fn vary(&self, system: &str, key: &str) -> bool {
        let Some(of_key) = self.words_of(key) else { return false };
        let seed = self.table.words("seed").ok();
        let rest: Vec<&Words> =
            self.keys.iter().filter(|(name, _)| name != key).map(|(_, words)| words).chain(&seed).collect();
        let measures: Vec<&[f64]> =
            Summary::columns().iter().filter_map(|column| self.table.numbers(&column.name).ok()).collect();
        let mut firsts: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        let mut compared = false;
        for row in self.rows(system, &[]) {
            let first = *firsts.entry(rest.iter().map(|words| words.codes()[row]).collect()).or_insert(row);
            compared |= of_key.codes()[first] != of_key.codes()[row];
            if measures.iter().any(|of| of[first].to_bits() != of[row].to_bits()) {
                return true;
            }
        }
        !compared
    }

    /// Rows of a system at a point.
    pub(crate) fn rows<'a>(&'a self, system: &str, point: &'a [(&str, &str)]) -> impl Iterator<Item = usize> + 'a {
        let code = |words: &Words, wanted: &str| words.names().iter().position(|name| name == wanted);
        let system = code(&self.system, system);
        let wanted: Vec<Option<(&Words, usize)>> = point
            .iter()
            .map(|(key, value)| self.words_of(key).and_then(|words| Some((words, code(words, value)?))))
            .collect();
        (0..self.table.len()).filter(move |&row| {
            system == Some(self.system.codes()[row] as usize)
                && wanted.iter().all(|at| at.is_some_and(|(words, code)| words.codes()[row] as usize == code))
        })
    }
}

/// What intervals over so many seeds are, in words for a legend.
pub(crate) fn over_seeds(seeds: usize) -> String {
    format!("95 %, over {seeds} seeds")
}

/// The intervals of the `intervals` table, by measure, system and values of the swept keys.
fn within_runs(results: &Results, keys: &[(String, Words)]) -> Result<BTreeMap<Vec<String>, (f64, f64)>, ResultsError> {
    let table = results.table("intervals")?;
    let names = ["measure", "system"].into_iter().chain(keys.iter().map(|(name, _)| name.as_str()));
    let words: Vec<Words> = names.map(|name| table.words(name)).collect::<Result<_, _>>()?;
    let (low, high) = (table.numbers("mean_low")?, table.numbers("mean_high")?);
    let known = (0..table.len()).filter(|&row| !low[row].is_nan() && !high[row].is_nan());
    let row = |row: usize| (words.iter().map(|words| words.get(row).to_owned()).collect(), (low[row], high[row]));
    Ok(known.map(row).collect())
}
