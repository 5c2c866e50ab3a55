//! How long matrix products take: by a device's fitted profile, or by the curve of its architecture.

use super::Evidence;
use super::efficiency::GemmCurve as TileCurve;
use super::load::{ACTIVATION_BYTES, Basis, GemmOperands, NS_PER_S, NS_PER_US};
use crate::device::DeviceSpec;
use crate::fitted::{CompiledGemm, FittedKernel, GemmShape};
use crate::predict::GemmCurve;

/// Time of a product by its number of rows.
#[derive(Clone, Debug)]
pub(super) enum GemmTime {
    /// By the curve of an architecture.
    Curve(TiledGemm),
    /// By the fitted profile of the device.
    Fitted(Box<CompiledGemm>),
    /// Between measured products.
    Measured(Box<GemmCurve>),
}

impl GemmTime {
    /// By the fitted profile of the device.
    pub(super) fn fitted(n: f64, k: f64, operands: GemmOperands, kernel: &FittedKernel, device: &DeviceSpec) -> Self {
        let GemmOperands { weight_bytes, activation_bytes, peak } = operands;
        let shape = GemmShape { n, k, weight_bytes, activation_bytes, peak };
        Self::Fitted(Box::new(CompiledGemm::new(shape, kernel.floor_us * NS_PER_US, &kernel.surface, device)))
    }

    /// Nanoseconds for so many rows, and what they come from.
    pub(super) fn ns(&self, rows: u32) -> (f64, Basis) {
        match self {
            Self::Curve(tiled) => (tiled.ns(rows), Basis::Curve),
            Self::Fitted(compiled) => (compiled.time_ns(rows), Basis::Curve),
            Self::Measured(measured) => {
                let (ns, evidence) = measured.ns(rows);
                let basis = match evidence {
                    Evidence::Measured => Basis::Measured,
                    Evidence::Fitted => Basis::Corrected,
                    Evidence::Extrapolated => Basis::Beyond,
                };
                (ns, basis)
            }
        }
    }
}

/// The fastest of several tilings, beside memory.
#[derive(Clone, Debug)]
pub(super) struct TiledGemm {
    floor_ns: f64,
    weight_bytes: f64,
    bytes_per_row: f64,
    ns_per_byte: f64,
    /// Part of a last wave that idle SMs waste.
    wave: f64,
    tiles: Vec<Tile>,
}

/// A way to cut the output into tiles.
#[derive(Clone, Debug)]
struct Tile {
    rows: f64,
    /// Used for row counts up to this.
    max_rows: u32,
    /// Tiles side by side ÷ SMs: waves per row of tiles.
    waves_per_tile_row: f64,
    ns_per_wave: f64,
}

impl TiledGemm {
    pub(super) fn new(n: f64, k: f64, operands: GemmOperands, curve: &TileCurve, device: &DeviceSpec) -> Self {
        let sms = f64::from(device.sms);
        let tile = |rows: u32, columns: u32, efficiency: f64, max_rows: u32| Tile {
            rows: f64::from(rows),
            max_rows,
            waves_per_tile_row: (n / f64::from(columns)).ceil() / sms,
            ns_per_wave: 2.0 * f64::from(rows * columns) * (k + curve.prologue_k) * sms / (operands.peak * efficiency)
                * NS_PER_S,
        };
        let large =
            [256, 128, 64, 32].into_iter().zip(curve.tiles_128).map(|(columns, e)| tile(128, columns, e, u32::MAX));
        // cuBLAS keeps to tiles of 128 rows and more above 256 rows; a few rows go through tensor cores 16 at a time.
        let small = |rows: u32, max_rows: u32| {
            [128, 64, 32].into_iter().zip(curve.tiles_64).map(move |(columns, e)| tile(rows, columns, e, max_rows))
        };
        Self {
            floor_ns: curve.floor_us * NS_PER_US,
            weight_bytes: n * k * operands.weight_bytes,
            bytes_per_row: k * operands.activation_bytes + n * ACTIVATION_BYTES,
            ns_per_byte: NS_PER_S / (device.memory_bandwidth * curve.memory),
            wave: curve.wave,
            tiles: large.chain(small(64, 256)).chain(small(16, 64)).collect(),
        }
    }

    fn ns(&self, rows: u32) -> f64 {
        let exact_rows = f64::from(rows);
        let memory = (self.weight_bytes + exact_rows * self.bytes_per_row) * self.ns_per_byte;
        let mut compute = f64::INFINITY;
        for tile in &self.tiles {
            if rows <= tile.max_rows {
                let waves = (exact_rows / tile.rows).ceil() * tile.waves_per_tile_row;
                let waves = (self.wave * waves.ceil() + (1.0 - self.wave) * waves).max(1.0);
                compute = compute.min(waves * tile.ns_per_wave);
            }
        }
        let (memory, compute) = (memory * memory, compute * compute);
        self.floor_ns + (memory * memory + compute * compute).sqrt().sqrt()
    }
}
