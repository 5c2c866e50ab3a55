use std::collections::BTreeSet;

use super::*;
use crate::numbers::i32_values;
use crate::replay::schedule::ScheduledPiece;
use crate::replay::testing::{run, steps};

const BLOCK: u32 = 16;

fn step() -> ScheduledStep {
    let mut step = steps(1).remove(0);
    let piece = |request, new_tokens, context_tokens, completes| ScheduledPiece {
        request,
        new_tokens,
        context_tokens,
        completes,
    };
    step.prefill = vec![piece(7, 40, 0, true), piece(8, 5, 30, false), piece(9, 1, 16, true)];
    step.decode = vec![(1, 1), (2, 16), (3, 17), (4, 100)];
    step.sampled = 6;
    step
}

fn lists(step: &ScheduledStep, rows: u32) -> StepLists {
    let shard = Shard::new(&run("a", 1), Some(2)).expect("it can be executed");
    let layout = Layout { shard: &shard, step, rows, multiprocessors: 132, draws: None };
    StepLists::new(&layout, &mut BlockTables::new(1000, BLOCK, 1))
}

impl StepLists {
    fn list(&self, (start, bytes): (usize, usize)) -> Vec<i32> {
        i32_values(&self.bytes[start..start + bytes])
    }
}

/// What attention reads at a position of a request is what was written there: both go through the same table.
#[test]
fn every_token_lies_where_the_table_of_its_request_says() {
    let step = step();
    let lists = lists(&step, 50);
    let (positions, slots) = (lists.list(lists.starts.positions), lists.list(lists.starts.slots));
    let tables = |of: (usize, usize), max_pages: u64| -> Vec<Vec<i32>> {
        lists.list(of).chunks(max_pages as usize).map(<[i32]>::to_vec).collect()
    };
    let decode_tables = tables(lists.starts.decode_tables, lists.max_pages[1]);
    let prefill_tables = tables(lists.starts.prefill_tables, lists.max_pages[0]);
    let mut rows = positions.iter().zip(&slots);
    let mut check = |table: &[i32], wanted: u32| {
        let (&position, &slot) = rows.next().expect("a row for each token");
        assert_eq!(position, wanted as i32);
        let block = table[(wanted / BLOCK) as usize];
        assert_eq!(slot, block * BLOCK as i32 + (wanted % BLOCK) as i32);
    };
    for ((_, context), table) in step.decode.iter().zip(&decode_tables) {
        check(table, context - 1);
    }
    for (piece, table) in step.prefill.iter().zip(&prefill_tables) {
        for position in piece.context_tokens..piece.context_tokens + piece.new_tokens {
            check(table, position);
        }
    }
    assert_eq!(rows.next(), None, "50 rows need no padding");
    let different: BTreeSet<i32> = slots.iter().copied().collect();
    assert_eq!(different.len(), slots.len(), "no two tokens share a place");
}

#[test]
fn padding_writes_behind_the_pool_and_reads_tokens_that_exist() {
    let step = step();
    let lists = lists(&step, 56);
    let slots = lists.list(lists.starts.slots);
    assert_eq!(slots.len(), 56);
    assert!(slots[..50].iter().all(|&slot| slot < 1000 * BLOCK as i32));
    assert_eq!(slots[50..], [1000 * BLOCK as i32; 6]);
    let vocabulary = run("a", 1).model.vocab_size as i32;
    let tokens = lists.list(lists.starts.tokens);
    assert!(tokens.len() == 56 && tokens.iter().all(|token| (0..vocabulary).contains(token)));
}

#[test]
fn logits_are_those_of_decoding_requests_and_of_the_ends_of_prompts() {
    let lists = lists(&step(), 50);
    // Rows 0 to 3 decode; prompts lie in rows 4 to 43, 44 to 48 and 49, and the second one does not complete.
    assert_eq!(lists.list(lists.starts.sampled), [0, 1, 2, 3, 43, 49]);
}

#[test]
fn lists_do_not_overlap_and_each_starts_where_kernels_may_read() {
    let lists = lists(&step(), 50);
    let starts = &lists.starts;
    let mut all = vec![starts.tokens, starts.positions, starts.slots, starts.sampled];
    all.extend([starts.prefill_tables, starts.decode_tables]);
    all.extend(starts.prefill.iter().chain(&starts.decode).chain(&starts.chosen));
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{all:?}");
    assert!(all.iter().all(|(start, _)| start % ALIGNMENT == 0));
}
