//! What `servesim plan` found: deployments by cost and what it buys, by type of GPU; placements by what they hold.

use std::collections::BTreeMap;

use super::source::Source;
use super::{Asked, Missing, Named, lacks};
use crate::figures::{BarFigure, BarRow, DeploymentMeasure, DeploymentPoint, DeploymentsFigure, SERIES_COUNT, Width};
use crate::results::{Kind, ResultsError, Table, Words};

/// Bars that one figure has room for.
const MOST_ROWS: usize = 40;
/// In this order of the panels.
const MEASURES: [DeploymentMeasure; 4] = [
    DeploymentMeasure { column: "usd_per_hour", label: "Cost ($/h)" },
    DeploymentMeasure { column: "p99_ttft_ms", label: "P99 TTFT (ms)" },
    DeploymentMeasure { column: "p99_itl_ms", label: "P99 TBT (ms)" },
    DeploymentMeasure { column: "energy_j_per_output_token", label: "Energy (J/tok)" },
];
/// Prices are sums that were rounded.
const SAME_COST: f64 = 1e-9;

/// A plan of whole deployments.
struct Deployments {
    table: Table,
    system: Words,
    status: Words,
    winner: Words,
}

impl Deployments {
    fn read(source: &Source) -> Result<Self, Missing> {
        if source.results.kind() != Kind::Plan {
            return lacks("needs the results of `servesim plan`");
        }
        let table = source.results.table("plan")?;
        if !table.has("status") {
            return lacks(
                "the plan is of placements (`plan.algorithms`), which `goodput_bars` shows; `plan.deployments` searches whole deployments",
            );
        }
        let (system, status, winner) = (table.words("system")?, table.words("status")?, table.words("winner")?);
        Ok(Deployments { table, system, status, winner })
    }

    fn serves(&self, row: usize) -> bool {
        self.status.get(row) == "serves"
    }

    fn is_plan(&self, row: usize) -> bool {
        self.winner.get(row) == "true"
    }

    /// Rows whose status is this word.
    fn count(&self, status: &str) -> usize {
        (0..self.table.len()).filter(|row| self.status.get(*row) == status).count()
    }
}

/// Every measure against every other, of the deployments that serve.
pub(super) fn frontier(source: &Source, _: &Asked) -> Result<Vec<Named>, Missing> {
    let plan = Deployments::read(source)?;
    let table = &plan.table;
    let usd = table.numbers("usd_per_hour")?;
    let least = (0..table.len()).filter(|row| plan.serves(*row)).map(|row| usd[row]).fold(f64::INFINITY, f64::min);
    // Beyond this cost not all that serve were simulated, so that none there is known to be unbeaten.
    let limit = source.frontier_cost.map_or(f64::INFINITY, |times| least * times * (1.0 + SAME_COST));
    let shown: Vec<usize> =
        (0..table.len()).filter(|row| plan.serves(*row) && usd[*row] <= limit || plan.is_plan(*row)).collect();
    if shown.is_empty() {
        return lacks("no deployment serves");
    }
    let (names, on_frontier) = (table.words("deployment")?, table.words("frontier")?);
    let columns: Vec<(DeploymentMeasure, Vec<f64>)> = MEASURES
        .into_iter()
        .map(|measure| {
            let values = numbers_or_nothing(table, measure.column)?;
            Ok((measure, values))
        })
        .collect::<Result<_, ResultsError>>()?;
    // A measure that nothing has, such as energy where step costs say nothing of it, would be panels of nothing.
    let known: Vec<&(DeploymentMeasure, Vec<f64>)> =
        columns.iter().filter(|(_, values)| shown.iter().any(|row| !values[*row].is_nan())).collect();
    let series: Vec<String> = series(&plan.system, &shown);
    let point = |&row: &usize| DeploymentPoint {
        series: series.iter().position(|name| name == plan.system.get(row)).expect("it is one of them"),
        label: names.get(row).to_owned(),
        values: known.iter().map(|(_, values)| Some(values[row]).filter(|value| !value.is_nan())).collect(),
        on_frontier: on_frontier.get(row) == "true",
        chosen: plan.is_plan(row),
    };
    let beyond = (0..table.len()).filter(|row| plan.serves(*row) && usd[*row] > limit && !plan.is_plan(*row)).count();
    let parts = [
        (plan.count("misses"), "miss the objectives"),
        (plan.count("not simulated"), "were not simulated"),
        (plan.count("cannot be"), "cannot be"),
        (beyond, "serve but cost too much"),
    ];
    let left_out: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    let figure = DeploymentsFigure {
        title: "What deployments that serve cost, and what that buys".to_owned(),
        points: shown.iter().map(point).collect(),
        measures: known.iter().map(|(measure, _)| measure.clone()).collect(),
        left_out: left_out.join(", "),
        series,
    };
    Ok(vec![Named::new("frontier", figure)])
}

