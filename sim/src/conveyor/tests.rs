//! Conveyors against formulas, and against a second implementation that keeps one queue of events.

use profiles::Passage;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use workloads::SimTime;

use super::Conveyor;

#[path = "../../tests/it/reference/conveyor.rs"]
mod events;

fn at(ns: u64) -> SimTime {
    SimTime::from_nanos(ns)
}

/// Slices of `slice_ns`, of which a tenth lies before the first attention, and no network.
fn plain(layers: u32, slice_ns: u64, attention_ns: u64) -> Passage {
    Passage {
        layers,
        first_slice_ns: slice_ns / 10,
        inner_slice_ns: slice_ns,
        last_slice_ns: slice_ns - slice_ns / 10,
        attention_ns,
        ..Passage::default()
    }
}

/// Runs `steps` steps of every batch, batch `j` from `j × stagger_ns` on; returns when the steps of each end.
fn run(batches: usize, steps: usize, stagger_ns: u64, passage: Passage) -> (Vec<Vec<u64>>, Conveyor) {
    let mut conveyor = Conveyor::new(batches);
    let mut ends = vec![Vec::new(); batches];
    for batch in 0..batches {
        let start = at(batch as u64 * stagger_ns);
        conveyor.start(batch, at(0), start, passage);
    }
    while let Some((end, batch)) = conveyor.next_end() {
        conveyor.end();
        ends[batch].push(end.as_nanos());
        if ends[batch].len() < steps {
            conveyor.start(batch, end, end, passage);
        }
    }
    (ends, conveyor)
}

#[test]
fn batches_that_fit_together_keep_every_worker_busy_and_never_wait() {
    for batches in 2..=5_u64 {
        let attention_ns = 1_000;
        let slice_ns = attention_ns * (batches - 1);
        let (layers, steps) = (80, 4);
        let passage = plain(layers, slice_ns, attention_ns);
        let (ends, conveyor) = run(batches as usize, steps, attention_ns, passage);
        let latency_ns = u64::from(layers) * slice_ns * batches / (batches - 1);
        for (batch, ends) in ends.iter().enumerate() {
            let first = batch as u64 * attention_ns;
            let expected: Vec<u64> = (1..=steps as u64).map(|step| first + step * latency_ns).collect();
            assert_eq!(*ends, expected, "batch {batch} of {batches}");
        }
        let books = conveyor.books();
        let all_steps = steps as u64 * batches;
        assert_eq!(books.pool.as_nanos(), all_steps * u64::from(layers) * attention_ns);
        // From the first query to the last output the pool has no gap: L·(n·t_a) per round of all batches.
        let elapsed = ends.last().and_then(|ends| ends.last()).expect("they ended") - passage.first_slice_ns;
        let pool_ends = elapsed - passage.last_slice_ns;
        assert_eq!(books.pool.as_nanos(), pool_ends, "the pool of {batches} batches idles");
        let models: u64 = books.models.iter().map(|busy| busy.as_nanos()).sum();
        assert_eq!(models, all_steps * u64::from(layers) * slice_ns);
    }
}

#[test]
fn the_slower_side_sets_the_pace() {
    let (layers, steps) = (40, 30);
    for (batches, slice_ns, attention_ns) in
        [(2, 1_000, 3_000), (2, 3_000, 1_000), (3, 2_000, 2_500), (4, 9_000, 1_000)]
    {
        let (ends, _) = run(batches, steps, 500, plain(layers, slice_ns, attention_ns));
        let last = &ends[0][steps - 10..];
        let latency_ns = (last[9] - last[0]) / 9;
        let n = batches as u64;
        let bound = (slice_ns + attention_ns).max(n * attention_ns).max(n * slice_ns / (n - 1)) * u64::from(layers);
        let error = latency_ns as f64 / bound as f64 - 1.0;
        assert!(
            (0.0..0.03).contains(&error),
            "{batches} batches, {slice_ns}, {attention_ns}: {latency_ns}, not {bound}"
        );
    }
}

