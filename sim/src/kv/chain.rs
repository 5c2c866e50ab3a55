//! The tokens of a request as runs of content, walked from the first one on.

use std::hash::Hasher;

use rustc_hash::FxHasher;
use workloads::{ContentId, Span};

/// Consecutive tokens of one piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) content: ContentId,
    /// Position of the first of them in the content.
    pub(crate) offset: u32,
    pub(crate) tokens: u32,
}

/// All tokens of a request: its prompt and what it has generated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'a> {
    pub(crate) prompt: &'a [Span],
    pub(crate) answer: ContentId,
    pub(crate) answer_tokens: u32,
}

/// A position in a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    span: usize,
    offset: u32,
}

impl Cursor {
    /// The first token of any chain.
    pub(crate) const START: Cursor = Cursor { span: 0, offset: 0 };
}

impl Chain<'_> {
    /// The run from `cursor` to the end of its span; `None` at the end of the chain.
    pub(crate) fn run_at(&self, cursor: Cursor) -> Option<Run> {
        let (content, tokens) = match self.prompt.get(cursor.span) {
            Some(span) => (span.content, span.tokens),
            None if cursor.span == self.prompt.len() => (self.answer, self.answer_tokens),
            None => return None,
        };
        (cursor.offset < tokens).then(|| Run { content, offset: cursor.offset, tokens: tokens - cursor.offset })
    }

    /// Moves `cursor` on by `tokens`, which must be there.
    pub(crate) fn advance(&self, cursor: &mut Cursor, mut tokens: u32) {
        while tokens > 0 {
            let run = self.run_at(*cursor).expect("a chain is not advanced past its end");
            if tokens < run.tokens {
                cursor.offset += tokens;
                return;
            }
            tokens -= run.tokens;
            *cursor = Cursor { span: cursor.span + 1, offset: 0 };
        }
    }

    /// Appends the next `tokens` tokens from `cursor` on to `runs`.
    pub(crate) fn collect(&self, mut cursor: Cursor, mut tokens: u32, runs: &mut Vec<Run>) {
        while tokens > 0 {
            let mut run = self.run_at(cursor).expect("a chain is not read past its end");
            run.tokens = run.tokens.min(tokens);
            push_run(runs, run);
            tokens -= run.tokens;
            self.advance(&mut cursor, run.tokens);
        }
    }

    /// The first `tokens` tokens, which must be there, as spans.
    pub(crate) fn spans(&self, mut tokens: u32) -> Vec<Span> {
        let answer = Span { content: self.answer, tokens: self.answer_tokens };
        let mut spans = Vec::with_capacity(self.prompt.len() + 1);
        for span in self.prompt.iter().chain([&answer]) {
            if tokens == 0 {
                break;
            }
            spans.push(Span { tokens: span.tokens.min(tokens), ..*span });
            tokens -= span.tokens.min(tokens);
        }
        assert_eq!(tokens, 0, "a chain is not read past its end");
        spans
    }

    /// Hash of the next `tokens` tokens; `None` if there are fewer.
    pub(crate) fn key_at(&self, mut cursor: Cursor, mut tokens: u32) -> Option<u64> {
        let mut key = Key::default();
        while tokens > 0 {
            let mut run = self.run_at(cursor)?;
            run.tokens = run.tokens.min(tokens);
            key.add(run);
            tokens -= run.tokens;
            if tokens > 0 {
                self.advance(&mut cursor, run.tokens);
            }
        }
        Some(key.finish())
    }
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

/// Hash of the first `tokens` tokens of `runs`.
pub(super) fn key_of(runs: &[Run], mut tokens: u32) -> u64 {
    let mut key = Key::default();
    for run in runs {
        let run = Run { tokens: run.tokens.min(tokens), ..*run };
        key.add(run);
        tokens -= run.tokens;
        if tokens == 0 {
            break;
        }
    }
    key.finish()
}

/// Hash of tokens given as runs; runs that continue each other hash as one.
#[derive(Default)]
struct Key {
    hasher: FxHasher,
    pending: Option<Run>,
}

impl Key {
    fn add(&mut self, run: Run) {
        match &mut self.pending {
            Some(last) if last.content == run.content && last.offset + last.tokens == run.offset => {
                last.tokens += run.tokens;
            }
            pending => {
                if let Some(done) = pending.replace(run) {
                    Self::write(&mut self.hasher, done);
                }
            }
        }
    }

    fn write(hasher: &mut FxHasher, run: Run) {
        hasher.write_u64(run.content.0);
        hasher.write_u64(u64::from(run.offset) << 32 | u64::from(run.tokens));
    }

    fn finish(mut self) -> u64 {
        if let Some(last) = self.pending {
            Self::write(&mut self.hasher, last);
        }
        self.hasher.finish()
    }
}
