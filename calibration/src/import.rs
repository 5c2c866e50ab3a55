//! Kernel tables that others measured, as tables of our own.
//!
//! Each importer takes records with named fields, whatever file they came from, and returns [`KernelTable`]s with a
//! [`Report`] of every row it took and every row it left out, by reason. Nothing is guessed: where a source does not say
//! what a table has to say, the table says that it is unknown.

mod aiconfigurator;
mod device;
mod distserve;
mod error;
mod format;
mod llmservingsim;
mod plausible;
mod records;
mod report;
mod sink;
mod splitwise;
mod vidur;

use profiles::table::KernelTable;

pub use device::{find_device, find_model};
pub use distserve::{ImportedStepCost, step_costs};
pub use error::ImportError;
pub use format::{Format, Kind, Recognised, recognise};
pub use llmservingsim::Meta;
pub use records::{Record, Records};
pub use report::{LeftOut, Report};

/// What the caller knows beside the records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The device that was measured, if the caller names it; sources that name another one are refused.
    pub device: Option<&'a profiles::DeviceSpec>,
    /// The model whose layers were measured, if the caller names it; for sources that name one that is not shipped.
    pub model: Option<&'a profiles::ModelSpec>,
    /// The day of the measurement or its publication (`YYYY-MM-DD`), if the caller names it.
    pub date: Option<&'a str>,
    /// What a LLMServingSim profile says of itself, if its file was found.
    pub meta: Option<&'a Meta>,
}

/// What became of one file.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Tables, in an order that depends on the file alone.
    pub tables: Vec<NamedTable>,
    /// What was taken and what was left out.
    pub report: Report,
}

/// A table and how its file should be called.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTable {
    /// Name of a file without its extension; letters, digits, `.`, `-` and `_` only.
    pub stem: String,
    /// The table.
    pub table: KernelTable,
}

/// Takes in the records of a file that [`recognise`] knows.
///
/// # Errors
///
/// If the file as a whole cannot be used: a column is missing, a record cannot be read, the device or the model is not
/// known, or times are implausible throughout, as a wrong unit makes them.
pub fn import(recognised: &Recognised, records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    match recognised.format {
        Format::Aiconfigurator => aiconfigurator::import(recognised, records, known),
        Format::LlmServingSim => llmservingsim::import(recognised, records, known),
        Format::Vidur => vidur::import(recognised, records, known),
        Format::Splitwise => splitwise::import(records, known),
        Format::DistServe => Err(ImportError::Unrecognised {
            file: records.file().to_string(),
            problem: "DistServe's coefficients are JSON, not records".to_string(),
        }),
    }
}

/// Letters, digits, `.` and `-`; everything else becomes `-`, and capitals small letters.
fn slug(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    text.chars().map(keep).collect()
}
