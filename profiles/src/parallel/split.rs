//! Which splits a model allows.

use super::Parallelism;
use crate::error::ProfileError;
use crate::model::{ExpertFfn, FeedForward, LayerSpec, Mixer, ModelSpec, StateSpace, StateSpaceKind};
use crate::step::LayerRange;

impl Parallelism {
    /// Checks that `model` can be spread this way.
    ///
    /// Tensor parallelism must divide the query heads, the feed-forward widths (experts' too, unless experts are
    /// spread whole) and a state-space mixer's heads or channels; key/value heads must divide it or be divided by it. Expert
    /// parallelism needs experts, and their number must be a multiple of the ranks. There are at most as many stages
    /// as layers.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Parallelism`], which names the sizes that would do.
    pub fn validate(&self, model: &ModelSpec) -> Result<(), ProfileError> {
        let wrong = |message: String| Err(ProfileError::Parallelism(message));
        for (name, size) in [
            ("tensor_parallel_size", self.tensor_parallel_size),
            ("pipeline_parallel_size", self.pipeline_parallel_size),
            ("data_parallel_size", self.data_parallel_size),
        ] {
            if size == 0 {
                return wrong(format!("{name} = 0: use 1 or more"));
            }
        }
        if let Some(obstacle) = self.tensor_obstacle(model) {
            let fitting = self.tensor_sizes(model);
            return wrong(format!(
                "tensor_parallel_size = {} {obstacle} of {}; use {}",
                self.tensor_parallel_size,
                model.name,
                list_or(&fitting)
            ));
        }
        let layers = model.layers.len() as u32;
        if self.pipeline_parallel_size > layers {
            return wrong(format!(
                "pipeline_parallel_size = {}: {} has only {layers} layers",
                self.pipeline_parallel_size, model.name
            ));
        }
        self.validate_experts(model)
    }

    fn validate_experts(&self, model: &ModelSpec) -> Result<(), ProfileError> {
        let wrong = |message: String| Err(ProfileError::Parallelism(message));
        if self.data_parallel_size > 1 && !self.enable_expert_parallel {
            return wrong(format!(
                "data_parallel_size = {} without enable_expert_parallel: ranks would share nothing; use replicas = {} \
                 for independent copies, or set enable_expert_parallel = true",
                self.data_parallel_size, self.data_parallel_size
            ));
        }
        if !self.enable_expert_parallel {
            return Ok(());
        }
        let ranks = self.expert_ranks();
        let mut any = false;
        for layer in &model.layers {
            let FeedForward::Experts(ffn) = &layer.feed_forward else { continue };
            any = true;
            if !ffn.experts.is_multiple_of(ranks) {
                return wrong(format!(
                    "enable_expert_parallel: {ranks} ranks (tensor_parallel_size {} × data_parallel_size {}) do not \
                     divide the {} experts of {}",
                    self.tensor_parallel_size, self.data_parallel_size, ffn.experts, model.name
                ));
            }
        }
        if any { Ok(()) } else { wrong(format!("enable_expert_parallel: {} has no experts; leave it off", model.name)) }
    }

    /// The layers of each stage: vLLM's `get_pp_indices` (`vllm/distributed/utils.py`, 0.23). Layers that do not divide
    /// evenly go one each to the stages before the last, from the back: 30 layers on 4 stages are 7, 8, 8 and 7.
    ///
    /// `layers` must not be below `pipeline_parallel_size`.
    pub fn stages(&self, layers: u32) -> Vec<LayerRange> {
        let stages = self.pipeline_parallel_size;
        let (even, remainder) = (layers / stages, layers % stages);
        let mut start = 0;
        (0..stages)
            .map(|stage| {
                let from_back = stages - 1 - stage;
                let extra = u32::from((1..=remainder).contains(&from_back));
                let range = LayerRange { start, end: start + even + extra };
                start = range.end;
                range
            })
            .collect()
    }

    /// Tensor-parallel sizes up to 64 at which `model` can be split, all else as here.
    pub fn tensor_sizes(&self, model: &ModelSpec) -> Vec<u32> {
        const LARGEST: u32 = 64;
        (1..=LARGEST)
            .filter(|&size| Self { tensor_parallel_size: size, ..*self }.tensor_obstacle(model).is_none())
            .collect()
    }

