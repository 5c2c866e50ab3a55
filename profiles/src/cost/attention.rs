//! Attention: prompts piece by piece, generating requests by the sums over them.

use super::layer::Context;
use super::load::{ACTIVATION_BYTES, Load, NS_PER_S, NS_PER_US, Timed};
use super::measured::MeasuredAttention;
use super::mixed::MixedCost;
use super::shared_prefix::SharedPrefixCost;
use super::{Evidence, Operator};
use crate::fitted::{self, CompiledDecode, CompiledPrefill, PromptWork};
use crate::model::{Attention, LatentAttention, LayerSpec, Mixer};
use crate::parallel::DType;
use crate::step::{DecodeBatch, PrefillPiece};

/// Rows of the query block that one thread block works on.
const BLOCK_ROWS: f64 = 128.0;

/// Attention of one kind of layer on one of the GPUs that share it.
#[derive(Clone, Debug)]
pub(super) struct AttentionCost {
    /// Tokens that a token can see.
    window: Option<u32>,
    prefill: PrefillCost,
    decode: DecodeCost,
    measured: MeasuredAttention,
    mixed: Option<MixedCost>,
    /// Where shared prefixes are read once.
    shared: Option<SharedPrefixCost>,
}

/// Coefficients of prefill attention. Areas count (query, visible key) pairs.
#[derive(Clone, Debug)]
struct PrefillCost {
    floor_ns: f64,
    ns_per_pair: f64,
    ns_per_token: f64,
    /// Expansion of cached latents into keys and values (MLA).
    ns_per_cached_token: f64,
    tail_ns_per_key: f64,
    memory_ns_per_key: f64,
    memory_ns_per_token: f64,
    flops_per_pair: f64,
    flops_per_cached_token: f64,
    peak_ns_per_flop: f64,
    cache_bytes_per_key: f64,
    /// Part of the cache's bytes that counts as necessary on each GPU: `1/r` where `r` GPUs hold the same.
    necessary_share: f64,
    bytes_per_token: f64,
    /// By the device's fitted profile, which the coefficients of time then are silent beside.
    fitted: Option<CompiledPrefill>,
    evidence: Evidence,
}

/// Coefficients of decode attention.
#[derive(Clone, Debug)]
struct DecodeCost {
    floor_ns: f64,
    memory_ns_per_key: f64,
    compute_ns_per_key: f64,
    block_ns_per_request: f64,
    flops_per_key: f64,
    peak_ns_per_flop: f64,
    cache_bytes_per_key: f64,
    necessary_share: f64,
    bytes_per_request: f64,
    /// By the device's fitted profile, likewise.
    fitted: Option<CompiledDecode>,
    evidence: Evidence,
}

/// What prompt pieces add up to in one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PrefillSums {
    /// New tokens.
    pub(super) tokens: f64,
    /// Tokens whose keys were cached before and are visible.
    pub(super) cached: f64,
    /// Keys that are read, each once per piece.
    pub(super) keys: f64,
    /// Pairs of a query and a key that it sees.
    pub(super) pairs: f64,
}

/// What generating requests add up to in one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DecodeSums {
    pub(super) requests: f64,
    /// Keys that they see.
    pub(super) keys: f64,
    /// Keys that are read, those of shared prefixes once.
    pub(super) read: f64,
    /// Bytes of partial results that are merged.
    pub(super) merged_bytes: f64,
}

/// Sizes that both kinds of attention come down to.
struct Heads {
    query: f64,
    /// Mean of the sizes of a key and a value.
    prefill_dim: f64,
    /// Bytes cached per token.
    cache_bytes: f64,
    /// Part of them that counts as necessary on each GPU.
    necessary_share: f64,
}

impl AttentionCost {
    /// Cost of the mixer of a whole layer, on one GPU; `None` if it is no attention.
    pub(super) fn new(layer: &LayerSpec, context: &Context<'_>) -> Option<Self> {
        let slice = layer.slice(context.options.parallelism).mixer;
        let necessary = context.distinct_share(layer.mixer.kv_elements_per_token(), slice.kv_elements_per_token());
        match slice {
            Mixer::Attention(attention) => Some(Self::softmax(attention, necessary, context)),
            Mixer::Latent(latent) => Some(Self::latent(latent, necessary, context)),
            Mixer::StateSpace(_) | Mixer::None => None,
        }
    }

