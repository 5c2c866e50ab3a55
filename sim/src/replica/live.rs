//! The requests in flight, and the order in which they were let in.

use workloads::{Prompt, Request, RequestId, SessionId, SimTime};

use crate::kv::{Branch, Chain, Hold};
use crate::offline::{ScanUnit, Side};
use crate::record::HandoverRecord;

use super::prefixes::Grouped;

/// Index of a request in its replica's slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LiveId(pub(crate) u32);

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the waiting queue.
    Waiting,
    /// Let in, with tokens whose KV is missing.
    Prefilling,
    /// Generating, in no slot's group.
    Loose,
    /// Generating in the group of this slot.
    Decoding {
        /// The slot.
        slot: u32,
    },
    /// All that it gets here is done or in the step in flight: it only waits for that to end. Only asynchronous scheduling
    /// and prefill replicas know such requests.
    Finishing,
    /// Its prompt is complete, and its KV cache waits here for a decode replica.
    Handed,
    /// Its KV cache has come from elsewhere, and it waits for a place.
    Arrived,
    /// A prefix that is computed, and stays until the last request that begins with it has ended.
    Kept,
}

/// A request that has not ended. While it decodes, `computed`, `generated` and `energy_nj` stay as they were when it
/// joined its group; the group knows what has come since.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: RequestId,
    pub(crate) session: Option<SessionId>,
    pub(crate) arrival: SimTime,
    pub(crate) prompt: Prompt,
    pub(crate) output_tokens: u32,
    pub(crate) answer: workloads::ContentId,

    pub(crate) phase: Phase,
    /// Tokens whose KV is written at the latest by the steps in flight.
    pub(crate) computed: u32,
    pub(crate) generated: u32,
    pub(crate) hold: Hold,
    /// Where it gets a checkpoint on its way, while it is let in.
    pub(crate) branch: Option<Branch>,
    /// Prompt pieces in flight.
    pub(crate) in_flight: u32,
    /// Whether it has left its group while a step with a token of it is in flight: among those generated, but not out.
    pub(crate) owed: bool,
    /// Whether the gaps between its tokens are told.
    pub(crate) followed: bool,
    /// Position in the order of admission, growing.
    pub(crate) admission: u64,
    /// The group's step when it joined; see [`super::group::Group`].
    pub(crate) joined: u64,
    /// Number of its membership in a group, 0 while it has none; never given twice, so that what a group still holds of
    /// a former member is recognised as stale.
    pub(crate) ticket: u64,

    pub(crate) first_scheduled: Option<SimTime>,
    pub(crate) first_token: Option<SimTime>,
    pub(crate) last_token: SimTime,
    pub(crate) max_gap_ns: u64,
    pub(crate) energy_nj: u64,
    pub(crate) energy_mark_nj: u64,
    pub(crate) cached_tokens: Option<u32>,
    pub(crate) preemptions: u32,
    /// In a batch that is taken from both ends: its unit of the scan, its expected answer in tokens,
    pub(crate) unit: ScanUnit,
    /// and while it is let in, the side that it belongs to, with twice the tokens that it is expected to hold.
    pub(crate) side: Option<(Side, u64)>,
    /// See above.
    pub(crate) expected_output: u32,
    /// What it is to a group of requests with a common prefix.
    pub(crate) grouped: Option<Grouped>,
    /// The decode replica that was chosen for it, if it is to get to one.
    pub(crate) decode_replica: Option<u32>,
    /// Whether its KV cache has been offered to that.
    pub(crate) offered: bool,
    /// How it got here, if its prompt was computed elsewhere.
    pub(crate) handover: Option<HandoverRecord>,

    previous: Option<LiveId>,
    next: Option<LiveId>,
}

