// What every kernel file starts with. Put in front of each source by the host: nothing here or in the kernels is
// included from a toolkit, so that a machine with only NVRTC can compile them.
//
// HOST_EMULATION is defined when the kernels are compiled as C++ for a CPU (emulation/emulation.hpp), which supplies
// the built-in names and the warp-wide instructions below.

typedef unsigned short bf16; // the bits of a bfloat16

#ifndef HOST_EMULATION
#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define WARP_ALL 0xffffffffu
#define INFINITY_F __int_as_float(0x7f800000)

// d (16 x 8, float) += a (16 x 16, row-major) * b (16 x 8, column-major); fragments as in the PTX manual, mma.m16n8k16.
DEVICE void mma_16x8x16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8.
DEVICE void load_matrices(unsigned (&r)[4], const void *row) {
    unsigned address = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

DEVICE void load_matrices_transposed(unsigned (&r)[4], const void *row) {
    unsigned address = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

// Copies 16 bytes from global to shared memory in the background; zeroes them where `valid` is false.
DEVICE void copy_async(void *shared, const void *global, bool valid) {
    unsigned address = (unsigned)__cvta_generic_to_shared(shared);
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
}

DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most PENDING committed groups are still under way.
template <int PENDING> DEVICE void await_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Two floats as bfloat16, rounded to nearest even, `low` in the low half.
DEVICE unsigned pack_bf16(float low, float high) {
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

DEVICE float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE uint4 load_16_streaming(const void *global) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(global));
    return v;
}
#endif

DEVICE float low_half(unsigned pair) { return __uint_as_float(pair << 16); }
DEVICE float high_half(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }
DEVICE float from_bf16(bf16 bits) { return __uint_as_float((unsigned)bits << 16); }
DEVICE bf16 to_bf16(float x) { return (bf16)(pack_bf16(x, 0.0f) & 0xffffu); }

// Eight bfloat16 of one 16-byte load.
DEVICE void unpack_8(float (&x)[8], uint4 v) {
    x[0] = low_half(v.x), x[1] = high_half(v.x), x[2] = low_half(v.y), x[3] = high_half(v.y);
    x[4] = low_half(v.z), x[5] = high_half(v.z), x[6] = low_half(v.w), x[7] = high_half(v.w);
}

DEVICE uint4 pack_8(const float (&x)[8]) {
    uint4 v;
    v.x = pack_bf16(x[0], x[1]), v.y = pack_bf16(x[2], x[3]);
    v.z = pack_bf16(x[4], x[5]), v.w = pack_bf16(x[6], x[7]);
    return v;
}

DEVICE float warp_sum(float x) {
    for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(WARP_ALL, x, distance);
    return x;
}

DEVICE float warp_max(float x) {
    for (int distance = 16; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(WARP_ALL, x, distance));
    return x;
}

// The sum over a block of whole warps, for every thread; `scratch` holds 33 floats.
DEVICE float block_sum(float x, float *scratch) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_sum(x);
    if (lane == 0) scratch[warp] = x;
    __syncthreads();
    if (warp == 0) {
        x = warp_sum(lane < warps ? scratch[lane] : 0.0f);
        if (lane == 0) scratch[32] = x;
    }
    __syncthreads();
    return scratch[32];
}

// Tiles in shared memory have rows of COLUMNS 16-bit elements (a multiple of 64), in chunks of 16 bytes; chunks are
// permuted within a row so that ldmatrix of eight rows touches all banks once.
template <int COLUMNS> DEVICE unsigned char *chunk_address(unsigned char *tile, int row, int chunk) {
    return tile + row * (COLUMNS * 2) + ((chunk ^ (row & 7)) << 4);
}

// Fragment A (16 x 16) at (row, column) of a tile stored as it is read.
template <int COLUMNS> DEVICE void load_a(unsigned (&a)[4], unsigned char *tile, int row, int column) {
    int lane = threadIdx.x % 32;
    load_matrices(a, chunk_address<COLUMNS>(tile, row + lane % 16, column / 8 + lane / 16));
}

// Fragment A (16 x 16) of the transpose of a tile: rows are the tile's columns from `column`, depth its rows from `row`.
template <int COLUMNS> DEVICE void load_a_transposed(unsigned (&a)[4], unsigned char *tile, int row, int column) {
    int lane = threadIdx.x % 32, matrix = lane / 8;
    int at = row + lane % 8 + (matrix / 2) * 8;
    load_matrices_transposed(a, chunk_address<COLUMNS>(tile, at, column / 8 + matrix % 2));
}

// Two fragments B (16 x 8 each: b[0..1] and b[2..3]) of the transpose of a tile: the tile's rows are B's columns.
template <int COLUMNS> DEVICE void load_b(unsigned (&b)[4], unsigned char *tile, int row, int column) {
    int lane = threadIdx.x % 32;
    int at = row + lane % 8 + (lane / 16) * 8;
    load_matrices(b, chunk_address<COLUMNS>(tile, at, column / 8 + (lane / 8) % 2));
}

// Two fragments B of a tile as it is: depth runs over its rows from `row`, B's columns are its columns from `column`.
template <int COLUMNS> DEVICE void load_b_as_stored(unsigned (&b)[4], unsigned char *tile, int row, int column) {
    int lane = threadIdx.x % 32;
    load_matrices_transposed(b, chunk_address<COLUMNS>(tile, row + lane % 16, column / 8 + lane / 16));
}
