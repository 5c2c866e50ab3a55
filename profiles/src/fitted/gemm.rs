//! Matrix products.

use super::feature::{Feature, Point};
use super::surface::{Line, Sheet, Surface};
use crate::device::DeviceSpec;

const NS_PER_S: f64 = 1e9;
/// Bytes of an output element: 16 bits.
const OUTPUT_BYTES: f64 = 2.0;
/// Rows of the output tiles by which waves are counted, and columns of the narrow and of the wide ones.
const TILE: f64 = 128.0;
const WIDE_TILE: f64 = 256.0;

/// The weights of a product `y[m, n] = x[m, k] · w[k, n]` on a device.
#[derive(Clone, Copy, Debug)]
pub struct GemmShape {
    /// Columns.
    pub n: f64,
    /// Length of the inner products.
    pub k: f64,
    /// Bytes of an element of the weights.
    pub weight_bytes: f64,
    /// Bytes of an element of the activations.
    pub activation_bytes: f64,
    /// Peak of the device for these formats, in operations per second.
    pub peak: f64,
}

impl GemmShape {
    /// The features that its surface may have.
    pub const FEATURES: [Feature; 7] = [
        Feature::Rows,
        Feature::Columns,
        Feature::Depth,
        Feature::Waves,
        Feature::WaveFill,
        Feature::WideWaves,
        Feature::WideWaveFill,
    ];

    /// Bytes read and written for `m` rows.
    pub fn bytes(&self, m: f64) -> f64 {
        self.n * self.k * self.weight_bytes + m * (self.k * self.activation_bytes + self.n * OUTPUT_BYTES)
    }

    /// What the correction is applied to: `floor + ⁴√(compute⁴ + memory⁴)`, in nanoseconds. Compute is at the peak with
    /// rows in whole tiles (of 16 rows up to 64, of 64 up to 256, else of 128), memory at the peak bandwidth.
    pub fn base_ns(&self, m: f64, floor_ns: f64, device: &DeviceSpec) -> f64 {
        let tile_rows = if m > 256.0 {
            TILE
        } else if m > 64.0 {
            64.0
        } else {
            16.0
        };
        let rows = (m / tile_rows).ceil() * tile_rows;
        let compute = 2.0 * rows * self.n * self.k / self.peak * NS_PER_S;
        let memory = self.bytes(m) / device.memory_bandwidth * NS_PER_S;
        let (compute, memory) = (compute * compute, memory * memory);
        floor_ns + (compute * compute + memory * memory).sqrt().sqrt()
    }

    /// What the correction depends on.
    pub fn point(&self, m: f64, device: &DeviceSpec) -> Point {
        let waves = |columns: f64| (m / TILE).ceil() * (self.n / columns).ceil() / f64::from(device.sms);
        let fill = |waves: f64| if waves < 1.0 { 1.0 } else { waves.ceil() / waves };
        let (narrow, wide) = (waves(TILE), waves(WIDE_TILE));
        Point::default()
            .with(Feature::Rows, m)
            .with(Feature::Columns, self.n)
            .with(Feature::Depth, self.k)
            .with(Feature::Waves, narrow)
            .with(Feature::WaveFill, fill(narrow))
            .with(Feature::WideWaves, wide)
            .with(Feature::WideWaveFill, fill(wide))
    }
}

/// A product compiled for its weights.
#[derive(Clone, Debug)]
pub(crate) struct CompiledGemm {
    shape: GemmShape,
    floor_ns: f64,
    device: DeviceSpec,
    by_rows: Line,
    by_waves: Sheet,
    by_wide_waves: Sheet,
}

impl CompiledGemm {
    pub(crate) fn new(shape: GemmShape, floor_ns: f64, surface: &Surface, device: &DeviceSpec) -> Self {
        let (narrow, wide) = ([Feature::Waves, Feature::WaveFill], [Feature::WideWaves, Feature::WideWaveFill]);
        let free = [Feature::Rows, narrow[0], narrow[1], wide[0], wide[1]];
        let (by_rows, by_waves) = surface.fix(&shape.point(1.0, device), &free).split(&[Feature::Rows]);
        let (by_wide_waves, by_waves) = by_waves.split(&wide);
        Self {
            shape,
            floor_ns,
            device: device.clone(),
            by_rows: by_rows.line(Feature::Rows),
            by_waves: by_waves.sheet(narrow[0], narrow[1]),
            by_wide_waves: by_wide_waves.sheet(wide[0], wide[1]),
        }
    }

    pub(crate) fn time_ns(&self, rows: u32) -> f64 {
        let m = f64::from(rows);
        let point = self.shape.point(m, &self.device);
        let correction = self.by_rows.at(point.log2(Feature::Rows))
            + self.by_waves.at(point.log2(Feature::Waves), point.log2(Feature::WaveFill))
            + self.by_wide_waves.at(point.log2(Feature::WideWaves), point.log2(Feature::WideWaveFill));
        self.shape.base_ns(m, self.floor_ns, &self.device) * correction.exp()
    }
}
