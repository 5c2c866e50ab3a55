//! Routed experts: how many of them a step touches, and what that costs.

use super::layer::Context;
use super::load::{ACTIVATION_BYTES, Load, NS_PER_S, NS_PER_US};
use super::measured;
use super::options::{ExpertRouting, PrefillCoverage};
use super::tables::MOST_TABULATED;
use super::{Evidence, Operator};
use crate::fitted::{CompiledExperts, ExpertsLoad, ExpertsShape, FittedKernel, FittedProfile, KernelFormat};
use crate::model::ExpertFfn;
use crate::parallel::DType;
use crate::predict::ExpertsCurve;
use crate::predict::experts::ExpertsLoad as TableLoad;

/// Share of a layer's experts that rows leave untouched, by the number of rows.
#[derive(Clone, Debug)]
struct Untouched {
    law: Law,
    table: Vec<f64>,
    /// Share of the rows that choose the most popular expert.
    most_popular: f64,
}

/// How the share of touched experts grows with the rows.
#[derive(Clone, Debug)]
pub(super) enum Law {
    /// Each row touches each expert with this probability, independently.
    Uniform(f64),
    /// The same with a probability for each expert.
    Popularity(Vec<f64>),
    /// Points `(log₂ rows, share touched)`, ascending, the first at one row.
    Curve(Vec<(f64, f64)>),
}

impl Untouched {
    /// A table for up to `rows` rows. The one of a popularity goes beyond what is tabulated otherwise: raising the share of
    /// every expert to a power is slow, and rounds in another way than the table's products.
    fn new(law: Law, rows: u32) -> Self {
        let table = match &law {
            Law::Popularity(popularity) => table_of_powers(popularity, rows),
            Law::Uniform(_) | Law::Curve(_) => (0..=rows.min(MOST_TABULATED)).map(|n| law.untouched(n)).collect(),
        };
        let most_popular = law.most_popular();
        Self { law, table, most_popular }
    }

    #[inline]
    fn by(&self, rows: u32) -> f64 {
        self.table.get(rows as usize).copied().unwrap_or_else(|| self.law.untouched(rows))
    }
}

impl Law {
    /// Popularity `pᵢ = min(1, c·i⁻ˢ)` with `c` such that the sum is `chosen`.
    pub(super) fn zipf(experts: u32, chosen: f64, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=experts).map(|rank| f64::from(rank).powf(-exponent)).collect();
        // The most popular experts reach 1; the rest share what is left in proportion to their weights.
        let mut certain = 0;
        loop {
            let scale = (chosen - certain as f64) / weights[certain..].iter().sum::<f64>();
            match weights.get(certain) {
                Some(weight) if weight * scale >= 1.0 && ((certain + 1) as f64) < chosen => certain += 1,
                _ => {
                    let popularity = |(index, weight): (usize, &f64)| {
                        if index < certain { 1.0 } else { (weight * scale).min(1.0) }
                    };
                    return Self::Popularity(weights.iter().enumerate().map(popularity).collect());
                }
            }
        }
    }

    /// Through measured points `(rows, share touched)`, and `share` at one row.
    pub(super) fn curve(share: f64, points: &[(u32, f64)]) -> Self {
        let points = points.iter().map(|&(rows, share)| (f64::from(rows).log2(), share));
        Self::Curve(std::iter::once((0.0, share)).chain(points).collect())
    }

    /// Share of the rows that choose the most popular expert. A measured curve does not tell, and experts then count as
    /// equally popular.
    fn most_popular(&self) -> f64 {
        match self {
            Self::Uniform(probability) => *probability,
            Self::Popularity(popularity) => popularity[0],
            Self::Curve(points) => points[0].1,
        }
    }

    pub(super) fn untouched(&self, rows: u32) -> f64 {
        match self {
            _ if rows == 0 => 1.0,
            Self::Uniform(probability) => (1.0 - probability).powf(f64::from(rows)),
            Self::Popularity(popularity) => {
                let rows = f64::from(rows);
                popularity.iter().map(|p| (1.0 - p).powf(rows)).sum::<f64>() / popularity.len() as f64
            }
            Self::Curve(points) => {
                let x = f64::from(rows).log2();
                let right = points.partition_point(|point| point.0 < x).clamp(1, points.len() - 1);
                let ((x0, y0), (x1, y1)) = (points[right - 1], points[right]);
                1.0 - (y0 + (y1 - y0) * (x - x0) / (x1 - x0)).clamp(0.0, 1.0)
            }
        }
    }
}

