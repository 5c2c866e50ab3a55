//! Small kernels: norms, rotary embedding, activations, sampling.

use std::collections::BTreeMap;

use super::series::Series;
use crate::table::ElementwiseRow;

/// Small kernels of a device by what they do.
#[derive(Clone, Debug, Default)]
pub(crate) struct SmallKernels {
    /// By operation: by width, ascending, the times over rows.
    operations: BTreeMap<String, Vec<(u32, Series)>>,
}

/// One small kernel at one width, ready to be asked for any number of rows.
#[derive(Clone, Debug)]
pub(crate) struct SmallKernel {
    width: f64,
    /// The neighbours in width, each with its part; their parts add up to 1.
    neighbours: Vec<(f64, f64, Series)>,
}

impl SmallKernels {
    pub(crate) fn new(rows: &[ElementwiseRow]) -> Self {
        let mut points: BTreeMap<(String, u32), Vec<(f64, f64)>> = BTreeMap::new();
        for row in rows {
            let key = (row.operation.clone(), row.width);
            points.entry(key).or_default().push((f64::from(row.rows), row.timing.time_us * 1e3));
        }
        let mut operations: BTreeMap<String, Vec<(u32, Series)>> = BTreeMap::new();
        for ((operation, width), mut points) in points {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points.dedup_by_key(|point| point.0);
            if let Some(series) = Series::new(points) {
                operations.entry(operation).or_default().push((width, series));
            }
        }
        Self { operations }
    }

    /// The kernel that does `operation` on rows of `width` elements: measured at this width, or between two widths. `None`
    /// if neither was.
    pub(crate) fn find(&self, operation: &str, width: u32) -> Option<SmallKernel> {
        let widths = self.operations.get(operation)?;
        let right = widths.partition_point(|(measured, _)| *measured < width);
        let (above, series) = widths.get(right)?;
        let neighbours = if *above == width {
            vec![(f64::from(width), 1.0, series.clone())]
        } else {
            let (below, smaller) = widths.get(right.checked_sub(1)?)?;
            let log = |width: u32| f64::from(width).ln();
            let part = (log(width) - log(*below)) / (log(*above) - log(*below));
            vec![(f64::from(*below), 1.0 - part, smaller.clone()), (f64::from(*above), part, series.clone())]
        };
        Some(SmallKernel { width: f64::from(width), neighbours })
    }
}

impl SmallKernel {
    /// Time for `rows` rows in nanoseconds, and whether it lies between measured ones. `base` is the time by rows that
    /// stands in beyond them.
    ///
    /// A kernel of another width is asked for as many elements.
    pub(crate) fn ns(&self, rows: u32, base: impl Fn(f64) -> f64) -> (f64, bool) {
        let mut ns = 0.0;
        let mut measured = true;
        for (width, part, series) in &self.neighbours {
            let scale = self.width / width;
            let (time_ns, inside) = series.at(f64::from(rows) * scale, |there| base(there / scale));
            ns += part * time_ns;
            measured &= inside;
        }
        (ns, measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Timing;

    /// `2 us + elements / 1000 ns`, measured at some widths.
    fn kernels() -> SmallKernels {
        let mut rows = Vec::new();
        for width in [1024, 4096] {
            for count in [1, 64, 4096] {
                let time_us = 2.0 + f64::from(count * width) * 1e-6;
                let timing = Timing::of_us(time_us);
                let bytes = u64::from(4 * count * width);
                rows.push(ElementwiseRow { operation: "rms_norm".into(), rows: count, width, bytes, timing });
            }
        }
        SmallKernels::new(&rows)
    }

    fn near(found: (f64, bool), expected: (f64, bool)) {
        assert!((found.0 - expected.0).abs() < 1e-6 && found.1 == expected.1, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn a_linear_law_is_met_at_and_between_measured_widths() {
        let base = |rows: f64| 2000.0 + rows * 2048.0 * 1e-3;
        near(kernels().find("rms_norm", 4096).expect("measured").ns(100, base), (2000.0 + 409.6, true));
        near(kernels().find("rms_norm", 2048).expect("between").ns(100, base), (2000.0 + 204.8, true));
    }

    #[test]
    fn what_lies_outside_is_not_measured() {
        assert!(kernels().find("rms_norm", 512).is_none());
        assert!(kernels().find("rms_norm", 8192).is_none());
        assert!(kernels().find("rotary", 1024).is_none());
        let beyond = kernels().find("rms_norm", 4096).expect("measured").ns(8192, |rows| rows);
        near(beyond, ((2000.0 + 4096.0 * 4.096) * 2.0, false));
    }
}
