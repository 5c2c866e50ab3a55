//! What happened: one record per request, one per step, and the observers that receive them.

use profiles::{CostTotals, PrefillPiece};
use workloads::{RequestId, SessionId, SimDuration, SimTime};

use crate::measures::Window;

/// Whose gaps between tokens an observer is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapsOf {
    /// It does not matter: it hears what the others of the run want, or all.
    Any,
    /// All requests'.
    All,
    /// Those of requests that arrive in the window.
    In(Window),
}

impl GapsOf {
    /// All without a window, else those in it.
    pub fn of(window: Option<Window>) -> Self {
        window.map_or(GapsOf::All, GapsOf::In)
    }

    /// The window, if it is not about all requests.
    pub fn window(self) -> Option<Window> {
        match self {
            GapsOf::Any | GapsOf::All => None,
            GapsOf::In(window) => Some(window),
        }
    }
}

/// How a request left the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All its output tokens are out.
    Completed,
    /// It was never let in.
    Rejected(Rejection),
}

/// Why a request cannot be served by the replica it was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Prompt and answer together exceed `max_model_len`.
    ExceedsModelLength,
    /// Prompt and answer together need more KV blocks than the replica has.
    ExceedsKvCache,
    /// The policy never splits prompts, and this one exceeds `max_num_batched_tokens`.
    ExceedsBatch,
}

/// Everything reported about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Its number in the workload.
    pub id: RequestId,
    /// Its conversation.
    pub session: Option<SessionId>,
    /// How it ended. For rejected requests every time below is the arrival and every count of work is 0.
    pub ending: Ending,
    /// Replica that served it; for a request that was handed over, the one that computed its prompt.
    pub replica: u32,
    /// When its client sent it, and it reached the router.
    pub arrival: SimTime,
    /// Start of the first step that worked on it.
    pub first_scheduled: SimTime,
    /// When its client had its first token: [`crate::EngineSpec::engine_to_client`] after the end of the step that produced
    /// it.
    pub first_token: SimTime,
    /// When its client had its last token, likewise.
    pub last_token: SimTime,
    /// Length of its prompt.
    pub input_tokens: u32,
    /// Prompt tokens found in the prefix cache when it was first let in.
    pub cached_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// Times it lost its KV cache and had to compute it again.
    pub preemptions: u32,
    /// Longest gap between two consecutive tokens; zero for one-token answers.
    pub max_gap: SimDuration,
    /// Energy of the steps that worked on it, shared by tokens: board energy (idle power included) of each step ÷ tokens
    /// in the step × its tokens in the step, in nanojoules; a prompt token that passes some of the layers counts for as much
    /// of a token. Energy of idle time belongs to nobody.
    pub energy_nj: u64,
    /// How its KV cache got to its decode replica; `None` if it never left the replica that computed it.
    pub handover: Option<HandoverRecord>,
}

/// How a request's KV cache got from its prefill replica to its decode replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandoverRecord {
    /// The prefill replica.
    pub from: u32,
    /// The decode replica.
    pub to: u32,
    /// Size of what was transferred.
    pub kv_bytes: u64,
    /// When its prompt was complete, and its first token left the engine.
    pub prompt_done: SimTime,
    /// When the decode replica took blocks for it and the transfer began; before `prompt_done` where layers are pushed.
    pub accepted: SimTime,
    /// When the last byte had arrived.
    pub arrived: SimTime,
}

impl HandoverRecord {
    /// Time from the first token until the KV cache was all there: waiting for the decode replica and what of the transfer
    /// was not hidden.
    pub fn wait(&self) -> SimDuration {
        self.arrived - self.prompt_done
    }

    /// Time of the transfer itself.
    pub fn transfer_time(&self) -> SimDuration {
        self.arrived - self.accepted
    }
}

impl RequestRecord {
    /// Time to first token at the client: the way to the engine, queueing, computing, and the way back.
    pub fn ttft(&self) -> SimDuration {
        self.first_token - self.arrival
    }

    /// Time before the first step that worked on it, the way to the engine included.
    pub fn queue_time(&self) -> SimDuration {
        self.first_scheduled - self.arrival
    }

    /// Time from arrival to the last token.
    pub fn e2e(&self) -> SimDuration {
        self.last_token - self.arrival
    }
}

/// Everything reported about one step of one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Which replica.
    pub replica: u32,
    /// Which of its micro-batches; always 0 without pipeline parallelism.
    pub slot: u32,
    /// When it was composed.
    pub scheduled: SimTime,
    /// When its first stage began: after the host's part of the work, and when the stage was free.
    pub start: SimTime,
    /// When its tokens were out.
    pub end: SimTime,
    /// Prompt tokens processed: in `prefill_layers`, so that layered prefill processes each in several steps.
    pub prefill_tokens: u32,
    /// Prompts they belong to.
    pub prefill_requests: u32,
    /// Requests that generated one token by decoding.
    pub decode_requests: u32,
    /// Σ of the tokens they attend to.
    pub decode_context_tokens: u64,
    /// Requests let in with this step.
    pub admitted: u32,
    /// Requests preempted while it was scheduled.
    pub preempted: u32,
    /// Requests waiting once it was scheduled.
    pub waiting: u32,
    /// Requests running (prefilling or decoding) once it was scheduled.
    pub running: u32,
    /// KV blocks free (cached ones that may be dropped included) once it was scheduled.
    pub free_blocks: u32,
    /// First and one-past-last layer that the prefill tokens passed through; `None`: all layers, or no prefill tokens.
    pub prefill_layers: Option<(u32, u32)>,
    /// Energy above idle, in joules.
    pub dynamic_energy_j: f64,
    /// What it computed and moved, if an observer [wants to know](Observer::wants_step_work).
    pub work: Option<StepWork>,
}