impl Live {
    pub(crate) fn new(request: Request) -> Self {
        Live {
            id: request.id,
            session: request.session,
            arrival: request.arrival,
            prompt: request.prompt,
            output_tokens: request.output_tokens,
            answer: request.answer,
            phase: Phase::Waiting,
            computed: 0,
            generated: 0,
            hold: Hold::default(),
            branch: None,
            in_flight: 0,
            owed: false,
            followed: false,
            admission: 0,
            joined: 0,
            ticket: 0,
            first_scheduled: None,
            first_token: None,
            last_token: SimTime::ZERO,
            max_gap_ns: 0,
            energy_nj: 0,
            energy_mark_nj: 0,
            cached_tokens: None,
            preemptions: 0,
            unit: ScanUnit::default(),
            expected_output: 0,
            side: None,
            grouped: None,
            decode_replica: None,
            offered: false,
            handover: None,
            previous: None,
            next: None,
        }
    }

    /// Prompt and generated tokens.
    pub(crate) fn total(&self) -> u32 {
        self.prompt.tokens() + self.generated
    }

    /// Tokens whose KV is missing.
    pub(crate) fn missing(&self) -> u32 {
        self.total() - self.computed
    }

    /// Those of them that one piece may compute: up to where the prompt is cut.
    pub(crate) fn next_piece(&self) -> u32 {
        match self.branch {
            Some(branch) if branch.cut && branch.at > self.computed => self.missing().min(branch.at - self.computed),
            _ => self.missing(),
        }
    }

    /// Whether it gets a checkpoint behind `computed` tokens and not behind what is computed now.
    pub(crate) fn passes_branch(&self, computed: u32) -> bool {
        self.branch.is_some_and(|branch| computed < branch.at && branch.at <= self.computed)
    }

    /// The content of prompt and generated tokens.
    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain { prompt: self.prompt.spans(), answer: self.answer, answer_tokens: self.generated }
    }
}

/// The requests of a replica, with the running ones linked in order of admission.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    slots: Vec<Option<Live>>,
    unused: Vec<LiveId>,
    first: Option<LiveId>,
    last: Option<LiveId>,
    running: u32,
    admissions: u64,
}

impl Lives {
    pub(crate) fn insert(&mut self, live: Live) -> LiveId {
        if let Some(id) = self.unused.pop() {
            self.slots[id.0 as usize] = Some(live);
            return id;
        }
        self.slots.push(Some(live));
        LiveId((self.slots.len() - 1) as u32)
    }

    pub(crate) fn remove(&mut self, id: LiveId) -> Live {
        self.unused.push(id);
        self.slots[id.0 as usize].take().expect("a request is removed once")
    }

    pub(crate) fn get(&self, id: LiveId) -> &Live {
        self.slots[id.0 as usize].as_ref().expect("the request is still here")
    }

    pub(crate) fn get_mut(&mut self, id: LiveId) -> &mut Live {
        self.slots[id.0 as usize].as_mut().expect("the request is still here")
    }

    /// Whether the membership that was given this ticket still lasts.
    pub(crate) fn holds(&self, id: LiveId, ticket: u64) -> bool {
        self.slots[id.0 as usize].as_ref().is_some_and(|live| live.ticket == ticket)
    }

    /// Requests running.
    pub(crate) fn running(&self) -> u32 {
        self.running
    }

    pub(crate) fn first_running(&self) -> Option<LiveId> {
        self.first
    }

    pub(crate) fn last_running(&self) -> Option<LiveId> {
        self.last
    }

    pub(crate) fn next_running(&self, id: LiveId) -> Option<LiveId> {
        self.get(id).next
    }

    pub(crate) fn previous_running(&self, id: LiveId) -> Option<LiveId> {
        self.get(id).previous
    }

    /// Puts a request at the end of the running list.
    pub(crate) fn link(&mut self, id: LiveId) {
        self.running += 1;
        self.admissions += 1;
        let (last, admission) = (self.last, self.admissions);
        let live = self.get_mut(id);
        (live.previous, live.next, live.admission) = (last, None, admission);
        match last {
            Some(last) => self.get_mut(last).next = Some(id),
            None => self.first = Some(id),
        }
        self.last = Some(id);
    }

    /// Takes a request out of the running list.
    pub(crate) fn unlink(&mut self, id: LiveId) {
        self.running -= 1;
        let (previous, next) = (self.get(id).previous, self.get(id).next);
        match previous {
            Some(previous) => self.get_mut(previous).next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => self.get_mut(next).previous = previous,
            None => self.last = previous,
        }
    }
}
