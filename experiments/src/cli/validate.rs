//! `servesim validate`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::terminal::Terminal;
use crate::validate::{ImportFormat, ImportRequest, ValidateRequest, import, run as validate};

/// What can be said to `servesim validate`.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  servesim validate runs/my-run\n  servesim validate runs -o results/validation --kernel-tables \
                  tables/h100\n  servesim validate import --from vllm-bench result.json --gpu H100 -o runs/my-run\n\nThe format \
                  of a case: docs/ground-truth.md"
)]
pub(super) struct ValidateArgs {
    #[command(subcommand)]
    command: Option<ValidateCommand>,
    /// Folders of measured runs (`meta.json` with `requests.csv` or `cases.csv`), or folders of such folders
    #[arg(required = true, value_name = "CASE")]
    cases: Vec<PathBuf>,
    /// Folder for tables, figures and the experiments that were made of the cases [default: print only]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace results that are there already
    #[arg(long, requires = "output")]
    force: bool,
    /// Kernel tables, or folders of them; each case takes those of its device
    #[arg(long, value_name = "PATH", num_args = 1..)]
    kernel_tables: Vec<PathBuf>,
    /// Replace a value of the experiment of every case, such as `system.engine.step_gap="0.2 ms"` (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Choose a constant by cross-validation, such as `"system.engine.step_gap=0 ms,0.1 ms,0.3 ms"`: for each model the value
    /// that is best for all others is scored (may be repeated: all combinations)
    #[arg(long, value_name = "KEY=V1,V2,…", conflicts_with = "output")]
    vary: Vec<String>,
    /// Cases at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Draw no figures
    #[arg(long)]
    no_figures: bool,
    /// Print the errors as JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum ValidateCommand {
    /// Make a case of what a benchmark client wrote
    Import(ImportArgs),
}

/// What can be said to `servesim validate import`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim validate import --from vllm-bench result.json --gpu H100 --engine-version 0.19.0 \
                        -o runs/mine\n  servesim validate import --from inference-perf per_request_lifecycle_metrics.json \
                        --model meta-llama/Llama-3.1-8B --gpu L40S -o runs/mine"
)]
struct ImportArgs {
    /// The client that wrote the file
    #[arg(long, value_name = "CLIENT")]
    from: ImportFormat,
    /// Its file (JSON)
    file: PathBuf,
    /// Folder of the new case
    #[arg(short, long, value_name = "CASE_DIR")]
    output: PathBuf,
    /// The GPU that the engine ran on (`servesim profiles list`)
    #[arg(long)]
    gpu: String,
    /// The model [default: as the file says]
    #[arg(long)]
    model: Option<String>,
    /// Version of the engine, such as 0.19.0: decides how it schedules
    #[arg(long)]
    engine_version: Option<String>,
    /// GPUs that share every layer
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    tensor_parallel: u32,
    /// Number format of the weights, such as fp8 [default: that of the model]
    #[arg(long)]
    weights_dtype: Option<String>,
    /// The engine's limit of requests running at a time [default: the engine's]
    #[arg(long)]
    max_num_seqs: Option<u32>,
    /// The engine's limit of tokens in a step [default: the engine's]
    #[arg(long)]
    max_num_batched_tokens: Option<u32>,
    /// KV blocks, as the engine's log says [default: as many as fit]
    #[arg(long)]
    kv_blocks: Option<u32>,
    /// Which of several benchmarks in the file, from 0
    #[arg(long)]
    benchmark: Option<usize>,
    /// Replace a case that is there
    #[arg(long)]
    force: bool,
}

/// Runs it.
pub(super) fn run(args: ValidateArgs, terminal: Terminal) -> Result<(), Failure> {
    let ValidateArgs { command, cases, output, force, kernel_tables, settings, vary, jobs, no_figures, json } = args;
    if let Some(ValidateCommand::Import(args)) = command {
        return import(&to_request(args), terminal);
    }
    let request = ValidateRequest {
        cases,
        directory: output,
        force,
        kernel_tables,
        settings,
        vary,
        jobs: jobs.map(usize::from),
        figures: !no_figures,
        json,
    };
    validate(&request, terminal)
}

fn to_request(args: ImportArgs) -> ImportRequest {
    ImportRequest {
        format: args.from,
        file: args.file,
        directory: args.output,
        benchmark: args.benchmark,
        model: args.model,
        gpu: args.gpu,
        engine_version: args.engine_version,
        tensor_parallel: args.tensor_parallel,
        weights_dtype: args.weights_dtype,
        max_num_seqs: args.max_num_seqs,
        max_num_batched_tokens: args.max_num_batched_tokens,
        kv_blocks: args.kv_blocks,
        force: args.force,
    }
}
