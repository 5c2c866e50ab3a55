//! What a simulated deployment is made of. Every field is given: defaults are the business of whoever reads files.

mod checkpoints;
mod group_order;
mod handover;
mod layer_groups;
mod own_policy;
mod queue_key;
mod queue_order;

use profiles::CostModel;
use workloads::SimDuration;

use crate::offline::FirstLevel;

pub use checkpoints::{BranchStates, CheckpointEviction, CheckpointSpec};
pub use group_order::GroupOrder;
pub use handover::{DecodeChoice, HandoverSpec, MixingSpec, Role, TransferMode};
pub use layer_groups::LayerGroups;
pub use own_policy::OwnPolicy;
pub use queue_key::{QueueKey, Waiting};
pub use queue_order::QueueOrder;

/// Replicas behind a router.
pub struct DeploymentSpec {
    /// The replicas, in order of their numbers.
    pub replicas: Vec<ReplicaSpec>,
    /// How new requests are spread over them; over the prefill replicas, where there are such.
    pub router: RouterSpec,
    /// Seed of the routers' own random draws.
    pub seed: u64,
    /// How requests get from prefill to decode replicas; `None` where there are no prefill replicas.
    pub handover: Option<HandoverSpec>,
}

/// One engine: a scheduler over a KV cache on a set of devices.
pub struct ReplicaSpec {
    /// What it does with the requests it gets.
    pub role: Role,
    /// How steps are composed.
    pub scheduler: SchedulerSpec,
    /// Its KV cache.
    pub kv: KvSpec,
    /// The prefixes that it keeps if its model has recurrent layers, in place of [`KvSpec::prefix_caching`].
    pub checkpoints: Option<CheckpointSpec>,
    /// Longest prompt plus answer in tokens; longer requests are rejected.
    pub max_model_len: u32,
    /// What steps cost. Its number of stages is the number of micro-batches in flight.
    pub cost: Box<dyn CostModel>,
    /// Sliding window of the model's windowed attention layers in tokens, if it has any.
    pub sliding_window: Option<u32>,
    /// Devices it occupies.
    pub devices: u32,
    /// Power of all its devices together when idle, in watts.
    pub idle_power_w: f64,
    /// What the engine adds to the time of its steps.
    pub engine: EngineSpec,
}

/// What an engine adds around the steps that the cost model prices. The default adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineSpec {
    /// Whether a step is composed when the step before it starts, whose tokens are taken as done (vLLM from 0.14 on by
    /// default), or when that has ended. Not with several pipeline stages: vLLM turns it off there, and the stages keep
    /// several steps in flight anyway.
    pub async_scheduling: bool,
    /// Host time between composing a step and its start: scheduler, input preparation, launches. The host works on one
    /// step at a time.
    pub host_per_step: SimDuration,
    /// Host time on top for each request in the step.
    pub host_per_request: SimDuration,
    /// From a request's arrival to the queue of its replica: HTTP, tokenising.
    pub client_to_engine: SimDuration,
    /// From the end of a step until the client has its tokens: detokenising, streaming.
    pub engine_to_client: SimDuration,
}

impl EngineSpec {
    /// Host time for a step with so many requests.
    pub(crate) fn host_time(&self, requests: u32) -> SimDuration {
        let nanos = self.host_per_request.as_nanos() * u64::from(requests);
        SimDuration::from_nanos(self.host_per_step.as_nanos() + nanos)
    }

    /// Its times, by name.
    pub(crate) fn times(&self) -> [(&'static str, SimDuration); 4] {
        [
            ("host_per_step", self.host_per_step),
            ("host_per_request", self.host_per_request),
            ("client_to_engine", self.client_to_engine),
            ("engine_to_client", self.engine_to_client),
        ]
    }
}

/// The paged KV cache of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvSpec {
    /// Tokens per block (≥ 1).
    pub block_size: u32,
    /// Blocks (≥ 1).
    pub blocks: u32,
    /// Whether full blocks are kept for other requests with the same prefix (vLLM's automatic prefix caching).
    pub prefix_caching: bool,
}

impl KvSpec {
    /// So many thousandths of its blocks, rounded down.
    pub(crate) fn share_of_blocks(&self, permille: u32) -> u32 {
        (u64::from(self.blocks) * u64::from(permille) / 1000) as u32
    }
}

/// Which policy composes the steps, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerSpec {
    /// The policy.
    pub policy: Policy,
    /// Most tokens in a step, decode tokens included; with layered prefill most prompt tokens in a cohort. Under Splitwise's
    /// policy a longer prompt has a step to itself.
    pub max_num_batched_tokens: u32,
    /// Most requests running at a time (≤ `max_num_batched_tokens`, unless decodes cost none of them).
    pub max_num_seqs: u32,
    /// In which order waiting requests are let in.
    pub order: QueueOrder,
}

impl SchedulerSpec {
    /// Most prompt tokens of a step, where requests are no longer than `max_model_len`.
    pub fn max_prompt_tokens(&self, max_model_len: u32) -> u32 {
        if self.policy == Policy::Splitwise {
            return self.max_num_batched_tokens.max(max_model_len);
        }
        self.max_num_batched_tokens
    }

    /// Most rows of a step, prompt tokens and decoding requests, likewise.
    pub fn max_rows(&self, max_model_len: u32) -> u32 {
        let decodes = if let Policy::LayeredPrefill { .. } = self.policy { self.max_num_seqs } else { 0 };
        self.max_prompt_tokens(max_model_len).saturating_add(decodes)
    }

