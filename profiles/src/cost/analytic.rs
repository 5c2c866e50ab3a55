//! The analytic cost model: a roofline with efficiency curves, compiled per replica.

use std::sync::Arc;

use super::books::Books;
use super::composition::Composition;
use super::efficiency::Architecture;
use super::layer::Context;
use super::options::{CostOptions, ExpertRouting, PrefillCoverage};
use super::servers::Groups;
use super::tables::{Placement, Slice, Tables};
use super::{CostModel, CostTotals};
use crate::error::ProfileError;
use crate::fitted::FittedProfile;
use crate::step::{LayerRange, StepCost, StepShape};

/// Prices steps by a roofline with efficiency curves fitted per architecture.
///
/// Everything that depends on the number of rows alone is tabulated when the model is built; a step adds attention, experts
/// and scans to a look-up. A clone shares the tables and has empty books: build one, clone it for each replica.
#[derive(Debug)]
pub struct AnalyticCost {
    tables: Arc<Tables>,
    books: Books,
    stage_ns: Vec<f64>,
    memory_ns: Vec<f64>,
}

impl AnalyticCost {
    /// Compiles the cost model of a replica.
    ///
    /// # Errors
    ///
    /// If parallelism or precision do not suit model and device, a setting is out of range, or the device's architecture
    /// is unknown.
    pub fn new(options: &CostOptions<'_>) -> Result<Self, ProfileError> {
        Self::compile(options).map(Self::with_tables)
    }

    /// The same without attention, for model workers that offload it.
    pub(super) fn without_attention(options: &CostOptions<'_>) -> Result<Self, ProfileError> {
        Self::compile(options).map(|tables| Self::with_tables(tables.without_attention()))
    }

    /// Attention alone, for the workers that it is offloaded to.
    pub(super) fn attention_alone(options: &CostOptions<'_>) -> Result<Self, ProfileError> {
        let (rows, sampled) = (options.max_num_seqs, options.max_num_seqs);
        Self::compile(options).map(|tables| Self::with_tables(tables.attention_alone(rows, sampled)))
    }

    fn compile(options: &CostOptions<'_>) -> Result<Tables, ProfileError> {
        options.parallelism.validate(options.model)?;
        options.precision.validate(options.device)?;
        check(options)?;
        let architecture = match options.architecture {
            Some(architecture) => architecture,
            None => Architecture::of(options.device)?,
        };
        // Whoever names another architecture wants its curves.
        let own = Architecture::of(options.device).is_ok_and(|own| own == architecture);
        let shipped = if own { FittedProfile::shipped(options.device) } else { None };
        let fitted = options.fitted.or(shipped);
        let context = Context::new(options, architecture.curves(), fitted, Groups::new(options)?);
        Ok(Tables::new(&context))
    }

    fn with_tables(tables: Tables) -> Self {
        Self::sharing(Arc::new(tables))
    }

    fn sharing(tables: Arc<Tables>) -> Self {
        let none = vec![0.0; tables.stages.len()];
        Self { books: Books::new(&tables), stage_ns: none.clone(), memory_ns: none, tables }
    }
}

impl Clone for AnalyticCost {
    /// Shares the tables; the books start empty.
    fn clone(&self) -> Self {
        Self::sharing(Arc::clone(&self.tables))
    }
}

impl CostModel for AnalyticCost {
    fn stages(&self) -> usize {
        self.tables.stages.len()
    }

    fn layers(&self) -> Option<u32> {
        Some(self.tables.layers.end)
    }

    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        let Self { tables, books, stage_ns: exact_ns, memory_ns } = self;
        assert_eq!(stage_ns.len(), exact_ns.len(), "one time for each pipeline stage");
        // One stage is the common case, and an array of one the compiler keeps in a register.
        let (joules, duration_ns) = if let [only_ns] = stage_ns {
            let mut exact_ns = [0.0];
            let joules = tables.price(shape, books, [&mut exact_ns, &mut [0.0]]);
            *only_ns = rounded(exact_ns[0]);
            (joules, *only_ns)
        } else {
            exact_ns.fill(0.0);
            memory_ns.fill(0.0);
            let joules = tables.price(shape, books, [exact_ns, memory_ns]);
            for (stage_ns, exact_ns) in stage_ns.iter_mut().zip(&*exact_ns) {
                *stage_ns = rounded(*exact_ns);
            }
            (joules, stage_ns.iter().sum())
        };
        let dynamic_energy_j = tables.energy.capped(joules, duration_ns as f64);
        books.joules += dynamic_energy_j;
        books.uncapped_j += joules;
        StepCost { duration_ns, dynamic_energy_j }
    }

    fn handover_ns(&self, stage: usize, rows: u32) -> u64 {
        let handover = self.tables.handovers[stage - 1];
        rounded(handover.floor_ns + f64::from(rows) * handover.ns_per_row)
    }

    fn composed_ns(&self, compute_ns: f64, memory_ns: f64) -> f64 {
        self.tables.composition.time(compute_ns, memory_ns)
    }

    fn totals(&self) -> CostTotals {
        self.books.totals(&self.tables)
    }

    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        let mut alone = self.clone();
        let mut stage_ns = vec![0; self.stages()];
        alone.step(shape, &mut stage_ns);
        alone.totals()
    }
}

