//! A deployment.

use calibration::replay::schedule::RunHeader;
use profiles::ModelSpec;
use sim::{DeploymentSpec, HandoverSpec, Policy, Role, RouterSpec, SystemFacts};

use super::kernels::Library;
use super::pool::Pool;
use super::{Digest, handover, mixing, profile};
use crate::diagnostic::{Problem, Sources};
use crate::file::key::Key;
use crate::file::keys::pools as p;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// A deployment, ready to be built as often as there are runs.
pub(crate) struct System {
    /// Its name.
    pub(crate) name: String,
    /// What it serves.
    pub(crate) model: ModelSpec,
    /// How requests are spread over the replicas that take them.
    router: RouterSpec,
    /// Its replicas: one pool of like ones, or the prefill and the decode pool.
    pub(crate) pools: Vec<Pool>,
    /// How requests get from the prefill to the decode pool.
    handover: Option<HandoverSpec>,
}

/// Reads one `[[system]]`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    shared_model: Option<&ModelSpec>,
    sources: &Sources,
    library: &Library,
) -> Result<System, Problem> {
    let name: String = reader.get(&s::NAME);
    if reader.has(&s::INHERIT) {
        reader.spend(&s::INHERIT);
    }
    if reader.has(&s::COMPATIBILITY) {
        reader.spend(&s::COMPATIBILITY);
    }
    let model = model(reader, shared_model, sources)?;
    let router = router_unless_mixed(reader, &s::ROUTER, reader.has(&p::MIXED))?;
    let elsewhere: bool = reader.get(&p::PREFILLED_ELSEWHERE);
    let pool = |table: &mut Reader<'_>, role| Pool::read(table, &name, role, &model, sources, library);
    let prefill = reader.table(&p::PREFILL, |table| pool(table, Role::Prefill))?;
    let decode = reader.table(&p::DECODE, |table| pool(table, Role::Decode))?;
    let (pools, handover) = match (prefill, decode) {
        (Some(prefill), Some(decode)) => {
            let mixing = mixing::read(reader, [&prefill, &decode])?;
            let handover =
                reader.table(&p::TRANSFER, |table| handover::read(table, &model, [&prefill, &decode], mixing))?;
            (vec![prefill, decode], Some(handover.expect("it has a default")))
        }
        _ => (vec![pool(reader, if elsewhere { Role::Decode } else { Role::Serve })?], None),
    };
    let blends = |pool: &Pool| matches!(pool.scheduler.policy, Policy::BlendServe { .. });
    if router == RouterSpec::DensityCut && !pools.iter().all(blends) {
        let problem = reader.problem(&s::ROUTER, "only blendserve has a tree that batches are cut along");
        return Err(problem.label("it belongs to `policy = \"blendserve\"`"));
    }
    Ok(System { name, model, router, pools, handover })
}

fn model(reader: &mut Reader<'_>, shared: Option<&ModelSpec>, sources: &Sources) -> Result<ModelSpec, Problem> {
    match shared {
        _ if reader.has(&s::MODEL) => profile::model(reader, &s::MODEL, sources),
        Some(model) => Ok(model.clone()),
        None => Err(reader
            .problem(&s::MODEL, "no model is named")
            .label("expected `model` here or at the top of the file")
            .help("model = \"meta-llama/Llama-3.1-8B\"; `servesim profiles list` names what is shipped")),
    }
}

/// The router that `key` holds. With a mixed pool it is not asked, and `mixing` refuses it if it is written.
pub(super) fn router_unless_mixed(
    reader: &mut Reader<'_>,
    key: &'static Key,
    mixed: bool,
) -> Result<RouterSpec, Problem> {
    if mixed {
        return Ok(RouterSpec::RoundRobin);
    }
    Ok(reader.table(key, |table| Ok(router(table)))?.expect("it has a default"))
}

fn router(reader: &mut Reader<'_>) -> RouterSpec {
    let policy: String = reader.get(&s::ROUTER_POLICY);
    match policy.as_str() {
        "round-robin" => RouterSpec::RoundRobin,
        "least-outstanding-tokens" => RouterSpec::LeastOutstandingTokens,
        "power-of-two-choices" => RouterSpec::PowerOfTwoChoices,
        "density-cut" => RouterSpec::DensityCut,
        "prefix-affinity" => RouterSpec::PrefixAffinity { max_imbalance_tokens: reader.get(&s::MAX_IMBALANCE_TOKENS) },
        other => unreachable!("`{other}` is no choice"),
    }
}

