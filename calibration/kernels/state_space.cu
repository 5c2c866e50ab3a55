// The Mamba-2 mixer (Dao and Gu 2024, state-space duality): h_t = exp(dt_t A) h_(t-1) + dt_t x_t B_t', y_t = h_t C_t + D x_t,
// with dt = softplus(dt_raw + dt_bias). The state is float, [slot][head][64][STATE]; x is [token][head][64], B and C are
// [token][group][STATE], dt_raw is [token][head], all bfloat16; A, D, dt_bias are float per head.

#define WIDTH 64 // channels of a head
#define CHUNK 64 // tokens a scan takes at once

DEVICE float softplus(float x) { return x > 20.0f ? x : log1pf(__expf(x)); }

// One token per sequence, one block of 256 threads per (head, sequence): eight rows of the state at a time, one per warp.
template <int STATE>
DEVICE void update(float *states, const int *slots, const bf16 *x, const bf16 *b, const bf16 *c, const bf16 *dt_raw,
                   const float *a, const float *d, const float *dt_bias, bf16 *out, int heads, int groups) {
    int head = blockIdx.x, sequence = blockIdx.y, lane = threadIdx.x % 32, group = head / (heads / groups);
    long long at = (long long)sequence * heads + head;
    float dt = softplus(from_bf16(dt_raw[at]) + dt_bias[head]), decay = __expf(dt * a[head]);
    const int per_lane = STATE / 32;
    const bf16 *b_row = b + ((long long)sequence * groups + group) * STATE + lane * per_lane;
    const bf16 *c_row = c + ((long long)sequence * groups + group) * STATE + lane * per_lane;
    float *state = states + ((long long)slots[sequence] * heads + head) * WIDTH * STATE + lane * per_lane;
#pragma unroll 4
    for (int row = threadIdx.x / 32; row < WIDTH; row += blockDim.x / 32) {
        float input = from_bf16(x[at * WIDTH + row]), sum = 0.0f;
#pragma unroll
        for (int i = 0; i < per_lane; i += 2) {
            float2 h = *(float2 *)(state + row * STATE + i);
            h.x = h.x * decay + dt * input * from_bf16(b_row[i]);
            h.y = h.y * decay + dt * input * from_bf16(b_row[i + 1]);
            *(float2 *)(state + row * STATE + i) = h;
            sum += h.x * from_bf16(c_row[i]) + h.y * from_bf16(c_row[i + 1]);
        }
        sum = warp_sum(sum);
        if (lane == 0) out[at * WIDTH + row] = to_bf16(sum + d[head] * input);
    }
}

