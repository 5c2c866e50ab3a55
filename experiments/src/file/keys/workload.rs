//! `[workload]`

mod mix;

pub(crate) use mix::*;

use super::distributions::{lengths, times};
use crate::file::document::Table;
use crate::file::key::{
    Bounds, COUNT, Key, Kind, MAX_COUNT, NOT_NEGATIVE, POSITIVE, RATE as REQUESTS_PER_SECOND, SHARE, TableDef, Tag,
    time,
};
use crate::file::quantity::Dimension;

/// A workload read from a trace.
pub(crate) const FROM_TRACE: &str = "trace";
/// A workload made by a shipped generator.
pub(crate) const FROM_GENERATOR: &str = "generator";
/// A workload made of distributions.
pub(crate) const FROM_INPUT: &str = "input";
/// A workload whose lengths are drawn from a trace.
pub(crate) const FROM_LENGTHS: &str = "lengths_from";
/// A workload of several.
pub(crate) const FROM_PARTS: &str = "part";
const ALONE: &[&str] = &[FROM_TRACE, FROM_GENERATOR, FROM_INPUT, FROM_LENGTHS];

/// The trace.
pub(crate) static TRACE: Key = Key::new("trace", Kind::Path, "Replay this trace, plain or gzip.").only(&[FROM_TRACE]);
/// Its format.
pub(crate) static FORMAT: Key = Key::new(
    "format",
    Kind::Choice(&[
        ("azure", "Azure LLM inference traces 2023 and 2024 (CSV)"),
        ("mooncake", "Mooncake (JSONL, ids of 512-token blocks)"),
        ("burstgpt", "BurstGPT (CSV)"),
        ("qwen-bailian", "Qwen-Bailian (JSONL, ids of 16-token blocks)"),
        ("servegen", "ServeGen's clients: drawn from, not replayed"),
        ("sharegpt-blocks", "CSV or JSONL with ids of 16-token blocks"),
        ("apex", "APEX (JSONL)"),
        ("vidur", "Vidur's lengths (CSV, no times)"),
        ("csv", "servesim's own columns as CSV"),
        ("jsonl", "servesim's own columns as JSON lines"),
    ]),
    "Format of the trace.",
)
.only(&[FROM_TRACE, FROM_LENGTHS])
.computed("recognised from the content");
/// Malformed rows.
pub(crate) static SKIP_BAD_ROWS: Key = Key::new(
    "skip_bad_rows",
    Kind::Flag,
    "Leave out malformed rows of the trace, count and report them, instead of stopping at the first.",
)
.only(&[FROM_TRACE, FROM_LENGTHS])
.value("false");
/// Factor on prompts.
pub(crate) static INPUT_SCALE: Key = Key::new(
    "input_scale",
    Kind::Number(POSITIVE),
    "Factor on prompt lengths. Shared blocks are scaled alike, so what was shared stays shared.",
)
.only(&[FROM_TRACE])
.value("1");
/// Factor on answers.
pub(crate) static OUTPUT_SCALE: Key =
    Key::new("output_scale", Kind::Number(POSITIVE), "Factor on answer lengths.").only(&[FROM_TRACE]).value("1");
