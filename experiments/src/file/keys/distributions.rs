//! Tables that describe distributions: of lengths, and of times.

use crate::file::key::{Bounds, COUNT, Key, Kind, NOT_NEGATIVE, POSITIVE, TableDef, Tag, time};

const FIXED: &str = "fixed";
const UNIFORM: &str = "uniform";
const NORMAL: &str = "normal";
const LOGNORMAL: &str = "lognormal";
const ZIPF: &str = "zipf";
const QUANTILES: &str = "quantiles";
const EMPIRICAL: &str = "empirical";
const EXPONENTIAL: &str = "exponential";

/// Which distribution of lengths.
pub(crate) static DISTRIBUTION: Key = Key::new(
    "distribution",
    Kind::Choice(&[
        (FIXED, "always `tokens`"),
        (UNIFORM, "every length from `min` to `max` equally likely"),
        (NORMAL, "normal with `mean` and `sd`, rounded, cut to `min` and `max`"),
        (
            LOGNORMAL,
            "lognormal by `mean` and one percentile, by two percentiles, or by `mu` and `sigma`; rounded and cut",
        ),
        (ZIPF, "`min` most likely; the k-th length in proportion to k^-`exponent`"),
        (QUANTILES, "piecewise linear between the pairs of `table`"),
        (EMPIRICAL, "the lengths of `table` with their weights"),
    ]),
    "Which distribution.",
);
/// The length that is always drawn.
pub(crate) static TOKENS: Key = Key::new("tokens", COUNT, "The length, in tokens.").only(&[FIXED]);
/// Mean.
pub(crate) static MEAN: Key =
    Key::new("mean", Kind::Number(POSITIVE), "Mean before cutting, in tokens. (lognormal: with one percentile)")
        .only(&[NORMAL, LOGNORMAL])
        .nothing("the percentiles or `mu` and `sigma` say it");
/// Standard deviation.
pub(crate) static SD: Key =
    Key::new("sd", Kind::Number(NOT_NEGATIVE), "Standard deviation before cutting, in tokens.").only(&[NORMAL]);
/// Median.
pub(crate) static P50: Key =
    Key::new("p50", Kind::Number(POSITIVE), "Median, in tokens.").only(&[LOGNORMAL]).nothing("not given");
/// 90th percentile.
pub(crate) static P90: Key =
    Key::new("p90", Kind::Number(POSITIVE), "90th percentile, in tokens.").only(&[LOGNORMAL]).nothing("not given");
/// 99th percentile.
pub(crate) static P99: Key =
    Key::new("p99", Kind::Number(POSITIVE), "99th percentile, in tokens.").only(&[LOGNORMAL]).nothing("not given");
/// Mean of the logarithm.
pub(crate) static MU: Key = Key::new(
    "mu",
    Kind::Number(Bounds { min: -100.0, above: false, max: 100.0 }),
    "Mean of the natural logarithm of the length; with `sigma`.",
)
.only(&[LOGNORMAL])
.nothing("not given");
/// Standard deviation of the logarithm.
pub(crate) static SIGMA: Key =
    Key::new("sigma", Kind::Number(NOT_NEGATIVE), "Standard deviation of the natural logarithm; with `mu`.")
        .only(&[LOGNORMAL])
        .nothing("not given");
/// Zipf's exponent.
pub(crate) static EXPONENT: Key =
    Key::new("exponent", Kind::Number(NOT_NEGATIVE), "Zipf's exponent; 0 is uniform.").only(&[ZIPF]);
/// Shortest.
pub(crate) static MIN: Key =
    Key::new("min", COUNT, "Shortest length, in tokens.").only(&[UNIFORM, NORMAL, LOGNORMAL, ZIPF]).value("1");
/// Longest.
pub(crate) static MAX: Key = Key::new("max", COUNT, "Longest length, in tokens; uniform and zipf need it.")
    .only(&[UNIFORM, NORMAL, LOGNORMAL, ZIPF])
    .value("1073741824");
/// How it is cut.
pub(crate) static CUT: Key = Key::new(
    "cut",
    Kind::Choice(&[
        ("clamp", "draws outside become the bound, as benchmark clients do"),
        ("resample", "draws outside are drawn again"),
    ]),
    "What happens to draws outside `min` and `max`.",
)
.only(&[NORMAL, LOGNORMAL])
.value("\"clamp\"");
/// Pairs.
pub(crate) static PAIRS: Key = Key::new(
    "table",
    Kind::List(&Kind::List(&Kind::Number(NOT_NEGATIVE))),
    "quantiles: pairs `[probability, tokens]`, from probability 0 to 1, never falling. empirical: pairs `[tokens, weight]`.",
)
.only(&[QUANTILES, EMPIRICAL]);

const LENGTH_KEYS: &[&Key] =
    &[&DISTRIBUTION, &TOKENS, &MEAN, &SD, &P50, &P90, &P99, &MU, &SIGMA, &EXPONENT, &MIN, &MAX, &CUT, &PAIRS];

/// A distribution of lengths under the name `path`.
pub(crate) const fn lengths(path: &'static str, doc: &'static str) -> TableDef {
    TableDef { path, doc, tag: Tag::Key(&DISTRIBUTION), keys: LENGTH_KEYS }
}

/// Which distribution of times.
pub(crate) static TIME_DISTRIBUTION: Key = Key::new(
    "distribution",
    Kind::Choice(&[
        (FIXED, "always `duration`"),
        (UNIFORM, "between `min` and `max`"),
        (EXPONENTIAL, "exponential with `mean`"),
        (LOGNORMAL, "lognormal by `p50` and `p90`"),
        (QUANTILES, "piecewise linear between the pairs of `table`"),
    ]),
    "Which distribution.",
);
/// The time that is always drawn.
pub(crate) static DURATION: Key = Key::new("duration", time(NOT_NEGATIVE), "The time.").only(&[FIXED]);
/// Shortest.
pub(crate) static TIME_MIN: Key = Key::new("min", time(NOT_NEGATIVE), "Shortest time.").only(&[UNIFORM]);
/// Longest.
pub(crate) static TIME_MAX: Key = Key::new("max", time(NOT_NEGATIVE), "Longest time.").only(&[UNIFORM]);
/// Mean.
pub(crate) static TIME_MEAN: Key = Key::new("mean", time(POSITIVE), "Mean time.").only(&[EXPONENTIAL]);
/// Median.
pub(crate) static TIME_P50: Key = Key::new("p50", time(POSITIVE), "Median.").only(&[LOGNORMAL]);
/// 90th percentile.
pub(crate) static TIME_P90: Key = Key::new("p90", time(POSITIVE), "90th percentile.").only(&[LOGNORMAL]);
/// Pairs.
pub(crate) static TIME_PAIRS: Key = Key::new(
    "table",
    Kind::List(&Kind::List(&Kind::Number(NOT_NEGATIVE))),
    "Pairs `[probability, seconds]`, from probability 0 to 1, never falling.",
)
.only(&[QUANTILES]);

const TIME_KEYS: &[&Key] =
    &[&TIME_DISTRIBUTION, &DURATION, &TIME_MIN, &TIME_MAX, &TIME_MEAN, &TIME_P50, &TIME_P90, &TIME_PAIRS];

/// A distribution of times under the name `path`.
pub(crate) const fn times(path: &'static str, doc: &'static str) -> TableDef {
    TableDef { path, doc, tag: Tag::Key(&TIME_DISTRIBUTION), keys: TIME_KEYS }
}
