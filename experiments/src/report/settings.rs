//! What was run, in words, from the lock file of the results.

use serde::Serialize;
use toml::{Table, Value};

use crate::file::quantity::Dimension;

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
    /// Reads the text of a lock file.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(super) fn read(text: String) -> Result<Self, toml::de::Error> {
        let root = text.parse()?;
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
        self.root.get("system").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
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
            if key != "name" && !keys.contains(&key.as_str()) {
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
        pool.get(key).and_then(Value::as_integer).filter(|&size| size > 1).map(|size| format!("{short} {size}"))
    };
    let parallel: Vec<String> =
        [("tensor_parallel_size", "TP"), ("pipeline_parallel_size", "PP"), ("data_parallel_size", "DP")]
            .into_iter()
            .filter_map(|(key, short)| above_one(key, short))
            .collect();
    let mut parts = Vec::new();
    if let Some(gpu) = text(pool, "gpu") {
        let replicas = pool.get("replicas").and_then(Value::as_integer).unwrap_or(1);
        let many = if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") };
        let parallel = if parallel.is_empty() { String::new() } else { format!(" ({})", parallel.join(", ")) };
        parts.push(format!("{many} on {gpu}{parallel}"));
    }
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
        let same = LOCK.replace("name = \"b\"", "name = \"b\"\ngpu = \"H100\"");
        let settings = Lock::read(same).expect("it is TOML").settings(&["a".to_owned(), "b".to_owned()]);
        let same: Vec<&str> = settings.same.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(same, ["gpu"]);
        let row = settings.differ.iter().find(|setting| setting.key == "decode.gpu").expect("it differs");
        assert_eq!(row.values, ["", "L40S"]);
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
