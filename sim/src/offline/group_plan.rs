//! Groups of requests by prefix in the order of `BlendServe`: what either of both computes about a batch before it runs, on the
//! same groups.
//!
//! The tree of prompts has one level then, that of the groups: sorting its layers is sorting the groups, and there is nothing to
//! split. A prefix is computed once and lies in memory once, and its group is dense accordingly.

use workloads::radix::{NodeId, RadixTree};

use super::demand::{Demand, Work};
use super::dual_scan::ScanUnit;
use super::estimate::{estimate_outputs, sampled};
use super::plan::{BatchRequest, PlanOptions};
use super::units::{Item, merge};

/// Requests that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchGroup {
    /// Their numbers in the batch; at least one.
    pub members: Vec<u32>,
    /// Tokens that are computed once for all of them; 0 if nothing is.
    pub prefix_tokens: u32,
}

/// A batch of groups, prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPlan {
    /// Numbers of the groups, the most compute-heavy first; equal ones in their order.
    pub order: Vec<u32>,
    /// Units of consecutive groups.
    pub units: Vec<ScanUnit>,
    /// The unit of each group in `order`.
    pub unit_of: Vec<u32>,
    /// Expected answers by number of the request, in tokens (≥ 1).
    pub expected_output: Vec<u32>,
    /// Density of the whole batch.
    pub density: f64,
    /// What the requests demand with their true answers.
    pub demand: Work,
}

/// Prepares a batch of groups. `reads_once`: whether attention reads a prefix once for all members that generate, who are taken to
/// do so at the same time, as long as the longest of their answers.
pub fn prepare_groups<'a>(
    requests: impl ExactSizeIterator<Item = BatchRequest<'a>>,
    groups: &[BatchGroup],
    reads_once: bool,
    options: &PlanOptions,
) -> GroupPlan {
    let mut tree = RadixTree::new();
    let mut outputs = Vec::with_capacity(requests.len());
    let mut ends: Vec<NodeId> = Vec::with_capacity(requests.len());
    for request in requests {
        ends.push(tree.insert(request.prompt).end);
        outputs.push(request.output_tokens);
    }
    let mut known = sampled(options.seed, options.sample, ends.len());
    for (known, &output) in known.iter_mut().zip(&outputs) {
        *known |= output >= options.known_from_tokens;
    }
    let estimates = estimate_outputs(&tree, &ends, &outputs, &known);
    let expected_output: Vec<u32> = estimates.iter().map(|tokens| (tokens.round() as u32).max(1)).collect();
    let prompts: Vec<u32> = ends.iter().map(|&end| tree.depth_tokens(end)).collect();
    let price = Price { prompts: &prompts, reads_once, demand: options.demand };
    let items: Vec<Item> = groups.iter().map(|group| price.item(group, &expected_output)).collect();
    let mut order: Vec<u32> = (0..groups.len() as u32).collect();
    let density = |group: u32| items[group as usize].work.density();
    order.sort_by(|&a, &b| density(b).total_cmp(&density(a)));
    let (units, unit_of) = merge(order.iter().map(|&group| items[group as usize]), options.unit_tokens);
    let sum = |works: &mut dyn Iterator<Item = Work>| works.fold(Work::default(), Work::plus);
    GroupPlan {
        density: sum(&mut items.iter().map(|item| item.work)).density(),
        demand: sum(&mut groups.iter().map(|group| price.item(group, &outputs).work)),
        order,
        units,
        unit_of,
        expected_output,
    }
}

struct Price<'a> {
    prompts: &'a [u32],
    reads_once: bool,
    demand: Demand,
}

