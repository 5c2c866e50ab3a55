//! Sharing a batch out to data-parallel ranks.

use super::demand::Work;
use super::plan::Plan;

/// Numbers of the requests for each of `ranks` ranks, each in the order of the plan.
///
/// The first rank takes from both ends of the plan, from the left as long as what it has is less dense than the batch, until it
/// has its share of the work; then the next one (*`BlendServe`*, section on data parallelism). Each gets two contiguous parts of
/// the plan, so that at each cut one path of shared prefixes is computed once more.
///
/// # Panics
/// If there are no ranks.
pub fn cut(plan: &Plan, ranks: u32) -> Vec<Vec<u32>> {
    assert!(ranks > 0, "work is shared out to somebody");
    let all_ns: f64 = plan.work.iter().map(|work| work.compute_ns + work.memory_ns).sum();
    let target_ns = all_ns / f64::from(ranks);
    let (mut left, mut right) = (0, plan.order.len());
    let mut cuts = Vec::new();
    for rank in 1..=ranks {
        let mut sum = Work::default();
        let (first, last) = (left, right);
        while left < right && (rank == ranks || sum.compute_ns + sum.memory_ns < target_ns) {
            let place = if sum.compute_ns < plan.density * sum.memory_ns || left == first && right == last {
                left += 1;
                left - 1
            } else {
                right -= 1;
                right
            };
            sum.compute_ns += plan.work[place].compute_ns;
            sum.memory_ns += plan.work[place].memory_ns;
        }
        cuts.push([&plan.order[first..left], &plan.order[right..last]].concat());
    }
    cuts
}