/// Mean over experts of `(1 − p)ⁿ` for n from 0 to `rows`, by repeated multiplication.
fn table_of_powers(popularity: &[f64], rows: u32) -> Vec<f64> {
    let factors: Vec<f64> = popularity.iter().map(|p| 1.0 - p).collect();
    let mut powers = vec![1.0; factors.len()];
    let mut table = Vec::with_capacity(rows as usize + 1);
    for _ in 0..=rows {
        table.push(powers.iter().sum::<f64>() / powers.len() as f64);
        for (power, factor) in powers.iter_mut().zip(&factors) {
            *power *= factor;
        }
    }
    table
}

/// Time of a layer's experts and what it stands on, and the experts touched on this GPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpertsPrice {
    pub(super) ns: f64,
    pub(super) evidence: Evidence,
    pub(super) touched: f64,
}

/// Routed experts of one kind of layer on one of the GPUs that share it.
#[derive(Clone, Debug)]
pub(super) struct ExpertsCost {
    /// Experts on this GPU.
    experts: f64,
    prefill: Untouched,
    decode: Untouched,
    /// Data-parallel ranks whose rows meet at these experts.
    ranks: u32,
    floor_ns: f64,
    memory_ns_per_expert: f64,
    memory_ns_per_row: f64,
    compute_ns_per_expert: f64,
    compute_ns_per_row: f64,
    flops_per_row: f64,
    peak_ns_per_flop: f64,
    bytes_per_expert: f64,
    bytes_per_row: f64,
    /// Rows that reach this GPU's experts per row of this rank.
    busiest: f64,
    /// By the device's fitted profile, which the coefficients of time then are silent beside.
    fitted: Option<CompiledExperts>,
    /// Between measured layers, which comes before all else.
    measured: Option<ExpertsCurve>,
    evidence: Evidence,
}

impl ExpertsCost {
    /// Cost of experts `slice` as one GPU holds them, of a layer with `all_experts`, with tables for up to `rows` rows.
    pub(super) fn new(slice: &ExpertFfn, all_experts: u32, rows: u32, context: &Context<'_>) -> Self {
        let options = context.options;
        let device = options.device;
        let activations = options.precision.activations;
        let (curve, fitted_width) = context.curves.experts.at(activations != DType::Bf16);
        let formats: &[KernelFormat] = if activations == DType::Bf16 {
            &[KernelFormat::Bf16]
        } else {
            &[KernelFormat::Fp8Block, KernelFormat::Fp8]
        };
        let kernel = context.fitted.and_then(|profile| FittedProfile::first(&profile.experts, formats));
        let (hidden, width) = (context.hidden(), f64::from(slice.intermediate_size));
        let matrices = if slice.gated { 3.0 } else { 2.0 };
        let ranks = options.parallelism.data_parallel_size;
        let expert_ranks = options.parallelism.expert_ranks();
        let (prefill, decode) = coverage(&options.routing, all_experts, slice.top_k, rows * ranks);
        // Assignments of rows to experts that reach this GPU, per row of this rank.
        let assignments = f64::from(slice.top_k * ranks) / f64::from(expert_ranks);
        let busiest = assignments * busiest_share(&decode.law, expert_ranks);
        let bytes_per_expert = matrices * hidden * width * options.precision.weights.bytes_per_element();
        let activation_bytes = (2.0 * hidden + matrices * width) * ACTIVATION_BYTES;
        let flops = 2.0 * matrices * hidden * width;
        let peak = context.peak(activations);
        let ns_per_byte = NS_PER_S / (device.memory_bandwidth * curve.memory);
        let ns_per_flop = NS_PER_S / (peak * curve.compute);
        let same = options.precision.weights == activations && activations != DType::Int8;
        let shape = ExpertsShape {
            hidden,
            width,
            matrices,
            experts: f64::from(slice.experts),
            chosen: f64::from(slice.top_k),
            weight_bytes: options.precision.weights.bytes_per_element(),
            peak,
        };
        let compile =
            |kernel: &FittedKernel| CompiledExperts::new(shape, kernel.floor_us * NS_PER_US, &kernel.surface, device);
        let evidence = match kernel {
            Some(_) if same => Evidence::Fitted,
            Some(_) => Evidence::Extrapolated,
            None => curve.fitted.evidence(device, fitted_width && same),
        };
        Self {
            experts: f64::from(slice.experts),
            prefill,
            decode,
            ranks,
            floor_ns: curve.floor_us * NS_PER_US,
            memory_ns_per_expert: bytes_per_expert * ns_per_byte,
            memory_ns_per_row: busiest * curve.activation_passes * activation_bytes * ns_per_byte,
            compute_ns_per_expert: flops * curve.tile_rows / 2.0 * ns_per_flop,
            compute_ns_per_row: busiest * flops * ns_per_flop,
            flops_per_row: assignments * flops,
            peak_ns_per_flop: NS_PER_S / peak,
            bytes_per_expert,
            bytes_per_row: assignments * activation_bytes,
            busiest,
            fitted: kernel.map(compile),
            measured: measured::experts(slice, all_experts, context),
            evidence,
        }
    }