impl Price<'_> {
    /// What a group comes to with these answers.
    fn item(&self, group: &BatchGroup, outputs: &[u32]) -> Item {
        let prefix = f64::from(group.prefix_tokens);
        let mut item = Item { requests: group.members.len() as u32, prompt: prefix, ..Item::default() };
        let mut longest: f64 = 0.0;
        for &member in &group.members {
            let (prompt, output) = (self.prompts[member as usize], f64::from(outputs[member as usize]));
            let work = self.demand.work(prompt, output);
            item.work.compute_ns += work.compute_ns - self.demand.prompt_ns(group.prefix_tokens);
            item.work.memory_ns += work.memory_ns;
            if self.reads_once {
                item.work.memory_ns -= prefix * output * self.demand.memory_ns_per_context_token;
            }
            item.prompt += f64::from(prompt) - prefix;
            item.output += output;
            longest = longest.max(output);
        }
        item.work.compute_ns += self.demand.prompt_ns(group.prefix_tokens);
        if self.reads_once {
            item.work.memory_ns += prefix * longest * self.demand.memory_ns_per_context_token;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use workloads::{ContentId, Span};

    use super::super::demand::tests::llama_3_8b_on_a100;
    use super::*;

    fn span(content: u64, tokens: u32) -> Span {
        Span { content: ContentId::shared(content), tokens }
    }

    /// A group of two behind 1000 tokens, one of three behind 2000, and a request alone.
    fn batch() -> (Vec<(Vec<Span>, u32)>, Vec<BatchGroup>) {
        let requests = vec![
            (vec![span(1, 1000), span(10, 50)], 20),
            (vec![span(2, 2000), span(20, 50)], 300),
            (vec![span(1, 1000), span(11, 70)], 40),
            (vec![span(3, 100)], 4000),
            (vec![span(2, 2000), span(21, 60)], 100),
            (vec![span(2, 2000), span(22, 70)], 200),
        ];
        let group = |members: &[u32], prefix_tokens| BatchGroup { members: members.to_vec(), prefix_tokens };
        (requests, vec![group(&[3], 0), group(&[1, 4, 5], 2000), group(&[0, 2], 1000)])
    }

    fn plan(reads_once: bool) -> GroupPlan {
        let (requests, groups) = batch();
        let options = PlanOptions {
            demand: llama_3_8b_on_a100(),
            sample: 1.0,
            known_from_tokens: u32::MAX,
            kept_sharing: 1.0,
            unit_tokens: 1.0,
            seed: 1,
        };
        let requests = requests.iter().map(|(prompt, output)| BatchRequest { prompt, output_tokens: *output });
        prepare_groups(requests, &groups, reads_once, &options)
    }

    #[test]
    fn groups_are_sorted_by_the_density_that_sharing_leaves_them() {
        let plan = plan(true);
        assert_eq!(plan.order, [2, 1, 0], "short answers, then those behind the long prefix, then the long one alone");
        assert_eq!(plan.expected_output, [20, 300, 40, 4000, 100, 200]);
        let demand = llama_3_8b_on_a100();
        let (token, context) = (demand.compute_ns_per_token, demand.memory_ns_per_context_token);
        let square = |tokens: f64| tokens * tokens * demand.compute_ns_per_squared_token;
        // The prefix once, what follows it with its attention to the prefix, and the answers.
        let attention = square(1000.0) + (square(1050.0) - square(1000.0)) + (square(1070.0) - square(1000.0));
        let compute = (1000.0 + 50.0 + 70.0 + 60.0) * token + attention;
        let memory = (50.0 * 20.0 + 200.0 + 70.0 * 40.0 + 800.0 + 1000.0 * 40.0) * context;
        let unit = plan.units[0];
        assert!((unit.density / (compute / memory) - 1.0).abs() < 1e-12, "{unit:?}");
        assert!((unit.prompt - 560.0).abs() < 1e-12 && (unit.output - 30.0).abs() < 1e-12, "{unit:?}");
        assert_eq!(unit.requests, 2);
    }

    #[test]
    fn a_prefix_that_every_member_reads_makes_its_group_need_more_memory() {
        let (once, each) = (plan(true), plan(false));
        let context = llama_3_8b_on_a100().memory_ns_per_context_token;
        let more = (1000.0 * (60.0 - 40.0) + 2000.0 * (600.0 - 300.0)) * context;
        assert!((each.demand.memory_ns - once.demand.memory_ns - more).abs() < 1e-3, "{each:?}");
        assert!((each.demand.compute_ns - once.demand.compute_ns).abs() < 1e-3);
        assert!(each.density < once.density);
    }
}
