//! Random requests: bursts, sessions, closed loops, and prompts that share what can be shared.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use workloads::{ContentId, Span};

use crate::scenario::pick;
use crate::script::{Planned, Release, answer};

/// How long prompts and answers of a scenario are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) block_size: u32,
    /// Longest prompt of a request that follows no other.
    prompt: u32,
    output: u32,
    turns: u32,
}

impl Lengths {
    pub(crate) fn draw(rng: &mut Xoshiro256PlusPlus, block_size: u32) -> Self {
        let prompt = pick(rng, &[6, 30, 30, 100]);
        let output = pick(rng, &[1, 5, 20, 20, 50]);
        Lengths { block_size, prompt, output, turns: pick(rng, &[1, 1, 1, 3]) }
    }

    /// The same with prompts and blocks `times` as long.
    pub(crate) fn stretched(self, times: u32) -> Self {
        Lengths { block_size: self.block_size * times, prompt: self.prompt * times, ..self }
    }

    /// Tokens whose KV the longest request needs.
    pub(crate) fn longest(&self) -> u32 {
        self.turns * (self.prompt + self.output)
    }
}

/// How prompts are made.
#[derive(Clone, Copy, Debug)]
enum Sharing {
    Unique,
    /// Some system prompt and something of one's own.
    SystemPrompts,
    /// A path down a tree of nodes.
    Tree,
    /// One of a few whole prompts.
    Repeated,
}

struct Contents {
    sharing: Sharing,
    /// Lengths of shared pieces; those of whole prompts for `Repeated`.
    pieces: Vec<u32>,
    lengths: Lengths,
}

impl Contents {
    fn draw(rng: &mut Xoshiro256PlusPlus, lengths: Lengths) -> Self {
        let sharing = pick(rng, &[Sharing::Unique, Sharing::SystemPrompts, Sharing::Tree, Sharing::Repeated]);
        let pieces =
            (0..pick(rng, &[1, 2, 4])).map(|_| length(rng, lengths.prompt.max(2) / 2, lengths.block_size)).collect();
        Contents { sharing, pieces, lengths }
    }

    /// Spans of the prompt of request number `place`.
    fn prompt(&self, rng: &mut Xoshiro256PlusPlus, place: usize) -> Vec<Span> {
        let Lengths { block_size, prompt, .. } = self.lengths;
        let own = |tokens| Span { content: ContentId::unique(place as u64), tokens };
        let piece = rng.random_range(0..self.pieces.len());
        let shared = |number: usize| Span {
            content: ContentId::shared(number as u64),
            tokens: self.pieces[number % self.pieces.len()],
        };
        match self.sharing {
            Sharing::Unique => vec![own(length(rng, prompt, block_size))],
            Sharing::SystemPrompts => vec![shared(piece), own(length(rng, (prompt / 2).max(1), block_size))],
            Sharing::Tree => {
                let mut spans = vec![shared(0)];
                let second = 1 + rng.random_range(0..2);
                spans.push(Span { content: ContentId::shared(100 + second), tokens: 1 + prompt / 8 * second as u32 });
                if rng.random_bool(0.6) {
                    spans.push(own(length(rng, (prompt / 4).max(1), block_size)));
                }
                spans
            }
            Sharing::Repeated => {
                let mut span = shared(piece);
                if rng.random_bool(0.2) {
                    span.tokens = rng.random_range(1..=span.tokens);
                }
                vec![span]
            }
        }
    }
}

/// A length up to `most`, often a multiple of the block size.
fn length(rng: &mut Xoshiro256PlusPlus, most: u32, block_size: u32) -> u32 {
    let tokens = if rng.random_bool(0.15) { 1 } else { rng.random_range(1..=most) };
    if block_size <= most && rng.random_bool(0.4) {
        tokens.next_multiple_of(block_size).min(most / block_size * block_size)
    } else {
        tokens
    }
}

