//! `servesim init`: an experiment file to start from. It is a shipped experiment, with the keys that it leaves out added as
//! comments from their definitions.

mod sections;

use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;
use profiles::{DeviceSpec, ModelSpec, ProfileError};

use crate::caches;
use crate::diagnostic::{Sources, Span};
use crate::failure::Failure;
use crate::file::document::{self, Node, Table, Value};
use crate::file::keys;
use crate::run;
use crate::terminal::Terminal;

/// What to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Start {
    /// Chunked prefill against whole prompts first
    Chunked,
    /// Chunked against layered prefill, on a mixture of experts
    Layered,
    /// Prefill and decode on GPUs of their own, against the same GPUs doing both
    Disaggregated,
    /// Attention on cheap memory
    Offload,
    /// A batch that is there at once, in several orders (BlendServe)
    Offline,
    /// Questions about shared documents (BatchLLM)
    Batchllm,
    /// Prefix caches alone, of a hybrid model (servesim cache)
    Cache,
}

impl Start {
    fn example(self) -> &'static str {
        match self {
            Start::Chunked => include_str!("../quickstart.toml"),
            Start::Layered => include_str!("../layered.toml"),
            Start::Disaggregated => include_str!("../disaggregated.toml"),
            Start::Offload => include_str!("../attention_offload.toml"),
            Start::Offline => include_str!("../offline.toml"),
            Start::Batchllm => include_str!("../batchllm.toml"),
            Start::Cache => include_str!("../caches.toml"),
        }
    }

    /// Where the example lies in the repository, as it calls itself.
    fn path(self) -> &'static str {
        match self {
            Start::Chunked => "experiments/quickstart.toml",
            Start::Layered => "experiments/layered.toml",
            Start::Disaggregated => "experiments/disaggregated.toml",
            Start::Offload => "experiments/attention_offload.toml",
            Start::Offline => "experiments/offline.toml",
            Start::Batchllm => "experiments/batchllm.toml",
            Start::Cache => "experiments/caches.toml",
        }
    }

    fn root(self) -> &'static crate::file::key::TableDef {
        if self == Start::Cache { &keys::caches::ROOT } else { &keys::ROOT }
    }
}

/// The text of the file. Paths stand in it as they are given here: see [`path_in_file`].
///
/// # Errors
/// A model or device that is not there.
pub(crate) fn text(start: Start, model: Option<&str>, gpu: Option<&str>) -> Result<String, Failure> {
    if start == Start::Cache && (model.is_some() || gpu.is_some()) {
        let why = "a cache study names the shape of its model in [model], and no device: leave out --model and --gpu";
        return Err(Failure::Request(why.to_owned()));
    }
    if let Some(name) = model.filter(|name| !ends_in(name, "json")) {
        ModelSpec::shipped(name).map_err(|error| unknown("model", &error))?;
    }
    if let Some(name) = gpu.filter(|name| !ends_in(name, "toml")) {
        DeviceSpec::shipped(name).map_err(|error| unknown("device", &error))?;
    }
    let example = start.example();
    let (root, _) = parsed(example)?;
    let mut changes = Vec::new();
    let title = title(start);
    let others = model.is_some() || gpu.is_some();
    changes.extend(root.get(keys::NAME.name).filter(|_| others).map(|node| (node.span, title.as_str())));
    changes.extend(model.zip(root.get(keys::MODEL.name)).map(|(name, node)| (node.span, name)));
    if let Some(Node { value: Value::List(systems), .. }) = root.get(keys::SYSTEM.name) {
        for system in systems {
            let Value::Table(table) = &system.value else { continue };
            changes.extend(gpu.zip(table.get(keys::system::GPU.name)).map(|(name, node)| (node.span, name)));
        }
    }
    changes.sort_by_key(|(span, _)| span.start);
    let mut text = example.to_owned();
    for (Span { start, end, .. }, name) in changes.into_iter().rev() {
        text.replace_range(start..end, &format!("{name:?}"));
    }
    if others && let Some(at) = text.find("\n\n").filter(|_| text.starts_with('#')) {
        // What the example says of itself holds for its own model and device.
        text.replace_range(..at, &format!("# {title}."));
    }
    let (root, _) = parsed(&text)?;
    Ok(sections::explained(&text, &root, start.root()))
}

/// `text`, which calls the file `path` where the example says how to run it.
pub(crate) fn under_its_name(start: Start, text: &str, path: &Path) -> String {
    text.replace(start.path(), &path.display().to_string())
}

/// What the file compares, as the help has it.
fn title(start: Start) -> String {
    let value = start.to_possible_value().expect("none is skipped");
    value.get_help().map(ToString::to_string).unwrap_or_default()
}

/// Whether a model or device is given by a file rather than by name.
pub(crate) fn is_file(name: &str) -> bool {
    ends_in(name, "json") || ends_in(name, "toml")
}

fn ends_in(name: &str, end: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(end))
}

fn unknown(what: &str, error: &ProfileError) -> Failure {
    Failure::Request(format!("{error} (`servesim profiles list` names every {what})"))
}

