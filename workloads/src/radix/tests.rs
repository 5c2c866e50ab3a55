//! The tree against a list of prompts, and the layout after each change.

use proptest::prelude::*;

use super::*;

fn spans(pairs: &[(u64, u32)]) -> Vec<Span> {
    pairs.iter().map(|&(content, tokens)| Span { content: ContentId(content), tokens }).collect()
}

fn tokens_of(prompt: &[Span]) -> Vec<(u64, u32)> {
    prompt.iter().flat_map(|span| (0..span.tokens).map(|offset| (span.content.0, offset))).collect()
}

fn tokens_to(tree: &RadixTree, id: NodeId) -> Vec<(u64, u32)> {
    let run_tokens = |run: Run| (run.offset..run.offset + run.tokens).map(move |offset| (run.content.0, offset));
    tree.runs(id).into_iter().flat_map(run_tokens).collect()
}

fn common_prefix(a: &[(u64, u32)], b: &[(u64, u32)]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Links, depths, edges and the index agree with each other.
fn check(tree: &RadixTree) {
    let ids: Vec<NodeId> = tree.pre_order(NodeId::ROOT).collect();
    assert_eq!(ids.len(), tree.len(), "a walk meets every node once");
    assert_eq!(ids.last(), Some(&tree.last_in_pre_order()));
    for &id in &ids {
        let children: Vec<NodeId> = tree.children(id).collect();
        assert_eq!(children.len(), tree.child_count(id) as usize);
        assert_eq!(tree.node(id).last_child.some(), children.last().copied());
        for (place, &child) in children.iter().enumerate() {
            assert_eq!(tree.parent(child), Some(id));
            assert_eq!(tree.node(child).previous.some(), place.checked_sub(1).map(|before| children[before]));
            let first = tree.edge(child)[0];
            assert_eq!(tree.child_with(id, first.content, first.offset), Some(child), "found by its first token");
            let tokens: u32 = tree.edge(child).iter().map(|run| run.tokens).sum();
            assert_eq!(tree.edge_tokens(child), tokens, "depth and edge agree");
            let continues =
                |pair: &[Run]| pair[0].content == pair[1].content && pair[0].offset + pair[0].tokens == pair[1].offset;
            assert!(!tree.edge(child).windows(2).any(continues), "equal tokens are equal runs");
        }
    }
    let indexed: u32 = ids.iter().map(|&id| tree.child_count(id)).filter(|&count| count > SCANNED).sum();
    assert_eq!(tree.index.len(), indexed as usize, "the index holds nothing of nodes that are gone");
}

/// Prompts over few contents, so that they meet, leave each other within spans, and begin with each other.
fn prompt() -> impl Strategy<Value = Vec<Span>> {
    let span = (0_u64..7, 1_u32..4).prop_map(|(content, tokens)| Span { content: ContentId(content), tokens });
    prop::collection::vec(span, 0..5)
}

proptest! {
    #[test]
    fn every_prompt_is_found_where_it_was_put(prompts in prop::collection::vec(prompt(), 1..40)) {
        let mut tree = RadixTree::new();
        let mut seen: Vec<Vec<(u64, u32)>> = Vec::new();
        let mut ends = Vec::new();
        for prompt in &prompts {
            let tokens = tokens_of(prompt);
            let longest = seen.iter().map(|other| common_prefix(other, &tokens)).max().unwrap_or(0);
            prop_assert_eq!(tree.find(prompt).common_tokens() as usize, longest, "the longest prefix seen before");
            let inserted = tree.insert(prompt);
            prop_assert_eq!(inserted.found.common_tokens() as usize, longest);
            ends.push(inserted.end);
            seen.push(tokens);
            check(&tree);
        }
        for ((prompt, end), tokens) in prompts.iter().zip(ends).zip(seen) {
            let found = Match { node: end, tokens: tokens.len() as u32, partial: None };
            prop_assert_eq!(tree.find(prompt), found, "a node keeps its name through later splits");
            prop_assert_eq!(tokens_to(&tree, end), tokens, "the tree gives every prompt back");
        }
    }

    #[test]
    fn what_is_removed_is_forgotten_and_the_rest_stays(
        prompts in prop::collection::vec(prompt(), 1..30),
        removals in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let mut tree = RadixTree::new();
        for prompt in &prompts {
            tree.insert(prompt);
        }
        for removal in removals {
            let candidates: Vec<NodeId> =
                tree.pre_order(NodeId::ROOT).skip(1).filter(|&id| tree.child_count(id) <= 1).collect();
            if candidates.is_empty() {
                break;
            }
            let id = candidates[removal.index(candidates.len())];
            let leaves = |tree: &RadixTree| -> Vec<Vec<(u64, u32)>> {
                let leaves = tree.pre_order(NodeId::ROOT).filter(|&id| tree.child_count(id) == 0);
                leaves.map(|id| tokens_to(tree, id)).collect()
            };
            let before = leaves(&tree);
            if tree.child_count(id) == 0 {
                let (gone, siblings) = (tokens_to(&tree, id), tree.child_count(tree.parent(id).unwrap()));
                let parent = tree.remove_leaf(id);
                let mut expected = before.clone();
                let place = expected.iter().position(|leaf| *leaf == gone).unwrap();
                if siblings == 1 {
                    expected[place] = tokens_to(&tree, parent);
                } else {
                    expected.remove(place);
                }
                prop_assert_eq!(leaves(&tree), expected, "all other prompts are there, in the same order");
            } else {
                tree.merge_into_only_child(id);
                prop_assert_eq!(leaves(&tree), before, "a merge moves tokens down and loses none");
            }
            check(&tree);
        }
    }
}

#[test]
fn a_prompt_that_leaves_an_edge_halfway_splits_it_in_place() {
    let mut tree = RadixTree::new();
    let first = tree.insert(&spans(&[(1, 10), (2, 10)])).end;
    let second = tree.insert(&spans(&[(9, 5)])).end;
    let inserted = tree.insert(&spans(&[(1, 10), (2, 4), (3, 1)]));
    let (branch, leaf) = (inserted.branch.unwrap(), inserted.leaf.unwrap());
    assert_eq!(inserted.found, Match { node: NodeId::ROOT, tokens: 0, partial: Some((first, 14)) });
    assert_eq!(tree.children(NodeId::ROOT).collect::<Vec<_>>(), [branch, second], "in the place of what it split");
    assert_eq!(tree.children(branch).collect::<Vec<_>>(), [first, leaf]);
    assert_eq!([branch, first, leaf].map(|id| tree.depth_tokens(id)), [14, 20, 15]);
    assert_eq!(tree.edge(first), [Run { content: ContentId(2), offset: 4, tokens: 6 }]);
}

#[test]
fn a_prompt_that_begins_another_ends_at_a_node_without_a_leaf() {
    let mut tree = RadixTree::new();
    let long = tree.insert(&spans(&[(1, 10), (2, 10)])).end;
    let short = tree.insert(&spans(&[(1, 10)]));
    assert_eq!((short.leaf, short.branch), (None, Some(short.end)));
    assert_eq!(tree.parent(long), Some(short.end));
    assert_eq!(tree.insert(&spans(&[(1, 10)])).end, short.end, "again: nothing new");
    assert_eq!(tree.len(), 3);
}

#[test]
fn an_empty_prompt_ends_at_the_root() {
    let mut tree = RadixTree::new();
    assert_eq!(tree.insert(&[]).end, NodeId::ROOT);
    assert!(tree.is_empty());
}
