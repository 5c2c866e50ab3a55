//! Bytes and FLOPs of what a prefix cache keeps.

use profiles::{FeedForward, LayerSpec, Mixer, ModelSpec, PrefixFlops};

/// The shape of a hybrid model as the Marconi paper counts it: multi-head attention without grouped queries, Mamba-2 with
/// a convolution of four columns and an expansion of two, feed-forward parts of two matrices four times as wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HybridShape {
    /// Recurrent layers.
    pub ssm_layers: u32,
    /// Attention layers.
    pub attention_layers: u32,
    /// Feed-forward layers.
    pub mlp_layers: u32,
    /// Hidden size, D.
    pub width: u32,
    /// State size, N.
    pub state: u32,
    /// Bytes of a stored value (2 for FP16).
    pub value_bytes: u32,
}

impl HybridShape {
    /// The 7B hybrid of the Marconi paper, section 5.1.
    pub const MARCONI_7B: HybridShape =
        HybridShape { ssm_layers: 24, attention_layers: 4, mlp_layers: 28, width: 4096, state: 128, value_bytes: 2 };
}

/// What a prefix costs to keep, and saves to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheModel {
    checkpoint_bytes: u64,
    kv_bytes_per_token: u64,
    /// FLOPs of all recurrent layers per token, and of all feed-forward layers.
    ssm_flops: i128,
    mlp_flops: i128,
    /// FLOPs of all attention layers per token, and per token squared.
    attention_flops: i128,
    attention_flops_squared: i128,
    /// FLOPs of as many attention layers as there are feed-forward layers, likewise: what the artifact takes off by mistake.
    slip_flops: i128,
    slip_flops_squared: i128,
}

impl CacheModel {
    /// The formulas of the Marconi paper (appendix A and `utils.py` of its artifact), per layer and L tokens: KV 2·L·D
    /// values; state D·N + 4·(2D + 2N) values; attention 8·L·D² + 4·L²·D FLOPs, feed-forward 16·L·D², recurrent
    /// 12·L·D² + 16·L·D·N + 10·L·D.
    pub fn of_shape(shape: &HybridShape) -> Self {
        let HybridShape { ssm_layers, attention_layers, mlp_layers, width, state, value_bytes } = *shape;
        let (d, n, bytes) = (u64::from(width), u64::from(state), u64::from(value_bytes));
        let (wide_d, wide_n) = (i128::from(width), i128::from(state));
        let [ssm, attention, mlp] = [ssm_layers, attention_layers, mlp_layers].map(i128::from);
        let (one_attention, one_attention_squared) = (8 * wide_d * wide_d, 4 * wide_d);
        CacheModel {
            checkpoint_bytes: u64::from(ssm_layers) * (d * n + 4 * (2 * d + 2 * n)) * bytes,
            kv_bytes_per_token: u64::from(attention_layers) * 2 * d * bytes,
            ssm_flops: ssm * (12 * wide_d * wide_d + 16 * wide_d * wide_n + 10 * wide_d),
            mlp_flops: mlp * 16 * wide_d * wide_d,
            attention_flops: attention * one_attention,
            attention_flops_squared: attention * one_attention_squared,
            slip_flops: mlp * one_attention,
            slip_flops_squared: mlp * one_attention_squared,
        }
    }

    /// A model as the cost model counts it (`profiles`): grouped queries, experts, its own state. Bytes are those of whatever
    /// memory the cache is in: of one GPU, if layers are spread over several.
    pub fn of_model(model: &ModelSpec, checkpoint_bytes: u64, kv_bytes_per_token: u64) -> Self {
        let PrefixFlops { recurrent, feed_forward, attention, attention_squared } = model.prefix_flops();
        let layers = |of: fn(&LayerSpec) -> bool| model.layers.iter().filter(|layer| of(layer)).count() as i128;
        let mlp = layers(|layer| layer.feed_forward != FeedForward::None);
        let attending = layers(|layer| matches!(layer.mixer, Mixer::Attention(_) | Mixer::Latent(_))).max(1);
        let [recurrent, feed_forward, attention, attention_squared] =
            [recurrent, feed_forward, attention, attention_squared].map(i128::from);
        CacheModel {
            checkpoint_bytes,
            kv_bytes_per_token,
            ssm_flops: recurrent,
            mlp_flops: feed_forward,
            attention_flops: attention,
            attention_flops_squared: attention_squared,
            slip_flops: mlp * attention / attending,
            slip_flops_squared: mlp * attention_squared / attending,
        }
    }

    /// Bytes of one checkpoint: a state of every recurrent layer.
    pub fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    /// KV bytes of one token in all attention layers.
    pub fn kv_bytes_per_token(&self) -> u64 {
        self.kv_bytes_per_token
    }

    /// KV bytes of so many tokens.
    pub(super) fn kv_bytes(&self, tokens: u32) -> u64 {
        self.kv_bytes_per_token * u64::from(tokens)
    }

    /// FLOPs of computing the first `tokens` tokens, which a hit of that length saves.
    pub fn prefill_flops(&self, tokens: u32) -> f64 {
        self.edge_flops(0, tokens, false)
    }

