//! How requests get from the prefill to the decode pool of a system.

use std::collections::BTreeMap;

use profiles::topology::{Interconnect, ServerSpec, Topology};
use profiles::{DType, ModelSpec, ProfileError};
use sim::network::{NetworkSpec, Path, RouteId};
use sim::{DecodeChoice, HandoverSpec, MixingSpec, RouterSpec, TransferMode};

use super::mixing;
use super::pool::Pool;
use super::system::router_unless_mixed;
use crate::diagnostic::Problem;
use crate::file::keys::pools as p;
use crate::file::reader::Reader;

/// Reads `[system.transfer]`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    model: &ModelSpec,
    [prefill, decode]: [&Pool; 2],
    mixing: Option<MixingSpec>,
) -> Result<HandoverSpec, Problem> {
    go_together(reader, prefill, decode)?;
    let mode = mode(reader, model, decode, mixing.is_some())?;
    // As every state is kept: 16 bits per value.
    let state_bytes = DType::Bf16.bytes(model.state_elements_per_sequence());
    if state_bytes > 0 {
        refuse_states(reader, model, mode, mixing.is_some())?;
    }
    let router = router_unless_mixed(reader, &p::DECODE_ROUTER, mixing.is_some())?;
    if router == RouterSpec::DensityCut {
        let problem = reader.problem(&p::DECODE_ROUTER, "requests are handed over one by one, and never together");
        return Err(problem.label("density-cut is a `router` of whole requests"));
    }
    let choice = choice(reader, mode, mixing.is_some())?;
    let (links, ways) = network(reader, prefill, decode, mixing.is_some())?;
    let kv_bytes_per_token = model.kv_bytes_per_token(decode.precision.kv_cache);
    Ok(HandoverSpec { mode, router, choice, kv_bytes_per_token, state_bytes, network: links, routes: ways, mixing })
}

/// Whether what one pool computes is of use to the other.
fn go_together(reader: &Reader<'_>, prefill: &Pool, decode: &Pool) -> Result<(), Problem> {
    let wrong = |message: String| reader.problem(&p::MODE, message);
    let formats = [prefill, decode].map(|pool| pool.precision.kv_cache);
    if formats[0] != formats[1] {
        let label = format!("`kv_cache_dtype` comes to {} for prefill and {} for decode", formats[0], formats[1]);
        return Err(wrong("the pools keep KV caches in different formats".to_owned()).label(label));
    }
    let to_client = [prefill, decode].map(|pool| pool.pricing.engine().engine_to_client);
    if to_client[0] != to_client[1] {
        let label = format!("`engine_to_client` is {} for prefill and {} for decode", to_client[0], to_client[1]);
        return Err(wrong("tokens of one request take different times to its client".to_owned()).label(label));
    }
    Ok(())
}

/// Recurrent states travel with the keys and values of a complete prompt, and wait where the memory plan has room for them.
fn refuse_states(reader: &Reader<'_>, model: &ModelSpec, mode: TransferMode, mixed: bool) -> Result<(), Problem> {
    let why = match mode {
        _ if mixed => "with a mixed pool nobody counts the states of requests that leave",
        TransferMode::AfterPrefill => return Ok(()),
        TransferMode::Pull { .. } => {
            "what is fetched waits beside the `max_num_seqs` requests whose states have room on a decode replica"
        }
        TransferMode::PushByLayer { .. } => "its layers are not alike: keys and values of some, states of others",
    };
    let problem = reader.problem(&p::MODE, format!("the states of {} cannot be handed over like this", model.name));
    Err(problem.label(why).help("mode = \"after-prefill\" hands keys, values and states over together"))
}

fn mode(reader: &mut Reader<'_>, model: &ModelSpec, decode: &Pool, mixed: bool) -> Result<TransferMode, Problem> {
    let mode: String = reader.get(&p::MODE);
    if mixed {
        mixing::check_transfer(reader, &mode)?;
    }
    Ok(match mode.as_str() {
        p::PULL => {
            let share: f64 = reader.get(&p::MAX_UNBATCHED);
            let permille = (share * 1000.0).round();
            if (permille / 1000.0 - share).abs() > 1e-9 {
                let problem = reader.problem(&p::MAX_UNBATCHED, "this share is finer than the replica counts");
                return Err(problem.label("expected thousandths, such as 0.05"));
            }
            let awaited: bool = reader.get(&p::AWAITED);
            if awaited && decode.pricing.engine().async_scheduling {
                let problem =
                    reader.problem(&p::AWAITED, "copies between steps need a decode replica that has gaps there");
                return Err(problem
                    .label("the decode pool schedules asynchronously: one step is composed while another runs")
                    .help("engine = \"vllm-v1-sync\", or async_scheduling = false, in [system.decode.engine]"));
            }
            TransferMode::Pull { max_unbatched_permille: permille as u32, awaited }
        }
        p::AFTER_PREFILL => TransferMode::AfterPrefill,
        p::PUSH_BY_LAYER => TransferMode::PushByLayer { layers: model.layers.len() as u32 },
        other => unreachable!("`{other}` is no choice"),
    })
}