/// What a step computed and moved, over all devices of the replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepWork {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes to and from device memory.
    pub memory_bytes: f64,
    /// Bytes over links between devices.
    pub link_bytes: f64,
    /// Bytes of expert weights read; they are among the memory bytes.
    pub expert_load_bytes: f64,
}

/// Who takes part in a step, one by one, and what the step was said to cost by operator: enough to execute it elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct StepDetails<'a> {
    /// The step.
    pub record: &'a StepRecord,
    /// Pieces of prompts, in the order in which they were scheduled.
    pub prefill: &'a [PrefillMember],
    /// Requests that generate a token by decoding, in the order in which they were let in.
    pub decode: &'a [DecodeMember],
    /// Positions whose logits are computed and sampled: every decode row, and one for each prompt that completes.
    pub sampled: u32,
    /// Time of each pipeline stage in nanoseconds, hand-over and waiting for the stage left out.
    pub stage_ns: &'a [u64],
    /// What the step costs by operator.
    pub cost: &'a CostTotals,
}

/// A piece of a prompt in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefillMember {
    /// Whose.
    pub request: RequestId,
    /// How long it is, and what lies before it.
    pub piece: PrefillPiece,
    /// Whether nothing of the request is missing after it, so that the step yields a token.
    pub completes: bool,
}

/// A request that decodes in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeMember {
    /// Which.
    pub request: RequestId,
    /// Tokens it attends to, the new one included.
    pub context_tokens: u32,
}

/// Receives what happens. `()` receives nothing and costs nothing.
pub trait Observer {
    /// Whether [`Observer::step`] wants to be called; asked once, before the run.
    fn wants_steps(&self) -> bool {
        false
    }

    /// Whether the steps should carry [`StepRecord::work`], which takes longer to find out than the step itself; asked
    /// once, before the run.
    fn wants_step_work(&self) -> bool {
        false
    }

    /// Whether [`Observer::step_details`] wants to be called. It takes time for every running request in every step, which
    /// nothing else in a run does; asked once, before the run.
    fn wants_step_details(&self) -> bool {
        false
    }

    /// Of which requests [`Observer::gaps`] wants to be told. Asked once, before the run; observers that wrap others hand it on.
    fn gaps_of(&self) -> GapsOf {
        GapsOf::Any
    }

    /// A request has ended.
    fn request(&mut self, record: &RequestRecord) {
        let _ = record;
    }

    /// At `now`, the clients of `requests` requests have each received a token `gap` after their previous one; of those that
    /// [`Observer::gaps_of`] asks for. Engines whose tokens are long on their way tell of them ahead of time.
    fn gaps(&mut self, now: SimTime, gap: SimDuration, requests: u64) {
        let _ = (now, gap, requests);
    }

    /// A step has been scheduled.
    fn step(&mut self, record: &StepRecord) {
        let _ = record;
    }

    /// Who takes part in the step that was scheduled last; called after [`Observer::step`] for it.
    fn step_details(&mut self, details: &StepDetails<'_>) {
        let _ = details;
    }

    /// Simulated time has reached `now`, with `ended` requests done; called at most once per ended request, for
    /// progress bars.
    fn progress(&mut self, now: SimTime, ended: u64) {
        let _ = (now, ended);
    }
}

impl Observer for () {}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn wants_steps(&self) -> bool {
        self.0.wants_steps() || self.1.wants_steps()
    }
    fn wants_step_work(&self) -> bool {
        self.0.wants_step_work() || self.1.wants_step_work()
    }
    fn wants_step_details(&self) -> bool {
        self.0.wants_step_details() || self.1.wants_step_details()
    }
    fn gaps_of(&self) -> GapsOf {
        match (self.0.gaps_of(), self.1.gaps_of()) {
            (GapsOf::Any, other) | (other, GapsOf::Any) => other,
            (first, second) => {
                assert!(
                    first == second,
                    "observers of one run ask for gaps of different requests: {first:?}, {second:?}"
                );
                first
            }
        }
    }
    fn request(&mut self, record: &RequestRecord) {
        self.0.request(record);
        self.1.request(record);
    }
    fn gaps(&mut self, now: SimTime, gap: SimDuration, requests: u64) {
        self.0.gaps(now, gap, requests);
        self.1.gaps(now, gap, requests);
    }
    fn step(&mut self, record: &StepRecord) {
        self.0.step(record);
        self.1.step(record);
    }
    fn step_details(&mut self, details: &StepDetails<'_>) {
        self.0.step_details(details);
        self.1.step_details(details);
    }
    fn progress(&mut self, now: SimTime, ended: u64) {
        self.0.progress(now, ended);
        self.1.progress(now, ended);
    }
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn wants_steps(&self) -> bool {
        (**self).wants_steps()
    }
    fn wants_step_work(&self) -> bool {
        (**self).wants_step_work()
    }
    fn wants_step_details(&self) -> bool {
        (**self).wants_step_details()
    }
    fn gaps_of(&self) -> GapsOf {
        (**self).gaps_of()
    }
    fn request(&mut self, record: &RequestRecord) {
        (**self).request(record);
    }
    fn gaps(&mut self, now: SimTime, gap: SimDuration, requests: u64) {
        (**self).gaps(now, gap, requests);
    }
    fn step(&mut self, record: &StepRecord) {
        (**self).step(record);
    }
    fn step_details(&mut self, details: &StepDetails<'_>) {
        (**self).step_details(details);
    }
    fn progress(&mut self, now: SimTime, ended: u64) {
        (**self).progress(now, ended);
    }
}
