//! The formats a trace can have, their names, and what each is recognised by.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a trace is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TraceFormat {
    /// Azure LLM inference traces 2023 and 2024.
    Azure,
    /// Mooncake's traces.
    Mooncake,
    /// `BurstGPT`.
    #[serde(rename = "burstgpt")]
    BurstGpt,
    /// Alibaba's Qwen-Bailian traces.
    QwenBailian,
    /// `ServeGen`'s clients: not a trace but a description of how to draw one.
    #[serde(rename = "servegen")]
    ServeGen,
    /// Requests with ids of full 16-token prompt blocks.
    #[serde(rename = "sharegpt-blocks")]
    ShareGptBlocks,
    /// The traces of APEX.
    Apex,
    /// Vidur's tables of lengths.
    Vidur,
    /// servesim's own columns, as CSV.
    Csv,
    /// servesim's own columns, as JSON lines.
    Jsonl,
}

/// What a format looks like.
pub(super) struct Signature {
    pub(super) format: TraceFormat,
    /// Whether rows are JSON objects (otherwise CSV with a header).
    pub(super) json: bool,
    /// Columns or fields it must have. Of two formats that fit, the one listed first is taken.
    pub(super) required: &'static [&'static str],
}

const fn table(format: TraceFormat, required: &'static [&'static str]) -> Signature {
    Signature { format, json: false, required }
}

const fn objects(format: TraceFormat, required: &'static [&'static str]) -> Signature {
    Signature { format, json: true, required }
}

/// What the formats with a header or with field names are recognised by.
pub(super) const SIGNATURES: [Signature; 10] = [
    table(TraceFormat::Azure, &["TIMESTAMP", "ContextTokens", "GeneratedTokens"]),
    table(TraceFormat::BurstGpt, &["Timestamp", "Request tokens", "Response tokens"]),
    table(TraceFormat::ShareGptBlocks, &["arrival_s", "input_tokens", "output_tokens", "block_hash_ids"]),
    table(TraceFormat::Csv, &["arrival_s", "input_tokens", "output_tokens"]),
    table(TraceFormat::Vidur, &["num_prefill_tokens", "num_decode_tokens"]),
    objects(TraceFormat::QwenBailian, &["chat_id", "timestamp", "input_length", "output_length"]),
    objects(TraceFormat::Mooncake, &["timestamp", "input_length", "output_length"]),
    objects(TraceFormat::Apex, &["StartTimeOffset", "ContextTokens", "GeneratedTokens"]),
    objects(TraceFormat::ShareGptBlocks, &["arrival_s", "input_tokens", "output_tokens", "block_hash_ids"]),
    objects(TraceFormat::Jsonl, &["arrival_s", "input_tokens", "output_tokens"]),
];

impl TraceFormat {
    /// All formats.
    pub const ALL: [TraceFormat; 10] = [
        TraceFormat::Azure,
        TraceFormat::Mooncake,
        TraceFormat::BurstGpt,
        TraceFormat::QwenBailian,
        TraceFormat::ServeGen,
        TraceFormat::ShareGptBlocks,
        TraceFormat::Apex,
        TraceFormat::Vidur,
        TraceFormat::Csv,
        TraceFormat::Jsonl,
    ];

    /// Its name in experiment files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            TraceFormat::Azure => "azure",
            TraceFormat::Mooncake => "mooncake",
            TraceFormat::BurstGpt => "burstgpt",
            TraceFormat::QwenBailian => "qwen-bailian",
            TraceFormat::ServeGen => "servegen",
            TraceFormat::ShareGptBlocks => "sharegpt-blocks",
            TraceFormat::Apex => "apex",
            TraceFormat::Vidur => "vidur",
            TraceFormat::Csv => "csv",
            TraceFormat::Jsonl => "jsonl",
        }
    }

    /// One indented line per format: its name and what it is recognised by.
    pub(super) fn catalogue() -> String {
        let mut lines = String::new();
        for signature in &SIGNATURES {
            let kind = if signature.json { "JSON lines with the fields" } else { "CSV with the columns" };
            let _ = writeln!(lines, "  {:<15} {kind} {}", signature.format.name(), signature.required.join(", "));
        }
        let _ = writeln!(
            lines,
            "  {:<15} chunk-N-trace.csv (no header: t_s, rate, cv, pattern, 2 arguments) beside chunk-N-dataset.json, or \
             their folder",
            TraceFormat::ServeGen.name()
        );
        lines
    }
}

impl fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TraceFormat {
    type Err = UnknownFormatName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        TraceFormat::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormatName { name: name.to_owned() })
    }
}

/// No trace format is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no trace format is called `{name}`; there are {}", TraceFormat::ALL.map(TraceFormat::name).join(", "))]
pub struct UnknownFormatName {
    name: String,
}
