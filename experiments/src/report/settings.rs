//! What was run, in words, from the lock file of the results.

use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};

use crate::diagnostic::Sources;
use crate::file::quantity::Dimension;
use crate::file::{self, document};

/// A system, as the page lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SystemWords {
    pub(super) name: String,
    /// Its devices, scheduler and engine in a line; empty where the folder has no lock file.
    words: String,
}

impl SystemWords {
    /// A system of which nothing but its name is known.
    pub(super) fn unknown(name: &str) -> Self {
        SystemWords { name: name.to_owned(), words: String::new() }
    }
}

/// Settings of the systems: those that differ between them, and those that do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Settings {
    differ: Vec<Setting>,
    same: Vec<Setting>,
}

/// A key of `[[system]]` and its value in every system; empty where a system does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Setting {
    key: String,
    values: Vec<String>,
}

/// A lock file that has been read.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    /// The whole text.
    pub(super) text: String,
    root: Table,
}

impl Lock {
    /// Reads the text of a lock file. Systems say all they inherit; what is swept has no value but that it varies.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(super) fn read(text: String) -> Result<Self, toml::de::Error> {
        let mut root: Table = text.parse()?;
        let written: Vec<Table> = systems_of(&root).cloned().collect();
        if let Some(systems) = whole_systems(&text) {
            root.insert("system".to_owned(), systems);
        }
        for path in swept(&root) {
            mark_varied(&mut root, &path, &written);
        }
        Ok(Lock { text, root })
    }

    /// The name of the experiment.
    pub(super) fn name(&self) -> Option<&str> {
        self.root.get("name")?.as_str()
    }

    /// The version of the program that wrote it.
    pub(super) fn version(&self) -> Option<&str> {
        self.root.get("lock")?.get("servesim")?.as_str()
    }

    fn systems(&self) -> impl Iterator<Item = &Table> {
        systems_of(&self.root)
    }

    fn system(&self, name: &str) -> Option<&Table> {
        self.systems().find(|system| system.get("name").and_then(Value::as_str) == Some(name))
    }

    /// The limit of an objective such as `ttft`, in seconds.
    pub(super) fn objective_s(&self, name: &str) -> Option<f64> {
        Dimension::Time.read(self.root.get("slo")?.get(name)?.as_str()?).ok()
    }

    /// Model, workload, objectives and seeds.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let mut facts = Vec::new();
        if let Some(model) = self.root.get("model") {
            facts.push(("Model".to_owned(), plain(model)));
        }
        for (key, title, words) in [
            ("workload", "Workload", pairs as fn(&Table) -> String),
            ("slo", "Objectives", objectives),
            ("sweep", "Varied", pairs),
            ("plan", "Searched", pairs),
        ] {
            if let Some(table) = self.root.get(key).and_then(Value::as_table).filter(|table| !table.is_empty()) {
                facts.push((title.to_owned(), words(table)));
            }
        }
        if let Some(seeds) = self.root.get("seeds") {
            facts.push(("Seeds".to_owned(), plain(seeds)));
        }
        facts
    }

    /// The system of this name in a line.
    pub(super) fn words(&self, name: &str) -> SystemWords {
        let shared_model = self.root.get("model");
        let words = self.system(name).map(|system| {
            let model = system.get("model").filter(|model| Some(*model) != shared_model).map(plain);
            model.into_iter().chain(pools(system)).collect::<Vec<_>>().join("; ")
        });
        SystemWords { name: name.to_owned(), words: words.unwrap_or_default() }
    }

    /// Settings of the systems of these names, keys in the order of the alphabet.
    pub(super) fn settings(&self, names: &[String]) -> Settings {
        let flat: Vec<Vec<(String, String)>> = names
            .iter()
            .map(|name| {
                let mut settings = Vec::new();
                if let Some(system) = self.system(name) {
                    flatten(system, "", &mut settings);
                }
                settings
            })
            .collect();
        let mut keys: Vec<&str> = Vec::new();
        for (key, _) in flat.iter().flatten() {
            if !["name", "inherit"].contains(&key.as_str()) && !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        let mut settings = Settings::default();
        for key in keys {
            let value = |system: &Vec<(String, String)>| {
                system.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let values: Vec<String> = flat.iter().map(value).collect();
            let alike = values.iter().all(|value| *value == values[0]);
            let list = if alike { &mut settings.same } else { &mut settings.differ };
            list.push(Setting { key: key.to_owned(), values });
        }
        settings
    }
}

/// The systems with all they inherit. `None` where this version cannot read the file: then they stand as they were written.
fn whole_systems(text: &str) -> Option<Value> {
    let mut sources = Sources::default();
    let source = sources.add(crate::run::LOCK_FILE.to_owned(), text.to_owned(), Path::new(""));
    let root = file::read_unchecked(source, &[], &mut sources).ok()?;
    let read = file::at_point(&root, &[], source, &sources).ok()?;
    Some(as_toml(&read.get("system")?.value))
}

fn as_toml(value: &document::Value) -> Value {
    match value {
        document::Value::Flag(flag) => Value::Boolean(*flag),
        document::Value::Integer(integer) => Value::Integer(*integer),
        document::Value::Number(number) => Value::Float(*number),
        document::Value::Text(text) => Value::String(text.clone()),
        document::Value::Date => unreachable!("no key takes a date"),
        document::Value::List(nodes) => Value::Array(nodes.iter().map(|node| as_toml(&node.value)).collect()),
        document::Value::Table(table) => {
            Value::Table(table.entries.iter().map(|entry| (entry.key.clone(), as_toml(&entry.node.value))).collect())
        }
    }
}

fn systems_of(root: &Table) -> impl Iterator<Item = &Table> {
    root.get("system").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

/// Paths of the keys that `[sweep]` varies.
fn swept(root: &Table) -> Vec<String> {
    let Some(sweep) = root.get("sweep").and_then(Value::as_table) else { return Vec::new() };
    let points = sweep.get("points").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table);
    let mut paths: Vec<String> = points.flat_map(Table::keys).cloned().collect();
    for (key, values) in sweep.iter().filter(|(key, _)| *key != "points") {
        crossed(key, values, &mut paths);
    }
    paths
}

/// `[sweep] workload.rate = […]` varies that key alone, and not all of the workload.
fn crossed(path: &str, values: &Value, paths: &mut Vec<String>) {
    match values {
        Value::Table(inner) => inner.iter().for_each(|(key, values)| crossed(&format!("{path}.{key}"), values, paths)),
        _ => paths.push(path.to_owned()),
    }
}

/// Puts "varied" where a path such as `workload.rate`, `system.gpu` or `system.NAME.gpu` points; places that are not there
/// stay away. `written` are the systems without what they inherit.
fn mark_varied(root: &mut Table, path: &str, written: &[Table]) {
    let varied = || Value::String("varied".to_owned());
    let Some(of_system) = path.strip_prefix("system.") else {
        return set(root, path, varied());
    };
    for system in
        root.get_mut("system").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_table_mut)
    {
        let name = system.get("name").and_then(Value::as_str).unwrap_or_default();
        let mut names = written.iter().filter_map(name_of);
        match names.find_map(|of| Some((of, of_system.strip_prefix(of)?.strip_prefix('.')?))) {
            Some((of, own)) if takes(written, name, of, own) => set(system, own, varied()),
            Some(_) => {}
            None => set(system, of_system, varied()),
        }
    }
}