/// The generator.
pub(crate) static GENERATOR: Key = Key::new(
    "generator",
    Kind::Choice(&[
        ("azure-conv-2023", "conversations as in the Azure LLM inference trace of 2023"),
        ("azure-code-2023", "code completion as in the Azure LLM inference trace of 2023"),
        ("mooncake-conversation", "long conversations with shared prefixes as in Mooncake's trace; `rate` is that of the steady state, which a run of the default length hardly reaches: turns come minutes apart, so its first half hour is thinner and its last turns trail for up to an hour"),
        ("sharegpt-8k", "ShareGPT conversations of at most 8192 tokens"),
        ("arxiv-summarization", "summaries of papers, prompts of at most 32768 tokens"),
        ("lmsys-sessions", "conversations of at least 10 turns with long answers, shaped like LMSys-Chat-1M's"),
        ("sharegpt-sessions", "conversations of at least 10 short turns, shaped like ShareGPT's"),
        ("swe-agent-sessions", "trajectories of a coding agent that collapses old observations"),
    ]),
    "Make requests like those of a published workload, from its published statistics (`servesim trace stats NAME`).",
)
.only(&[FROM_GENERATOR]);
/// Rate.
pub(crate) static RATE: Key = Key::new(
    "rate",
    REQUESTS_PER_SECOND,
    "Requests per second. trace: its own times, stretched or squeezed to this mean rate; generator: its own arrival \
     process at this rate; else: a Poisson process. Not beside `arrivals`.",
)
.only(ALONE)
.nothing("trace: its own times; generator: its published rate; else `arrivals` says it");
/// Requests.
pub(crate) static REQUESTS: Key =
    Key::new("requests", Kind::Integer(1, 1 << 40), "How many requests; of a trace, the first ones.")
        .only(ALONE)
        .computed("trace: all; generator: as many as the published trace has; else 1000");
/// Cap of the client.
pub(crate) static MAX_CONCURRENCY: Key = Key::new(
    "max_concurrency",
    COUNT,
    "The client holds requests back while this many are under way; one held back arrives when another one ends.",
)
.nothing("no limit")
.vllm("`vllm bench serve --max-concurrency`");
/// Arrivals.
pub(crate) static ARRIVALS: Key = Key::new(
    "arrivals",
    Kind::Table(&ARRIVALS_TABLE),
    "When requests (with `sessions`: sessions) arrive. Beside a trace or generator it replaces their times.",
)
.only(ALONE)
.nothing("`rate` says it");
/// Prompt lengths.
pub(crate) static INPUT: Key =
    Key::new("input", Kind::Table(&INPUT_TABLE), "How long prompts are.").only(&[FROM_INPUT]);
/// Answer lengths.
pub(crate) static OUTPUT: Key =
    Key::new("output", Kind::Table(&OUTPUT_TABLE), "How long answers are.").only(&[FROM_INPUT]);
/// Correlation.
pub(crate) static CORRELATION: Key = Key::new(
    "correlation",
    Kind::Number(Bounds { min: -0.999, above: false, max: 0.999 }),
    "Correlation of prompt and answer length: that of the normal scores of a Gaussian copula.",
)
.only(&[FROM_INPUT])
.value("0");
/// Resampling.
pub(crate) static LENGTHS_FROM: Key = Key::new(
    "lengths_from",
    Kind::Path,
    "Draw pairs of prompt and answer length from this trace, with replacement, so that they stay correlated.",
)
.only(&[FROM_LENGTHS]);
/// Prefixes.
pub(crate) static PREFIX: Key =
    Key::new("prefix", Kind::Table(&PREFIX_TABLE), "What prompts start with that others start with too.")
        .only(&[FROM_INPUT, FROM_LENGTHS])
        .value("\"none\"");
/// Sessions.
pub(crate) static SESSIONS: Key = Key::new(
    "sessions",
    Kind::Table(&SESSIONS_TABLE),
    "Conversations: each later turn carries the whole history, and arrives a think time after the answer before.",
)
.only(&[FROM_INPUT, FROM_LENGTHS])
.nothing("every request stands alone");

/// Workloads that come together.
pub(crate) static PART: Key = Key::new(
    "part",
    Kind::Tables(&PART_TABLE),
    "Several kinds of requests at once: each part is a workload of its own, with prefixes that no other part has. Of those that come at \
     the same time, each is as likely to be the next: what is there all at once is shuffled.",
)
.only(&[FROM_PARTS]);

/// How many of each.
pub(crate) static MIX: Key = Key::new(
    "mix",
    Kind::Table(&MIX_TABLE),
    "How many requests three parts have, which then do not say it themselves: so that all together have a compute density and a \
     sharing of prefixes.",
)
.only(&[FROM_PARTS])
.nothing("each part says how many requests it has");

