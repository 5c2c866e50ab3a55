//! `servesim calibrate`

use std::path::PathBuf;
use std::time::Instant;

use calibration::gpu::{Gpu, doctor};
use calibration::measure::Grid;
use calibration::stages::{self, Plan, Progress, Stage, StageError};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// What can be said to `servesim calibrate`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim calibrate --stage doctor\n  servesim calibrate -o tables/h100\n  servesim calibrate -o \
                  tables/h100 --stage grid --budget-s 600\n\nStages: doctor (what is there and what is missing), verify \
                  (every kernel against double precision), ceilings (fastest copy and products), grid (all shapes), \
                  energy (power and time under sustained load). A stage that was stopped goes on where it was."
)]
pub(super) struct CalibrateArgs {
    /// Folder for tables; what it holds already is not measured again
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Stage to run (may be repeated) [default: all, in the order below]
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<Stage>,
    /// Stop measuring after so many seconds [default: when everything is measured]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    budget_s: Option<u32>,
    /// Number of the GPU, as CUDA counts
    #[arg(long, value_name = "N", default_value_t = 0)]
    device: u32,
    /// Name of the GPU among the shipped devices [default: by what the driver calls it]
    #[arg(long, value_name = "NAME")]
    device_name: Option<String>,
    /// Fixes operands and the order of measuring
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it.
pub(super) fn run(args: CalibrateArgs, terminal: Terminal) -> Result<(), Failure> {
    let started = Instant::now();
    let stages = if args.stages.is_empty() { Stage::ALL.to_vec() } else { args.stages };
    let measures = stages.iter().any(|stage| *stage != Stage::Doctor);
    let folder = match (args.output, measures) {
        (Some(folder), _) => folder,
        (None, false) => PathBuf::new(),
        (None, true) => return Err(Failure::Request("name a folder for the tables with `-o DIR`".to_owned())),
    };
    if stages.contains(&Stage::Doctor) {
        examine(args.device)?;
    }
    if !measures {
        return Ok(());
    }
    let mut gpu = Gpu::open(args.device).map_err(|error| Failure::Run(error.to_string()))?;
    let device = stages::device_of(&gpu, args.device_name.as_deref()).map_err(|error| {
        Failure::Request(format!("{error}; say which of the shipped devices it is with `--device-name`"))
    })?;
    let budget_s = args.budget_s.map_or(f64::INFINITY, f64::from);
    let plan = Plan { folder, device, grid: Grid::default(), seed: args.seed, budget_s, started };
    for stage in stages {
        let mut teller = Teller { terminal, bar: None };
        stages::run(stage, &mut gpu, &plan, &mut |progress| teller.tell(progress))
            .map_err(|error| failure(stage, &error))?;
    }
    Ok(())
}

/// Files of another device or of no table are wrong input; the rest went wrong while running.
fn failure(stage: Stage, error: &StageError) -> Failure {
    match error {
        StageError::Store(_) | StageError::Profile(_) => Failure::Request(error.to_string()),
        _ => Failure::Run(format!("stage {stage}: {error}")),
    }
}

/// Prints what there is; the first thing that nothing can be measured without is the error.
fn examine(device: u32) -> Result<(), Failure> {
    let mut missing = None;
    for finding in doctor(device) {
        match finding.says {
            Ok(found) => terminal::print_line(&format!("found    {}: {found}", finding.what)),
            Err(problem) => {
                terminal::print_line(&format!("missing  {}: {problem}", finding.what));
                missing = missing.or(finding.needed.then_some(problem));
            }
        }
    }
    missing.map_or(Ok(()), |problem| Err(Failure::Run(problem)))
}

/// Shows how far measuring is.
struct Teller {
    terminal: Terminal,
    bar: Option<ProgressBar>,
}

impl Teller {
    fn tell(&mut self, progress: Progress) {
        match progress {
            Progress::Line(line) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                terminal::print_line(&line);
            }
            Progress::Points { kernel, done, wanted } if self.terminal.shows_progress() => {
                let bar = self.bar.get_or_insert_with(|| {
                    let style =
                        ProgressStyle::with_template("{spinner} {elapsed} [{bar:30}] {pos}/{len} {msg}, {eta} left");
                    let bar =
                        ProgressBar::with_draw_target(Some(wanted as u64), ProgressDrawTarget::stderr_with_hz(10));
                    bar.set_style(style.expect("the template is valid"));
                    bar.set_message(kernel.name());
                    bar
                });
                bar.set_position(done as u64);
            }
            Progress::Points { .. } => {}
        }
    }
}
