//! Tables with one row per run, sorted out by what was swept, system and seed.

use std::collections::BTreeMap;

use sim::Summary;

use super::table::{Table, Words};
use super::{Results, ResultsError};
use sim::half_width;

/// The runs of a `summary` or `probes` table.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    table: Table,
    system: Words,
    /// Swept keys and, per row, their values as they are written.
    keys: Vec<(String, Words)>,
}

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The mean.
    pub(crate) mean: f64,
    /// Half of its 95 % interval (Student's t over seeds); `None` with one seed.
    pub(crate) half: Option<f64>,
    /// Seeds that have the measure.
    pub(crate) seeds: usize,
}

impl Estimate {
    /// Of the values of several seeds; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (!values.is_empty()).then(|| Estimate { mean, half: half_width(values), seeds: values.len() })
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
            .collect::<Result<_, ResultsError>>()?;
        Ok(Runs { table, system, keys })
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
        let values: Vec<f64> =
            self.rows(system, point).map(|row| numbers[row]).filter(|value| !value.is_nan()).collect();
        Ok(Estimate::of(&values))
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