fn choice(reader: &mut Reader<'_>, mode: TransferMode, mixed: bool) -> Result<DecodeChoice, Problem> {
    let pushes = matches!(mode, TransferMode::PushByLayer { .. });
    let name =
        reader.or(&p::DECODE_CHOICE, || (if pushes || mixed { "at-arrival" } else { "after-prefill" }).to_owned());
    if name == "at-arrival" {
        return Ok(DecodeChoice::AtArrival);
    }
    if pushes {
        let problem = reader.problem(&p::DECODE_CHOICE, "layers are pushed before the prompt is complete");
        return Err(problem.label("expected \"at-arrival\" with push-by-layer"));
    }
    if mixed {
        let problem =
            reader.problem(&p::DECODE_CHOICE, "with a mixed pool both replicas of a request are chosen together");
        return Err(problem.label("expected \"at-arrival\""));
    }
    Ok(DecodeChoice::AfterPrefill)
}

/// Routes by numbers of prefill and decode replica.
type Routes = BTreeMap<(u32, u32), RouteId>;

fn network(
    reader: &mut Reader<'_>,
    prefill: &Pool,
    decode: &Pool,
    mixed: bool,
) -> Result<(NetworkSpec, Routes), Problem> {
    let (from, to) = (prefill.kv_gpus().0, decode.kv_gpus().0);
    let alike = from.name == to.name && prefill.kv_server() == decode.kv_server();
    let placement = reader.or(&p::PLACEMENT, || (if alike { "packed" } else { "apart" }).to_owned());
    let packed = placement == "packed";
    if packed && !alike {
        let label = if from.name == to.name {
            "their `network` keys describe servers that are not alike".to_owned()
        } else {
            format!("a server has GPUs of one kind: {} and {}", from.name, to.name)
        };
        return Err(reader.problem(&p::PLACEMENT, "the pools cannot share servers").label(label));
    }
    let name: Option<String> = reader.maybe(&p::NETWORK);
    if name.as_deref() == Some("instant") {
        let mut network = NetworkSpec::new(Vec::new());
        let route = network.add_route(vec![Path { links: Vec::new(), parts: 1 }]);
        return Ok((network, pairs(prefill, decode, mixed).map(|pair| (pair, route)).collect()));
    }
    let mut placed = Placed::default();
    placed.place(prefill, decode, packed);
    let of_pools = prefill.network().filter(|network| decode.network() == Some(*network));
    let interconnect = match (&name, of_pools) {
        (Some(name), _) => Interconnect::named(name).map_err(|error| unusable(reader, &error))?,
        (None, Some(network)) => network,
        (None, None) if placed.servers.len() > 1 => {
            let message =
                format!("the pools take {} servers, and nothing is said of the network between", placed.servers.len());
            return Err(Problem::at(reader.span(&p::NETWORK), message)
                .label("needs `network` in `[system.transfer]`")
                .help("such as network = \"400 Gbit/s InfiniBand\""));
        }
        (None, None) => Interconnect::ethernet(100.0),
    };
    let cluster = Topology::of(&placed.servers, interconnect).map_err(|error| unusable(reader, &error))?;
    let mut network = NetworkSpec::of(&cluster);
    let mut routes = BTreeMap::new();
    for (from, to) in pairs(prefill, decode, mixed) {
        let gpus = [from, to].map(|replica| placed.gpus[&replica].as_slice());
        let route = network.connect(&cluster, gpus[0], gpus[1]).map_err(|error| unusable(reader, &error))?;
        routes.insert((from, to), route);
    }
    Ok((network, routes))
}

fn unusable(reader: &Reader<'_>, error: &ProfileError) -> Problem {
    reader.problem(&p::NETWORK, "this is not a network to send KV caches over").label(error.to_string())
}

/// All pairs of replicas between which KV caches may go, numbered as in the deployment: prefill ones first.
fn pairs(prefill: &Pool, decode: &Pool, mixed: bool) -> impl Iterator<Item = (u32, u32)> {
    let (first, last) = (prefill.engines, prefill.engines + decode.engines);
    let (from, to) = if mixed { (0..last, 0..last) } else { (0..first, first..last) };
    from.flat_map(move |from| to.clone().map(move |to| (from, to))).filter(|(from, to)| from != to)
}

/// Replicas on servers.
#[derive(Default)]
struct Placed {
    servers: Vec<ServerSpec>,
    /// GPUs in all servers, and those of the last one that are free.
    all: u32,
    free: u32,
    /// By number of replica.
    gpus: BTreeMap<u32, Vec<u32>>,
}

impl Placed {
    fn place(&mut self, prefill: &Pool, decode: &Pool, packed: bool) {
        let replicas = |pool: &Pool, first: u32| (first..first + pool.engines).collect::<Vec<_>>();
        let (prefilling, decoding) = (replicas(prefill, 0), replicas(decode, prefill.engines));
        if packed {
            for turn in 0..prefilling.len().max(decoding.len()) {
                for (pool, replicas) in [(prefill, &prefilling), (decode, &decoding)] {
                    replicas.get(turn).into_iter().for_each(|&replica| self.add(replica, pool));
                }
            }
            return;
        }
        for replica in prefilling {
            self.add(replica, prefill);
        }
        self.free = 0;
        for replica in decoding {
            self.add(replica, decode);
        }
    }

    /// Places a replica on the last server if it fits there, else on new ones.
    fn add(&mut self, replica: u32, pool: &Pool) {
        let (gpus, server) = (pool.kv_gpus().1, pool.kv_server());
        if gpus > self.free {
            self.free = 0;
            while self.free < gpus {
                self.servers.push(server);
                self.all += server.gpus;
                self.free += server.gpus;
            }
        }
        let first = self.all - self.free;
        self.gpus.insert(replica, (first..first + gpus).collect());
        self.free -= gpus;
    }
}
