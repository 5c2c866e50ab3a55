//! What prefill and decode replicas each came to, and what went from one to the other.

use serde::{Deserialize, Serialize};
use workloads::SimDuration;

use super::columns::{Better, List, Section, Value};
use super::statistics::Statistics;
use super::summary::{Summary, SystemFacts, per};
use crate::outcome::{MixedPool, Outcome, ReplicaOutcome};
use crate::spec::Role;

/// What the replicas of one role came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Summary::columns documents each figure, once")]
pub struct PoolFigures {
    pub devices: u32,
    pub idle_energy_j: f64,
    pub dynamic_energy_j: f64,
    pub cost_usd: Option<f64>,
    pub steps: u64,
    pub preemptions: u64,
    pub busy_share: Option<f64>,
    pub kv_cache_peak: f64,
}

/// What went from prefill to decode replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Summary::columns documents each figure, once")]
pub struct TransferFigures {
    pub requests: u64,
    pub bytes: u64,
    pub time: Option<Statistics>,
    pub wait: Option<Statistics>,
}

impl PoolFigures {
    /// Of the replicas of `role`, if there are any.
    pub(super) fn of(outcome: &Outcome, role: Role, facts: &SystemFacts) -> Option<Self> {
        let replicas: Vec<&ReplicaOutcome> = outcome.replicas.iter().filter(|replica| replica.role == role).collect();
        if replicas.is_empty() {
            return None;
        }
        let hours = outcome.elapsed().as_secs_f64() / 3600.0;
        let price = if role == Role::Prefill { facts.prefill_usd_per_hour } else { facts.decode_usd_per_hour };
        let seconds = |times: fn(&ReplicaOutcome) -> &Vec<SimDuration>| {
            replicas.iter().flat_map(|replica| times(replica)).map(|time| time.as_secs_f64()).sum::<f64>()
        };
        let (busy, idle) = (seconds(|replica| &replica.stage_busy), seconds(|replica| &replica.stage_idle));
        let peak = |replica: &&ReplicaOutcome| f64::from(replica.kv_blocks_peak) / f64::from(replica.kv_blocks.max(1));
        Some(PoolFigures {
            devices: replicas.iter().map(|replica| replica.devices).sum(),
            idle_energy_j: replicas.iter().map(|replica| replica.idle_energy_j).sum(),
            dynamic_energy_j: replicas.iter().map(|replica| replica.dynamic_energy_j).sum(),
            cost_usd: price.map(|usd| usd * hours),
            steps: replicas.iter().map(|replica| replica.steps).sum(),
            preemptions: replicas.iter().map(|replica| replica.preemptions).sum(),
            busy_share: per(busy, busy + idle),
            kv_cache_peak: replicas.iter().map(peak).fold(0.0, f64::max),
        })
    }
}

