//! Finding out from its first line what format a trace has.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::value::RawValue;

use super::error::{TraceError, quote};
use super::format::{SIGNATURES, Signature, TraceFormat};
use super::header::Header;
use super::input::Lines;
use super::row_format::RowFormat;
use super::table::{Table, same_name};
use super::{TraceInfo, apex, azure, burstgpt, mooncake, plain, qwen_bailian, servegen, sharegpt_blocks, vidur};

/// Longest part of a first line that is shown.
const SHOWN_CHARACTERS: usize = 200;

/// Formats that other programs may have packed a trace into, by the first bytes of the file.
const PACKED: [(&[u8], &str); 6] = [
    (b"\x28\xb5\x2f\xfd", "it is zstd-compressed; unpack it first (gzip is unpacked on the fly)"),
    (b"\xfd7zXZ\0", "it is xz-compressed; unpack it first (gzip is unpacked on the fly)"),
    (b"BZh", "it is bzip2-compressed; unpack it first (gzip is unpacked on the fly)"),
    (b"PK\x03\x04", "it is a zip archive; unpack it first"),
    (b"PAR1", "it is a Parquet file; convert it to CSV first"),
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file itself; run `git lfs pull` where it came from"),
];

/// The format of a file whose first line is at hand, and how it differs from others of that format.
#[derive(Clone, Copy)]
struct Recognised {
    format: TraceFormat,
    json: bool,
}

/// A format and the reader of its rows.
pub(super) struct Opened {
    pub(super) info: TraceInfo,
    pub(super) rows: Box<dyn RowFormat>,
}

/// Whether the file's first line is that of a `ServeGen` client.
pub(super) fn is_servegen(first_line: &[u8]) -> bool {
    let mut fields = first_line.split(|&byte| byte == b',');
    let number = |text: Option<&[u8]>| {
        text.and_then(|text| std::str::from_utf8(text).ok()).is_some_and(|text| text.trim().parse::<f64>().is_ok())
    };
    let numbers = number(fields.next()) && number(fields.next()) && number(fields.next());
    let pattern = fields.next().is_some_and(|name| name.is_empty() || servegen::is_pattern(name));
    numbers && pattern && number(fields.next()) && number(fields.next()) && fields.next().is_none()
}

/// Chooses the reader for the rows of a file; if they are JSON lines, the first line is left to be read as a row.
pub(super) fn open(path: &Path, lines: &mut Lines, forced: Option<TraceFormat>) -> Result<Opened, TraceError> {
    if !lines.peek()? {
        return Err(TraceError::Empty { path: path.to_owned(), lines: lines.number(), skipped: None });
    }
    let first = lines.current().to_owned();
    let json = first.starts_with(b"{");
    let names = names(&first, json);
    let recognised = match forced {
        Some(format) => Recognised { format, json },
        None => recognise(path, &first, names.as_deref())?,
    };
    let names = names.unwrap_or_default();
    if recognised.json {
        open_json(path, recognised.format, &names, &first)
    } else {
        open_table(path, recognised.format, lines, &first)
    }
}

/// Names of the columns or fields that the first line brings; `None` if it is no whole JSON object.
fn names(first: &[u8], json: bool) -> Option<Vec<String>> {
    if json {
        let object: BTreeMap<String, &RawValue> = serde_json::from_slice(first).ok()?;
        Some(object.into_keys().collect())
    } else {
        Some(Table::new(first).names().to_vec())
    }
}

fn recognise(path: &Path, first: &[u8], names: Option<&[String]>) -> Result<Recognised, TraceError> {
    let json = first.starts_with(b"{");
    let unknown = |why: &str| TraceError::UnknownFormat {
        path: path.to_owned(),
        why: why.to_owned(),
        start: quote(first, SHOWN_CHARACTERS),
    };
    if let Some((_, why)) = PACKED.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Err(unknown(why));
    }
    if first.starts_with(b"[") {
        return Err(unknown("it is a JSON array; write one object per line, for example with `jq -c '.[]'`"));
    }
    let Some(names) = names else {
        return Err(unknown(
            "its first line starts a JSON object but is not a whole one; JSON lines have one per line",
        ));
    };
    let lacking = |signature: &Signature| lacking(signature, names);
    let candidates = || SIGNATURES.iter().filter(|signature| signature.json == json);
    if let Some(signature) = candidates().find(|signature| lacking(signature).is_empty()) {
        return Ok(Recognised { format: signature.format, json });
    }
    // With all but one of at least three names it is more helpful to say which one is missing.
    match candidates().find(|signature| signature.required.len() >= 3 && lacking(signature).len() == 1) {
        Some(signature) => Err(TraceError::MissingColumn {
            path: path.to_owned(),
            format: signature.format,
            json,
            missing: lacking(signature)[0],
            found: quote(first, SHOWN_CHARACTERS),
        }),
        None if json => Err(unknown("the fields of its first row fit none")),
        None if separated_otherwise(names) => Err(unknown("its columns have to be parted by commas")),
        None => Err(unknown(
            "it starts neither with the header of one nor with a JSON object (in a CSV file of your own, call the columns \
             arrival_s, in seconds, input_tokens and output_tokens)",
        )),
    }
}