fn origin(table: &Table) -> Option<&'static str> {
    [FROM_PARTS, FROM_TRACE, FROM_GENERATOR, FROM_LENGTHS, FROM_INPUT].into_iter().find(|key| table.get(key).is_some())
}

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "workload",
    doc: "The requests: a `trace`, a `generator`, distributions (`input` and `output`, or `lengths_from`), or several such (`part`).",
    tag: Tag::Implied(origin),
    keys: &[
        &TRACE,
        &FORMAT,
        &SKIP_BAD_ROWS,
        &INPUT_SCALE,
        &OUTPUT_SCALE,
        &GENERATOR,
        &RATE,
        &REQUESTS,
        &MAX_CONCURRENCY,
        &ARRIVALS,
        &INPUT,
        &OUTPUT,
        &CORRELATION,
        &LENGTHS_FROM,
        &PREFIX,
        &SESSIONS,
        &PART,
        &MIX,
    ],
};

/// A part.
static PART_TABLE: TableDef = TableDef {
    path: "workload.part",
    doc: "One of several kinds of requests: `[[workload.part]]`. A `generator`, or `input` and `output`.",
    tag: Tag::Implied(origin),
    keys: &[&GENERATOR, &RATE, &REQUESTS, &ARRIVALS, &INPUT, &OUTPUT, &CORRELATION, &PREFIX, &SESSIONS],
};

static INPUT_TABLE: TableDef = lengths("workload.input", "Lengths of prompts, in tokens. Every draw is at least 1.");
static OUTPUT_TABLE: TableDef = lengths("workload.output", "Lengths of answers, in tokens. Every draw is at least 1.");

const POISSON: &str = "poisson";
const GAMMA: &str = "gamma";
const WEIBULL: &str = "weibull";
const CONSTANT: &str = "constant";
const ON_OFF: &str = "on-off";
const PIECEWISE: &str = "piecewise";
const ALL_AT_ONCE: &str = "all-at-once";
const CLOSED_LOOP: &str = "closed-loop";

/// Which arrival process.
pub(crate) static PROCESS: Key = Key::new(
    "process",
    Kind::Choice(&[
        (POISSON, "exponential gaps"),
        (GAMMA, "gamma-distributed gaps with the given `cv`"),
        (WEIBULL, "Weibull-distributed gaps with the given `cv`"),
        (CONSTANT, "equal gaps"),
        (ON_OFF, "a Poisson process that switches between two rates after exponential times"),
        (PIECEWISE, "a Poisson process whose rate follows the schedule `pieces`"),
        (ALL_AT_ONCE, "everything at time zero (offline batch)"),
        (CLOSED_LOOP, "`concurrency` clients, each sending its next request when its last one has ended"),
    ]),
    "Which arrival process.",
)
.vllm("`vllm bench serve`: `--request-rate` is poisson, `--burstiness` b is gamma with cv = 1/sqrt(b), `--max-concurrency` with infinite rate is closed-loop");
/// Its rate.
pub(crate) static PROCESS_RATE: Key =
    Key::new("rate", REQUESTS_PER_SECOND, "Mean rate.").only(&[POISSON, GAMMA, WEIBULL, CONSTANT]);
/// Its variation.
pub(crate) static CV: Key =
    Key::new("cv", Kind::Number(POSITIVE), "Coefficient of variation of the gaps: 1 is Poisson, above 1 is bursty.")
        .only(&[GAMMA, WEIBULL]);
/// Rate while on.
pub(crate) static ON_RATE: Key = Key::new("on_rate", REQUESTS_PER_SECOND, "Rate while on.").only(&[ON_OFF]);
/// Rate while off.
pub(crate) static OFF_RATE: Key = Key::new(
    "off_rate",
    Kind::Quantity { dimension: Dimension::Rate, bare: true, bounds: NOT_NEGATIVE },
    "Rate while off.",
)
.only(&[ON_OFF])
.value("0");
/// Time on.
pub(crate) static MEAN_ON: Key = Key::new("mean_on", time(POSITIVE), "Mean duration of an on phase.").only(&[ON_OFF]);
/// Time off.
pub(crate) static MEAN_OFF: Key =
    Key::new("mean_off", time(POSITIVE), "Mean duration of an off phase.").only(&[ON_OFF]);
