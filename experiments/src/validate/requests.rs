//! `requests.csv`: what was asked, when, and what each request experienced.

use std::path::Path;

use super::case::{Content, Latency, Request};
use super::error::NotScored;
use super::rows::{Row, Table};

/// Tokens per id of `block_hash_ids`.
const BLOCK_TOKENS: u32 = 16;

/// Means over requests outside these bounds are of another unit than seconds.
const TTFT_S: (f64, f64) = (1e-4, 86_400.0);
/// The same for the time per output token: no engine generates 10,000 tokens per second for one request, and one that
/// needs longer than 2 s for a token is not what is simulated.
const TPOT_S: (f64, f64) = (1e-4, 2.0);

/// Which column says when a request is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrivals {
    /// `arrival_s`: when it was sent.
    Sent,
    /// `scheduled_arrival_s`: when the client had planned to send it.
    Planned,
}

/// The requests of a folder, in the order in which they are to be sent, and sentences about columns that nobody reads.
///
/// # Errors
/// What is wrong with the table: a column that is missing, a cell that is no number, times that contradict each other or
/// are not seconds.
pub(super) fn read(folder: &Path, column: Arrivals) -> Result<(Vec<Request>, Vec<String>), NotScored> {
    let table = Table::read(&folder.join("requests.csv"), "it has one row per request")?;
    let why = "without the times of arrival nothing can be replayed";
    table.require("arrival_s", why)?;
    if column == Arrivals::Planned {
        table.require("scheduled_arrival_s", why)?;
    }
    table.require("input_tokens", "the length of each prompt")?;
    table.require("output_tokens", "the length of each answer")?;
    let has_latency = has_latencies(&table)?;
    let mut requests = table
        .rows()
        .enumerate()
        .map(|(number, row)| request(row, number, column, has_latency))
        .collect::<Result<Vec<_>, _>>()?;
    plausible(table.path(), &requests)?;
    // Stable, so that requests planned for one moment keep the order of the file.
    requests.sort_by(|a, b| a.arrival_s.total_cmp(&b.arrival_s));
    Ok((requests, table.unread()))
}

/// Whether the latency of each request is there: both columns or none. A column that was probably meant to be one of them
/// is not passed over.
fn has_latencies(table: &Table) -> Result<bool, NotScored> {
    let columns =
        [("ttft_s", "the time to the first token, in seconds"), ("e2e_s", "the time to the last, in seconds")];
    let missing = || columns.into_iter().filter(|(column, _)| !table.has(column));
    let misspelt = || missing().find(|(column, _)| table.meant_as(column).is_some());
    match missing().count() {
        0 => Ok(true),
        1 => Err(missing().next()),
        _ => misspelt().map_or(Ok(false), |column| Err(Some(column))),
    }
    .map_err(|column| {
        let (column, needed) = column.expect("a column is missing");
        table.missing(column, needed)
    })
}

fn request(row: Row<'_>, number: usize, column: Arrivals, has_latency: bool) -> Result<Request, NotScored> {
    let seconds = "a time in seconds, not negative";
    let sent_s = row.needed("arrival_s", seconds)?;
    let arrival_s = match column {
        Arrivals::Sent => sent_s,
        Arrivals::Planned => row.needed("scheduled_arrival_s", seconds)?,
    };
    let output_tokens = row.count("output_tokens", 1)?;
    let input_tokens = row.count("input_tokens", 1)?;
    let ok = row.text("status").is_none_or(|status| status.eq_ignore_ascii_case("ok"));
    let measured = if has_latency && ok { Some(latency(row, sent_s, output_tokens)?) } else { None };
    Ok(Request {
        id: row.text("request_id").map_or_else(|| number.to_string(), str::to_owned),
        arrival_s,
        sent_s,
        input_tokens,
        output_tokens,
        content: content(row, input_tokens)?,
        stage: row.maybe_count("stage")?.unwrap_or(0),
        measured,
    })
}

fn latency(row: Row<'_>, sent_s: f64, output_tokens: u32) -> Result<Latency, NotScored> {
    let seconds = "a time in seconds, not negative";
    let (ttft_s, e2e_s) = (row.needed("ttft_s", seconds)?, row.needed("e2e_s", seconds)?);
    if e2e_s < ttft_s {
        return Err(
            row.contradiction(format!("the last token (e2e_s = {e2e_s}) came before the first (ttft_s = {ttft_s})"))
        );
    }
    let latency = Latency { sent_s, ttft_s, e2e_s, output_tokens };
    if let (Some(given), Some(follows)) = (row.number("tpot_s")?, latency.tpot_s()) {
        // Times are rounded to the microsecond, or to the millisecond by some clients.
        let rounding_s = 1e-3 / f64::from(output_tokens - 1) + 1e-6;
        if (given - follows).abs() > 0.05 * follows + rounding_s {
            return Err(row.contradiction(format!(
                "tpot_s = {given}, but (e2e_s - ttft_s) / (output_tokens - 1) = {follows:.6}: are all in seconds, and is \
                 output_tokens what the server generated?"
            )));
        }
    }
    Ok(latency)
}

fn content(row: Row<'_>, input_tokens: u32) -> Result<Content, NotScored> {
    if let Some(ids) = row.text("block_hash_ids") {
        let parsed: Result<Vec<u64>, _> = ids.split_whitespace().map(str::parse).collect();
        let ids = parsed.map_err(|_| row.wrong("block_hash_ids", "whole numbers with blanks between"))?;
        if ids.len() as u64 * u64::from(BLOCK_TOKENS) > u64::from(input_tokens) {
            let expected = format!("at most one id per full block of {BLOCK_TOKENS} of {input_tokens} tokens");
            return Err(row.wrong("block_hash_ids", expected));
        }
        return Ok(Content::Blocks { ids, tokens: BLOCK_TOKENS });
    }
    Ok(row.maybe_count("prompt_id")?.map_or(Content::Own, |id| Content::Prompt(u64::from(id))))
}

/// Refuses times of another unit.
fn plausible(path: &Path, requests: &[Request]) -> Result<(), NotScored> {
    let measured = || requests.iter().filter_map(|request| request.measured);
    let means = [
        ("the mean of ttft_s", mean(measured().map(|latency| latency.ttft_s)), TTFT_S),
        ("the mean time per output token", mean(measured().filter_map(|latency| latency.tpot_s())), TPOT_S),
    ];
    for (what, found, (low_s, high_s)) in means {
        check_unit(path, what, found, low_s, high_s)?;
    }
    Ok(())
}

/// Refuses a mean TTFT or TPOT, in seconds, that no engine reaches.
pub(super) fn check_means(path: &Path, ttft_s: Option<f64>, tpot_s: Option<f64>) -> Result<(), NotScored> {
    check_unit(path, "the mean TTFT", ttft_s, TTFT_S.0, TTFT_S.1)?;
    check_unit(path, "the mean time per output token", tpot_s, TPOT_S.0, TPOT_S.1)
}

fn check_unit(path: &Path, what: &str, found: Option<f64>, low_s: f64, high_s: f64) -> Result<(), NotScored> {
    match found.filter(|found| !(low_s..=high_s).contains(found)) {
        None => Ok(()),
        Some(found) => {
            let found_s = format!("{found:.3e}");
            Err(NotScored::Unit { path: path.to_owned(), what: what.to_owned(), found_s, low_s, high_s })
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}
