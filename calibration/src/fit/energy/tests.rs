use profiles::DType;
use profiles::fitted::{FitError, KernelFormat, Surface};
use profiles::table::{DecodeAttentionRow, Timing};

use super::*;

const RANGE: KernelRange = KernelRange { idle_w: 70.0, limit_w: 700.0 };

fn readings(energy: KernelEnergy) -> Vec<Reading> {
    let rates = (0..10).flat_map(|i| (0..10).map(move |j| [1.0, f64::from(i) / 20.0, f64::from(j) / 15.0]));
    rates.map(|rates| Reading { rates, power_w: RANGE.watts(energy, rates) }).collect()
}

#[test]
fn coefficients_are_recovered_beside_wild_readings() {
    let energy = KernelEnergy { busy: 0.2, flops: 0.5, memory: 0.4 };
    let mut readings = readings(energy);
    for reading in readings.iter_mut().step_by(9) {
        reading.power_w *= 1.5;
    }
    let (found, spread) = fit(&readings, RANGE).expect("enough readings");
    for (found, expected) in [(found.busy, 0.2), (found.flops, 0.5), (found.memory, 0.4)] {
        assert!((found - expected).abs() < 0.02, "{found} instead of {expected}");
    }
    assert!(spread.median < 1.0, "{spread:?}");
}

/// Decode attention on `device`: pools of 2 to 2048 MiB, the larger the longer.
fn decode_rows(device: &DeviceSpec, power_w: impl Fn(f64) -> f64) -> Vec<DecodeAttentionRow> {
    let row = |step: u32| {
        let context_tokens = 1024 * u64::from(1 + step * step);
        let bytes = (context_tokens * 2 * 8 * 128 * 2) as f64;
        let time_us = bytes / device.memory_bandwidth * 1e6 / 0.8;
        DecodeAttentionRow {
            requests: 16,
            context_tokens,
            longest_context_tokens: context_tokens.div_ceil(16),
            query_heads: 32,
            kv_heads: 8,
            head_dim: 128,
            window: 0,
            activations: DType::Bf16,
            kv_cache: DType::Bf16,
            timing: Timing { power_w: Some(power_w(time_us)), ..Timing::of_us(time_us) },
        }
    };
    (1..80).map(row).collect()
}

#[test]
fn short_kernels_whose_readings_hold_pauses_do_not_count() {
    let device = DeviceSpec::shipped("H200-SXM-141GB").expect("it is shipped");
    let rows = decode_rows(&device, |time_us| if time_us < 400.0 { 300.0 } else { 550.0 });
    let error_percent = FitError { median: 0.0, p95: 0.0, bias: 0.0, mean: 0.0 };
    let kernel = FittedKernel {
        format: KernelFormat::Bf16,
        floor_us: 10.0,
        source: String::new(),
        rows: 0,
        left_out: String::new(),
        error_percent,
        surface: Surface { terms: Vec::new() },
    };
    let readings = super::readings(&rows, &[kernel], &device);
    assert!(readings.len() > FEWEST_ROWS && readings.len() < rows.len(), "{} of {}", readings.len(), rows.len());
    assert!(readings.iter().all(|reading| reading.power_w > 500.0), "{readings:?}");
}

#[test]
fn a_rate_that_stays_far_from_its_peak_has_no_coefficient() {
    let low = (0..100).map(|i| {
        let flops = 0.001 * f64::from(i % 20);
        let rates = [1.0, flops, f64::from(i) / 120.0];
        Reading { rates, power_w: 300.0 + 200.0 * rates[2] + 5000.0 * flops }
    });
    let (found, _) = fit(&low.collect::<Vec<_>>(), RANGE).expect("enough readings");
    assert!(found.flops == 0.0 && found.busy > 0.3 && found.memory > 0.2, "{found:?}");
}

#[test]
fn no_coefficient_is_negative_where_power_falls_with_a_rate() {
    let falling = (0..40).map(|i| {
        let rates = [1.0, 0.2, f64::from(i) / 50.0];
        Reading { rates, power_w: 400.0 - f64::from(i) }
    });
    let (found, _) = fit(&falling.collect::<Vec<_>>(), RANGE).expect("enough readings");
    assert!(found.busy >= 0.0 && found.flops >= 0.0 && found.memory == 0.0, "{found:?}");
}
