//! Power above idle, from the board power that tables recorded.

use profiles::cost::{AnalyticCost, CostOptions, EngineOverheads};
use profiles::fitted::{EnergyFit, FittedKernel, FittedProfile, KernelEnergy};
use profiles::table::{KernelTable, PassPhase, PassRow, Row, Rows};
use profiles::{CostModel, DecodeBatch, DeviceSpec, ModelSpec, Parallelism, PrefillPiece, StepShape};

use super::Named;
use super::spread::Spread;
use crate::work::Priced;

/// Kernels shorter than this many microseconds read too low: the window of the board's sensor holds the pauses between their
/// launches, which a serving step does not have. On an H200, decode kernels at 75-85 % of the memory bandwidth read 377 W at
/// 100-200 µs, 495 W at 200-500 µs, 545 W at 500-1000 µs, and 571 W beyond (medians; aiconfigurator).
const SHORTEST_US: f64 = 500.0;
/// Rows below which no coefficients are fitted.
const FEWEST_ROWS: usize = 30;
/// A rate that stays below this part of its peak in nearly all readings tells nothing of what the peak would draw: decode
/// attention does 2 % of the peak's FLOPs at most, and a coefficient from there would be an extrapolation by fifty.
const TELLING_RATE: f64 = 0.1;
/// The part of readings that may exceed it by chance.
const FEW: f64 = 0.05;
/// Relative errors beyond which rows count less.
const LARGE_ERROR: f64 = 0.02;
const ROUNDS: u32 = 15;

/// What a kernel did while its power was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// 1, FLOP rate over the peak, and byte rate over the bandwidth.
    rates: [f64; 3],
    power_w: f64,
}

impl KernelRange {
    fn watts(self, energy: KernelEnergy, rates: [f64; 3]) -> f64 {
        let share = energy.busy * rates[0] + energy.flops * rates[1] + energy.memory * rates[2];
        self.idle_w + share.min(1.0) * (self.limit_w - self.idle_w)
    }
}

/// Idle power and limit of a board.
#[derive(Clone, Copy, Debug)]
struct KernelRange {
    idle_w: f64,
    limit_w: f64,
}

/// Power from whole passes if a table has them, or else from kernels in the formats that `profile` was fitted in (others
/// were timed with their launches); `None`: nothing recorded any.
pub(super) fn energy(device: &DeviceSpec, tables: &[Named], profile: &FittedProfile) -> Option<EnergyFit> {
    let range = KernelRange { idle_w: device.idle_power_w, limit_w: device.power_limit_w };
    from_passes(device, tables, range).or_else(|| from_kernels(device, tables, profile, range))
}

fn from_kernels(
    device: &DeviceSpec,
    tables: &[Named],
    profile: &FittedProfile,
    range: KernelRange,
) -> Option<EnergyFit> {
    let mut told = Vec::new();
    let mut of = |name: &str, kernels: &[FittedKernel], of: &dyn Fn(&Rows, &[FittedKernel]) -> Vec<Reading>| {
        let readings: Vec<Reading> = tables.iter().flat_map(|named| of(&named.table.rows, kernels)).collect();
        let (energy, spread) = fit(&readings, range)?;
        told.push(format!("{name} {:.0} % / {:.0} % of {}", spread.median, spread.p95, spread.count));
        Some(energy)
    };
    let gemm = of("products", &profile.gemm, &|rows, kernels| match rows {
        Rows::Gemm(rows) => readings(rows, kernels, device),
        _ => Vec::new(),
    })?;
    let prefill = of("prefill attention", &profile.prefill_attention, &|rows, kernels| match rows {
        Rows::PrefillAttention(rows) => readings(rows, kernels, device),
        _ => Vec::new(),
    });
    let decode = of("decode attention", &profile.decode_attention, &|rows, kernels| match rows {
        Rows::DecodeAttention(rows) => readings(rows, kernels, device),
        _ => Vec::new(),
    });
    let experts = of("experts", &profile.experts, &|rows, kernels| match rows {
        Rows::Experts(rows) => readings(rows, kernels, device),
        _ => Vec::new(),
    });
    let source = format!(
        "board power of kernels of at least {SHORTEST_US} µs, for shorter ones read too low ({}); median / p95 error: {}",
        sources(tables, powered),
        told.join(", ")
    );
    Some(EnergyFit {
        gemm,
        prefill_attention: prefill.unwrap_or(gemm),
        decode_attention: decode.unwrap_or(gemm),
        experts: experts.unwrap_or(gemm),
        source,
    })
}

