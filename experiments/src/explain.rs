//! What is known about a word: looked up where each thing is defined, never written twice.

mod keys;
mod measures;
mod shipped;
mod systems;

use std::fmt;

use serde_json::{Value, json};

use crate::diagnostic::nearest;

/// A thing and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// What people write.
    name: String,
    /// What kind of thing it is: `key of [workload]`.
    what: String,
    /// What it means.
    about: String,
    /// More about it, each with what it is.
    facts: Vec<(&'static str, String)>,
}

impl Entry {
    fn new(name: impl Into<String>, what: impl Into<String>, about: impl Into<String>) -> Self {
        Entry { name: name.into(), what: what.into(), about: about.into(), facts: Vec::new() }
    }

    fn fact(mut self, what: &'static str, fact: impl Into<String>) -> Self {
        let fact = fact.into();
        if !fact.is_empty() {
            self.facts.push((what, fact));
        }
        self
    }

    /// Whether people who write `word` mean this: its name, or the last words of a name with dots, in any case.
    fn is_called(&self, word: &str) -> bool {
        let (name, word) = (self.name.to_lowercase(), word.to_lowercase());
        let word = word.trim_matches(['[', ']', '`']);
        name == word || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('.'))
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        let facts: serde_json::Map<_, _> =
            self.facts.iter().map(|(what, fact)| ((*what).to_owned(), fact.as_str().into())).collect();
        json!({ "name": self.name, "what": self.what, "about": self.about, "facts": facts })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Columns of a page, and of the names of facts.
        const PAGE: usize = 100;
        const NAMES: usize = 14;
        writeln!(f, "{}: {}", self.name, self.what)?;
        for line in wrapped(&self.about, PAGE - 2) {
            writeln!(f, "  {line}")?;
        }
        for (what, fact) in &self.facts {
            for (n, line) in fact.lines().flat_map(|line| wrapped(line, PAGE - 2 - NAMES)).enumerate() {
                writeln!(f, "  {:<NAMES$}{line}", if n == 0 { what } else { "" })?;
            }
        }
        Ok(())
    }
}

/// The text in lines of at most `width` characters, where its words let it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn all() -> impl Iterator<Item = Entry> {
    keys::entries().chain(measures::entries()).chain(systems::entries()).chain(shipped::entries())
}

/// All things of that name.
pub(crate) fn find(word: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for entry in all().filter(|entry| entry.is_called(word)) {
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    if found.is_empty() {
        found.extend(shipped::by_another_name(word));
    }
    let of_gaps = word.to_lowercase().replace("tbt", "itl");
    if found.is_empty() && of_gaps != word.to_lowercase() {
        // Measures have vLLM's name for what `[slo]` and figures call TBT.
        return find(&of_gaps);
    }
    found
}

/// What to say where nothing is called so.
pub(crate) fn unknown(word: &str) -> String {
    /// Names in a message.
    const FEW: usize = 5;
    let names: Vec<String> = all().map(|entry| entry.name).collect();
    let lower = word.to_lowercase();
    let names_it = |name: &&str| name.to_lowercase().contains(&lower);
    let mut with: Vec<&str> = names.iter().map(String::as_str).filter(names_it).take(FEW).collect();
    with.dedup();
    let last_words = || names.iter().filter_map(|name| name.rsplit('.').next());
    // Who leaves out the end of a name means that one; who writes a part of longer ones may mean any of them.
    let cut_short = last_words().any(|last| last.to_lowercase().starts_with(&lower));
    let hint = match nearest(word, last_words().chain(names.iter().map(String::as_str))) {
        _ if !with.is_empty() && !cut_short => format!("; there is {}", with.join(", ")),
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => ": `servesim reference experiment-file` names every key, `servesim reference measures` every measure, \
                 `servesim profiles list` every model and device"
            .to_owned(),
    };
    format!("nothing here is called `{word}`{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(word: &str) -> Entry {
        let found = find(word);
        assert_eq!(found.len(), 1, "{word}: {found:?}");
        found.into_iter().next().expect("there is one")
    }

    #[test]
    fn every_thing_is_found_by_its_own_name_and_says_something() {
        for entry in all() {
            assert!(entry.is_called(&entry.name) && entry.is_called(&entry.name.to_uppercase()), "{}", entry.name);
            assert!(!entry.about.trim().is_empty(), "{} is not explained", entry.name);
            assert!(!entry.about.contains("<br>"), "{} is a text for pages", entry.name);
        }
    }

    #[test]
    fn what_figures_call_tbt_finds_the_measures_of_it() {
        assert_eq!(one("p99_tbt_ms").name, "p99_itl_ms");
        assert!(find("p98_tbt_ms").is_empty());
    }

    #[test]
    fn a_key_tells_its_range_its_default_and_how_to_set_it() {
        let text = one("system.scheduler.long_prefill_token_threshold").to_string();
        for part in
            ["[system.scheduler]", "if left out", "0", "only with", "chunked-prefill", "--set system.scheduler."]
        {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
    }

    #[test]
    fn values_measures_models_devices_generators_papers_and_figures_are_found_in_any_case() {
        for (word, part) in [
            ("Layered-Prefill", "system.scheduler.policy"),
            ("P99_ITL_MS", "lower is better"),
            ("qwen/qwen3-14b", "hidden_size"),
            ("h100-sxm-80gb", "memory_bandwidth"),
            ("azure-conv-2023", "Azure"),
            ("distserve", "[system.prefill]"),
            ("ttft_cdf", "servesim plot DIR ttft_cdf"),
        ] {
            let found: String = find(word).iter().map(ToString::to_string).collect();
            assert!(found.contains(part), "{word} does not tell `{part}`:\n{found}");
        }
    }

    #[test]
    fn a_word_of_several_meanings_tells_them_all() {
        let places: Vec<String> = find("rate").into_iter().map(|entry| entry.name).collect();
        assert!(places.contains(&"workload.rate".to_owned()) && places.len() > 1, "{places:?}");
    }

    #[test]
    fn a_misspelling_is_answered_with_what_was_meant() {
        assert!(unknown("max_num_batched_token").contains("did you mean `max_num_batched_tokens`"));
        assert!(unknown("distserv").contains("did you mean `DistServe`"));
        assert!(unknown("mixtral").contains("mistralai/Mixtral-8x7B"), "{}", unknown("mixtral"));
        assert!(unknown("qqqqqqq").contains("servesim reference"));
    }

    #[test]
    fn lines_are_as_long_as_their_words_let_them() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("immeasurable", 3), ["immeasurable"]);
    }
}
