//! Systems whose replicas prefill or decode: what each pool inherits from its system.

use super::check::missing;
use super::document::{Node, Table, Value};
use super::inherit::merge;
use super::key::Key;
use super::keys::{pools, system};
use crate::diagnostic::{Problem, Problems};

/// Moves what systems with pools say of replicas into the pools that do not say it themselves.
pub(crate) fn resolve(systems: &mut [Node], problems: &mut Problems) {
    for node in systems {
        let span = node.span;
        let Value::Table(table) = &mut node.value else { continue };
        if is_true(table, &pools::PREFILLED_ELSEWHERE)
            && let Some(pool) = [&pools::PREFILL, &pools::DECODE].into_iter().find_map(|key| table.entry(key.name))
        {
            let problem = Problem::at(pool.key_span, format!("`{}` beside `prefilled_elsewhere`", pool.key));
            problems.push(problem.label("then every replica decodes, and the system's own keys describe them"));
        }
        match (table.get(pools::PREFILL.name).is_some(), table.get(pools::DECODE.name).is_some()) {
            (true, true) => {
                hand_down(table, &pools::PREFILL);
                hand_down(table, &pools::DECODE);
                table.entries.retain(|entry| pools::PREFILL_TABLE.key(&entry.key).is_none());
            }
            (false, false) => {
                if table.get(system::GPU.name).is_none() {
                    problems.push(missing(span, &system::GPU, &system::TABLE, None));
                }
                for key in [&pools::TRANSFER, &pools::MIXED] {
                    if let Some(entry) = table.entry(key.name) {
                        let message = format!("`{}` has no effect without pools", key.name);
                        let problem = Problem::at(entry.key_span, message);
                        problems.push(problem.label("it belongs beside `prefill` and `decode`"));
                    }
                }
            }
            (prefill, _) => {
                let (there, lacks) = if prefill { ("prefill", "decode") } else { ("decode", "prefill") };
                let pool = table.entry(there).expect("it is there");
                problems.push(
                    Problem::at(pool.key_span, format!("a `{there}` pool stands alone"))
                        .label(format!("expected a `{lacks}` pool beside it; it may be empty: `[system.{lacks}]`"))
                        .help("replicas that only decode, with prompts computed elsewhere: prefilled_elsewhere = true"),
                );
            }
        }
    }
}

fn is_true(table: &Table, key: &Key) -> bool {
    matches!(table.get(key.name), Some(Node { value: Value::Flag(true), .. }))
}

/// Lays a pool's own keys over those of its system.
fn hand_down(system: &mut Table, pool: &'static Key) {
    let mut whole = Table::default();
    for entry in system.entries.iter().filter(|entry| pools::PREFILL_TABLE.key(&entry.key).is_some()) {
        whole.put(entry.clone());
    }
    if let Some(Node { value: Value::Table(own), .. }) = system.get_mut(pool.name) {
        merge(&mut whole, own, &pools::PREFILL_TABLE);
        *own = whole;
    }
}
