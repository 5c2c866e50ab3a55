//! What figures are drawn from: a folder of results, read as far as the figures need it.

use std::cell::OnceCell;

use super::{Missing, lacks};
use crate::file::quantity::Dimension;
use crate::results::{Kind, Results, ResultsError, Runs};

use crate::run::LOCK_FILE;

/// A folder of results.
pub(super) struct Source {
    pub(super) results: Results,
    /// Objectives of the experiment.
    pub(super) objectives: Objectives,
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
        let objectives = if path.is_file() {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ResultsError::Unreadable { path: path.clone(), source })?;
            Objectives::of_lock_file(&text).map_err(|message| ResultsError::Malformed { path, message })?
        } else {
            Objectives::default()
        };
        Ok(Source { results, objectives, runs: OnceCell::new() })
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

    /// Of `[slo]` in a lock file, where every value is written out.
    fn of_lock_file(text: &str) -> Result<Self, String> {
        let file: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let Some(slo) = file.get("slo") else { return Ok(Objectives::default()) };
        let limit = |key: &str| -> Result<Option<f64>, String> {
            let Some(value) = slo.get(key) else { return Ok(None) };
            let text = value.as_str().ok_or_else(|| format!("`slo.{key}` is not a time"))?;
            Dimension::Time.read(text).map(Some).map_err(|message| format!("`slo.{key}`: {message}"))
        };
        let share = |key: &str| slo.get(key).and_then(toml::Value::as_float);
        let limits = ["ttft", "tbt", "tpot", "e2e"];
        let shares = limits.iter().filter_map(|name| Some(((*name).to_owned(), share(&format!("{name}_attainment"))?)));
        Ok(Objectives {
            ttft_s: limit("ttft")?,
            tbt_s: limit("tbt")?,
            tpot_s: limit("tpot")?,
            e2e_s: limit("e2e")?,
            attainment: share("attainment"),
            shares: shares.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_in_seconds_and_what_is_no_time_is_refused() {
        let text = "[slo]\nttft = \"1 s\"\ntbt = \"100 ms\"\nttft_attainment = 0.95\nattainment = 0.9\n";
        let objectives = Objectives::of_lock_file(text).expect("it is sound");
        assert_eq!((objectives.ttft_s, objectives.tbt_s, objectives.e2e_s), (Some(1.0), Some(0.1), None));
        assert_eq!((objectives.share_of("ttft"), objectives.share_of("all limits")), (Some(0.95), Some(0.9)));
        assert_eq!(Objectives::of_lock_file("name = \"x\"\n"), Ok(Objectives::default()));
        let error = Objectives::of_lock_file("[slo]\nttft = \"1 W\"\n").expect_err("no time");
        assert!(error.starts_with("`slo.ttft`: `W` is a unit of power"), "{error}");
    }
}
