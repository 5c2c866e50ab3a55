//! Everything `BlendServe` computes about a batch before it runs.

use workloads::Span;
use workloads::radix::{NodeId, RadixTree};

use super::demand::{Demand, Work};
use super::dual_scan::ScanUnit;
use super::estimate::{estimate_outputs, sampled};
use super::tree::ResourceTree;
use super::units::{Item, merge};

/// A request of the batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchRequest<'a> {
    /// Its prompt.
    pub prompt: &'a [Span],
    /// Tokens of its answer, which only the answers of the sampled ones are estimated from.
    pub output_tokens: u32,
}

/// How a batch is prepared.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// Prices of compute and memory.
    pub demand: Demand,
    /// Share of the requests whose answers are known beforehand (`BlendServe`: 0.01).
    pub sample: f64,
    /// Answers of at least so many tokens are known beforehand: in the paper those of requests for images and videos.
    pub known_from_tokens: u32,
    /// Share of the sharing that sorting must leave (`BlendServe`: 0.99).
    pub kept_sharing: f64,
    /// Expected KV tokens, over the lives of its requests, up to which a unit of the scanner is merged of neighbours.
    pub unit_tokens: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// A batch, prepared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of the requests, in the order of the scan: the most compute-heavy first.
    pub order: Vec<u32>,
    /// Units of consecutive requests.
    pub units: Vec<ScanUnit>,
    /// The unit of each request in `order`.
    pub unit_of: Vec<u32>,
    /// Expected answers by number of the request, in tokens (≥ 1).
    pub expected_output: Vec<u32>,
    /// What each request in `order` demands beside what it shares with the one before it.
    pub work: Vec<Work>,
    /// Density of the whole batch.
    pub density: f64,
    /// What the requests demand with their true answers if each shared token is computed once.
    pub demand: Work,
    /// Prompt tokens that depth-first order would save at best ÷ all.
    pub sharing: f64,
    /// Share of that which survives sorting.
    pub kept_sharing: f64,
    /// Requests that were taken out of their subtree.
    pub moved: u32,
}

/// Prepares a batch; `given` is an order to keep instead of sorting by density.
pub fn prepare<'a>(
    requests: impl ExactSizeIterator<Item = BatchRequest<'a>>,
    given: Option<Vec<u32>>,
    options: &PlanOptions,
) -> Plan {
    let mut tree = RadixTree::new();
    let mut outputs = Vec::with_capacity(requests.len());
    let mut ends = Vec::with_capacity(requests.len());
    for request in requests {
        ends.push(tree.insert(request.prompt).end);
        outputs.push(request.output_tokens);
    }
    let mut sampled = sampled(options.seed, options.sample, ends.len());
    for (sampled, &output) in sampled.iter_mut().zip(&outputs) {
        *sampled |= output >= options.known_from_tokens;
    }
    let estimates = estimate_outputs(&tree, &ends, &outputs, &sampled);
    let mut resources = ResourceTree::new(&tree, &ends, &estimates, &options.demand);
    let (density, sharing) = (resources.root_density(), resources.sharing());
    let saved_ns = resources.saved_ns();
    let demand = demand(&tree, &ends, &outputs, saved_ns, &options.demand);
    let (order, kept_sharing, moved) = match given {
        Some(order) => (order, 1.0, 0),
        None => sort(&mut resources, options.kept_sharing),
    };
    drop(resources);
    let expected_output: Vec<u32> = estimates.iter().map(|tokens| (tokens.round() as u32).max(1)).collect();
    let work = works(&tree, &ends, &order, &expected_output, &options.demand);
    let item = |(&request, work): (&u32, &Work)| Item {
        requests: 1,
        work: *work,
        prompt: f64::from(tree.depth_tokens(ends[request as usize])),
        output: f64::from(expected_output[request as usize]),
    };
    let (units, unit_of) = merge(order.iter().zip(&work).map(item), options.unit_tokens);
    Plan { order, units, unit_of, expected_output, work, density, demand, sharing, kept_sharing, moved }
}

/// What requests of these answers demand if so much compute of their prompts is saved.
fn demand(tree: &RadixTree, ends: &[NodeId], outputs: &[u32], saved_ns: f64, demand: &Demand) -> Work {
    let mut sum = Work { compute_ns: -saved_ns, memory_ns: 0.0 };
    for (&end, &output) in ends.iter().zip(outputs) {
        let work = demand.work(tree.depth_tokens(end), f64::from(output));
        sum.compute_ns += work.compute_ns;
        sum.memory_ns += work.memory_ns;
    }
    sum
}

/// Order by density, with the share of sharing that survives and the leaves that were moved.
fn sort(resources: &mut ResourceTree, kept: f64) -> (Vec<u32>, f64, u32) {
    resources.sort_layers();
    let split = resources.split(kept);
    let mut order = Vec::new();
    let mut moved = 0;
    for &unit in &split.units {
        if split.moved[unit as usize] {
            moved += 1;
            order.extend(resources.node(unit).request);
        } else {
            resources.each_leaf(unit, |leaf| {
                if !split.moved[leaf as usize] {
                    order.extend(resources.node(leaf).request);
                }
            });
        }
    }
    let all = resources.node(super::tree::ROOT).saved_tokens;
    let kept = if all == 0 { 1.0 } else { split.saved_tokens as f64 / all as f64 };
    (order, kept, moved)
}

/// What each request demands beside what it shares with the one before it.
fn works(tree: &RadixTree, ends: &[NodeId], order: &[u32], outputs: &[u32], demand: &Demand) -> Vec<Work> {
    let mut before: Option<NodeId> = None;
    let work = |&request: &u32| {
        let end = ends[request as usize];
        let shared = before.replace(end).map_or(0, |before| common_tokens(tree, before, end));
        let mut work = demand.work(tree.depth_tokens(end), f64::from(outputs[request as usize]));
        work.compute_ns -= demand.prompt_ns(shared);
        work
    };
    order.iter().map(work).collect()
}