/// Systems of these rows, in the order of the table.
fn series(system: &Words, rows: &[usize]) -> Vec<String> {
    let has = |name: &&String| rows.iter().any(|row| system.get(*row) == *name);
    system.names().iter().filter(has).cloned().collect()
}

/// A column of numbers; one that is empty throughout reads as words.
fn numbers_or_nothing(table: &Table, column: &str) -> Result<Vec<f64>, ResultsError> {
    let words = table.words(column)?;
    if words.names().iter().all(String::is_empty) {
        return Ok(vec![f64::NAN; table.len()]);
    }
    table.numbers(column).map(<[f64]>::to_vec)
}

/// Types of GPU of a deployment: of all of it, or of its prefill and its decode pool.
type Types<'a> = (&'a str, &'a str);

/// The cheapest deployment that serves of every system on every type of GPU, or two types, and what it costs; where none does, why.
pub(super) fn costs(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let plan = Deployments::read(source)?;
    let table = &plan.table;
    let reasons = table.words("reason")?;
    let (gpus, decode_gpus) = (table.words("gpu")?, table.words("decode_gpu")?);
    let short = ShortNames::of(gpus.names().iter().chain(decode_gpus.names()));
    let shape = shapes(table, &short)?;
    let (usd, decode_usd) = (table.numbers("usd_per_hour")?, numbers_or_nothing(table, "decode_usd_per_hour")?);
    let mut groups: BTreeMap<(usize, Types<'_>), Vec<usize>> = BTreeMap::new();
    for row in 0..table.len() {
        let place = plan.system.codes()[row] as usize;
        groups.entry((place, (gpus.get(row), decode_gpus.get(row)))).or_default().push(row);
    }
    let types: Vec<&str> = {
        let all = gpus.names().iter().chain(decode_gpus.names());
        let mut types: Vec<&str> = all.map(String::as_str).filter(|name| !name.is_empty()).collect();
        types.sort_unstable();
        types.dedup();
        types
    };
    if types.len() > SERIES_COUNT {
        return lacks(format!(
            "there are {} types of GPU, more than {SERIES_COUNT} that can be told apart",
            types.len()
        ));
    }
    // The plan, else the first that serves: rows are by cost.
    let cheapest = |rows: &[usize]| {
        let serving = || rows.iter().copied().filter(|row| plan.serves(*row));
        rows.iter().copied().find(|row| plan.is_plan(*row)).or_else(|| serving().next())
    };
    let mut rows: Vec<(usize, f64, BarRow)> = Vec::new();
    for ((system, of), members) in &groups {
        let bar = |label: String, values: Vec<f64>| BarRow { heading: None, label, values, interval: None };
        let Some(best) = cheapest(members) else {
            let why = why_none(&plan, &reasons, members);
            rows.push((*system, f64::INFINITY, bar(format!("{}: {why}", words(*of, &short)), Vec::new())));
            continue;
        };
        let second = Some(decode_usd[best]).filter(|usd| !usd.is_nan()).unwrap_or(0.0);
        let part = |name: &str| {
            f64::from(u8::from(name == of.0)) * (usd[best] - second) + f64::from(u8::from(name == of.1)) * second
        };
        let label = if plan.is_plan(best) { format!("plan: {}", shape(best)) } else { shape(best) };
        rows.push((*system, usd[best], bar(label, types.iter().map(|name| part(name)).collect())));
    }
    if rows.iter().all(|(_, usd, _)| usd.is_infinite()) {
        return lacks("no deployment serves");
    }
    let is_used = |part: usize| rows.iter().any(|(.., row)| row.values.get(part).is_some_and(|usd| *usd > 0.0));
    let colours: Vec<usize> = (0..types.len()).filter(|part| is_used(*part)).collect();
    for (.., row) in &mut rows {
        row.values = colours.iter().filter_map(|part| row.values.get(*part).copied()).collect();
    }
    if rows.len() > MOST_ROWS {
        rows.retain(|(_, usd, _)| usd.is_finite());
    }
    if rows.len() > MOST_ROWS {
        return lacks(format!("there would be {} bars, more than {MOST_ROWS}", rows.len()));
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then_with(|| a.2.label.cmp(&b.2.label)));
    let mut last = None;
    for (system, _, row) in &mut rows {
        row.heading = (last != Some(*system)).then(|| plan.system.names()[*system].clone());
        last = Some(*system);
    }
    let figure = BarFigure {
        title: "Cost of the cheapest deployment that serves, by type of GPU".to_owned(),
        x_label: "Cost ($/h)".to_owned(),
        parts: colours.into_iter().map(|part| types[part].to_owned()).collect(),
        whole: None,
        rows: rows.into_iter().map(|(.., row)| row).collect(),
        intervals: String::new(),
        width: asked.width(Width::Page),
    };
    Ok(vec![Named::new("deployment_costs", figure)])
}

/// What deployments are in few words: replicas and their parallelism, prefill before decode, and the token budget.
fn shapes<'a>(table: &Table, short: &'a ShortNames) -> Result<impl Fn(usize) -> String + use<'a>, ResultsError> {
    let pool = |of: &'static str| {
        let column = |name: &str| table.words(&format!("{of}{name}"));
        let parallel = [
            ("TP", column("tensor_parallel_size")?),
            ("PP", column("pipeline_parallel_size")?),
            ("DP", column("data_parallel_size")?),
        ];
        let (gpu, replicas) = (column("gpu")?, column("replicas")?);
        Ok(move |row: usize| {
            let sizes = parallel.iter().map(|(name, sizes)| (*name, sizes.get(row)));
            let sizes: Vec<String> = sizes
                .filter(|(name, size)| *name == "TP" || !["", "1"].contains(size))
                .map(|(name, size)| format!("{name}{size}"))
                .collect();
            let of_pool = format!("{} {} × {}", short.get(gpu.get(row)), replicas.get(row), sizes.join(" "));
            Some(of_pool).filter(|_| !replicas.get(row).is_empty())
        })
    };
    let (first, second) = (pool("")?, pool("decode_")?);
    let budget = table.words("max_num_batched_tokens")?;
    Ok(move |row: usize| {
        let pools: Vec<String> = first(row).into_iter().chain(second(row)).collect();
        let budget = Some(budget.get(row)).filter(|budget| !budget.is_empty());
        let budget = budget.map_or(String::new(), |budget| format!(", {budget} tok"));
        format!("{}{budget}", pools.join(" + "))
    })
}