/// Whether a header that has but one column would have several, were they parted by what is no comma.
fn separated_otherwise(names: &[String]) -> bool {
    matches!(names, [only] if [';', '\t', '|'].iter().any(|mark| only.contains(*mark)))
}

/// Required names that are not there.
fn lacking(signature: &Signature, names: &[String]) -> Vec<&'static str> {
    let is_there = |required: &str| {
        names.iter().any(|name| if signature.json { name == required } else { same_name(name, required) })
    };
    signature.required.iter().copied().filter(|required| !is_there(required)).collect()
}

fn open_json(path: &Path, format: TraceFormat, names: &[String], first: &[u8]) -> Result<Opened, TraceError> {
    let has = |name: &str| names.iter().any(|candidate| candidate == name);
    let mut info = TraceInfo::new(path, format);
    let rows: Box<dyn RowFormat> = match format {
        TraceFormat::Mooncake => {
            (info.has_prefixes, info.block_tokens) = (has("hash_ids"), Some(mooncake::BLOCK_TOKENS));
            Box::new(mooncake::Mooncake)
        }
        TraceFormat::QwenBailian => {
            (info.has_prefixes, info.block_tokens) = (has("hash_ids"), Some(qwen_bailian::BLOCK_TOKENS));
            info.has_sessions = true;
            Box::<qwen_bailian::QwenBailian>::default()
        }
        TraceFormat::ShareGptBlocks => {
            (info.has_prefixes, info.block_tokens) = (true, Some(sharegpt_blocks::BLOCK_TOKENS));
            Box::new(sharegpt_blocks::Jsonl)
        }
        TraceFormat::Apex => Box::new(apex::Apex),
        TraceFormat::Jsonl => {
            (info.has_prefixes, info.has_sessions) = (has("spans"), has("session"));
            let other = |name: &&String| !plain::COLUMNS.contains(&name.as_str());
            info.note_unread("fields", &names.iter().filter(other).cloned().collect::<Vec<_>>());
            Box::new(plain::Jsonl)
        }
        _ => return Err(wrong_kind(path, format, first)),
    };
    Ok(Opened { info, rows })
}

fn open_table(path: &Path, format: TraceFormat, lines: &mut Lines, first: &[u8]) -> Result<Opened, TraceError> {
    let header = Header::new(path.to_owned(), format, first);
    let mut info = TraceInfo::new(path, format);
    let rows = match format {
        TraceFormat::Azure => azure::format(&header)?,
        TraceFormat::BurstGpt => {
            info.has_sessions = header.find("Session ID").is_some();
            burstgpt::format(&header)?
        }
        TraceFormat::ShareGptBlocks => {
            (info.has_prefixes, info.block_tokens) = (true, Some(sharegpt_blocks::BLOCK_TOKENS));
            sharegpt_blocks::csv_format(&header)?
        }
        TraceFormat::Vidur => {
            info.has_times = header.find(vidur::TIME_COLUMN).is_some();
            vidur::format(&header)?
        }
        TraceFormat::Csv => {
            info.has_prefixes = header.find("spans").is_some();
            info.has_sessions = header.find("session").is_some();
            info.note_unread("columns", &header.others(&plain::COLUMNS));
            plain::csv_format(&header)?
        }
        _ => return Err(wrong_kind(path, format, first)),
    };
    lines.advance()?;
    Ok(Opened { info, rows })
}

/// A format was asked for by name, and the file is not even of its kind.
fn wrong_kind(path: &Path, format: TraceFormat, first: &[u8]) -> TraceError {
    let kind = if first.starts_with(b"{") { "JSON lines" } else { "no JSON lines" };
    TraceError::UnknownFormat {
        path: path.to_owned(),
        why: format!("it was said to be `{format}`, but it has {kind}"),
        start: quote(first, SHOWN_CHARACTERS),
    }
}
