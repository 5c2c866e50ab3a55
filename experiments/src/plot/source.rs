//! What figures are drawn from: a folder of results, read as far as the figures need it.

use std::cell::OnceCell;
use std::path::Path;

use super::{Missing, lacks};
use crate::file::key::Fallback;
use crate::file::keys::slo;
use crate::file::quantity::Dimension;
use crate::results::{Kind, Results, ResultsError, Runs};

use crate::run::LOCK_FILE;

/// A folder of results.
pub(super) struct Source {
    pub(super) results: Results,
    /// Objectives of the experiment.
    pub(super) objectives: Objectives,
    /// Of a plan: up to how many times the cheapest one's cost all deployments that could serve were simulated.
    pub(super) frontier_cost: Option<f64>,
    runs: OnceCell<Runs>,
}

/// Limits in seconds and the share of requests that has to meet them, where the experiment has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Objectives {
    pub(super) ttft_s: Option<f64>,
    pub(super) tbt_s: Option<f64>,
    pub(super) tpot_s: Option<f64>,
    pub(super) e2e_s: Option<f64>,
    /// Share that has to meet all limits.
    pub(super) attainment: Option<f64>,
    /// Shares that have to meet single limits, by their names.
    shares: Vec<(String, f64)>,
}

impl Source {
    /// Reads the objectives; tables are read when they are asked for.
    pub(super) fn new(results: Results) -> Result<Self, ResultsError> {
        let path = results.directory().join(LOCK_FILE);
        let mut lock = toml::Table::default();
        if path.is_file() {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ResultsError::Unreadable { path: path.clone(), source })?;
            let malformed = |error: toml::de::Error| error.message().to_owned();
            lock = text.parse().map_err(malformed).map_err(|message| malformed_lock(&path, message))?;
        }
        let objectives = Objectives::of_lock_file(&lock).map_err(|message| malformed_lock(&path, message))?;
        let frontier_cost = lock.get("plan").and_then(|plan| number(plan.get("frontier_cost")?));
        Ok(Source { results, objectives, frontier_cost, runs: OnceCell::new() })
    }

    /// What is missing where there is no table of requests, gaps, steps or power, which `setting` asks for.
    pub(super) fn without(&self, table: &str, setting: Option<&str>) -> Missing {
        let kind = self.results.kind();
        let set = setting.map(|setting| format!("with `--set output.{setting}=true`"));
        Missing::Lacks(match (kind, set) {
            (Kind::Run, Some(set)) => format!("needs a table of {table}: run {set}"),
            (Kind::Run, None) => format!("needs a table of {table}, which `servesim run` writes"),
            (_, set) => {
                let set = set.map_or(String::new(), |set| format!(" {set}"));
                format!("`servesim {}` keeps no {table}; `servesim run`{set} does", kind.name())
            }
        })
    }

    /// The table with one row per run, of what was simulated.
    pub(super) fn runs(&self) -> Result<&Runs, Missing> {
        if let Some(runs) = self.runs.get() {
            return Ok(runs);
        }
        let table = match self.results.kind() {
            Kind::Run | Kind::Sweep => "summary",
            Kind::Goodput => "probes",
            kind @ (Kind::Plan | Kind::Cache) => {
                return lacks(format!("`servesim {}` keeps no table of runs", kind.name()));
            }
        };
        let runs = Runs::read(&self.results, table)?;
        Ok(self.runs.get_or_init(|| runs))
    }
}

impl Objectives {
    /// The share of requests that has to meet a limit, or `all limits`.
    pub(super) fn share_of(&self, limit: &str) -> Option<f64> {
        self.shares.iter().find(|(name, _)| name == limit).map(|(_, share)| *share).or(self.attainment)
    }

    /// Of `[slo]` in a lock file.
    fn of_lock_file(file: &toml::Table) -> Result<Self, String> {
        let Some(slo) = file.get("slo") else { return Ok(Objectives::default()) };
        let limit = |key: &str| -> Result<Option<f64>, String> {
            let Some(value) = slo.get(key) else { return Ok(None) };
            let text = value.as_str().ok_or_else(|| format!("`slo.{key}` is not a time"))?;
            Dimension::Time.read(text).map(Some).map_err(|message| format!("`slo.{key}`: {message}"))
        };
        let share = |key: &str| number(slo.get(key)?);
        let limits = ["ttft", "tbt", "tpot", "e2e"];
        let shares = limits.iter().filter_map(|name| Some(((*name).to_owned(), share(&format!("{name}_attainment"))?)));
        let shares: Vec<(String, f64)> = shares.collect();
        // The file of a sweep stands as it was written. With shares of single limits, none is asked for of all together.
        let limited = shares.is_empty() && limits.iter().any(|name| slo.get(name).is_some());
        Ok(Objectives {
            ttft_s: limit("ttft")?,
            tbt_s: limit("tbt")?,
            tpot_s: limit("tpot")?,
            e2e_s: limit("e2e")?,
            attainment: share("attainment").or_else(|| limited.then(default_attainment)),
            shares,
        })
    }
}

fn malformed_lock(path: &Path, message: String) -> ResultsError {
    ResultsError::Malformed { path: path.to_owned(), message }
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

/// The share of requests that has to meet all limits where the experiment does not say.
fn default_attainment() -> f64 {
    let Fallback::Value(toml) = slo::ATTAINMENT.fallback else { unreachable!("it has a default") };
    toml.parse().expect("the default is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Objectives, String> {
        Objectives::of_lock_file(&text.parse().expect("TOML"))
    }

    #[test]
    fn objectives_are_read_in_seconds_and_what_is_no_time_is_refused() {
        let text = "[slo]\nttft = \"1 s\"\ntbt = \"100 ms\"\nttft_attainment = 0.95\nattainment = 0.9\n";
        let objectives = of(text).expect("it is sound");
        assert_eq!((objectives.ttft_s, objectives.tbt_s, objectives.e2e_s), (Some(1.0), Some(0.1), None));
        assert_eq!((objectives.share_of("ttft"), objectives.share_of("all limits")), (Some(0.95), Some(0.9)));
        assert_eq!(of("name = \"x\"\n"), Ok(Objectives::default()));
        let wanted = |slo: &str| of(&format!("slo = {{ {slo} }}")).expect("it is sound").attainment;
        assert_eq!(wanted("ttft = \"1 s\""), Some(0.9), "what is not said is the default of the key");
        assert_eq!(wanted("ttft = \"1 s\", attainment = 1"), Some(1.0));
        assert_eq!(wanted("ttft = \"1 s\", ttft_attainment = 0.95"), None, "single limits are judged each by itself");
        let error = of("[slo]\nttft = \"1 W\"\n").expect_err("no time");
        assert!(error.starts_with("`slo.ttft`: `W` is a unit of power"), "{error}");
    }
}
