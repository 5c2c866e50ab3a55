// Mixture of experts: router, sorting of (token, choice) pairs by expert, grouped matrix product, and combination.

#define MOST_EXPERTS 512

// Softmax over `experts` logits and the `top_k` largest of it, renormalised to sum 1; one warp per token. Ties go to the
// lower expert. Writes `chosen` and `weights`, both [token][top_k].
KERNEL route_top_k(const bf16 *logits, int *chosen, float *weights, int tokens, int experts, int top_k) {
    int token = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (token >= tokens) return;
    float own[MOST_EXPERTS / 32];
#pragma unroll
    for (int i = 0; i < MOST_EXPERTS / 32; i++) {
        int expert = i * 32 + lane;
        own[i] = expert < experts ? from_bf16(logits[(long long)token * experts + expert]) : -INFINITY_F;
    }
    float first = 0.0f, sum = 0.0f, kept = 0.0f;
    int kept_expert = 0;
    for (int k = 0; k < top_k; k++) {
        float best = -INFINITY_F;
        int index = 0x7fffffff;
#pragma unroll
        for (int i = 0; i < MOST_EXPERTS / 32; i++)
            if (own[i] > best) best = own[i], index = i * 32 + lane;
        for (int distance = 16; distance > 0; distance /= 2) {
            float other = __shfl_xor_sync(WARP_ALL, best, distance);
            int at = __shfl_xor_sync(WARP_ALL, index, distance);
            if (other > best || (other == best && at < index)) best = other, index = at;
        }
        if (k == 0) first = best;
        float weight = __expf(best - first); // the softmax's own denominator cancels in renormalising
        sum += weight;
        if (lane == k) kept = weight, kept_expert = index;
#pragma unroll
        for (int i = 0; i < MOST_EXPERTS / 32; i++)
            if (i * 32 + lane == index) own[i] = -INFINITY_F;
    }
    if (lane < top_k) {
        chosen[(long long)token * top_k + lane] = kept_expert;
        weights[(long long)token * top_k + lane] = kept / sum;
    }
}

// Inclusive scan over the first `count` of `values`, in place, by a whole block.
DEVICE void scan(int *values, int count) {
    for (int distance = 1; distance < count; distance *= 2) {
        int add = 0;
        if (threadIdx.x < count && threadIdx.x >= distance) add = values[threadIdx.x - distance];
        __syncthreads();
        if (threadIdx.x < count) values[threadIdx.x] += add;
        __syncthreads();
    }
}

// Sorts `pairs` choices by expert, one block of at least `experts` threads. Writes expert_start[experts + 1], the pair at
// each sorted row, the sorted row of each pair, and tiles of `tile_rows` rows that hold one expert each: (expert, first
// sorted row), and their number. The order within an expert is not fixed; no result depends on it.
KERNEL sort_by_expert(const int *chosen, int *expert_start, int *pair_of_row, int *row_of_pair, int *tiles, int *tile_count,
                      int pairs, int experts, int tile_rows) {
    __shared__ int counts[MOST_EXPERTS], ends[MOST_EXPERTS], tile_ends[MOST_EXPERTS];
    int expert = threadIdx.x;
    if (expert < experts) counts[expert] = 0;
    __syncthreads();
    for (int pair = threadIdx.x; pair < pairs; pair += blockDim.x) atomicAdd(&counts[chosen[pair]], 1);
    __syncthreads();
    int own = expert < experts ? counts[expert] : 0, own_tiles = (own + tile_rows - 1) / tile_rows;
    if (expert < experts) ends[expert] = own, tile_ends[expert] = own_tiles;
    __syncthreads();
    scan(ends, experts);
    scan(tile_ends, experts);
    if (expert < experts) {
        int start = ends[expert] - own, first_tile = tile_ends[expert] - own_tiles;
        expert_start[expert] = start;
        counts[expert] = start;
        for (int i = 0; i < own_tiles; i++) {
            tiles[2 * (first_tile + i)] = expert;
            tiles[2 * (first_tile + i) + 1] = start + i * tile_rows;
        }
        if (expert == experts - 1) expert_start[experts] = ends[expert], *tile_count = tile_ends[expert];
    }
    __syncthreads();
    for (int pair = threadIdx.x; pair < pairs; pair += blockDim.x) {
        int row = atomicAdd(&counts[chosen[pair]], 1);
        pair_of_row[row] = pair;
        row_of_pair[pair] = row;
    }
}