fn name_of(system: &Table) -> Option<&str> {
    system.get("name")?.as_str()
}

/// Whether the system `name` has what is at `path` from the system `of`: it is that one, or inherits it and says nothing else.
fn takes(written: &[Table], name: &str, of: &str, path: &str) -> bool {
    let mut name = name;
    // No chain is longer than there are systems.
    for _ in written {
        if name == of {
            return true;
        }
        let Some(system) = written.iter().find(|system| name_of(system) == Some(name)) else { return false };
        let Some(parent) = system.get("inherit").and_then(Value::as_str).filter(|_| !says(system, path)) else {
            return false;
        };
        name = parent;
    }
    false
}

/// Whether a table has a value at a path, or in place of a table on the way; tables are merged with what is inherited.
fn says(table: &Table, path: &str) -> bool {
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    match table.get(key) {
        Some(Value::Table(inner)) => says(inner, rest),
        there => there.is_some(),
    }
}

/// Replaces the value at a path.
fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        Some((key, rest)) => {
            if let Some(inner) = table.get_mut(key).and_then(Value::as_table_mut) {
                set(inner, rest, value);
            }
        }
        None => {
            if let Some(there) = table.get_mut(path) {
                *there = value;
            }
        }
    }
}

/// Each pool of replicas of a system in words.
fn pools(system: &Table) -> Vec<String> {
    let named =
        ["prefill", "decode", "mixed"].into_iter().filter_map(|role| Some((role, system.get(role)?.as_table()?)));
    let of_pools: Vec<String> = named.map(|(role, pool)| format!("{role}: {}", pool_words(pool))).collect();
    if of_pools.is_empty() { vec![pool_words(system)] } else { of_pools }
}

