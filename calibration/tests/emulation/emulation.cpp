// The scheduler of fibres, and the program: reads buffers and launches from standard input, writes the buffers back.
#include "emulation.hpp"

Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {

static std::vector<Fibre> fibres;
static std::vector<Warp> warps;
static Barrier block;
static ucontext_t scheduler;
static std::vector<unsigned char> shared;
static const std::function<void()> *body;
Fibre *current;

std::map<std::string, Entry> &entries() {
    static std::map<std::string, Entry> all;
    return all;
}

void fail(const std::string &what) {
    fprintf(stderr, "emulation: %s\n", what.c_str());
    exit(1);
}

unsigned char *dynamic_shared() {
    uintptr_t at = (uintptr_t)shared.data();
    return (unsigned char *)((at + 127) / 128 * 128);
}

Warp &warp() { return warps[threadIdx.x / 32]; }

static void release_if_complete(Barrier &barrier) {
    if (barrier.arrived == barrier.members) barrier.arrived = 0, barrier.generation++;
}

void wait_at(Barrier &barrier) {
    current->waits_for = &barrier;
    current->generation = barrier.generation;
    barrier.arrived++;
    release_if_complete(barrier);
    if (barrier.generation == current->generation) swapcontext(&current->context, &scheduler);
    current->waits_for = nullptr;
}

static void run_fibre() {
    (*body)();
    current->done = true;
    for (Barrier *barrier : {&block, &warp().barrier})
        if (--barrier->members > 0) release_if_complete(*barrier);
    swapcontext(&current->context, &scheduler);
}

// Runs each lane of a warp that waits for nothing to its next barrier; says how many there were.
static unsigned run_lanes(unsigned first, unsigned &left) {
    unsigned moved = 0;
    for (unsigned i = first; i < first + 32; i++) {
        Fibre &fibre = fibres[i];
        if (fibre.done || (fibre.waits_for && fibre.waits_for->generation == fibre.generation)) continue;
        threadIdx = {i, 0, 0};
        current = &fibre;
        swapcontext(&scheduler, &fibre.context);
        moved++;
        left -= fibre.done;
    }
    return moved;
}

static void run_block(unsigned threads, size_t shared_bytes) {
    const size_t stack_bytes = 64 << 10;
    shared.assign(shared_bytes + 256, 0xff);
    fibres.resize(threads);
    warps.assign(threads / 32, Warp());
    block = Barrier();
    block.members = threads;
    for (unsigned i = 0; i < threads; i++) {
        Fibre &fibre = fibres[i];
        fibre.done = false, fibre.waits_for = nullptr;
        fibre.open.clear(), fibre.committed.clear();
        fibre.stack.resize(stack_bytes);
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = stack_bytes;
        fibre.context.uc_link = nullptr;
        makecontext(&fibre.context, run_fibre, 0);
        warps[i / 32].barrier.members++;
    }
    // Each warp runs as far ahead of the others as barriers allow, the first one ahead or the last one in turns, so that a
    // barrier that is missing shows.
    static bool last_first = false;
    last_first = !last_first;
    for (unsigned left = threads, count = threads / 32; left > 0;) {
        unsigned moved = 0;
        for (unsigned turn = 0; turn < count; turn++) {
            unsigned first = (last_first ? count - 1 - turn : turn) * 32;
            for (unsigned now = run_lanes(first, left); now > 0; now = run_lanes(first, left)) moved += now;
        }
        if (moved == 0) fail("the threads of a block wait for each other forever");
    }
    for (unsigned char *at = dynamic_shared() + shared_bytes; at < shared.data() + shared.size(); at++)
        if (*at != 0xff) fail("a kernel wrote beyond its shared memory");
}

} // namespace emulation

void __syncthreads() { emulation::wait_at(emulation::block); }

template <class T> static T read_one() {
    T value;
    if (fread(&value, sizeof(T), 1, stdin) != 1) emulation::fail("the input ends early");
    return value;
}

// Input, all little-endian: count of buffers, each (bytes, content); count of launches, each (name length, name, grid x
// and y, threads, shared bytes, count of arguments, each (kind, bits)): kind 0 an address (buffer in the top 24 bits, byte
// within it below), kind 1 a plain value. Output: the buffers' contents.
int main() {
    const size_t guard = 256;
    const unsigned char mark = 0xa5;
    std::vector<std::vector<unsigned char>> memory(read_one<uint64_t>());
    std::vector<unsigned char *> start(memory.size());
    std::vector<uint64_t> sizes(memory.size());
    for (size_t i = 0; i < memory.size(); i++) {
        sizes[i] = read_one<uint64_t>();
        memory[i].assign(sizes[i] + 2 * guard + 256, mark);
        start[i] = (unsigned char *)(((uintptr_t)memory[i].data() + guard + 255) / 256 * 256);
        if (sizes[i] && fread(start[i], sizes[i], 1, stdin) != 1) emulation::fail("the input ends early");
    }
    uint64_t launches = read_one<uint64_t>();
    for (uint64_t launch = 0; launch < launches; launch++) {
        std::string name(read_one<uint64_t>(), ' ');
        if (fread(name.data(), name.size(), 1, stdin) != 1) emulation::fail("the input ends early");
        uint64_t grid_x = read_one<uint64_t>(), grid_y = read_one<uint64_t>(), threads = read_one<uint64_t>();
        uint64_t shared_bytes = read_one<uint64_t>();
        std::vector<emulation::Value> values(read_one<uint64_t>());
        for (auto &value : values) {
            uint64_t kind = read_one<uint64_t>();
            value.bits = read_one<uint64_t>();
            if (kind == 0) value.bits = (uint64_t)(start[value.bits >> 40] + (value.bits & ((1ull << 40) - 1)));
        }
        auto found = emulation::entries().find(name);
        if (found == emulation::entries().end()) emulation::fail("no kernel is named " + name);
        if (threads == 0 || threads % 32 || threads > 1024) emulation::fail(name + ": a block must be 1 to 32 whole warps");
        std::function<void()> body = [&] { found->second(values); };
        emulation::body = &body;
        gridDim = {(unsigned)grid_x, (unsigned)grid_y, 1}, blockDim = {(unsigned)threads, 1, 1};
        for (unsigned y = 0; y < grid_y; y++)
            for (unsigned x = 0; x < grid_x; x++) {
                blockIdx = {x, y, 0};
                emulation::run_block(threads, shared_bytes);
            }
        for (size_t i = 0; i < memory.size(); i++)
            for (unsigned char *at = memory[i].data(); at < memory[i].data() + memory[i].size(); at++)
                if ((at < start[i] || at >= start[i] + sizes[i]) && *at != mark)
                    emulation::fail(name + " wrote outside buffer " + std::to_string(i));
    }
    for (size_t i = 0; i < memory.size(); i++) fwrite(start[i], 1, sizes[i], stdout);
    return 0;
}