    fn softmax(attention: Attention, necessary_share: f64, context: &Context<'_>) -> Self {
        let query = f64::from(attention.query_heads);
        let dim = f64::from(attention.head_dim);
        let kv_heads = f64::from(attention.kv_heads);
        let kv_element = context.options.precision.kv_cache.bytes_per_element();
        let cache_bytes = 2.0 * kv_heads * dim * kv_element;
        let heads = Heads { query, prefill_dim: dim, cache_bytes, necessary_share };
        let fitted = attention.window.is_none();
        let decode = DecodeCost::new(context, &heads, 4.0 * query * dim, kv_heads, fitted);
        let prefill = PrefillCost::new(context, &heads, 0.0, fitted);
        // Windows end behind the prefix, or move away from it.
        let shared = if fitted {
            let times = [decode.memory_ns_per_key, prefill.ns_per_pair, decode.floor_ns];
            SharedPrefixCost::new(context, (query, query * dim), times)
        } else {
            None
        };
        let heads = fitted::Heads { query, kv: kv_heads, dim, kv_bytes: kv_element };
        let apart = Self {
            window: attention.window,
            prefill: prefill.fitted(context, heads, fitted),
            decode: decode.fitted(context, heads, fitted),
            measured: MeasuredAttention::new(attention, context),
            mixed: None,
            shared,
        };
        let mixed = MixedCost::new(attention, context, |pieces| apart.prefill(pieces).0.ns);
        Self { mixed, ..apart }
    }

    /// MLA. Prompts: keys and values are expanded from the latent, cached ones again by every piece. Decoding: queries
    /// and outputs live in the latent space, whose cache every GPU reads whole.
    fn latent(latent: LatentAttention, necessary_share: f64, context: &Context<'_>) -> Self {
        let query = f64::from(latent.heads);
        let (nope, rope) = (f64::from(latent.qk_nope_head_dim), f64::from(latent.qk_rope_head_dim));
        let (rank, values) = (f64::from(latent.kv_lora_rank), f64::from(latent.v_head_dim));
        let kv_element = context.options.precision.kv_cache.bytes_per_element();
        let cache_bytes = (rank + rope) * kv_element;
        let heads = Heads { query, prefill_dim: f64::midpoint(nope + rope, values), cache_bytes, necessary_share };
        let expansion_flops = 2.0 * rank * query * (nope + values);
        let decode_flops = 2.0 * query * (2.0 * rank + rope);
        let device = context.options.device;
        let curve = &context.curves.latent_attention;
        let bf16_cache = context.options.precision.kv_cache == DType::Bf16;
        let evidence = curve.fitted.evidence(device, bf16_cache);
        let prefill = PrefillCost::new(context, &heads, expansion_flops, false);
        let decode = DecodeCost {
            floor_ns: curve.decode_floor_us * NS_PER_US,
            compute_ns_per_key: decode_flops * NS_PER_S / (device.bf16_flops * curve.decode_compute),
            evidence,
            ..DecodeCost::new(context, &heads, decode_flops, 1.0, false)
        };
        let times = [decode.memory_ns_per_key, decode.compute_ns_per_key, decode.floor_ns];
        Self {
            window: None,
            prefill: PrefillCost { floor_ns: curve.prefill_floor_us * NS_PER_US, evidence, ..prefill },
            shared: SharedPrefixCost::new(context, (query, query * rank), times),
            decode,
            measured: MeasuredAttention::default(),
            mixed: None,
        }
    }

