//! Small kernels and collectives: a floor and a part of a bandwidth.

use profiles::DeviceSpec;
use profiles::fitted::{AllReduceFit, AllToAllFit, ElementwiseFit};
use profiles::table::{CollectiveOperation, CollectiveRow, Header, Launch, Rows};

use super::Named;
use super::spread::Spread;

/// Times below which a floor of nothing is asked for.
const FEWEST_ROWS: usize = 5;
/// More than 1: small kernels find what the kernel before wrote in the L2.
const MOST_EFFICIENT: f64 = 4.0;
/// Fused kernels, as serving engines run them; others take several launches where they were timed.
const FUSED: [&str; 5] = ["rms_norm", "plain_rms_norm", "silu_mul", "rotary", "rotary_kv_append"];

/// Sizes of a message from which the second phase of an all-reduce may take its time in full.
const SECOND_PHASE_BYTES: [f64; 4] = [131_072.0, 262_144.0, 524_288.0, 1_048_576.0];

/// `floor + at_peak ÷ efficiency`, and a second phase that takes its time in full from `second_at` microseconds at peak on.
#[derive(Clone, Copy, Debug)]
struct Law {
    floor_us: f64,
    efficiency: f64,
    second_us: f64,
    second_at: f64,
}

impl Law {
    fn us(self, at_peak_us: f64) -> f64 {
        let second = if at_peak_us < self.second_at { at_peak_us / self.second_at } else { 1.0 };
        self.floor_us + at_peak_us / self.efficiency + self.second_us * second
    }

    /// Sum of the absolute logarithms of its errors.
    fn loss(self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|&(x, time)| (self.us(x) / time).ln().abs()).sum()
    }

    /// The same floor, with a second phase that takes its time in full from `second_at` on, and the efficiency beside it,
    /// where that is nearer to the points.
    fn with_second_phase(self, second_at: f64, points: &[(f64, f64)]) -> Self {
        let longest = points.iter().map(|point| point.1).fold(self.floor_us, f64::max);
        let best_efficiency = |second_us: f64| {
            let of = |efficiency: f64| Self { efficiency, second_us, second_at, ..self };
            of(least(0.005, MOST_EFFICIENT, |efficiency| of(efficiency).loss(points)))
        };
        let two_phases = best_efficiency(least(0.01, longest, |second_us| best_efficiency(second_us).loss(points)));
        if two_phases.loss(points) < self.loss(points) { two_phases } else { Self { second_at, ..self } }
    }

    /// The law with the least sum of absolute logarithms of its errors over `(time at peak, time)` in microseconds.
    fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < FEWEST_ROWS {
            return None;
        }
        let shortest = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let best_floor = |efficiency: f64| {
            let of = |part: f64| Self { floor_us: shortest * part, efficiency, second_us: 0.0, second_at: 0.0 };
            of(least(0.05, 3.0, |part| of(part).loss(points)))
        };
        let efficiency = least(0.005, MOST_EFFICIENT, |efficiency| best_floor(efficiency).loss(points));
        Some(best_floor(efficiency))
    }

    fn spread(self, points: &[(f64, f64)]) -> Spread {
        Spread::of(points.iter().map(|&(x, time)| self.us(x) / time - 1.0).collect()).expect("there are points")
    }
}

