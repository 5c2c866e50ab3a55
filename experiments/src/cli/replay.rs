//! `servesim replay`

mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use calibration::replay::schedule::{RunChoice, RunHeader, ScheduledStep};
use calibration::replay::{
    GpuExecutor, GpuReplay, ReplayError, ReplayOptions, StepExecutor as _, StepPair, read_measured_file, replay, select,
};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output::{REPLAY_TABLES, SCHEDULE, claim};
use crate::terminal::Terminal;
use report::Replayed;

/// GPU time for which steps run before they are measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// Predicted over measured times have a median within this factor, or the measured ones are in another unit.
const UNIT_RATIO: f64 = 100.0;
const NS_PER_MS: f64 = 1e6;

/// What can be said to `servesim replay`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim run experiments/quickstart.toml --record-steps -o results/q\n  servesim replay results/q \
                  --system prefill-first --steps 500 -o results/q/replay\n  servesim replay results/q --system prefill-first \
                  --compare measured.csv\n\nWhat --compare reads: a CSV table with the columns step (its number in the \
                  schedule) and time_ms."
)]
pub(super) struct ReplayArgs {
    /// Folder of a run with --record-steps, or its schedule.jsonl.gz
    schedule: PathBuf,
    /// System whose steps are meant, where the schedule has several
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// Seed of the run that is meant, where the schedule has several
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Execute so many steps, spread evenly over the run [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "compare")]
    steps: Option<u64>,
    /// Number of the GPU, as CUDA counts
    #[arg(long, value_name = "I", default_value_t = 0, conflicts_with = "compare")]
    device: u32,
    /// Execute only the first N layers, and compare with what those are predicted to take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "compare")]
    layers: Option<u32>,
    /// Times that all steps are executed; the difference between the first two is the noise floor
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "compare")]
    repeat: u32,
    /// Launch every kernel by itself instead of capturing CUDA graphs for the steps that the engine captures
    #[arg(long, conflicts_with = "compare")]
    eager: bool,
    /// Take every Nth step apart into operators, in an execution of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "compare")]
    every: Option<u32>,
    /// Execute nothing: compare with step times that were measured elsewhere
    #[arg(long, value_name = "CSV")]
    compare: Option<PathBuf>,
    /// What the times of --compare contain [default: step]
    #[arg(long, requires = "compare", value_enum)]
    contains: Option<Contains>,
    /// Folder for tables and figures
    #[arg(short, long, value_name = "DIR", required_unless_present = "compare")]
    output: Option<PathBuf>,
    /// Replace results that are there already
    #[arg(long, requires = "output")]
    force: bool,
    /// Print the comparison as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What a measured time contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Contains {
    /// All that passes between the starts of two steps of a busy engine: host and collectives included
    Step,
    /// What one GPU executes, without the host and without collectives
    Kernels,
}

impl Contains {
    /// What the times are of.
    fn quantity(self) -> &'static str {
        match self {
            Self::Step => "time of a step",
            Self::Kernels => "GPU time of a step",
        }
    }
}

/// Runs it.
pub(super) fn run(args: &ReplayArgs, terminal: Terminal) -> Result<(), Failure> {
    let path = schedule_path(&args.schedule)?;
    let choice = RunChoice { system: args.system.clone(), seed: args.seed };
    let replayed = match &args.compare {
        Some(measured) => {
            let replayed = compare(&path, &choice, measured, args.contains.unwrap_or(Contains::Step))?;
            claim_output(args)?;
            replayed
        }
        None => execute(&path, &choice, args, terminal)?,
    };
    let paths = match &args.output {
        Some(directory) => replayed.write(directory, args.force).map_err(|error| Failure::while_writing(&error))?,
        None => Vec::new(),
    };
    replayed.show(&paths, args.json, terminal);
    Ok(())
}

/// Makes the folder of the output; whether it was not there.
fn claim_output(args: &ReplayArgs) -> Result<bool, Failure> {
    let Some(directory) = &args.output else { return Ok(false) };
    let is_new = !directory.exists();
    claim(directory, &REPLAY_TABLES, args.force).map_err(|error| Failure::before_run(&error))?;
    Ok(is_new)
}

/// The schedule itself, or the one in a folder of results.
fn schedule_path(path: &Path) -> Result<PathBuf, Failure> {
    let inside = path.join(SCHEDULE);
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    if inside.is_file() {
        return Ok(inside);
    }
    Err(Failure::Request(format!(
        "{} holds no {SCHEDULE}: record one with `servesim run EXPERIMENT.toml --record-steps -o DIR`",
        path.display()
    )))
}

/// What went wrong with the input; what the device does wrong is no fault of the input.
fn failure(error: &ReplayError) -> Failure {
    match error {
        ReplayError::Device(message) => Failure::Run(message.clone()),
        other => Failure::Request(other.to_string()),
    }
}