/// Tokens that two prompts have in common, by where they end.
fn common_tokens(tree: &RadixTree, mut a: NodeId, mut b: NodeId) -> u32 {
    while a != b {
        let lower = if tree.depth_tokens(a) >= tree.depth_tokens(b) { &mut a } else { &mut b };
        *lower = tree.parent(*lower).expect("two nodes have the root in common");
    }
    tree.depth_tokens(a)
}

#[cfg(test)]
mod tests {
    use workloads::ContentId;

    use super::super::cut;
    use super::super::demand::tests::llama_3_8b_on_a100;
    use super::*;

    /// Questions on 20 documents, short chats, and videos that share nothing; in turn.
    fn batch(requests: u64) -> Vec<(Vec<Span>, u32)> {
        let span = |content, tokens| Span { content, tokens };
        let request = |number: u64| {
            let own = ContentId::unique(number);
            let spread = (number * 7919 % 100) as u32;
            match number % 70 {
                0 => (vec![span(own, 100)], 8000 + 160 * spread),
                1..=20 => (vec![span(ContentId::shared(number % 20), 1500), span(own, 50 + spread)], 2 + spread / 10),
                _ => (vec![span(ContentId::shared(99), 40), span(own, 200 + 8 * spread)], 20 + spread),
            }
        };
        (0..requests).map(request).collect()
    }

    fn options() -> PlanOptions {
        let demand = llama_3_8b_on_a100();
        PlanOptions { demand, sample: 0.01, known_from_tokens: 2048, kept_sharing: 0.99, unit_tokens: 4000.0, seed: 3 }
    }

    fn plan(batch: &[(Vec<Span>, u32)], given: Option<Vec<u32>>) -> Plan {
        let requests = batch.iter().map(|(prompt, output)| BatchRequest { prompt, output_tokens: *output });
        prepare(requests, given, &options())
    }

    #[test]
    fn a_batch_is_sorted_by_density_and_keeps_its_sharing() {
        let batch = batch(20_000);
        let plan = plan(&batch, None);
        let mut numbers = plan.order.clone();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..20_000), "every request has one place");
        assert!(plan.kept_sharing >= 0.99, "sharing kept {}", plan.kept_sharing);
        // What is saved in this order, added up request by request.
        let saved = |place: usize| {
            let [before, here] = [place - 1, place].map(|place| &batch[plan.order[place] as usize].0);
            before.iter().zip(here).take_while(|(a, b)| a == b).map(|(a, _)| u64::from(a.tokens)).sum::<u64>()
        };
        let all: u64 = batch.iter().flat_map(|(prompt, _)| prompt).map(|span| u64::from(span.tokens)).sum();
        let in_order = (1..plan.order.len()).map(saved).sum::<u64>() as f64 / all as f64;
        assert!(in_order / plan.sharing >= 0.97, "{in_order} of {} is saved in this order", plan.sharing);
        let densities: Vec<f64> = plan.units.iter().map(|unit| unit.density).collect();
        let rising = densities.windows(2).filter(|pair| pair[1] > 2.0 * pair[0]).count();
        assert!(rising * 20 <= densities.len(), "{rising} of {} units rise", densities.len());
        assert!(densities[0] > 10.0 && densities[densities.len() - 1] < 0.2, "{densities:?}");
    }

    #[test]
    fn the_density_of_a_batch_is_the_compute_that_is_left_over_its_memory() {
        let batch = batch(700);
        let (mut left_ns, mut memory_ns) = (0.0, 0.0);
        let demand = options().demand;
        let plan = plan(&batch, None);
        for (number, (prompt, _)) in batch.iter().enumerate() {
            let tokens = prompt.iter().map(|span| span.tokens).sum();
            let work = demand.work(tokens, f64::from(plan.expected_output[number]));
            left_ns += work.compute_ns;
            memory_ns += work.memory_ns;
        }
        // 10 rounds: 20 documents of 200 questions in all, and 490 chats that share 40 tokens.
        left_ns -= 180.0 * demand.prompt_ns(1500) + 489.0 * demand.prompt_ns(40);
        assert!(
            (plan.density * memory_ns / left_ns - 1.0).abs() < 1e-3,
            "{} and {}",
            plan.density,
            left_ns / memory_ns
        );
    }

    #[test]
    fn a_given_order_stays() {
        let plan = plan(&batch(300), Some((0..300).rev().collect()));
        assert!(plan.order.iter().copied().eq((0..300).rev()));
        assert_eq!(plan.unit_of.len(), 300);
    }

    #[test]
    fn ranks_get_equal_work_of_equal_density_and_every_request_once() {
        let plan = plan(&batch(20_000), None);
        let cuts = cut(&plan, 4);
        let mut numbers = cuts.concat();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..20_000));
        let mut place_of = vec![0; 20_000];
        plan.order.iter().enumerate().for_each(|(place, &number)| place_of[number as usize] = place);
        let all: f64 = plan.work.iter().map(|work| work.compute_ns + work.memory_ns).sum();
        for cut in &cuts {
            let sum = cut.iter().fold(Work::default(), |sum, &number| {
                let work = plan.work[place_of[number as usize]];
                Work { compute_ns: sum.compute_ns + work.compute_ns, memory_ns: sum.memory_ns + work.memory_ns }
            });
            let share = (sum.compute_ns + sum.memory_ns) / all;
            assert!((share - 0.25).abs() < 0.01, "a rank has {share} of the work");
            assert!((sum.density() / plan.density - 1.0).abs() < 0.1, "{} and {}", sum.density(), plan.density);
        }
    }
}