/// A pool: its word in column names, and its figures.
type Pool = (&'static str, fn(&Summary) -> Option<&PoolFigures>);

const POOLS: [Pool; 2] =
    [("prefill", |summary| summary.prefill.as_ref()), ("decode", |summary| summary.decode.as_ref())];

/// A figure of a pool: name behind the pool's word, unit, which way is better, meaning, and how to read it.
type PoolColumn = (&'static str, &'static str, Better, &'static str, fn(&Summary, &PoolFigures) -> Option<Value>);

const OF_POOLS: [PoolColumn; 9] = [
    ("devices", "", Better::Neither, "Devices", |_, pool| Some(Value::Count(u64::from(pool.devices)))),
    ("energy_j", "J", Better::Lower, "Energy, idle power included,", |summary, pool| {
        summary.of_work(pool.idle_energy_j + pool.dynamic_energy_j).map(Value::Real)
    }),
    ("idle_energy_j", "J", Better::Lower, "The part of it that idle power takes,", |_, pool| {
        Some(Value::Real(pool.idle_energy_j))
    }),
    ("dynamic_energy_j", "J", Better::Lower, "The part of it above idle power,", |summary, pool| {
        summary.of_work(pool.dynamic_energy_j).map(Value::Real)
    }),
    ("cost_usd", "$", Better::Lower, "Device-hours × price", |_, pool| pool.cost_usd.map(Value::Real)),
    ("steps", "", Better::Neither, "Steps", |_, pool| Some(Value::Count(pool.steps))),
    ("preemptions", "", Better::Lower, "Preemptions", |_, pool| Some(Value::Count(pool.preemptions))),
    ("busy_share", "", Better::Neither, "Share of time in which pipeline stages compute", |_, pool| {
        pool.busy_share.map(Value::Real)
    }),
    ("kv_cache_peak", "", Better::Neither, "Largest share of a replica's KV blocks in use at a time", |_, pool| {
        Some(Value::Real(pool.kv_cache_peak))
    }),
];

/// Times of hand-overs: name, meaning, and their statistics.
type Time = (&'static str, &'static str, fn(&TransferFigures) -> Option<&Statistics>);

const TIMES: [Time; 2] = [
    (
        "kv_transfer",
        "time from the moment the decode replica took blocks for a KV cache until its last byte arrived there",
        |transfers| transfers.time.as_ref(),
    ),
    (
        "handover_wait",
        "time from a request's first token until its KV cache had arrived at the decode replica; part of the gap before its \
         second token",
        |transfers| transfers.wait.as_ref(),
    ),
];

/// A figure of such a time: name, title, and how to read it in nanoseconds.
type Figure = (&'static str, &'static str, fn(&Statistics) -> f64);

const FIGURES: [Figure; 4] = [
    ("mean", "Mean", |statistics| statistics.mean_ns),
    ("median", "Median", |statistics| statistics.median_ns),
    ("p99", "99th percentile", |statistics| statistics.p99_ns),
    ("max", "Largest", |statistics| statistics.max_ns),
];

/// A count of the mixed pool: name, meaning, and how to read it.
type Count = (&'static str, &'static str, fn(&MixedPool) -> u64);

const OF_MIXED: [Count; 3] = [
    ("mixed_taken_from_prefill", "Times a prefill replica was taken into the mixed pool to decode.", |mixed| {
        mixed.taken_from_prefill
    }),
    ("mixed_taken_from_decode", "Times a decode replica was taken into the mixed pool for prompts.", |mixed| {
        mixed.taken_from_decode
    }),
    (
        "mixed_whole_requests",
        "Requests of several output tokens that one replica of a system with a mixed pool served from prompt to end; their \
         KV caches were not transferred.",
        |mixed| mixed.whole_requests,
    ),
];

pub(super) fn columns(list: &mut List) {
    list.section = Section::Pools;
    for (word, pool) in POOLS {
        for (name, unit, better, meaning, read) in OF_POOLS {
            let doc = format!("{meaning} of the {word} replicas.");
            let get = move |summary: &Summary| read(summary, pool(summary)?);
            let column = list.push((format!("{word}_{name}"), unit, better), doc, get);
            column.share = ["busy_share", "kv_cache_peak"].contains(&name);
        }
    }
    list.push(
        ("kv_transfers", "", Better::Neither),
        "KV caches that went from prefill to decode replicas: requests of more than one output token.",
        |summary| summary.transfers.as_ref().map(|transfers| Value::Count(transfers.requests)),
    );
    list.push(
        ("kv_transfer_bytes", "B", Better::Neither),
        "Their size together, that of recurrent states included.",
        |summary| summary.transfers.as_ref().map(|transfers| Value::Count(transfers.bytes)),
    );
    for (name, doc, count) in OF_MIXED {
        list.push((name, "", Better::Neither), doc, move |summary| {
            summary.mixed.as_ref().map(|mixed| Value::Count(count(mixed)))
        });
    }
    for (name, meaning, statistics) in TIMES {
        for (figure, title, read) in FIGURES {
            let doc = format!("{title} {meaning}.");
            list.push((format!("{figure}_{name}_ms"), "ms", Better::Lower), doc, move |summary| {
                Some(Value::Real(read(statistics(summary.transfers.as_ref()?)?) / 1e6))
            });
        }
    }
}