    /// What the experts cost for these rows in one layer.
    ///
    /// Prompts and generating requests choose independently: what both leave untouched is the product of the shares.
    #[inline]
    pub(super) fn price(&self, prefill_rows: u32, decode_rows: u32) -> ExpertsPrice {
        let rows = f64::from(prefill_rows + decode_rows);
        if rows == 0.0 {
            return ExpertsPrice { ns: 0.0, evidence: self.evidence, touched: 0.0 };
        }
        let untouched = self.prefill.by(prefill_rows * self.ranks) * self.decode.by(decode_rows * self.ranks);
        let touched = self.experts * (1.0 - untouched);
        if let Some(measured) = &self.measured {
            let load = TableLoad { touched, assignments: rows * self.busiest };
            let (ns, evidence) = measured.ns((prefill_rows + decode_rows) * self.ranks, load);
            return ExpertsPrice { ns, evidence, touched };
        }
        if let Some(fitted) = &self.fitted {
            let rows_here = rows * self.busiest;
            let busiest_rows = f64::from(prefill_rows * self.ranks) * self.prefill.most_popular
                + f64::from(decode_rows * self.ranks) * self.decode.most_popular;
            let load = ExpertsLoad { tokens: rows * f64::from(self.ranks), rows: rows_here, touched, busiest_rows };
            return ExpertsPrice { ns: fitted.time_ns(&load), evidence: self.evidence, touched };
        }
        let memory = touched * self.memory_ns_per_expert + rows * self.memory_ns_per_row;
        let compute = touched * self.compute_ns_per_expert + rows * self.compute_ns_per_row;
        let ns = self.floor_ns + (memory * memory + compute * compute).sqrt();
        ExpertsPrice { ns, evidence: self.evidence, touched }
    }

    /// What so many rows and touched experts cost, without time.
    pub(super) fn load(&self, rows: f64, touched: f64) -> (Operator, Load) {
        let flops = rows * self.flops_per_row;
        let necessary_bytes = self.weight_bytes(touched);
        let load = Load {
            flops,
            useful_flops: flops,
            at_peak_ns: flops * self.peak_ns_per_flop,
            memory_bytes: necessary_bytes + rows * self.bytes_per_row,
            necessary_bytes,
            ..Load::default()
        };
        (Operator::Experts, load)
    }

