//! How long answers will be, from those of a few.

use workloads::radix::{NodeId, RadixTree};
use workloads::stream;

/// Which of `requests` requests are answered beforehand: each with probability `share`, drawn by the first 53 bits of the
/// stream `("output-sample", request)` of `seed`; the first one in any case.
pub fn sampled(seed: u64, share: f64, requests: usize) -> Vec<bool> {
    use rand::RngExt;
    let draw = |request: usize| stream(seed, "output-sample", request as u64).random::<f64>() < share;
    (0..requests).map(|request| request == 0 || draw(request)).collect()
}

/// Expected answers, in tokens: of requests that were `sampled` their own length, of others the mean of those in the smallest
/// subtree around the end of their prompt that has any (*`BlendServe`*: the subtree's own, or its siblings').
///
/// `ends` says where in the tree each prompt ends, `outputs` how long its answer is.
///
/// # Panics
/// If nobody was sampled.
pub fn estimate_outputs(tree: &RadixTree, ends: &[NodeId], outputs: &[u32], sampled: &[bool]) -> Vec<f64> {
    let order: Vec<NodeId> = tree.pre_order(NodeId::ROOT).collect();
    // Sum and number of the sampled answers in each subtree.
    let mut known = vec![(0.0, 0_u32); tree.slots()];
    for ((end, &output), _) in ends.iter().zip(outputs).zip(sampled).filter(|(_, sampled)| **sampled) {
        let (sum, count) = &mut known[end.index()];
        *sum += f64::from(output);
        *count += 1;
    }
    for &node in order.iter().rev() {
        if let Some(parent) = tree.parent(node) {
            let (sum, count) = known[node.index()];
            known[parent.index()].0 += sum;
            known[parent.index()].1 += count;
        }
    }
    assert!(known[NodeId::ROOT.index()].1 > 0, "nobody's answer is known");
    let mut means = vec![0.0; tree.slots()];
    for &node in &order {
        let (sum, count) = known[node.index()];
        means[node.index()] = match tree.parent(node) {
            Some(parent) if count == 0 => means[parent.index()],
            _ => sum / f64::from(count),
        };
    }
    let estimate = |((end, &output), &sampled): ((&NodeId, &u32), &bool)| {
        if sampled { f64::from(output) } else { means[end.index()] }
    };
    ends.iter().zip(outputs).zip(sampled).map(estimate).collect()
}

#[cfg(test)]
mod tests {
    use workloads::{ContentId, Span};

    use super::*;

    #[test]
    fn an_estimate_is_the_mean_of_the_nearest_relatives_that_are_known() {
        let span = |content, tokens| Span { content: ContentId::shared(content), tokens };
        let mut tree = RadixTree::new();
        let prompts = [
            [span(1, 10), span(10, 5)],
            [span(1, 10), span(11, 5)],
            [span(1, 10), span(12, 5)],
            [span(2, 10), span(20, 5)],
            [span(2, 10), span(20, 6)],
            [span(3, 10), span(30, 5)],
        ];
        let ends: Vec<NodeId> = prompts.iter().map(|prompt| tree.insert(prompt).end).collect();
        let sampled = [true, true, false, true, false, false];
        let estimates = estimate_outputs(&tree, &ends, &[100, 200, 999, 400, 999, 999], &sampled);
        // Of its siblings; of the prompt that it goes on from; of all that are known.
        assert_eq!(estimates, [100.0, 200.0, 150.0, 400.0, 400.0, 700.0 / 3.0]);
    }

    #[test]
    fn a_hundredth_is_sampled_the_same_for_the_same_seed() {
        let drawn = sampled(7, 0.01, 100_000);
        let count = drawn.iter().filter(|&&sampled| sampled).count();
        assert!((800..1200).contains(&count), "{count} of 100,000");
        assert_eq!(drawn, sampled(7, 0.01, 100_000));
        assert_eq!(sampled(7, 0.0, 3), [true, false, false], "somebody is known");
    }
}
