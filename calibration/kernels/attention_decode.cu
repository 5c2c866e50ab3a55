// Attention of one new token per request over its paged context, split over the context as in Flash-Decoding (Dao et al.
// 2023) and with the query heads that share a KV head taken together. The host makes a list of work items (request, first
// key, end key, partial slot) of about equal length, so that ragged contexts fill the GPU; a slot of -1 says that the item
// is the whole of its request and writes the result itself.
//
// query and out: [request][query_head][HEAD]; pools: [page][place][kv_head][HEAD]; pages: [request][max_pages];
// partial_sums: [slot][query_head][HEAD]; partial_scales: [slot][query_head][2] (largest score in base 2, sum).

#define WARPS 4
#define STAGES 3
#define KEYS 16 // per warp and stage
#define GROUP 16 // most query heads per KV head

template <int HEAD>
DEVICE void load_own_keys(unsigned char *keys, unsigned char *values, const bf16 *key_pool, const bf16 *value_pool,
                          const int *table, int page_size, int kv_heads, int kv_head, int first, int end) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = lane; i < KEYS * (HEAD / 8); i += 32) {
        int row = i / (HEAD / 8), chunk = i % (HEAD / 8), key = first + row;
        bool valid = key < end;
        key = valid ? key : first;
        long long slot = (long long)table[key / page_size] * page_size + key % page_size;
        long long from = (slot * kv_heads + kv_head) * HEAD + chunk * 8;
        copy_async(chunk_address<HEAD>(keys, row, chunk), key_pool + from, valid);
        copy_async(chunk_address<HEAD>(values, row, chunk), value_pool + from, valid);
    }
}

template <int HEAD>
DEVICE void decode(const bf16 *query, const bf16 *key_pool, const bf16 *value_pool, bf16 *out, float *partial_sums,
                   float *partial_scales, const int *page_table, const int *work, int query_heads, int kv_heads,
                   int page_size, int max_pages, float scale_log2) {
    DYNAMIC_SHARED(shared);
    const int stage_bytes = 2 * KEYS * HEAD * 2;
    const int *item = work + 4 * blockIdx.x;
    int request = item[0], begin = item[1], end = item[2], slot = item[3], kv_head = blockIdx.y;
    int group = query_heads / kv_heads, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int *table = page_table + (long long)request * max_pages;
    unsigned char *own = shared + warp * STAGES * stage_bytes;
    int tiles = (end - begin + KEYS - 1) / KEYS;
    int own_tiles = tiles > warp ? (tiles - warp + WARPS - 1) / WARPS : 0; // tiles warp, warp + WARPS, ...

    unsigned q[HEAD / 16][4];
    const bf16 *queries = query + ((long long)request * query_heads + kv_head * group) * HEAD;
#pragma unroll
    for (int depth = 0; depth < HEAD / 16; depth++)
        for (int i = 0; i < 4; i++) {
            int row = lane / 4 + (i % 2) * 8, column = depth * 16 + (lane % 4) * 2 + (i / 2) * 8;
            q[depth][i] = row < group ? *(const unsigned *)(queries + row * HEAD + column) : 0u;
        }

    float o[HEAD / 8][4], largest[2] = {-INFINITY_F, -INFINITY_F}, total[2] = {0.0f, 0.0f};
#pragma unroll
    for (int i = 0; i < HEAD / 8; i++)
        for (int j = 0; j < 4; j++) o[i][j] = 0.0f;

#pragma unroll
    for (int ahead = 0; ahead < STAGES - 1; ahead++) {
        if (ahead < own_tiles) {
            unsigned char *stage = own + ahead * stage_bytes;
            load_own_keys<HEAD>(stage, stage + stage_bytes / 2, key_pool, value_pool, table, page_size, kv_heads, kv_head,
                                begin + (ahead * WARPS + warp) * KEYS, end);
        }
        commit_copies();
    }
    for (int tile = 0; tile < own_tiles; tile++) {
        int next = tile + STAGES - 1;
        if (next < own_tiles) {
            unsigned char *stage = own + (next % STAGES) * stage_bytes;
            load_own_keys<HEAD>(stage, stage + stage_bytes / 2, key_pool, value_pool, table, page_size, kv_heads, kv_head,
                                begin + (next * WARPS + warp) * KEYS, end);
        }
        commit_copies();
        await_copies<STAGES - 1>();
        __syncwarp();
        unsigned char *keys = own + (tile % STAGES) * stage_bytes, *values = keys + stage_bytes / 2;
        int first = begin + (tile * WARPS + warp) * KEYS;

        float s[2][4] = {{0.0f, 0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f, 0.0f}};
#pragma unroll
        for (int depth = 0; depth < HEAD / 16; depth++) {
            unsigned b[4];
            load_b<HEAD>(b, keys, 0, depth * 16);
            mma_16x8x16(s[0], q[depth], b[0], b[1]);
            mma_16x8x16(s[1], q[depth], b[2], b[3]);
        }
        if (first + KEYS > end) {
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 4; j++)
                    if (first + i * 8 + (lane % 4) * 2 + j % 2 >= end) s[i][j] = -INFINITY_F;
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = fmaxf(fmaxf(s[0][2 * half], s[0][2 * half + 1]), fmaxf(s[1][2 * half], s[1][2 * half + 1]));
            most = fmaxf(most, __shfl_xor_sync(WARP_ALL, most, 1));
            most = fmaxf(most, __shfl_xor_sync(WARP_ALL, most, 2));
            most = fmaxf(most, largest[half]);
            float shrink = exp2_fast((largest[half] - most) * scale_log2), offset = most * scale_log2, sum = 0.0f;
            largest[half] = most;
            for (int i = 0; i < 2; i++)
                for (int j = 2 * half; j < 2 * half + 2; j++) {
                    s[i][j] = exp2_fast(s[i][j] * scale_log2 - offset);
                    sum += s[i][j];
                }
            total[half] = total[half] * shrink + sum;
#pragma unroll
            for (int i = 0; i < HEAD / 8; i++) o[i][2 * half] *= shrink, o[i][2 * half + 1] *= shrink;
        }
        unsigned p[4] = {pack_bf16(s[0][0], s[0][1]), pack_bf16(s[0][2], s[0][3]), pack_bf16(s[1][0], s[1][1]),
                         pack_bf16(s[1][2], s[1][3])};
#pragma unroll
        for (int i = 0; i < HEAD / 16; i++) {
            unsigned b[4];
            load_b_as_stored<HEAD>(b, values, 0, i * 16);
            mma_16x8x16(o[2 * i], p, b[0], b[1]);
            mma_16x8x16(o[2 * i + 1], p, b[2], b[3]);
        }
        __syncwarp();
    }
    await_copies<0>();
    __syncthreads();

    // Merge the warps: each leaves its scores' scale and sums in shared memory, scaled to no common largest score yet.
    float *sums = (float *)shared, *scales = sums + WARPS * GROUP * HEAD; // [warp][row][HEAD], [warp][row][2]
