//! What a replica has spent, kept as counts and sums small enough to add to in every step.

use std::collections::BTreeMap;

use super::attention::{DecodeSums, PrefillSums};
use super::energy::Energy;
use super::load::{ByEvidence, Load, Timed};
use super::parts::{Hidden, StepParts};
use super::tables::Tables;
use super::{CostTotals, Evidence, Operator};

/// How often each number occurred.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Of numbers below [`Counts::DENSE`], as far as they occurred.
    small: Vec<u64>,
    large: BTreeMap<u32, u64>,
}

impl Counts {
    const DENSE: usize = 1 << 15;

    #[inline]
    pub(super) fn add(&mut self, number: u32, times: u64) {
        match self.small.get_mut(number as usize) {
            Some(count) => *count += times,
            None => self.add_new(number, times),
        }
    }

    #[cold]
    fn add_new(&mut self, number: u32, times: u64) {
        let index = number as usize;
        if index < Self::DENSE {
            self.small.resize(index + 1, 0);
            self.small[index] = times;
        } else {
            *self.large.entry(number).or_default() += times;
        }
    }

    /// Numbers that occurred, with how often, in ascending order.
    fn iter(&self) -> impl Iterator<Item = (u32, f64)> {
        let small = self.small.iter().enumerate().map(|(number, times)| (number as u32, *times));
        let large = self.large.iter().map(|(number, times)| (*number, *times));
        small.chain(large).filter(|(_, times)| *times > 0).map(|(number, times)| (number, times as f64))
    }
}

/// Attention of one kind of layer, summed over layers and steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AttentionBook {
    prefill_time: ByEvidence,
    prefill: PrefillSums,
    decode_time: ByEvidence,
    decode: DecodeSums,
    /// Joules of prompt pieces and of generating requests, before the cap of a step.
    pub(super) prefill_j: f64,
    pub(super) decode_j: f64,
}

impl AttentionBook {
    /// Books prompt pieces that pass through `layers` layers.
    #[inline]
    pub(super) fn prefill(&mut self, layers: f64, time: Timed, sums: PrefillSums) {
        self.prefill_time.add(time.evidence, layers * time.ns);
        self.prefill.tokens += layers * sums.tokens;
        self.prefill.cached += layers * sums.cached;
        self.prefill.keys += layers * sums.keys;
        self.prefill.pairs += layers * sums.pairs;
    }

    /// Books generating requests that pass through `layers` layers.
    #[inline]
    pub(super) fn decode(&mut self, layers: f64, time: Timed, sums: DecodeSums) {
        self.decode_time.add(time.evidence, layers * time.ns);
        self.decode.add(layers, sums);
    }
}

/// Routed experts of one kind of layer, summed over layers and steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExpertsBook {
    pub(super) time: ByEvidence,
    pub(super) rows: f64,
    pub(super) touched: f64,
    /// Joules before the cap of a step.
    pub(super) joules: f64,
}

/// Scans of one kind of layer, summed over layers and steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScanBook {
    pub(super) ns: f64,
    pub(super) tokens: f64,
    pub(super) sequences: f64,
}

/// The books of a replica.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) steps: u64,
    /// Prompt pieces and generating requests.
    pub(super) requests: u64,
    /// Steps whose rows all passed through all layers, by rows.
    pub(super) whole: Counts,
    /// Layers passed in other steps, by kind of layer, by rows.
    pub(super) layers: Vec<Counts>,
    /// Embeddings and final norms in other steps, by rows.
    pub(super) embedded: Counts,
    pub(super) normalised: Counts,
    /// Steps by sampled positions.
    pub(super) sampled: Counts,
    pub(super) attention: Vec<AttentionBook>,
    pub(super) experts: Vec<ExpertsBook>,
    pub(super) scans: Vec<ScanBook>,
    /// Rows handed from stage to stage, once for each boundary.
    pub(super) handed_over: f64,
    /// Joules, each step within the board limit, and what they would be without the limit.
    pub(super) joules: f64,
    pub(super) uncapped_j: f64,
    pub(super) parts: StepParts,
    pub(super) hidden: Hidden,
}

impl Books {
    pub(super) fn new(tables: &Tables) -> Self {
        Self {
            steps: 0,
            requests: 0,
            whole: Counts::default(),
            layers: vec![Counts::default(); tables.kinds.len()],
            embedded: Counts::default(),
            normalised: Counts::default(),
            sampled: Counts::default(),
            attention: vec![AttentionBook::default(); tables.attention.len()],
            experts: vec![ExpertsBook::default(); tables.experts.len()],
            scans: vec![ScanBook::default(); tables.scans.len()],
            handed_over: 0.0,
            joules: 0.0,
            uncapped_j: 0.0,
            parts: StepParts::default(),
            hidden: Hidden::default(),
        }
    }

    /// Sums by operator, from the counts.
    pub(super) fn totals(&self, tables: &Tables) -> CostTotals {
        let totals =
            CostTotals { steps: self.steps, dynamic_energy_j: self.joules, parts: self.parts, ..CostTotals::default() };
        let mut sums = Sums { totals, gpus: tables.gpus, energy: &tables.energy };
        self.add_rows(tables, &mut sums);
        self.add_attention(tables, &mut sums);
        for (book, experts) in self.experts.iter().zip(&tables.experts) {
            sums.add_timed(book.time, book.joules, experts.cost.load(book.rows, book.touched));
            sums.totals.expert_load_bytes += experts.cost.weight_bytes(book.touched) * tables.gpus;
        }
        for (book, scan) in self.scans.iter().zip(&tables.scans) {
            let (operator, evidence, load) = scan.cost.load(book.tokens, book.sequences);
            sums.add(1.0, (operator, evidence, Load { time_ns: book.ns, ..load }));
        }
        sums.add(self.handed_over, (Operator::Handover, Evidence::Fitted, tables.handover_load));
        sums.hide(self.hidden);
        sums.share_out(self);
        let engine = &tables.engine;
        let host_ns = self.steps as f64 * engine.step_gap_ns + self.requests as f64 * engine.per_request_ns;
        sums.add_work(1.0, (Operator::Host, Evidence::Fitted, Load { time_ns: host_ns, ..Load::default() }));
        sums.totals
    }

