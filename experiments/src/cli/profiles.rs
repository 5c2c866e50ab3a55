//! `servesim profiles`

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use profiles::{DType, DeviceSpec, ModelSpec, ProfileError};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// Commands about models and devices.
#[derive(Subcommand, Debug)]
pub(super) enum ProfilesCommand {
    /// List the shipped models and devices
    #[command(after_help = "Example:\n  servesim profiles list")]
    List(ListArgs),
    /// Show all figures of one model or device, and where they came from
    #[command(
        after_help = "Examples:\n  servesim profiles show meta-llama/Llama-3.1-8B\n  servesim profiles show H100-SXM-80GB"
    )]
    Show(ShowArgs),
}

/// What can be said to `list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What can be said to `show`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Name or alias of a shipped model or device
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(command: ProfilesCommand, terminal: Terminal) -> Result<(), Failure> {
    match command {
        ProfilesCommand::List(args) => list(&args, terminal),
        ProfilesCommand::Show(args) => show(&args),
    }
}

fn list(args: &ListArgs, terminal: Terminal) -> Result<(), Failure> {
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

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let (figures, details) = match (ModelSpec::shipped(&args.name), DeviceSpec::shipped(&args.name)) {
        (Ok(model), _) => (model_json(&model), format!("{:#?}", first_of_each_kind(&model))),
        (_, Ok(device)) => (device_json(&device), String::new()),
        (Err(model), Err(device)) => {
            let near = |error: &ProfileError| match error {
                ProfileError::UnknownName { suggestion, .. } => suggestion.clone(),
                _ => None,
            };
            let meant = near(&model).or_else(|| near(&device));
            let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
            return Err(Failure::Request(format!(
                "no shipped model or device is named `{}`{meant} (`servesim profiles list` names them)",
                args.name
            )));
        }
    };
    if args.json {
        terminal::print_line(&figures.to_string());
        return Ok(());
    }
    for (key, value) in figures.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        terminal::print_line(&format!("{key:<28} {value}"));
    }
    terminal::print(&details);
    if !details.is_empty() {
        terminal::print_line("");
    }
    Ok(())
}

/// One layer of each kind, so that a page shows what a model is made of.
fn first_of_each_kind(model: &ModelSpec) -> Vec<&profiles::LayerSpec> {
    let mut kinds: Vec<&profiles::LayerSpec> = Vec::new();
    for layer in &model.layers {
        if !kinds.contains(&layer) {
            kinds.push(layer);
        }
    }
    kinds
}

fn model_json(model: &ModelSpec) -> Value {
    json!({
        "name": model.name,
        "parameters": model.parameters().total(),
        "active_parameters": model.active_parameters().total(),
        "layers": model.layers.len(),
        "hidden_size": model.hidden_size,
        "vocab_size": model.vocab_size,
        "kv_bytes_per_token_16bit": model.kv_bytes_per_token(DType::Bf16),
        "max_position_embeddings": model.max_position_embeddings,
        "checkpoint": model.weights_dtype_hint.as_ref().map_or("16 bit", |hint| hint.method.as_str()),
        "source": model.source,
        "notes": model.notes.join(" "),
    })
}

fn device_json(device: &DeviceSpec) -> Value {
    json!({
        "name": device.name,
        "aliases": device.aliases.join(", "),
        "memory_bytes": device.memory_bytes,
        "memory_bandwidth_bytes_per_s": device.memory_bandwidth,
        "bf16_flop_per_s": device.bf16_flops,
        "fp8_flop_per_s": device.fp8_flops,
        "int8_op_per_s": device.int8_ops,
        "sms": device.sms,
        "l2_bytes": device.l2_bytes,
        "peer_link": device.peer_link,
        "peer_bandwidth_bytes_per_s": device.peer_bandwidth,
        "power_limit_w": device.power_limit_w,
        "idle_power_w": device.idle_power_w,
        "usd_per_hour": device.usd_per_hour,
        "source": device.source,
        "price_source": device.price_source,
    })
}

fn billions(parameters: u64) -> String {
    format!("{:.2} B", parameters as f64 / 1e9)
}

/// A plain table as wide as the terminal.
pub(super) fn new_table(terminal: Terminal, header: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line)).set_header(header);
    if let Some(width) = terminal.width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// The table with every column but the first aligned as numbers are.
pub(super) fn right_aligned(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
