//! Power, and time under sustained load: a point runs without pause for seconds, as it does in a serving engine, while the
//! board heats up and its clocks settle.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use profiles::table::Kernel;

use super::bench::{Bench, BenchError, Sample};
use super::gpu_bench::GpuBench;
use super::plan::Grid;
use super::point::Point;
use super::power::{CounterPeriod, EnergyWindow, counter_period, energy_window};
use crate::gpu::{Event, Gpu};

/// GPU time of a graph: some graphs to each step of the energy counter.
const GRAPH_US: f64 = 30_000.0;
/// Seconds of load before the window, while clocks and power settle, and of the window itself.
const SETTLING_S: f64 = 1.0;
const WINDOW_S: f64 = 2.0;
/// Seconds of rest between points.
const REST_S: f64 = 1.0;

/// Times points under sustained load, with the power that the board draws.
pub struct SustainedBench<'a> {
    bench: GpuBench<'a>,
    period_s: f64,
}

/// A board at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Idle {
    /// How its energy counter moves under load or at rest.
    pub period: CounterPeriod,
    /// Power at rest.
    pub window: EnergyWindow,
}

impl Idle {
    /// Watches the board rest for some seconds.
    ///
    /// # Errors
    ///
    /// If the board does not count energy, or its counter stands still.
    pub fn watch(gpu: &Gpu) -> Result<Self, BenchError> {
        gpu.synchronise()?;
        std::thread::sleep(Duration::from_secs_f64(REST_S));
        let start = Instant::now();
        let mut readings = Vec::new();
        while start.elapsed().as_secs_f64() < SETTLING_S + WINDOW_S + 1.0 {
            readings.push((start.elapsed().as_secs_f64(), energy_mj(gpu)?));
            std::thread::sleep(Duration::from_millis(2));
        }
        let stands = || BenchError::Unmeasurable("the energy counter stands still".to_owned());
        let period = counter_period(&readings).ok_or_else(stands)?;
        let window = energy_window(&readings, 0.0, WINDOW_S).ok_or_else(stands)?;
        Ok(Idle { period, window })
    }
}

fn energy_mj(gpu: &Gpu) -> Result<u64, BenchError> {
    let board = gpu.board().map_err(|error| BenchError::Unmeasurable(error.to_string()))?;
    board.energy_mj().map_err(|error| BenchError::Unmeasurable(error.to_string()))
}

impl<'a> SustainedBench<'a> {
    /// Wraps a bench; `period` is that of the board's energy counter.
    pub fn new(bench: GpuBench<'a>, period: CounterPeriod) -> Self {
        SustainedBench { bench, period_s: period.longest_s }
    }
}

impl Bench for SustainedBench<'_> {
    fn time(&mut self, point: &Point) -> Result<Sample, BenchError> {
        std::thread::sleep(Duration::from_secs_f64(REST_S));
        let captured = self.bench.capture(point, GRAPH_US)?;
        let start = Instant::now();
        let until_s = SETTLING_S + WINDOW_S + 2.0 * self.period_s;
        let mut readings: Vec<(f64, u64)> = Vec::new();
        let mut pending: VecDeque<Event> = VecDeque::new();
        let mut times_us = Vec::new();
        pending.push_back(self.bench.gpu().record()?);
        let mut conditions = self.bench.conditions();
        while start.elapsed().as_secs_f64() < until_s {
            // Two graphs wait behind the one that runs, so that the GPU never does.
            while pending.len() < 4 {
                self.bench.gpu().launch(&captured.graph)?;
                pending.push_back(self.bench.gpu().record()?);
            }
            readings.push((start.elapsed().as_secs_f64(), energy_mj(self.bench.gpu())?));
            if pending[1].is_done()? {
                let first = pending.pop_front();
                let settled = start.elapsed().as_secs_f64() > SETTLING_S;
                if let (Some(first), true) = (first, settled) {
                    times_us.push(first.elapsed_us(&pending[0])? / captured.launches as f64);
                    conditions = self.bench.conditions();
                }
            }
        }
        self.bench.gpu().synchronise()?;
        let window = energy_window(&readings, SETTLING_S, WINDOW_S)
            .ok_or_else(|| BenchError::Unmeasurable("the energy counter stands still".to_owned()))?;
        let power_w = Some(window.power_w());
        Ok(Sample { times_us, power_w, conditions, touched_experts: captured.touched_experts })
    }

    fn elapsed_s(&self) -> f64 {
        self.bench.elapsed_s()
    }
}

/// Points whose power stands for the rest: from memory-bound to compute-bound, of every kind that takes time in a step.
///
/// # Errors
///
/// If a model of the grid is not shipped.
pub fn sustained_points(grid: &Grid, kernel: Kernel) -> Result<Vec<Point>, profiles::ProfileError> {
    let points = super::plan::plan(grid, kernel)?;
    let chosen = |point: &Point| match point {
        // The widest shape of each model's shard that is no language-model head, at rows from decode to prefill, and
        // finely where steps jump.
        Point::Gemm(row) => {
            let shape = matches!((row.n, row.k), (28_672, 4096) | (8192, 8192) | (4096, 14_336));
            shape && matches!(row.m, 1 | 16 | 64 | 256 | 1000 | 1024 | 1025 | 1100 | 4096 | 16_384)
        }
        Point::PrefillAttention(row) => {
            row.requests == 1
                && row.query_heads == 32
                && row.new_tokens >= 1024
                && row.context_tokens <= 4096
                && row.new_tokens.is_multiple_of(4096)
        }
        Point::DecodeAttention(row) => {
            let alike = row.longest_context_tokens * u64::from(row.requests) == row.context_tokens;
            alike && row.query_heads == 32 && matches!(row.requests, 1 | 32 | 256) && row.longest_context_tokens == 4096
        }
        Point::Experts(row) => {
            row.intermediate_size >= 512 && row.routing == "uniform" && matches!(row.tokens, 8 | 64 | 512 | 4096)
        }
        Point::StateSpace(row) => {
            row.heads == 128 && row.groups == 8 && matches!((row.sequences, row.tokens), (4, 16_384) | (64, 64))
        }
        Point::Elementwise(row) => row.rows == 16_384 && row.width == 4096 && row.operation == "copy",
        Point::MixedAttention(_) | Point::Overhead(_) => false,
    };
    Ok(points.into_iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_measured_for_every_kind_that_takes_time_in_a_step() {
        let kinds = [
            Kernel::Gemm,
            Kernel::PrefillAttention,
            Kernel::DecodeAttention,
            Kernel::Experts,
            Kernel::StateSpace,
            Kernel::Elementwise,
        ];
        let counts = kinds.map(|kernel| sustained_points(&Grid::default(), kernel).expect("models are shipped").len());
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
        let total: usize = counts.iter().sum();
        assert!((30..=90).contains(&total), "{total} points of five seconds each");
    }
}
