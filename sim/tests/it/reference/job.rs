//! One request, with the time of every one of its tokens.

use sim::offline::{ScanUnit, Side};
use sim::{Ending, HandoverRecord, RequestRecord};
use workloads::{ContentId, Request, SimDuration, SimTime};

use super::batchllm::Part;

/// Content from the first token on, as runs of tokens of one piece of content, each run from that piece's first token.
/// Cutting it anywhere gives the same runs for the same tokens, so equal chains are equal vectors.
pub(super) type Content = Vec<(ContentId, u32)>;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    /// Let in, and no token out since.
    Prefilling,
    /// Generating; in the micro-batches of this slot, or of none.
    Decoding(Option<usize>),
    /// Its prompt is done, and it decodes elsewhere.
    Leaving,
    /// Its prompt was done elsewhere; here, without a place.
    Arrived,
    /// A prefix that is complete.
    Kept,
}

pub(super) struct Job {
    pub(super) request: Request,
    pub(super) phase: Phase,
    /// Tokens whose KV exists when all dispatched steps have ended.
    pub(super) computed: u32,
    /// Dispatched steps it is in.
    pub(super) in_flight: u32,
    /// Prompt tokens found in the cache when it was first let in.
    pub(super) cached: Option<u32>,
    /// Where it gets a checkpoint on its way, and whether a piece must end there.
    pub(super) branch: Option<(u32, bool)>,
    pub(super) preemptions: u32,
    /// Of `BlendServe`: its unit and expected answer; while it runs, its side and twice what it is expected to hold.
    pub(super) unit: ScanUnit,
    pub(super) expected_output: u32,
    pub(super) side: Option<Side>,
    pub(super) held: u64,
    pub(super) part: Option<Part>,
    pub(super) first_scheduled: Option<SimTime>,
    /// When each of its tokens was out.
    pub(super) tokens_at: Vec<SimTime>,
    /// Tokens of steps that count as done and have not ended.
    pub(super) coming: u32,
    pub(super) energy_nj: u64,
    /// Where it will decode, once that is known.
    pub(super) decode_replica: Option<usize>,
    pub(super) handover: Option<HandoverRecord>,
}

impl Job {
    pub(super) fn new(request: Request) -> Self {
        Job {
            request,
            phase: Phase::Waiting,
            computed: 0,
            in_flight: 0,
            cached: None,
            branch: None,
            preemptions: 0,
            unit: ScanUnit::default(),
            expected_output: 0,
            side: None,
            held: 0,
            part: None,
            first_scheduled: None,
            tokens_at: Vec::new(),
            coming: 0,
            energy_nj: 0,
            decode_replica: None,
            handover: None,
        }
    }

    /// Tokens that are out.
    fn out(&self) -> u32 {
        self.tokens_at.len() as u32
    }

    /// Tokens that are out or coming.
    fn generated(&self) -> u32 {
        self.out() + self.coming
    }

    pub(super) fn total(&self) -> u32 {
        self.request.prompt.tokens() + self.generated()
    }

    /// Tokens that it lacks, up to where its prompt is cut.
    pub(super) fn left(&self) -> u32 {
        match self.branch {
            Some((at, true)) if at > self.computed => at - self.computed,
            _ => self.total() - self.computed,
        }
    }

    /// Whether it gets a checkpoint between the tokens before and those computed now.
    pub(super) fn passes_branch(&self, before: u32) -> bool {
        self.branch.is_some_and(|(at, _)| before < at && at <= self.computed)
    }

    /// Tokens whose KV is written by the time it ends.
    pub(super) fn longest(&self) -> u32 {
        self.request.prompt.tokens() + self.request.output_tokens - 1
    }

    /// Its prompt and what is out.
    pub(super) fn content(&self) -> Content {
        let mut content: Content = self.request.prompt.spans().iter().map(|span| (span.content, span.tokens)).collect();
        if self.out() > 0 {
            content.push((self.request.answer, self.out()));
        }
        content
    }

    /// Whether it has nothing more to generate.
    pub(super) fn is_finishing(&self) -> bool {
        self.generated() == self.request.output_tokens
    }

    /// Whether its last token is out.
    pub(super) fn has_all_tokens(&self) -> bool {
        self.out() == self.request.output_tokens
    }

    /// When each token but the first was out, and how long after the one before.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (SimTime, SimDuration)> {
        self.tokens_at.windows(2).map(|pair| (pair[1], pair[1] - pair[0]))
    }

    /// What is reported of it when a client has its tokens `to_client` after they are out.
    pub(super) fn record(&self, ending: Ending, replica: usize, to_client: SimDuration) -> RequestRecord {
        let arrival = self.request.arrival;
        RequestRecord {
            id: self.request.id,
            session: self.request.session,
            ending,
            replica: self.handover.map_or(replica as u32, |handover| handover.from),
            arrival,
            first_scheduled: self.first_scheduled.unwrap_or(arrival),
            first_token: self.tokens_at.first().map_or(arrival, |&at| at + to_client),
            last_token: self.tokens_at.last().map_or(arrival, |&at| at + to_client),
            input_tokens: self.request.prompt.tokens(),
            cached_tokens: self.cached.unwrap_or(0),
            output_tokens: self.out(),
            preemptions: self.preemptions,
            max_gap: self.gaps().map(|(_, gap)| gap).max().unwrap_or_default(),
            energy_nj: self.energy_nj,
            handover: self.handover,
        }
    }
}

/// The first `tokens` tokens of some content.
pub(super) fn cut(content: &Content, tokens: u32) -> Content {
    let mut chain = Content::new();
    let mut left = tokens;
    for &(id, length) in content {
        if left == 0 {
            break;
        }
        chain.push((id, length.min(left)));
        left -= length.min(left);
    }
    assert_eq!(left, 0, "the content is shorter than {tokens} tokens");
    chain
}
