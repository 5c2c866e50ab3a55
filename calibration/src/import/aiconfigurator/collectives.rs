//! Operations over several GPUs of one server. Messages are counted in elements.

use std::collections::BTreeMap;

use profiles::DeviceSpec;
use profiles::table::{Cache, CollectiveOperation, CollectiveRow, Header, Kernel, Launch, Rows};

use super::name::Origin;
use super::{Measured, unknown_format, unused};
use crate::import::error::ImportError;
use crate::import::format::Recognised;
use crate::import::records::{Column, Record, Records};
use crate::import::report::{Rejected, Report};
use crate::import::sink::Sink;
use crate::import::{Imported, Known, NamedTable, find_device, slug};

/// What one table is about: GPU, library, its version, and how kernels were launched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    gpu: String,
    library: String,
    version: String,
    launch: &'static str,
}

/// Lines and what they hold.
type Lines = Vec<(u64, Result<CollectiveRow, Rejected>)>;

/// Columns of a message.
struct Message {
    operation: Column,
    format: Column,
    ranks: Column,
    elements: Column,
}

impl Message {
    fn columns(records: &mut Records<'_>) -> Result<Self, ImportError> {
        Ok(Self {
            operation: records.column(&["op", "op_name"])?,
            format: records.column(&["dtype", "nccl_dtype", "allreduce_dtype"])?,
            ranks: records.column(&["num_gpus"])?,
            elements: records.column(&["message_elements", "message_size"])?,
        })
    }

    /// Operation, ranks and bytes.
    fn read(&self, record: &Record) -> Result<(CollectiveOperation, u32, u64), Rejected> {
        let operation = match record.text(self.operation) {
            "all_reduce" => CollectiveOperation::AllReduce,
            "all_gather" => CollectiveOperation::AllGather,
            "reduce_scatter" => CollectiveOperation::ReduceScatter,
            "alltoall" | "all_to_all" => CollectiveOperation::AllToAll,
            other => return Err(Rejected::new("unknown operation", other)),
        };
        let bytes_per_element = match record.text(self.format) {
            "half" | "float16" | "bfloat16" => 2,
            "int8" | "fp8" => 1,
            other => return Err(unknown_format(other)),
        };
        let elements: u64 =
            record.text(self.elements).parse().ok().filter(|elements| *elements > 0).ok_or_else(|| {
                Rejected::new("message size is not a whole number of 1 or more", record.text(self.elements))
            })?;
        Ok((operation, record.count(self.ranks, 2)?, elements * bytes_per_element))
    }
}

/// How the name of the kernel says it was launched.
fn launch(kernel: &str) -> &'static str {
    let kernel = kernel.to_lowercase();
    if kernel.contains("graph") {
        "graph"
    } else if kernel.contains("eager") {
        "eager"
    } else {
        "unknown"
    }
}

/// A CSV file that holds the tables of all GPUs.
pub(super) fn of_all_gpus(mut records: Records<'_>, known: Known<'_>) -> Result<Imported, ImportError> {
    let gpu = records.column(&["gpu"])?;
    let [library, version] = [records.column(&["library"])?, records.column(&["library_version"])?];
    let kernel = records.column(&["kernel"])?;
    grouped(records, known, move |record| {
        Ok(Group {
            gpu: record.text(gpu).to_string(),
            library: record.text(library).to_lowercase(),
            version: record.text(version).to_string(),
            launch: launch(record.text(kernel)),
        })
    })
}

/// A Parquet file of one GPU and library.
pub(super) fn of_one_gpu(
    recognised: &Recognised,
    mut records: Records<'_>,
    known: Known<'_>,
) -> Result<Imported, ImportError> {
    let kernel = records.column(&["kernel_source", "kernel"])?;
    let origin = Origin::columns(&mut records, &recognised.path);
    let nccl = records.maybe_column(&["nccl_dtype"]).is_some();
    let file = records.file().to_string();
    grouped(records, known, move |record| {
        let parts = origin.parts(&file, record)?;
        let library = if nccl { "nccl".to_string() } else { parts.engine };
        Ok(Group { gpu: parts.gpu, library, version: parts.version, launch: launch(record.text(kernel)) })
    })
}

fn grouped(
    mut records: Records<'_>,
    known: Known<'_>,
    group: impl Fn(&Record) -> Result<Group, ImportError>,
) -> Result<Imported, ImportError> {
    let message = Message::columns(&mut records)?;
    let measured = Measured::columns(&mut records)?;
    let file = records.file().to_string();
    let mut report = Report::default();
    unused(&records, &mut report);
    let mut groups: BTreeMap<Group, Lines> = BTreeMap::new();
    for record in records {
        let record = record?;
        report.read += 1;
        let group = group(&record)?;
        let row = message.read(&record).and_then(|(operation, ranks, bytes)| {
            let timing = measured.timing(&record, &mut report)?;
            Ok(CollectiveRow { operation, ranks, servers: 1, bytes, library: group.library.clone(), timing })
        });
        groups.entry(group).or_default().push((record.line, row));
    }
    let mut devices: BTreeMap<String, DeviceSpec> = BTreeMap::new();
    for group in groups.keys() {
        if !devices.contains_key(&group.gpu) {
            devices.insert(group.gpu.clone(), find_device(&file, &group.gpu, known)?);
        }
    }
    let mut tables = Vec::new();
    for (group, rows) in groups {
        let mut sink = Sink::new(devices[&group.gpu].clone());
        for (line, row) in rows {
            sink.take(line, row, &mut report);
        }
        let header = header(&group, &devices[&group.gpu].name, known);
        let stem = format!(
            "{}_{}-{}_collective_{}",
            slug(&header.device),
            slug(&group.library),
            slug(&group.version),
            group.launch
        );
        let table = sink.finish(header, Rows::Collective, (&file, measured.time.name()), &mut report)?;
        if !table.is_empty() {
            tables.push(NamedTable { stem, table });
        }
    }
    Ok(Imported { tables, report })
}

fn header(group: &Group, device: &str, known: Known<'_>) -> Header {
    let launch = match group.launch {
        "graph" => Launch::Graph,
        "eager" => Launch::Eager,
        _ => Launch::Unknown,
    };
    let source = format!("aiconfigurator (NVIDIA, Apache-2.0), {} {}", group.library, group.version);
    let date = known.date.unwrap_or("unknown");
    let mut header = Header::new(Kernel::Collective, device, Cache::Unknown, launch, &source, date);
    header.libraries.insert(group.library.clone(), group.version.clone());
    header.notes = Some("message sizes of the source are elements, counted here in bytes".to_string());
    header
}
