//! A cache study as it is resolved: no default is open.

use std::path::Path;

use profiles::DType;
use sim::prefix_cache::{Alpha, AlphaTuning, CacheModel, CachePolicy, HybridShape, MarconiMode, TuningObjective};

use crate::diagnostic::{Problem, Problems, Sources, Span};
use crate::experiment::{Workload, named_model, read_workload};
use crate::failure::Failure;
use crate::file;
use crate::file::document;
use crate::file::keys::{self, caches as c};
use crate::file::reader::Reader;

/// What `servesim cache` replays.
pub(crate) struct CacheStudy {
    /// Its name.
    pub(crate) name: String,
    /// Every cache is replayed once under each.
    pub(crate) seeds: Vec<u64>,
    /// What is kept of a token and of a prefix.
    pub(crate) model: CacheModel,
    /// Bytes of each cache, ascending.
    pub(crate) capacities: Vec<u64>,
    /// What a hit is worth.
    pub(crate) ttft: Ttft,
    /// The requests.
    pub(crate) workload: Workload,
    /// The caches, in the order of the file.
    pub(crate) caches: Vec<Cache>,
}

/// How long a prompt takes to its first token, without queueing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ttft {
    /// Of a prompt that is cached whole.
    pub(crate) base_s: f64,
    /// More for each token that is not.
    pub(crate) per_token_s: f64,
    /// Bytes per second from the second tier.
    pub(crate) host_bandwidth: f64,
}

/// A cache to be replayed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cache {
    /// Its name.
    pub(crate) name: String,
    /// Its policy.
    pub(crate) policy: CachePolicy,
    /// Bytes of its second tier.
    pub(crate) host: Option<u64>,
}

/// Whether the text of a file is a cache study: it has caches.
pub(crate) fn is_study(text: &str) -> bool {
    let mut sources = Sources::default();
    let source = sources.add("study", text, Path::new(""));
    document::parse(source, text).is_ok_and(|table| table.get(c::CACHE.name).is_some())
}

/// Reads a study and the settings laid over it.
///
/// # Errors
/// What is wrong with it, shown where it is written.
pub(crate) fn load(path: &Path, settings: &[String]) -> Result<CacheStudy, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Request(format!("cannot read the cache study {}: {error}", path.display())))?;
    let mut sources = Sources::default();
    let end = text.len();
    let source = sources.add(path.display().to_string(), text, path.parent().unwrap_or(Path::new("")));
    let read = file::read_with_settings(source, &c::ROOT, settings, &mut sources);
    let whole = Span { source, start: 0, end };
    let study = read.and_then(|root| {
        let mut reader = Reader::new(&root, whole, &c::ROOT);
        let study = resolve(&mut reader, path, &sources).map_err(Problems::from)?;
        reader.finish();
        Ok(study)
    });
    study.map_err(|problems| Failure::input(problems, sources))
}