    /// FLOPs that the tokens from `above` to `total` of a prefix take.
    ///
    /// With `slip`, the feed-forward layers are reckoned as the paper's artifact does: the FLOPs of *attention* over the
    /// first `above` tokens are taken off theirs, so that the result can be negative.
    pub fn edge_flops(&self, above: u32, total: u32, slip: bool) -> f64 {
        self.exact_flops(above, total, slip) as f64
    }

    /// The same, so that sums do not depend on their order.
    pub(super) fn exact_flops(&self, above: u32, total: u32, slip: bool) -> i128 {
        let (above, total) = (i128::from(above), i128::from(total));
        let ssm = self.ssm_flops * (total - above);
        let attention = |tokens| self.attention_flops * tokens + self.attention_flops_squared * tokens * tokens;
        let slipped = self.slip_flops * above + self.slip_flops_squared * above * above;
        let mlp = self.mlp_flops * total - if slip { slipped } else { self.mlp_flops * above };
        ssm + attention(total) - attention(above) + mlp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seven_b(ssm_layers: u32, attention_layers: u32, state: u32) -> CacheModel {
        CacheModel::of_shape(&HybridShape { ssm_layers, attention_layers, state, ..HybridShape::MARCONI_7B })
    }

    /// Marconi, section 3 and appendix A, with the formulas of its artifact.
    #[test]
    fn sizes_are_the_published_ones() {
        let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
        assert_eq!(model.checkpoint_bytes(), 26_787_840);
        assert_eq!(model.checkpoint_bytes() / 24, 1_116_160);
        assert_eq!(model.kv_bytes_per_token(), 65_536);
        let block = model.checkpoint_bytes() + model.kv_bytes(32);
        assert_eq!(block, 28_884_992, "a block of 32 tokens with its state");
        assert_eq!(1_000_000_000 / block, 34, "blocks in 1 GB");
        assert_eq!(1_000_000_000 / model.checkpoint_bytes(), 37, "checkpoints in 1 GB");
        let in_tokens = model.checkpoint_bytes() as f64 / model.kv_bytes_per_token() as f64;
        assert!((in_tokens - 408.75).abs() < 1e-9, "a checkpoint is as large as the KV of 408.75 tokens");
        let (states, kv) = (10_000 / 16 * model.checkpoint_bytes(), model.kv_bytes(10_000));
        assert_eq!(states + kv, 17_397_760_000, "10,000 tokens with a state per 16: 17.4 GB");
    }

    #[test]
    fn sizes_follow_state_size_and_layer_mix() {
        let checkpoint_mb = |n| seven_b(24, 4, n).checkpoint_bytes() as f64 / 1e6;
        for (n, published) in [(16, 4.72), (32, 7.88), (64, 14.18), (128, 26.79)] {
            assert!((checkpoint_mb(n) - published).abs() < 0.005, "N = {n}: {}", checkpoint_mb(n));
        }
        for (ssm, attention, mb, kib) in
            [(32, 4, 35.7, 64), (30, 5, 33.5, 80), (28, 7, 31.3, 112), (24, 12, 26.8, 192), (0, 36, 0.0, 576)]
        {
            let model = seven_b(ssm, attention, 128);
            assert!((model.checkpoint_bytes() as f64 / 1e6 - mb).abs() < 0.05, "{ssm} recurrent layers");
            assert_eq!(model.kv_bytes_per_token(), kib * 1024, "{attention} attention layers");
        }
    }

    #[test]
    fn flops_saved_per_byte_grow_with_length_as_published() {
        let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
        for (tokens, published) in [(100, 3.9e4), (1_000, 1.43e5), (4_000, 1.85e5), (16_000, 2.10e5), (32_000, 2.29e5)]
        {
            let bytes = model.checkpoint_bytes() + model.kv_bytes(tokens);
            let ratio = model.prefill_flops(tokens) / bytes as f64;
            assert!((ratio / published - 1.0).abs() < 0.01, "{tokens} tokens: {ratio:.3e}, published {published:.3e}");
        }
    }

    #[test]
    fn the_slip_of_the_artifact_turns_long_histories_worthless() {
        let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
        for (total, edge, intended, artifact) in [
            (1_000, 500, 6.59e12, 8.36e12),
            (8_000, 500, 7.05e12, 9.43e12),
            (16_000, 500, 7.58e12, -4.44e13),
            (30_000, 500, 8.49e12, -2.80e14),
            (30_000, 10_000, 1.64e14, 5.53e13),
        ] {
            let (right, slipped) =
                (model.edge_flops(total - edge, total, false), model.edge_flops(total - edge, total, true));
            assert!((right / intended - 1.0).abs() < 0.005, "{total}, {edge}: {right:.3e}");
            assert!((slipped / artifact - 1.0).abs() < 0.005, "{total}, {edge}: {slipped:.3e}");
        }
    }

    #[test]
    fn a_whole_prefix_is_the_edge_from_nothing() {
        let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-15 * a.abs();
        assert!(close(model.edge_flops(0, 5_000, false), model.prefill_flops(5_000)));
        assert!(close(model.edge_flops(0, 5_000, true), model.prefill_flops(5_000)), "nothing above to slip on");
    }
}
