//! A scheduling policy of one's own, simulated beside one that is there, on the same requests:
//! `cargo run --release --example own_scheduler -p servesim-sim`.
//!
//! The policy: chunked prefill whose chunks are small while somebody decodes, and as large as a step while nobody does. With
//! one chunk size for both, small chunks waste steps that stall nobody, and large ones stall those that decode.
//!
//! And an order of one's own, in which requests that wait are let in.

use std::fmt::Write as _;

use profiles::cost::{AnalyticCost, CostOptions};
use profiles::{DeviceSpec, ModelSpec};
use sim::{
    Action, Admission, DeploymentSpec, EngineSpec, KvSpec, Measures, OwnPolicy, Policy, QueueKey, QueueOrder,
    ReplicaSpec, Reserve, Role, RouterSpec, Scheduler, SchedulerSpec, Slos, Statistics, StepView, offline::Side,
    simulate,
};
use workloads::{Arrivals, Bounds, Cut, Lengths, RequestLengths, Synthetic, WorkloadSpec};

/// Most prompt tokens in a step with decodes.
const BESIDE_DECODES: u32 = 256;
/// Most tokens of a step.
const MAX_NUM_BATCHED_TOKENS: u32 = 4096;
/// Requests per second that leave the engine little time.
const CLOSE_TO_SATURATION: f64 = 22.0;

// begin: the policy
/// Small chunks beside decodes, whole steps otherwise.
struct ConsiderateChunks {
    max_num_batched_tokens: u32,
}

impl Scheduler for ConsiderateChunks {
    fn next(&self, view: &StepView) -> Action {
        // Decodes first: they are why the rest of the step is small.
        if !view.running_done {
            return Action::Decode;
        }
        let prompt_tokens = self.max_num_batched_tokens - view.decodes - view.budget;
        let limit = if view.decodes > 0 { BESIDE_DECODES } else { self.max_num_batched_tokens };
        let tokens = view.budget.min(limit.saturating_sub(prompt_tokens));
        if tokens == 0 {
            return Action::Run;
        }
        // Prompts that are under way, in the order in which they were let in.
        if view.continued < view.prefilling {
            return Action::Continue { tokens };
        }
        if view.may_admit() && !view.out_of_memory {
            return Action::Admit(Admission {
                from: Side::Left,
                tokens,
                whole: false,
                reserve: Reserve::Prompt,
                require_prompt: false,
                keep_free: 0,
            });
        }
        Action::Run
    }
}

/// The policy, as the engine takes it.
const CONSIDERATE: Policy = Policy::Own(OwnPolicy {
    name: "considerate-chunks",
    make: |spec, _kv, _layers| Box::new(ConsiderateChunks { max_num_batched_tokens: spec.max_num_batched_tokens }),
});
// end: the policy

// begin: the order
/// Short prompts first, but a long one yields only to those that come within 0.2 ms for every token that it is longer.
const AGED: QueueOrder = QueueOrder::ByKey(QueueKey {
    name: "aged-shortest-first",
    of: |waiting| waiting.arrival.as_nanos() + 200_000 * u64::from(waiting.prompt_tokens),
});
// end: the order

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    for (what, found) in [("policy", compare(3000)?), ("order", compare_orders(3000)?)] {
        writeln!(text, "{what:<21} {:>13} {:>12} {:>12}", "mean TTFT ms", "p99 TTFT ms", "p99 TBT ms")?;
        for (name, Latencies { ttft, tbt }) in found {
            let [mean, p99, stall] = [ttft.mean_ns, ttft.p99_ns, tbt.p99_ns].map(|ns| ns / 1e6);
            writeln!(text, "{name:<21} {mean:>13.1} {p99:>12.1} {stall:>12.1}")?;
        }
    }
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(())
}

/// What requests met with.
pub(crate) struct Latencies {
    pub(crate) ttft: Statistics,
    pub(crate) tbt: Statistics,
}

/// Sarathi-Serve with small and with large chunks, and the policy above, on the same `requests` requests.
pub(crate) fn compare(requests: u64) -> Result<Vec<(&'static str, Latencies)>, Box<dyn std::error::Error>> {
    let systems = [
        ("sarathi, 256 tokens", Policy::Sarathi, BESIDE_DECODES),
        ("sarathi, 4096 tokens", Policy::Sarathi, MAX_NUM_BATCHED_TOKENS),
        ("considerate chunks", CONSIDERATE, MAX_NUM_BATCHED_TOKENS),
    ];
    let run = |(name, policy, max_num_batched_tokens)| {
        let scheduler = SchedulerSpec { policy, max_num_batched_tokens, max_num_seqs: 256, order: QueueOrder::Fcfs };
        Ok((name, run(scheduler, 2.0, requests)?))
    };
    systems.into_iter().map(run).collect()
}

/// Requests as they come, the shortest prompt first and the order above, close to what the engine can serve.
pub(crate) fn compare_orders(requests: u64) -> Result<Vec<(&'static str, Latencies)>, Box<dyn std::error::Error>> {
    let orders = [
        ("as they come", QueueOrder::Fcfs),
        ("shortest prompt first", QueueOrder::SHORTEST_PROMPT_FIRST),
        ("aged shortest first", AGED),
    ];
    let run = |(name, order)| {
        let policy = Policy::Sarathi;
        let scheduler = SchedulerSpec { policy, max_num_batched_tokens: 1024, max_num_seqs: 256, order };
        Ok((name, run(scheduler, CLOSE_TO_SATURATION, requests)?))
    };
    orders.into_iter().map(run).collect()
}

/// Llama-3.1-8B on one H100 under Poisson arrivals, so many per second.
fn run(scheduler: SchedulerSpec, rate: f64, requests: u64) -> Result<Latencies, Box<dyn std::error::Error>> {
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B")?;
    let device = DeviceSpec::shipped("H100-SXM-80GB")?;
    let lengths = |mean, sd, max| Lengths::Normal { mean, sd, bounds: Bounds { min: 2, max, cut: Cut::Clamp } };
    let lengths =
        RequestLengths::Independent { input: lengths(1500.0, 1000.0, 8000), output: lengths(60.0, 30.0, 200) };
    let mut source = Synthetic::new(&WorkloadSpec::new(Arrivals::Poisson { rate }, lengths, requests), 1)?;
    let replica = ReplicaSpec {
        role: Role::Serve,
        scheduler,
        kv: KvSpec { block_size: 16, blocks: 27_000, prefix_caching: false },
        checkpoints: None,
        max_model_len: 16_384,
        cost: Box::new(AnalyticCost::new(&CostOptions::new(&model, &device))?),
        sliding_window: None,
        devices: 1,
        idle_power_w: device.idle_power_w,
        engine: EngineSpec::default(),
    };
    let deployment =
        DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None };
    let mut measures = Measures::new(Slos::default(), None);
    simulate(deployment, &mut source, &mut measures)?;
    let none = "every request was answered";
    Ok(Latencies { ttft: measures.ttft().statistics().ok_or(none)?, tbt: measures.gaps().statistics().ok_or(none)? })
}
