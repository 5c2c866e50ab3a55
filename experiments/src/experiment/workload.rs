//! Where the requests come from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use profiles::ModelSpec;
use workloads::trace::Skipped;
use workloads::{
    Arrivals, ConcurrencyLimit, Lengths, Mixture, Popularity, PrefixLength, PrefixSpec, PrefixTree, PromptLengths,
    ReadOptions, Replay, ReplaySpec, RequestLengths, SessionSpec, Source, Synthetic, Timing, TraceReader,
    WorkloadError, WorkloadSpec, ZeroTokens, generators,
};

use super::distributions::{arrivals, durations};
use super::lengths::lengths;
use super::mix;
use super::requests::{Requests, Watched};
use crate::diagnostic::{Problem, Sources};
use crate::file::key::Key;
use crate::file::keys::workload as w;
use crate::file::reader::Reader;

/// Requests made where the file says nothing.
const REQUESTS: u64 = 1000;

/// The requests of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workload {
    /// Where they come from.
    pub(crate) origin: Origin,
    /// Most of them under way at a time.
    pub(crate) max_concurrency: Option<u32>,
}

/// Where requests come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// A trace.
    Trace {
        /// The file.
        path: PathBuf,
        /// How it is read.
        options: ReadOptions,
        /// How it is replayed.
        replay: ReplaySpec,
    },
    /// Distributions, given in the file or shipped as a generator.
    Made {
        /// They.
        spec: Box<WorkloadSpec>,
        /// Trace their lengths were drawn from.
        lengths_from: Option<PathBuf>,
    },
    /// Several kinds of requests at once.
    Parts(Vec<WorkloadSpec>),
}

impl Workload {
    /// What reading its trace leaves out or takes for granted, such as columns that are not read.
    pub(crate) fn notes(&self) -> Vec<String> {
        let Origin::Trace { path, options, .. } = &self.origin else { return Vec::new() };
        let notes = TraceReader::open(path, options).map(|opened| opened.info().notes.clone()).unwrap_or_default();
        notes.into_iter().map(|note| format!("note: {}: {note}", path.display())).collect()
    }

    /// The requests under a seed.
    pub(crate) fn requests(&self, seed: u64) -> Result<Requests, WorkloadError> {
        let left_out = Arc::new(Mutex::new(Skipped::default()));
        let source = match &self.origin {
            Origin::Trace { path, options, replay } => {
                let options = ReadOptions { seed, ..options.clone() };
                let open = || Ok(Watched { rows: TraceReader::open(path, &options)?, left_out: Arc::clone(&left_out) });
                self.limited(Replay::new(path.display().to_string(), open, replay, seed)?)
            }
            Origin::Made { spec, .. } => self.limited(Synthetic::new(spec, seed)?),
            Origin::Parts(parts) => self.limited(Mixture::new(parts, seed)?),
        }?;
        Ok(Requests::new(source, left_out, self.session_rate()))
    }

    fn limited(&self, source: impl Source + 'static) -> Result<Box<dyn Source>, WorkloadError> {
        Ok(match self.max_concurrency {
            Some(limit) => Box::new(ConcurrencyLimit::new(source, limit)?),
            None => Box::new(source),
        })
    }

    /// Requests per second that were asked of sessions, whose later turns come when they will.
    fn session_rate(&self) -> Option<f64> {
        let Origin::Made { spec, .. } = &self.origin else { return None };
        spec.sessions.as_ref().and_then(|_| spec.mean_rate())
    }

    /// Whether requests wait for earlier answers, so that their times depend on the system.
    pub(crate) fn waits_for_answers(&self) -> bool {
        let loops = |arrivals: &Arrivals| matches!(arrivals, Arrivals::ClosedLoop { .. });
        let waits = |spec: &WorkloadSpec| spec.sessions.is_some() || loops(&spec.arrivals);
        let by_origin = match &self.origin {
            Origin::Made { spec, .. } => waits(spec),
            Origin::Parts(parts) => parts.iter().any(waits),
            Origin::Trace { replay, .. } => matches!(&replay.timing, Timing::Process(arrivals) if loops(arrivals)),
        };
        self.max_concurrency.is_some() || by_origin
    }

