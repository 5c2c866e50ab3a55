//! Collectives: what they take in a server, by law or as measured, and what comes on top between servers.

use super::Evidence;
use super::layer::Context;
use super::load::{ACTIVATION_BYTES, Basis, Load, NS_PER_S, NS_PER_US};
use super::options::Link;
use crate::kernels::Series;
use crate::table::CollectiveOperation;
use crate::topology::Between;

/// A collective operation over the GPUs that share a layer.
#[derive(Clone, Debug)]
pub(super) struct Collective {
    /// Bytes that each GPU sends.
    pub(super) link_bytes_per_row: f64,
    /// Among the GPUs of each server.
    inside: Inside,
    /// Between servers, where there are several.
    between: Option<BetweenServers>,
}

/// What an operation takes in one server: a floor and a term per row, or what was measured.
#[derive(Clone, Debug, Default)]
struct Inside {
    floor_ns: f64,
    ns_per_row: f64,
    /// Time of a second phase, and the rows from which it takes that in full.
    second_phase_ns: f64,
    second_phase_rows: f64,
    /// What was measured of it, over the bytes of the whole message, and those bytes per row.
    measured: Option<(Series, f64)>,
}

/// What an operation takes between servers.
///
/// Messages are cut into chunks that follow each other through both parts, as NCCL's do, so that the slower part decides and
/// the latencies add up.
#[derive(Clone, Debug)]
struct BetweenServers {
    floor_ns: f64,
    ns_per_row: f64,
    /// What was measured of the whole operation, as [`Inside::measured`].
    measured: Option<(Series, f64)>,
}

impl Inside {
    fn law_ns(&self, rows: f64) -> f64 {
        let second_phase_ns = if rows < self.second_phase_rows {
            self.second_phase_ns * rows / self.second_phase_rows
        } else {
            self.second_phase_ns
        };
        self.floor_ns + rows * self.ns_per_row + second_phase_ns
    }

    fn ns(&self, rows: f64) -> (f64, Basis) {
        looked_up(self.measured.as_ref(), rows, |rows| self.law_ns(rows))
    }
}

impl Collective {
    pub(super) fn load(&self, rows: u32) -> (Load, Basis) {
        let rows = f64::from(rows);
        let (time_ns, basis) = match &self.between {
            None => self.inside.ns(rows),
            Some(between) => {
                let together = |rows: f64| self.inside.ns(rows).0.max(rows * between.ns_per_row) + between.floor_ns;
                looked_up(between.measured.as_ref(), rows, together)
            }
        };
        (Load { time_ns, link_bytes: rows * self.link_bytes_per_row, ..Load::default() }, basis)
    }
}

/// The time for so many rows by measured points, if there are any, and by `law` beyond or without them.
fn looked_up(measured: Option<&(Series, f64)>, rows: f64, law: impl Fn(f64) -> f64) -> (f64, Basis) {
    let Some((series, bytes_per_row)) = measured else { return (law(rows), Basis::Curve) };
    let (time_ns, inside) = series.at(rows * bytes_per_row, |bytes| law(bytes / bytes_per_row));
    (time_ns, Basis::of_measured(inside))
}

