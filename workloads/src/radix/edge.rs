//! Tokens as runs of content, and the walk through a prompt.

use crate::request::{ContentId, Span};

/// Consecutive tokens of one piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whose tokens these are.
    pub content: ContentId,
    /// Position of the first of them in the content.
    pub offset: u32,
    /// How many (≥ 1).
    pub tokens: u32,
}

/// A position in a prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    span: usize,
    offset: u32,
}

impl Cursor {
    /// The first token of `prompt`.
    pub(super) fn start(prompt: &[Span]) -> Self {
        let mut cursor = Cursor { span: 0, offset: 0 };
        cursor.skip_empty(prompt);
        cursor
    }

    /// The rest of the span at the cursor; `None` at the end.
    pub(super) fn run(self, prompt: &[Span]) -> Option<Run> {
        let span = prompt.get(self.span)?;
        Some(Run { content: span.content, offset: self.offset, tokens: span.tokens - self.offset })
    }

    /// Moves on by `tokens`, at most what is left of the span.
    fn advance(&mut self, prompt: &[Span], tokens: u32) {
        self.offset += tokens;
        self.skip_empty(prompt);
    }

    /// Leaves spans that are used up.
    fn skip_empty(&mut self, prompt: &[Span]) {
        while prompt.get(self.span).is_some_and(|span| span.tokens == self.offset) {
            *self = Cursor { span: self.span + 1, offset: 0 };
        }
    }

    /// Everything from the cursor on.
    pub(super) fn rest(mut self, prompt: &[Span]) -> Box<[Run]> {
        let mut runs = Vec::with_capacity(prompt.len() - self.span);
        while let Some(run) = self.run(prompt) {
            push_run(&mut runs, run);
            self.advance(prompt, run.tokens);
        }
        runs.into_boxed_slice()
    }
}

/// Moves the cursor past what the prompt has in common with `edge` from its first token on; how many tokens that is.
pub(super) fn common(edge: &[Run], prompt: &[Span], cursor: &mut Cursor) -> u32 {
    let mut tokens = 0;
    for run in edge {
        let mut done = 0;
        while done < run.tokens {
            let Some(next) = cursor.run(prompt) else { return tokens };
            if next.content != run.content || next.offset != run.offset + done {
                return tokens;
            }
            let same = next.tokens.min(run.tokens - done);
            cursor.advance(prompt, same);
            done += same;
            tokens += same;
        }
    }
    tokens
}

/// Appends a run, joined with the last one where it continues it, so that equal tokens are always equal runs.
pub(super) fn push_run(runs: &mut Vec<Run>, run: Run) {
    if let Some(last) = runs.last_mut()
        && last.content == run.content
        && last.offset + last.tokens == run.offset
    {
        last.tokens += run.tokens;
        return;
    }
    runs.push(run);
}

/// The first `at` tokens of an edge and the others; both must have some.
pub(super) fn cut(edge: &[Run], at: u32) -> (Box<[Run]>, Box<[Run]>) {
    let (mut index, mut left) = (0, at);
    while edge[index].tokens <= left {
        left -= edge[index].tokens;
        index += 1;
    }
    if left == 0 {
        return (edge[..index].into(), edge[index..].into());
    }
    let run = edge[index];
    let (mut upper, mut lower) = (edge[..=index].to_vec(), edge[index..].to_vec());
    upper[index].tokens = left;
    lower[0] = Run { content: run.content, offset: run.offset + left, tokens: run.tokens - left };
    (upper.into_boxed_slice(), lower.into_boxed_slice())
}

/// Both edges, one after the other.
pub(super) fn joined(upper: &[Run], lower: &[Run]) -> Box<[Run]> {
    let mut runs = Vec::with_capacity(upper.len() + lower.len());
    runs.extend_from_slice(upper);
    for run in lower {
        push_run(&mut runs, *run);
    }
    runs.into_boxed_slice()
}
