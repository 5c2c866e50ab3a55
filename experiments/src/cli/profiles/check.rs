//! `servesim profiles check`

use std::path::PathBuf;

use calibration::check::{self, Checked};
use calibration::fit::Spread;
use clap::Args;
use profiles::DeviceSpec;
use profiles::fitted::FittedProfile;
use profiles::kernels::NamedTable;

use super::{new_table, right_aligned, tables};
use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// What can be said to `check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim profiles check tables/h100-*.csv\n  servesim profiles check tables/h100-*.csv --profile \
                  my_h100.toml\n\nChecked are tables of gemm, prefill_attention, decode_attention and experts, row by row, \
                  and of pass: whole passes, priced as steps of vLLM v1 with the kernels of the profile, 0.3 ms between \
                  steps included; an engine whose host is slower takes longer. Others are named and not checked. Decode \
                  attention whose caches lay in L2 is held against its time over caches in device memory, as in a step.\n\n\
                  Errors are predicted ÷ measured − 1: median and 95th percentile of their size, median (bias) and mean of \
                  the signed ones."
)]
pub(in crate::cli) struct CheckArgs {
    /// Kernel tables (docs/kernel-tables.md) or folders of them
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<PathBuf>,
    /// The profile; that shipped for a table's device where it is not said
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

pub(super) fn run(args: &CheckArgs, terminal: Terminal) -> Result<(), Failure> {
    let given = args.profile.as_deref().map(profile).transpose()?;
    for NamedTable { file, table } in tables::read(&args.tables)? {
        let device =
            DeviceSpec::shipped(&table.header.device).map_err(|error| Failure::Request(format!("{file}: {error}")))?;
        let profile = match &given {
            Some(given) if given.device == device.name => given,
            Some(given) => {
                let problem =
                    format!("{file}: measured on `{}`, but the profile is of `{}`", device.name, given.device);
                return Err(Failure::Request(problem));
            }
            None => FittedProfile::shipped(&device).ok_or_else(|| {
                Failure::Request(format!(
                    "{file}: no profile is shipped for `{}`; give one with --profile",
                    device.name
                ))
            })?,
        };
        terminal::print_line(&format!("{file} ({}), {} rows", table.header.source, table.len()));
        match check::check(profile, &device, &table) {
            None => {
                let kinds = check::CHECKED.map(profiles::table::Kernel::name).join(", ");
                terminal::print_line(&format!(
                    "  not checked: tables of kind `{}`; checked are {kinds}",
                    table.kernel()
                ));
            }
            Some((checked, left_out)) => {
                for checked in &checked {
                    print(checked, terminal);
                }
                for (reason, rows) in left_out {
                    terminal::print_line(&format!("  left out: {rows} rows {reason}"));
                }
            }
        }
        terminal::print_line("");
    }
    Ok(())
}

fn profile(path: &std::path::Path) -> Result<FittedProfile, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Request(format!("cannot read {}: {error}", path.display())))?;
    FittedProfile::from_toml(&text, &path.display().to_string()).map_err(|error| Failure::Request(error.to_string()))
}

fn print(checked: &Checked, terminal: Terminal) {
    let mut table = new_table(terminal, &[&checked.name, "rows", "median %", "p95 %", "bias %", "mean %"]);
    let mut row = |name: &str, spread: &Spread| {
        table.add_row([
            name.to_string(),
            spread.count.to_string(),
            format!("{:.1}", spread.median),
            format!("{:.1}", spread.p95),
            format!("{:+.1}", spread.bias),
            format!("{:+.1}", spread.mean),
        ]);
    };
    row("all", &checked.all);
    for (bucket, spread) in &checked.buckets {
        row(bucket, spread);
    }
    terminal::print_line(&right_aligned(table).to_string());
    terminal::print_line("  worst:");
    for worst in &checked.worst {
        terminal::print_line(&format!(
            "  {:+7.1} %  {:>10.1} µs instead of {:>10.1}  {}",
            worst.error() * 100.0,
            worst.predicted_us,
            worst.measured_us,
            worst.shape
        ));
    }
}
