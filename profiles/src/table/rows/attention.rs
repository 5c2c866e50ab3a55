//! Attention.

use super::{name, one_or_more, row, zero_or_more};
use crate::parallel::DType;

row! {
    /// Attention of prompt pieces that are all alike, one layer on one GPU.
    PrefillAttentionRow is PrefillAttention,
    requests: u32 = one_or_more, "pieces";
    new_tokens: u32 = one_or_more, "tokens of each piece";
    context_tokens: u32 = zero_or_more, "tokens of each request whose KV is already there";
    query_heads: u32 = one_or_more, "query heads on this GPU";
    kv_heads: u32 = one_or_more, "KV heads on this GPU";
    head_dim: u32 = one_or_more, "elements of a head";
    window: u32 = zero_or_more, "sliding window in tokens; 0: none";
    activations: DType = name, "format of queries and of the products";
    kv_cache: DType = name, "format of the KV cache";
}

row! {
    /// Attention of requests that each generate one token, one layer on one GPU.
    DecodeAttentionRow is DecodeAttention,
    requests: u32 = one_or_more, "requests";
    context_tokens: u64 = one_or_more, "sum over them of the tokens attended to, the new one included";
    longest_context_tokens: u64 = one_or_more, "the largest of them; equal to the mean where all are alike";
    query_heads: u32 = one_or_more, "query heads on this GPU";
    kv_heads: u32 = one_or_more, "KV heads on this GPU";
    head_dim: u32 = one_or_more, "elements of a head";
    window: u32 = zero_or_more, "sliding window in tokens; 0: none";
    activations: DType = name, "format of queries and of the products";
    kv_cache: DType = name, "format of the KV cache";
}

row! {
    /// Attention of prompt pieces and generating requests in one step, one layer on one GPU, in as many launches as the
    /// engine takes.
    MixedAttentionRow is MixedAttention,
    prefill_requests: u32 = one_or_more, "prompt pieces, all alike";
    new_tokens: u32 = one_or_more, "tokens of each piece";
    prefill_context_tokens: u32 = zero_or_more, "tokens of each of these requests whose KV is already there";
    decode_requests: u32 = one_or_more, "generating requests";
    decode_context_tokens: u64 = one_or_more, "sum over them of the tokens attended to, the new one included";
    longest_context_tokens: u64 = one_or_more, "the largest of them; equal to the mean where all are alike";
    query_heads: u32 = one_or_more, "query heads on this GPU";
    kv_heads: u32 = one_or_more, "KV heads on this GPU";
    head_dim: u32 = one_or_more, "elements of a head";
    window: u32 = zero_or_more, "sliding window in tokens; 0: none";
    activations: DType = name, "format of queries and of the products";
    kv_cache: DType = name, "format of the KV cache";
}