/// What a step takes outside its layers, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Once {
    /// The host's gap and the embedding.
    pub(super) before: f64,
    /// Final norm, head and sampling.
    pub(super) after: f64,
}

impl AnalyticCost {
    /// What a step of `rows` rows, of which `sampled` are sampled, takes outside its layers. What the host takes per request is
    /// none of it.
    pub(super) fn once_ns(&self, rows: u32, sampled: u32) -> Once {
        let tables = &*self.tables;
        let host_ns = tables.engine.step_gap_ns;
        let embedding_ns = tables.price_of(&tables.embedding.load(rows)).ns;
        let norm_ns = tables.price_of(&tables.final_norm.load(rows)).ns;
        Once { before: host_ns + embedding_ns, after: norm_ns + tables.head(sampled).ns }
    }

    /// See [`Tables::slices`].
    pub(super) fn slices(&self, rows: u32, keys_share: f64) -> Vec<Slice> {
        self.tables.slices(rows, keys_share)
    }

    /// See [`Energy::j_per_link_byte`](super::energy::Energy::j_per_link_byte).
    pub(super) fn j_per_link_byte(&self) -> f64 {
        self.tables.energy.j_per_link_byte()
    }
}

/// Rounds a time that is not negative to whole nanoseconds.
#[inline]
fn rounded(ns: f64) -> u64 {
    (ns + 0.5) as u64
}

/// What passes through the layers in a step.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Rows of prompts.
    pub(super) prompt: u32,
    /// Rows of generating requests.
    pub(super) decode: u32,
    /// Layers that the rows of prompts pass through, if not all.
    part: Option<LayerRange>,
}

impl Rows {
    /// Layers of a placement in which rows of prompts pass, by stage.
    #[inline]
    pub(super) fn prompt_layers(self, placement: &Placement, stage: usize, stages: &[LayerRange]) -> f64 {
        match self.part {
            None => placement.by_stage[stage],
            Some(part) => f64::from(placement.within(part, stages[stage])),
        }
    }

    /// The same, all stages.
    #[inline]
    pub(super) fn all_prompt_layers(self, placement: &Placement) -> f64 {
        self.part.map_or(placement.all, |part| f64::from(placement.count(part)))
    }
}

impl Tables {
    /// Adds the time of each stage to the first of both, that of decode attention alone to the second, books everything but
    /// energy, and returns joules before the cap.
    #[inline]
    fn price(&self, shape: &StepShape<'_>, books: &mut Books, [ns, memory_ns]: [&mut [f64]; 2]) -> f64 {
        let rows = self.rows(shape);
        let mut joules = match rows.part {
            None => {
                books.whole.add(rows.prompt + rows.decode, 1);
                self.whole(rows.prompt + rows.decode, ns)
            }
            Some(part) => self.price_part(rows, part, books, ns),
        };
        joules += self.price_attention(shape, rows, books, [&mut *ns, &mut *memory_ns]);
        if !self.experts.is_empty() {
            joules += self.price_experts(rows, books, ns);
        }
        if !self.scans.is_empty() {
            joules += self.price_scans(shape, rows, books, ns);
        }
        if self.stages.len() > 1 {
            let handed_over = self.handed_over(rows);
            books.handed_over += handed_over;
            joules += handed_over * self.handover_j_per_row;
        }
        let head = self.head(shape.sampled);
        let requests = shape.prefill.len() as u64 + u64::from(rows.decode);
        ns[ns.len() - 1] += head.ns;
        let weights_ns = |stage| self.weights_ns(rows, shape.sampled, stage);
        joules -= self.composition.apply(ns, memory_ns, weights_ns, &self.energy, books);
        ns[0] += self.engine.step_gap_ns + requests as f64 * self.engine.per_request_ns;
        books.steps += 1;
        books.requests += requests;
        books.sampled.add(shape.sampled, 1);
        joules + head.joules
    }

    /// Rows that are handed from stage to stage, summed over the boundaries between stages.
    ///
    /// Prompts that pass through some layers cross a boundary when they have passed the layer before it, so that groups of
    /// layers hand over as much as one pass.
    fn handed_over(&self, rows: Rows) -> f64 {
        let boundaries = &self.stages[1..];
        let by_prompts = match rows.part {
            None => boundaries.len(),
            Some(part) => boundaries.iter().filter(|next| part.start < next.start && next.start <= part.end).count(),
        };
        by_prompts as f64 * f64::from(rows.prompt) + boundaries.len() as f64 * f64::from(rows.decode)
    }

