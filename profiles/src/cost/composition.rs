//! How the parts of a step go together: one after the other, or beside each other.

use super::books::Books;
use super::energy::Energy;
use super::parts::Hidden;

/// How a step's reads of the KV cache for generating requests (decode attention) and everything else on its GPUs go together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Composition {
    /// One after the other, as engines run the kernels of a forward pass: their times add up.
    #[default]
    Serial,
    /// Beside each other, as engines do that cut a batch so that GEMM of one part run beside attention of another (`NanoFlow`,
    /// `BlendServe`): a step takes `max + interference · min` of both times.
    ///
    /// Physically, a kernel that streams the cache at full bandwidth keeps a share `b` of the SM busy while it lasts. GEMM
    /// that take longer than that have `1 − b` of the machine meanwhile, so that the step takes `compute + b · memory`. Where
    /// memory takes longer, the same law is pessimistic. Weights come through the same memory as the cache: no step takes less
    /// than reading both, however few its rows are. What host and GPUs do one after the other stays so.
    Overlapped {
        /// `b`, from 0 (nothing in each other's way) to 1 (as if serial). See [`Composition::INTERFERENCE`].
        interference: f64,
    },
}

impl Composition {
    /// Interference fitted to one published figure: in *`BlendServe`* (Llama-3-8B, A100) depth-first order, which leaves one
    /// side of the machine idle at a time, reaches 71.7 % of a practical optimum in which profiled GEMM and attention run beside
    /// each other. Of a mix of density `r` (memory time 1) whose two kinds of requests have densities 17.8 and 0.05, depth-first
    /// order takes `2.28 + 0.12 b` for `r` = 1.4 and `1.81 + 0.10 b` for 0.9, the optimum `max(r, 1) + b · min(r, 1)`: so `b` is
    /// 0.26 and 0.35.
    pub const INTERFERENCE: f64 = 0.3;

    /// Time of a step whose parts take these times, in the unit of both, if reading weights is no matter.
    #[inline]
    pub fn time(self, compute: f64, memory: f64) -> f64 {
        match self {
            Composition::Serial => compute + memory,
            Composition::Overlapped { interference } => compute.max(memory) + interference * compute.min(memory),
        }
    }

    /// Turns the serial times of stages, of which `memory_ns` are reads of the cache, into what they take, and books both
    /// parts and what is hidden of them. `weights_ns` is what reading its weights takes a stage. Returns the joules less that
    /// hidden time draws.
    #[inline]
    pub(super) fn apply(
        self,
        ns: &mut [f64],
        memory_ns: &[f64],
        weights_ns: impl Fn(usize) -> f64,
        energy: &Energy,
        books: &mut Books,
    ) -> f64 {
        let (mut compute_sum, mut memory_sum) = (0.0, 0.0);
        let mut hidden = Hidden::default();
        for (stage, (ns, &memory)) in ns.iter_mut().zip(memory_ns).enumerate() {
            let compute = *ns - memory;
            compute_sum += compute;
            memory_sum += memory;
            if self != Composition::Serial {
                let read = memory + weights_ns(stage).min(compute);
                let time = self.time(compute, memory).max(read);
                let of = if memory < compute { &mut hidden.memory_ns } else { &mut hidden.compute_ns };
                *of += *ns - time;
                *ns = time;
            }
        }
        books.parts.add(compute_sum, memory_sum);
        books.hidden.compute_ns += hidden.compute_ns;
        books.hidden.memory_ns += hidden.memory_ns;
        energy.busy_j(hidden)
    }
}