fn resolve(reader: &mut Reader<'_>, path: &Path, sources: &Sources) -> Result<CacheStudy, Problem> {
    let name = reader.or(&keys::NAME, || path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let model = reader.table(&c::MODEL, |table| model(table, sources))?.expect("it has a default");
    if model.checkpoint_bytes() == 0 && model.kv_bytes_per_token() == 0 {
        let problem = reader.problem(&c::MODEL, "a model without recurrent and attention layers has nothing to cache");
        return Err(problem.label("expected `ssm_layers` or `attention_layers` above 0"));
    }
    let capacities = capacities(reader)?;
    let caches = reader.tables(&c::CACHE, |table| cache(table, &model, &capacities))?;
    if let Some(twice) =
        caches.iter().enumerate().find(|(place, one)| caches[..*place].iter().any(|other| other.name == one.name))
    {
        let problem = reader.problem(&c::CACHE, format!("two caches are called `{}`", twice.1.name));
        return Err(problem.label("give each a `name` of its own"));
    }
    let workload = reader.table(&keys::WORKLOAD, |table| read_workload(table, None, sources))?;
    Ok(CacheStudy {
        name,
        seeds: reader.get(&keys::SEEDS),
        model,
        capacities,
        ttft: Ttft {
            base_s: reader.get(&c::TTFT_BASE),
            per_token_s: reader.get(&c::TTFT_PER_TOKEN),
            host_bandwidth: reader.get(&c::HOST_BANDWIDTH),
        },
        workload: workload.expect("it was found missing otherwise"),
        caches,
    })
}

/// A model by name, or by its shape.
fn model(reader: &mut Reader<'_>, sources: &Sources) -> Result<CacheModel, Problem> {
    if !reader.has(&c::MODEL_NAME) {
        return Ok(CacheModel::of_shape(&shape(reader)));
    }
    let shapes = [&c::SSM_LAYERS, &c::ATTENTION_LAYERS, &c::MLP_LAYERS, &c::WIDTH, &c::STATE, &c::VALUE_BYTES];
    if let Some(key) = shapes.into_iter().find(|key| reader.has(key)) {
        let problem = Problem::at(reader.key_span(key), format!("`{}` has no effect beside `name`", key.name));
        return Err(problem.label("take one of the two out"));
    }
    let model = named_model(reader, &c::MODEL_NAME, sources)?;
    let checkpoint_bytes = DType::Bf16.bytes(model.state_elements_per_sequence());
    Ok(CacheModel::of_model(&model, checkpoint_bytes, model.kv_bytes_per_token(DType::Bf16)))
}

fn shape(reader: &mut Reader<'_>) -> HybridShape {
    HybridShape {
        ssm_layers: reader.get(&c::SSM_LAYERS),
        attention_layers: reader.get(&c::ATTENTION_LAYERS),
        mlp_layers: reader.get(&c::MLP_LAYERS),
        width: reader.get(&c::WIDTH),
        state: reader.get(&c::STATE),
        value_bytes: reader.get(&c::VALUE_BYTES),
    }
}

fn capacities(reader: &mut Reader<'_>) -> Result<Vec<u64>, Problem> {
    let (one, several): (Option<f64>, Option<Vec<f64>>) = (reader.maybe(&c::CAPACITY), reader.maybe(&c::CAPACITIES));
    let bytes = match (one, several) {
        (Some(one), None) => vec![one],
        (None, Some(several)) => several,
        (None, None) => {
            let problem = reader.problem(&c::CAPACITY, "the study does not say how large the caches are");
            return Err(problem.label("add `capacity`, such as \"80 GB\", or `capacities`"));
        }
        (Some(_), Some(_)) => {
            let problem = Problem::at(reader.key_span(&c::CAPACITY), "`capacity` has no effect beside `capacities`");
            return Err(problem.label("put it into the list"));
        }
    };
    if bytes.windows(2).any(|pair| pair[0] >= pair[1]) {
        let problem = reader.problem(&c::CAPACITIES, "the capacities ascend");
        return Err(problem.label("sort them, each once"));
    }
    Ok(bytes.into_iter().map(|bytes| bytes.round() as u64).collect())
}

fn cache(reader: &mut Reader<'_>, model: &CacheModel, capacities: &[u64]) -> Result<Cache, Problem> {
    let policy: String = reader.get(&c::POLICY);
    let name = reader.or(&c::CACHE_NAME, || policy.clone());
    let policy = match policy.as_str() {
        "none" => CachePolicy::None,
        "hash-lru" => CachePolicy::HashLru { block_tokens: reader.or(&c::BLOCK_TOKENS, || 16) },
        "radix-lru" => CachePolicy::RadixLru,
        "vllm-plus" => CachePolicy::VllmPlus { block_tokens: reader.or(&c::BLOCK_TOKENS, || 32) },
        "sglang-plus" => CachePolicy::SglangPlus,
        "marconi" => CachePolicy::Marconi { mode: MarconiMode::Paper, alpha: alpha(reader)? },
        "marconi-artifact" => CachePolicy::Marconi { mode: MarconiMode::Artifact, alpha: alpha(reader)? },
        "belady" => CachePolicy::Belady,
        other => unreachable!("`{other}` is no choice"),
    };
    let host = reader.maybe(&c::HOST).map(|bytes: f64| bytes.round() as u64);
    if host.is_some() && matches!(policy, CachePolicy::None | CachePolicy::Belady) {
        let problem = reader.problem(&c::HOST, format!("`{}` has no second tier", policy.name()));
        return Err(problem.label("take it out"));
    }
    for capacity in capacities.iter().copied().chain(host) {
        policy
            .build(model, capacity, &[])
            .map_err(|error| reader.problem(&c::POLICY, "this cache cannot be").label(error.to_string()))?;
    }
    Ok(Cache { name, policy, host })
}

fn alpha(reader: &mut Reader<'_>) -> Result<Alpha, Problem> {
    let given: Option<f64> = reader.maybe(&c::ALPHA);
    let tuning: Option<String> = reader.maybe(&c::TUNING);
    let alpha = match (given, tuning.as_deref()) {
        (Some(_), Some(_)) => {
            let problem = reader.problem(&c::ALPHA, "`alpha` has no effect beside `tuning`");
            return Err(problem.label("take one of the two out"));
        }
        (Some(alpha), None) => Alpha::Fixed(alpha),
        (None, Some("oracle")) => Alpha::Oracle,
        (None, _) => {
            let defaults = AlphaTuning::default();
            let multiplier = reader.or(&c::TUNING_WINDOW, || defaults.multiplier);
            let objective: String = reader.or(&c::OBJECTIVE, || "flops".to_owned());
            let objective = match objective.as_str() {
                "hit-rate" => TuningObjective::HitRate,
                _ => TuningObjective::FlopsOfLast500,
            };
            return Ok(Alpha::TunedOnce(AlphaTuning { multiplier, objective }));
        }
    };
    for key in [&c::TUNING_WINDOW, &c::OBJECTIVE] {
        if reader.has(key) {
            let problem = Problem::at(reader.key_span(key), format!("`{}` has no effect here", key.name));
            return Err(problem.label("it is for `tuning = \"once\"`"));
        }
    }
    Ok(alpha)
}
