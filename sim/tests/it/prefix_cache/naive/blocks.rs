//! Blocks and tokens as the whole prefixes that they end.

use sim::prefix_cache::HybridShape;

use super::{Naive, Token, checkpoint_bytes, token_bytes};

/// A block: everything from the first token to its last, and when it was used.
#[derive(Debug)]
struct Block {
    prefix: Vec<Token>,
    stamp: u64,
}

/// Blocks with a checkpoint each, if the model has any; with partial ones, or without and within capacity always.
#[derive(Debug)]
pub(crate) struct NaiveBlocks {
    blocks: Vec<Block>,
    block_tokens: usize,
    partial: bool,
    shape: HybridShape,
    capacity: u64,
    now: u64,
}

impl NaiveBlocks {
    pub(crate) fn new(shape: HybridShape, capacity: u64, block_tokens: usize, partial: bool) -> Self {
        NaiveBlocks { blocks: Vec::new(), block_tokens, partial, shape, capacity, now: 0 }
    }

    fn position(&self, prefix: &[Token]) -> Option<usize> {
        self.blocks.iter().position(|block| block.prefix == prefix)
    }

    /// Uses what there is of these tokens; how many, and how many of them in full blocks.
    fn touch(&mut self, tokens: &[Token]) -> (usize, usize) {
        self.now += 1;
        let mut full = 0;
        while full + self.block_tokens <= tokens.len()
            && let Some(block) = self.position(&tokens[..full + self.block_tokens])
        {
            full += self.block_tokens;
            self.blocks[block].stamp = self.now;
        }
        if self.partial {
            for end in (full + 1..(full + self.block_tokens).min(tokens.len() + 1)).rev() {
                if let Some(block) = self.position(&tokens[..end]) {
                    self.blocks[block].stamp = self.now;
                    return (end, full);
                }
            }
        }
        (full, full)
    }
}

impl Naive for NaiveBlocks {
    fn lookup(&mut self, input: &[Token]) -> usize {
        self.touch(input).0
    }

    fn insert(&mut self, sequence: &[Token]) {
        let block_bytes = checkpoint_bytes(&self.shape) + token_bytes(&self.shape) * self.block_tokens as u64;
        let most = if self.partial { usize::MAX } else { (self.capacity / block_bytes) as usize * self.block_tokens };
        let sequence = &sequence[..sequence.len().min(most)];
        let (stored, full) = self.touch(sequence);
        let mut ends: Vec<usize> = (full + self.block_tokens..=sequence.len()).step_by(self.block_tokens).collect();
        let tail = ends.last().copied().unwrap_or(full);
        if self.partial && tail < sequence.len() {
            ends.push(sequence.len());
        }
        let Some(&last) = ends.last().filter(|&&last| last > stored) else { return };
        let filled = usize::from(stored > full);
        let need = checkpoint_bytes(&self.shape) * (ends.len() - filled) as u64
            + token_bytes(&self.shape) * (last - stored) as u64;
        while self.bytes() + need > self.capacity {
            let old = self.blocks.iter().enumerate().filter(|(_, block)| block.stamp < self.now);
            let oldest = old.min_by_key(|(_, block)| (block.stamp, usize::MAX - block.prefix.len()));
            let Some((oldest, _)) = oldest else { break };
            self.blocks.remove(oldest);
        }
        if filled == 1 {
            let partial = self.position(&sequence[..stored]).unwrap();
            self.blocks.remove(partial);
        }
        let now = self.now;
        self.blocks.extend(ends.into_iter().map(|end| Block { prefix: sequence[..end].to_vec(), stamp: now }));
    }

    fn bytes(&self) -> u64 {
        let tokens_of = |block: &Block| match block.prefix.len() % self.block_tokens {
            0 => self.block_tokens,
            partial => partial,
        };
        let of = |block: &Block| checkpoint_bytes(&self.shape) + token_bytes(&self.shape) * tokens_of(block) as u64;
        self.blocks.iter().map(of).sum()
    }

    fn entries(&self) -> usize {
        self.blocks.len()
    }
}

/// Tokens, those needed last forgotten first.
#[derive(Debug)]
pub(crate) struct NaiveBelady {
    /// Each token as the prefix that it ends.
    tokens: Vec<Vec<Token>>,
    future: Vec<Vec<Token>>,
    shape: HybridShape,
    capacity: u64,
}

impl NaiveBelady {
    /// `inputs`: the prompts to come.
    pub(crate) fn new(shape: HybridShape, capacity: u64, inputs: Vec<Vec<Token>>) -> Self {
        let future = inputs.into_iter().rev().collect();
        NaiveBelady { tokens: Vec::new(), future, shape, capacity }
    }
}

impl Naive for NaiveBelady {
    fn lookup(&mut self, input: &[Token]) -> usize {
        assert_eq!(self.future.pop().as_deref(), Some(input), "the future is what happens");
        (1..=input.len()).take_while(|&end| self.tokens.iter().any(|token| token == &input[..end])).count()
    }

    fn insert(&mut self, sequence: &[Token]) {
        for end in 1..=sequence.len() {
            if !self.tokens.iter().any(|token| token == &sequence[..end]) {
                self.tokens.push(sequence[..end].to_vec());
            }
        }
        while self.bytes() > self.capacity {
            let next_use = |token: &Vec<Token>| self.future.iter().rev().position(|input| input.starts_with(token));
            let last = self.tokens.iter().enumerate();
            let last = last.max_by_key(|(_, token)| (next_use(token).unwrap_or(usize::MAX), token.len()));
            let index = last.map(|(index, _)| index).unwrap();
            self.tokens.remove(index);
        }
    }

    fn bytes(&self) -> u64 {
        self.tokens.len() as u64 * token_bytes(&self.shape)
    }

    fn entries(&self) -> usize {
        self.tokens.len()
    }
}
