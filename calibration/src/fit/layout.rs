//! Which features corrections depend on, and the knots along them.
//!
//! Found on the tables of H100, H200, A100, L40S and B200: few enough that profiles stay small, and enough that the 95th
//! percentile of errors comes below 20 %. Two knots side by side let a kernel change its mind between two row counts.

use profiles::fitted::{Axis, Feature};

/// An axis with knots at these logarithms to base 2.
fn axis(feature: Feature, knots: &[f64]) -> Axis {
    Axis { feature, knots: knots.to_vec() }
}

/// Terms for matrix products.
pub(super) fn gemm() -> Vec<Vec<Axis>> {
    let rows = [1, 16, 17, 64, 65, 128, 129, 256, 257, 512, 1024, 4096, 16384].map(|rows: u32| f64::from(rows).log2());
    let sizes = [8.0, 10.0, 11.0, 12.0, 13.0, 14.0, 16.0];
    let waves = [-2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0];
    let fill = [0.0, 0.15, 0.3, 0.5, 1.0];
    vec![
        vec![axis(Feature::Rows, &rows), axis(Feature::Columns, &sizes), axis(Feature::Depth, &sizes)],
        vec![axis(Feature::Waves, &waves), axis(Feature::WaveFill, &fill), axis(Feature::Depth, &[8.0, 12.0, 16.0])],
        vec![axis(Feature::WideWaves, &waves), axis(Feature::WideWaveFill, &fill)],
    ]
}

/// Terms for prefill attention.
pub(super) fn prefill_attention() -> Vec<Vec<Axis>> {
    let tokens = |knots: &[f64]| axis(Feature::PromptTokens, knots);
    let blocks = |knots: &[f64]| axis(Feature::Blocks, knots);
    let coarse_blocks = [-7.0, -2.0, 0.0, 2.0, 6.0];
    vec![
        vec![tokens(&[4.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0]), blocks(&[-7.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0])],
        vec![axis(Feature::HeadDim, &[6.0, 7.0, 8.0]), tokens(&[4.0, 7.0, 9.0, 12.0]), blocks(&coarse_blocks)],
        vec![axis(Feature::Group, &[0.0, 1.0, 2.5, 5.0]), tokens(&[4.0, 6.0, 7.0, 8.0, 12.0]), blocks(&coarse_blocks)],
        vec![axis(Feature::KvHeads, &[0.0, 3.0, 6.0]), tokens(&[4.0, 7.0, 9.0, 12.0]), blocks(&coarse_blocks)],
    ]
}

/// Terms for decode attention.
pub(super) fn decode_attention() -> Vec<Vec<Axis>> {
    let context = |knots: &[f64]| axis(Feature::Context, knots);
    let heads = |knots: &[f64]| axis(Feature::RequestHeads, knots);
    vec![
        vec![
            context(&[4.0, 7.0, 8.0, 9.0, 11.0, 13.0, 15.0, 17.0]),
            heads(&[0.0, 3.0, 5.0, 6.0, 7.0, 8.0, 10.0, 14.0]),
        ],
        vec![axis(Feature::HeadDim, &[6.0, 7.0, 8.0]), context(&[4.0, 8.0, 12.0, 17.0]), heads(&[0.0, 6.0, 8.0, 11.0])],
        vec![
            axis(Feature::Group, &[0.0, 1.0, 3.0, 6.0]),
            context(&[4.0, 8.0, 12.0, 17.0]),
            heads(&[0.0, 4.0, 6.0, 8.0, 12.0]),
        ],
        vec![
            axis(Feature::KvHeads, &[0.0, 1.0, 3.0]),
            context(&[4.0, 7.0, 9.0, 12.0]),
            heads(&[0.0, 4.0, 6.0, 8.0, 10.0]),
        ],
    ]
}

/// Terms for routed experts.
pub(super) fn experts() -> Vec<Vec<Axis>> {
    let rows = |knots: &[f64]| axis(Feature::RowsPerExpert, knots);
    let per_expert = |knots: &[f64]| axis(Feature::TokensPerExpert, knots);
    let coarse_rows = [0.0, 3.0, 5.0, 7.0, 9.0, 13.0];
    // At one token per expert, Triton's default kernels change their tiles.
    let coarse_per_expert = [-9.0, -4.0, -1.0, 0.0, 0.2, 2.0, 4.0, 7.0, 12.0];
    let fine_per_expert = [-9.0, -6.0, -4.0, -2.0, -1.0, 0.0, 0.2, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0, 12.0];
    vec![
        vec![
            rows(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0]),
            axis(Feature::WeightTime, &[-6.0, -3.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0]),
        ],
        vec![axis(Feature::Width, &[6.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0]), rows(&coarse_rows)],
        vec![axis(Feature::Imbalance, &[0.0, 1.0, 2.0, 4.0, 7.0]), rows(&coarse_rows)],
        vec![axis(Feature::Alignment, &[4.0, 5.0, 6.0, 7.0]), rows(&coarse_rows)],
        vec![axis(Feature::Hidden, &[10.0, 11.0, 12.0, 13.0]), axis(Feature::Tokens, &[0.0, 3.0, 5.0, 7.0, 9.0, 14.0])],
        vec![per_expert(&fine_per_expert), axis(Feature::Experts, &[0.0, 3.0, 5.0, 7.0, 9.0])],
        vec![per_expert(&coarse_per_expert), axis(Feature::Width, &[6.0, 9.0, 11.0, 14.0])],
        vec![per_expert(&coarse_per_expert), axis(Feature::Chosen, &[0.0, 1.0, 3.0, 4.5])],
    ]
}
