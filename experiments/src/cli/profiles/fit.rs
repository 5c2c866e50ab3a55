//! `servesim profiles fit`

use std::path::{Path, PathBuf};

use calibration::fit::{self, Refused};
use clap::Args;
use profiles::DeviceSpec;
use profiles::fitted::{FittedKernel, FittedProfile};
use profiles::kernels::NamedTable;

use super::{new_table, right_aligned, tables};
use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// What can be said to `fit`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  servesim profiles fit tables/h100-*.csv -o h100.toml --date 2026-11-25\n\nOf tables of one kind of \
                  kernel, the first source that has a number format counts. Everything that is not fitted is counted \
                  with its reason. `servesim profiles check` compares any profile with any table."
)]
pub(in crate::cli) struct FitArgs {
    /// Kernel tables of one device (docs/kernel-tables.md) or folders of them, in the order of belief
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<PathBuf>,
    /// Where the profile goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The device: a shipped one or a device file; the tables' own where it is not said
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Day of the fit, which the profile tells
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = super::import::day)]
    date: String,
    /// Replace a profile that is there already
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &FitArgs, terminal: Terminal) -> Result<(), Failure> {
    if args.output.exists() && !args.force {
        return Err(Failure::Request(format!("{} exists; use --force to replace it", args.output.display())));
    }
    let read = tables::read(&args.tables)?;
    let device = device(args.device.as_deref(), &read)?;
    let named = |table: NamedTable| fit::Named { file: table.file, table: table.table };
    let read: Vec<fit::Named> = read.into_iter().map(named).collect();
    let (profile, refused) =
        fit::fit(&device, &read, &args.date).map_err(|error| Failure::Request(error.to_string()))?;
    let text = profile.to_toml(&header(args, &read));
    std::fs::write(&args.output, text)
        .map_err(|error| Failure::Run(format!("cannot write {}: {error}", args.output.display())))?;
    print(&profile, &refused, terminal);
    Ok(())
}

/// The device that was named, or that of the first table.
fn device(name: Option<&str>, read: &[NamedTable]) -> Result<DeviceSpec, Failure> {
    if let Some(name) = name {
        return super::import::device(name);
    }
    let name = &read.first().expect("there is a table").table.header.device;
    DeviceSpec::shipped(name).map_err(|error| Failure::Request(format!("{error}; give a file with --device")))
}

/// What the profile says of how it was made. Folders are left out: the same tables elsewhere make the same file.
fn header(args: &FitArgs, read: &[fit::Named]) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files: Vec<String> = read.iter().map(|named| format!("  {}", name(Path::new(&named.file)))).collect();
    format!(
        "What kernels take on one device: time = base · exp(surface), see docs/kernel-tables.md. Written by\n  servesim profiles \
         fit TABLES -o {} --date {}\nfrom the tables\n{}",
        name(&args.output),
        args.date,
        files.join("\n")
    )
}

fn print(profile: &FittedProfile, refused: &[Refused], terminal: Terminal) {
    let mut table =
        new_table(terminal, &["kernel", "format", "rows", "values", "median %", "p95 %", "bias %", "mean %"]);
    let kinds: [(&str, &[FittedKernel]); 4] = [
        ("gemm", &profile.gemm),
        ("prefill_attention", &profile.prefill_attention),
        ("decode_attention", &profile.decode_attention),
        ("experts", &profile.experts),
    ];
    for (name, kernels) in kinds {
        for kernel in kernels {
            let error = kernel.error_percent;
            table.add_row([
                name.to_string(),
                kernel.format.name().to_string(),
                kernel.rows.to_string(),
                kernel.surface.values().to_string(),
                format!("{:.1}", error.median),
                format!("{:.1}", error.p95),
                format!("{:+.1}", error.bias),
                format!("{:+.1}", error.mean),
            ]);
        }
    }
    terminal::print_line(&right_aligned(table).to_string());
    let rest = [
        ("elementwise", profile.elementwise.as_ref().map(|fit| &fit.source)),
        ("all_reduce", profile.all_reduce.as_ref().map(|fit| &fit.source)),
        ("all_to_all", profile.all_to_all.as_ref().map(|fit| &fit.source)),
        ("energy", profile.energy.as_ref().map(|fit| &fit.source)),
    ];
    for (name, source) in rest {
        terminal::print_line(&format!("{name}: {}", source.map_or("not in these tables", String::as_str)));
    }
    let kernels = kinds.iter().flat_map(|(name, kernels)| kernels.iter().map(move |kernel| (name, kernel)));
    for (name, kernel) in kernels.filter(|(_, kernel)| !kernel.left_out.is_empty()) {
        terminal::print_line(&format!("left out of {name} in {}: {}", kernel.format.name(), kernel.left_out));
    }
    for refused in refused {
        terminal::print_line(&format!("left out: {refused}"));
    }
}