    /// Most requests running at a time, with what the policy allows beyond `max_num_seqs`.
    pub fn seats(&self) -> u32 {
        let more =
            if let Policy::BatchLlm { token_batching_degree, .. } = self.policy { token_batching_degree } else { 0 };
        self.max_num_seqs.saturating_add(more)
    }
}

/// Scheduling policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// vLLM v1: decodes and prompt pieces share the token budget, running requests first.
    ChunkedPrefill {
        /// Most prompt tokens of one request in a step; 0: no limit.
        long_prefill_token_threshold: u32,
        /// Whether a request is let in only if its whole prompt fits the free blocks (vLLM ≥ 0.19 by default).
        scheduler_reserve_full_isl: bool,
    },
    /// Sarathi-Serve: as chunked prefill, but the blocks of the whole prompt are reserved when it is let in, and decodes
    /// come before all prompt pieces.
    Sarathi,
    /// vLLM v0: steps of whole prompts whenever one fits, else decode steps.
    PrefillFirst {
        /// Blocks kept free when a prompt is let in, in thousandths of all blocks (vLLM v0: 10).
        watermark_permille: u32,
    },
    /// Orca: whole prompts join the decodes; blocks for prompt and answer are reserved when a request is let in.
    Orca,
    /// Splitwise: whole prompts first, then as many decodes as the step has room for; blocks for prompt and answer are
    /// reserved when a request is let in.
    Splitwise,
    /// Layered prefill: a cohort of prompts passes one group of layers per step, beside all decodes. Needs a cost model that
    /// [knows layers](CostModel::layers), and one pipeline stage.
    LayeredPrefill {
        /// How many groups a cohort passes.
        groups: LayerGroups,
        /// Whether a cohort passes all layers that are left in a step without decodes, where nobody gains from groups.
        /// The paper's public code goes on group by group.
        collapse_without_decodes: bool,
    },
    /// `BlendServe`: requests that are expected to hold as much memory as there is, taken from both ends of a queue sorted by
    /// [density](QueueOrder::Density) in a ratio that keeps what runs as dense as the whole batch; under any other order of the
    /// queue from its head alone. Needs a cost model that prices compute and memory, and one pipeline stage.
    BlendServe {
        /// Share of the requests, in thousandths, whose answers are known beforehand (10 in the paper); what others will
        /// answer is estimated from these.
        sample_permille: u32,
        /// Answers of at least so many tokens are known beforehand, as the paper has it of requests for images and videos.
        known_from_tokens: u32,
        /// Share of the sharing of prefixes, in thousandths, that sorting must leave (990 in the paper).
        kept_sharing_permille: u32,
        /// Blocks kept free when a request is let in, in thousandths of all blocks.
        watermark_permille: u32,
        /// Whether requests are grouped as `BatchLLM` does, and groups taken from both ends: each prefix is computed as a request of
        /// its own and kept until its last member has ended. [`KvSpec::prefix_caching`] has to be off, and the order that of
        /// densities; `kept_sharing_permille` then says nothing.
        group_prefixes: bool,
    },
    /// `BatchLLM`: requests that are there together are grouped by prefixes; each prefix is computed as a request of its own
    /// and kept until its last member has ended. Steps are composed as Sarathi-Serve does. Groups are explicit, so that
    /// [`KvSpec::prefix_caching`] has to be off.
    BatchLlm {
        /// In which order groups are let in.
        order: GroupOrder,
        /// Requests that may run beyond `max_num_seqs`, so that memory rather than seats limits them.
        token_batching_degree: u32,
        /// Blocks kept free when a request is let in, in thousandths of all blocks (vLLM v0: 10).
        watermark_permille: u32,
        /// Which prefixes make groups (the paper's public code: [`FirstLevel::Enlarged`]).
        first_level: FirstLevel,
    },
    /// A policy of the caller's.
    Own(OwnPolicy),
}

impl Policy {
    /// Whether a prompt is always computed in one step.
    pub fn whole_prompts(self) -> bool {
        matches!(self, Policy::PrefillFirst { .. } | Policy::Orca | Policy::Splitwise)
    }

    /// Whether a prompt longer than `max_num_batched_tokens` can never be computed.
    pub(crate) fn bounds_prompts(self) -> bool {
        matches!(self, Policy::PrefillFirst { .. } | Policy::Orca)
    }

    /// Whether requests that begin alike are grouped, their prefix a request of its own.
    pub fn groups_prefixes(self) -> bool {
        matches!(self, Policy::BatchLlm { .. } | Policy::BlendServe { group_prefixes: true, .. })
    }

    /// Whether all blocks that a request will ever need are taken when it is let in.
    pub fn reserves_answers(self) -> bool {
        matches!(self, Policy::Orca | Policy::Splitwise)
    }
}

/// How requests are spread over replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterSpec {
    /// In turn.
    RoundRobin,
    /// To the replica with the fewest prompt tokens of requests that have not ended; the lowest number among equals.
    LeastOutstandingTokens,
    /// The less loaded, by the same measure, of two drawn at random.
    PowerOfTwoChoices,
    /// To the replica whose cache holds the longest prefix, unless it carries more than `max_imbalance_tokens` more
    /// outstanding tokens than the least loaded one, which then gets the request.
    PrefixAffinity {
        /// See above.
        max_imbalance_tokens: u64,
    },
    /// Requests that arrive at the same moment are [cut](crate::offline::cut) into as many parts as there are replicas, each with
    /// its share of the work and as dense as all of them: *`BlendServe`*'s data parallelism. Only with
    /// [`Policy::BlendServe`] on all replicas.
    DensityCut,
}