    /// Bytes of weights of so many experts as this GPU holds them.
    pub(super) fn weight_bytes(&self, touched: f64) -> f64 {
        touched * self.bytes_per_expert
    }
}

/// Untouched shares by prefill and by decode rows.
fn coverage(routing: &ExpertRouting, experts: u32, chosen: u32, rows: u32) -> (Untouched, Untouched) {
    let share = f64::from(chosen) / f64::from(experts);
    let zipf = |exponent| Untouched::new(Law::zipf(experts, f64::from(chosen), exponent), rows);
    match routing {
        ExpertRouting::Uniform => {
            let uniform = Untouched::new(Law::Uniform(share), rows);
            (uniform.clone(), uniform)
        }
        ExpertRouting::Zipf { decode_exponent, prefill: PrefillCoverage::Exponent(exponent) } => {
            (zipf(*exponent), zipf(*decode_exponent))
        }
        ExpertRouting::Zipf { decode_exponent, prefill: PrefillCoverage::Curve(points) } => {
            (Untouched::new(Law::curve(share, points), rows), zipf(*decode_exponent))
        }
    }
}

/// Load of the busiest of `ranks` GPUs over the mean, when experts are dealt out in the order of their popularity.
fn busiest_share(law: &Law, ranks: u32) -> f64 {
    match law {
        Law::Popularity(popularity) if ranks > 1 => {
            let busiest: f64 = popularity.iter().step_by(ranks as usize).sum();
            busiest * f64::from(ranks) / popularity.iter().sum::<f64>()
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zipf_coverage(exponent: f64, rows: u32) -> f64 {
        1.0 - Law::zipf(128, 8.0, exponent).untouched(rows)
    }

    #[test]
    fn zipf_popularity_sums_to_the_experts_chosen_and_never_exceeds_one() {
        for exponent in [0.0, 0.5, 1.2, 3.0] {
            let Law::Popularity(popularity) = Law::zipf(128, 8.0, exponent) else { panic!("zipf is a popularity") };
            assert!((popularity.iter().sum::<f64>() - 8.0).abs() < 1e-9, "exponent {exponent}");
            assert!(popularity.iter().all(|&p| p > 0.0 && p <= 1.0), "exponent {exponent}");
        }
    }

    /// *Layered Prefill*, table 1: decode batches of Qwen3-30B-A3B.
    #[test]
    fn zipf_of_1_2_reproduces_the_measured_decode_coverage() {
        for (rows, measured) in [(32, 0.55), (128, 0.863)] {
            assert!((zipf_coverage(1.2, rows) - measured).abs() < 0.03, "{rows} rows");
        }
        // "Below 0.50" and "below 0.70", with the same tolerance.
        for (rows, below) in [(16, 0.5), (64, 0.7)] {
            println!("{rows} rows: {:.3}, published below {below}", zipf_coverage(1.2, rows));
            assert!(zipf_coverage(1.2, rows) < below + 0.03, "{rows} rows");
        }
        assert!(zipf_coverage(1.2, 16) < 0.5, "it needs no tolerance");
    }

    #[test]
    fn tables_agree_with_the_law_they_were_made_from() {
        let untouched = Untouched::new(Law::zipf(64, 6.0, 1.1), 300);
        for rows in [0, 1, 7, 299, 300] {
            assert!((untouched.by(rows) - untouched.law.untouched(rows)).abs() < 1e-12);
        }
        assert!(untouched.by(301) < untouched.by(300), "beyond the table the law goes on");
    }

    #[test]
    fn a_curve_passes_through_its_points_and_goes_on_to_one() {
        let law = Law::Curve(vec![(0.0, 8.0 / 128.0), (9.0, 0.82), (13.0, 0.985)]);
        assert!((law.untouched(1) - 120.0 / 128.0).abs() < 1e-12, "one row touches k experts");
        assert!((law.untouched(512) - 0.18).abs() < 1e-12);
        assert!((law.untouched(8192) - 0.015).abs() < 1e-12);
        assert!(law.untouched(1 << 20) == 0.0);
    }
}
