//! `servesim profiles list`

use clap::Args;
use profiles::{DType, DeviceSpec, ModelSpec, ProfileError};
use serde_json::json;

use super::show::{device_json, model_json};
use super::{new_table, right_aligned};
use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// What can be said to `list`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  servesim profiles list")]
pub(in crate::cli) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what is shipped.
pub(super) fn run(args: &ListArgs, terminal: Terminal) -> Result<(), Failure> {
    let shipped = |error: ProfileError| Failure::Run(error.to_string());
    let models: Vec<_> = ModelSpec::shipped_names()
        .iter()
        .map(|name| ModelSpec::shipped(name))
        .collect::<Result<_, _>>()
        .map_err(shipped)?;
    let devices: Vec<_> = DeviceSpec::shipped_names()
        .iter()
        .map(|name| DeviceSpec::shipped(name))
        .collect::<Result<_, _>>()
        .map_err(shipped)?;
    if args.json {
        let models: Vec<_> = models.iter().map(model_json).collect();
        let devices: Vec<_> = devices.iter().map(device_json).collect();
        terminal::print_line(&json!({ "models": models, "devices": devices }).to_string());
        return Ok(());
    }
    let mut table =
        new_table(terminal, &["model", "parameters", "active", "layers", "KV B/token (16 bit)", "longest context"]);
    for model in &models {
        table.add_row([
            model.name.clone(),
            billions(model.parameters().total()),
            billions(model.active_parameters().total()),
            model.layers.len().to_string(),
            model.kv_bytes_per_token(DType::Bf16).to_string(),
            model.max_position_embeddings.to_string(),
        ]);
    }
    terminal::print_line(&right_aligned(table).to_string());
    terminal::print_line("");
    let mut table = new_table(
        terminal,
        &["device", "memory GiB", "GB/s", "bf16 TFLOP/s", "fp8 TFLOP/s", "link GB/s", "W", "USD/h"],
    );
    for device in &devices {
        table.add_row([
            device.name.clone(),
            format!("{:.1}", device.memory_bytes as f64 / f64::from(1 << 30)),
            format!("{:.0}", device.memory_bandwidth / 1e9),
            format!("{:.0}", device.bf16_flops / 1e12),
            device.fp8_flops.map_or_else(|| "-".to_owned(), |flops| format!("{:.0}", flops / 1e12)),
            format!("{:.0}", device.peer_bandwidth / 1e9),
            format!("{:.0}", device.power_limit_w),
            format!("{:.2}", device.usd_per_hour),
        ]);
    }
    terminal::print_line(&right_aligned(table).to_string());
    terminal::print_line("\nPeaks are dense. `servesim profiles show NAME` says where the figures come from.");
    Ok(())
}

fn billions(parameters: u64) -> String {
    format!("{:.2} B", parameters as f64 / 1e9)
}