#pragma unroll
    for (int half = 0; half < 2; half++) {
        total[half] += __shfl_xor_sync(WARP_ALL, total[half], 1);
        total[half] += __shfl_xor_sync(WARP_ALL, total[half], 2);
        int row = warp * GROUP + lane / 4 + half * 8;
        if (lane % 4 == 0) scales[2 * row] = largest[half] * scale_log2, scales[2 * row + 1] = total[half];
#pragma unroll
        for (int i = 0; i < HEAD / 8; i++)
            for (int j = 0; j < 2; j++) sums[row * HEAD + i * 8 + (lane % 4) * 2 + j] = o[i][2 * half + j];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < group * HEAD; i += blockDim.x) {
        int row = i / HEAD, column = i % HEAD;
        float most = -INFINITY_F, value = 0.0f, sum = 0.0f;
        for (int w = 0; w < WARPS; w++) most = fmaxf(most, scales[2 * (w * GROUP + row)]);
        for (int w = 0; w < WARPS; w++) {
            int at = w * GROUP + row;
            float weight = exp2_fast(scales[2 * at] - most);
            value += weight * sums[at * HEAD + column];
            sum += weight * scales[2 * at + 1];
        }
        int head = kv_head * group + row;
        if (slot < 0) {
            out[((long long)request * query_heads + head) * HEAD + column] = to_bf16(value / sum);
        } else {
            long long at = (long long)slot * query_heads + head;
            partial_sums[at * HEAD + column] = value;
            if (column == 0) partial_scales[2 * at] = most, partial_scales[2 * at + 1] = sum;
        }
    }
}

#define DECODE(name, head)                                                                                             \
    KERNEL __launch_bounds__(128, 2) name(const bf16 *query, const bf16 *key_pool, const bf16 *value_pool, bf16 *out,    \
                                       float *partial_sums, float *partial_scales, const int *page_table,              \
                                       const int *work, int query_heads, int kv_heads, int page_size, int max_pages,   \
                                       float scale_log2) {                                                             \
        decode<head>(query, key_pool, value_pool, out, partial_sums, partial_scales, page_table, work, query_heads,    \
                     kv_heads, page_size, max_pages, scale_log2);                                                      \
    }

DECODE(attention_decode_64, 64)
DECODE(attention_decode_128, 128)

// Joins the partial results of requests that were split: `splits` is a list of (request, first slot, slots), one block per
// entry and query head, head_dim threads.
KERNEL attention_combine(const float *partial_sums, const float *partial_scales, bf16 *out, const int *splits,
                         int query_heads) {
    const int *entry = splits + 3 * blockIdx.x;
    int request = entry[0], first = entry[1], slots = entry[2], head = blockIdx.y, head_dim = blockDim.x;
    float most = -INFINITY_F, value = 0.0f, sum = 0.0f;
    for (int i = 0; i < slots; i++) most = fmaxf(most, partial_scales[2 * ((first + i) * query_heads + head)]);
    for (int i = 0; i < slots; i++) {
        long long at = (long long)(first + i) * query_heads + head;
        float weight = exp2_fast(partial_scales[2 * at] - most);
        value += weight * partial_sums[at * head_dim + threadIdx.x];
        sum += weight * partial_scales[2 * at + 1];
    }
    out[((long long)request * query_heads + head) * head_dim + threadIdx.x] = to_bf16(value / sum);
}
