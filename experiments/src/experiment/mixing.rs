//! Whether the replicas of a system's pools leave them for a mixed one.

use sim::{MixingSpec, QueueOrder};

use super::pool::Pool;
use crate::diagnostic::Problem;
use crate::file::keys::offload::ATTENTION_OFFLOAD;
use crate::file::keys::pools as p;
use crate::file::keys::system as s;
use crate::file::reader::Reader;

/// Reads `[system.mixed]`, if it is there; refuses pools whose replicas cannot take each other's work.
pub(super) fn read(reader: &mut Reader<'_>, pools: [&Pool; 2]) -> Result<Option<MixingSpec>, Problem> {
    let mixed =
        reader.table(&p::MIXED, |table| Ok(MixingSpec { max_pending_tokens: table.get(&p::MAX_PENDING_TOKENS) }))?;
    if mixed.is_none() {
        return Ok(None);
    }
    let wrong = |message: String| reader.problem(&p::MIXED, message);
    if reader.has(&s::ROUTER) {
        let problem = Problem::at(reader.key_span(&s::ROUTER), "`router` has no effect with a mixed pool");
        return Err(problem.label("prefill and decode replica of a request are chosen by what is pending there"));
    }
    for (pool, name) in pools.into_iter().zip(["prefill", "decode"]) {
        if !pool.scheduler.policy.reserves_answers() {
            let message =
                format!("replicas of the {name} pool take blocks as answers grow, and cannot be promised to others");
            return Err(wrong(message)
                .label("every replica may have to compute prompts and decode for others")
                .help("scheduler = \"splitwise\" (or \"orca\"), which reserve the blocks of prompt and answer"));
        }
        if pool.scheduler.order != QueueOrder::Fcfs {
            return Err(wrong(format!("replicas of the {name} pool serve prompts in another order than they came"))
                .label("requests would wait for each other on several replicas")
                .help("order = \"fcfs\" in the scheduler"));
        }
        if pool.kv.prefix_caching {
            return Err(wrong(format!("replicas of the {name} pool cache prefixes"))
                .label("what a request owns beside its reserved blocks was promised to others")
                .help("enable_prefix_caching = false"));
        }
        if pool.offload.is_some() {
            return Err(wrong(format!("replicas of the {name} pool offload attention (`{}`)", ATTENTION_OFFLOAD.name))
                .label("every replica may have to compute prompts, which attention workers cannot"));
        }
    }
    Ok(mixed)
}

/// What `[system.transfer]` says and a mixed pool leaves nothing to.
pub(super) fn check_transfer(reader: &Reader<'_>, mode: &str) -> Result<(), Problem> {
    if mode == p::PULL {
        let problem = reader.problem(&p::MODE, "with a mixed pool KV caches are not pulled");
        return Err(problem
            .label("what is fetched waits for a place, and prompts may take the places")
            .help("mode = \"push-by-layer\", as Splitwise does, or \"after-prefill\""));
    }
    if reader.has(&p::DECODE_ROUTER) {
        let problem =
            Problem::at(reader.key_span(&p::DECODE_ROUTER), "`decode_router` has no effect with a mixed pool");
        return Err(problem.label("prefill and decode replica of a request are chosen by what is pending there"));
    }
    Ok(())
}
