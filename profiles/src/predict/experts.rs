//! Routed experts of one layer on one GPU: time as a function of tokens, of how many experts they touch, and of how many
//! rows reach these.
//!
//! Tables give times by tokens and by the name of a routing. A name means loads ([`TableRouting::load`]), and measured
//! time is divided by a simple law of these loads (touched weights read, rows computed). The ratio is interpolated between
//! layers at the same number of tokens (universal kriging): layers of one model that is split further
//! are close, and routings of one layer closest. For a step, the ratio is interpolated between routings by touched
//! experts and along the logarithm of tokens, and the law puts in the load of the step.
//!
//! Balanced loads on one of several GPUs that took longer than the largest load of a power law cannot have been balanced;
//! the vLLM 0.24 tables of aiconfigurator have a few such layers. They are left out and counted
//! ([`ExpertsPredictor::contradictory`]).
//!
//! Tables that give the number of touched experts themselves (routing `touched`) are used for the layers they hold.

mod curve;
mod family;
mod law;
mod routing;

pub use curve::ExpertsCurve;
pub use routing::{ExpertsLoad, TableRouting};

use std::collections::BTreeMap;

use super::local::shifts;
use super::roofline::{OperandFormat, Operands, PredictError, Roofline};
use crate::device::DeviceSpec;
use crate::table::ExpertsRow;
use curve::Column;
use family::{Config, Family, Layer};
use law::Law;

/// Nanoseconds per microsecond.
const NS_PER_US: f64 = 1e3;
/// Routings that touch as many experts up to this part count as touching the same.
const SAME_TOUCHED: f64 = 0.02;

/// The routed experts of one layer as one GPU holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpertsShape {
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Width of one expert on this GPU.
    pub intermediate_size: u32,
    /// Experts that each row chooses, of all.
    pub top_k: u32,
    /// Experts of the layer, on all GPUs.
    pub experts: u32,
    /// Experts on this GPU.
    pub local_experts: u32,
}

impl ExpertsShape {
    /// GPUs over which the experts are spread.
    fn gpus(&self) -> u32 {
        (self.experts / self.local_experts.max(1)).max(1)
    }

    /// Whether both are parts of layers of the same kind.
    fn is_model_of(&self, other: &Self) -> bool {
        let kind = |shape: &Self| (shape.hidden_size, shape.top_k, shape.experts);
        kind(self) == kind(other)
    }

    fn of(row: &ExpertsRow) -> Self {
        Self {
            hidden_size: row.hidden_size,
            intermediate_size: row.intermediate_size,
            top_k: row.top_k,
            experts: row.experts,
            local_experts: row.local_experts,
        }
    }
}

/// Predicts experts from measured ones.
#[derive(Clone, Debug)]
pub struct ExpertsPredictor {
    families: BTreeMap<OperandFormat, Family>,
    contradictory: usize,
}

/// Logarithms of times in nanoseconds and how many, by tokens and the bits of the load.
type Times = BTreeMap<u32, BTreeMap<[u64; 2], (ExpertsLoad, f64, f64)>>;