    /// The first thing that keeps `model` from being cut into `tensor_parallel_size` parts, as the rest of a sentence.
    fn tensor_obstacle(&self, model: &ModelSpec) -> Option<String> {
        model.layers.iter().find_map(|layer| {
            self.mixer_obstacle(&layer.mixer).or_else(|| self.feed_forward_obstacle(&layer.feed_forward))
        })
    }

    fn mixer_obstacle(&self, mixer: &Mixer) -> Option<String> {
        let tp = self.tensor_parallel_size;
        match mixer {
            Mixer::Attention(attention) => self.not_divided(attention.query_heads, "query heads").or_else(|| {
                let kv_heads = attention.kv_heads;
                (!kv_heads.is_multiple_of(tp) && !tp.is_multiple_of(kv_heads))
                    .then(|| format!("neither divides nor is a multiple of the {kv_heads} KV heads"))
            }),
            Mixer::Latent(latent) => self.not_divided(latent.heads, "query heads"),
            Mixer::StateSpace(space) => match space.kind {
                StateSpaceKind::Mamba1 { .. } => self.not_divided(space.d_inner, "state-space channels"),
                StateSpaceKind::Mamba2 { heads, groups } => self
                    .not_divided(heads, "state-space heads")
                    .or_else(|| (groups > 1).then(|| self.not_divided(groups, "state-space groups")).flatten()),
            },
            Mixer::None => None,
        }
    }

    fn feed_forward_obstacle(&self, feed_forward: &FeedForward) -> Option<String> {
        match feed_forward {
            FeedForward::Dense(ffn) => self.not_divided(ffn.intermediate_size, "feed-forward columns"),
            FeedForward::Experts(ffn) => {
                let sliced = if self.enable_expert_parallel { 0 } else { ffn.intermediate_size };
                self.not_divided(sliced, "columns of an expert")
                    .or_else(|| self.not_divided(ffn.shared_intermediate_size, "columns of the shared experts"))
            }
            FeedForward::None => None,
        }
    }

    fn not_divided(&self, size: u32, what: &str) -> Option<String> {
        (!size.is_multiple_of(self.tensor_parallel_size)).then(|| format!("does not divide the {size} {what}"))
    }
}

impl LayerSpec {
    /// The part of the layer that one GPU holds. `parallelism` must be valid for the model.
    ///
    /// The router is held whole; since its size follows from the number of experts, take it from the whole layer.
    #[must_use]
    pub fn slice(&self, parallelism: Parallelism) -> Self {
        let tp = parallelism.tensor_parallel_size;
        let mut slice = self.clone();
        match &mut slice.mixer {
            Mixer::Attention(attention) => {
                attention.query_heads /= tp;
                attention.kv_heads = parallelism.kv_heads_per_gpu(attention.kv_heads);
            }
            Mixer::Latent(latent) => latent.heads /= tp,
            Mixer::StateSpace(space) => space.slice(tp),
            Mixer::None => {}
        }
        match &mut slice.feed_forward {
            FeedForward::Dense(ffn) => ffn.intermediate_size /= tp,
            FeedForward::Experts(ffn) => ffn.slice(parallelism),
            FeedForward::None => {}
        }
        slice
    }
}

impl StateSpace {
    fn slice(&mut self, tensor_parallel_size: u32) {
        self.d_inner /= tensor_parallel_size;
        if let StateSpaceKind::Mamba2 { heads, groups } = &mut self.kind {
            *heads /= tensor_parallel_size;
            *groups = (*groups / tensor_parallel_size).max(1);
        }
    }
}

impl ExpertFfn {
    fn slice(&mut self, parallelism: Parallelism) {
        self.shared_intermediate_size /= parallelism.tensor_parallel_size;
        if parallelism.enable_expert_parallel {
            self.experts /= parallelism.expert_ranks();
        } else {
            self.intermediate_size /= parallelism.tensor_parallel_size;
        }
    }
}

/// `1, 2 or 4`.
fn list_or(sizes: &[u32]) -> String {
    let words: Vec<String> = sizes.iter().map(u32::to_string).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "another model".into(),
    }
}
