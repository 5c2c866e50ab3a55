//! Several kinds of requests at once.

use std::collections::{BTreeMap, BTreeSet};

use workloads::{
    Arrivals, ContentId, Lengths, Mixture, Popularity, PrefixLength, PrefixSpec, PromptLengths, Request,
    RequestLengths, Source, Synthetic, Unserved, WorkloadSpec,
};

fn part(arrivals: Arrivals, requests: u64, tokens: u32) -> WorkloadSpec {
    let lengths =
        RequestLengths::Independent { input: Lengths::Uniform { min: 1, max: 99 }, output: Lengths::Fixed { tokens } };
    let prefix = PrefixSpec::SystemPrompts {
        prompts: PromptLengths::Given(vec![100, 300]),
        popularity: Popularity::Uniform,
        length: PrefixLength::OnTop,
    };
    WorkloadSpec { prefix, ..WorkloadSpec::new(arrivals, lengths, requests) }
}

fn all(source: impl Source) -> Vec<Request> {
    Unserved::new(source).map(Result::unwrap).collect()
}

/// Prompt and answer lengths, sorted.
fn lengths<'a>(requests: impl Iterator<Item = &'a Request>) -> Vec<(u32, u32)> {
    let mut lengths: Vec<_> = requests.map(|request| (request.prompt.tokens(), request.output_tokens)).collect();
    lengths.sort_unstable();
    lengths
}

#[test]
fn parts_keep_their_requests_and_share_no_content() {
    let parts = [part(Arrivals::AllAtOnce, 300, 1), part(Arrivals::AllAtOnce, 100, 2)];
    let requests = all(Mixture::new(&parts, 7).unwrap());
    assert_eq!(requests.iter().map(|request| request.id.0).collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
    let of = |tokens| requests.iter().filter(move |request| request.output_tokens == tokens);
    assert_eq!((of(1).count(), of(2).count()), (300, 100));
    let contents = |tokens| -> BTreeSet<ContentId> {
        of(tokens).flat_map(|request| request.prompt.spans()).map(|span| span.content).collect()
    };
    assert!(contents(1).is_disjoint(&contents(2)), "parts share content");
    let first_spans: BTreeSet<_> = of(1)
        .map(|request| request.prompt.spans()[0])
        .collect::<Vec<_>>()
        .into_iter()
        .map(|span| (span.content, span.tokens))
        .collect();
    assert_eq!(first_spans.len(), 2, "within a part prompts share what they shared");
}

/// Of 300 and 100 requests that are there at once, every stretch has about three to one.
#[test]
fn what_is_there_at_once_is_shuffled() {
    let parts = [part(Arrivals::AllAtOnce, 3000, 1), part(Arrivals::AllAtOnce, 1000, 2)];
    let requests = all(Mixture::new(&parts, 1).unwrap());
    for stretch in requests.chunks(400) {
        let second = stretch.iter().filter(|request| request.output_tokens == 2).count();
        assert!((65..=135).contains(&second), "{second} of 400 are of the part with a quarter of all");
    }
}

#[test]
fn parts_with_times_are_merged_in_order_and_a_part_alone_is_itself() {
    let poisson = |rate| Arrivals::poisson(rate).unwrap();
    let parts = [part(poisson(3.0), 200, 1), part(poisson(1.0), 100, 2)];
    let requests = all(Mixture::new(&parts, 3).unwrap());
    assert!(requests.is_sorted_by_key(|request| request.arrival), "arrivals run backwards");
    let mut by_part: BTreeMap<u32, usize> = BTreeMap::new();
    for request in &requests {
        *by_part.entry(request.output_tokens).or_default() += 1;
    }
    assert_eq!(by_part, BTreeMap::from([(1, 200), (2, 100)]));
    // The lengths of a part do not depend on the parts behind it.
    let alone = all(Mixture::new(&parts[..1], 3).unwrap());
    assert_eq!(lengths(alone.iter()), lengths(requests.iter().filter(|request| request.output_tokens == 1)));
    assert_ne!(lengths(alone.iter()), lengths(all(Synthetic::new(&parts[0], 3).unwrap()).iter()), "seeds are its own");
}

#[test]
fn a_mixture_of_nothing_is_refused() {
    let message = Mixture::new(&[], 0).unwrap_err().to_string();
    assert_eq!(message, "mixture: parts is 0, but it must be from 1 to 256");
}
