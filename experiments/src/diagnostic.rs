//! Problems with what a user wrote, shown where it was written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};

/// One of the texts a run is described by: the experiment file, or the argument of a `--set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(usize);

/// Bytes `start..end` of one of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Which text.
    pub(crate) source: SourceId,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

#[derive(Debug)]
struct SourceText {
    name: String,
    text: String,
    base: PathBuf,
}

/// All texts of one run.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<SourceText>);

impl Sources {
    /// Takes in a text. Paths written in it are relative to `base`.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>, base: &Path) -> SourceId {
        self.0.push(SourceText { name: name.into(), text: text.into(), base: base.to_owned() });
        SourceId(self.0.len() - 1)
    }

    /// The text itself.
    pub(crate) fn text(&self, id: SourceId) -> &str {
        &self.0[id.0].text
    }

    /// Where relative paths written at `span` start.
    pub(crate) fn base(&self, span: Span) -> &Path {
        &self.0[span.source.0].base
    }
}

/// Something a user has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, in one line.
    message: String,
    /// Where, and what would be right there.
    at: Option<(Span, String)>,
    /// Other places that matter.
    also: Vec<(Span, String)>,
    /// What to do.
    help: Vec<String>,
}

impl Problem {
    /// A problem with what stands at `span`.
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Problem { message: message.into(), at: Some((span, String::new())), also: Vec::new(), help: Vec::new() }
    }

    /// A problem that no single place shows.
    pub(crate) fn general(message: impl Into<String>) -> Self {
        Problem { message: message.into(), at: None, also: Vec::new(), help: Vec::new() }
    }

    /// What stands beside the caret: what was expected.
    #[must_use]
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some((_, slot)) = &mut self.at {
            *slot = label.into();
        }
        self
    }

    /// Shows a second place.
    #[must_use]
    pub(crate) fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Says what to do if there is something to say.
    #[must_use]
    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    fn render(&self, sources: &Sources, level: Level<'_>, renderer: &Renderer) -> String {
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some((span, label)) = &self.at {
            let source = &sources.0[span.source.0];
            let mut primary = AnnotationKind::Primary.span(visible(*span, &source.text));
            if !label.is_empty() {
                primary = primary.label(label.as_str());
            }
            let same = self.also.iter().filter(|(other, _)| other.source == span.source);
            let context =
                same.map(|(other, label)| AnnotationKind::Context.span(visible(*other, &source.text)).label(label));
            group = group.element(
                Snippet::source(source.text.as_str())
                    .path(source.name.as_str())
                    .annotation(primary)
                    .annotations(context),
            );
            for (other, label) in self.also.iter().filter(|(other, _)| other.source != span.source) {
                let source = &sources.0[other.source.0];
                let context = AnnotationKind::Context.span(visible(*other, &source.text)).label(label);
                group =
                    group.element(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(context));
            }
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The span cut to the text and to its first line, at least one byte wide, so that the caret stands where the trouble
/// starts and a table over many lines does not fill the screen.
fn visible(span: Span, text: &str) -> std::ops::Range<usize> {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    let line = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line.max((start + 1).min(text.len()))
}

/// What one look at the input found wrong.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one; the same problem at the same place is shown once.
    pub(crate) fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Keeps the value, or the problem.
    pub(crate) fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.push(problem)).ok()
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Them, one by one.
    pub(crate) fn into_each(self) -> impl Iterator<Item = Problem> {
        self.0.into_iter()
    }

    /// All of them in one line: what is wrong, and what would be right.
    pub(crate) fn brief(&self) -> String {
        let one = |problem: &Problem| {
            let label = problem.at.as_ref().map(|(_, label)| label.as_str()).filter(|label| !label.is_empty());
            let helps = problem.help.iter().map(String::as_str);
            let parts: Vec<&str> = std::iter::once(problem.message.as_str()).chain(label).chain(helps).collect();
            parts.join(": ")
        };
        self.0.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// The first of them in one line, without what to do about it.
    pub(crate) fn first_line(&self) -> String {
        let Some(problem) = self.0.first() else { return String::new() };
        let label = problem.at.as_ref().map(|(_, label)| label.as_str()).filter(|label| !label.is_empty());
        label.map_or_else(|| problem.message.clone(), |label| format!("{}: {label}", problem.message))
    }

    /// All of them as text for a terminal.
    pub(crate) fn render(&self, sources: &Sources, level: &Level<'_>, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for (n, problem) in self.0.iter().enumerate() {
            let gap = if n > 0 { "\n\n" } else { "" };
            let _ = write!(text, "{gap}{}", problem.render(sources, level.clone(), &renderer));
        }
        text
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

/// The candidate a misspelt word was most likely meant to be.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Words less alike than this (Jaro-Winkler, 0 to 1) are not each other's misspelling.
    const ALIKE: f64 = 0.8;
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` with the file of the same folder that a path was most likely meant to be; nothing if there is none.
pub(crate) fn nearest_file(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new(""));
    let read = std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let names = read.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let word = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let meant = nearest(&word, names.iter().map(String::as_str));
    meant.map_or_else(String::new, |meant| format!("; did you mean {}?", folder.join(meant).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_a_stranger_finds_none() {
        let words = ["max_num_seqs", "max_num_batched_tokens", "policy"];
        assert_eq!(nearest("max_num_seq", words), Some("max_num_seqs"));
        assert_eq!(nearest("polcy", words), Some("policy"));
        assert_eq!(nearest("gpu", words), None);
    }

    #[test]
    fn a_span_over_many_lines_is_shown_by_its_first_one() {
        let span = Span { source: SourceId(0), start: 2, end: 9 };
        assert_eq!(visible(span, "a[\nbc\nde]\n"), 2..3);
        assert_eq!(visible(span, "a"), 1..1, "a span past the end of the text must not panic");
    }
}