impl ExpertsPredictor {
    /// From the rows of tables of one device, in any order. Of rows with the same shape and load the geometric mean counts.
    ///
    /// # Errors
    ///
    /// The device has no tensor cores for the activations of some row, or a row's routing is unknown, or it is `touched`
    /// and does not say how many, or it has more experts on the GPU than in the layer.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a ExpertsRow>, device: &DeviceSpec) -> Result<Self, PredictError> {
        let mut formats: BTreeMap<OperandFormat, BTreeMap<ExpertsShape, BTreeMap<&str, Times>>> = BTreeMap::new();
        let mut contradictory = 0;
        let mut loads: BTreeMap<(u32, u32, u32, u32, &str), ExpertsLoad> = BTreeMap::new();
        for row in rows {
            let shape = ExpertsShape::of(row);
            if row.local_experts > row.experts {
                return Err(PredictError::TooManyExperts { local: row.local_experts, experts: row.experts });
            }
            let routing: TableRouting = row.routing.parse()?;
            if routing == TableRouting::Touched && row.touched_experts.is_none() {
                return Err(PredictError::NotTouched { tokens: row.tokens });
            }
            let key = (row.top_k, row.experts, row.local_experts, row.tokens, row.routing.as_str());
            let mut load = *loads.entry(key).or_insert_with(|| routing.load(&shape, row.tokens));
            load.touched = row.touched_experts.map_or(load.touched, f64::from);
            let format = OperandFormat { weights: row.weights, activations: row.activations, scaling: row.scaling };
            let layer = formats.entry(format).or_default().entry(shape).or_default();
            let by_tokens = layer.entry(row.routing.as_str()).or_default().entry(row.tokens).or_default();
            let at = by_tokens.entry([load.touched, load.assignments].map(f64::to_bits)).or_insert((load, 0.0, 0.0));
            *at = (load, at.1 + (row.timing.time_us * NS_PER_US).ln(), at.2 + 1.0);
        }
        for (shape, by_routing) in formats.values_mut().flatten() {
            contradictory += leave_out_contradictory(shape, by_routing);
        }
        let family = |(format, layers)| Ok((format, family(format, &layers, Roofline::new(format, device)?)?));
        Ok(Self { families: formats.into_iter().map(family).collect::<Result<_, PredictError>>()?, contradictory })
    }

    /// Rows left out because balanced loads cannot have taken as long.
    pub fn contradictory(&self) -> usize {
        self.contradictory
    }

    /// The formats that have rows.
    pub fn formats(&self) -> impl Iterator<Item = OperandFormat> + '_ {
        self.families.keys().copied()
    }

    /// The time of a layer's experts. `None`: nothing of this format was measured that could speak for it.
    ///
    /// Under a given routing, which must be one that tables name, the ratio of times to the law is that of this routing,
    /// whatever the load. Without one it is interpolated by touched experts between the routings of the table.
    ///
    /// Its evidence is [`Measured`](crate::cost::Evidence::Measured) if the layer was measured under some routing, or if layers of the
    /// same hidden size, number of experts and choices were, with narrower and wider experts and fewer and more of
    /// them on the GPU. Otherwise it takes after the nearest layers, and is extrapolated.
    pub fn for_layer(
        &self,
        format: OperandFormat,
        shape: &ExpertsShape,
        routing: Option<TableRouting>,
        operands: Operands,
    ) -> Option<ExpertsCurve> {
        let family = self.families.get(&format)?;
        let law = family.law(shape);
        let own = family.own(shape);
        let mut columns: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); family.tokens.len()];
        let named = routing.map_or_else(|| family.routings.clone(), |routing| vec![routing]);
        for routing in named {
            for (column, point) in under_routing(family, own, shape, routing).into_iter().enumerate() {
                if let Some((ln_ratio, share)) = point {
                    columns[column].push((routing.load(shape, family.tokens[column]).touched, ln_ratio, share));
                }
            }
        }
        for &(column, load, ln_ratio, share) in own.iter().flat_map(|own| &own.touched) {
            columns[column].push((load.touched, ln_ratio, share));
        }
        let columns: Vec<Column> = (family.tokens.iter().zip(columns))
            .filter(|(_, points)| !points.is_empty())
            .map(|(&tokens, points)| column(tokens, points, f64::from(shape.local_experts)))
            .collect();
        let known: Vec<u32> = match own {
            _ if family.is_between(shape) => family.tokens.clone(),
            Some(own) => own.measured().map(|column| family.tokens[column]).collect(),
            None => Vec::new(),
        };
        (!columns.is_empty()).then(|| ExpertsCurve {
            law,
            measured_tokens: known.iter().min().copied().zip(known.iter().max().copied()),
            places: curve::places(&columns),
            columns,
            cold: operands == Operands::Cold,
        })
    }
}

/// Leaves out a layer's balanced rows on one of several GPUs if at most numbers of tokens a power law's largest load took
/// less than four fifths of their time. Returns how many.
fn leave_out_contradictory(shape: &ExpertsShape, by_routing: &mut BTreeMap<&str, Times>) -> usize {
    let contradicts = |(name, skewed): (&&str, &Times), balanced: &Times| {
        let mean_ns = |times: &BTreeMap<_, (ExpertsLoad, f64, f64)>| {
            let (sum, count) = times.values().fold((0.0, 0.0), |sum, time| (sum.0 + time.1, sum.1 + time.2));
            (sum / count).exp()
        };
        let common: Vec<bool> = balanced
            .iter()
            .filter_map(|(tokens, times)| Some(mean_ns(skewed.get(tokens)?) < 0.8 * mean_ns(times)))
            .collect();
        let faster = common.iter().filter(|faster| **faster).count();
        name.starts_with("power_law_") && 2 * faster > common.len()
    };
    let wrong = match by_routing.get("balanced") {
        Some(balanced) if shape.gpus() > 1 => by_routing.iter().any(|other| contradicts(other, balanced)),
        _ => false,
    };
    if wrong { by_routing.remove("balanced").map_or(0, |times| times.len()) } else { 0 }
}

