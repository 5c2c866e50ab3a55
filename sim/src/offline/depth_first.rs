//! Requests in depth-first order of the tree of their prompts.

use workloads::Span;
use workloads::radix::RadixTree;

/// The numbers of the prompts in depth-first order: where prompts part, first what came first; a prompt that others go on
/// from before them; equal prompts as they came.
pub(crate) fn depth_first<'a>(prompts: impl Iterator<Item = &'a [Span]>) -> Vec<u32> {
    let mut tree = RadixTree::new();
    let ends: Vec<usize> = prompts.map(|prompt| tree.insert(prompt).end.index()).collect();
    // The place of each node in that order.
    let mut place = vec![0_u32; tree.slots()];
    for (number, node) in (0..).zip(tree.pre_order(workloads::radix::NodeId::ROOT)) {
        place[node.index()] = number;
    }
    let mut order: Vec<u32> = (0..ends.len() as u32).collect();
    order.sort_by_key(|&number| place[ends[number as usize]]);
    order
}

#[cfg(test)]
mod tests {
    use workloads::ContentId;

    use super::*;

    fn prompt(pieces: &[(u64, u32)]) -> Vec<Span> {
        pieces.iter().map(|&(content, tokens)| Span { content: ContentId::shared(content), tokens }).collect()
    }

    #[test]
    fn prompts_that_share_a_prefix_follow_each_other_in_the_order_in_which_they_came() {
        let prompts = [
            prompt(&[(1, 10), (10, 5)]),
            prompt(&[(2, 10), (20, 5)]),
            prompt(&[(1, 10), (11, 5)]),
            prompt(&[(2, 10)]),
            prompt(&[(1, 7), (12, 5)]),
            prompt(&[(1, 10), (10, 5)]),
        ];
        // 0, 5 and 2 share ten tokens, 4 seven of them; 3 is where 1 goes on from.
        assert_eq!(depth_first(prompts.iter().map(Vec::as_slice)), [0, 5, 2, 4, 3, 1]);
    }
}
