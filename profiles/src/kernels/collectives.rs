//! Operations over several GPUs.

use std::collections::BTreeMap;

use super::series::Series;
use crate::table::{CollectiveOperation, CollectiveRow};

/// Collectives of a device within one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collectives {
    /// Times over bytes of the whole message.
    by_ranks: BTreeMap<(CollectiveOperation, u32), Series>,
}

impl Collectives {
    /// From rows that are of one library for each operation and number of ranks.
    pub(crate) fn new(rows: &[CollectiveRow]) -> Self {
        let mut points: BTreeMap<(CollectiveOperation, u32), Vec<(f64, f64)>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.servers == 1) {
            let key = (row.operation, row.ranks);
            points.entry(key).or_default().push((row.bytes as f64, row.timing.time_us * 1e3));
        }
        let series = |(key, mut points): (_, Vec<(f64, f64)>)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points.dedup_by_key(|point| point.0);
            Some((key, Series::new(points)?))
        };
        Self { by_ranks: points.into_iter().filter_map(series).collect() }
    }

    /// The operation over so many GPUs of one server, if it was measured.
    pub(crate) fn find(&self, operation: CollectiveOperation, ranks: u32) -> Option<&Series> {
        self.by_ranks.get(&(operation, ranks))
    }
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
    fn what_was_measured_over_several_servers_is_not_used_within_one() {
        let rows = [row(8, 2, 1024, 90.0), row(8, 1, 1024, 5.0), row(8, 1, 4096, 8.0)];
        let collectives = Collectives::new(&rows);
        let series = collectives.find(CollectiveOperation::AllReduce, 8).expect("measured");
        assert_eq!(series.at(2560.0, |_| 0.0), (6500.0, true));
        assert!(collectives.find(CollectiveOperation::AllReduce, 4).is_none());
        assert!(collectives.find(CollectiveOperation::AllToAll, 8).is_none());
    }
}