/// Sources of the tables of which something holds, each once.
fn sources(tables: &[Named], holds: impl Fn(&KernelTable) -> bool) -> String {
    let mut sources: Vec<&str> =
        tables.iter().filter(|named| holds(&named.table)).map(|named| named.table.header.source.as_str()).collect();
    sources.dedup();
    sources.join("; ")
}

fn powered(table: &KernelTable) -> bool {
    fn any<R: Row>(rows: &[R]) -> bool {
        rows.iter().any(|row| row.timing().power_w.is_some())
    }
    match &table.rows {
        Rows::Gemm(rows) => any(rows),
        Rows::PrefillAttention(rows) => any(rows),
        Rows::DecodeAttention(rows) => any(rows),
        Rows::Experts(rows) => any(rows),
        _ => false,
    }
}

fn readings<R: Row + Priced>(rows: &[R], kernels: &[FittedKernel], device: &DeviceSpec) -> Vec<Reading> {
    let reading = |row: &R| {
        let power_w = row.timing().power_w?;
        let time_us = row.timing().time_us;
        let (format, work) = row.priced(device).ok()?;
        kernels.iter().find(|kernel| kernel.format == format)?;
        let rate = |at_peak_s: f64| at_peak_s * 1e6 / time_us;
        let rates = [1.0, rate(work.at_peak_s(device)), rate(work.bytes() / device.memory_bandwidth)];
        (time_us >= SHORTEST_US).then_some(Reading { rates, power_w })
    };
    rows.iter().filter_map(reading).collect()
}

/// Coefficients that are not negative, by least squares of relative errors in which large ones count less.
fn fit(readings: &[Reading], range: KernelRange) -> Option<(KernelEnergy, Spread)> {
    if readings.len() < FEWEST_ROWS {
        return None;
    }
    let telling = |rate: usize| {
        let reach = readings.iter().filter(|reading| reading.rates[rate] >= TELLING_RATE).count();
        reach as f64 > FEW * readings.len() as f64
    };
    let told = [0, 1, 2].map(telling);
    let share = |reading: &Reading| (reading.power_w - range.idle_w) / (range.limit_w - range.idle_w);
    let mut weights: Vec<f64> = readings.iter().map(|reading| reading.power_w.powi(-2)).collect();
    let mut energy = KernelEnergy { busy: 0.0, flops: 0.0, memory: 0.0 };
    let error = |energy, reading: &Reading| range.watts(energy, reading.rates) / reading.power_w - 1.0;
    for _ in 0..ROUNDS {
        let rows = readings.iter().zip(&weights).map(|(reading, weight)| (reading.rates, share(reading), *weight));
        let [busy, flops, memory] = not_negative(rows, told);
        energy = KernelEnergy { busy, flops, memory };
        for (weight, reading) in weights.iter_mut().zip(readings) {
            *weight = reading.power_w.powi(-2) / error(energy, reading).abs().max(LARGE_ERROR);
        }
    }
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let KernelEnergy { busy, flops, memory } = energy;
    let energy = KernelEnergy { busy: rounded(busy), flops: rounded(flops), memory: rounded(memory) };
    Some((energy, Spread::of(readings.iter().map(|reading| error(energy, reading)).collect())?))
}

