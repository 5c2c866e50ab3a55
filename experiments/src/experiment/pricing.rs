//! What the steps of a system cost.

use std::fmt::Write as _;
use std::path::PathBuf;

use calibration::replay::schedule::RunHeader;
use profiles::cost::simple::{PolynomialCost, RooflineCost};
use profiles::cost::{AnalyticCost, Composition, CostOptions, EngineOverheads, ExpertRouting, OffloadedCost, Servers};
use profiles::fitted::FittedProfile;
use profiles::{
    CostModel, DecodeBatch, DeviceSpec, FeedForward, ModelSpec, Parallelism, Precision, PrefillPiece, StepShape,
};
use sim::{EngineSpec, SchedulerSpec};

use super::engine;
use super::kernels::Measured;
use super::offload::Offload;
use super::servers;
use super::step_cost::{self, Fitted, Form};
use crate::diagnostic::{Problem, Sources};
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// What decides about costs beside the keys that are read here.
#[derive(Clone, Copy)]
pub(super) struct Deployed<'a> {
    /// The model.
    pub(super) model: &'a ModelSpec,
    /// The device.
    pub(super) device: &'a DeviceSpec,
    /// How each replica is spread.
    pub(super) parallelism: Parallelism,
    /// Number formats.
    pub(super) precision: Precision,
    /// Limits of a step.
    pub(super) scheduler: SchedulerSpec,
    /// Longest request.
    pub(super) max_model_len: u32,
    /// Where attention is computed, if not where everything else is.
    pub(super) offload: Option<&'a Offload>,
}

/// What the steps of a system cost, and what that stands on.
#[derive(Clone)]
pub(super) struct Pricing {
    cost: Cost,
    /// What the engine adds around steps.
    engine: EngineSpec,
    /// Whether that is vLLM.
    is_vllm: bool,
    /// Kernel tables it is priced from.
    measured: Option<Measured>,
    /// Servers that replicas may be larger than.
    servers: Option<Servers>,
    /// Where the fitted step cost or profile lies.
    fitted: Option<PathBuf>,
}

#[derive(Clone)]
enum Cost {
    /// Kernel by kernel.
    Kernels(Box<AnalyticCost>),
    /// Kernel by kernel, attention on workers of its own.
    Offloaded(Box<OffloadedCost>),
    /// By a polynomial fitted to whole steps.
    Fitted(Box<PolynomialCost>),
    /// By two rates.
    Roofline(Box<RooflineCost>),
}

impl Pricing {
    /// Reads the keys that say what steps cost, but for `kernel_tables`, from which `measured` was read. `header` makes the
    /// head of schedules.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        deployed: Deployed<'_>,
        sources: &Sources,
        measured: Option<Measured>,
        header: impl FnOnce(&CostOptions<'_>) -> RunHeader,
    ) -> Result<(Self, RunHeader), Problem> {
        let Deployed { model, device, parallelism, precision, scheduler, max_model_len, offload } = deployed;
        let mut options = CostOptions {
            parallelism,
            precision,
            max_num_batched_tokens: scheduler.max_prompt_tokens(max_model_len),
            max_num_seqs: scheduler.seats(),
            engine: EngineOverheads::none(),
            ..CostOptions::new(model, device)
        };
        let tensor_parallel_size = parallelism.tensor_parallel_size;
        if let Some(Fitted { form, path }) = step_cost::read(reader, model, device, tensor_parallel_size, sources)? {
            let cost = match form {
                Form::Polynomial(file) => Cost::Fitted(Box::new(file.cost(parallelism.pipeline_parallel_size))),
                Form::Roofline(_) if parallelism.pipeline_parallel_size > 1 => {
                    let problem = reader.problem(&s::PIPELINE_PARALLEL_SIZE, "a roofline has one pipeline stage");
                    return Err(problem.label("expected 1 beside a `step_cost` of this form"));
                }
                Form::Roofline(file) => {
                    let composition = reader.table(&s::COMPOSITION, |table| Ok(engine::composition(table)))?;
                    let composition = composition.expect("it has a default");
                    Cost::Roofline(Box::new(file.cost(model, precision.kv_cache, tensor_parallel_size, composition)))
                }
            };
            let engine = EngineSpec::default();
            let pricing = Pricing { cost, engine, is_vllm: false, measured: None, servers: None, fitted: Some(path) };
            return Ok((pricing, header(&options)));
        }
        let architecture = engine::architecture(reader, device)?;
        options.architecture = Some(architecture);
        let own = own_profile(reader, device, sources)?;
        options.fitted = own.as_ref().map(|(profile, _)| profile);
        options.kernels = measured.as_ref().map(|measured| &*measured.kernels);
        options.routing = routing(reader, model)?;
        let stages = parallelism.pipeline_parallel_size;
        let engine = reader
            .table(&s::ENGINE, |table| engine::engine(table, architecture, scheduler, stages, offload.is_some()))?;
        let engine = engine.expect("it has a default");
        options.engine = engine.overheads;
        options.servers = servers::read(reader, device, parallelism)?;
        let link = reader.table(&s::LINK, |table| Ok(engine::link(table, device)))?;
        options.link = link.filter(|_| options.servers.is_none());
        options.overlap_collectives = reader.get(&s::OVERLAP_COLLECTIVES);
        options.separate_attention = reader.get(&s::SEPARATE_ATTENTION);
        options.sampling = engine::sampling(reader);
        options.prefix_attention = engine::prefix_attention(reader, scheduler)?;
        let composition = reader.table(&s::COMPOSITION, |table| Ok(engine::composition(table)))?;
        options.composition = composition.expect("it has a default");
        if offload.is_some() && options.composition != Composition::Serial {
            let problem = reader.problem(&s::COMPOSITION, "attention is offloaded, and nothing else runs beside it");
            return Err(problem.label("leave it out: batches take turns on model workers and attention workers"));
        }
        let cost = match offload {
            Some(offload) => Cost::Offloaded(Box::new(offload.cost(reader, &options)?)),
            None => Cost::Kernels(Box::new(AnalyticCost::new(&options).map_err(|error| {
                reader.problem(&s::NAME, "what a step costs cannot be computed").label(error.to_string())
            })?)),
        };
        let header = header(&options);
        let (servers, fitted) = (options.servers, own.map(|(_, path)| path));
        let (is_vllm, engine) = (engine.is_vllm, engine.around);
        Ok((Pricing { cost, engine, is_vllm, measured, servers, fitted }, header))
    }

