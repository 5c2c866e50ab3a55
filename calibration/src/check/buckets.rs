//! Sizes by which errors are told apart.

use profiles::table::{PassPhase, PassRow};

use crate::work::Work;

/// The bucket of a kernel: its place among those of its kind, and its name.
pub(super) fn of(work: &Work) -> (usize, String) {
    let (size, unit, bounds): (f64, &str, &[f64]) = match work {
        Work::Gemm { m, .. } => (*m, "rows", &[16.0, 256.0, 4096.0]),
        Work::Prefill { work, .. } => (work.tokens, "tokens", &[256.0, 2048.0, 16_384.0]),
        Work::Decode { keys, .. } => (*keys, "tokens attended to", &[4096.0, 65_536.0, 1_048_576.0]),
        Work::Experts { load, .. } => (load.tokens, "tokens", &[16.0, 256.0, 4096.0]),
    };
    bucket(size, unit, bounds)
}

/// The same of a whole pass: prompts by the tokens that pass through the model, generation by requests.
pub(super) fn of_pass(row: &PassRow) -> (usize, String) {
    let requests = f64::from(row.requests);
    match row.phase {
        PassPhase::Prompt => bucket(requests * f64::from(row.new_tokens), "tokens", &[256.0, 2048.0, 16_384.0]),
        PassPhase::Token => bucket(requests, "requests", &[4.0, 16.0, 64.0]),
    }
}

fn bucket(size: f64, unit: &str, bounds: &[f64]) -> (usize, String) {
    let index = bounds.partition_point(|&bound| bound < size);
    let name = match (index.checked_sub(1).map(|below| bounds[below]), bounds.get(index)) {
        (None, Some(high)) => format!("up to {high} {unit}"),
        (Some(low), Some(high)) => format!("{} to {high} {unit}", low + 1.0),
        (Some(low), None) => format!("from {} {unit}", low + 1.0),
        (None, None) => unreachable!("there are bounds"),
    };
    (index, name)
}

#[cfg(test)]
mod tests {
    use profiles::fitted::GemmShape;

    use super::*;

    #[test]
    fn buckets_meet_without_a_gap() {
        let shape = GemmShape { n: 1024.0, k: 1024.0, weight_bytes: 2.0, activation_bytes: 2.0, peak: 1e15 };
        let name = |m: f64| of(&Work::Gemm { shape, m }).1;
        assert_eq!(name(16.0), "up to 16 rows");
        assert_eq!(name(17.0), "17 to 256 rows");
        assert_eq!(name(4096.0), "257 to 4096 rows");
        assert_eq!(name(4097.0), "from 4097 rows");
    }
}