// out[sorted row][n] = input[source row][k] * weights[expert][n][k]; the source row is pair_of_row / top_k where top_k is
// not 0, else the sorted row itself. A block makes ROWS x COLUMNS of one tile, depth in steps of 64, copies in the
// background; k is a multiple of 8, n even. Blocks beyond *tile_count have nothing to do.
template <int ROWS, int COLUMNS, int WARPS_DOWN, int WARPS_ACROSS, int STAGES>
DEVICE void grouped_product(const bf16 *input, const bf16 *weights, bf16 *out, const int *expert_start, const int *pair_of_row,
                            const int *tiles, const int *tile_count, int n, int k, int top_k) {
    DYNAMIC_SHARED(shared);
    const int depth_step = 64, chunks = depth_step / 8, threads = 32 * WARPS_DOWN * WARPS_ACROSS;
    const int input_bytes = ROWS * depth_step * 2, stage_bytes = input_bytes + COLUMNS * depth_step * 2;
    const int down = ROWS / WARPS_DOWN / 16, across = COLUMNS / WARPS_ACROSS / 16;
    if (blockIdx.y >= *tile_count) return;
    int expert = tiles[2 * blockIdx.y], first_row = tiles[2 * blockIdx.y + 1], first_column = blockIdx.x * COLUMNS;
    int end_row = expert_start[expert + 1];
    const bf16 *matrix = weights + (long long)expert * n * k;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int warp_row = (warp / WARPS_ACROSS) * down * 16, warp_column = (warp % WARPS_ACROSS) * across * 16;
    int steps = (k + depth_step - 1) / depth_step;

    // The rows that this thread copies are the same in every step.
    const int input_copies = (ROWS * chunks + threads - 1) / threads;
    const bf16 *input_rows[input_copies];
#pragma unroll
    for (int i = 0; i < input_copies; i++) {
        int row = first_row + (i * threads + threadIdx.x) / chunks;
        bool valid = (i * threads + threadIdx.x) / chunks < ROWS && row < end_row;
        long long source = valid ? (top_k > 0 ? pair_of_row[row] / top_k : row) : 0;
        input_rows[i] = valid ? input + source * k : 0;
    }
    auto load = [&](int step) {
        unsigned char *stage = shared + (step % STAGES) * stage_bytes;
#pragma unroll
        for (int i = 0; i < input_copies; i++) {
            int task = i * threads + threadIdx.x, row = task / chunks, chunk = task % chunks;
            int at = step * depth_step + chunk * 8;
            bool valid = input_rows[i] != 0 && at < k;
            if (row < ROWS) copy_async(chunk_address<64>(stage, row, chunk), valid ? input_rows[i] + at : input, valid);
        }
#pragma unroll
        for (int i = 0; i < COLUMNS * chunks / threads; i++) {
            int task = i * threads + threadIdx.x, row = task / chunks, chunk = task % chunks;
            int at = step * depth_step + chunk * 8, column = first_column + row;
            bool valid = column < n && at < k;
            const bf16 *from = valid ? matrix + (long long)column * k + at : matrix;
            copy_async(chunk_address<64>(stage + input_bytes, row, chunk), from, valid);
        }
    };

    float sums[down][2 * across][4];
#pragma unroll
    for (int i = 0; i < down; i++)
        for (int j = 0; j < 2 * across; j++)
            for (int l = 0; l < 4; l++) sums[i][j][l] = 0.0f;
#pragma unroll
    for (int step = 0; step < STAGES - 1; step++) {
        if (step < steps) load(step);
        commit_copies();
    }
    for (int step = 0; step < steps; step++) {
        await_copies<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) load(step + STAGES - 1);
        commit_copies();
        unsigned char *stage = shared + (step % STAGES) * stage_bytes;
#pragma unroll
        for (int depth = 0; depth < depth_step; depth += 16) {
            unsigned a[down][4];
#pragma unroll
            for (int i = 0; i < down; i++) load_a<64>(a[i], stage, warp_row + i * 16, depth);
#pragma unroll
            for (int j = 0; j < across; j++) {
                unsigned b[4];
                load_b<64>(b, stage + input_bytes, warp_column + j * 16, depth);
#pragma unroll
                for (int i = 0; i < down; i++) {
                    mma_16x8x16(sums[i][2 * j], a[i], b[0], b[1]);
                    mma_16x8x16(sums[i][2 * j + 1], a[i], b[2], b[3]);
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < down; i++)
        for (int half = 0; half < 2; half++) {
            int row = first_row + warp_row + i * 16 + lane / 4 + half * 8;
            if (row >= end_row) continue;
            bf16 *to = out + (long long)row * n;
#pragma unroll
            for (int j = 0; j < 2 * across; j++) {
                int column = first_column + warp_column + j * 8 + (lane % 4) * 2;
                if (column < n) *(unsigned *)(to + column) = pack_bf16(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
            }
        }
}

#define GROUPED(name, rows, columns, warps_down, warps_across, stages)                                                 \
    KERNEL __launch_bounds__(32 * warps_down * warps_across)                                                             \
        name(const bf16 *input, const bf16 *weights, bf16 *out, const int *expert_start, const int *pair_of_row,       \
             const int *tiles, const int *tile_count, int n, int k, int top_k) {                                       \
        grouped_product<rows, columns, warps_down, warps_across, stages>(input, weights, out, expert_start, pair_of_row, \
                                                                         tiles, tile_count, n, k, top_k);              \
    }

GROUPED(grouped_gemm_16, 16, 128, 1, 4, 4)
GROUPED(grouped_gemm_64, 64, 128, 2, 4, 3)
GROUPED(grouped_gemm_128, 128, 128, 2, 4, 3)

// out[token] = sum over its choices of weight * input[sorted row], one block per token.
KERNEL combine_experts(const bf16 *input, const float *weights, const int *row_of_pair, bf16 *out, int hidden, int top_k) {
    const int *rows = row_of_pair + (long long)blockIdx.x * top_k;
    for (int at = threadIdx.x * 8; at < hidden; at += blockDim.x * 8) {
        float sum[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        for (int choice = 0; choice < top_k; choice++) {
            float x[8], weight = weights[(long long)blockIdx.x * top_k + choice];
            unpack_8(x, *(const uint4 *)(input + (long long)rows[choice] * hidden + at));
            for (int j = 0; j < 8; j++) sum[j] += weight * x[j];
        }
        *(uint4 *)(out + (long long)blockIdx.x * hidden + at) = pack_8(sum);
    }
}
