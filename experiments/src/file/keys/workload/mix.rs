//! `[workload.mix]`

use crate::file::key::{Key, Kind, POSITIVE, SHARE, TableDef, Tag};

/// All requests.
pub(crate) static MIX_REQUESTS: Key =
    Key::new("requests", Kind::Integer(3, 1 << 40), "How many requests all parts have together.");
/// Density of the whole.
pub(crate) static DENSITY: Key = Key::new(
    "density",
    Kind::Number(POSITIVE),
    "Compute that is left if each shared token is computed once ÷ reads of the KV cache, both as times.",
);
/// Sharing of the whole.
pub(crate) static SHARING: Key =
    Key::new("sharing", Kind::Number(SHARE), "Share of the prompt tokens that need not be computed.");
/// What prices the two.
pub(crate) static RATES: Key = Key::new(
    "rates",
    Kind::Path,
    "A step-cost file of the form `roofline`, whose rates turn tokens of the experiment's `model` into times.",
);

pub(crate) static MIX_TABLE: TableDef = TableDef {
    path: "workload.mix",
    doc: "How many requests each of three parts has, by BlendServe's recipe: the first two in the proportion that gives a compute \
          density, and of the third as many as give a sharing of prefixes. Means are taken over 50,000 draws of each part. Lock files \
          have the numbers in its place.",
    tag: Tag::None,
    keys: &[&MIX_REQUESTS, &DENSITY, &SHARING, &RATES],
};