    fn add_rows(&self, tables: &Tables, sums: &mut Sums) {
        for (rows, steps) in self.whole.iter() {
            for kind in &tables.kinds {
                for load in kind.cost.loads(rows, &tables.engine) {
                    sums.add(steps * kind.placement.all, load);
                }
            }
        }
        for (counts, kind) in self.layers.iter().zip(&tables.kinds) {
            for (rows, layers) in counts.iter() {
                for load in kind.cost.loads(rows, &tables.engine) {
                    sums.add(layers, load);
                }
            }
        }
        for (rows, steps) in self.whole.iter().chain(self.embedded.iter()) {
            tables.embedding.loads(rows).for_each(|load| sums.add(steps, load));
        }
        for (rows, steps) in self.whole.iter().chain(self.normalised.iter()) {
            tables.final_norm.loads(rows).for_each(|load| sums.add(steps, load));
        }
        for (sampled, steps) in self.sampled.iter() {
            tables.head.loads(sampled).for_each(|load| sums.add(steps, load));
        }
    }

    fn add_attention(&self, tables: &Tables, sums: &mut Sums) {
        for (book, attention) in self.attention.iter().zip(&tables.attention) {
            sums.add_timed(book.prefill_time, book.prefill_j, attention.cost.prefill_load(book.prefill));
            sums.add_timed(book.decode_time, book.decode_j, attention.cost.decode_load(book.decode));
        }
    }
}

/// Totals in the making.
struct Sums<'a> {
    totals: CostTotals,
    gpus: f64,
    energy: &'a Energy,
}

impl Sums<'_> {
    /// Adds a load of one GPU whose time and energy were booked apart.
    fn add_timed(&mut self, time: ByEvidence, joules: f64, (operator, load): (Operator, Load)) {
        self.add_work(1.0, (operator, Evidence::Measured, Load { time_ns: 0.0, ..load }));
        self.totals.operator_mut(operator).dynamic_energy_j += joules;
        let booked = &mut self.totals.operator_mut(operator).time_ns_by_evidence;
        for (sum, ns) in booked.iter_mut().zip(time.0) {
            *sum += ns;
        }
    }

    /// Takes hidden times off those of the operators, in proportion. The host's is not there yet.
    fn hide(&mut self, hidden: Hidden) {
        let memory_ns = self.totals.operator(Operator::DecodeAttention).time_ns();
        let compute_ns = self.totals.time_ns() - memory_ns;
        let left = |hidden: f64, all: f64| if hidden > 0.0 { 1.0 - hidden / all } else { 1.0 };
        let (memory, compute) = (left(hidden.memory_ns, memory_ns), left(hidden.compute_ns, compute_ns));
        // What hidden time would draw by itself goes likewise.
        let memory_j = self.totals.operator(Operator::DecodeAttention).dynamic_energy_j;
        let compute_j = self.totals.sum().dynamic_energy_j - memory_j;
        let of_memory = Hidden { compute_ns: 0.0, ..hidden };
        let of_compute = Hidden { memory_ns: 0.0, ..hidden };
        let memory_left = left(self.energy.busy_j(of_memory), memory_j);
        let compute_left = left(self.energy.busy_j(of_compute), compute_j);
        for operator in Operator::ALL {
            let is_memory = operator == Operator::DecodeAttention;
            let (factor, energy) = if is_memory { (memory, memory_left) } else { (compute, compute_left) };
            let totals = self.totals.operator_mut(operator);
            totals.time_ns_by_evidence.iter_mut().for_each(|ns| *ns *= factor);
            totals.dynamic_energy_j *= energy;
        }
    }

    /// Takes what the board limit cut off in its steps off the energy of all operators alike, so that they make up the whole.
    ///
    /// # Panics
    /// If what the operators drew is not what the steps drew.
    fn share_out(&mut self, books: &Books) {
        let sum_j = self.totals.sum().dynamic_energy_j;
        let gap_j = (sum_j - books.uncapped_j).abs();
        // The same terms in another order.
        assert!(gap_j <= 1e-7 * books.uncapped_j.abs(), "operators drew {sum_j} J, and steps {} J", books.uncapped_j);
        if books.joules < books.uncapped_j {
            for operator in Operator::ALL {
                self.totals.operator_mut(operator).dynamic_energy_j *= books.joules / books.uncapped_j;
            }
        }
    }

    /// Adds a load, which is that of one GPU, `times` times, with what it draws.
    fn add(&mut self, times: f64, load: (Operator, Evidence, Load)) {
        self.totals.operator_mut(load.0).dynamic_energy_j += times * self.energy.of(&load.2);
        self.add_work(times, load);
    }

    /// The same without what it draws.
    fn add_work(&mut self, times: f64, (operator, evidence, load): (Operator, Evidence, Load)) {
        let on_all = times * self.gpus;
        let entry = self.totals.operator_mut(operator);
        entry.time_ns_by_evidence[evidence as usize] += times * load.time_ns;
        entry.flops += on_all * load.flops;
        entry.memory_bytes += on_all * load.memory_bytes;
        entry.link_bytes += on_all * load.link_bytes;
        self.totals.useful_flops += on_all * load.useful_flops;
        self.totals.necessary_bytes += on_all * load.necessary_bytes;
    }
}
