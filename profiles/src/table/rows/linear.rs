//! Products by weights.

use super::{Scaling, name, one_or_more, optional_count, row, text};
use crate::parallel::DType;

row! {
    /// A matrix product `y[m, n] = x[m, k] · w[k, n]` as one GPU executes it.
    GemmRow is Gemm,
    m: u32 = one_or_more, "rows of activations";
    n: u32 = one_or_more, "columns of weights";
    k: u32 = one_or_more, "length of the inner products";
    weights: DType = name, "format of the weights";
    activations: DType = name, "format of the activations";
    scaling: Scaling = name, "how narrow operands are scaled: none, tensor or block";
}

row! {
    /// The gated routed experts of one layer as one GPU executes them, without communication: both grouped products, the
    /// activation between them, and the sorting of rows where the engine's kernel includes it.
    ExpertsRow is Experts,
    tokens: u32 = one_or_more, "rows of activations, before they are copied for each of their experts";
    hidden_size: u32 = one_or_more, "width of the residual stream";
    intermediate_size: u32 = one_or_more, "width of one expert on this GPU";
    top_k: u32 = one_or_more, "experts that each row chooses, of all";
    experts: u32 = one_or_more, "experts of the layer, on all GPUs";
    local_experts: u32 = one_or_more, "experts on this GPU";
    routing: String = text, "how rows choose: `balanced`, `uniform`, `power_law_S`, `zipf_S`, or `touched` where only the number touched is known";
    touched_experts: Option<u32> = optional_count, "experts on this GPU that at least one row chose; empty: not recorded";
    weights: DType = name, "format of the weights";
    activations: DType = name, "format of the activations";
    scaling: Scaling = name, "how narrow operands are scaled: none, tensor or block";
}
