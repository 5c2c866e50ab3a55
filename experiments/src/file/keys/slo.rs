//! `[slo]`

use crate::file::key::{Key, Kind, POSITIVE, POSITIVE_SHARE, TableDef, Tag, time};

const NO_LIMIT: &str = "no limit";

/// Limit on the time to first token.
pub(crate) static TTFT: Key =
    Key::new("ttft", time(POSITIVE), "Longest time to first token, queueing included.").nothing(NO_LIMIT);
/// Limit on the longest gap between two tokens.
pub(crate) static TBT: Key =
    Key::new("tbt", time(POSITIVE), "Longest gap between two consecutive tokens of a request.").nothing(NO_LIMIT);
/// Limit on the mean gap of a request.
pub(crate) static TPOT: Key = Key::new(
    "tpot",
    time(POSITIVE),
    "Longest time per output token after the first, averaged over the request. One-token answers meet it.",
)
.nothing(NO_LIMIT);
/// Limit on the time to the last token.
pub(crate) static E2E: Key =
    Key::new("e2e", time(POSITIVE), "Longest time from arrival to the last token.").nothing(NO_LIMIT);
/// Share of requests that have to meet all limits.
pub(crate) static ATTAINMENT: Key = Key::new(
    "attainment",
    Kind::Number(POSITIVE_SHARE),
    "Share of requests that have to meet every limit. Beside shares of single limits: that of each limit without its own.",
)
.value("0.9");
const JOINTLY: &str = "limits are judged together";
/// Share of requests that have to meet the limit on the time to first token.
pub(crate) static TTFT_ATTAINMENT: Key = Key::new(
    "ttft_attainment",
    Kind::Number(POSITIVE_SHARE),
    "Share of requests that have to meet `ttft`, whatever else they miss: 0.9 asks for a P90 of TTFT within the limit \
     (DistServe). With it, or one of the next three, every limit is judged by itself.",
)
.nothing(JOINTLY);
/// The same for the longest gap.
pub(crate) static TBT_ATTAINMENT: Key =
    Key::new("tbt_attainment", Kind::Number(POSITIVE_SHARE), "The same for `tbt`.").nothing(JOINTLY);
/// The same for the mean gap.
pub(crate) static TPOT_ATTAINMENT: Key =
    Key::new("tpot_attainment", Kind::Number(POSITIVE_SHARE), "The same for `tpot`.").nothing(JOINTLY);
/// The same for the last token.
pub(crate) static E2E_ATTAINMENT: Key =
    Key::new("e2e_attainment", Kind::Number(POSITIVE_SHARE), "The same for `e2e`.").nothing(JOINTLY);

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "slo",
    doc: "Service level objectives. A request is good if it meets every limit that is given; goodput counts those. A \
          rejected request meets none.",
    tag: Tag::None,
    keys: &[
        &TTFT,
        &TBT,
        &TPOT,
        &E2E,
        &ATTAINMENT,
        &TTFT_ATTAINMENT,
        &TBT_ATTAINMENT,
        &TPOT_ATTAINMENT,
        &E2E_ATTAINMENT,
    ],
};
