//! A claim, and how it is computed.

use super::criterion::Criterion;
use super::keys;
use super::measured::{Measure, Study};
use super::paper::Vary;
use crate::diagnostic::{Problem, nearest};
use crate::file::key::Key;
use crate::file::quantity::Plain;
use crate::file::reader::Reader;

/// A published claim.
pub(super) struct Claim {
    /// Its short name.
    pub(super) id: String,
    /// In words.
    pub(super) text: String,
    /// Section, figure or table.
    pub(super) published_in: String,
    /// How it is computed.
    pub(super) quantity: Quantity,
    /// What was published.
    pub(super) published: Published,
    /// What agreement would mean.
    pub(super) status: Status,
    /// Why it differs, or why it cannot be told.
    pub(super) reason: Option<String>,
}

/// What is computed from the runs of an experiment.
pub(super) struct Quantity {
    /// The system it is about.
    pub(super) subject: Side,
    /// What that is compared with, and how; `None`: the plain value.
    pub(super) against: Option<(Side, Comparison)>,
    /// What is measured; `None`: the swept key itself, at the highest value within the limits.
    pub(super) measure: Option<Measure>,
    /// What it is divided by.
    pub(super) per: Option<Measure>,
    /// Factor to the unit.
    pub(super) scale: f64,
    /// Factor on the value of the subject alone.
    pub(super) times: f64,
    /// Unit of the plain value.
    pub(super) unit: String,
}

/// A system at a point.
pub(super) struct Side {
    /// Place of the system in the experiment.
    pub(super) system: usize,
    /// Its point.
    pub(super) point: Point,
}

/// Where among the values of a swept key.
pub(super) enum Point {
    /// At this one of them.
    Given(usize),
    /// At the highest value within these limits.
    Highest(Vec<Criterion>),
}

/// How two systems are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// One minus the other.
    Difference,
    /// One divided by the other.
    Ratio,
    /// The difference in percent of the other.
    Change,
}

/// A published value or range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Published {
    /// The value, or the lower end.
    pub(super) low: f64,
    /// The value, or the upper end.
    pub(super) high: f64,
    /// How what is simulated relates to it if the claim holds.
    pub(super) relation: Relation,
    /// Share of the value by which a plain value may differ.
    pub(super) tolerance: Option<f64>,
}

/// How a simulated value relates to a published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// They agree.
    Equal,
    /// The simulated one is larger.
    Above,
    /// The simulated one is smaller.
    Below,
}

/// What agreement would mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing was chosen to meet it.
    Predicted,
    /// The named calibration was fitted to it.
    Fitted(String),
    /// Public facts do not determine it.
    Undetermined,
}

impl Status {
    /// Its name, as users write it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Status::Predicted => "predicted",
            Status::Fitted(_) => "fitted",
            Status::Undetermined => "undetermined",
        }
    }
}

impl Quantity {
    /// Unit of what is compared with the published value.
    pub(super) fn result_unit(&self) -> &str {
        match self.against {
            None | Some((_, Comparison::Difference)) => &self.unit,
            Some((_, Comparison::Ratio)) => "×",
            Some((_, Comparison::Change)) => "%",
        }
    }
}

/// Reads a claim about a study whose `vary` key takes those values.
pub(super) fn read(reader: &mut Reader<'_>, study: &Study, vary: Option<&Vary>) -> Result<Claim, Problem> {
    let quantity = quantity(reader, study, vary)?;
    let published = published(reader, quantity.against.is_some())?;
    let status: String = reader.get(&keys::STATUS);
    let status = match status.as_str() {
        "predicted" => Status::Predicted,
        "fitted" => Status::Fitted(reader.get(&keys::FITTED_BY)),
        _ => Status::Undetermined,
    };
    let reason: Option<String> = reader.maybe(&keys::REASON);
    if status == Status::Undetermined && reason.is_none() {
        return Err(reader
            .problem(&keys::STATUS, "an undetermined claim needs a reason")
            .label("add `reason`: what is not known"));
    }
    Ok(Claim {
        id: reader.get(&keys::ID),
        text: reader.get(&keys::CLAIM),
        published_in: reader.get(&keys::PUBLISHED_IN),
        quantity,
        published,
        status,
        reason,
    })
}