    /// Time for the pieces of a step in one layer, and what they add up to.
    #[inline]
    pub(super) fn prefill(&self, pieces: &[PrefillPiece]) -> (Timed, PrefillSums) {
        let cost = &self.prefill;
        let timed = |ns| Timed { ns, evidence: cost.evidence };
        let measured = self.measured.prefill(pieces);
        if let (None, Some(fitted)) = (measured, &cost.fitted) {
            let (ns, sums) = self.fitted_prefill(pieces, fitted);
            return (timed(ns), sums);
        }
        let mut sums = PrefillSums::default();
        let mut longest: f64 = 0.0;
        for piece in pieces {
            let piece = PrefillSums::of(*piece, self.window);
            sums.add(piece);
            longest = longest.max(piece.keys);
        }
        if let Some(time) = measured {
            return (time, sums);
        }
        let compute =
            sums.pairs * cost.ns_per_pair + sums.tokens * cost.ns_per_token + sums.cached * cost.ns_per_cached_token;
        let memory = sums.keys * cost.memory_ns_per_key + sums.tokens * cost.memory_ns_per_token;
        (timed(cost.floor_ns + compute.max(memory) + longest * cost.tail_ns_per_key), sums)
    }

    #[inline]
    fn fitted_prefill(&self, pieces: &[PrefillPiece], fitted: &CompiledPrefill) -> (f64, PrefillSums) {
        let (mut sums, mut work) = (PrefillSums::default(), PromptWork::default());
        for piece in pieces {
            let piece = PrefillSums::of(*piece, self.window);
            sums.add(piece);
            fitted.add(&mut work, piece.tokens, piece.keys, piece.pairs);
        }
        (fitted.time_ns(&work), sums)
    }

    /// Time for the generating requests of a step in one layer.
    #[inline]
    pub(super) fn decode(&self, batch: DecodeBatch) -> Timed {
        if let Some(shared) = self.sharing(batch) {
            let (plain, extra_ns) = shared.apart(batch);
            // No kernel of this kind has been measured.
            return Timed { ns: self.plain_decode(plain).ns + extra_ns, evidence: Evidence::Extrapolated };
        }
        self.plain_decode(batch)
    }

    /// What prices shared prefixes, if there are any in the batch and they are read once.
    #[inline]
    fn sharing(&self, batch: DecodeBatch) -> Option<&SharedPrefixCost> {
        self.shared.as_ref().filter(|_| batch.shared.prefixes > 0)
    }

    #[inline]
    fn plain_decode(&self, batch: DecodeBatch) -> Timed {
        let by_curve = || Timed { ns: self.decode_ns(batch), evidence: self.decode.evidence };
        self.measured.decode(batch).unwrap_or_else(by_curve)
    }

    /// Time for the pieces and the generating requests of a step in one layer, where that is not known to be the sum of
    /// both; each attention's part of it.
    #[inline]
    pub(super) fn mixed(
        &self,
        pieces: &[PrefillPiece],
        batch: DecodeBatch,
        alone: [Timed; 2],
    ) -> Option<(Timed, Timed)> {
        if self.sharing(batch).is_some() {
            return None;
        }
        let by_form = || Some(self.mixed.as_ref()?.both(pieces, batch, alone));
        let both = self.measured.mixed(pieces, batch).or_else(by_form)?;
        // No launch takes less than the longer of its parts.
        let both = Timed { ns: both.ns.max(alone[0].ns).max(alone[1].ns), ..both };
        // One launch has one time: each gets its share of what both would take apart.
        let [prefill, decode] = alone.map(|alone| alone.ns);
        let part = |alone_ns: f64| Timed { ns: both.ns * alone_ns / (prefill + decode), evidence: both.evidence };
        Some((part(prefill), part(decode)))
    }

    #[inline]
    fn decode_ns(&self, batch: DecodeBatch) -> f64 {
        let keys = self.decode_keys(batch);
        let cost = &self.decode;
        if let Some(fitted) = &cost.fitted {
            return fitted.time_ns(f64::from(batch.requests), keys);
        }
        let streaming = keys * cost.memory_ns_per_key.max(cost.compute_ns_per_key);
        let blocks = f64::from(batch.requests) * cost.block_ns_per_request;
        cost.floor_ns + (streaming * streaming + blocks * blocks).sqrt()
    }

