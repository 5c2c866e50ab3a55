// RMSNorm over rows of `hidden` bfloat16 (a multiple of 8, at most 32 * blockDim.x), one block per row:
// out = x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019). The row is kept in registers between passes.

#define VECTORS 4 // 16-byte vectors a thread keeps

DEVICE void normalise(uint4 (&kept)[VECTORS], const bf16 *weight, bf16 *out, int hidden, float epsilon, float *scratch) {
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        float x[8];
        unpack_8(x, kept[i]);
        for (int j = 0; j < 8; j++) squares += x[j] * x[j];
    }
    float scale = rsqrtf(block_sum(squares, scratch) / hidden + epsilon);
#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        int at = (i * blockDim.x + threadIdx.x) * 8;
        if (at < hidden) {
            float x[8], w[8];
            unpack_8(x, kept[i]);
            unpack_8(w, *(const uint4 *)(weight + at));
            for (int j = 0; j < 8; j++) x[j] *= scale * w[j];
            *(uint4 *)(out + at) = pack_8(x);
        }
    }
}

KERNEL rms_norm(const bf16 *input, const bf16 *weight, bf16 *out, int hidden, float epsilon) {
    __shared__ float scratch[33];
    const bf16 *row = input + (long long)blockIdx.x * hidden;
    uint4 kept[VECTORS];
#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        int at = (i * blockDim.x + threadIdx.x) * 8;
        kept[i] = at < hidden ? *(const uint4 *)(row + at) : make_uint4(0, 0, 0, 0);
    }
    normalise(kept, weight, out + (long long)blockIdx.x * hidden, hidden, epsilon, scratch);
}

// residual += input (rounded to bfloat16), out = RMSNorm(residual).
KERNEL add_rms_norm(const bf16 *input, bf16 *residual, const bf16 *weight, bf16 *out, int hidden, float epsilon) {
    __shared__ float scratch[33];
    long long start = (long long)blockIdx.x * hidden;
    uint4 kept[VECTORS];
#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        int at = (i * blockDim.x + threadIdx.x) * 8;
        kept[i] = make_uint4(0, 0, 0, 0);
        if (at < hidden) {
            float x[8], r[8];
            unpack_8(x, *(const uint4 *)(input + start + at));
            unpack_8(r, *(const uint4 *)(residual + start + at));
            for (int j = 0; j < 8; j++) r[j] += x[j];
            kept[i] = pack_8(r);
            *(uint4 *)(residual + start + at) = kept[i];
        }
    }
    normalise(kept, weight, out + start, hidden, epsilon, scratch);
}