fn quantity(reader: &mut Reader<'_>, study: &Study, vary: Option<&Vary>) -> Result<Quantity, Problem> {
    let measure = measure(reader, &keys::MEASURE, study)?;
    let within: Vec<String> = reader.maybe(&keys::WITHIN).unwrap_or_default();
    let span = reader.span(&keys::WITHIN);
    let parse = || within.iter().map(|text| Criterion::parse(text, span, study)).collect::<Result<Vec<_>, _>>();
    if measure.is_none() && within.is_empty() {
        return Err(reader.problem(&keys::MEASURE, "a claim needs a `measure`, or limits (`within`)"));
    }
    if !within.is_empty() && vary.is_none() {
        return Err(reader
            .problem(&keys::WITHIN, "`within` has nothing to find a value of")
            .label("add a `[vary]` table"));
    }
    if let (false, true) = (within.is_empty(), reader.has(&keys::AT) || reader.has(&keys::AGAINST_AT)) {
        return Err(reader
            .problem(&keys::WITHIN, "`within` finds the point that `at` names")
            .label("take one of the two out"));
    }
    let at = point(reader, &keys::AT, vary)?;
    let against_at = point(reader, &keys::AGAINST_AT, vary)?;
    if let (true, true, None) = (within.is_empty(), vary.is_some(), at) {
        return Err(reader
            .problem(&keys::CLAIM, "this claim does not say at which value of the swept key")
            .label("add `at`"));
    }
    let place = |given: Option<usize>| {
        Ok(if within.is_empty() { Point::Given(given.unwrap_or(0)) } else { Point::Highest(parse()?) })
    };
    let subject = Side { system: system(reader, &keys::SYSTEM, study)?, point: place(at)? };
    let comparison: String = reader.get(&keys::COMPARE);
    let comparison = match comparison.as_str() {
        "difference" => Some(Comparison::Difference),
        "ratio" => Some(Comparison::Ratio),
        "change" => Some(Comparison::Change),
        _ => None,
    };
    let against = match (comparison, reader.has(&keys::AGAINST)) {
        (Some(comparison), true) => {
            let other = system(reader, &keys::AGAINST, study)?;
            Some((Side { system: other, point: place(against_at.or(at))? }, comparison))
        }
        (None, false) if against_at.is_none() => None,
        (Some(_), false) => return Err(reader.problem(&keys::COMPARE, "compared with what?").label("add `against`")),
        (None, _) => {
            let key = if reader.has(&keys::AGAINST) { &keys::AGAINST } else { &keys::AGAINST_AT };
            let problem = reader.problem(key, "nothing is compared here");
            return Err(problem.label("add `compare`: \"difference\", \"ratio\" or \"change\""));
        }
    };
    let per = self::measure(reader, &keys::PER, study)?;
    let own = measure.map_or("", Measure::unit);
    let unit = reader.maybe(&keys::UNIT).unwrap_or_else(|| own.to_owned());
    Ok(Quantity {
        subject,
        against,
        measure,
        per,
        scale: reader.get(&keys::SCALE),
        times: reader.get(&keys::TIMES),
        unit,
    })
}

fn published(reader: &mut Reader<'_>, compares: bool) -> Result<Published, Problem> {
    let low: f64 = reader.get(&keys::PUBLISHED);
    let high = reader.maybe(&keys::PUBLISHED_TO).unwrap_or(low);
    if high < low {
        let problem = reader.problem(&keys::PUBLISHED_TO, "`published_to` is the upper end of a range");
        return Err(problem.label(format!("expected {} or above", Plain(low))));
    }
    let relation: String = reader.get(&keys::RELATION);
    let relation = match relation.as_str() {
        "above" => Relation::Above,
        "below" => Relation::Below,
        _ => Relation::Equal,
    };
    let tolerance = reader.maybe(&keys::TOLERANCE);
    if tolerance.is_some() && (compares || relation != Relation::Equal) {
        let problem = reader.problem(&keys::TOLERANCE, "`tolerance` has no effect here");
        return Err(problem.label("comparisons may differ by a quarter of the published change, bounds by nothing"));
    }
    Ok(Published { low, high, relation, tolerance })
}

fn measure(reader: &mut Reader<'_>, key: &'static Key, study: &Study) -> Result<Option<Measure>, Problem> {
    let name: Option<String> = reader.maybe(key);
    name.map(|name| study.measure(&name, reader.span(key))).transpose()
}

fn system(reader: &mut Reader<'_>, key: &'static Key, study: &Study) -> Result<usize, Problem> {
    let wanted: String = reader.get(key);
    let names = || study.systems().into_iter();
    names().position(|name| name == wanted).ok_or_else(|| {
        let problem = reader.problem(key, format!("the experiment has no system `{wanted}`"));
        match nearest(&wanted, names()) {
            Some(meant) => problem.label(format!("did you mean `{meant}`?")),
            None => problem.label(format!("its systems: {}", names().collect::<Vec<_>>().join(", "))),
        }
    })
}

fn point(reader: &mut Reader<'_>, key: &'static Key, vary: Option<&Vary>) -> Result<Option<usize>, Problem> {
    let Some(wanted) = reader.maybe::<f64>(key) else { return Ok(None) };
    let Some(vary) = vary else {
        return Err(reader
            .problem(key, format!("`{}` has no effect", key.name))
            .label("nothing is swept: there is no `[vary]`"));
    };
    let place = vary.values.iter().position(|value| value.to_bits() == wanted.to_bits());
    place.map(Some).ok_or_else(|| {
        let values: Vec<String> = vary.values.iter().map(|value| Plain(*value).to_string()).collect();
        let problem = reader.problem(key, format!("`{}` is not run at {}", vary.key, Plain(wanted)));
        problem.label(format!("its values: {}", values.join(", ")))
    })
}