    /// What a batch adds up to.
    #[inline]
    pub(super) fn decode_sums(&self, batch: DecodeBatch) -> DecodeSums {
        let keys = self.decode_keys(batch);
        let alone = DecodeSums { requests: f64::from(batch.requests), keys, read: keys, merged_bytes: 0.0 };
        let Some(shared) = self.sharing(batch) else { return alone };
        let twice = batch.shared.member_tokens - batch.shared.tokens;
        DecodeSums { read: keys - twice as f64, merged_bytes: shared.merge_bytes(batch.requests), ..alone }
    }

    /// Keys that the generating requests see.
    #[inline]
    fn decode_keys(&self, batch: DecodeBatch) -> f64 {
        (if self.window.is_some() { batch.windowed_context_tokens } else { batch.context_tokens }) as f64
    }

    /// What prefill attention costs for these sums, without its time.
    ///
    /// Expanding cached latents again is work that cutting a prompt into pieces causes, not work that its tokens need.
    pub(super) fn prefill_load(&self, sums: PrefillSums) -> (Operator, Load) {
        let cost = &self.prefill;
        let useful_flops = sums.pairs * cost.flops_per_pair;
        let flops = useful_flops + sums.cached * cost.flops_per_cached_token;
        let cache_bytes = sums.keys * cost.cache_bytes_per_key;
        let load = Load {
            flops,
            useful_flops,
            at_peak_ns: flops * cost.peak_ns_per_flop,
            memory_bytes: cache_bytes + sums.tokens * cost.bytes_per_token,
            necessary_bytes: cache_bytes * cost.necessary_share,
            ..Load::default()
        };
        (Operator::PrefillAttention, load)
    }

    /// What decode attention costs for these sums, without its time.
    pub(super) fn decode_load(&self, sums: DecodeSums) -> (Operator, Load) {
        let cost = &self.decode;
        let flops = sums.keys * cost.flops_per_key;
        let cache_bytes = sums.read * cost.cache_bytes_per_key;
        let load = Load {
            flops,
            useful_flops: flops,
            at_peak_ns: flops * cost.peak_ns_per_flop,
            memory_bytes: cache_bytes + sums.requests * cost.bytes_per_request + sums.merged_bytes,
            necessary_bytes: cache_bytes * cost.necessary_share,
            ..Load::default()
        };
        (Operator::DecodeAttention, load)
    }
}

impl PrefillCost {
    fn new(context: &Context<'_>, heads: &Heads, expansion_flops: f64, fitted: bool) -> Self {
        let curve = &context.curves.prefill_attention;
        let device = context.options.device;
        let ns_per_flop = NS_PER_S / (device.bf16_flops * curve.compute);
        let ns_per_byte = NS_PER_S / (device.memory_bandwidth * curve.memory);
        let dim = heads.prefill_dim;
        let per_key = 4.0 * (dim + curve.softmax_d) * ns_per_flop;
        let bytes_per_token = 2.0 * heads.query * dim * ACTIVATION_BYTES;
        Self {
            floor_ns: curve.floor_us * NS_PER_US,
            ns_per_pair: heads.query * per_key,
            ns_per_token: heads.query * 4.0 * BLOCK_ROWS.mul_add(curve.row_keys, dim * curve.row_d_keys) * ns_per_flop,
            ns_per_cached_token: expansion_flops * ns_per_flop,
            tail_ns_per_key: curve.tail * BLOCK_ROWS * per_key * f64::from(device.sms),
            memory_ns_per_key: heads.cache_bytes * ns_per_byte,
            memory_ns_per_token: bytes_per_token * ns_per_byte,
            flops_per_pair: 4.0 * heads.query * dim,
            flops_per_cached_token: expansion_flops,
            peak_ns_per_flop: NS_PER_S / device.bf16_flops,
            cache_bytes_per_key: heads.cache_bytes,
            necessary_share: heads.necessary_share,
            bytes_per_token,
            fitted: None,
            evidence: curve.fitted.evidence(device, fitted),
        }
    }

    /// The same by the device's fitted profile, where it has attention over such a cache; `exact`: over such a window.
    fn fitted(self, context: &Context<'_>, heads: fitted::Heads, exact: bool) -> Self {
        let device = context.options.device;
        let Some((kernel, evidence)) = context.fitted_attention(|profile| &profile.prefill_attention, exact) else {
            return self;
        };
        let compiled = CompiledPrefill::new(heads, kernel.floor_us * NS_PER_US, &kernel.surface, device);
        Self { fitted: Some(compiled), evidence, ..self }
    }
}

