//! Units of the scanner: neighbours of a sorted batch that are taken as one.

use super::demand::Work;
use super::dual_scan::ScanUnit;

/// What is next to each other in the order: a request, or a group of requests. Sums over its requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Item {
    pub(super) requests: u32,
    /// What they demand, beside what they share.
    pub(super) work: Work,
    /// Prompt tokens that they hold.
    pub(super) prompt: f64,
    /// Expected answers.
    pub(super) output: f64,
}

/// Merges neighbours into units, up to `most` expected tokens each and as long as their density is like that of the unit. The units,
/// and that of each item.
pub(super) fn merge(items: impl Iterator<Item = Item>, most: f64) -> (Vec<ScanUnit>, Vec<u32>) {
    const LIKE: f64 = 2.0;
    let mut units: Vec<ScanUnit> = Vec::new();
    let mut unit_of = Vec::new();
    let (mut sum, mut tokens) = (Item::default(), 0.0);
    for item in items {
        let ratio = item.work.density() / sum.work.density();
        let alike = (1.0 / LIKE..=LIKE).contains(&ratio);
        if units.is_empty() || tokens >= most || !alike {
            units.push(ScanUnit::default());
            (sum, tokens) = (Item::default(), 0.0);
        }
        sum.work.compute_ns += item.work.compute_ns;
        sum.work.memory_ns += item.work.memory_ns;
        sum.requests += item.requests;
        (sum.prompt, sum.output) = (sum.prompt + item.prompt, sum.output + item.output);
        tokens = tokens + item.prompt + item.output / 2.0;
        let unit = units.last_mut().expect("one was pushed");
        let count = f64::from(sum.requests);
        *unit = ScanUnit {
            requests: sum.requests,
            density: sum.work.density(),
            prompt: sum.prompt / count,
            output: sum.output / count,
        };
        unit_of.push(units.len() as u32 - 1);
    }
    (units, unit_of)
}