// Whole prompts, one block of four warps per (head, sequence) walking its chunks: within a chunk
// y = (C B' o decays) dt x, between chunks the state, both by mma.sync with the state rounded to bfloat16 where it is an
// operand (as the Triton kernels of the paper's authors do) and kept in float registers where it accumulates.
template <int STATE>
DEVICE void chunk_scan(float *states, const int *slots, const int *starts, const int *from_zero, const bf16 *x, const bf16 *b,
                       const bf16 *c, const bf16 *dt_raw, const float *a, const float *d, const float *dt_bias, bf16 *out,
                       int heads, int groups) {
    DYNAMIC_SHARED(shared);
    unsigned char *inputs = shared, *weighted = inputs + CHUNK * WIDTH * 2, *keys = weighted + CHUNK * WIDTH * 2;
    unsigned char *queries = keys + CHUNK * STATE * 2, *carried = queries + CHUNK * STATE * 2; // carried: [WIDTH][STATE]
    float *steps = (float *)(carried + WIDTH * STATE * 2), *decays = steps + CHUNK; // dt, and cumulated dt * A
    int head = blockIdx.x, sequence = blockIdx.y, group = head / (heads / groups);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warp_row = warp * 16;
    int start = starts[sequence], end = starts[sequence + 1];
    float *state = states + ((long long)slots[sequence] * heads + head) * WIDTH * STATE;

    float h[STATE / 8][4]; // rows (channels) warp_row + lane / 4 and + 8
#pragma unroll
    for (int i = 0; i < STATE / 8; i++)
        for (int j = 0; j < 4; j++) {
            int row = warp_row + lane / 4 + (j / 2) * 8, column = i * 8 + (lane % 4) * 2 + j % 2;
            h[i][j] = from_zero[sequence] ? 0.0f : state[row * STATE + column];
        }

    for (int first = start; first < end; first += CHUNK) {
        for (int i = threadIdx.x; i < CHUNK * (WIDTH / 8); i += blockDim.x) {
            int row = i / (WIDTH / 8), chunk = i % (WIDTH / 8);
            bool valid = first + row < end;
            long long token = valid ? first + row : start;
            copy_async(chunk_address<WIDTH>(inputs, row, chunk), x + (token * heads + head) * WIDTH + chunk * 8, valid);
        }
        for (int i = threadIdx.x; i < CHUNK * (STATE / 8); i += blockDim.x) {
            int row = i / (STATE / 8), chunk = i % (STATE / 8);
            bool valid = first + row < end;
            long long from = ((long long)(valid ? first + row : start) * groups + group) * STATE + chunk * 8;
            copy_async(chunk_address<STATE>(keys, row, chunk), b + from, valid);
            copy_async(chunk_address<STATE>(queries, row, chunk), c + from, valid);
        }
        commit_copies();
        // The carried state as an operand.
#pragma unroll
        for (int i = 0; i < STATE / 8; i++)
            for (int half = 0; half < 2; half++) {
                unsigned char *to = chunk_address<STATE>(carried, warp_row + lane / 4 + half * 8, i) + (lane % 4) * 4;
                *(unsigned *)to = pack_bf16(h[i][2 * half], h[i][2 * half + 1]);
            }
        if (warp == 0) {
            float dt[2];
            for (int i = 0; i < 2; i++) {
                int token = first + 2 * lane + i;
                dt[i] = token < end ? softplus(from_bf16(dt_raw[(long long)token * heads + head]) + dt_bias[head]) : 0.0f;
                steps[2 * lane + i] = dt[i];
            }
            float sum = (dt[0] + dt[1]) * a[head];
            for (int distance = 1; distance < 32; distance *= 2) {
                float other = __shfl_up_sync(WARP_ALL, sum, distance);
                if (lane >= distance) sum += other;
            }
            decays[2 * lane + 1] = sum;
            decays[2 * lane] = sum - dt[1] * a[head];
        }
        await_copies<0>();
        __syncthreads();

        float last = decays[CHUNK - 1];
        for (int i = threadIdx.x; i < CHUNK * (WIDTH / 8); i += blockDim.x) {
            int row = i / (WIDTH / 8), chunk = i % (WIDTH / 8);
            float values[8], weight = steps[row] * __expf(last - decays[row]);
            unpack_8(values, *(uint4 *)chunk_address<WIDTH>(inputs, row, chunk));
            for (int j = 0; j < 8; j++) values[j] *= weight;
            *(uint4 *)chunk_address<WIDTH>(weighted, row, chunk) = pack_8(values);
        }

        // Scores of this warp's 16 tokens with all of the chunk, and what the carried state gives them.
        float scores[CHUNK / 8][4], y[WIDTH / 8][4];
#pragma unroll
        for (int i = 0; i < CHUNK / 8; i++)
            for (int j = 0; j < 4; j++) scores[i][j] = 0.0f;
#pragma unroll
        for (int i = 0; i < WIDTH / 8; i++)
            for (int j = 0; j < 4; j++) y[i][j] = 0.0f;
#pragma unroll
        for (int depth = 0; depth < STATE; depth += 16) {
            unsigned q[4];
            load_a<STATE>(q, queries, warp_row, depth);
#pragma unroll
            for (int i = 0; i < CHUNK / 16; i++) {
                unsigned k[4];
                load_b<STATE>(k, keys, i * 16, depth);
                mma_16x8x16(scores[2 * i], q, k[0], k[1]);
                mma_16x8x16(scores[2 * i + 1], q, k[2], k[3]);
            }
#pragma unroll
            for (int i = 0; i < WIDTH / 16; i++) {
                unsigned k[4];
                load_b<STATE>(k, carried, i * 16, depth);
                mma_16x8x16(y[2 * i], q, k[0], k[1]);
                mma_16x8x16(y[2 * i + 1], q, k[2], k[3]);
            }
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int token = warp_row + lane / 4 + half * 8;
            float own = decays[token], shrink = __expf(own);
#pragma unroll
            for (int i = 0; i < CHUNK / 8; i++)
                for (int j = 0; j < 2; j++) {
                    int other = i * 8 + (lane % 4) * 2 + j;
                    float &score = scores[i][2 * half + j];
                    score = other <= token ? score * steps[other] * __expf(own - decays[other]) : 0.0f;
                }
#pragma unroll
            for (int i = 0; i < WIDTH / 8; i++) y[i][2 * half] *= shrink, y[i][2 * half + 1] *= shrink;
        }
#pragma unroll
        for (int depth = 0; depth < CHUNK / 16; depth++) {
            float(&left)[4] = scores[2 * depth], (&right)[4] = scores[2 * depth + 1];
            unsigned p[4] = {pack_bf16(left[0], left[1]), pack_bf16(left[2], left[3]), pack_bf16(right[0], right[1]),
                             pack_bf16(right[2], right[3])};
#pragma unroll
            for (int i = 0; i < WIDTH / 16; i++) {
                unsigned v[4];
                load_b_as_stored<WIDTH>(v, inputs, depth * 16, i * 16);
                mma_16x8x16(y[2 * i], p, v[0], v[1]);
                mma_16x8x16(y[2 * i + 1], p, v[2], v[3]);
            }
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = warp_row + lane / 4 + half * 8;
            if (first + row < end) {
                bf16 *to = out + ((long long)(first + row) * heads + head) * WIDTH + (lane % 4) * 2;
#pragma unroll
                for (int i = 0; i < WIDTH / 8; i++) {
                    unsigned pair = *(unsigned *)(chunk_address<WIDTH>(inputs, row, i) + (lane % 4) * 4);
                    *(unsigned *)(to + i * 8) = pack_bf16(y[i][2 * half] + d[head] * low_half(pair),
                                                          y[i][2 * half + 1] + d[head] * high_half(pair));
                }
            }
        }
        __syncthreads(); // `weighted` is complete

        float shrink = __expf(last);
#pragma unroll
        for (int i = 0; i < STATE / 8; i++)
            for (int j = 0; j < 4; j++) h[i][j] *= shrink;
#pragma unroll
        for (int depth = 0; depth < CHUNK; depth += 16) {
            unsigned w[4];
            load_a_transposed<WIDTH>(w, weighted, depth, warp_row);
#pragma unroll
            for (int i = 0; i < STATE / 16; i++) {
                unsigned k[4];
                load_b_as_stored<STATE>(k, keys, depth, i * 16);
                mma_16x8x16(h[2 * i], w, k[0], k[1]);
                mma_16x8x16(h[2 * i + 1], w, k[2], k[3]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < STATE / 8; i++)
        for (int j = 0; j < 4; j++) {
            int row = warp_row + lane / 4 + (j / 2) * 8, column = i * 8 + (lane % 4) * 2 + j % 2;
            state[row * STATE + column] = h[i][j];
        }
}

#define STATE_SPACE(size)                                                                                              \
    KERNEL __launch_bounds__(256) state_update_##size(                                                                   \
        float *states, const int *slots, const bf16 *x, const bf16 *b, const bf16 *c, const bf16 *dt_raw, const float *a, \
        const float *d, const float *dt_bias, bf16 *out, int heads, int groups) {                                      \
        update<size>(states, slots, x, b, c, dt_raw, a, d, dt_bias, out, heads, groups);                               \
    }                                                                                                                  \
    KERNEL __launch_bounds__(128) chunk_scan_##size(                                                                     \
        float *states, const int *slots, const int *starts, const int *from_zero, const bf16 *x, const bf16 *b,        \
        const bf16 *c, const bf16 *dt_raw, const float *a, const float *d, const float *dt_bias, bf16 *out, int heads, \
        int groups) {                                                                                                  \
        chunk_scan<size>(states, slots, starts, from_zero, x, b, c, dt_raw, a, d, dt_bias, out, heads, groups);        \
    }

STATE_SPACE(64)
STATE_SPACE(128)

// The causal convolution of width 4 before the recurrence, with SiLU (Gu and Dao 2023): x, B and C side by side,
// [token][channels]; weights [channels][4] and bias, float; a sequence's last three inputs are kept as
// [slot][3][channels], oldest first.

DEVICE float convolved(const float (&window)[4], const float *weights, float bias) {
    float sum = bias;
    for (int i = 0; i < 4; i++) sum += window[i] * weights[i];
    return sum / (1.0f + __expf(-sum));
}

// One block per sequence and 64 of its tokens, threads over channels. Reads of earlier tokens than a sequence's first come
// from its kept inputs, or are zero where it starts.
KERNEL convolve_scan(const bf16 *input, bf16 *kept, const int *slots, const int *starts, const int *from_zero,
                     const float *weights, const float *bias, bf16 *out, int channels) {
    int sequence = blockIdx.y, start = starts[sequence], end = starts[sequence + 1], first = start + blockIdx.x * CHUNK;
    if (first >= end) return;
    int last = first + CHUNK < end ? first + CHUNK : end;
    bf16 *own = kept + (long long)slots[sequence] * 3 * channels;
    for (int channel = threadIdx.x; channel < channels; channel += blockDim.x) {
        float window[4];
        for (int i = 0; i < 3; i++) {
            int token = first - 3 + i;
            window[i] = token >= start          ? from_bf16(input[(long long)token * channels + channel])
                        : from_zero[sequence] ? 0.0f
                                                : from_bf16(own[(token - start + 3) * channels + channel]);
        }
        for (int token = first; token < last; token++) {
            window[3] = from_bf16(input[(long long)token * channels + channel]);
            out[(long long)token * channels + channel] = to_bf16(convolved(window, weights + 4 * channel, bias[channel]));
            for (int i = 0; i < 3; i++) window[i] = window[i + 1];
        }
    }
}

// Keeps the last three inputs of each sequence, after the convolution has read the ones before; one block per sequence.
KERNEL keep_inputs(const bf16 *input, bf16 *kept, const int *slots, const int *starts, const int *from_zero, int channels) {
    int sequence = blockIdx.x, start = starts[sequence], end = starts[sequence + 1];
    bf16 *own = kept + (long long)slots[sequence] * 3 * channels;
    for (int channel = threadIdx.x; channel < channels; channel += blockDim.x)
        for (int i = 0; i < 3; i++) {
            int token = end - 3 + i, before = token - start + 3; // place of an input from before this pass
            own[i * channels + channel] = token >= start          ? input[(long long)token * channels + channel]
                                          : from_zero[sequence] ? (bf16)0
                                                                  : own[before * channels + channel];
        }
}

// One token per sequence: convolves with the kept inputs and shifts them; one block per sequence.
KERNEL convolve_update(const bf16 *input, bf16 *kept, const int *slots, const float *weights, const float *bias, bf16 *out,
                       int channels) {
    bf16 *own = kept + (long long)slots[blockIdx.x] * 3 * channels;
    for (int channel = threadIdx.x; channel < channels; channel += blockDim.x) {
        bf16 newest = input[(long long)blockIdx.x * channels + channel];
        float window[4];
        for (int i = 0; i < 3; i++) window[i] = from_bf16(own[i * channels + channel]);
        window[3] = from_bf16(newest);
        for (int i = 0; i < 2; i++) own[i * channels + channel] = own[(i + 1) * channels + channel];
        own[2 * channels + channel] = newest;
        out[(long long)blockIdx.x * channels + channel] = to_bf16(convolved(window, weights + 4 * channel, bias[channel]));
    }
}
