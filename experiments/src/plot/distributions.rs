//! Distributions of latencies.

use std::collections::BTreeMap;
use std::ops::Range;

use sim::{Distribution, WeightedHistogram};
use workloads::SimDuration;

use super::source::Source;
use super::{Asked, Missing, Named};
use crate::figures::{CdfFigure, CdfSeries, Sample, Width};
use crate::results::{Table, Words};

/// A latency that distributions are drawn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latency {
    /// Time to first token.
    Ttft,
    /// Gaps between tokens.
    Tbt,
    /// Mean gap of each request.
    Tpot,
    /// Time to the last token.
    E2e,
}

impl Latency {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Latency::Ttft => ("TTFT", "Requests"),
            Latency::Tbt => ("TBT", "Gaps between tokens"),
            Latency::Tpot => ("TPOT", "Requests"),
            Latency::E2e => ("E2E latency", "Requests"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Latency::Ttft => "ttft_cdf",
            Latency::Tbt => "tbt_cdf",
            Latency::Tpot => "tpot_cdf",
            Latency::E2e => "e2e_cdf",
        }
    }
}

/// The figure of these distributions.
pub(crate) fn cdf_figure(
    latency: Latency,
    series: Vec<CdfSeries>,
    slo_s: Option<f64>,
    width: Width,
) -> CdfFigure<'static> {
    let (quantity, counted) = latency.words();
    CdfFigure { quantity, counted, series, slo_s, width }
}

/// The distribution of one latency, all systems.
pub(super) fn make(latency: Latency, source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let objectives = &source.objectives;
    let (series, slo_s) = match latency {
        Latency::Ttft => (of_seeds(requests(source, "ttft_s")?), objectives.ttft_s),
        Latency::Tpot => (of_seeds(requests(source, "tpot_s")?), objectives.tpot_s),
        Latency::E2e => (of_seeds(requests(source, "e2e_s")?), objectives.e2e_s),
        Latency::Tbt => (of_seeds(gaps(source)?), objectives.tbt_s),
    };
    Ok(vec![Named::new(latency.name(), cdf_figure(latency, series, slo_s, asked.width(Width::Column)))])
}

fn of_seeds<S: Sample>(systems: Vec<(String, Vec<S>)>) -> Vec<CdfSeries> {
    systems.into_iter().map(|(name, mut seeds)| CdfSeries::of_seeds(name, &mut seeds)).collect()
}

/// Seeds of one system with the rows of each, in the order in which they first occur.
fn requests(source: &Source, column: &str) -> Result<Vec<(String, Vec<Distribution>)>, Missing> {
    let Some(_) = source.results.path("requests") else {
        return Err(source.without("requests", None));
    };
    let table = source.results.columns("requests", &["system", "seed", "arrival_s", column])?;
    let (arrivals, seconds) = (table.numbers("arrival_s")?, table.numbers(column)?);
    let windows = windows(source, &table)?;
    let (system, seed) = (table.words("system")?, table.words("seed")?);
    by_seed(&table, Distribution::new, |row, distribution| {
        let window = windows.get(&(system.codes()[row], seed.codes()[row]));
        // Rejected requests and one-token answers have none.
        if !seconds[row].is_nan() && window.is_none_or(|window| window.contains(&nanos(arrivals[row]))) {
            distribution.add(SimDuration::from_secs_f64(seconds[row]));
        }
    })
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// In which nanoseconds requests arrived that were measured, by the numbers of system and seed in the table of requests.
fn windows(source: &Source, requests: &Table) -> Result<BTreeMap<(u32, u32), Range<u64>>, Missing> {
    let (system, seed) = (requests.words("system")?, requests.words("seed")?);
    let arrivals = requests.numbers("arrival_s")?;
    let mut first: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (row, &arrival_s) in arrivals.iter().enumerate() {
        let arrival = nanos(arrival_s);
        let earliest = first.entry((system.codes()[row], seed.codes()[row])).or_insert(arrival);
        *earliest = arrival.min(*earliest);
    }
    let summary = source.results.columns("summary", &["system", "seed", "measured_from_s", "measured_s"])?;
    let (systems, seeds) = (summary.words("system")?, summary.words("seed")?);
    let (from, length) = (summary.numbers("measured_from_s")?, summary.numbers("measured_s")?);
    let mut windows = BTreeMap::new();
    for (&(system_code, seed_code), &begin) in &first {
        let names = (&system.names()[system_code as usize], &seed.names()[seed_code as usize]);
        if let Some(row) = (0..summary.len()).find(|&row| (systems.get(row), seeds.get(row)) == (names.0, names.1)) {
            let start = begin + nanos(from[row]);
            windows.insert((system_code, seed_code), start..start + nanos(length[row]));
        }
    }
    Ok(windows)
}

fn gaps(source: &Source) -> Result<Vec<(String, Vec<WeightedHistogram>)>, Missing> {
    let Some(_) = source.results.path("gaps") else {
        return Err(source.without("gaps", None));
    };
    let table = source.results.columns("gaps", &["system", "seed", "tbt_s", "gaps"])?;
    let (seconds, counts) = (table.numbers("tbt_s")?, table.numbers("gaps")?);
    by_seed(&table, WeightedHistogram::new, |row, histogram| {
        histogram.add(SimDuration::from_secs_f64(seconds[row]), counts[row] as u64);
    })
}

/// Rows added up by system and seed.
fn by_seed<S>(
    table: &Table,
    empty: fn() -> S,
    mut add: impl FnMut(usize, &mut S),
) -> Result<Vec<(String, Vec<S>)>, Missing> {
    let (system, seed): (Words, Words) = (table.words("system")?, table.words("seed")?);
    let mut groups: Vec<BTreeMap<u32, S>> = system.names().iter().map(|_| BTreeMap::new()).collect();
    for row in 0..table.len() {
        let group = &mut groups[system.codes()[row] as usize];
        add(row, group.entry(seed.codes()[row]).or_insert_with(empty));
    }
    Ok(system.names().iter().cloned().zip(groups.into_iter().map(|group| group.into_values().collect())).collect())
}
