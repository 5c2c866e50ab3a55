//! `ServeGen`: a description of clients from which requests are drawn.
//!
//! Each client has two files. `chunk-N-trace.csv` (no header) has a row per 600 s: start (s), rate (requests/s), CV of
//! the gaps, the family of their distribution (`Gamma`, `Weibull`, or nothing where there were none) and its two
//! parameters, shape and scale. `chunk-N-dataset.json` has per 6 h the probabilities of input and of output lengths, as
//! Python dictionaries inside JSON strings. Source: repository `alibaba/ServeGen`; Xiang et al., "`ServeGen`", 2025.
//!
//! How requests are drawn from it: the gaps of a client are a renewal process of the family and shape of the window in
//! which each gap starts, scaled to a mean of 1 and run on a clock that ticks `rate` times per second. So the expected
//! number of requests follows the stated rates whatever the shape, and a gap that begins in one window ends in the next
//! at that window's rate. The fitted scale and the CV are not used: the mean that they imply differs from 1/rate where
//! bursts are heavy. Input and output lengths are drawn independently, as the description has it. The clients' requests
//! are merged by time; streams of random numbers are named after a client's number, so that leaving one out changes no
//! other.

mod client;
mod lengths;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::{Path, PathBuf};

use client::Client;
pub(super) use client::is_pattern;
use lengths::Lengths;

use super::error::TraceError;
use super::format::TraceFormat;
use super::row_format::RawRow;
use super::{ReadOptions, TraceInfo};

const TRACE_SUFFIX: &str = "-trace.csv";
const DATASET_SUFFIX: &str = "-dataset.json";

/// Rows drawn from the description of one or more clients.
pub(super) struct ServeGen {
    clients: Vec<Client>,
    /// Next request of every client that has one: time in ns, and the client.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    notes: Vec<String>,
}

/// Whether a path can only be that of a `ServeGen` description.
pub(super) fn is_named_so(path: &Path) -> bool {
    path.is_dir() || stem(path, DATASET_SUFFIX).is_some()
}

/// File name without `suffix`, and without `.gz` behind it; `None` if it ends otherwise.
fn stem(path: &Path, suffix: &str) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".gz").unwrap_or(name).strip_suffix(suffix).map(str::to_owned)
}

impl ServeGen {
    /// Reads the descriptions of all clients of a folder, or of the one client that either of its files names.
    pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Self, TraceError> {
        let mut servegen = ServeGen { clients: Vec::new(), next: BinaryHeap::new(), notes: Vec::new() };
        let pairs = if path.is_dir() { pairs_of_folder(path)? } else { pair_of_file(path)? };
        let mut zeros = lengths::Zeros::default();
        for (index, pair) in pairs {
            match (pair.trace, pair.dataset) {
                (Some(trace), Some(dataset)) => {
                    let lengths = Lengths::read(&dataset, &mut zeros)?;
                    servegen.clients.push(Client::read(&trace, &dataset, lengths, options.seed, index)?);
                }
                (Some(file), None) | (None, Some(file)) => {
                    let missing = if stem(&file, TRACE_SUFFIX).is_some() { DATASET_SUFFIX } else { TRACE_SUFFIX };
                    let what = format!("there is no `{}{missing}` (or .gz) beside it", pair.stem);
                    if !(options.skip_bad_rows && path.is_dir()) {
                        return Err(TraceError::ServeGen { path: file, what });
                    }
                    servegen.notes.push(format!("client left out: {}: {what}", file.display()));
                }
                (None, None) => {}
            }
        }
        servegen.notes.extend(zeros.note());
        for index in 0..servegen.clients.len() {
            servegen.schedule(index);
        }
        Ok(servegen)
    }

    /// What can be said of it.
    pub(super) fn info(&self, path: &Path) -> TraceInfo {
        let mut info = TraceInfo::new(path, TraceFormat::ServeGen);
        info.notes.push(format!(
            "requests are drawn at random from the description of {} client{}",
            self.clients.len(),
            if self.clients.len() == 1 { "" } else { "s" }
        ));
        info.notes.extend(self.notes.iter().cloned());
        info
    }

    /// Windows of all clients.
    pub(super) fn windows(&self) -> u64 {
        self.clients.iter().map(Client::windows).sum()
    }

    /// The next request of all, and the line that describes its window.
    pub(super) fn next(&mut self) -> Option<(RawRow, u64)> {
        let Reverse((nanos, index)) = self.next.pop()?;
        let client = &mut self.clients[index];
        let (input_tokens, output_tokens) = client.draw_lengths();
        let line = client.line();
        self.schedule(index);
        Some((RawRow { nanos, input_tokens, output_tokens, ..RawRow::default() }, line))
    }

    fn schedule(&mut self, index: usize) {
        self.next.extend(self.clients[index].next_arrival().map(|nanos| Reverse((nanos, index))));
    }
}

/// The two files of a client.
#[derive(Default)]
struct Pair {
    stem: String,
    trace: Option<PathBuf>,
    dataset: Option<PathBuf>,
}

/// The clients of a folder by their number.
fn pairs_of_folder(folder: &Path) -> Result<BTreeMap<u64, Pair>, TraceError> {
    let unreadable = |source| TraceError::Io { path: folder.to_owned(), source };
    let mut pairs: BTreeMap<u64, Pair> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(stem) = stem(&path, TRACE_SUFFIX).or_else(|| stem(&path, DATASET_SUFFIX)) else { continue };
        let Some(number) = number(&stem) else { continue };
        let pair = pairs.entry(number).or_default();
        let place = if self::stem(&path, TRACE_SUFFIX).is_some() { &mut pair.trace } else { &mut pair.dataset };
        if let Some(other) = place {
            let what = format!("`{}` describes the same client; keep one of the two", other.display());
            return Err(TraceError::ServeGen { path, what });
        }
        *place = Some(path);
        pair.stem = stem;
    }
    if pairs.is_empty() {
        let what = "a folder is read as ServeGen clients, but there is no chunk-N-trace.csv (or .gz) in it".to_owned();
        return Err(TraceError::ServeGen { path: folder.to_owned(), what });
    }
    Ok(pairs)
}

fn number(stem: &str) -> Option<u64> {
    stem.strip_prefix("chunk-")?.parse().ok()
}

/// The one client that a file belongs to.
fn pair_of_file(path: &Path) -> Result<BTreeMap<u64, Pair>, TraceError> {
    let Some(stem) = stem(path, TRACE_SUFFIX).or_else(|| stem(path, DATASET_SUFFIX)) else {
        let what =
            "this is the rate of a ServeGen client, whose lengths stand in a file of the same name; to find it, \
                    the name must end in `-trace.csv` or `-trace.csv.gz`"
                .to_owned();
        return Err(TraceError::ServeGen { path: path.to_owned(), what });
    };
    let beside = |suffix: &str| {
        if self::stem(path, suffix).is_some() {
            return Some(path.to_owned());
        }
        let plain = path.with_file_name(format!("{stem}{suffix}"));
        let packed = path.with_file_name(format!("{stem}{suffix}.gz"));
        [plain, packed].into_iter().find(|candidate| candidate.is_file())
    };
    let pair = Pair { trace: beside(TRACE_SUFFIX), dataset: beside(DATASET_SUFFIX), stem: stem.clone() };
    Ok(BTreeMap::from([(number(&stem).unwrap_or(0), pair)]))
}
