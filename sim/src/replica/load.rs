//! What a replica of a deployment with a mixed pool has been given to do: by that requests are placed.

use workloads::Request;

use super::{Live, Replica};

/// What has been placed on a replica and has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Tokens of the prompts that are not complete, and one for each request that decodes here, or will.
    pending_tokens: u64,
    /// Blocks of all that is here or will be: of prompts that decode elsewhere, and of prompts and answers of all others.
    committed_blocks: u32,
    /// The part of them that no request has taken yet which comes from another replica.
    promised_blocks: u32,
}

impl Load {
    /// Blocks that prompts must leave to requests which come from elsewhere.
    pub(super) fn promised_blocks(&self) -> u32 {
        self.promised_blocks
    }

    /// A request that was promised blocks has them.
    pub(super) fn keep_promise(&mut self, blocks: u32) {
        self.promised_blocks -= blocks;
    }

    pub(super) fn assert_nothing(&self) {
        assert_eq!(*self, Load::default(), "something is placed on a replica after the last request has left");
    }
}

/// What the mixed pool asks of it.
impl Replica {
    /// Tokens of the prompts that are not complete, and one for each request that decodes here, or will.
    pub(crate) fn pending_tokens(&self) -> u64 {
        self.load.pending_tokens
    }

    /// Tokens that the blocks hold which all that was placed here will own at most.
    pub(crate) fn committed_tokens(&self) -> u64 {
        u64::from(self.load.committed_blocks) * u64::from(self.kv.block_size())
    }

    /// Whether a request that decodes here has blocks, whatever has been placed here before.
    pub(crate) fn has_room_for(&self, request: &Request) -> bool {
        let blocks = u64::from(self.load.committed_blocks) + u64::from(self.kv.blocks_for(written(request)));
        blocks <= u64::from(self.kv.blocks())
    }

    /// Whether prompts wait to be let in.
    pub(crate) fn has_queue(&self) -> bool {
        !self.sent.is_empty() || !self.waiting.is_empty()
    }

    /// Whether nothing is here, and nothing will be that was placed before now.
    pub(crate) fn is_free(&self) -> bool {
        self.load.committed_blocks == 0
    }
}

/// What is placed here.
impl Replica {
    /// A prompt that decodes elsewhere.
    pub(crate) fn place_prompt(&mut self, request: &Request) {
        self.load.pending_tokens += u64::from(request.prompt.tokens());
        self.load.committed_blocks += self.kv.blocks_for(request.prompt.tokens());
    }

    /// A request whose prompt is computed elsewhere.
    pub(crate) fn place_answer(&mut self, request: &Request) {
        let blocks = self.kv.blocks_for(written(request));
        self.load.pending_tokens += 1;
        self.load.committed_blocks += blocks;
        self.load.promised_blocks += blocks;
    }

    /// A request that is computed and decodes here.
    pub(crate) fn place_whole(&mut self, request: &Request) {
        self.load.pending_tokens += u64::from(request.prompt.tokens()) + u64::from(request.output_tokens > 1);
        self.load.committed_blocks += self.kv.blocks_for(written(request));
    }
}

/// What is done.
impl Replica {
    /// Whether a request decodes elsewhere once its prompt is complete.
    pub(super) fn leaves(&self, live: &Live) -> bool {
        if self.mixes {
            return live.decode_replica.is_some_and(|to| to != self.number);
        }
        self.role == crate::spec::Role::Prefill
    }

    /// The prompt of a request has been computed.
    pub(super) fn book_prompt(&mut self, prompt_tokens: u32) {
        if self.mixes {
            self.load.pending_tokens -= u64::from(prompt_tokens);
        }
    }

    /// The KV cache of a prompt has arrived elsewhere.
    pub(super) fn book_given(&mut self, prompt_tokens: u32) {
        if self.mixes {
            self.load.committed_blocks -= self.kv.blocks_for(prompt_tokens);
        }
    }

    /// A request has ended here.
    pub(super) fn book_ended(&mut self, live: &Live) {
        if self.mixes {
            self.load.pending_tokens -= u64::from(live.output_tokens > 1);
            self.load.committed_blocks -= self.kv.blocks_for(live.prompt.tokens() + live.output_tokens - 1);
        }
    }
}

/// Tokens whose KV is written by the time it ends.
fn written(request: &Request) -> u32 {
    request.prompt.tokens() + request.output_tokens - 1
}