/// Schedule.
pub(crate) static PIECES: Key =
    Key::new("pieces", Kind::Tables(&PIECE_TABLE), "The schedule, in order.").only(&[PIECEWISE]);
/// Repetition.
pub(crate) static REPEAT: Key =
    Key::new("repeat", Kind::Flag, "Whether the schedule starts over at its end; if not, no request arrives after it.")
        .only(&[PIECEWISE])
        .value("true");
/// Clients.
pub(crate) static CONCURRENCY: Key = Key::new("concurrency", COUNT, "Clients.").only(&[CLOSED_LOOP]);
/// Thinking of clients.
pub(crate) static CLIENT_THINK: Key =
    Key::new("think", Kind::Table(&CLIENT_THINK_TABLE), "What a client waits before its next request.")
        .only(&[CLOSED_LOOP])
        .nothing("nothing");

static ARRIVALS_TABLE: TableDef = TableDef {
    path: "workload.arrivals",
    doc: "When requests arrive.",
    tag: Tag::Key(&PROCESS),
    keys: &[
        &PROCESS,
        &PROCESS_RATE,
        &CV,
        &ON_RATE,
        &OFF_RATE,
        &MEAN_ON,
        &MEAN_OFF,
        &PIECES,
        &REPEAT,
        &CONCURRENCY,
        &CLIENT_THINK,
    ],
};

static CLIENT_THINK_TABLE: TableDef = times("workload.arrivals.think", "What a client waits before its next request.");

/// Duration of a piece.
pub(crate) static PIECE_DURATION: Key = Key::new("duration", time(POSITIVE), "How long.");
/// Rate of a piece.
pub(crate) static PIECE_RATE: Key = Key::new(
    "rate",
    Kind::Quantity { dimension: Dimension::Rate, bare: true, bounds: NOT_NEGATIVE },
    "Requests per second meanwhile.",
);

static PIECE_TABLE: TableDef = TableDef {
    path: "workload.arrivals.pieces",
    doc: "One piece of a schedule of rates: `{ duration = \"60 s\", rate = 4 }`.",
    tag: Tag::None,
    keys: &[&PIECE_DURATION, &PIECE_RATE],
};

const NONE: &str = "none";
const SYSTEM_PROMPTS: &str = "system-prompts";
const TREE: &str = "tree";

/// Which prefix structure.
pub(crate) static STRUCTURE: Key = Key::new(
    "structure",
    Kind::Choice(&[
        (NONE, "nothing: every prompt is its own"),
        (SYSTEM_PROMPTS, "each prompt starts with one of a few system prompts"),
        (TREE, "each prompt starts with a path from the root of a tree"),
    ]),
    "Which prefix structure.",
)
.value("\"none\"");
/// How many system prompts.
pub(crate) static COUNT_OF_PROMPTS: Key =
    Key::new("count", Kind::Integer(1, 1 << 20), "How many system prompts, each of a length drawn once from `tokens`.")
        .only(&[SYSTEM_PROMPTS])
        .nothing("`lengths` says it");
/// How long system prompts are.
pub(crate) static PROMPT_TOKENS: Key =
    Key::new("tokens", Kind::Table(&PROMPT_TABLE), "How long they are; with `count`.")
        .only(&[SYSTEM_PROMPTS])
        .nothing("`lengths` says it");
