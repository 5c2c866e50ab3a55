// Causal attention of new tokens over a paged KV pool, FlashAttention-2 style (Dao 2023): a block takes 128 query rows of
// one head, eight warps of 16 rows, and walks the keys in tiles of 64 with an online softmax; mma.sync, bf16 in, float
// accumulators. `tiles` is a list of (request, first query row), longest first, made by the host.
//
// query and out: [token][query_head][HEAD]; pools: [page][place][kv_head][HEAD]; pages: [request][max_pages];
// request r has query_length[r] rows from token query_start[r] on, after cached[r] tokens whose KV is in the pool, as
// the new tokens' own already is.

#define ROWS 128
#define KEYS 64

struct Pages {
    const int *table;
    int page_size, kv_heads, kv_head;
};

template <int HEAD> DEVICE long long pooled_row(const Pages &pages, int key) {
    long long slot = (long long)pages.table[key / pages.page_size] * pages.page_size + key % pages.page_size;
    return (slot * pages.kv_heads + pages.kv_head) * HEAD;
}

template <int HEAD>
DEVICE void load_keys(unsigned char *keys, unsigned char *values, const bf16 *key_pool, const bf16 *value_pool,
                      const Pages &pages, int first, int end) {
    for (int i = threadIdx.x; i < KEYS * (HEAD / 8); i += blockDim.x) {
        int row = i / (HEAD / 8), chunk = i % (HEAD / 8);
        bool valid = first + row < end;
        long long from = pooled_row<HEAD>(pages, valid ? first + row : 0) + chunk * 8;
        copy_async(chunk_address<HEAD>(keys, row, chunk), key_pool + from, valid);
        copy_async(chunk_address<HEAD>(values, row, chunk), value_pool + from, valid);
    }
}

template <int HEAD>
DEVICE void prefill(const bf16 *query, const bf16 *key_pool, const bf16 *value_pool, bf16 *out, const int *page_table,
                    const int *tiles, const int *query_start, const int *query_length, const int *cached, int query_heads,
                    int kv_heads, int page_size, int max_pages, float scale_log2) {
    DYNAMIC_SHARED(shared); // two stages of keys and values; the second first holds the queries
    const int stage_bytes = 2 * KEYS * HEAD * 2;
    int request = tiles[2 * blockIdx.x], first_row = tiles[2 * blockIdx.x + 1], head = blockIdx.y;
    int rows = query_length[request], before = cached[request];
    long long first_token = query_start[request];
    Pages pages = {page_table + (long long)request * max_pages, page_size, kv_heads, head / (query_heads / kv_heads)};
    int lane = threadIdx.x % 32, warp_row = (threadIdx.x / 32) * 16;
    int last_row = first_row + ROWS < rows ? first_row + ROWS : rows;
    int end = before + last_row; // keys that any row of this block sees
    int key_tiles = (end + KEYS - 1) / KEYS;

    unsigned char *queries = shared + stage_bytes;
    for (int i = threadIdx.x; i < ROWS * (HEAD / 8); i += blockDim.x) {
        int row = i / (HEAD / 8), chunk = i % (HEAD / 8);
        bool valid = first_row + row < rows;
        long long token = first_token + (valid ? first_row + row : 0);
        copy_async(chunk_address<HEAD>(queries, row, chunk), query + (token * query_heads + head) * HEAD + chunk * 8, valid);
    }
    commit_copies();
    load_keys<HEAD>(shared, shared + stage_bytes / 2, key_pool, value_pool, pages, 0, end);
    commit_copies();
    await_copies<1>();
    __syncthreads();
    unsigned q[HEAD / 16][4];
#pragma unroll
    for (int depth = 0; depth < HEAD / 16; depth++) load_a<HEAD>(q[depth], queries, warp_row, depth * 16);
    __syncthreads();

    float o[HEAD / 8][4], largest[2] = {-INFINITY_F, -INFINITY_F}, total[2] = {0.0f, 0.0f};
#pragma unroll
    for (int i = 0; i < HEAD / 8; i++)
        for (int j = 0; j < 4; j++) o[i][j] = 0.0f;

    for (int tile = 0; tile < key_tiles; tile++) {
        unsigned char *keys = shared + (tile % 2) * stage_bytes, *values = keys + stage_bytes / 2;
        if (tile + 1 < key_tiles) {
            unsigned char *next = shared + ((tile + 1) % 2) * stage_bytes;
            load_keys<HEAD>(next, next + stage_bytes / 2, key_pool, value_pool, pages, (tile + 1) * KEYS, end);
            commit_copies();
            await_copies<1>();
        } else {
            await_copies<0>();
        }
        __syncthreads();

        float s[KEYS / 8][4];
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++)
            for (int j = 0; j < 4; j++) s[i][j] = 0.0f;
#pragma unroll
        for (int depth = 0; depth < HEAD / 16; depth++) {
#pragma unroll
            for (int i = 0; i < KEYS / 16; i++) {
                unsigned b[4];
                load_b<HEAD>(b, keys, i * 16, depth * 16);
                mma_16x8x16(s[2 * i], q[depth], b[0], b[1]);
                mma_16x8x16(s[2 * i + 1], q[depth], b[2], b[3]);
            }
        }
        // A lane holds rows lane / 4 and lane / 4 + 8; row r sees keys up to before + r.
        int sees = before + first_row + warp_row + lane / 4;
        if ((tile + 1) * KEYS > before + first_row + warp_row + 1) {
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
                for (int j = 0; j < 4; j++) {
                    int key = tile * KEYS + i * 8 + (lane % 4) * 2 + j % 2;
                    if (key > sees + (j / 2) * 8) s[i][j] = -INFINITY_F;
                }
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = largest[half];
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++) most = fmaxf(most, fmaxf(s[i][2 * half], s[i][2 * half + 1]));
            most = fmaxf(most, __shfl_xor_sync(WARP_ALL, most, 1));
            most = fmaxf(most, __shfl_xor_sync(WARP_ALL, most, 2));
            float shrink = exp2_fast((largest[half] - most) * scale_log2), sum = 0.0f, offset = most * scale_log2;
            largest[half] = most;
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
                for (int j = 2 * half; j < 2 * half + 2; j++) {
                    s[i][j] = exp2_fast(s[i][j] * scale_log2 - offset);
                    sum += s[i][j];
                }
            total[half] = total[half] * shrink + sum;
#pragma unroll
            for (int i = 0; i < HEAD / 8; i++) o[i][2 * half] *= shrink, o[i][2 * half + 1] *= shrink;
        }