/// `2 × H100-SXM-80GB (TP 2), chunked-prefill, at most 1024 tokens and 256 requests a step, vllm-v1`.
fn pool_words(pool: &Table) -> String {
    let text = |table: &Table, key: &str| table.get(key).map(plain);
    let above_one = |key: &str, short: &str| {
        pool.get(key).filter(|size| size.as_integer() != Some(1)).map(|size| format!("{short} {}", plain(size)))
    };
    let parallel: Vec<String> =
        [("tensor_parallel_size", "TP"), ("pipeline_parallel_size", "PP"), ("data_parallel_size", "DP")]
            .into_iter()
            .filter_map(|(key, short)| above_one(key, short))
            .collect();
    let mut parts = Vec::new();
    if let Some(gpu) = text(pool, "gpu") {
        let many = match text(pool, "replicas") {
            Some(replicas) if replicas != "1" => format!("{replicas} replicas"),
            _ => "1 replica".to_owned(),
        };
        let parallel = if parallel.is_empty() { String::new() } else { format!(" ({})", parallel.join(", ")) };
        parts.push(format!("{many} on {gpu}{parallel}"));
    }
    parts.extend(text(pool, "scheduler").filter(|_| pool["scheduler"].is_str()));
    if let Some(scheduler) = pool.get("scheduler").and_then(Value::as_table) {
        parts.extend(text(scheduler, "policy"));
        let limits: Vec<String> = [("max_num_batched_tokens", "tokens"), ("max_num_seqs", "requests")]
            .into_iter()
            .filter_map(|(key, unit)| Some(format!("{} {unit}", text(scheduler, key)?)))
            .collect();
        if !limits.is_empty() {
            parts.push(format!("at most {} a step", limits.join(" and ")));
        }
    }
    parts.extend(pool.get("engine").and_then(Value::as_table).and_then(|engine| text(engine, "profile")));
    parts.extend(text(pool, "kernel_tables").map(|tables| format!("priced from {tables}")));
    parts.join(", ")
}

/// Every value below a table, under its path.
fn flatten(table: &Table, path: &str, into: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => flatten(inner, &path, into),
            other => into.push((path, plain(other))),
        }
    }
}

/// `TTFT ≤ 1 s, TBT ≤ 0.1 s, attainment 0.9`: the limits, then for which share of requests.
fn objectives(slo: &Table) -> String {
    let limits = ["ttft", "tpot", "tbt", "e2e"];
    let limit = |key: &&str| Some(format!("{} ≤ {}", key.to_uppercase(), plain(slo.get(*key)?)));
    let shares = slo.iter().filter(|(key, _)| !limits.contains(&key.as_str()));
    let shares = shares.map(|(key, value)| format!("{key} {}", plain(value)));
    limits.iter().filter_map(limit).chain(shares).collect::<Vec<_>>().join(", ")
}

fn pairs(table: &Table) -> String {
    table.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
}

