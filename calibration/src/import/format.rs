//! Which project's format a file has.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Whose format it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// NVIDIA's aiconfigurator: its own Parquet layout, or the same tables as CSV.
    Aiconfigurator,
    /// `LLMServingSim`, with the profiler of its first version or of its second.
    LlmServingSim,
    /// Vidur's operator times and collectives.
    Vidur,
    /// Splitwise's whole forward passes.
    Splitwise,
    /// `DistServe`'s fitted coefficients.
    DistServe,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Aiconfigurator, Self::LlmServingSim, Self::Vidur, Self::Splitwise, Self::DistServe];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aiconfigurator => "aiconfigurator",
            Self::LlmServingSim => "llmservingsim",
            Self::Vidur => "vidur",
            Self::Splitwise => "splitwise",
            Self::DistServe => "distserve",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| format!("`{name}` is no format; use one of {}", names()))
    }
}

/// What a file of a format holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its name says, in the words of its project")]
pub enum Kind {
    Gemm,
    PrefillAttention,
    DecodeAttention,
    Moe,
    Collectives,
    CollectivesOfAllGpus,
    Dense,
    PerSequence,
    ActivatedExperts,
    MixedAttention,
    AttentionSkew,
    LayersV0,
    AttentionV0,
    VidurLayers,
    VidurCollectives,
    Passes,
    Coefficients,
    /// A table of the project that has no place in ours, and why.
    NotUsed(&'static str),
}

/// What a file was recognised as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Whose format it is.
    pub format: Format,
    /// What it holds.
    pub kind: Kind,
    /// The path, by which files name the device, the engine and the model.
    pub path: String,
}

/// Says what a file is, by the names of its columns and its own; `None`: none of the formats.
pub fn recognise(path: &Path, columns: &[String]) -> Option<Recognised> {
    let has = |names: &[&str]| names.iter().all(|name| columns.iter().any(|column| column == name));
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (format, kind) = by_name(&file).or_else(|| by_columns(&has, &file))?;
    Some(Recognised { format, kind, path: path.to_string_lossy().replace('\\', "/") })
}

const LATENT: &str = "latent attention measured as whole modules, projections and all";

/// Tables that are known by the names of their files and not used.
fn by_name(file: &str) -> Option<(Format, Kind)> {
    const NOT_USED: [(&str, &str); 13] = [
        ("mla_context_module", LATENT),
        ("mla_generation_module", LATENT),
        ("_mla_perf", LATENT),
        ("mla_bmm", LATENT),
        ("dsa_", LATENT),
        ("msa_", LATENT),
        ("computescale", "quantisation of activations, which is counted with the product that needs it"),
        ("scale_matrix", "quantisation of activations, which is counted with the product that needs it"),
        ("encoder_attention", "attention of encoders"),
        ("deepep", "dispatch to experts by DeepEP, with the number of multiprocessors it takes"),
        ("moe_a2a", "dispatch to experts, with the number of multiprocessors it takes"),
        ("wideep", "modules of deployments with wide expert parallelism"),
        ("gpu_specs", "datasheet figures, which are not timings"),
    ];
    let found = NOT_USED.iter().find(|(part, _)| file.contains(part));
    found.map(|(_, why)| (Format::Aiconfigurator, Kind::NotUsed(why)))
}

fn by_columns(has: &impl Fn(&[&str]) -> bool, file: &str) -> Option<(Format, Kind)> {
    let aiconfigurator = |kind| Some((Format::Aiconfigurator, kind));
    let llmservingsim = |kind| Some((Format::LlmServingSim, kind));
    if has(&["gemm_dtype"]) {
        return aiconfigurator(Kind::Gemm);
    }
    if has(&["moe_dtype"]) {
        return aiconfigurator(Kind::Moe);
    }
    if has(&["library", "num_gpus"]) {
        return aiconfigurator(Kind::CollectivesOfAllGpus);
    }
    if has(&["nccl_dtype"]) || has(&["allreduce_dtype"]) {
        return aiconfigurator(Kind::Collectives);
    }
    if has(&["mla_dtype"]) {
        return aiconfigurator(Kind::NotUsed(LATENT));
    }
    if has(&["kv_cache_dtype", "num_heads"]) {
        let decode = has(&["kv_len"]) || file.contains("generation") || file.contains("decode");
        return aiconfigurator(if decode { Kind::DecodeAttention } else { Kind::PrefillAttention });
    }
    if has(&["d_conv"]) || has(&["sinkhorn_iters"]) {
        return aiconfigurator(Kind::NotUsed("linear attention measured as modules of one model"));
    }
    if has(&["kvs", "kv_big"]) {
        return llmservingsim(Kind::AttentionSkew);
    }
    if has(&["prefill_chunk", "n_decode"]) {
        return llmservingsim(Kind::MixedAttention);
    }
    if has(&["activated_experts"]) {
        return llmservingsim(Kind::ActivatedExperts);
    }
    if has(&["layer", "sequences"]) {
        return llmservingsim(Kind::PerSequence);
    }
    if has(&["layer", "tokens"]) {
        return llmservingsim(Kind::Dense);
    }
    if has(&["layer_name", "tp_size"]) {
        return llmservingsim(Kind::LayersV0);
    }
    if has(&["phase", "prefill_chunk_size", "kv_cache_size"]) {
        return llmservingsim(Kind::AttentionV0);
    }
    if has(&["n_expanded_embd", "num_tokens"]) {
        return Some((Format::Vidur, Kind::VidurLayers));
    }
    if has(&["fabric", "collective"]) {
        return Some((Format::Vidur, Kind::VidurCollectives));
    }
    if has(&["prompt_phase_ms"]) || has(&["time_per_output_token_ms"]) {
        return Some((Format::Splitwise, Kind::Passes));
    }
    None
}
