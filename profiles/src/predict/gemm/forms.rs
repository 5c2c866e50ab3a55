//! Simple laws of a matrix product's time. What is interpolated between measured shapes is the ratio to such a law: the
//! better it fits, the smoother the ratio.

use super::super::roofline::Roofline;

/// A law.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// None: times themselves are interpolated.
    Flat,
    /// The larger of reading and computing.
    Roofline,
    /// The larger of reading and computing whole waves of tiles of so many rows and columns.
    Waves(f64, f64),
}

/// Those tried; each row count uses the mixture that predicts the visible shapes best.
pub(super) const FORMS: [Form; 5] =
    [Form::Roofline, Form::Flat, Form::Waves(64.0, 64.0), Form::Waves(64.0, 128.0), Form::Waves(128.0, 128.0)];

/// Typical of kernels on GPUs since Volta. They need no fit: an error here moves the ratio of all shapes alike.
const FLOOR_NS: f64 = 3_500.0;
const BANDWIDTH_SHARE: f64 = 0.86;
const PEAK_SHARE: f64 = 0.7;
/// Inner length that a tile's start and end cost.
const PROLOGUE_K: f64 = 128.0;

impl Form {
    /// Nanoseconds of `y[m, n] = x[m, k] · w[k, n]` by this law.
    pub(super) fn ns(self, m: f64, n: f64, k: f64, roofline: &Roofline) -> f64 {
        let ns_per_flop = roofline.ns_per_flop / PEAK_SHARE;
        let compute = match self {
            Self::Flat => return 1.0,
            Self::Roofline => flops(m, n, k) * ns_per_flop,
            Self::Waves(rows, columns) => {
                let tiles = (m / rows).ceil() * (n / columns).ceil();
                let waves = (tiles / roofline.sms).ceil();
                waves * roofline.sms * flops(rows, columns, k + PROLOGUE_K) * ns_per_flop
            }
        };
        FLOOR_NS + compute.max(bytes(m, n, k, roofline) * roofline.ns_per_byte / BANDWIDTH_SHARE)
    }
}

/// Operations of a product.
pub(super) fn flops(m: f64, n: f64, k: f64) -> f64 {
    2.0 * m * n * k
}

/// Bytes that a product must move: weights and activations once, and 16-bit results.
pub(super) fn bytes(m: f64, n: f64, k: f64, roofline: &Roofline) -> f64 {
    n * k * roofline.weight_bytes + m * (k * roofline.activation_bytes + n * 2.0)
}