fn parsed(text: &str) -> Result<(Table, Sources), Failure> {
    let mut sources = Sources::default();
    let id = sources.add("the example", text, Path::new(""));
    match document::parse(id, text) {
        Ok(root) => Ok((root, sources)),
        Err(problem) => Err(Failure::input(problem, sources)),
    }
}

/// A path that was given on the command line, as a file at `file` has to name it: paths in a file start where it lies. `file` is
/// `None` where the text is printed, and may end up anywhere.
pub(crate) fn path_in_file(given: &str, file: Option<&Path>) -> String {
    let given_path = Path::new(given);
    let Some(file) = file else { return given.to_owned() };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Without links, `..` leads where it seems to.
    let (Ok(target), Ok(folder)) = (given_path.canonicalize(), folder.canonicalize()) else { return given.to_owned() };
    let shared = target.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let is_below = |path: &Path| path.components().count() == shared;
    let relative: PathBuf = match shared {
        // Nothing but the root in common: neither moves with the other.
        0 | 1 if !is_below(&folder) => target,
        _ => {
            let up = folder.components().skip(shared).map(|_| Component::ParentDir);
            up.chain(target.components().skip(shared)).collect()
        }
    };
    // As TOML has it on every system.
    relative.to_string_lossy().replace('\\', "/")
}

/// Writes the file, never over another unless told so.
///
/// # Errors
/// A file that is there, or that cannot be written.
pub(crate) fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).truncate(true).create(true).create_new(!force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Request(format!("{} is there already; --force replaces it", path.display()))
        }
        _ => Failure::Request(format!("cannot write {}: {error}", path.display())),
    })
}

/// Says how to run the file, or why it does not run as it stands: the example may not suit the model or device that were
/// asked for.
///
/// # Errors
/// What has to be changed in it.
pub(crate) fn check(start: Start, path: &Path, terminal: Terminal) -> Result<(), Failure> {
    let (loaded, command) = match start {
        Start::Cache => (caches::load(path, &[]).map(drop), "cache"),
        _ => (run::load(path, &[]).map(drop), "run"),
    };
    match &loaded {
        Ok(()) => terminal.note(&format!("run it: servesim {command} {}", path.display())),
        Err(_) => terminal.note("it does not run as it stands:"),
    }
    loaded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Terminal {
        Terminal::new(true, false)
    }

    fn runs(start: Start, text: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("x.toml");
        write(&path, text, false).expect("it can be written");
        check(start, &path, quiet()).map_err(|failure| failure.brief())
    }

    #[test]
    fn every_start_runs_as_it_is_written_and_explains_what_it_leaves_out() {
        for start in Start::value_variants() {
            let text = text(*start, None, None).expect("it is written");
            assert_eq!(runs(*start, &text), Ok(()), "{start:?}");
            assert!(text.matches("\n#: ").count() > 3, "{start:?} explains little:\n{text}");
        }
    }

    #[test]
    fn the_file_says_how_to_run_itself() {
        for start in Start::value_variants() {
            let text = text(*start, None, None).expect("it is written");
            assert!(text.contains(start.path()), "{start:?} does not say how to run it:\n{text}");
            let text = under_its_name(*start, &text, Path::new("mine.toml"));
            assert!(text.contains(" mine.toml") && !text.contains(start.path()), "{text}");
        }
    }

    #[test]
    fn a_default_that_is_offered_as_a_comment_may_be_written() {
        // A line that several starts offer is tried in the first of them.
        let mut tried = std::collections::BTreeSet::new();
        for start in Start::value_variants() {
            let text = text(*start, None, None).expect("it is written");
            for (at, _) in text.match_indices("\n#: ") {
                let line = text[at + 1..].lines().next().expect("a line");
                if !tried.insert(line.to_owned()) {
                    continue;
                }
                let changed = format!("{}\n{}", &text[..at], &text[at + "\n#: ".len()..]);
                assert_eq!(runs(*start, &changed), Ok(()), "{start:?}: {line}");
            }
        }
        assert!(tried.len() > 15, "little is offered: {tried:?}");
    }

    #[test]
    fn a_model_and_a_device_take_the_place_of_the_examples() {
        let text = text(Start::Chunked, Some("Qwen/Qwen3-14B"), Some("A100-SXM-80GB")).expect("it is written");
        assert!(text.contains("model = \"Qwen/Qwen3-14B\"") && text.contains("gpu = \"A100-SXM-80GB\""), "{text}");
        assert!(
            !text.contains("H100") && !text.contains("Llama"),
            "the example's own words stand there still:\n{text}"
        );
    }

    #[test]
    fn a_model_that_is_not_there_is_answered_with_the_nearest() {
        let failure = text(Start::Chunked, Some("Qwen/Qwen3-14"), None).expect_err("there is none");
        assert!(failure.brief().contains("Qwen3-14B"), "{}", failure.brief());
    }

    #[test]
    fn a_model_too_large_for_the_device_is_told_at_once() {
        let text = text(Start::Chunked, Some("meta-llama/Llama-3.1-70B"), None).expect("it is written");
        let why = runs(Start::Chunked, &text).expect_err("it does not fit");
        assert!(why.contains("memory") || why.contains("fit"), "{why}");
    }
}
