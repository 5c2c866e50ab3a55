//! What a run leaves behind: CSV or Parquet files, a trace for Perfetto, tables and JSON.
//!
//! An [`OutputPlan`] claims every file before anything is simulated, so that a folder that cannot be written or a file
//! that exists already is found first. Each run (system × seed) then gets a [`RunOutputs`], an observer that streams
//! rows; runs may go on at the same time on any number of threads, and the files come out the same to the byte, with
//! the rows in the order of the runs. Everything is written to `NAME.part` and renamed once it is complete.

mod comparison;
mod decimal;
mod error;
mod estimate;
mod evidence;
mod gaps;
mod gzip;
mod json;
mod label;
mod parquet;
mod part;
mod perfetto;
mod plan;
mod power;
mod reference;
mod replay;
mod requests;
mod schedule;
mod series;
mod shown;
mod steps;
mod summary;
mod sweep;
mod table;

pub(crate) use error::OutputError;
pub(crate) use json::results_json;
pub(crate) use label::RunLabel;
#[cfg(test)]
pub(crate) use parquet::convert as to_parquet;
#[cfg(test)]
pub(crate) use plan::tests::{long_summary, summary as tiny_summary};
pub(crate) use plan::{OutputOptions, OutputPlan, REPLICAS, RunOutputs, SCHEDULE};
pub(crate) use reference::metric_reference;
pub(crate) use replay::{REPLAY_TABLES, buckets_csv, claim, operators_csv, steps_csv, write_whole};
pub(crate) use series::part_path;
pub(crate) use shown::{Reach, four_digits, is_centred, reach, reach_of_change};
pub(crate) use summary::{summary_header, summary_rows};
pub(crate) use sweep::{SWEEP_TABLES, SweepTables};
pub(crate) use table::{Look, comparison_table};
