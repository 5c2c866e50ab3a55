//! What a request demands of compute and of memory bandwidth over its whole life.

use profiles::{CostModel, DecodeBatch, Operator, PrefillPiece, SharedPrefixes, StepShape};

/// Prices of the two resources, on all devices of a replica together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Compute per token, prompt or answer, in nanoseconds.
    pub compute_ns_per_token: f64,
    /// Compute on top per squared prompt token, in nanoseconds: attention of the prompt.
    pub compute_ns_per_squared_token: f64,
    /// Memory per token of context that a decode step reads, in nanoseconds.
    pub memory_ns_per_context_token: f64,
}

/// What is demanded of each resource, in nanoseconds of it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Of compute.
    pub compute_ns: f64,
    /// Of memory bandwidth.
    pub memory_ns: f64,
}

impl Work {
    /// Compute density: above 1 compute is what takes longer, below it memory.
    pub fn density(&self) -> f64 {
        self.compute_ns / self.memory_ns
    }

    /// Of both together.
    pub(super) fn plus(self, other: Work) -> Work {
        Work { compute_ns: self.compute_ns + other.compute_ns, memory_ns: self.memory_ns + other.memory_ns }
    }
}

impl Demand {
    /// By the sizes of a model in 16 bits (*`BlendServe`*, section 3): `Comp(r) = (2(p + d)P + 4p²HL) / C` and `Mem(r) =
    /// (pd + d²/2) · H_kv · L · 4 / B` for `P` parameters, hidden size `H`, a key as wide as `H_kv` in all heads, `L` layers,
    /// `C` FLOP/s and `B` bytes/s.
    pub fn of_sizes(
        parameters: f64,
        hidden: f64,
        kv_width: f64,
        layers: f64,
        flops_per_s: f64,
        bytes_per_s: f64,
    ) -> Self {
        const NS_PER_S: f64 = 1e9;
        Demand {
            compute_ns_per_token: 2.0 * parameters / flops_per_s * NS_PER_S,
            compute_ns_per_squared_token: 4.0 * hidden * layers / flops_per_s * NS_PER_S,
            memory_ns_per_context_token: 4.0 * kv_width * layers / bytes_per_s * NS_PER_S,
        }
    }

    /// As `cost` prices large steps: prompts of 2048, 4096 and 6144 tokens, whose second differences are attention, and 256
    /// requests with 2048 and 4096 tokens of context each. What a step takes however small it is belongs to none of both.
    /// `None` if it has no price of both, so that there is nothing to tell apart.
    pub fn of_cost(cost: &dyn CostModel) -> Option<Self> {
        const TOKENS: u32 = 2048;
        const REQUESTS: u32 = 256;
        let prompt_ns = |times: u32| {
            let piece = [PrefillPiece { new_tokens: times * TOKENS, context_tokens: 0 }];
            let shape = StepShape { prefill: &piece, decode: DecodeBatch::default(), sampled: 0, prefill_layers: None };
            cost.explain(&shape).time_ns()
        };
        let reads_ns = |times: u32| {
            let context_tokens = u64::from(REQUESTS) * u64::from(times * TOKENS);
            let decode = DecodeBatch {
                requests: REQUESTS,
                context_tokens,
                windowed_context_tokens: context_tokens,
                ..DecodeBatch::default()
            };
            let shape = StepShape { prefill: &[], decode, sampled: REQUESTS, prefill_layers: None };
            let totals = cost.explain(&shape);
            // As if alone, where the other part of a step hides it.
            let (parts, booked) = (totals.parts, totals.operator(Operator::DecodeAttention).time_ns());
            if parts.steps > 0 { parts.memory.sum_ns } else { booked }
        };
        let (tokens, [one, two, three]) = (f64::from(TOKENS), [1, 2, 3].map(prompt_ns));
        let squared = ((three - 2.0 * two + one) / (2.0 * tokens * tokens)).max(0.0);
        let linear = (two - one) / tokens - 3.0 * squared * tokens;
        let memory = (reads_ns(2) - reads_ns(1)) / (f64::from(REQUESTS) * tokens);
        (linear > 0.0 && memory > 0.0).then_some(Demand {
            compute_ns_per_token: linear,
            compute_ns_per_squared_token: squared,
            memory_ns_per_context_token: memory,
        })
    }