impl Context<'_> {
    /// All-reduce of `width` activations per row over the tensor-parallel GPUs: each sends `2·(t − 1)/t` of the message
    /// (ring and two-shot algorithms alike). Over `s` servers, what is left of it on each of a server's GPUs when these have
    /// reduced is reduced over the servers: `2·(s − 1)/s` of the message leave each of them, there and back in
    /// `⌈log₂ s⌉` messages one after the other (a tree).
    pub(super) fn all_reduce(&self, width: f64) -> (Collective, Evidence) {
        let (ranks, between) = (self.tensor_ranks(), self.groups.tensor);
        let law = &self.laws.all_reduce;
        let here = here(ranks, between);
        let doublings = (here / 2.0).log2().max(0.0);
        let group = (doublings.ceil() as usize).min(2);
        let bytes_per_row = width * ACTIVATION_BYTES;
        let latency_ns = law.latency_us.map_or(self.link.latency_ns, |us| us * NS_PER_US);
        let inside = if here > 1.0 {
            let sent = 2.0 * (here - 1.0) / here * bytes_per_row;
            Inside {
                floor_ns: latency_ns + law.us_per_doubling * NS_PER_US * doublings,
                ns_per_row: sent * NS_PER_S / (self.link.bandwidth * law.efficiency[group]),
                second_phase_ns: law.second_phase_us[group] * NS_PER_US,
                second_phase_rows: law.second_phase_bytes / bytes_per_row,
                measured: self.measured_inside(CollectiveOperation::AllReduce, here, bytes_per_row),
            }
        } else {
            Inside { floor_ns: latency_ns, ..Inside::default() }
        };
        let between = between.map(|between| {
            let servers = f64::from(between.servers);
            let leaving = 2.0 * (servers - 1.0) / servers * bytes_per_row;
            let measured = self.measured_between(CollectiveOperation::AllReduce, between, bytes_per_row);
            BetweenServers::new(between, 2.0 * servers.log2().ceil(), leaving, measured)
        });
        let link_bytes_per_row = 2.0 * (ranks - 1.0) / ranks * bytes_per_row;
        let evidence = if between.is_some() { Evidence::Extrapolated } else { law.evidence };
        (Collective { link_bytes_per_row, inside, between }, evidence)
    }

    /// All-gather of a row of `width` activations of which each tensor-parallel GPU has its share: over `s` servers, `(s −
    /// 1)/s` of the message leave each of them.
    pub(super) fn all_gather(&self, width: f64) -> (Collective, Evidence) {
        let (ranks, between) = (self.tensor_ranks(), self.groups.tensor);
        let here = here(ranks, between);
        let bytes_per_row = width * ACTIVATION_BYTES;
        let inside = self.exchange_inside(
            (here - 1.0) / here * bytes_per_row,
            self.measured_inside(CollectiveOperation::AllGather, here, bytes_per_row),
        );
        let between = between.map(|between| {
            let servers = f64::from(between.servers);
            let measured = self.measured_between(CollectiveOperation::AllGather, between, bytes_per_row);
            let leaving = (servers - 1.0) / servers * bytes_per_row;
            BetweenServers::new(between, servers.log2().ceil(), leaving, measured)
        });
        let evidence = self.exchange_evidence(between.is_some());
        (Collective { link_bytes_per_row: (ranks - 1.0) / ranks * bytes_per_row, inside, between }, evidence)
    }

    /// Dispatch of rows to their experts' GPUs, or combination of what comes back: each GPU sends `bytes_per_row` for each of
    /// its rows, the same part of them to every GPU. All messages are under way at a time.
    pub(super) fn all_to_all(&self, bytes_per_row: f64) -> (Collective, Evidence) {
        let ranks = f64::from(self.options.parallelism.expert_ranks());
        let between = self.groups.experts;
        let here = here(ranks, between);
        let inside = self.exchange_inside(
            bytes_per_row * ((here - 1.0) / ranks),
            self.measured_inside(CollectiveOperation::AllToAll, here, bytes_per_row * here / ranks),
        );
        let between = between.map(|between| {
            let leaving = here * bytes_per_row * (ranks - here) / ranks;
            let measured = self.measured_between(CollectiveOperation::AllToAll, between, bytes_per_row);
            BetweenServers::new(between, 1.0, leaving, measured)
        });
        let evidence = self.exchange_evidence(between.is_some());
        (Collective { link_bytes_per_row: bytes_per_row * ((ranks - 1.0) / ranks), inside, between }, evidence)
    }

    /// An all-gather or all-to-all in one server, in which each GPU sends `sent` bytes per row.
    fn exchange_inside(&self, sent: f64, measured: Option<(Series, f64)>) -> Inside {
        let law = &self.laws.all_to_all;
        // The law is that of the device's own link; over another one, no message is quicker than its latency.
        let least_ns = if self.own_link() { 0.0 } else { self.link.latency_ns };
        Inside {
            floor_ns: (law.floor_us * NS_PER_US).max(least_ns),
            ns_per_row: sent * NS_PER_S / (self.link.bandwidth * law.efficiency),
            measured,
            ..Inside::default()
        }
    }

    fn exchange_evidence(&self, between_servers: bool) -> Evidence {
        if between_servers { Evidence::Extrapolated } else { self.laws.all_to_all.evidence }
    }

    /// Whether GPUs reach each other over the device's own link, which is what was measured and fitted.
    fn own_link(&self) -> bool {
        self.link == Link::between_peers(self.options.device)
    }

    /// What was measured of a collective over so many GPUs of a server, by bytes of its whole message, of which a row has
    /// `bytes_per_row`.
    fn measured_inside(&self, operation: CollectiveOperation, ranks: f64, bytes_per_row: f64) -> Option<(Series, f64)> {
        let kernels = self.options.kernels.filter(|_| self.own_link())?;
        Some((kernels.collectives.inside(operation, ranks as u32)?.clone(), bytes_per_row))
    }

    /// The same of one over several servers on this network.
    fn measured_between(
        &self,
        operation: CollectiveOperation,
        group: Between,
        bytes_per_row: f64,
    ) -> Option<(Series, f64)> {
        let (kernels, servers) = (self.options.kernels?, self.options.servers?);
        let ranks = group.servers * group.gpus_per_server;
        let series = kernels.collectives.between(operation, ranks, group.servers, servers.network)?;
        Some((series.clone(), bytes_per_row))
    }
}

impl BetweenServers {
    /// `messages` one after the other, and `leaving` bytes per row out of each server.
    fn new(between: Between, messages: f64, leaving: f64, measured: Option<(Series, f64)>) -> Self {
        Self {
            floor_ns: messages * between.latency_s * NS_PER_S,
            ns_per_row: leaving * NS_PER_S / between.bandwidth,
            measured,
        }
    }
}

/// GPUs of a group of `ranks` in one server.
fn here(ranks: f64, between: Option<Between>) -> f64 {
    between.map_or(ranks, |between| f64::from(between.gpus_per_server))
}
