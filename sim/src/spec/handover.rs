//! Prefill and decode on replicas of their own: who does what, and how the KV cache gets from one to the other.

use std::collections::BTreeMap;

use super::RouterSpec;
use crate::network::{NetworkSpec, RouteId};

/// What a replica does with the requests it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It computes prompts and generates answers.
    #[default]
    Serve,
    /// It computes prompts. The step that completes one yields the request's first token; then the request is handed over
    /// to a [`Role::Decode`] replica, as [`HandoverSpec`] says.
    Prefill,
    /// It generates from a KV cache that was computed elsewhere. In a deployment of such replicas alone requests arrive
    /// with the KV cache of their prompt in place, and their first token is the first one decoded.
    Decode,
}

impl Role {
    /// As it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Role::Serve => "serve",
            Role::Prefill => "prefill",
            Role::Decode => "decode",
        }
    }
}

/// How requests get from prefill replicas to decode replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct HandoverSpec {
    /// When the KV cache travels, and who is asked.
    pub mode: TransferMode,
    /// Which decode replica a request goes to.
    pub router: RouterSpec,
    /// When that is decided.
    pub choice: DecodeChoice,
    /// Size of the KV cache in bytes per token, all layers.
    pub kv_bytes_per_token: u64,
    /// Bytes of a request's recurrent states, all layers, which travel with its KV cache; 0 for models without. Where there are
    /// some, a prefill replica has room for those of `max_num_seqs` requests, and one counts until it has left.
    pub state_bytes: u64,
    /// What the KV caches travel over.
    pub network: NetworkSpec,
    /// The route from each prefill replica to each decode replica, by their numbers.
    ///
    /// With a mixed pool: from every replica to every other.
    pub routes: BTreeMap<(u32, u32), RouteId>,
    /// Whether replicas leave their pools for a mixed one under load. Then neither router is asked.
    pub mixing: Option<MixingSpec>,
}

/// Splitwise's mixed pool, whose replicas compute prompts and decode. It is empty at first; whoever is in it and has nothing
/// to do goes home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixingSpec {
    /// A replica on which prompts wait gets another one only if it has no more than so many tokens pending with that
    /// (Splitwise: 8,192). Where no prefill or mixed replica does, a decode replica is taken.
    pub max_pending_tokens: u64,
}

/// When the KV cache of a prompt travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferMode {
    /// The decode replica fetches it when it has blocks to spare (`DistServe`). What was fetched waits there for one of the
    /// `max_num_seqs` places; until it is fetched it stays where it was computed.
    Pull {
        /// Nothing is fetched while fetched requests that do not decode yet own this share of the decode replica's blocks
        /// or more, in thousandths (≥ 1; `DistServe`: 50).
        max_unbatched_permille: u32,
        /// Whether the decode replica fetches between its steps, one request at a time, and runs none in the meantime.
        awaited: bool,
    },
    /// It is sent when the prompt is complete and the decode replica has a place and blocks for it.
    AfterPrefill,
    /// It is sent layer by layer while the prompt's last piece is computed, if the decode replica has a place and blocks for
    /// it by then (Splitwise). What cannot be sent before the prompt is complete is its last layer, and what the network
    /// has not carried by then.
    PushByLayer {
        /// Layers of the model (≥ 1).
        layers: u32,
    },
}

/// When a request's decode replica is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeChoice {
    /// At its arrival (Splitwise).
    AtArrival,
    /// When its prompt is complete (`DistServe`).
    AfterPrefill,
}