    /// The file they stand on, if they do.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Trace { path, .. } => Some(path),
            Origin::Made { lengths_from, .. } => lengths_from.as_deref(),
            Origin::Parts(_) => None,
        }
    }
}

/// Reads `[workload]`, whose mix, if it has one, is of requests to `model`.
pub(crate) fn read(reader: &mut Reader<'_>, model: Option<&ModelSpec>, sources: &Sources) -> Result<Workload, Problem> {
    let origin = if reader.has(&w::PART) {
        parts(reader, model, sources).map(Origin::Parts)
    } else if reader.has(&w::TRACE) {
        trace(reader, sources)
    } else if reader.has(&w::GENERATOR) {
        generator(reader, None)
    } else if reader.has(&w::LENGTHS_FROM) || reader.has(&w::INPUT) {
        made(reader, None, sources)
    } else {
        Err(reader
            .problem(&w::TRACE, "`[workload]` says not where the requests come from")
            .label("expected `trace`, `generator`, `input` and `output`, `lengths_from`, or `part`"))
    }?;
    Ok(Workload { origin, max_concurrency: reader.maybe(&w::MAX_CONCURRENCY) })
}

/// Several kinds of requests; where a mix is asked for, as many of each as make it.
fn parts(reader: &mut Reader<'_>, model: Option<&ModelSpec>, sources: &Sources) -> Result<Vec<WorkloadSpec>, Problem> {
    let looked = reader.look(&w::PART, |part| self::part(part, None, sources));
    let mixed = reader.spend_table(&w::MIX, |mix| mix::requests(mix, model, &looked?, sources))?;
    let mut mixed = mixed.map(Vec::into_iter);
    reader.tables(&w::PART, |table| {
        let Some(mixed) = &mut mixed else { return part(table, None, sources) };
        if table.has(&w::REQUESTS) {
            let problem = Problem::at(table.key_span(&w::REQUESTS), "`requests` has no effect in a mix");
            return Err(problem.label("`workload.mix` says how many requests each part has"));
        }
        part(table, mixed.next(), sources)
    })
}

/// One of several kinds of requests, with so many of them unless it says it.
fn part(reader: &mut Reader<'_>, requests: Option<u64>, sources: &Sources) -> Result<WorkloadSpec, Problem> {
    let origin = if reader.has(&w::GENERATOR) {
        generator(reader, requests)?
    } else if reader.has(&w::INPUT) {
        made(reader, requests, sources)?
    } else {
        let problem = reader.problem(&w::INPUT, "`[[workload.part]]` says not what its requests are like");
        return Err(problem.label("expected `generator`, or `input` and `output`"));
    };
    match origin {
        Origin::Made { spec, .. } => Ok(*spec),
        Origin::Trace { .. } | Origin::Parts(_) => unreachable!("a part is made"),
    }
}

/// How a trace is to be read.
fn read_options(reader: &mut Reader<'_>, key: &'static Key, path: &Path) -> Result<ReadOptions, Problem> {
    let written: Option<String> = reader.maybe(&w::FORMAT);
    let format = written.map(|name| name.parse().expect("the choices are the formats"));
    let skip_bad_rows = reader.get(&w::SKIP_BAD_ROWS);
    let options = ReadOptions { format, skip_bad_rows, seed: 0 };
    match TraceReader::open(path, &options) {
        Ok(opened) => {
            let format = opened.info().format;
            reader.note(&w::FORMAT, crate::file::resolved::quoted(format.name()));
            Ok(ReadOptions { format: Some(format), ..options })
        }
        Err(error) => {
            let problem = reader.problem(key, "the trace cannot be read").label(error.to_string());
            Err(problem.maybe_help(where_to_get(path)))
        }
    }
}

/// Where a published trace can be had that is not there.
fn where_to_get(path: &Path) -> Option<String> {
    if path.exists() {
        return None;
    }
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let home = if name.starts_with("azurellminferencetrace") {
        "it is part of the Azure Public Dataset (github.com/Azure/AzurePublicDataset, data/)"
    } else if path.to_string_lossy().to_lowercase().contains("mooncake") {
        "it is part of Mooncake (github.com/kvcache-ai/Mooncake, FAST25-release/traces/)"
    } else if name.starts_with("burstgpt") {
        "it is part of BurstGPT (github.com/HPMLL/BurstGPT)"
    } else {
        return None;
    };
    Some(format!("{home}; without it, `generator = \"azure-conv-2023\"` and the like make similar requests"))
}

