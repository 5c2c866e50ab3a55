//! Prefix groups, as the public code of *`BatchLLM`* finds them: a trie of tokens, rebuilt in place.

use sim::FirstLevel;
use workloads::{ContentId, Span};

/// A token: what content it is of, and where in it.
type Token = (ContentId, u32);

#[derive(Default)]
struct Node {
    tokens: Vec<Token>,
    children: Vec<Node>,
    /// The prompt that ends here, of an empty node below the prompt's last token.
    prompt: Option<usize>,
}

/// The first level: tokens of each prefix, and the places of the prompts that begin with it. A prompt that shares nothing is
/// a prefix of its own.
pub(crate) fn groups(prompts: &[Vec<Span>], rule: FirstLevel) -> Vec<(u32, Vec<usize>)> {
    let mut root = Node::default();
    for (place, prompt) in prompts.iter().enumerate() {
        insert(&mut root, &spelled_out(prompt), place);
    }
    enlarge(&mut root, rule);
    let mut groups: Vec<_> = root
        .children
        .iter()
        .map(|child| {
            let mut members = prompts_of(child);
            members.sort_unstable();
            (child.tokens.len() as u32, members)
        })
        .collect();
    groups.sort_by_key(|(_, members)| members[0]);
    groups
}

fn spelled_out(prompt: &[Span]) -> Vec<Token> {
    prompt.iter().flat_map(|span| (0..span.tokens).map(|place| (span.content, place))).collect()
}

fn insert(node: &mut Node, tokens: &[Token], place: usize) {
    if tokens.is_empty() {
        node.children.push(Node { prompt: Some(place), ..Node::default() });
        return;
    }
    for child in &mut node.children {
        let common = child.tokens.iter().zip(tokens).take_while(|(left, right)| left == right).count();
        if common == 0 {
            continue;
        }
        if common < child.tokens.len() {
            let lower = Node { tokens: child.tokens.split_off(common), ..std::mem::take(child) };
            let upper = tokens[..common].to_vec();
            *child = Node { tokens: upper, children: vec![lower], prompt: None };
        }
        return insert(child, &tokens[common..], place);
    }
    let mut leaf = Node { tokens: tokens.to_vec(), ..Node::default() };
    insert(&mut leaf, &[], place);
    node.children.push(leaf);
}

fn prompts_of(node: &Node) -> Vec<usize> {
    node.prompt.into_iter().chain(node.children.iter().flat_map(prompts_of)).collect()
}

fn enlarge(node: &mut Node, rule: FirstLevel) {
    let mut siblings = Vec::new();
    for mut child in std::mem::take(&mut node.children) {
        if child.prompt.is_some() {
            siblings.push(child);
            continue;
        }
        enlarge(&mut child, rule);
        let lost = i64::try_from(child.tokens.len()).expect("few");
        let gain = |below: &Node| {
            let saved = (prompts_of(below).len() - 1) * below.tokens.len();
            i64::try_from(saved).expect("few") - lost
        };
        let gains: Vec<i64> = child.children.iter().map(gain).collect();
        let paying: i64 = gains.iter().filter(|gain| **gain > 0).sum();
        let all_pay = gains.iter().sum::<i64>() + lost > paying;
        let pays = |below: &Node| match rule {
            FirstLevel::AsIs => false,
            FirstLevel::Enlarged => gain(below) > 0,
            FirstLevel::EnlargedTogether => all_pay || gain(below) > 0,
        };
        let (up, stay): (Vec<Node>, Vec<Node>) = std::mem::take(&mut child.children).into_iter().partition(pays);
        for mut moved in up {
            moved.tokens = [child.tokens.clone(), moved.tokens].concat();
            siblings.push(moved);
        }
        child.children = stay;
        if child.children.len() == 1 {
            let only = child.children.remove(0);
            child.tokens.extend(only.tokens);
            (child.children, child.prompt) = (only.children, only.prompt);
        }
        if child.prompt.is_some() || !child.children.is_empty() {
            siblings.push(child);
        }
    }
    node.children = siblings;
}
