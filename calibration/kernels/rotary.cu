// Splits a fused QKV row into heads, rotates queries and keys (Su et al. 2021, halves paired as in GPT-NeoX), and appends
// key and value to the paged pool [slot][kv_head][head_dim]. One block per token; each thread takes 8 pairs at a time.
// `angles` holds cos and sin, [position][2][head_dim / 2], float.
KERNEL rotate_and_append(const bf16 *qkv, const float *angles, const int *positions, const int *slots, bf16 *query,
                         bf16 *key_pool, bf16 *value_pool, int query_heads, int kv_heads, int head_dim) {
    int token = blockIdx.x, half = head_dim / 2, groups = half / 8;
    const bf16 *row = qkv + (long long)token * (query_heads + 2 * kv_heads) * head_dim;
    const float *cosine = angles + (long long)positions[token] * head_dim, *sine = cosine + half;
    long long pooled = (long long)slots[token] * kv_heads * head_dim;
    int rotated = (query_heads + kv_heads) * groups;
    for (int task = threadIdx.x; task < rotated; task += blockDim.x) {
        int head = task / groups, at = (task % groups) * 8;
        const bf16 *from = row + head * head_dim + at;
        bf16 *to = head < query_heads ? query + ((long long)token * query_heads + head) * head_dim + at
                                      : key_pool + pooled + (head - query_heads) * head_dim + at;
        float x[8], y[8], first[8], second[8];
        unpack_8(x, *(const uint4 *)from);
        unpack_8(y, *(const uint4 *)(from + half));
        for (int j = 0; j < 8; j++) {
            float c = cosine[at + j], s = sine[at + j];
            first[j] = x[j] * c - y[j] * s;
            second[j] = y[j] * c + x[j] * s;
        }
        *(uint4 *)to = pack_8(first);
        *(uint4 *)(to + half) = pack_8(second);
    }
    const bf16 *value = row + (query_heads + kv_heads) * head_dim;
    for (int at = threadIdx.x * 8; at < kv_heads * head_dim; at += blockDim.x * 8)
        *(uint4 *)(value_pool + pooled + at) = *(const uint4 *)(value + at);
}
