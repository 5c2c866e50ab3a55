//! Operations over several GPUs.

use std::collections::BTreeMap;

use super::series::Series;
use crate::table::{CollectiveOperation, CollectiveRow};
use crate::topology::Interconnect;

/// Times over bytes of the whole message, by operation, ranks and servers.
type ByShape = BTreeMap<(CollectiveOperation, u32, u32), Series>;

/// Collectives of a device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collectives {
    /// Within one server.
    inside: ByShape,
    /// Over several, by the network between them.
    between: Vec<(Interconnect, ByShape)>,
}

impl Collectives {
    /// From rows within one server, and rows over several with the network between, that are of one library for each
    /// operation, number of ranks and servers.
    pub(crate) fn new(inside: &[CollectiveRow], between: &[(Interconnect, Vec<CollectiveRow>)]) -> Self {
        Self {
            inside: by_shape(inside),
            between: between.iter().map(|(network, rows)| (*network, by_shape(rows))).collect(),
        }
    }

    /// The operation over so many GPUs of one server, if it was measured.
    pub(crate) fn inside(&self, operation: CollectiveOperation, ranks: u32) -> Option<&Series> {
        self.inside.get(&(operation, ranks, 1))
    }

    /// The operation over so many GPUs, spread evenly over servers on this network, if it was measured.
    pub(crate) fn between(
        &self,
        operation: CollectiveOperation,
        ranks: u32,
        servers: u32,
        network: Interconnect,
    ) -> Option<&Series> {
        let (_, of_network) = self.between.iter().find(|(known, _)| *known == network)?;
        of_network.get(&(operation, ranks, servers))
    }
}

fn by_shape(rows: &[CollectiveRow]) -> ByShape {
    let mut points: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let key = (row.operation, row.ranks, row.servers);
        points.entry(key).or_default().push((row.bytes as f64, row.timing.time_us * 1e3));
    }
    let series = |(key, mut points): (_, Vec<(f64, f64)>)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by_key(|point| point.0);
        Some((key, Series::new(points)?))
    };
    points.into_iter().filter_map(series).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Timing;

    fn row(ranks: u32, servers: u32, bytes: u64, time_us: f64) -> CollectiveRow {
        let operation = CollectiveOperation::AllReduce;
        let timing = Timing::of_us(time_us);
        CollectiveRow { operation, ranks, servers, bytes, library: "vllm".into(), timing }
    }

    #[test]
    fn what_was_measured_over_several_servers_is_of_its_own_network() {
        let network = Interconnect::ethernet(100.0);
        let between = [(network, vec![row(8, 2, 1024, 90.0), row(8, 2, 4096, 96.0)])];
        let collectives = Collectives::new(&[row(8, 1, 1024, 5.0), row(8, 1, 4096, 8.0)], &between);
        let series = collectives.inside(CollectiveOperation::AllReduce, 8).expect("measured");
        assert_eq!(series.at(2560.0, |_| 0.0), (6500.0, true));
        assert!(collectives.inside(CollectiveOperation::AllReduce, 4).is_none());
        assert!(collectives.inside(CollectiveOperation::AllToAll, 8).is_none());
        let between =
            |ranks, servers, network| collectives.between(CollectiveOperation::AllReduce, ranks, servers, network);
        assert_eq!(between(8, 2, network).expect("measured").at(2560.0, |_| 0.0), (93_000.0, true));
        assert!(between(8, 4, network).is_none() && between(16, 2, network).is_none());
        assert!(between(8, 2, Interconnect::ethernet(25.0)).is_none());
    }
}