impl DecodeCost {
    fn new(context: &Context<'_>, heads: &Heads, flops_per_key: f64, kv_blocks: f64, fitted: bool) -> Self {
        let narrow = context.options.precision.kv_cache != DType::Bf16;
        let (curve, fitted_width) = context.curves.decode_attention.at(narrow);
        let device = context.options.device;
        let block_us = kv_blocks * curve.kv_head_us + heads.query * curve.query_head_us;
        Self {
            floor_ns: curve.floor_us * NS_PER_US,
            memory_ns_per_key: heads.cache_bytes * NS_PER_S / (device.memory_bandwidth * curve.memory),
            compute_ns_per_key: flops_per_key * NS_PER_S / (device.bf16_flops * curve.compute),
            block_ns_per_request: block_us * NS_PER_US / f64::from(device.sms),
            flops_per_key,
            peak_ns_per_flop: NS_PER_S / device.bf16_flops,
            cache_bytes_per_key: heads.cache_bytes,
            necessary_share: heads.necessary_share,
            bytes_per_request: 2.0 * heads.query * heads.prefill_dim * ACTIVATION_BYTES,
            fitted: None,
            evidence: curve.fitted.evidence(device, fitted && fitted_width),
        }
    }

    /// As for prefill attention.
    fn fitted(self, context: &Context<'_>, heads: fitted::Heads, exact: bool) -> Self {
        let device = context.options.device;
        let Some((kernel, evidence)) = context.fitted_attention(|profile| &profile.decode_attention, exact) else {
            return self;
        };
        let compiled = CompiledDecode::new(heads, kernel.floor_us * NS_PER_US, &kernel.surface, device);
        Self { fitted: Some(compiled), evidence, ..self }
    }
}

impl DecodeSums {
    /// Adds `layers` layers.
    #[inline]
    pub(super) fn add(&mut self, layers: f64, other: Self) {
        self.requests += layers * other.requests;
        self.keys += layers * other.keys;
        self.read += layers * other.read;
        self.merged_bytes += layers * other.merged_bytes;
    }
}

impl PrefillSums {
    #[inline]
    fn add(&mut self, piece: Self) {
        self.tokens += piece.tokens;
        self.cached += piece.cached;
        self.keys += piece.keys;
        self.pairs += piece.pairs;
    }

    /// Sums of one piece: its `i`-th token sees `min(context + i, window)` keys, itself included.
    #[inline]
    fn of(piece: PrefillPiece, window: Option<u32>) -> Self {
        let tokens = f64::from(piece.new_tokens);
        let context = f64::from(piece.context_tokens);
        let all = Self {
            tokens,
            cached: context,
            keys: context + tokens,
            pairs: tokens * context + tokens * (tokens + 1.0) / 2.0,
        };
        let Some(window) = window.map(f64::from) else { return all };
        if all.keys <= window {
            return all;
        }
        let growing = (window - context).clamp(0.0, tokens);
        Self {
            tokens,
            cached: context.min(window - 1.0),
            keys: context.min(window - 1.0) + tokens,
            pairs: growing * context + growing * (growing + 1.0) / 2.0 + (tokens - growing) * window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windowed_pairs_equal_the_sum_over_tokens() {
        for window in [1, 2, 5, 8, 100] {
            for context in 0..12 {
                for tokens in 1..12 {
                    let piece = PrefillPiece { new_tokens: tokens, context_tokens: context };
                    let pairs: u64 = (1..=tokens).map(|i| u64::from((context + i).min(window))).sum();
                    let sums = PrefillSums::of(piece, Some(window));
                    assert_eq!(sums.pairs as u64, pairs, "window {window}, context {context}, tokens {tokens}");
                    let first_visible = (context + 1).saturating_sub(window);
                    assert_eq!(sums.keys as u32, context + tokens - first_visible);
                }
            }
        }
    }
}
