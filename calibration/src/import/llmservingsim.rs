//! `LLMServingSim`'s per-layer tables.
//!
//! Second version (vLLM kernels): `meta.yaml` beside `dense` (layer, tokens), `per_sequence` (layer, sequences), `moe`
//! (tokens, activated experts), `attention` (a prompt chunk and decoding requests in one call) and `attention_skew` (the
//! same with unequal contexts), in microseconds. First version: `layers` in nanoseconds and `attention` in milliseconds,
//! of a model in plain `PyTorch`. Times are of one layer on one GPU of `tpN`, so the model says how large its matrices are.

mod attention;
mod dense;
mod experts;
mod layers;
mod meta;
mod place;
mod v0;

use profiles::table::{Cache, Header, Kernel, Launch, Row, Rows};
use profiles::{DType, ModelSpec};

use super::error::ImportError;
use super::format::{Kind, Recognised};
use super::plausible::Floor;
use super::records::Records;
use super::report::Report;
use super::sink::Sink;
use super::{Imported, Known, NamedTable, find_device, find_model, slug};

pub use meta::Meta;
use place::Place;

pub(super) fn import(recognised: &Recognised, records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    let subject = Subject::new(recognised, records.file(), known)?;
    match recognised.kind {
        Kind::Dense => dense::dense(&subject, records),
        Kind::PerSequence => dense::per_sequence(&subject, records),
        Kind::ActivatedExperts => experts::activated(&subject, records),
        Kind::MixedAttention => attention::mixed(&subject, records),
        Kind::AttentionSkew => attention::skewed(&subject, records),
        Kind::LayersV0 => v0::layers(&subject, records),
        Kind::AttentionV0 => v0::attention(&subject, records),
        other => unreachable!("{other:?} is no table of LLMServingSim"),
    }
}

/// What was measured.
struct Subject<'a> {
    file: String,
    device: profiles::DeviceSpec,
    model: ModelSpec,
    tensor_parallel_size: u32,
    known: Known<'a>,
    version: Version<'a>,
}

/// With which profiler.
enum Version<'a> {
    /// The first: `PyTorch`, nothing else recorded.
    V0,
    /// The second.
    V1(&'a Meta),
}

impl<'a> Subject<'a> {
    fn new(recognised: &Recognised, file: &str, known: Known<'a>) -> Result<Self, ImportError> {
        let place = Place::of(&recognised.path, file)?;
        let first = matches!(recognised.kind, Kind::LayersV0 | Kind::AttentionV0);
        let (version, gpu, model) = match known.meta {
            _ if first => (Version::V0, place.hardware.as_str(), place.model.as_str()),
            Some(meta) => (Version::V1(meta), meta.gpu.as_str(), meta.model.as_str()),
            None => {
                return Err(ImportError::Unrecognised {
                    file: file.to_string(),
                    problem: "the profile's `meta.yaml` was not found; it says which GPU and model were measured"
                        .to_string(),
                });
            }
        };
        let model = find_model(file, model, known)?;
        let tensor = place.tensor_parallel_size;
        let parallelism = profiles::Parallelism { tensor_parallel_size: tensor, ..profiles::Parallelism::default() };
        parallelism.validate(&model).map_err(|error| ImportError::Model {
            file: file.to_string(),
            problem: format!("{} cannot be divided as the file says: {error}", model.name),
        })?;
        Ok(Self {
            file: file.to_string(),
            device: find_device(file, gpu, known)?,
            model,
            tensor_parallel_size: tensor,
            known,
            version,
        })
    }

    /// A dimension that tensor parallelism divides.
    fn divided(&self, whole: u32) -> u32 {
        whole.div_ceil(self.tensor_parallel_size)
    }

    fn sink<R: Row + Floor>(&self) -> Sink<R> {
        Sink::new(self.device.clone())
    }

    /// Adds the table of what was taken, if anything was.
    fn finish<R: Row + Floor>(
        &self,
        sink: Sink<R>,
        wrap: impl FnOnce(Vec<R>) -> Rows,
        (column, kind): (&str, &str),
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let mut header = self.header(R::KERNEL, sink.shortest_us());
        if kind == SKEW {
            header.relative = true;
            header.notes = Some(
                "times of one event around the call, which hold some 40 us of launches: only what unequal contexts add \
                 can be read from them"
                    .to_string(),
            );
        }
        let table = sink.finish(header, wrap, (&self.file, column), &mut imported.report)?;
        if !table.is_empty() {
            let model = self.model.name.rsplit('/').next().unwrap_or_default();
            let (device, engine) = (slug(&self.device.name), slug(&self.engine()));
            let tensor = self.tensor_parallel_size;
            let stem = format!("{device}_{engine}_{}-tp{tensor}_{}{kind}", slug(model), R::KERNEL);
            imported.tables.push(NamedTable { stem, table });
        }
        Ok(())
    }

    fn engine(&self) -> String {
        match self.version {
            Version::V0 => "pytorch".to_string(),
            Version::V1(meta) => format!("vllm-{}", meta.vllm_version),
        }
    }

    fn header(&self, kernel: Kernel, shortest_us: f64) -> Header {
        let about = format!("{}, tensor_parallel_size = {}", self.model.name, self.tensor_parallel_size);
        match self.version {
            Version::V0 => {
                let source = format!("LLMServingSim v0 (MIT), {about}");
                let date = self.known.date.unwrap_or("unknown");
                let mut header = Header::new(kernel, &self.device.name, Cache::Unknown, Launch::Eager, &source, date);
                header.notes =
                    Some("operators of a model in plain PyTorch: short ones hold their launches".to_string());
                header
            }
            Version::V1(meta) => {
                let source = format!("LLMServingSim profiler {} (MIT), {about}", meta.profiler_version);
                let date = self.known.date.unwrap_or(&meta.day);
                // Between two timings of a kernel, a pass reads the weights of the layer and of the head, several times
                // what the L2 holds.
                let mut header = Header::new(kernel, &self.device.name, Cache::Cold, Launch::Unknown, &source, date);
                header.libraries.insert("vllm".to_string(), meta.vllm_version.clone());
                header.libraries.insert("cuda".to_string(), meta.cuda_version.clone());
                header.notes = Some(format!(
                    "the engine launched kernels one by one (enforce_eager = {}); the shortest time is {shortest_us} us; one \
                     GPU ran the shard of one rank",
                    meta.enforce_eager
                ));
                header
            }
        }
    }
}

/// What the names of tables of unequal contexts end with.
const SKEW: &str = "_skew";

/// The number format of a profile.
fn precision(subject: &Subject<'_>) -> Result<DType, ImportError> {
    match subject.version {
        // Models of the first version are loaded in 16 bits.
        Version::V0 => Ok(DType::Bf16),
        Version::V1(meta) if meta.variant == "bf16" => Ok(DType::Bf16),
        Version::V1(meta) => Err(ImportError::Field {
            file: subject.file.clone(),
            field: "variant".to_string(),
            problem: format!("`{}` in meta.yaml is no number format that is known here; expected `bf16`", meta.variant),
        }),
    }
}

/// A report that names the columns nobody read.
fn report(records: &Records<'_>) -> Report {
    let mut report = Report::default();
    let unused = records.unused();
    if !unused.is_empty() {
        report.note(format!("columns not used: {}", unused.join(", ")));
    }
    report
}
