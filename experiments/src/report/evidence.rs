//! What step times consist of and stand on.

use profiles::{Evidence as Kind, Operator};
use serde::Serialize;

use super::runs::RunsData;
use crate::results::{ResultsError, Table};

/// Shares of the step time by system, operator and kind of evidence; means over runs.
#[derive(Serialize)]
pub(super) struct Evidence {
    kinds: Vec<&'static str>,
    operators: Vec<&'static str>,
    /// System, operator, kind.
    shares: Vec<Vec<Vec<f64>>>,
}

/// Whether a measure is the share of a kind of evidence over all operators.
pub(super) fn is_total(measure: &str) -> bool {
    Kind::ALL.iter().any(|kind| format!("{}_time_share", kind.name()) == measure)
}

impl Evidence {
    /// Reads them from a table with one row per run. Operators that it has no columns of, as an older program wrote it, have
    /// no time.
    pub(super) fn read(table: &Table, runs: &RunsData) -> Result<Self, ResultsError> {
        let system = table.words("system")?;
        let mean = |values: &[f64], wanted: usize| {
            let of_system =
                values.iter().zip(system.codes()).filter(|(value, code)| **code as usize == wanted && !value.is_nan());
            let (sum, count) = of_system.fold((0.0, 0_u32), |(sum, count), (value, _)| (sum + value, count + 1));
            if count == 0 { 0.0 } else { sum / f64::from(count) }
        };
        let of_operator = |wanted: usize, operator: &Operator| {
            let of_kind = |kind: &Kind| {
                let name = format!("{}_{}_time_share", operator.name(), kind.name());
                Ok(if table.has(&name) { mean(table.numbers(&name)?, wanted) } else { 0.0 })
            };
            Kind::ALL.iter().map(of_kind).collect::<Result<Vec<f64>, ResultsError>>()
        };
        let of_system =
            |wanted| Operator::ALL.iter().map(|operator| of_operator(wanted, operator)).collect::<Result<_, _>>();
        Ok(Evidence {
            kinds: Kind::ALL.iter().map(|kind| kind.name()).collect(),
            operators: Operator::ALL.iter().map(|operator| operator.name()).collect(),
            shares: (0..runs.system_names.len()).map(of_system).collect::<Result<_, _>>()?,
        })
    }

    /// Whether any step ran.
    pub(super) fn is_known(&self) -> bool {
        self.shares.iter().flatten().flatten().any(|share| *share > 0.0)
    }

    /// Operators of a system that stand on extrapolated times, with their share of the step time; largest first.
    pub(super) fn extrapolated(&self, system: usize) -> Vec<(&'static str, f64)> {
        let at = Kind::ALL.iter().position(|kind| *kind == Kind::Extrapolated).expect("it is one of all");
        let mut found: Vec<(&'static str, f64)> =
            self.operators.iter().zip(&self.shares[system]).map(|(operator, kinds)| (*operator, kinds[at])).collect();
        found.retain(|(_, share)| *share > 0.0);
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }
}