fn family(
    format: OperandFormat,
    layers: &BTreeMap<ExpertsShape, BTreeMap<&str, Times>>,
    roofline: Roofline,
) -> Result<Family, PredictError> {
    let all = || layers.values().flat_map(BTreeMap::iter);
    let mut tokens: Vec<u32> = all().flat_map(|(_, times)| times.keys().copied()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let mut names: Vec<&str> = all().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let mut routings: Vec<TableRouting> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    routings.retain(|routing| *routing != TableRouting::Touched);
    routings.sort_by(|a, b| a.skew().total_cmp(&b.skew()));
    let layers = layers
        .iter()
        .map(|(shape, by_routing)| layer(*shape, by_routing, &tokens, Law::new(shape, format.activations, &roofline)))
        .collect::<Result<_, _>>()?;
    Ok(Family { format, roofline, tokens, layers, routings })
}

fn layer(
    shape: ExpertsShape,
    by_routing: &BTreeMap<&str, Times>,
    tokens: &[u32],
    law: Law,
) -> Result<Layer, PredictError> {
    let mut layer = Layer { shape, configs: Vec::new(), touched: Vec::new() };
    for (name, times) in by_routing {
        let routing: TableRouting = name.parse()?;
        let mut config =
            Config { routing, ln_ratio: vec![f64::NAN; tokens.len()], bound_share: vec![1.0; tokens.len()] };
        for (column, tokens) in tokens.iter().enumerate() {
            let at = times.get(tokens).into_iter().flat_map(BTreeMap::values);
            let ratios = at.map(|&(load, sum, count)| {
                let ln_ns = sum / count;
                (load, ln_ns - law.ns(load).ln(), (ln_ns.exp() / law.bound_ns(load)).min(1.0))
            });
            if routing == TableRouting::Touched {
                layer.touched.extend(ratios.map(|(load, ln_ratio, share)| (column, load, ln_ratio, share)));
                continue;
            }
            let ratios: Vec<_> = ratios.collect();
            if !ratios.is_empty() {
                config.ln_ratio[column] = ratios.iter().map(|ratio| ratio.1).sum::<f64>() / ratios.len() as f64;
                config.bound_share[column] = ratios.iter().map(|ratio| ratio.2).fold(1.0, f64::min);
            }
        }
        if routing != TableRouting::Touched {
            layer.configs.push(config);
        }
    }
    Ok(layer)
}

/// The logarithm of time over the law's and the share of the roofline at each number of tokens: measured ones, and
/// between them what neighbours show, shifted to pass through them.
fn under_routing(
    family: &Family,
    own: Option<&Layer>,
    shape: &ExpertsShape,
    routing: TableRouting,
) -> Vec<Option<(f64, f64)>> {
    let predicted = family.predict(shape, routing);
    let config = own.and_then(|layer| layer.configs.iter().find(|config| config.routing == routing));
    let Some(config) = config else { return predicted };
    let octaves: Vec<f64> = family.tokens.iter().map(|&tokens| f64::from(tokens).log2()).collect();
    let shifts =
        shifts(&octaves, &config.ln_ratio, &predicted.iter().map(|point| Some(point.as_ref()?.0)).collect::<Vec<_>>());
    let at = |column: usize| {
        let measured = config.ln_ratio[column];
        if measured.is_finite() {
            return Some((measured, config.bound_share[column]));
        }
        let (ln_ratio, bound_share) = predicted[column]?;
        Some((ln_ratio + shifts[column]?, bound_share))
    };
    (0..family.tokens.len()).map(at).collect()
}

/// Points `(touched, logarithm of the ratio, share of the roofline)` in order, those that touch as many merged.
fn column(tokens: u32, mut points: Vec<(f64, f64, f64)>, local_experts: f64) -> Column {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let bound_share = points.iter().map(|point| point.2).fold(1.0, f64::min);
    let same = |a: &(f64, f64, f64), b: &(f64, f64, f64)| b.0 - a.0 <= SAME_TOUCHED * local_experts;
    let mean = |group: &[(f64, f64, f64)]| {
        let sum = group.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / group.len() as f64, (sum.1 / group.len() as f64).exp())
    };
    let points = points.chunk_by(same).map(mean).collect();
    Column { tokens, points, bound_share }
}
