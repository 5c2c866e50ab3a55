//! Tables of one device put together: the first that has a shape is believed, the others complete it.

use std::collections::BTreeMap;

use super::KernelsError;
use super::plausible;
use crate::device::DeviceSpec;
use crate::table::{
    CollectiveRow, DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow, KernelTable, Launch, MixedAttentionRow,
    PrefillAttentionRow, Row, Rows, StateSpaceRow, TableWarning,
};
use crate::topology::Interconnect;

/// A table and the name of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTable {
    /// The file, as errors call it.
    pub file: String,
    /// What it holds.
    pub table: KernelTable,
}

/// Rows of all tables of a device, by kind, each shape once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// Matrix products.
    pub gemm: Vec<GemmRow>,
    /// Attention of prompts.
    pub prefill_attention: Vec<PrefillAttentionRow>,
    /// Attention of generating requests.
    pub decode_attention: Vec<DecodeAttentionRow>,
    /// Attention of both.
    pub mixed_attention: Vec<MixedAttentionRow>,
    /// Routed experts.
    pub experts: Vec<ExpertsRow>,
    /// State-space mixers.
    pub state_space: Vec<StateSpaceRow>,
    /// Small kernels.
    pub elementwise: Vec<ElementwiseRow>,
    /// Operations over several GPUs of one server.
    pub collective: Vec<CollectiveRow>,
    /// Operations over several servers, by the network between them.
    pub between_servers: Vec<(Interconnect, Vec<CollectiveRow>)>,
}

impl Joined {
    /// Joins tables in the order of belief.
    ///
    /// # Errors
    ///
    /// If a table is of another device, or its times are so far off the device's peaks that their unit must be wrong.
    pub fn new(device: &DeviceSpec, tables: &[NamedTable]) -> Result<(Self, Vec<TableWarning>), KernelsError> {
        let mut joined = Self::default();
        let mut warnings = Vec::new();
        for NamedTable { file, table } in tables {
            check_device(device, file, table)?;
            if table.is_empty() {
                warnings.push(not_used(file, table, "there are none"));
                continue;
            }
            if table.header.relative {
                warnings.push(not_used(file, table, "its times hold only relative to each other"));
                continue;
            }
            match &table.rows {
                Rows::Gemm(rows) => {
                    complete(&mut joined.gemm, plausible::keep(rows, device, file, &mut warnings)?);
                }
                Rows::PrefillAttention(rows) => {
                    complete(&mut joined.prefill_attention, plausible::keep(rows, device, file, &mut warnings)?);
                }
                Rows::DecodeAttention(rows) => {
                    complete(&mut joined.decode_attention, plausible::keep(rows, device, file, &mut warnings)?);
                }
                Rows::MixedAttention(rows) => {
                    complete(&mut joined.mixed_attention, plausible::keep(rows, device, file, &mut warnings)?);
                }
                Rows::Experts(rows) => {
                    complete(&mut joined.experts, plausible::keep(rows, device, file, &mut warnings)?);
                }
                Rows::StateSpace(rows) => {
                    complete(&mut joined.state_space, plausible::keep(rows, device, file, &mut warnings)?);
                    warnings.push(not_used(
                        file,
                        table,
                        "scans and updates of states are priced by the device's curves",
                    ));
                }
                Rows::Elementwise(_) | Rows::Collective(_) if table.header.launch == Launch::Eager => {
                    let why =
                        "a framework launched them one by one, and short kernels then take as long as their launch";
                    warnings.push(not_used(file, table, why));
                }
                Rows::Elementwise(rows) => {
                    complete(&mut joined.elementwise, plausible::keep(rows, device, file, &mut warnings)?);
                }
                Rows::Collective(rows) => {
                    let rows = plausible::keep(rows, device, file, &mut warnings)?;
                    let (inside, between) = rows.into_iter().partition::<Vec<_>, _>(|row| row.servers == 1);
                    let rows = of_one_library(&joined.collective, &inside);
                    complete(&mut joined.collective, rows);
                    warnings.extend(joined.add_between_servers(file, table, &between));
                }
                Rows::Overhead(_) => {
                    warnings.push(not_used(file, table, "the engine's overheads are set in the experiment"));
                }
                Rows::Pass(_) => {
                    let instead = "whole passes are what `servesim profiles check` compares with";
                    warnings.push(not_used(file, table, instead));
                }
            }
        }
        Ok((joined, warnings))
    }
}

impl Joined {
    /// Adds operations over several servers to those of the same network, or says why they are left out.
    fn add_between_servers(&mut self, file: &str, table: &KernelTable, rows: &[CollectiveRow]) -> Option<TableWarning> {
        if rows.is_empty() {
            return None;
        }
        let named =
            table.header.network.as_deref().ok_or("its header does not name the `network` between them".to_owned());
        match named.and_then(|name| Interconnect::named(name).map_err(|error| error.to_string())) {
            Ok(network) => {
                let index = self.between_servers.iter().position(|(known, _)| *known == network).unwrap_or_else(|| {
                    self.between_servers.push((network, Vec::new()));
                    self.between_servers.len() - 1
                });
                let known = &mut self.between_servers[index].1;
                let rows = of_one_library(known, rows);
                complete(known, rows);
                None
            }
            Err(why) => {
                let count = rows.len() as u64;
                let problem = format!("{count} rows of several servers do not change what a step costs: {why}");
                Some(TableWarning { file: file.to_string(), count, problem })
            }
        }
    }
}

fn check_device(device: &DeviceSpec, file: &str, table: &KernelTable) -> Result<(), KernelsError> {
    let measured = &table.header.device;
    if device.is_called(measured) {
        return Ok(());
    }
    Err(KernelsError::OtherDevice { file: file.to_string(), measured: measured.clone(), device: device.name.clone() })
}

fn not_used(file: &str, table: &KernelTable, why: &str) -> TableWarning {
    let rows = table.len() as u64;
    let problem = format!("{rows} rows of kind `{}` do not change what a step costs: {why}", table.kernel());
    TableWarning { file: file.to_string(), count: rows, problem }
}

/// The rows of the library that is believed for an operation over so many GPUs: the one that is known, or else the first.
fn of_one_library(known: &[CollectiveRow], rows: &[CollectiveRow]) -> Vec<CollectiveRow> {
    let alike = |row: &CollectiveRow| (row.operation, row.ranks, row.servers);
    let mut libraries: BTreeMap<_, &str> = BTreeMap::new();
    for row in known.iter().chain(rows) {
        libraries.entry(alike(row)).or_insert(&row.library);
    }
    rows.iter().filter(|row| libraries[&alike(row)] == row.library).cloned().collect()
}

/// Adds the shapes that are not there yet, each once and with the median of its times.
fn complete<R: Row + Clone>(known: &mut Vec<R>, rows: Vec<R>) {
    let mut all: Vec<(bool, R)> = known.drain(..).map(|row| (true, row)).collect();
    all.extend(rows.into_iter().map(|row| (false, row)));
    // Believed rows come before new ones of the same shape, and new ones in the order of their times.
    all.sort_by(|(a_known, a), (b_known, b)| {
        let by_time = || a.timing().time_us.total_cmp(&b.timing().time_us);
        a.cmp_shape(b).then(b_known.cmp(a_known)).then_with(by_time)
    });
    for alike in all.chunk_by(|(_, a), (_, b)| a.cmp_shape(b).is_eq()) {
        let (believed, first) = &alike[0];
        known.push(if *believed { first.clone() } else { alike[(alike.len() - 1) / 2].1.clone() });
    }
}

#[cfg(test)]
mod tests;
