//! What a request is: when it comes, what it asks, how much it will answer.

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

/// Number of a request within one run: 0, 1, 2 … in the order in which the source issues them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Number of a conversation whose turns carry each other's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// Name of a piece of content. A token is identified by its content and its position inside it, so two prompts
/// share a prefix exactly as far as their spans agree, and no token ids need to be stored.
///
/// The two highest bits say who named it, so that names given by a trace, by a prefix structure and by a source never
/// collide; the other 62 bits are the number the owner gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentId(pub u64);

impl ContentId {
    /// Numbers below this fit in every range.
    pub const LIMIT: u64 = 1 << 62;

    /// Content a trace names by `number`, such as the hash of a block; `None` where `number` does not fit in 62 bits
    /// (the reader then has to number its hashes itself).
    pub const fn from_trace(number: u64) -> Option<Self> {
        if number < Self::LIMIT { Some(ContentId(number)) } else { None }
    }

    /// Node `number` of a prefix structure shared by many requests.
    pub const fn shared(number: u64) -> Self {
        ContentId(number & (Self::LIMIT - 1) | 1 << 62)
    }

    /// What request `number` alone asks.
    pub const fn unique(number: u64) -> Self {
        ContentId(number & (Self::LIMIT - 1) | 2 << 62)
    }

    /// What request `number` was answered.
    pub const fn answer(number: u64) -> Self {
        ContentId(number & (Self::LIMIT - 1) | 3 << 62)
    }
}

/// The first `tokens` tokens of a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Whose tokens these are.
    pub content: ContentId,
    /// How many of them, from its first one on (≥ 1).
    pub tokens: u32,
}

/// A prompt, as the spans it is made of, first token first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    spans: Vec<Span>,
    tokens: u32,
}

impl Prompt {
    /// A prompt of these spans; empty spans are dropped.
    ///
    /// # Panics
    /// If the prompt is longer than `u32::MAX` tokens.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| span.tokens > 0);
        let tokens: u64 = spans.iter().map(|span| u64::from(span.tokens)).sum();
        let tokens = u32::try_from(tokens).expect("a prompt has at most 2^32 - 1 tokens");
        Prompt { spans, tokens }
    }

    /// Its spans, none of them empty.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Length in tokens.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }
}

/// One request to the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// When it reaches the deployment's router.
    pub arrival: SimTime,
    /// What it asks.
    pub prompt: Prompt,
    /// Tokens it will generate (≥ 1); the simulated engine learns this only when the last one is out.
    pub output_tokens: u32,
    /// Content its answer will have as a span of a later turn's prompt. Only requests issued after this one has ended
    /// may refer to it.
    pub answer: ContentId,
    /// The conversation it belongs to.
    pub session: Option<SessionId>,
}