/// Weighted least squares for three coefficients that must not be negative: of all choices of which are zero, the best
/// whose others are not negative. Those that are not `told` are zero.
fn not_negative(rows: impl Iterator<Item = ([f64; 3], f64, f64)>, told: [bool; 3]) -> [f64; 3] {
    let (mut normal, mut right) = ([[0.0; 3]; 3], [0.0; 3]);
    for (rates, value, weight) in rows {
        for i in 0..3 {
            right[i] += weight * rates[i] * value;
            for j in 0..3 {
                normal[i][j] += weight * rates[i] * rates[j];
            }
        }
    }
    let mut best = ([0.0; 3], 0.0);
    for choice in 1..8_usize {
        let used: Vec<usize> = (0..3).filter(|i| choice >> i & 1 == 1).collect();
        if used.iter().any(|&i| !told[i]) {
            continue;
        }
        let Some(solution) = solve(&used, &normal, &right) else { continue };
        // What the squares fall by: the larger, the better the fit.
        let gain: f64 = (0..3).map(|i| solution[i] * right[i]).sum();
        if solution.iter().all(|value| *value >= 0.0) && gain > best.1 {
            best = (solution, gain);
        }
    }
    best.0
}

/// Solves for the coefficients in use by elimination; the others are 0. `None`: they cannot be told apart.
fn solve(used: &[usize], normal: &[[f64; 3]; 3], right: &[f64; 3]) -> Option<[f64; 3]> {
    let mut rows: Vec<Vec<f64>> =
        used.iter().map(|&i| used.iter().map(|&j| normal[i][j]).chain([right[i]]).collect()).collect();
    let size = rows.len();
    for pivot in 0..size {
        if rows[pivot][pivot] < 1e-9 * normal[used[pivot]][used[pivot]] || rows[pivot][pivot] <= 0.0 {
            return None;
        }
        let (upper, lower) = rows.split_at_mut(pivot + 1);
        let top = &upper[pivot];
        for row in lower {
            let factor = row[pivot] / top[pivot];
            for (value, above) in row.iter_mut().zip(top) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = [0.0; 3];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| rows[row][column] * solution[used[column]]).sum();
        solution[used[row]] = (rows[row][size] - known) / rows[row][row];
    }
    Some(solution)
}

fn from_passes(device: &DeviceSpec, tables: &[Named], range: KernelRange) -> Option<EnergyFit> {
    let mut readings = Vec::new();
    for Named { table, .. } in tables {
        if let Rows::Pass(rows) = &table.rows {
            readings.extend(rows.iter().filter_map(|row| pass(row, device)));
        }
    }
    let (energy, spread) = fit(&readings, range)?;
    let source = format!(
        "board power of whole passes, the same for all kernels ({}); median / p95 error {:.0} % / {:.0} % of {}",
        sources(tables, |table| matches!(table.rows, Rows::Pass(_))),
        spread.median,
        spread.p95,
        spread.count
    );
    Some(EnergyFit { gemm: energy, prefill_attention: energy, decode_attention: energy, experts: energy, source })
}

/// A pass of a shipped model: its FLOPs and bytes over the time it was measured to take.
fn pass(row: &PassRow, device: &DeviceSpec) -> Option<Reading> {
    let power_w = row.timing.power_w?;
    let model = ModelSpec::shipped(&row.model).ok()?;
    let options = CostOptions {
        parallelism: Parallelism::tensor(row.tensor_parallel_size),
        engine: EngineOverheads::none(),
        max_num_batched_tokens: 1,
        max_num_seqs: 1,
        ..CostOptions::new(&model, device)
    };
    let cost = AnalyticCost::new(&options).ok()?;
    let pieces = match row.phase {
        PassPhase::Prompt => {
            let piece = PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.context_tokens };
            vec![piece; row.requests as usize]
        }
        PassPhase::Token => Vec::new(),
    };
    let keys = u64::from(row.requests) * (u64::from(row.context_tokens) + 1);
    let decode = match row.phase {
        PassPhase::Prompt => DecodeBatch::default(),
        PassPhase::Token => DecodeBatch {
            requests: row.requests,
            context_tokens: keys,
            windowed_context_tokens: keys,
            ..DecodeBatch::default()
        },
    };
    let shape = StepShape { prefill: &pieces, decode, sampled: row.requests, prefill_layers: None };
    let sum = cost.explain(&shape).sum();
    let gpu_seconds = row.timing.time_us * 1e-6 * f64::from(row.tensor_parallel_size);
    let rates =
        [1.0, sum.flops / device.bf16_flops / gpu_seconds, sum.memory_bytes / device.memory_bandwidth / gpu_seconds];
    Some(Reading { rates, power_w })
}

#[cfg(test)]
mod tests;
