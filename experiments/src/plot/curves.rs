//! What runs of a sweep are joined to curves: one per system and per value of what is not on the axis.

use super::labels::numbers;
use super::{Asked, Missing, lacks};
use crate::results::{Estimate, ResultsError, Runs};

/// Curves that one figure can tell apart.
const MOST_CURVES: usize = 8;

/// Points that belong together.
pub(super) struct Curve<'a> {
    pub(super) label: String,
    pub(super) system: &'a str,
    /// Values of the keys that are not on the axis.
    pub(super) held: Vec<(&'a str, &'a str)>,
}

/// A swept key on an axis.
pub(super) struct KeyAxis<'a> {
    pub(super) key: &'a str,
    /// Its values in ascending order: as written, and as numbers.
    pub(super) values: Vec<(&'a str, f64)>,
    pub(super) unit: String,
}

/// The keys with more than one value, less those that are held.
pub(super) fn free_keys<'a>(runs: &'a Runs, asked: &Asked) -> Vec<&'a str> {
    let is_held = |key: &str| asked.held.iter().any(|(held, _)| held == key);
    runs.keys().filter(|key| runs.values_of(key).len() > 1 && !is_held(key)).collect()
}

/// The key for a horizontal axis: the one asked for, else the rate, else the first one of numbers.
pub(super) fn axis<'a>(runs: &'a Runs, asked: &Asked) -> Result<KeyAxis<'a>, Missing> {
    check_held(runs, asked)?;
    let free = free_keys(runs, asked);
    let of_numbers = |key: &&&str| numbers(runs.values_of(key)).is_some();
    let key = if let Some(wanted) = asked.keys.first() {
        match runs.keys().find(|key| key == wanted) {
            Some(key) => key,
            None => return lacks(not_swept(runs, wanted)),
        }
    } else {
        let is_rate = |key: &&&str| key.rsplit('.').next() == Some("rate");
        match free.iter().filter(of_numbers).find(is_rate).or_else(|| free.iter().find(of_numbers)) {
            Some(key) => key,
            None => return lacks("no key was swept over numbers; `servesim sweep` does that"),
        }
    };
    let written = runs.values_of(key);
    let Some((values, unit)) = numbers(written) else {
        return lacks(format!("the values of `{key}` are no numbers of one unit"));
    };
    let mut values: Vec<(&str, f64)> = written.iter().map(String::as_str).zip(values).collect();
    values.sort_by(|a, b| a.1.total_cmp(&b.1));
    Ok(KeyAxis { key, values, unit })
}

/// Refuses keys and values that do not occur.
pub(super) fn check_held(runs: &Runs, asked: &Asked) -> Result<(), Missing> {
    for (key, value) in &asked.held {
        if !runs.keys().any(|there| there == key) {
            return lacks(not_swept(runs, key));
        }
        let values = runs.values_of(key);
        if !values.contains(value) {
            return lacks(format!("`{key}` was never {value}; it was {}", values.join(", ")));
        }
    }
    Ok(())
}

pub(super) fn not_swept(runs: &Runs, key: &str) -> String {
    let keys: Vec<&str> = runs.keys().collect();
    if keys.is_empty() {
        format!("`{key}` was not swept: nothing was")
    } else {
        format!("`{key}` was not swept; {} were", keys.join(", "))
    }
}

/// Curves, and what the values in their names are of.
pub(super) struct Curves<'a> {
    pub(super) curves: Vec<Curve<'a>>,
    pub(super) varied: String,
}

/// One curve per system and combination of values of the keys that are not `on_axes`.
pub(super) fn curves<'a>(runs: &'a Runs, on_axes: &[&str], asked: &'a Asked) -> Result<Curves<'a>, Missing> {
    let others: Vec<&str> = free_keys(runs, asked).into_iter().filter(|key| !on_axes.contains(key)).collect();
    let mut curves = Vec::new();
    for system in runs.systems() {
        for mut held in combinations(runs, system, &others) {
            let mut words: Vec<String> = held.iter().map(|(_, value)| (*value).to_owned()).collect();
            if runs.systems().len() > 1 || words.is_empty() {
                words.insert(0, system.clone());
            }
            held.extend(asked.held.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            curves.push(Curve { label: words.join(", "), system, held });
        }
    }
    if curves.len() > MOST_CURVES {
        let keys = others.iter().map(|key| format!("--where {key}=…")).collect::<Vec<_>>().join(" ");
        let remedy = if others.is_empty() { String::new() } else { format!("; hold a key with {keys}") };
        return lacks(format!(
            "there would be {} curves, more than {MOST_CURVES} that can be told apart{remedy}",
            curves.len()
        ));
    }
    let names: Vec<&str> = others.iter().map(|key| key.rsplit('.').next().unwrap_or(key)).collect();
    Ok(Curves { curves, varied: names.join(", ") })
}

/// `workload.rate` = 4 as `rate 4`.
pub(super) fn in_words(key: &str, value: &str) -> String {
    format!("{} {value}", key.rsplit('.').next().unwrap_or(key))
}

/// Every combination of values of these keys, the last one varying fastest; one empty one for no keys. Keys of other systems
/// change nothing about this one, so only their first value is taken.
pub(super) fn combinations<'a>(runs: &'a Runs, system: &str, keys: &[&'a str]) -> Vec<Vec<(&'a str, &'a str)>> {
    keys.iter().fold(vec![Vec::new()], |points, &key| {
        let shown = if concerns(runs, key, system) { usize::MAX } else { 1 };
        let extended = points.iter().flat_map(|point: &Vec<(&str, &str)>| {
            runs.values_of(key).iter().take(shown).map(move |value| {
                let mut longer = point.clone();
                longer.push((key, value.as_str()));
                longer
            })
        });
        extended.collect()
    })
}

/// Whether a key can change a system: `system.NAME.…` changes NAME, and what inherits from it, as the runs then show.
fn concerns(runs: &Runs, key: &str, system: &str) -> bool {
    let is_of = |name: &String| key.strip_prefix("system.").is_some_and(|rest| rest.starts_with(&format!("{name}.")));
    is_of(&system.to_owned()) || !runs.systems().iter().any(is_of) || runs.vary(system, key)
}

impl Curve<'_> {
    /// A measure where `key` has `value`.
    pub(super) fn at(
        &self,
        runs: &Runs,
        measure: &str,
        key: &str,
        value: &str,
    ) -> Result<Option<Estimate>, ResultsError> {
        let mut point = self.held.clone();
        point.push((key, value));
        runs.estimate(measure, self.system, &point)
    }
}