    /// Whether `cost` reads a prefix that requests of a group begin with once for all of them: 256 requests with 4096 tokens of
    /// context, the first 2048 the same or not.
    pub fn reads_prefixes_once(cost: &dyn CostModel) -> bool {
        const REQUESTS: u32 = 256;
        const PREFIX: u64 = 2048;
        let context_tokens = 2 * PREFIX * u64::from(REQUESTS);
        let reads_ns = |shared| {
            let windowed_context_tokens = context_tokens;
            let decode = DecodeBatch { requests: REQUESTS, context_tokens, windowed_context_tokens, shared };
            let shape = StepShape { prefill: &[], decode, sampled: REQUESTS, prefill_layers: None };
            cost.explain(&shape).operator(Operator::DecodeAttention).time_ns()
        };
        let member_tokens = PREFIX * u64::from(REQUESTS);
        let shared = SharedPrefixes { prefixes: 1, tokens: PREFIX, member_tokens };
        reads_ns(shared) < reads_ns(SharedPrefixes::default())
    }

    /// Compute of the first `tokens` of a prompt, in nanoseconds: what is saved where they are shared.
    pub fn prompt_ns(&self, tokens: u32) -> f64 {
        let tokens = f64::from(tokens);
        tokens * self.compute_ns_per_token + tokens * tokens * self.compute_ns_per_squared_token
    }

    /// Of a request with this prompt and answer, in tokens, that shares nothing.
    pub fn work(&self, prompt: u32, output: f64) -> Work {
        let compute_ns = self.prompt_ns(prompt) + output * self.compute_ns_per_token;
        let prompt = f64::from(prompt);
        Work { compute_ns, memory_ns: (prompt * output + output * output / 2.0) * self.memory_ns_per_context_token }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Llama-3-8B on an A100, with the rates that `BlendServe`'s table 1 of GEMM and attention times comes to: 255 TFLOP/s and
    /// 1.733 TB/s.
    pub(in crate::offline) fn llama_3_8b_on_a100() -> Demand {
        Demand::of_sizes(8.03e9, 4096.0, 1024.0, 32.0, 255e12, 1.733e12)
    }

    #[test]
    fn requests_demand_what_blendserves_formulas_say() {
        let demand = llama_3_8b_on_a100();
        for (prompt, output, compute_ms, memory_ms, density) in [
            (512, 128.0, 40.85, 5.58, 7.33),
            (1024, 256.0, 82.77, 22.31, 3.71),
            (1024, 512.0, 98.89, 49.57, 2.00),
            (256, 1024.0, 80.75, 59.48, 1.36),
            (100, 16_000.0, 1014.0, 9802.0, 0.10),
            (400, 2.0, 25.65, 0.061, 423.0),
        ] {
            let work = demand.work(prompt, output);
            let near = |value: f64, published: f64, digit: f64| (value - published).abs() <= digit;
            assert!(near(work.compute_ns / 1e6, compute_ms, compute_ms * 6e-4), "{prompt}, {output}: {work:?}");
            assert!(near(work.memory_ns / 1e6, memory_ms, memory_ms * 9e-3), "{prompt}, {output}: {work:?}");
            assert!(near(work.density(), density, density * 0.04), "{prompt}, {output}: {}", work.density());
        }
    }

    /// The identity that makes a request's density a controller of batches: a batch in a steady state, its requests spread
    /// over their decode lifetimes, has the density of one of them (but for attention of the prompt).
    #[test]
    fn a_batch_in_steady_state_has_the_density_of_its_requests() {
        let demand = Demand { compute_ns_per_squared_token: 0.0, ..llama_3_8b_on_a100() };
        for (prompt, output) in [(1024_u32, 256_u32), (100, 16_000)] {
            let mut batch = Work::default();
            for age in 0..output {
                // Its token of this step, its share of a prompt, and the context that it reads.
                let context = f64::from(prompt) + f64::from(age) + 0.5;
                batch.compute_ns += (1.0 + f64::from(prompt) / f64::from(output)) * demand.compute_ns_per_token;
                batch.memory_ns += context * demand.memory_ns_per_context_token;
            }
            let alone = demand.work(prompt, f64::from(output)).density();
            assert!((batch.density() / alone - 1.0).abs() < 1e-9, "{} and {alone}", batch.density());
        }
    }
}