    /// What the engine adds around steps.
    pub(super) fn engine(&self) -> EngineSpec {
        self.engine
    }

    /// Whether the engine is vLLM, which does not start in every case in which another might.
    pub(super) fn is_vllm(&self) -> bool {
        self.is_vllm
    }

    /// The servers that its replicas stand on, if the file says what is between them.
    pub(super) fn servers(&self) -> Option<Servers> {
        self.servers
    }

    /// The cost model, new for one replica.
    pub(super) fn cost(&self) -> Box<dyn CostModel> {
        match &self.cost {
            Cost::Kernels(cost) => cost.clone(),
            Cost::Offloaded(cost) => cost.clone(),
            Cost::Fitted(cost) => cost.clone(),
            Cost::Roofline(cost) => cost.clone(),
        }
    }

    /// Whether FLOPs, bytes and energy are known beside times.
    pub(super) fn knows_work(&self) -> bool {
        !matches!(self.cost, Cost::Fitted(_) | Cost::Roofline(_))
    }

    /// What a reader of the figures has to know.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.measured.iter().flat_map(|measured| measured.warnings.clone()).collect();
        if !self.knows_work() {
            notes.push(
                "`step_cost` tells times only: there are no figures of energy, FLOPs and bytes, and power.csv holds that of idle devices"
                    .to_owned(),
            );
        }
        notes
    }

    /// Files beside the experiment that it stands on.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.measured.iter().flat_map(|measured| &measured.files).chain(&self.fitted)
    }

    /// What some steps cost: prompts, decodes and both, from small to large.
    pub(super) fn price_list(&self) -> String {
        let mut cost = self.cost();
        let mut stage_ns = vec![0; cost.stages()];
        let mut list = String::new();
        for new_tokens in [0, 1, 16, 128, 1024, 2048, 8192] {
            for requests in [0, 1, 8, 64, 256] {
                if new_tokens + requests == 0 {
                    continue;
                }
                let piece = [PrefillPiece { new_tokens, context_tokens: 512 }];
                let context_tokens = u64::from(requests) * 1024;
                let shape = StepShape {
                    prefill: if new_tokens > 0 { &piece } else { &[] },
                    decode: DecodeBatch {
                        requests,
                        context_tokens,
                        windowed_context_tokens: context_tokens,
                        ..DecodeBatch::default()
                    },
                    sampled: requests + u32::from(new_tokens > 0),
                    prefill_layers: None,
                };
                let step = cost.step(&shape, &mut stage_ns);
                let _ = writeln!(list, "{new_tokens} {requests} {stage_ns:?} {:e}", step.dynamic_energy_j);
            }
        }
        list
    }
}

/// The profile that `fitted_profile` names, and where it lies.
fn own_profile(
    reader: &mut Reader<'_>,
    device: &DeviceSpec,
    sources: &Sources,
) -> Result<Option<(FittedProfile, PathBuf)>, Problem> {
    let Some(path) = reader.path(&s::FITTED_PROFILE, sources) else { return Ok(None) };
    let wrong = |problem: String| reader.problem(&s::FITTED_PROFILE, "the profile cannot be used").label(problem);
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(format!("{shown}: {error}")))?;
    let profile = FittedProfile::from_toml(&text, &shown).map_err(|error| wrong(error.to_string()))?;
    let mut names = std::iter::once(&device.name).chain(&device.aliases);
    if !names.any(|name| name.eq_ignore_ascii_case(&profile.device)) {
        return Err(wrong(format!("it was fitted on {}, and this system runs on {}", profile.device, device.name)));
    }
    Ok(Some((profile, path)))
}

fn routing(reader: &mut Reader<'_>, model: &ModelSpec) -> Result<ExpertRouting, Problem> {
    let routing = reader.table(&s::ROUTING, engine::routing)?.expect("it has a default");
    let has_experts = model.layers.iter().any(|layer| matches!(layer.feed_forward, FeedForward::Experts(_)));
    if routing != ExpertRouting::Uniform && !has_experts {
        let problem = Problem::at(reader.key_span(&s::ROUTING), "`routing` has no effect on a model without experts");
        return Err(problem.label(format!("{} has none", model.name)));
    }
    Ok(routing)
}