impl System {
    /// The deployment, new for one run.
    pub(crate) fn deployment(&self, seed: u64) -> DeploymentSpec {
        let replicas = self.pools.iter().flat_map(Pool::replicas).collect();
        DeploymentSpec { replicas, router: self.router, seed, handover: self.handover.clone() }
    }

    /// What the schedule of a run with this seed begins with. Systems with several pools have none.
    pub(crate) fn schedule_header(&self, seed: u64) -> RunHeader {
        self.pools[0].schedule_header(seed)
    }

    /// Whether its requests are handed over from one pool to another.
    pub(crate) fn hands_over(&self) -> bool {
        self.handover.is_some()
    }

    /// Whether its replicas may leave their pools for a mixed one.
    pub(crate) fn mixes(&self) -> bool {
        self.handover.as_ref().is_some_and(|handover| handover.mixing.is_some())
    }

    /// Whether the schedule of a run can be written for a replay: its replicas are of one kind and compute all of a step.
    pub(super) fn can_be_replayed(&self) -> bool {
        self.handover.is_none() && self.pools.iter().all(|pool| pool.offload.is_none() && !pool.groups_prefixes())
    }

    /// Whether its requests are grouped by prefixes.
    pub(crate) fn groups_prefixes(&self) -> bool {
        self.pools.iter().any(Pool::groups_prefixes)
    }

    /// Engines behind its routers.
    pub(crate) fn engines(&self) -> u32 {
        self.pools.iter().map(|pool| pool.engines).sum()
    }

    /// KV blocks of the engine with this number, counted through the pools as in [`System::deployment`].
    pub(crate) fn kv_blocks(&self, engine: u32) -> u32 {
        let mut engines = self.pools.iter().flat_map(|pool| std::iter::repeat_n(pool.kv.blocks, pool.engines as usize));
        engines.nth(engine as usize).expect("the system has this engine")
    }

    /// The first engine of each pool, by its number.
    pub(crate) fn first_engines(&self) -> impl Iterator<Item = (u32, &Pool)> {
        self.pools.iter().scan(0, |next, pool| {
            let first = *next;
            *next += pool.engines;
            Some((first, pool))
        })
    }

    /// What its reader has to know to judge its figures.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.pools.iter().flat_map(|pool| pool.notes(&self.model)).collect()
    }

    /// Files beside the experiment that it stands on.
    pub(super) fn files(&self) -> impl Iterator<Item = &std::path::PathBuf> {
        self.pools.iter().flat_map(Pool::files)
    }

    /// Power of all its devices together when idle, in watts.
    pub(crate) fn idle_power_w(&self) -> f64 {
        self.pools.iter().map(Pool::idle_power_w).sum()
    }

    /// What its figures need to know of its hardware.
    pub(crate) fn facts(&self) -> SystemFacts {
        let sum = |of: fn(&Pool) -> f64| self.pools.iter().map(of).sum::<f64>();
        let price = |role| self.pools.iter().find(|pool| pool.role == role).map(Pool::usd_per_hour);
        SystemFacts {
            devices: self.pools.iter().map(Pool::devices).sum(),
            usd_per_hour: Some(sum(Pool::usd_per_hour)),
            prefill_usd_per_hour: price(Role::Prefill),
            decode_usd_per_hour: price(Role::Decode),
            peak_flops: sum(Pool::peak_flops),
            peak_memory_bytes_per_s: sum(Pool::peak_memory_bytes_per_s),
        }
    }

    /// What it came to, in one line for each pool.
    pub(crate) fn describe(&self) -> String {
        self.pools.iter().map(|pool| pool.describe(&self.model)).collect::<Vec<_>>().join("\n")
    }

    /// Digests of what it stands on: of the figures themselves, wherever they were read from, and of what steps cost.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let sha256 = profile::sha256(&format!("{:?}", self.model));
        let model = Digest { of: format!("model {}", self.model.name), sha256 };
        std::iter::once(model).chain(self.pools.iter().flat_map(Pool::digests)).collect()
    }
}