/// The arrival process beside a rate of its own: one of the two, or none.
fn process(reader: &mut Reader<'_>) -> Result<(Option<Arrivals>, Option<f64>), Problem> {
    if reader.has(&w::ARRIVALS) && reader.has(&w::RATE) {
        let problem = Problem::at(reader.key_span(&w::RATE), "`rate` has no effect beside `arrivals`");
        return Err(problem
            .label("put it into `arrivals`")
            .also(reader.key_span(&w::ARRIVALS), "this says when requests arrive"));
    }
    Ok((reader.table(&w::ARRIVALS, arrivals)?, reader.maybe(&w::RATE)))
}

fn trace(reader: &mut Reader<'_>, sources: &Sources) -> Result<Origin, Problem> {
    let path = reader.path(&w::TRACE, sources).expect("it is there");
    let options = read_options(reader, &w::TRACE, &path)?;
    let input_scale = reader.get(&w::INPUT_SCALE);
    let output_scale = reader.get(&w::OUTPUT_SCALE);
    let timing = match process(reader)? {
        (Some(arrivals), _) => Timing::Process(arrivals),
        (None, Some(rate)) => Timing::Rate(rate),
        (None, None) => Timing::Own,
    };
    let requests = reader.maybe(&w::REQUESTS);
    let replay = ReplaySpec { timing, requests, input_scale, output_scale, zero_tokens: ZeroTokens::Refuse };
    replay.validate().map_err(|error| reader.problem(&w::TRACE, "this replay cannot be").label(error.to_string()))?;
    Ok(Origin::Trace { path, options, replay })
}

fn generator(reader: &mut Reader<'_>, requests: Option<u64>) -> Result<Origin, Problem> {
    let name: String = reader.get(&w::GENERATOR);
    let generator = generators::named(&name).expect("the choices are the generators");
    let mut spec = generator.spec(reader.or(&w::REQUESTS, || requests.unwrap_or(generator.requests)));
    match process(reader)? {
        (Some(arrivals), _) => spec.arrivals = arrivals,
        (None, Some(rate)) => {
            spec = spec
                .at_rate(rate)
                .map_err(|error| reader.problem(&w::RATE, "this rate cannot be").label(error.to_string()))?;
        }
        (None, None) => {}
    }
    Ok(Origin::Made { spec: Box::new(spec), lengths_from: None })
}

fn made(reader: &mut Reader<'_>, requests: Option<u64>, sources: &Sources) -> Result<Origin, Problem> {
    let mut lengths_from = None;
    let drawn = if reader.has(&w::LENGTHS_FROM) {
        let path = reader.path(&w::LENGTHS_FROM, sources).expect("it is there");
        let pairs = resampled(reader, &path)?;
        lengths_from = Some(path);
        RequestLengths::Resampled { pairs }
    } else {
        let input = reader.table(&w::INPUT, lengths)?.expect("it was found missing otherwise");
        let output = reader.table(&w::OUTPUT, lengths)?.expect("it was found missing otherwise");
        let rho: f64 = reader.get(&w::CORRELATION);
        if rho == 0.0 {
            RequestLengths::Independent { input, output }
        } else {
            RequestLengths::Correlated { input, output, rho }
        }
    };
    let prefix = reader.table(&w::PREFIX, prefix)?.unwrap_or_default();
    let sessions = reader.table(&w::SESSIONS, sessions)?;
    let requests = reader.or(&w::REQUESTS, || requests.unwrap_or(REQUESTS));
    let (given, rate) = process(reader)?;
    let arrivals = match (given, rate) {
        (Some(arrivals), _) => arrivals.clone(),
        (None, Some(rate)) => Arrivals::Poisson { rate },
        (None, None) => {
            return Err(reader
                .problem(&w::RATE, "`[workload]` says not when the requests arrive")
                .label("expected `arrivals`, or `rate` for a Poisson process"));
        }
    };
    let mut spec = WorkloadSpec { arrivals, lengths: drawn, prefix, sessions, requests };
    if let (Some(rate), Some(_)) = (rate, &spec.sessions) {
        spec = spec
            .at_rate(rate)
            .map_err(|error| reader.problem(&w::RATE, "this rate cannot be").label(error.to_string()))?;
    }
    spec.validate().map_err(|error| reader.problem(&w::INPUT, "this workload cannot be").label(error.to_string()))?;
    Ok(Origin::Made { spec: Box::new(spec), lengths_from })
}