/// Given system prompts.
pub(crate) static PROMPT_LENGTHS: Key = Key::new(
    "lengths",
    Kind::List(&COUNT),
    "The length of each system prompt, in tokens, instead of `count` and `tokens`.",
)
.only(&[SYSTEM_PROMPTS])
.nothing("`count` and `tokens` say it");
/// Whether the prefix is part of the input length.
pub(crate) static INCLUDED: Key = Key::new(
    "length",
    Kind::Choice(&[
        ("within", "the input length is of the whole prompt, its prefix included"),
        ("on-top", "the prefix comes on top of it"),
    ]),
    "What the input length counts.",
)
.only(&[SYSTEM_PROMPTS])
.value("\"within\"");
/// Depth.
pub(crate) static DEPTH: Key =
    Key::new("depth", Kind::Integer(1, 1024), "Pieces on a path from the top to a leaf.").only(&[TREE]);
/// Branching.
pub(crate) static BRANCHING: Key =
    Key::new("branching", Kind::Integer(1, 1 << 20), "Pieces to choose from at the top, and below each piece.")
        .only(&[TREE]);
/// Pieces.
pub(crate) static PIECE: Key =
    Key::new("piece", Kind::Table(&PIECE_LENGTHS), "Tokens of a piece, drawn once for each.").only(&[TREE]);
/// Share.
pub(crate) static SHARED: Key =
    Key::new("share", Kind::Number(SHARE), "Share of a prompt's tokens that comes from its path.").only(&[TREE]);
/// Popularity.
pub(crate) static POPULARITY: Key = Key::new(
    "popularity_exponent",
    Kind::Number(NOT_NEGATIVE),
    "Zipf exponent of how often each system prompt, or each piece among its siblings, is chosen; 0: all equally often.",
)
.only(&[SYSTEM_PROMPTS, TREE])
.value("0");

static PREFIX_TABLE: TableDef = TableDef {
    path: "workload.prefix",
    doc: "What prompts share.",
    tag: Tag::Key(&STRUCTURE),
    keys: &[
        &STRUCTURE,
        &COUNT_OF_PROMPTS,
        &PROMPT_TOKENS,
        &PROMPT_LENGTHS,
        &INCLUDED,
        &DEPTH,
        &BRANCHING,
        &PIECE,
        &SHARED,
        &POPULARITY,
    ],
};

static PROMPT_TABLE: TableDef = lengths("workload.prefix.tokens", "Lengths of system prompts.");
static PIECE_LENGTHS: TableDef = lengths("workload.prefix.piece", "Lengths of the pieces of a prefix tree.");

/// Turns.
pub(crate) static TURNS: Key = Key::new("turns", Kind::Table(&TURNS_TABLE), "Turns of a session.");
/// Thinking of users.
pub(crate) static THINK: Key =
    Key::new("think", Kind::Table(&THINK_TABLE), "Time between the end of an answer and the next turn.");
/// Later questions.
pub(crate) static FOLLOWUP: Key =
    Key::new("followup", Kind::Table(&FOLLOWUP_TABLE), "Tokens a user adds in each turn after the first.")
        .nothing("as `input`, drawn anew");
/// Longest conversation.
pub(crate) static MAX_CONTEXT: Key = Key::new(
    "max_context",
    COUNT,
    "A session ends before the first turn whose prompt and answer together would be longer than this, in tokens.",
)
.nothing("no limit");
/// Messages that stay.
pub(crate) static KEPT_MESSAGES: Key = Key::new(
    "kept_messages",
    Kind::Integer(0, MAX_COUNT),
    "How many of the latest earlier messages of the user stay in a prompt beside the first one, as with agents that collapse \
     old observations; older ones are left out of it, their answers are not.",
)
.nothing("all of them");

static SESSIONS_TABLE: TableDef = TableDef {
    path: "workload.sessions",
    doc: "Conversations of several turns.",
    tag: Tag::None,
    keys: &[&TURNS, &THINK, &FOLLOWUP, &MAX_CONTEXT, &KEPT_MESSAGES],
};

static TURNS_TABLE: TableDef =
    lengths("workload.sessions.turns", "Turns of a session; the lengths are turns here, not tokens.");
static FOLLOWUP_TABLE: TableDef = lengths("workload.sessions.followup", "Tokens a user adds in a later turn.");
static THINK_TABLE: TableDef = times("workload.sessions.think", "Time a user thinks between two turns.");
