//! The memory of a replay: weights and KV pool of every executed layer, apart from each other as in a real engine, and the
//! activations that all layers share.

use crate::kernels::{LaunchError, SortedPairs, View};

use super::bounds::StepBounds;
use super::lists::DecodeRoom;
use super::shard::{Shard, ShardFfn};

/// Bytes of a bfloat16.
const BF16: u64 = 2;
/// Pieces of memory start at multiples of this many bytes.
const ALIGNMENT: u64 = 256;

/// Sizes of pieces of one stretch of memory, and where each starts.
#[derive(Clone, Debug, Default)]
struct Stretch {
    pieces: Vec<(u64, u64)>,
    bytes: u64,
}

impl Stretch {
    fn of(sizes: impl IntoIterator<Item = u64>) -> Self {
        let mut stretch = Stretch::default();
        for size in sizes {
            stretch.pieces.push((stretch.bytes, size));
            stretch.bytes = (stretch.bytes + size).next_multiple_of(ALIGNMENT);
        }
        stretch
    }

    fn views(&self, all: &View) -> Result<std::vec::IntoIter<View>, LaunchError> {
        let views = self.pieces.iter().map(|&(start, bytes)| all.part(start, bytes));
        Ok(views.collect::<Result<Vec<_>, _>>()?.into_iter())
    }
}

/// Sizes of everything, before anything is allocated.
#[derive(Clone, Debug)]
pub(super) struct MemoryNeeds {
    layer: Stretch,
    pool: Stretch,
    ends: Stretch,
    activations: Stretch,
    lists: u64,
    layers: u32,
}

/// The weights of a layer.
#[derive(Clone, Debug)]
pub(super) struct LayerMemory {
    pub(super) norm: View,
    pub(super) qkv: View,
    pub(super) head_norm: View,
    pub(super) out: View,
    pub(super) ffn_norm: View,
    /// Router, where there are experts.
    pub(super) router: View,
    pub(super) up: View,
    pub(super) down: View,
    pub(super) keys: View,
    pub(super) values: View,
}

/// What all layers share.
#[derive(Clone, Debug)]
pub(super) struct SharedMemory {
    pub(super) embedding: View,
    pub(super) final_norm: View,
    pub(super) head: View,
    pub(super) residual: View,
    pub(super) normed: View,
    pub(super) qkv: View,
    pub(super) qkv_normed: View,
    pub(super) query: View,
    pub(super) attended: View,
    /// Output of attention and of the feed-forward part, to be added to the residual.
    pub(super) delta: View,
    pub(super) up: View,
    pub(super) activated: View,
    pub(super) sampled_hidden: View,
    pub(super) logits: View,
    pub(super) tokens_out: View,
    pub(super) decode: DecodeRoom,
    pub(super) experts: ExpertMemory,
}

/// Scratch of the experts.
#[derive(Clone, Debug)]
pub(super) struct ExpertMemory {
    pub(super) logits: View,
    /// What the router would choose; the schedule's draws are used instead.
    pub(super) routed: View,
    pub(super) weights: View,
    pub(super) sorted: SortedPairs,
    pub(super) out: View,
}

/// All of it.
pub(super) struct ReplayMemory {
    pub(super) layers: Vec<LayerMemory>,
    pub(super) shared: SharedMemory,
    pub(super) lists: View,
    /// Angles of rotation.
    pub(super) angles: View,
}