/// A value without the quotes of text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Table(table) => format!("({})", pairs(table)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
name = "two"
seeds = [1, 2]
model = "meta-llama/Llama-3.1-8B"
slo = { ttft = "0.5 s", attainment = 0.9 }
[workload]
generator = "azure-conv-2023"
rate = "12 req/s"
[[system]]
name = "a"
gpu = "H100"
replicas = 2
tensor_parallel_size = 4
scheduler = { policy = "chunked-prefill", max_num_batched_tokens = 512, max_num_seqs = 64 }
engine = { profile = "vllm-v1" }
[[system]]
name = "b"
prefill = { gpu = "H100", replicas = 1, tensor_parallel_size = 1 }
decode = { gpu = "L40S", replicas = 3, tensor_parallel_size = 1 }
"#;

    fn lock() -> Lock {
        Lock::read(LOCK.to_owned()).expect("it is TOML")
    }

    #[test]
    fn a_system_is_said_in_a_line_pool_by_pool() {
        assert_eq!(
            lock().words("a").words,
            "2 replicas on H100 (TP 4), chunked-prefill, at most 512 tokens and 64 requests a step, vllm-v1"
        );
        assert_eq!(lock().words("b").words, "prefill: 1 replica on H100; decode: 3 replicas on L40S");
    }

    #[test]
    fn settings_that_differ_stand_apart_from_those_that_do_not() {
        let text = LOCK.to_owned() + "[[system]]\nname = \"c\"\ninherit = \"a\"\nreplicas = 3\n";
        let settings = Lock::read(text).expect("it is TOML").settings(&["a".to_owned(), "c".to_owned()]);
        let differ: Vec<&str> = settings.differ.iter().map(|setting| setting.key.as_str()).collect();
        assert!(differ.contains(&"replicas") && !differ.contains(&"gpu"), "{differ:?}");
        let row = settings.same.iter().find(|setting| setting.key == "gpu").expect("it is the same");
        assert_eq!(row.values, ["H100", "H100"]);
    }

    #[test]
    fn a_sweep_tells_what_varies_and_what_systems_inherit() {
        let text = r#"
seeds = [1]
model = "meta-llama/Llama-3.1-8B"
workload = { generator = "azure-conv-2023", rate = 12, requests = 10 }
[[system]]
name = "a"
gpu = "H100-SXM-80GB"
scheduler = "sarathi"
[[system]]
name = "b"
inherit = "a"
tensor_parallel_size = 2
[sweep]
"workload.rate" = [1, 2]
points = [{ "system.b.tensor_parallel_size" = 2 }, { "system.b.tensor_parallel_size" = 4 }]
"#;
        let lock = Lock::read(text.to_owned()).expect("it is TOML");
        assert!(lock.facts().iter().any(|(name, words)| name == "Workload" && words.contains("rate varied")));
        assert_eq!(lock.words("b").words, "1 replica on H100-SXM-80GB (TP varied), sarathi");
        assert_eq!(lock.words("a").words, "1 replica on H100-SXM-80GB, sarathi");
    }

    #[test]
    fn a_sweep_in_tables_marks_its_keys_alone_and_those_that_others_inherit() {
        let system =
            "[[system]]\nname = \"c\"\ninherit = \"a\"\n[[system]]\nname = \"d\"\ninherit = \"c\"\nreplicas = 3\n";
        let sweep = "[sweep]\nworkload.rate = [1, 2]\nsystem.a.replicas = [1, 2]\n";
        let lock = Lock::read(format!("{LOCK}{system}{sweep}")).expect("it is TOML");
        let workload = ("Workload".to_owned(), "generator azure-conv-2023, rate varied".to_owned());
        assert!(lock.facts().contains(&workload), "{:?}", lock.facts());
        for (name, begin) in [("a", "varied replicas"), ("c", "varied replicas"), ("d", "3 replicas")] {
            assert!(lock.words(name).words.starts_with(begin), "{}", lock.words(name).words);
        }
    }

    #[test]
    fn facts_and_objectives_come_from_the_file() {
        let facts = lock().facts();
        assert!(
            facts.contains(&("Workload".to_owned(), "generator azure-conv-2023, rate 12 req/s".to_owned())),
            "{facts:?}"
        );
        assert!(facts.contains(&("Objectives".to_owned(), "TTFT ≤ 0.5 s, attainment 0.9".to_owned())), "{facts:?}");
        assert_eq!((lock().objective_s("ttft"), lock().objective_s("tbt")), (Some(0.5), None));
    }
}
