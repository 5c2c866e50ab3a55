//! Collectives by fabric, ranks and message size.

use std::collections::BTreeMap;

use profiles::table::{Cache, CollectiveOperation, CollectiveRow, Header, Kernel, Launch, Rows, Timing};

use super::MICROS_PER_MILLI;
use crate::import::error::ImportError;
use crate::import::records::{Records, micros};
use crate::import::report::{Rejected, Report};
use crate::import::sink::Sink;
use crate::import::{Imported, Known, NamedTable, find_device, slug};

/// Fabrics: their name starts with the GPU's.
pub(super) fn collectives(mut records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    let (fabric, operation) = (records.column(&["fabric"])?, records.column(&["collective"])?);
    let (ranks, bytes) = (records.column(&["num_gpus"])?, records.column(&["message_bytes"])?);
    let (per_server, time) = (records.column(&["devices_per_node"])?, records.column(&["latency_ms"])?);
    let file = records.file().to_string();
    let mut report = Report::default();
    let unused = records.unused().join(", ");
    if !unused.is_empty() {
        report.note(format!("columns not used: {unused}"));
    }
    let mut sinks: BTreeMap<String, Sink<CollectiveRow>> = BTreeMap::new();
    for record in records {
        let record = record?;
        report.read += 1;
        let name = record.text(fabric);
        if !sinks.contains_key(name) {
            let gpu = name.split('_').next().unwrap_or_default();
            sinks.insert(name.to_string(), Sink::new(find_device(&file, gpu, known)?));
        }
        let row = || {
            let operation = match record.text(operation) {
                "all_reduce" => CollectiveOperation::AllReduce,
                "send_recv" => CollectiveOperation::PointToPoint,
                other => return Err(Rejected::new("unknown operation", other)),
            };
            let (ranks, per_server) = (record.count(ranks, 2)?, record.count(per_server, 1)?);
            if !ranks.is_multiple_of(per_server) {
                return Err(Rejected::new(
                    "ranks are not spread evenly over servers",
                    format!("{ranks} by {per_server}"),
                ));
            }
            Ok(CollectiveRow {
                operation,
                ranks,
                servers: ranks / per_server,
                bytes: record.count(bytes, 1)?.into(),
                library: "nccl".to_string(),
                timing: Timing::of_us(micros(record.positive(time)?, MICROS_PER_MILLI)),
            })
        };
        let row = row();
        if let Some(sink) = sinks.get_mut(name) {
            sink.take(record.line, row, &mut report);
        }
    }
    let mut tables = Vec::new();
    for (fabric, sink) in sinks {
        let device = sink.device().name.clone();
        let source = format!("Vidur (Microsoft, MIT), fabric {fabric}, slowest rank's median");
        let date = known.date.unwrap_or("unknown");
        let mut header = Header::new(Kernel::Collective, &device, Cache::Unknown, Launch::Eager, &source, date);
        header.notes = Some("the network between servers is not named; times are rounded to 1 us".to_string());
        let table = sink.finish(header, Rows::Collective, (&file, time.name()), &mut report)?;
        if !table.is_empty() {
            let stem = format!("{}_vidur_collective_{}", slug(&device), slug(&fabric));
            tables.push(NamedTable { stem, table });
        }
    }
    Ok(Imported { tables, report })
}
