//! Matrix products: time as a function of rows, for any columns and inner length.
//!
//! Libraries pick among dozens of kernels by shape, so no short law gives a product's time to a few percent, and the
//! measured neighbours of a shape do. A shape that is not in the table is interpolated row count by row count between
//! its measured neighbours in the logarithms of columns and inner length (universal kriging). What is
//! interpolated is the ratio to a simple law, or rather to several, roofline and whole waves of tiles, mixed at each row
//! count as they predict visible shapes best: waves where the library's kernels show waves, and none where they do not.
//!
//! A shape of which the table has some row counts keeps them exactly; between them it follows its neighbours' ups and
//! downs, shifted to pass through its own points. Rows in whole tiles are not averaged across tiles.
//!
//! A measurement that took half as long again as a larger product and as those with the next fewer and more rows is left
//! out and counted ([`GemmPredictor::disturbed`]).

mod curve;
mod family;
mod forms;

pub use curve::GemmCurve;

use std::collections::BTreeMap;

use super::local::shifts;
use super::roofline::{OperandFormat, Operands, PredictError, Roofline};
use crate::device::DeviceSpec;
use crate::table::GemmRow;
use curve::Point;
use family::Family;
use forms::{bytes, flops};

/// Nanoseconds per microsecond.
const NS_PER_US: f64 = 1e3;
/// Octaves within which measured shapes on all sides make a shape lie between them.
const BETWEEN_OCTAVES: f64 = 2.0;
/// Rows up to which a product whose weights exceed the L2 cache does little but read them.
const READING_ROWS: f64 = 16.0;

/// Predicts products from measured ones.
#[derive(Clone, Debug)]
pub struct GemmPredictor {
    families: BTreeMap<OperandFormat, Family>,
}

/// Sums of logarithms of times and how many, by rows.
type Sums = BTreeMap<u32, (f64, f64)>;

impl GemmPredictor {
    /// From the rows of tables of one device, in any order. Of rows with the same shape the geometric mean counts.
    ///
    /// # Errors
    ///
    /// The device has no tensor cores for the activations of some row.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a GemmRow>, device: &DeviceSpec) -> Result<Self, PredictError> {
        let mut formats: BTreeMap<OperandFormat, BTreeMap<(u32, u32), Sums>> = BTreeMap::new();
        for row in rows {
            let format = OperandFormat { weights: row.weights, activations: row.activations, scaling: row.scaling };
            let at = formats.entry(format).or_default().entry((row.n, row.k)).or_default().entry(row.m).or_default();
            *at = (at.0 + (row.timing.time_us * NS_PER_US).ln(), at.1 + 1.0);
        }
        let families = formats.into_iter().map(|(format, shapes)| {
            let mean = |(m, (sum, count)): (u32, (f64, f64))| (m, (sum / count).exp());
            let times = shapes.into_iter().map(|(shape, by_rows)| (shape, by_rows.into_iter().map(mean).collect()));
            Ok((format, Family::new(&times.collect(), Roofline::new(format, device)?)))
        });
        Ok(Self { families: families.collect::<Result<_, _>>()? })
    }

    /// The formats that have rows.
    pub fn formats(&self) -> impl Iterator<Item = OperandFormat> + '_ {
        self.families.keys().copied()
    }

    /// Rows left out because a product no smaller in any dimension took less than two thirds of their time, and so did the
    /// same product with the next fewer and the next more rows.
    pub fn disturbed(&self) -> usize {
        self.families.values().map(|family| family.disturbed).sum()
    }

    /// The same from tables in which no row count takes longer than a larger one of the same product: what disturbs a
    /// measurement only adds to it, and the smaller product is a part of the larger. Shapes between the measured ones then
    /// do not inherit row counts for which the library's heuristics picked badly.
    #[must_use]
    pub fn lower_envelope(mut self) -> Self {
        self.families.values_mut().for_each(Family::lower_envelope);
        self
    }

    /// The time of products with `n` columns and inner length `k` by rows. `None`: no product of this format was
    /// measured.
    ///
    /// Its evidence is [`Measured`](crate::cost::Evidence::Measured) if the shape was, or lies between measured shapes: some no larger
    /// and some no smaller in columns as in inner length, in all four combinations, within two octaves. Otherwise it takes
    /// after the nearest shapes as the laws go on, and is extrapolated.
    pub fn for_shape(&self, format: OperandFormat, n: u32, k: u32, operands: Operands) -> Option<GemmCurve> {
        let family = self.families.get(&format)?;
        let own = family.groups.binary_search_by_key(&(n, k), |group| (group.n, group.k)).ok();
        compile(family, own, n, k, operands)
    }
}