/// Where between two bounds (> 0) a function with one minimum is least: golden-section search over the logarithm.
fn least(low: f64, high: f64, function: impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    const ROUNDS: u32 = 40;
    let (mut low, mut high) = (low.ln(), high.ln());
    for _ in 0..ROUNDS {
        let (left, right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if function(left.exp()) < function(right.exp()) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high).exp()
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn told(header: &Header, spread: Spread) -> String {
    format!("{}; median error {:.0} %, p95 {:.0} %", header.source, spread.median, spread.p95)
}

/// Small kernels from the first table that has any fused ones.
pub(super) fn elementwise(device: &DeviceSpec, tables: &[Named]) -> Option<ElementwiseFit> {
    tables.iter().find_map(|Named { table, .. }| {
        let Rows::Elementwise(rows) = &table.rows else { return None };
        let fused = rows.iter().filter(|row| FUSED.contains(&row.operation.as_str()));
        let point = |bytes: u64, time_us: f64| (bytes as f64 / device.memory_bandwidth * 1e6, time_us);
        let points: Vec<_> = fused.map(|row| point(row.bytes, row.timing.time_us)).collect();
        let law = Law::fit(&points)?;
        let source = told(&table.header, law.spread(&points));
        Some(ElementwiseFit { kernel_us: rounded(law.floor_us), memory: rounded(law.efficiency), source })
    })
}

/// Part of the message that each GPU of an all-reduce sends.
fn sent(ranks: u32) -> f64 {
    2.0 * f64::from(ranks - 1) / f64::from(ranks)
}

/// Points of one collective over so many GPUs of one server.
fn points(rows: &[CollectiveRow], operation: CollectiveOperation, ranks: u32, device: &DeviceSpec) -> Vec<(f64, f64)> {
    let part = match operation {
        CollectiveOperation::AllReduce => sent(ranks),
        _ => f64::from(ranks - 1) / f64::from(ranks),
    };
    let of = |row: &&CollectiveRow| row.operation == operation && row.ranks == ranks && row.servers == 1;
    let point = |row: &CollectiveRow| (row.bytes as f64 * part / device.peer_bandwidth * 1e6, row.timing.time_us);
    rows.iter().filter(of).map(point).collect()
}

/// All-reduce from the first table that has it over two GPUs and was not launched kernel by kernel.
pub(super) fn all_reduce(device: &DeviceSpec, tables: &[Named]) -> Option<AllReduceFit> {
    tables.iter().filter(|named| named.table.header.launch != Launch::Eager).find_map(|Named { table, .. }| {
        let Rows::Collective(rows) = &table.rows else { return None };
        let of = |ranks| points(rows, CollectiveOperation::AllReduce, ranks, device);
        let groups = [of(2), of(4), of(8)];
        let two = Law::fit(&groups[0])?;
        let (four, eight) = (Law::fit(&groups[1]), Law::fit(&groups[2]));
        // A group that was not timed is as efficient as the next smaller one.
        let laws = [two, four.unwrap_or(two), eight.or(four).unwrap_or(two)];
        // The floors rise by about as much with each doubling, up to the largest group timed; never taken to fall.
        let rise_us = match (four, eight) {
            (_, Some(eight)) => (eight.floor_us - two.floor_us) / 2.0,
            (Some(four), None) => four.floor_us - two.floor_us,
            (None, None) => 0.0,
        };
        let us_per_doubling = rise_us.max(0.0);
        let floors = [0.0, 1.0, 2.0].map(|doublings| two.floor_us + us_per_doubling * doublings);
        let with_second_phase = |bytes: f64| -> [Law; 3] {
            std::array::from_fn(|group| {
                let law = Law { floor_us: floors[group], ..laws[group] };
                law.with_second_phase(bytes * sent(1_u32 << (group + 1)) / device.peer_bandwidth * 1e6, &groups[group])
            })
        };
        let loss = |laws: &[Law; 3]| laws.iter().zip(&groups).map(|(law, points)| law.loss(points)).sum::<f64>();
        let tried = SECOND_PHASE_BYTES.map(|bytes| (bytes, with_second_phase(bytes)));
        let (second_phase_bytes, laws) =
            tried.into_iter().min_by(|a, b| loss(&a.1).total_cmp(&loss(&b.1))).expect("sizes are tried");
        let mut errors = Vec::new();
        for (law, points) in laws.iter().zip(&groups) {
            errors.extend(points.iter().map(|&(x, time)| law.us(x) / time - 1.0));
        }
        Some(AllReduceFit {
            latency_us: rounded(two.floor_us),
            us_per_doubling: rounded(us_per_doubling),
            efficiency: laws.map(|law| rounded(law.efficiency)),
            second_phase_us: laws.map(|law| rounded(law.second_us)),
            second_phase_bytes,
            source: told(&table.header, Spread::of(errors)?),
        })
    })
}

/// All-to-all from the first table that has it, over any number of GPUs of one server.
pub(super) fn all_to_all(device: &DeviceSpec, tables: &[Named]) -> Option<AllToAllFit> {
    tables.iter().find_map(|Named { table, .. }| {
        let Rows::Collective(rows) = &table.rows else { return None };
        let of = |ranks| points(rows, CollectiveOperation::AllToAll, ranks, device);
        let points: Vec<_> = [2, 4, 8].into_iter().flat_map(of).collect();
        let law = Law::fit(&points)?;
        let source = told(&table.header, law.spread(&points));
        Some(AllToAllFit { floor_us: rounded(law.floor_us), efficiency: rounded(law.efficiency), source })
    })
}

#[cfg(test)]
mod tests {
    use profiles::table::{Cache, Kernel, KernelTable, Timing};

    use super::*;

    #[test]
    fn a_floor_and_an_efficiency_are_recovered_beside_wild_points() {
        let law = Law { floor_us: 4.0, efficiency: 0.7, second_us: 0.0, second_at: 0.0 };
        let mut points: Vec<_> = (-8..12).map(|i| f64::from(i).exp2()).map(|x| (x, law.us(x))).collect();
        points[3].1 *= 2.0;
        points[15].1 *= 0.6;
        let found = Law::fit(&points).expect("enough points");
        assert!((found.floor_us - 4.0).abs() < 0.04, "{found:?}");
        assert!((found.efficiency - 0.7).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn few_points_are_no_law() {
        assert!(Law::fit(&[(1.0, 2.0); 4]).is_none());
    }

    /// All-reduces over some numbers of GPUs whose floor rises by 1.5 us with each doubling.
    fn all_reduces(ranks: &[u32], device: &DeviceSpec) -> Vec<Named> {
        let row = |ranks: u32, exponent: u32| {
            let bytes = 1_u64 << exponent;
            let at_peak_us = bytes as f64 * 2.0 * f64::from(ranks - 1) / f64::from(ranks) / device.peer_bandwidth * 1e6;
            let time_us = 8.0 + 1.5 * f64::from(ranks.ilog2() - 1) + at_peak_us / 0.6;
            let (operation, library, servers) = (CollectiveOperation::AllReduce, "nccl".to_owned(), 1);
            CollectiveRow { operation, ranks, servers, bytes, library, timing: Timing::of_us(time_us) }
        };
        let rows = ranks.iter().flat_map(|&ranks| (10..28).map(move |exponent| (ranks, exponent)));
        let rows = Rows::Collective(rows.map(|(ranks, exponent)| row(ranks, exponent)).collect());
        let header =
            Header::new(Kernel::Collective, &device.name, Cache::Unknown, Launch::Graph, "a test", "2026-01-01");
        vec![Named { file: "collective.csv".to_owned(), table: KernelTable { header, rows } }]
    }

    #[test]
    fn floors_rise_by_what_the_largest_group_tells() {
        let device = DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped");
        for (ranks, rise_us) in [(&[2, 4, 8][..], 1.5), (&[2, 4], 1.5), (&[2, 8], 1.5), (&[2], 0.0)] {
            let fit = all_reduce(&device, &all_reduces(ranks, &device)).expect("two GPUs are there");
            assert!((fit.us_per_doubling - rise_us).abs() < 0.1, "{ranks:?}: {fit:?}");
            assert!(fit.efficiency.iter().all(|efficiency| (efficiency - 0.6).abs() < 0.02), "{ranks:?}: {fit:?}");
        }
    }
}
