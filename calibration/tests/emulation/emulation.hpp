// Runs the CUDA kernels on a CPU, one block after another, with a fibre per thread. It stands in for the names CUDA builds
// in and for the warp-wide instructions of kernels/prelude.cuh, and is stricter than a GPU where that finds mistakes:
// background copies land as late as the kernel's waits allow, shared memory starts as NaNs, and every buffer has guards.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>
#include <ucontext.h>

#define HOST_EMULATION
#define DEVICE static inline
#define KERNEL extern "C" void
#define __shared__ static
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(name) unsigned char *name = emulation::dynamic_shared()
#define WARP_ALL 0xffffffffu
#define INFINITY_F __builtin_inff()

struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
struct Index { unsigned x, y, z; };
extern Index threadIdx, blockIdx, blockDim, gridDim;

static inline float __uint_as_float(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
static inline unsigned __float_as_uint(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
#define __expf expf // glibc declares a function of that name
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float exp2_fast(float x) { return exp2f(x); }
template <class T> T atomicAdd(T *at, T add) { T old = *at; *at += add; return old; }

namespace emulation {

struct Barrier { unsigned generation = 0, arrived = 0, members = 0; };
struct Copy { void *to; const void *from; bool valid; };

struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    bool done = false;
    const Barrier *waits_for = nullptr;
    unsigned generation = 0;
    std::vector<Copy> open;                   // issued, not committed
    std::vector<std::vector<Copy>> committed; // oldest first
};

struct Warp { Barrier barrier; unsigned char slots[32][64]; };

extern Fibre *current;
unsigned char *dynamic_shared();
Warp &warp();
void wait_at(Barrier &barrier);
[[noreturn]] void fail(const std::string &what);

// Gives `mine` to the lanes of the warp and returns what `read` makes of everybody's.
template <class T, class R> auto exchange(const T &mine, R read) {
    static_assert(sizeof(T) <= 64, "a slot is too small");
    Warp &all = warp();
    memcpy(all.slots[threadIdx.x % 32], &mine, sizeof(T));
    wait_at(all.barrier);
    auto result = read([&](int lane) { T value; memcpy(&value, all.slots[lane], sizeof(T)); return value; });
    wait_at(all.barrier);
    return result;
}

struct Value { uint64_t bits; };
using Entry = std::function<void(const std::vector<Value> &)>;
std::map<std::string, Entry> &entries();

template <class P> P as(Value value) {
    if constexpr (std::is_pointer_v<P>) return reinterpret_cast<P>(value.bits);
    else { P out; memcpy(&out, &value.bits, sizeof(P)); return out; }
}

template <class... P, size_t... I> void call(void (*kernel)(P...), const std::vector<Value> &v, std::index_sequence<I...>) {
    kernel(as<P>(v[I])...);
}

struct Register {
    template <class... P> Register(const char *name, void (*kernel)(P...)) {
        entries()[name] = [=](const std::vector<Value> &values) {
            if (values.size() != sizeof...(P)) fail(std::string(name) + " takes " + std::to_string(sizeof...(P)) + " arguments");
            call(kernel, values, std::index_sequence_for<P...>());
        };
    }
};

} // namespace emulation

void __syncthreads();
static inline void __syncwarp() { emulation::wait_at(emulation::warp().barrier); }

template <class T> T __shfl_xor_sync(unsigned, T x, int mask) {
    int lane = threadIdx.x % 32;
    return emulation::exchange(x, [&](auto of) { return of(lane ^ mask); });
}

template <class T> T __shfl_up_sync(unsigned, T x, int distance) {
    int lane = threadIdx.x % 32;
    return emulation::exchange(x, [&](auto of) { return of(lane >= distance ? lane - distance : lane); });
}

static inline unsigned pack_bf16(float low, float high) {
    auto round = [](float x) -> unsigned {
        unsigned bits = __float_as_uint(x);
        if (std::isnan(x)) return 0x7fffu;
        return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    };
    return round(low) | round(high) << 16;
}

static inline uint4 load_16_streaming(const void *global) { return *(const uint4 *)global; }

static inline void copy_async(void *shared, const void *global, bool valid) {
    if ((uintptr_t)shared % 16 || (valid && (uintptr_t)global % 16)) emulation::fail("a 16-byte copy is not aligned");
    emulation::current->open.push_back({shared, global, valid});
}

static inline void commit_copies() {
    emulation::current->committed.push_back(std::move(emulation::current->open));
    emulation::current->open.clear();
}

template <int PENDING> void await_copies() {
    auto &groups = emulation::current->committed;
    while (groups.size() > PENDING) {
        for (auto &copy : groups.front()) copy.valid ? (void)memcpy(copy.to, copy.from, 16) : (void)memset(copy.to, 0, 16);
        groups.erase(groups.begin());
    }
}

// Fragments as the PTX manual lays them out for mma.m16n8k16: lane l holds of `a` rows l / 4 and l / 4 + 8, depths
// 2 (l % 4) + {0, 1} and + 8; of `b` the same depths of column l / 4; of `d` columns 2 (l % 4) + {0, 1} of those rows.
static inline void mma_16x8x16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    struct Own { unsigned a[4], b[2]; } own = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
    int lane = threadIdx.x % 32;
    auto half = [](unsigned pair, int which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); };
    emulation::exchange(own, [&](auto of) {
        for (int i = 0; i < 4; i++) {
            int column = (lane % 4) * 2 + i % 2, upper = i / 2; // upper: rows 8 to 15
            float sum = 0.0f;
            for (int depth = 0; depth < 16; depth++) {
                Own left = of((lane / 4) * 4 + (depth % 8) / 2), right = of(column * 4 + (depth % 8) / 2);
                sum += half(left.a[upper + 2 * (depth / 8)], depth % 2) * half(right.b[depth / 8], depth % 2);
            }
            d[i] += sum;
        }
        return 0;
    });
}

static inline void load_matrices(unsigned (&r)[4], const void *row) {
    int lane = threadIdx.x % 32;
    if ((uintptr_t)row % 16) emulation::fail("ldmatrix of a row that is not aligned");
    emulation::exchange(row, [&](auto of) {
        for (int i = 0; i < 4; i++) memcpy(&r[i], (const char *)of(i * 8 + lane / 4) + (lane % 4) * 4, 4);
        return 0;
    });
}

static inline void load_matrices_transposed(unsigned (&r)[4], const void *row) {
    int lane = threadIdx.x % 32;
    if ((uintptr_t)row % 16) emulation::fail("ldmatrix of a row that is not aligned");
    emulation::exchange(row, [&](auto of) {
        for (int i = 0; i < 4; i++) {
            unsigned short pair[2];
            for (int j = 0; j < 2; j++) memcpy(&pair[j], (const char *)of(i * 8 + (lane % 4) * 2 + j) + (lane / 4) * 2, 2);
            r[i] = pair[0] | (unsigned)pair[1] << 16;
        }
        return 0;
    });
}