    fn rows(&self, shape: &StepShape<'_>) -> Rows {
        let prompt = shape.prefill.iter().map(|piece| piece.new_tokens).sum();
        let part = shape.prefill_layers.filter(|part| prompt > 0 && *part != self.layers);
        if let Some(part) = part {
            assert!(part.start <= part.end && part.end <= self.layers.end, "layers {part:?} of {:?}", self.layers);
        }
        Rows { prompt, decode: shape.decode.requests, part }
    }

    /// Layers, embedding and final norm of a step whose prompts pass through some layers only.
    fn price_part(&self, rows: Rows, part: LayerRange, books: &mut Books, ns: &mut [f64]) -> f64 {
        let both = rows.prompt + rows.decode;
        let mut joules = 0.0;
        for (index, kind) in self.kinds.iter().enumerate() {
            let placement = &kind.placement;
            let with_prompt = placement.count(part);
            let without = placement.all - f64::from(with_prompt);
            let (joint, alone) = (self.layer(index, both), self.layer(index, rows.decode));
            for (stage, sum) in ns.iter_mut().enumerate() {
                let here = f64::from(placement.within(part, self.stages[stage]));
                *sum += here * joint.ns + (placement.by_stage[stage] - here) * alone.ns;
            }
            joules += f64::from(with_prompt) * joint.joules + without * alone.joules;
            books.layers[index].add(both, u64::from(with_prompt));
            books.layers[index].add(rows.decode, without as u64);
        }
        let passes = part.start < part.end;
        let entering = if passes && part.start == 0 { both } else { rows.decode };
        let leaving = if passes && part.end == self.layers.end { both } else { rows.decode };
        books.embedded.add(entering, 1);
        books.normalised.add(leaving, 1);
        joules + self.embed(entering, ns) + self.normalise(leaving, ns)
    }
}

fn check(options: &CostOptions<'_>) -> Result<(), ProfileError> {
    let wrong = |setting, value: String, problem: &str| {
        Err(ProfileError::CostSetting { setting, value, problem: problem.into() })
    };
    for (setting, value) in
        [("max_num_batched_tokens", options.max_num_batched_tokens), ("max_num_seqs", options.max_num_seqs)]
    {
        if value == 0 {
            return wrong(setting, value.to_string(), "use 1 or more");
        }
    }
    let engine = &options.engine;
    for (setting, value) in [
        ("step_gap_ns", engine.step_gap_ns),
        ("per_request_ns", engine.per_request_ns),
        ("eager_launch_ns", engine.eager_launch_ns),
        ("link latency_ns", options.link.map_or(0.0, |link| link.latency_ns)),
    ] {
        if !(value >= 0.0 && value.is_finite()) {
            return wrong(setting, value.to_string(), "use a finite time of 0 or more");
        }
    }
    let sizes = &engine.cuda_graph_sizes;
    if sizes.contains(&0) || !sizes.is_sorted_by(|a, b| a < b) {
        return wrong(
            "cuda_graph_sizes",
            format!("{sizes:?}"),
            "use row counts of 1 or more, each larger than the one before",
        );
    }
    if let Composition::Overlapped { interference } = options.composition
        && !(0.0..=1.0).contains(&interference)
    {
        return wrong("interference", interference.to_string(), "use a number from 0 to 1");
    }
    if let Some(link) = options.link.filter(|link| !(link.bandwidth > 0.0 && link.bandwidth.is_finite())) {
        return wrong("link bandwidth", link.bandwidth.to_string(), "use bytes/s above 0");
    }
    if options.link.is_some() && options.servers.is_some() {
        return wrong("link", "set".into(), "one link between all GPUs and servers with a network exclude each other");
    }
    check_routing(&options.routing)
}

fn check_routing(routing: &ExpertRouting) -> Result<(), ProfileError> {
    let ExpertRouting::Zipf { decode_exponent, prefill } = routing else { return Ok(()) };
    let wrong = |setting, value: String, problem: &str| {
        Err(ProfileError::CostSetting { setting, value, problem: problem.into() })
    };
    let valid = |exponent: f64| (0.0..=10.0).contains(&exponent);
    if !valid(*decode_exponent) {
        return wrong("decode_exponent", decode_exponent.to_string(), "use an exponent from 0 (uniform) to 10");
    }
    match prefill {
        PrefillCoverage::Exponent(exponent) if !valid(*exponent) => {
            wrong("prefill exponent", exponent.to_string(), "use an exponent from 0 (uniform) to 10")
        }
        PrefillCoverage::Curve(points) => {
            let rising = points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
            let inside = points.iter().all(|&(rows, share)| rows > 1 && share > 0.0 && share <= 1.0);
            if points.is_empty() || !rising || !inside {
                return wrong(
                    "prefill coverage",
                    format!("{points:?}"),
                    "use at least one point (rows above 1, share in (0, 1]), rows ascending and shares not falling",
                );
            }
            Ok(())
        }
        PrefillCoverage::Exponent(_) => Ok(()),
    }
}
