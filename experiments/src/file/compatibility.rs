//! `compatibility`: a system that serves as another simulator does, in place of the keys that it comes to.

use std::path::Path;

use super::check;
use super::document::{self, Entry, Node, Table, Value};
use super::key::Key;
use super::keys::{offload, pools, system};
use crate::diagnostic::{Problem, Problems, Sources, Span};

/// What `compatibility = "simdistserve"` sets. `DistServe`'s simulator (simdistserve, in its public repository) computes all
/// prompts that wait in one pass, whole, as far as the KV cache holds them (here up to 16,384 tokens, for which memory can be
/// planned); charges nothing for KV caches to get to the decode side; and lets requests decode
/// first come first served as long as their contexts are no more than 50,000 tokens (hard-coded).
const SIMDISTSERVE: &str = r#"
enable_prefix_caching = false
block_size = 1
scheduler = { policy = "prefill-first", watermark = 0.0, max_num_batched_tokens = 16384, max_num_seqs = 1024 }
transfer = { mode = "after-prefill", network = "instant" }
"#;

/// Tokens that decode there at most.
const SIMDISTSERVE_DECODE_TOKENS: i64 = 50_000;

/// What may not be said beside it: it is set, or belongs to what that simulator does not have.
fn conflicts() -> [&'static Key; 8] {
    [
        &system::ENABLE_PREFIX_CACHING,
        &system::BLOCK_SIZE,
        &system::SCHEDULER,
        &pools::TRANSFER,
        &pools::MIXED,
        &pools::PREFILLED_ELSEWHERE,
        &offload::ATTENTION_OFFLOAD,
        &system::ENGINE,
    ]
}

/// Puts the keys into systems that say `compatibility`.
pub(super) fn resolve(systems: &mut [Node], problems: &mut Problems) {
    for node in systems {
        let Value::Table(table) = &mut node.value else { continue };
        if let Some(span) = table.entry(system::COMPATIBILITY.name).map(|entry| entry.key_span) {
            match conflict(table, span) {
                Some(problem) => problems.push(problem),
                None => simdistserve(table, span),
            }
        }
    }
}

/// What stands beside the mode and should not, or is missing.
fn conflict(table: &Table, span: Span) -> Option<Problem> {
    let pool = |key: &Key| match table.get(key.name) {
        Some(Node { value: Value::Table(pool), .. }) => Some(pool),
        _ => None,
    };
    let tables = [Some(table), pool(&pools::PREFILL), pool(&pools::DECODE)];
    for table in tables.into_iter().flatten() {
        if let Some(entry) = conflicts().into_iter().find_map(|key| table.entry(key.name)) {
            let message = format!("`{}` beside `compatibility = \"simdistserve\"`", entry.key);
            let problem = Problem::at(entry.key_span, message).label("the mode settles this, or has nothing like it");
            return Some(problem.also(span, "what it sets is in the reference of the experiment file"));
        }
    }
    let decode = pool(&pools::DECODE);
    if let Some(entry) = decode.and_then(|decode| decode.entry(system::NUM_GPU_BLOCKS_OVERRIDE.name)) {
        let message = "`num_gpu_blocks_override` of the decode pool beside `compatibility = \"simdistserve\"`";
        return Some(Problem::at(entry.key_span, message).label("there, 50,000 tokens decode at most"));
    }
    let priced = |table: Option<&Table>| table.is_some_and(|table| table.get(system::STEP_COST.name).is_some());
    let pools_priced = priced(pool(&pools::PREFILL)) && priced(decode);
    (!priced(Some(table)) && !pools_priced).then(|| {
        Problem::at(span, "`compatibility = \"simdistserve\"` needs a `step_cost`")
            .label("that simulator prices whole passes by polynomials")
    })
}

/// Lays the mode over a system that contradicts none of it.
fn simdistserve(table: &mut Table, span: Span) {
    let mut sources = Sources::default();
    let id = sources.add("simdistserve", SIMDISTSERVE, Path::new(""));
    let mut set = document::parse(id, SIMDISTSERVE).unwrap_or_else(|_| unreachable!("the mode is TOML"));
    check::expand(&mut set, &system::TABLE);
    relocate(&mut set, span);
    set.entries.into_iter().for_each(|entry| table.put(entry));
    for key in [&pools::PREFILL, &pools::DECODE] {
        if table.get(key.name).is_none() {
            table.put(entry(key, Value::Table(Table::default()), span));
        }
    }
    if let Some(Node { value: Value::Table(decode), .. }) = table.get_mut(pools::DECODE.name) {
        decode.put(entry(&system::NUM_GPU_BLOCKS_OVERRIDE, Value::Integer(SIMDISTSERVE_DECODE_TOKENS), span));
    }
}

fn entry(key: &Key, value: Value, span: Span) -> Entry {
    Entry { key: key.name.to_owned(), key_span: span, node: Node { span, value } }
}

/// Whatever is wrong with what the mode sets is shown where the mode is written.
fn relocate(table: &mut Table, span: Span) {
    for entry in &mut table.entries {
        (entry.key_span, entry.node.span) = (span, span);
        if let Value::Table(inner) = &mut entry.node.value {
            relocate(inner, span);
        }
    }
}