impl MemoryNeeds {
    /// What `shard` needs for steps within `bounds`, on a GPU of so many multiprocessors.
    pub(super) fn new(shard: &Shard, bounds: StepBounds, multiprocessors: u32) -> Self {
        let (hidden, query, qkv) = (shard.hidden, shard.query_width(), shard.qkv_width());
        let (experts, top_k, width) = match shard.feed_forward {
            ShardFfn::Dense { width } => (0, 0, width),
            ShardFfn::Experts { experts, top_k, width } => (experts, top_k, width),
        };
        let copies = experts.max(1);
        let weights = [
            hidden,
            qkv * hidden,
            shard.head_dim,
            hidden * query,
            hidden,
            experts * hidden,
            copies * 2 * width * hidden,
            copies * hidden * width,
        ];
        // One block more for what padding writes.
        let pool = (shard.kv_blocks + 1) * shard.block_size * shard.kv_heads * shard.head_dim;
        let (rows, sampled) = (bounds.rows, bounds.sampled.max(1));
        let pairs = bounds.unpadded_rows * top_k;
        // A row of the feed-forward part: one per row, or one per pair of a row and an expert it chose.
        let inner_rows = if experts > 0 { pairs } else { rows };
        // As many as `DecodePlan` makes: contexts are cut into about one item per place, and each request ends with one.
        let slots = 2 * u64::from(multiprocessors) / shard.kv_heads.max(1) + bounds.decodes + 1;
        let halves = [
            rows * hidden,
            rows * hidden,
            rows * qkv,
            if shard.qk_norm { rows * qkv } else { 0 },
            rows * query,
            rows * query,
            rows * hidden,
            inner_rows * 2 * width,
            inner_rows * width,
            sampled * hidden,
            sampled * shard.vocabulary,
            rows * experts,
            pairs * hidden,
        ];
        let routing = |tile_rows: u64| (pairs / tile_rows + experts).min(pairs);
        let words = [
            sampled,
            slots * query,
            slots * shard.query_heads * 2,
            pairs,
            pairs,
            experts + 1,
            pairs,
            pairs,
            2 * routing(16),
            1,
        ];
        let ends = [shard.vocabulary * hidden, hidden, shard.vocabulary * hidden];
        MemoryNeeds {
            layer: Stretch::of(weights.map(|elements| elements * BF16)),
            pool: Stretch::of([pool * BF16, pool * BF16]),
            ends: Stretch::of(ends.map(|elements| elements * BF16)),
            activations: Stretch::of(halves.map(|elements| elements * BF16).into_iter().chain(words.map(|n| n * 4))),
            lists: bounds.list_bytes,
            layers: shard.layers,
        }
    }

    /// Bytes of everything, but for the angles of rotation.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.layers) * (self.layer.bytes + self.pool.bytes)
            + self.ends.bytes
            + self.activations.bytes
            + self.lists
    }

    /// Takes all of it: `numbers` gives memory full of random numbers, `room` gives memory full of anything.
    pub(super) fn take<E: From<LaunchError>>(
        &self,
        angles: View,
        mut numbers: impl FnMut(u64) -> Result<View, E>,
        room: impl Fn(u64) -> Result<View, E>,
    ) -> Result<ReplayMemory, E> {
        let mut layers = Vec::with_capacity(self.layers as usize);
        for _ in 0..self.layers {
            let mut weights = self.layer.views(&numbers(self.layer.bytes)?)?;
            let mut pool = self.pool.views(&numbers(self.pool.bytes)?)?;
            let mut next = || weights.next().expect("a layer has eight weights");
            layers.push(LayerMemory {
                norm: next(),
                qkv: next(),
                head_norm: next(),
                out: next(),
                ffn_norm: next(),
                router: next(),
                up: next(),
                down: next(),
                keys: pool.next().expect("a pool has keys"),
                values: pool.next().expect("a pool has values"),
            });
        }
        let mut ends = self.ends.views(&numbers(self.ends.bytes)?)?;
        // Numbers too: what padding computes from must be numbers.
        let activations = self.activations.views(&numbers(self.activations.bytes)?)?;
        let mut next = || ends.next().expect("there are three weights outside layers");
        let shared = shared([next(), next(), next()], activations);
        Ok(ReplayMemory { layers, shared, lists: room(self.lists)?, angles })
    }
}

/// Names the pieces, in the order in which their sizes were listed.
fn shared([embedding, final_norm, head]: [View; 3], mut pieces: std::vec::IntoIter<View>) -> SharedMemory {
    let mut next = || pieces.next().expect("there are as many pieces as sizes");
    let [residual, normed, qkv, qkv_normed, query, attended, delta, up, activated] = std::array::from_fn(|_| next());
    let [sampled_hidden, logits, router_logits, expert_out] = std::array::from_fn(|_| next());
    let [tokens_out, partial_sums, partial_scales, routed, weights] = std::array::from_fn(|_| next());
    let [expert_start, pair_of_row, row_of_pair, tiles, tile_count] = std::array::from_fn(|_| next());
    SharedMemory {
        embedding,
        final_norm,
        head,
        residual,
        normed,
        qkv,
        qkv_normed,
        query,
        attended,
        delta,
        up,
        activated,
        sampled_hidden,
        logits,
        tokens_out,
        decode: DecodeRoom { partial_sums, partial_scales },
        experts: ExpertMemory {
            logits: router_logits,
            routed,
            weights,
            sorted: SortedPairs { expert_start, pair_of_row, row_of_pair, tiles, tile_count },
            out: expert_out,
        },
    }
}