#pragma unroll
        for (int depth = 0; depth < KEYS / 16; depth++) {
            float(&left)[4] = s[2 * depth], (&right)[4] = s[2 * depth + 1];
            unsigned p[4] = {pack_bf16(left[0], left[1]), pack_bf16(left[2], left[3]), pack_bf16(right[0], right[1]),
                             pack_bf16(right[2], right[3])};
#pragma unroll
            for (int i = 0; i < HEAD / 16; i++) {
                unsigned b[4];
                load_b_as_stored<HEAD>(b, values, depth * 16, i * 16);
                mma_16x8x16(o[2 * i], p, b[0], b[1]);
                mma_16x8x16(o[2 * i + 1], p, b[2], b[3]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        total[half] += __shfl_xor_sync(WARP_ALL, total[half], 1);
        total[half] += __shfl_xor_sync(WARP_ALL, total[half], 2);
        int row = first_row + warp_row + lane / 4 + half * 8;
        if (row < rows) {
            bf16 *to = out + ((first_token + row) * query_heads + head) * HEAD + (lane % 4) * 2;
            float inverse = 1.0f / total[half];
#pragma unroll
            for (int i = 0; i < HEAD / 8; i++)
                *(unsigned *)(to + i * 8) = pack_bf16(o[i][2 * half] * inverse, o[i][2 * half + 1] * inverse);
        }
    }
}

#define PREFILL(name, head)                                                                                            \
    KERNEL __launch_bounds__(256) name(const bf16 *query, const bf16 *key_pool, const bf16 *value_pool, bf16 *out,       \
                                       const int *page_table, const int *tiles, const int *query_start,                \
                                       const int *query_length, const int *cached, int query_heads, int kv_heads,      \
                                       int page_size, int max_pages, float scale_log2) {                               \
        prefill<head>(query, key_pool, value_pool, out, page_table, tiles, query_start, query_length, cached,          \
                      query_heads, kv_heads, page_size, max_pages, scale_log2);                                        \
    }

PREFILL(attention_prefill_64, 64)
PREFILL(attention_prefill_128, 128)