fn compile(family: &Family, own: Option<usize>, n: u32, k: u32, operands: Operands) -> Option<GemmCurve> {
    let between = is_between(family, n, k);
    let predicted = family.predict(n, k, own, between);
    let measured: Vec<f64> = match own {
        Some(own) => family.groups[own].ln_ns.clone(),
        None => vec![f64::NAN; family.rows.len()],
    };
    let octaves: Vec<f64> = family.rows.iter().map(|&rows| f64::from(rows).log2()).collect();
    let shifts =
        shifts(&octaves, &measured, &predicted.iter().map(|point| Some(point.as_ref()?.ln_ns)).collect::<Vec<_>>());
    let point = |(column, &rows): (usize, &u32)| {
        if measured[column].is_finite() {
            let bound_share = own.map_or(1.0, |own| family.bound_share(own, column));
            return Some(Point { rows, ns: measured[column].exp(), bound_share });
        }
        let (predicted, shift) = (predicted[column]?, shifts[column]?);
        Some(Point { rows, ns: (predicted.ln_ns + shift).exp(), bound_share: predicted.bound_share })
    };
    let points: Vec<Point> = family.rows.iter().enumerate().filter_map(point).collect();
    let cold_ns = match operands {
        Operands::AsMeasured => None,
        Operands::Cold => Some(cold_ns(family, n, k)),
    };
    let rows = |columns: &mut dyn Iterator<Item = usize>| columns.map(|column| family.rows[column]).collect::<Vec<_>>();
    let known = match own {
        _ if between => family.rows.clone(),
        Some(own) => rows(&mut (0..family.rows.len()).filter(|&column| family.groups[own].ln_ns[column].is_finite())),
        None => Vec::new(),
    };
    (!points.is_empty()).then(|| GemmCurve {
        n: f64::from(n),
        k: f64::from(k),
        roofline: family.roofline,
        measured_rows: known.first().zip(known.last()).map(|(&first, &last)| (first, last)),
        points,
        cold_ns,
    })
}

/// Whether measured shapes lie on all sides.
fn is_between(family: &Family, n: u32, k: u32) -> bool {
    let [x, y] = family::place(n, k);
    let mut sides = [false; 4];
    for group in &family.groups {
        let [gx, gy] = group.place();
        if (gx - x).abs() <= BETWEEN_OCTAVES && (gy - y).abs() <= BETWEEN_OCTAVES {
            for (side, seen) in sides.iter_mut().enumerate() {
                let (right, upper) = (side % 2 == 1, side / 2 == 1);
                *seen |= if right { gx >= x } else { gx <= x } && if upper { gy >= y } else { gy <= y };
            }
        }
    }
    sides == [true; 4]
}

/// Time that a product needs at least if its weights have to come from device memory: the least that any product takes
/// beside its roofline, and the weights at the bandwidth that the best products with few rows and more weights than fit
/// into four L2 caches reach (the upper decile). Where the table has none of these, at that of the datasheet.
fn cold_ns(family: &Family, n: u32, k: u32) -> f64 {
    let roofline = &family.roofline;
    let weights_ns = |n: u32, k: u32| bytes(0.0, f64::from(n), f64::from(k), roofline) * roofline.ns_per_byte;
    let beside = |group: &family::Group| {
        let roofline_ns = |rows: u32| {
            let (m, n, k) = (f64::from(rows), f64::from(group.n), f64::from(group.k));
            roofline.bound_ns(flops(m, n, k), bytes(m, n, k, roofline))
        };
        let times = family.rows.iter().zip(&group.ln_ns).filter(|(_, ln_ns)| ln_ns.is_finite());
        times.map(|(&rows, ln_ns)| (ln_ns.exp() - roofline_ns(rows)).max(0.0)).fold(f64::INFINITY, f64::min)
    };
    let floor_ns = family.groups.iter().map(beside).fold(f64::INFINITY, f64::min);
    let large = |group: &&family::Group| weights_ns(group.n, group.k) > 4.0 * roofline.l2_bytes * roofline.ns_per_byte;
    let few = |column: &usize| f64::from(family.rows[*column]) <= READING_ROWS;
    let shares = family.groups.iter().filter(large).flat_map(|group| {
        let reading = (0..family.rows.len()).filter(few).filter(|&column| group.ln_ns[column].is_finite());
        reading.map(|column| weights_ns(group.n, group.k) / (group.ln_ns[column].exp() - floor_ns))
    });
    let mut shares: Vec<f64> = shares.collect();
    shares.sort_unstable_by(f64::total_cmp);
    let share = shares.get(shares.len() * 9 / 10).copied().unwrap_or(1.0);
    floor_ns + weights_ns(n, k) / if share < 1.0 { share } else { 1.0 }
}
