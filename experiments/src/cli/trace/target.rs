//! What a command about workloads is to look at: a generator by name, an experiment file, or a trace.

use std::path::{Path, PathBuf};

use clap::Args;
use workloads::{ReadOptions, TraceFormat, WorkloadError, generators};

use crate::experiment::{Origin, Workload};
use crate::failure::Failure;
use crate::run::load;

/// How a trace is read.
#[derive(Args, Debug)]
pub(super) struct ReadArgs {
    /// Format of the trace [default: recognised from the content]
    #[arg(long, value_name = "FORMAT")]
    from: Option<String>,
    /// Leave out malformed rows, count and report them
    #[arg(long)]
    skip_bad_rows: bool,
}

/// What is made, where something is made.
#[derive(Args, Debug)]
pub(super) struct MakeArgs {
    /// Seed of everything drawn at random
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Requests per second [default: the workload's own]
    #[arg(long)]
    rate: Option<f64>,
    /// How many requests [default: as many as the workload says]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
}

/// What a word on the command line names.
pub(super) enum Target {
    /// A trace.
    Trace(PathBuf),
    /// A workload.
    Workload(Box<Workload>),
}

impl ReadArgs {
    /// For the reader.
    pub(super) fn options(&self, seed: u64) -> Result<ReadOptions, Failure> {
        let format = self.from.as_deref().map(format).transpose()?;
        Ok(ReadOptions { format, skip_bad_rows: self.skip_bad_rows, seed })
    }

    /// Refuses what would have no effect where nothing is read.
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        if self.from.is_some() || self.skip_bad_rows {
            return Err(Failure::Request("--from and --skip-bad-rows are for traces, and this is none".to_owned()));
        }
        Ok(())
    }
}

impl MakeArgs {
    /// Refuses what would have no effect where nothing is made.
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        if self.rate.is_some() || self.requests.is_some() {
            let what = "--rate and --requests are for generators and experiment files; a trace is looked at as it is";
            return Err(Failure::Request(what.to_owned()));
        }
        Ok(())
    }
}

/// The format of this name.
pub(super) fn format(name: &str) -> Result<TraceFormat, Failure> {
    name.parse().map_err(|error| Failure::Request(format!("{error}")))
}

/// Finds out what `word` names: a file that ends in `.toml` is an experiment, a word that names a generator is that, and
/// everything else is a trace.
pub(super) fn target(word: &str, make: &MakeArgs) -> Result<Target, Failure> {
    let path = Path::new(word);
    if path.extension().is_some_and(|end| end == "toml") {
        let mut settings = Vec::new();
        settings.extend(make.rate.map(|rate| format!("workload.rate={rate:?}")));
        settings.extend(make.requests.map(|requests| format!("workload.requests={requests}")));
        return Ok(Target::Workload(Box::new(load(path, &settings)?.experiment.workload)));
    }
    let generator = match generators::named(word) {
        Ok(generator) => generator,
        Err(error) if !path.exists() && !word.contains(['/', '.']) => return Err(wrong(&error)),
        Err(_) => return Ok(Target::Trace(path.to_owned())),
    };
    let mut spec = generator.spec(make.requests.unwrap_or(generator.requests));
    if let Some(rate) = make.rate {
        spec = spec.at_rate(rate).map_err(|error| wrong(&error))?;
    }
    let origin = Origin::Made { spec: Box::new(spec), lengths_from: None };
    Ok(Target::Workload(Box::new(Workload { origin, max_concurrency: None })))
}

/// Input that cannot be used.
pub(super) fn wrong(error: &WorkloadError) -> Failure {
    Failure::Request(error.to_string())
}
