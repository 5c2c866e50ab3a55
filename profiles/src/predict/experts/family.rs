//! Layers of one format, and how well they predict each other.

use super::super::local;
use super::super::roofline::{OperandFormat, Roofline};
use super::ExpertsShape;
use super::law::Law;
use super::routing::{ExpertsLoad, TableRouting};

/// Layers around one that speak for it.
const NEIGHBOURS: usize = 14;
/// Octaves of widths over which layers stop resembling each other.
const NEAR: f64 = 1.0;
const FAR: f64 = 3.0;
/// How much of what layers share belongs to their routing.
const ROUTING_SHARE: f64 = 1.0;
/// By how much routings grow unlike per unit of skew, as a logarithm.
const PER_SKEW: f64 = 1.2;
/// Variance that repetitions do not share, relative to what layers share.
const NOISE: f64 = 0.003;
/// The same where loads were drawn at random and the GPU with the largest was timed: another draw, another load.
const DRAWN_NOISE: f64 = 0.05;

/// One layer under one routing.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) routing: TableRouting,
    /// At each number of tokens of the family, the logarithm of time over the law's; NaN where not measured.
    pub(super) ln_ratio: Vec<f64>,
    /// Of time over the roofline; at most 1, and 1 where not measured.
    pub(super) bound_share: Vec<f64>,
}

impl Config {
    fn ratios(&self) -> impl Iterator<Item = (usize, &f64)> {
        self.ln_ratio.iter().enumerate()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) shape: ExpertsShape,
    pub(super) configs: Vec<Config>,
    /// Rows whose number of touched experts alone is known: column, load, logarithm of the ratio, share of the roofline.
    pub(super) touched: Vec<(usize, ExpertsLoad, f64, f64)>,
}

impl Layer {
    fn place_under(&self, routing: TableRouting) -> Place {
        let drawn = matches!(routing, TableRouting::PowerLaw(_)) && self.shape.gpus() > 1;
        (place(&self.shape), routing, if drawn { DRAWN_NOISE } else { NOISE })
    }

    /// Numbers of tokens, as indices into those of the family, at which something was measured; some repeatedly.
    pub(super) fn measured(&self) -> impl Iterator<Item = usize> + '_ {
        let finite = |(column, ln_ratio): (usize, &f64)| ln_ratio.is_finite().then_some(column);
        let of = move |config| Config::ratios(config).filter_map(finite);
        self.configs.iter().flat_map(of).chain(self.touched.iter().map(|touched| touched.0))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) format: OperandFormat,
    pub(super) roofline: Roofline,
    /// Numbers of tokens, ascending.
    pub(super) tokens: Vec<u32>,
    /// Ascending in shape.
    pub(super) layers: Vec<Layer>,
    /// Routings by name, ascending in skew.
    pub(super) routings: Vec<TableRouting>,
}

/// What layers are told apart by: octaves, scaled. Another hidden size or number of experts is another model, with
/// kernels tuned for it; fewer experts on a GPU or narrower ones are the same model, split further.
fn place(shape: &ExpertsShape) -> [f64; 5] {
    let octaves = |count: u32| f64::from(count).log2();
    [
        octaves(shape.hidden_size),
        octaves(shape.intermediate_size) / 3.0,
        octaves(shape.local_experts) / 3.0,
        octaves(shape.experts),
        octaves(shape.top_k),
    ]
}

fn distance(a: &[f64; 5], b: &[f64; 5]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// What was measured: place of the layer, routing, and variance of a single measurement.
type Place = ([f64; 5], TableRouting, f64);

fn likeness((a, a_routing, _): &Place, (b, b_routing, _): &Place) -> f64 {
    let distance = distance(a, b);
    let routings = (-PER_SKEW * (a_routing.skew() - b_routing.skew()).abs()).exp();
    (-distance / NEAR).exp() + ROUTING_SHARE * (-distance / FAR).exp() * routings
}

impl Family {
    pub(super) fn law(&self, shape: &ExpertsShape) -> Law {
        Law::new(shape, self.format.activations, &self.roofline)
    }

    /// For a layer under a routing, at each number of tokens: the logarithm of time over the law's and the least share of
    /// the roofline, from what other layers and routings show; `None` where too little was measured.
    pub(super) fn predict(&self, shape: &ExpertsShape, routing: TableRouting) -> Vec<Option<(f64, f64)>> {
        let target = (place(shape), routing, NOISE);
        let mut order: Vec<(f64, &Layer)> =
            self.layers.iter().map(|layer| (distance(&place(&layer.shape), &target.0), layer)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.shape.cmp(&b.1.shape)));
        let speaks = |layer: &Layer, config: &Config| layer.shape != *shape || config.routing != routing;
        // Where the same were measured at one number of tokens as at the one before, so are the weights.
        let (mut places, mut weights): (Vec<Place>, Vec<f64>) = (Vec::new(), Vec::new());
        let at = |column: usize| {
            let (mut here, mut configs, mut layers) = (Vec::new(), Vec::new(), 0);
            for (_, layer) in &order {
                let of = |config: &&Config| speaks(layer, config) && config.ln_ratio[column].is_finite();
                let before = configs.len();
                configs.extend(layer.configs.iter().filter(of));
                here.extend(configs[before..].iter().map(|config| layer.place_under(config.routing)));
                layers += usize::from(configs.len() > before);
                if layers == NEIGHBOURS {
                    break;
                }
            }
            if here.is_empty() {
                return None;
            }
            if here != places {
                weights = local::weights(&here, likeness, |place| likeness(place, &target), |place| place.2, &[]);
                places = here;
            }
            let ln_ratio = weights.iter().zip(&configs).map(|(weight, config)| weight * config.ln_ratio[column]).sum();
            Some((ln_ratio, configs.iter().map(|config| config.bound_share[column]).fold(1.0, f64::min)))
        };
        (0..self.tokens.len()).map(at).collect()
    }

    /// The measurements of a layer, if there are any.
    pub(super) fn own(&self, shape: &ExpertsShape) -> Option<&Layer> {
        self.layers.binary_search_by(|layer| layer.shape.cmp(shape)).ok().map(|index| &self.layers[index])
    }

    /// Whether layers of the same model were measured with experts as narrow or narrower and as wide or wider, each with as
    /// few or fewer and as many or more of them on the GPU.
    pub(super) fn is_between(&self, shape: &ExpertsShape) -> bool {
        let mut sides = [false; 4];
        for Layer { shape: other, .. } in self.layers.iter().filter(|layer| layer.shape.is_model_of(shape)) {
            for (side, seen) in sides.iter_mut().enumerate() {
                let (wide, many) = (side % 2 == 1, side / 2 == 1);
                let width = other.intermediate_size.cmp(&shape.intermediate_size);
                let count = other.local_experts.cmp(&shape.local_experts);
                *seen |= if wide { width.is_ge() } else { width.is_le() }
                    && if many { count.is_ge() } else { count.is_le() };
            }
        }
        sides == [true; 4]
    }
}
