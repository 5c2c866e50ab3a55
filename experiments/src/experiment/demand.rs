//! What objectives ask for: which share of requests has to meet which limit.

use sim::{RequestFigure, Slos, Summary};
use workloads::SimDuration;

use crate::diagnostic::Problem;
use crate::file::key::Key;
use crate::file::keys::slo as k;
use crate::file::reader::Reader;

/// What a share of requests has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Every limit that is given.
    All,
    /// Time to first token.
    Ttft,
    /// Longest gap between two tokens.
    Tbt,
    /// Time per output token.
    Tpot,
    /// Time to the last token.
    E2e,
}

impl Limit {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Limit::All => "all limits",
            Limit::Ttft => "ttft",
            Limit::Tbt => "tbt",
            Limit::Tpot => "tpot",
            Limit::E2e => "e2e",
        }
    }

    /// What is followed of each request to know it.
    pub(crate) fn figure(self) -> RequestFigure {
        match self {
            Limit::All => RequestFigure::Attained,
            Limit::Ttft => RequestFigure::TtftAttained,
            Limit::Tbt => RequestFigure::TbtAttained,
            Limit::Tpot => RequestFigure::TpotAttained,
            Limit::E2e => RequestFigure::E2eAttained,
        }
    }

    /// Share of a run's requests that met it; `None` where the limit is not given.
    pub(crate) fn share_in(self, summary: &Summary) -> Option<f64> {
        match self {
            Limit::All => summary.slo_attainment,
            Limit::Ttft => summary.ttft_attainment,
            Limit::Tbt => summary.tbt_attainment,
            Limit::Tpot => summary.tpot_attainment,
            Limit::E2e => summary.e2e_attainment,
        }
    }
}

/// A share of requests that has to meet something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Demand {
    /// What.
    pub(crate) limit: Limit,
    /// The least share, above 0 and at most 1.
    pub(crate) share: f64,
}

/// Reads `[slo]`: the limits, and what they ask for. One demand where the limits are judged together, else one per limit.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(Slos, Vec<Demand>), Problem> {
    let mut limit = |key: &'static Key| reader.maybe(key).map(SimDuration::from_secs_f64);
    let slos = Slos { ttft: limit(&k::TTFT), tbt: limit(&k::TBT), tpot: limit(&k::TPOT), e2e: limit(&k::E2E) };
    let attainment: f64 = reader.get(&k::ATTAINMENT);
    let own: [(Limit, bool, &'static Key, &'static Key); 4] = [
        (Limit::Ttft, slos.ttft.is_some(), &k::TTFT, &k::TTFT_ATTAINMENT),
        (Limit::Tbt, slos.tbt.is_some(), &k::TBT, &k::TBT_ATTAINMENT),
        (Limit::Tpot, slos.tpot.is_some(), &k::TPOT, &k::TPOT_ATTAINMENT),
        (Limit::E2e, slos.e2e.is_some(), &k::E2E, &k::E2E_ATTAINMENT),
    ];
    if !own.iter().any(|(.., share)| reader.has(share)) {
        return Ok((slos, vec![Demand { limit: Limit::All, share: attainment }]));
    }
    let mut demands = Vec::new();
    for (limit, given, key, share) in own {
        let asked: Option<f64> = reader.maybe(share);
        if asked.is_some() && !given {
            let problem =
                Problem::at(reader.key_span(share), format!("`{}` has no effect without `{}`", share.name, key.name));
            return Err(problem.label(format!("there is no limit `{}` that requests could meet", key.name)));
        }
        if given {
            demands.push(Demand { limit, share: asked.unwrap_or(attainment) });
        }
    }
    Ok((slos, demands))
}
