//! The servers that replicas stand on.

use profiles::cost::Servers;
use profiles::topology::{GpuFabric, Interconnect, ServerSpec, Topology};
use profiles::{DeviceSpec, Parallelism};

use crate::diagnostic::Problem;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// Reads `[system.network]`, and refuses replicas that would leave a server if there is none: the device's own link does not
/// reach other servers.
pub(super) fn read(
    reader: &mut Reader<'_>,
    device: &DeviceSpec,
    parallelism: Parallelism,
) -> Result<Option<Servers>, Problem> {
    if reader.has(&s::LINK) && reader.has(&s::NETWORK) {
        return Err(Problem::at(reader.key_span(&s::LINK), "`link` beside `network`")
            .label("this one link would be between all GPUs of a replica")
            .also(
                reader.key_span(&s::NETWORK),
                "and this says what is between servers, beside the GPUs' own link in them",
            ));
    }
    let servers = reader.table(&s::NETWORK, |table| network(table, device))?;
    if servers.is_none() && !reader.has(&s::LINK) {
        within_one(reader, device, parallelism)?;
    }
    Ok(servers)
}

fn network(table: &mut Reader<'_>, device: &DeviceSpec) -> Result<Servers, Problem> {
    let named: String = table.get(&s::BETWEEN_SERVERS);
    let mut server = ServerSpec::for_device(device);
    server.gpus = table.or(&s::GPUS_PER_SERVER, || server.gpus);
    let usual = if server.fabric == GpuFabric::Pcie { 1 } else { server.gpus };
    server.nics = table.or(&s::ADAPTERS_PER_SERVER, || usual);
    // Two of them tell all that can be wrong.
    let checked = Interconnect::named(&named).and_then(|network| {
        Topology::new(&server, 2, network)?;
        Ok(network)
    });
    let network = checked.map_err(|error| {
        table.problem(&s::BETWEEN_SERVERS, "servers cannot be connected this way").label(error.to_string())
    })?;
    Ok(Servers { server, network })
}

fn within_one(reader: &Reader<'_>, device: &DeviceSpec, parallelism: Parallelism) -> Result<(), Problem> {
    let gpus = ServerSpec::for_device(device).gpus;
    let of_stage = parallelism.tensor_parallel_size * parallelism.data_parallel_size;
    let stages = parallelism.pipeline_parallel_size;
    let (key, message) = if of_stage > gpus {
        let message =
            format!("{of_stage} GPUs exchange data in every layer, and a server of {} has {gpus}", device.name);
        (&s::TENSOR_PARALLEL_SIZE, message)
    } else if stages > gpus / of_stage {
        let message =
            format!("{stages} stages of {of_stage} GPUs do not fit a server of {}, which has {gpus}", device.name);
        (&s::PIPELINE_PARALLEL_SIZE, message)
    } else {
        return Ok(());
    };
    Err(reader
        .problem(key, message)
        .label(format!("{} does not reach other servers", device.peer_link))
        .help("name what does, such as network = \"400 Gbit/s InfiniBand\""))
}