fn words((gpu, decode): Types<'_>, short: &ShortNames) -> String {
    let (gpu, decode) = (short.get(gpu), short.get(decode));
    if decode.is_empty() { gpu.to_owned() } else { format!("{gpu} + {decode}") }
}

/// Types of GPU by the beginning of their names, where that tells them apart; the legend has them whole.
struct ShortNames(Vec<(String, String)>);

impl ShortNames {
    fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut all: Vec<&String> = names.filter(|name| !name.is_empty()).collect();
        all.sort_unstable();
        all.dedup();
        let beginning = |name: &str| name.split('-').next().unwrap_or(name).to_owned();
        let is_alone = |short: &str| all.iter().filter(|name| beginning(name) == short).count() == 1;
        let one = |name: &&String| Some(((*name).clone(), Some(beginning(name)).filter(|short| is_alone(short))?));
        ShortNames(all.iter().filter_map(one).collect())
    }

    fn get<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.iter().find(|(whole, _)| whole == name).map_or(name, |(_, short)| short)
    }
}

/// Why none of these rows serves, as far as the search looked.
fn why_none(plan: &Deployments, reasons: &Words, rows: &[usize]) -> &'static str {
    let has = |status: &str| rows.iter().any(|row| plan.status.get(*row) == status);
    let is_dearer = rows.iter().any(|row| reasons.get(*row).starts_with("costs more"));
    match (is_dearer, has("misses"), has("not simulated")) {
        (true, ..) => "dearer ones were not simulated",
        (false, true, _) | (false, false, true) => "none serves",
        (false, false, false) => "cannot be",
    }
}

/// Placements by the rate that they hold per GPU.
pub(super) fn placements(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let table = source.results.table("plan")?;
    if table.has("status") {
        return lacks("the plan judged every deployment at one rate: `frontier` and `deployment_costs` show them");
    }
    let (algorithm, placement) = (table.words("algorithm")?, table.words("placement")?);
    let (whole, winner) = (table.words("plan")?, table.words("winner")?);
    let per_gpu = numbers_or_nothing(&table, "goodput_rps_per_gpu")?;
    let mut held: Vec<usize> = (0..table.len()).filter(|row| !per_gpu[*row].is_nan()).collect();
    if held.is_empty() {
        return lacks("no placement holds a rate");
    }
    let group = |row: usize| (whole.get(row) != "true", algorithm.codes()[row]);
    held.sort_by(|a, b| per_gpu[*b].total_cmp(&per_gpu[*a]));
    held.truncate(MOST_ROWS);
    held.sort_by_key(|row| group(*row));
    let mut last = None;
    let rows = held.into_iter().map(|row| {
        let part = if whole.get(row) == "true" { "plans" } else { "candidates" };
        let heading = (last != Some(group(row))).then(|| format!("{}: {part}", algorithm.get(row)));
        last = Some(group(row));
        let name = placement.get(row);
        let label = if winner.get(row) == "true" { format!("{name} (the plan)") } else { name.to_owned() };
        BarRow { heading, label, values: vec![per_gpu[row]], interval: None }
    });
    let figure = BarFigure {
        title: "Highest rate per GPU that meets the objectives, by placement".to_owned(),
        x_label: "Goodput per GPU (req/s)".to_owned(),
        parts: vec![String::new()],
        whole: None,
        rows: rows.collect(),
        intervals: String::new(),
        width: asked.width(Width::Page),
    };
    Ok(vec![Named::new("goodput_bars", figure)])
}