/// 5 to 60 requests, fewer where they are long.
pub(crate) fn traffic(rng: &mut Xoshiro256PlusPlus, lengths: Lengths, step_ns: u64, quantum_ns: u64) -> Vec<Planned> {
    let most = if lengths.prompt > 50 || lengths.output > 30 { 25 } else { 60 };
    let n = rng.random_range(5..=most);
    let contents = Contents::draw(rng, lengths);
    let gap_ns = pick(rng, &[0, step_ns / 5, step_ns, step_ns * 4, step_ns * 20]);
    let burst = pick(rng, &[1, 1, 4, 10]);
    let closed_loop_users = rng.random_bool(0.15).then(|| rng.random_range(1..=8));
    let mut arrival_ns = rng.random_range(0..3) * step_ns;
    let mut requests: Vec<Planned> = Vec::new();
    while requests.len() < n {
        let place = requests.len();
        if place.is_multiple_of(burst) {
            arrival_ns += rng.random_range(0..=2 * gap_ns) / quantum_ns * quantum_ns;
        }
        let release = match closed_loop_users {
            Some(users) if place >= users => Release::NextEnding { think_ns: think(rng, step_ns, quantum_ns) },
            Some(_) => Release::At(0),
            None => Release::At(arrival_ns),
        };
        let session = (lengths.turns > 1).then_some(place as u64);
        let mut request =
            Planned { release, spans: contents.prompt(rng, place), output_tokens: output(rng, lengths), session };
        requests.push(request.clone());
        for _ in 1..lengths.turns {
            if requests.len() == n || rng.random_bool(0.2) {
                break;
            }
            let think_ns = think(rng, step_ns, quantum_ns);
            request = next_turn(rng, &request, requests.len(), lengths, think_ns);
            requests.push(request.clone());
        }
    }
    requests
}

/// 10 to 60 requests that come in one or two batches, or when others have ended, and share what can be shared.
pub(crate) fn batches(rng: &mut Xoshiro256PlusPlus, lengths: Lengths, step_ns: u64, quantum_ns: u64) -> Vec<Planned> {
    let most = if lengths.prompt > 50 || lengths.output > 30 { 25 } else { 60 };
    let n = rng.random_range(10..=most);
    let sharing = pick(rng, &[Sharing::SystemPrompts, Sharing::SystemPrompts, Sharing::Tree, Sharing::Repeated]);
    let contents = Contents { sharing, ..Contents::draw(rng, lengths) };
    let second_ns = pick(rng, &[0, step_ns * 3, step_ns * 40]).next_multiple_of(quantum_ns);
    let later = pick(rng, &[0.0, 0.0, 0.2]);
    let mut releases: Vec<Release> = (0..n)
        .map(|_| if rng.random_bool(later) { Release::NextEnding { think_ns: 0 } } else { Release::At(0) })
        .collect();
    for release in &mut releases[n / 2..] {
        if let Release::At(ns) = release {
            *ns = second_ns;
        }
    }
    releases[0] = Release::At(0);
    let request = |(place, release)| {
        let spans = contents.prompt(rng, place);
        Planned { release, spans, output_tokens: output(rng, lengths), session: None }
    };
    releases.into_iter().enumerate().map(request).collect()
}

fn output(rng: &mut Xoshiro256PlusPlus, lengths: Lengths) -> u32 {
    if rng.random_bool(0.15) { 1 } else { rng.random_range(1..=lengths.output) }
}

fn think(rng: &mut Xoshiro256PlusPlus, step_ns: u64, quantum_ns: u64) -> u64 {
    pick(rng, &[0, 0, 1, step_ns, 10 * step_ns]) / quantum_ns * quantum_ns
}

/// The turn after the last request of the list: its history, sometimes with a shortened answer, and a new question.
fn next_turn(rng: &mut Xoshiro256PlusPlus, last: &Planned, place: usize, lengths: Lengths, think_ns: u64) -> Planned {
    let mut spans = last.spans.clone();
    let kept = if rng.random_bool(0.8) { last.output_tokens } else { rng.random_range(1..=last.output_tokens) };
    spans.push(Span { content: answer(place - 1), tokens: kept });
    spans.push(Span {
        content: ContentId::unique(place as u64),
        tokens: length(rng, lengths.prompt, lengths.block_size),
    });
    Planned {
        release: Release::After { of: place - 1, think_ns },
        spans,
        output_tokens: output(rng, lengths),
        session: last.session,
    }
}