/// Pairs of prompt and answer length of a trace; rows without tokens left out.
fn resampled(reader: &mut Reader<'_>, path: &Path) -> Result<Vec<(u32, u32)>, Problem> {
    let options = read_options(reader, &w::LENGTHS_FROM, path)?;
    let unreadable =
        |error: WorkloadError| reader.problem(&w::LENGTHS_FROM, "the trace cannot be read").label(error.to_string());
    let mut pairs = Vec::new();
    for row in TraceReader::open(path, &options).map_err(unreadable)? {
        let row = row.map_err(unreadable)?;
        if row.input_tokens > 0 && row.output_tokens > 0 {
            pairs.push((row.input_tokens, row.output_tokens));
        }
    }
    Ok(pairs)
}

fn prefix(reader: &mut Reader<'_>) -> Result<PrefixSpec, Problem> {
    let structure: String = reader.get(&w::STRUCTURE);
    let spec = match structure.as_str() {
        "none" => return Ok(PrefixSpec::None),
        "system-prompts" => {
            let prompts = prompts(reader)?;
            let within: String = reader.get(&w::INCLUDED);
            let length = if within == "within" { PrefixLength::Within } else { PrefixLength::OnTop };
            PrefixSpec::SystemPrompts { prompts, popularity: popularity(reader), length }
        }
        "tree" => PrefixSpec::Tree(PrefixTree {
            depth: reader.get(&w::DEPTH),
            branching: reader.get(&w::BRANCHING),
            piece: reader.table(&w::PIECE, lengths)?.expect("it was found missing otherwise"),
            share: reader.get(&w::SHARED),
            popularity: popularity(reader),
        }),
        other => unreachable!("`{other}` is no choice"),
    };
    spec.validate()
        .map_err(|error| reader.problem(&w::STRUCTURE, "these prefixes cannot be").label(error.to_string()))?;
    Ok(spec)
}

fn popularity(reader: &mut Reader<'_>) -> Popularity {
    let exponent: f64 = reader.get(&w::POPULARITY);
    if exponent == 0.0 { Popularity::Uniform } else { Popularity::Zipf { exponent } }
}

fn prompts(reader: &mut Reader<'_>) -> Result<PromptLengths, Problem> {
    let given: Option<Vec<u32>> = reader.maybe(&w::PROMPT_LENGTHS);
    let count: Option<u32> = reader.maybe(&w::COUNT_OF_PROMPTS);
    let tokens: Option<Lengths> = reader.table(&w::PROMPT_TOKENS, lengths)?;
    match (given, count, tokens) {
        (Some(lengths), None, None) => Ok(PromptLengths::Given(lengths)),
        (None, Some(count), Some(tokens)) => Ok(PromptLengths::Drawn { count, tokens }),
        _ => Err(reader
            .problem(&w::STRUCTURE, "system prompts have to be described once")
            .label("expected `lengths`, or `count` and `tokens`")),
    }
}

fn sessions(reader: &mut Reader<'_>) -> Result<SessionSpec, Problem> {
    let spec = SessionSpec {
        turns: reader.table(&w::TURNS, lengths)?.expect("it was found missing otherwise"),
        think: reader.table(&w::THINK, durations)?.expect("it was found missing otherwise"),
        followup: reader.table(&w::FOLLOWUP, lengths)?,
        max_context: reader.maybe(&w::MAX_CONTEXT),
        kept_messages: reader.maybe(&w::KEPT_MESSAGES),
    };
    spec.validate().map_err(|error| reader.problem(&w::TURNS, "these sessions cannot be").label(error.to_string()))?;
    Ok(spec)
}
