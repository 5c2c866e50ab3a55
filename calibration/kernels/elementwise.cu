// Small kernels that move rows of bfloat16; widths are multiples of 8.

// out[row] = silu(gate) * up, for rows [gate | up] of 2 * width.
KERNEL silu_mul(const bf16 *gate_up, bf16 *out, int rows, int width) {
    int vectors = width / 8;
    long long total = (long long)rows * vectors;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += (long long)gridDim.x * blockDim.x) {
        long long row = i / vectors;
        int at = (int)(i % vectors) * 8;
        const bf16 *from = gate_up + row * 2 * width + at;
        float gate[8], up[8];
        unpack_8(gate, *(const uint4 *)from);
        unpack_8(up, *(const uint4 *)(from + width));
        for (int j = 0; j < 8; j++) gate[j] = gate[j] / (1.0f + __expf(-gate[j])) * up[j];
        *(uint4 *)(out + row * width + at) = pack_8(gate);
    }
}

// out[token] = table[id of token], one block per token.
KERNEL gather_rows(const bf16 *table, const int *ids, bf16 *out, int width) {
    const bf16 *from = table + (long long)ids[blockIdx.x] * width;
    bf16 *to = out + (long long)blockIdx.x * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) *(uint4 *)(to + at) = *(const uint4 *)(from + at);
}

// Greedy sampling: the first index of the largest of `vocabulary` logits, one block per row.
KERNEL argmax_rows(const bf16 *logits, int *out, int vocabulary) {
    __shared__ float values[32];
    __shared__ int indices[32];
    const bf16 *row = logits + (long long)blockIdx.x * vocabulary;
    float best = -INFINITY_F;
    int index = 0x7fffffff;
    for (int at = threadIdx.x * 8; at < vocabulary; at += blockDim.x * 8) {
        float x[8];
        unpack_8(x, *(const uint4 *)(row + at));
        for (int j = 0; j < 8; j++)
            if (x[j] > best) best = x[j], index = at + j;
    }
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int round = 0; round < 2; round++) {
        for (int distance = 16; distance > 0; distance /= 2) {
            float other = __shfl_xor_sync(WARP_ALL, best, distance);
            int at = __shfl_xor_sync(WARP_ALL, index, distance);
            if (other > best || (other == best && at < index)) best = other, index = at;
        }
        if (round == 0) {
            if (lane == 0) values[warp] = best, indices[warp] = index;
            __syncthreads();
            best = lane < warps ? values[lane] : -INFINITY_F;
            index = lane < warps ? indices[lane] : 0x7fffffff;
        }
    }
    if (threadIdx.x == 0) out[blockIdx.x] = index;
}

// Copies `vectors` pieces of 16 bytes.
KERNEL copy_16(const uint4 *from, uint4 *to, long long vectors) {
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < vectors; i += (long long)gridDim.x * blockDim.x)
        to[i] = load_16_streaming(from + i);
}

// Reads `vectors` pieces of 16 bytes; each block writes the sum (mod 2^32) of all words it read, so that none is skipped.
KERNEL read_16(const uint4 *from, unsigned *sums, long long vectors) {
    __shared__ unsigned total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    unsigned sum = 0;
    long long stride = (long long)gridDim.x * blockDim.x;
#pragma unroll 4
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < vectors; i += stride) {
        uint4 v = load_16_streaming(from + i);
        sum += v.x + v.y + v.z + v.w;
    }
    atomicAdd(&total, sum);
    __syncthreads();
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// Nothing: what a launch costs.
KERNEL nothing() {}

// The bits of an fp8 e4m3 number nearest to x (ties to even), saturating at 448 as the conversion instruction does.
DEVICE unsigned to_e4m3(float x) {
    unsigned sign = (__float_as_uint(x) >> 24) & 0x80u;
    float size = fabsf(x);
    if (size >= 448.0f) return sign | 0x7eu;
    if (size < 0.015625f) return sign | (unsigned)rintf(size * 512.0f); // below 2^-6: steps of 2^-9, 8 carries over
    unsigned bits = __float_as_uint(size);
    bits += 0x7ffffu + ((bits >> 20) & 1u);
    return sign | ((bits >> 20) - (120u << 3)); // exponent bias 127 becomes 7
}

// Quantises each row to fp8 e4m3 with its own scale, largest / 448; one block per row, width a multiple of 8.
KERNEL quantise_rows(const bf16 *input, unsigned char *out, float *scales, int width) {
    __shared__ float largest[32];
    const bf16 *row = input + (long long)blockIdx.x * width;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    float size = 0.0f;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        float x[8];
        unpack_8(x, *(const uint4 *)(row + at));
        for (int j = 0; j < 8; j++) size = fmaxf(size, fabsf(x[j]));
    }
    size = warp_max(size);
    if (lane == 0) largest[warp] = size;
    __syncthreads();
    size = warp_max(lane < warps ? largest[lane] : 0.0f);
    float scale = fmaxf(size, 1e-12f) / 448.0f, inverse = 1.0f / scale;
    if (threadIdx.x == 0) scales[blockIdx.x] = scale;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        float x[8];
        unpack_8(x, *(const uint4 *)(row + at));
        unsigned low = 0, high = 0;
        for (int j = 0; j < 4; j++) low |= to_e4m3(x[j] * inverse) << (8 * j), high |= to_e4m3(x[j + 4] * inverse) << (8 * j);
        *(uint2 *)(out + (long long)blockIdx.x * width + at) = make_uint2(low, high);
    }
}