#[test]
fn a_batch_alone_takes_the_sum_of_all_its_parts() {
    let passage = Passage {
        keys_after_query_ns: 0,
        merge_ns: 7,
        query_wire_ns: 11,
        keys_wire_ns: 13,
        output_wire_ns: 17,
        latency_ns: 100,
        ..plain(10, 1_000, 300)
    };
    let (ends, _) = run(1, 1, 0, passage);
    // The query is there first; the pool is done with the old tokens 300 later, long after the keys.
    assert_eq!(ends[0], [10 * (1_000 + 11 + 100 + 300 + 7 + 17 + 100)]);
}

#[test]
fn a_query_that_leaves_early_hides_attention_behind_the_rest_of_its_slice() {
    let late = Passage { merge_ns: 7, latency_ns: 50, ..plain(10, 1_000, 300) };
    let early = Passage { keys_after_query_ns: 200, first_slice_ns: 400, last_slice_ns: 600, ..late };
    let (late, _) = run(1, 1, 0, late);
    let (early, _) = run(1, 1, 0, early);
    assert_eq!(late[0][0] - early[0][0], 10 * 200);
    // Where the keys come last, they set the time and the old tokens are free.
    let hidden = Passage {
        keys_after_query_ns: 400,
        first_slice_ns: 400,
        last_slice_ns: 600,
        merge_ns: 7,
        latency_ns: 50,
        ..plain(10, 1_000, 300)
    };
    let (hidden, _) = run(1, 1, 0, hidden);
    assert_eq!(hidden[0][0], 10 * (1_000 + 50 + 7 + 50));
}

#[test]
fn context_that_changes_replicas_may_arrive_after_the_attention() {
    let passage = Passage { context_wire_ns: 5_000, ..plain(4, 1_000, 100) };
    let (two, _) = run(2, 1, 0, passage);
    let (three, _) = run(3, 1, 0, passage);
    assert!(three[0][0] >= 4 * 6_000, "with two replicas the context moves");
    assert!(two[0][0] < 4 * 6_000, "with one replica it stays");
}

#[test]
fn random_steps_end_when_the_second_implementation_says() {
    for seed in 0..300 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let batches = rng.random_range(1..=6);
        let mut conveyor = Conveyor::new(batches);
        let mut naive = events::Conveyor::new(batches);
        let mut idle: Vec<(u64, usize)> = (0..batches).map(|batch| (rng.random_range(0..5_000), batch)).collect();
        let mut left = 25;
        let mut ends = 0;
        loop {
            let start = idle.iter().copied().min();
            let end = conveyor.next_end();
            assert_eq!(end.map(|(end, batch)| (end.as_nanos(), batch)), naive.next_end(), "seed {seed}");
            match (start, end) {
                (_, Some((end, batch))) if start.is_none_or(|(start, _)| end.as_nanos() <= start) => {
                    conveyor.end();
                    naive.end();
                    ends += 1;
                    if left > 0 {
                        left -= 1;
                        let pause = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..20_000) };
                        idle.push((end.as_nanos() + pause, batch));
                    }
                }
                (Some((start, batch)), _) => {
                    idle.retain(|&(_, other)| other != batch);
                    let host = if rng.random_bool(0.7) { 0 } else { rng.random_range(0..3_000) };
                    let passage = random_passage(&mut rng);
                    conveyor.start(batch, at(start), at(start + host), passage);
                    naive.start(batch, start, start + host, passage);
                }
                (None, _) => break,
            }
        }
        assert_eq!(ends, batches + 25, "every step ends, seed {seed}");
        let books = conveyor.books();
        let busy: Vec<u64> = books.models.iter().chain([&books.pool]).map(|busy| busy.as_nanos()).collect();
        assert_eq!(busy, naive.busy(), "seed {seed}");
    }
}

fn random_passage(rng: &mut Xoshiro256PlusPlus) -> Passage {
    let coarse = if rng.random_bool(0.5) { 100 } else { 1 };
    let mut time = |most: u64| rng.random_range(0..=most / coarse) * coarse;
    Passage {
        first_slice_ns: time(500),
        inner_slice_ns: time(1_500),
        last_slice_ns: time(1_500) + 1,
        keys_after_query_ns: time(600),
        attention_ns: time(1_000),
        merge_ns: time(100),
        query_wire_ns: time(100),
        keys_wire_ns: time(200),
        output_wire_ns: time(100),
        context_wire_ns: time(300),
        latency_ns: time(400),
        layers: 1 + time(12).min(11) as u32,
    }
}
