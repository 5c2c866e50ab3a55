//! A second tier in host memory.

use workloads::Span;

use super::{BlockReuse, CacheModel, Held, Hit, PrefixCache, Tuned};

/// A cache on the device with a larger one behind it.
///
/// Everything stored is written to both; what only the second has is fetched over a link while the request waits, and is
/// then stored on the device like everything that was computed.
#[derive(Debug)]
pub struct HostTier {
    device: Box<dyn PrefixCache>,
    host: Box<dyn PrefixCache>,
    model: CacheModel,
}

impl HostTier {
    /// Puts `host` behind `device`.
    pub fn new(device: Box<dyn PrefixCache>, host: Box<dyn PrefixCache>, model: CacheModel) -> Self {
        HostTier { device, host, model }
    }
}

impl PrefixCache for HostTier {
    /// What is fetched is the KV of the tokens the device lacks and the one checkpoint at their end.
    fn lookup(&mut self, input: &[Span]) -> Hit {
        let device = self.device.lookup(input);
        let host = self.host.lookup(input);
        let Some(fetched) = host.tokens.checked_sub(device.tokens).filter(|&tokens| tokens > 0) else { return device };
        let bytes = self.model.kv_bytes(fetched) + self.model.checkpoint_bytes();
        Hit { tokens: host.tokens, fetched_tokens: fetched, fetched_bytes: bytes }
    }

    fn insert(&mut self, sequence: &[Span]) {
        self.device.insert(sequence);
        self.host.insert(sequence);
    }

    /// What the device holds.
    fn held(&self) -> Held {
        self.device.held()
    }

    fn tuned(&self) -> Option<Tuned> {
        self.device.tuned()
    }

    fn block_reuse(&self) -> Option<BlockReuse> {
        self.device.block_reuse()
    }
}