/// Compares with times that were measured elsewhere.
fn compare(path: &Path, choice: &RunChoice, measured: &Path, contains: Contains) -> Result<Replayed, Failure> {
    let times = read_measured_file(measured).map_err(|error| failure(&error))?;
    let (header, mut steps) = select_some(path, choice, None)?;
    let all = steps.len();
    if let Some((&last, _)) = times.last_key_value().filter(|&(&last, _)| last >= all as u64) {
        let message =
            format!("{} has a time for step {last}, and the run has the steps 0 to {}", measured.display(), all - 1);
        return Err(Failure::Request(message));
    }
    steps.retain(|step| times.contains_key(&step.step));
    let predicted_ns = |step: &ScheduledStep| match contains {
        Contains::Step => step.predicted_ns() as f64,
        Contains::Kernels => step.kernels_ns() as f64,
    };
    let pairs = pairs(&steps, predicted_ns, |place| times[&steps[place].step].clone())?;
    check_unit(&pairs, measured)?;
    let by = format!("{} of {all} steps, times from {}", steps.len(), measured.display());
    Ok(Replayed { layers: header.model.layer_count(), header, steps, pairs, measured: Vec::new(), contains, by })
}

/// Refuses times that are so far off as only another unit makes them.
fn check_unit(pairs: &[StepPair], measured: &Path) -> Result<(), Failure> {
    let mut ratios: Vec<f64> = pairs.iter().map(|pair| pair.predicted_ns / pair.median_ns()).collect();
    ratios.sort_by(f64::total_cmp);
    let (Some(&median), Some(first)) = (ratios.get(ratios.len() / 2), pairs.first()) else { return Ok(()) };
    if (1.0 / UNIT_RATIO..=UNIT_RATIO).contains(&median) {
        return Ok(());
    }
    let (far, way) = if median > 1.0 { (median, "below") } else { (1.0 / median, "above") };
    Err(Failure::Request(format!(
        "{}: times lie a factor of {far:.0} {way} the predicted ones (median): are these milliseconds? The first: step {}, \
         time_ms {}, predicted {:.6} ms",
        measured.display(),
        first.step,
        first.measured_ns[0] / NS_PER_MS,
        first.predicted_ns / NS_PER_MS
    )))
}

/// The steps of a run, of which there is at least one.
fn select_some(
    path: &Path,
    choice: &RunChoice,
    wanted: Option<u64>,
) -> Result<(RunHeader, Vec<ScheduledStep>), Failure> {
    let (header, steps) = select(path, choice, wanted).map_err(|error| failure(&error))?;
    if steps.is_empty() {
        let message =
            format!("{}: the run of `{}` with seed {} has no step", path.display(), header.system, header.seed);
        return Err(Failure::Request(message));
    }
    Ok((header, steps))
}

/// Executes steps on a GPU.
fn execute(path: &Path, choice: &RunChoice, args: &ReplayArgs, terminal: Terminal) -> Result<Replayed, Failure> {
    let (header, steps) = select_some(path, choice, args.steps)?;
    let options = GpuReplay { device: args.device, layers: args.layers, eager: args.eager };
    let mut executor = GpuExecutor::open(&header, &steps, options).map_err(|error| failure(&error))?;
    // Not before the device is there, and before anything is measured in vain.
    let is_new = claim_output(args)?;
    let all_layers = header.model.layer_count();
    let layers = args.layers.unwrap_or(all_layers);
    terminal.note(&format!("replaying {} steps on {}", steps.len(), executor.describe()));
    let bar = progress_bar(terminal);
    let options = ReplayOptions { passes: args.repeat, by_operator_every: args.every, warm_up: WARM_UP };
    let measured = replay(&steps, &mut executor, options, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let measured = measured.map_err(|error| {
        if let Some(directory) = args.output.as_ref().filter(|_| is_new) {
            // Nothing else is lost if the folder stays.
            let _ = std::fs::remove_dir(directory);
        }
        failure(&error)
    })?;
    for remark in executor.remarks() {
        terminal.note(&remark);
    }
    let predicted_ns = |step: &ScheduledStep| step.kernels_ns_of(layers, all_layers);
    let pairs = pairs(&steps, predicted_ns, |place| measured[place].gpu_ns())?;
    let by = format!("{} steps on {}", steps.len(), executor.describe());
    Ok(Replayed { header, layers, steps, pairs, measured, contains: Contains::Kernels, by })
}

/// Pairs each step's prediction with its measurements.
fn pairs(
    steps: &[ScheduledStep],
    predicted_ns: impl Fn(&ScheduledStep) -> f64,
    measured_ns: impl Fn(usize) -> Vec<f64>,
) -> Result<Vec<StepPair>, Failure> {
    let pair = |(place, step): (usize, &ScheduledStep)| {
        let predicted_ns = predicted_ns(step);
        if predicted_ns > 0.0 {
            Ok(StepPair::new(step, predicted_ns, measured_ns(place)))
        } else {
            Err(Failure::Request(format!("step {} is predicted to take no time, so no error can be given", step.step)))
        }
    };
    steps.iter().enumerate().map(pair).collect()
}

fn progress_bar(terminal: Terminal) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {elapsed} [{bar:30}] {human_pos}/{human_len} executions");
    ProgressBar::new(0).with_style(style.expect("the template is constant"))
}
