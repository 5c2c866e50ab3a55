//! In which order waiting requests are let in.

use super::QueueKey;

/// In which order requests that wait at the same time are let in.
///
/// All but the last two are orders of a *pool*: the requests that reach a replica's queue before it composes its next step. Where
/// all requests are there at once that is the whole workload, whose order is then computed once; requests that come one by one
/// are served as they come. Whoever is preempted comes back at the head of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// As they come.
    #[default]
    Fcfs,
    /// Shuffled, by the deployment's seed.
    Random,
    /// Depth first through the tree of the prompts: those that share a prefix follow each other, so that every shared token
    /// is used again as soon as can be (`dfs-weight` of `SGLang`, without its weights).
    DepthFirst,
    /// By density, the most compute-heavy first, in depth-first order of a tree that was sorted and split for it: *`BlendServe`*'s,
    /// which takes from both ends. Only with [`Policy::BlendServe`](crate::Policy::BlendServe).
    Density,
    /// The longest prefix in the cache first, looked up whenever somebody may be let in, as long as no more than `most`
    /// requests wait; with more the queue stays as it is. `SGLang` (`schedule_policy.py`) stops sorting above 128.
    LongestPrefixMatch {
        /// See above.
        most: u32,
    },
    /// By a key of each request, one of ours or of the caller's: everything that waits, whenever it came.
    ByKey(QueueKey),
}

impl QueueOrder {
    /// Above how many waiting requests `SGLang` serves them as they come.
    pub const SGLANG_MOST: u32 = 128;

    /// The shortest prompt first.
    pub const SHORTEST_PROMPT_FIRST: QueueOrder =
        QueueOrder::ByKey(QueueKey { name: "shortest-prompt-first", of: |waiting| u64::from(waiting.prompt_tokens) });

    /// The fewest tokens of prompt and answer first, as if somebody knew how long answers will be.
    pub const SHORTEST_JOB_FIRST: QueueOrder = QueueOrder::ByKey(QueueKey {
        name: "shortest-job-first",
        of: |waiting| u64::from(waiting.prompt_tokens) + u64::from(waiting.output_tokens),
    });
}
