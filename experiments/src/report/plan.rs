//! The deployments of a plan.

use serde::Serialize;

use super::tables::PlainTable;
use super::warnings::percent;
use crate::results::{Kind, Results, ResultsError, Table};

/// A plan of whole deployments, as the page shows it.
#[derive(Serialize)]
pub(super) struct Plan {
    /// `plan.csv`.
    table: PlainTable,
    /// Names of the systems, in the order of the table.
    systems: Vec<String>,
}

/// Whether a table is one of whole deployments, which the page makes more of than a table.
pub(super) fn is_of_deployments(table: &PlainTable) -> bool {
    ["deployment", "status", "frontier"].iter().all(|name| table.columns.iter().any(|there| there == name))
}

impl Plan {
    /// Reads it; `None` of other folders.
    pub(super) fn read(results: &Results) -> Result<Option<Self>, ResultsError> {
        if results.kind() != Kind::Plan {
            return Ok(None);
        }
        let table = PlainTable::read(results, "plan", "Deployments")?;
        if !is_of_deployments(&table) {
            return Ok(None);
        }
        let systems = results.columns("plan", &["system"])?.words("system")?.names().to_vec();
        Ok(Some(Plan { table, systems }))
    }
}

/// What makes the plan less certain than it looks.
pub(super) fn warnings(results: &Results) -> Result<Vec<String>, ResultsError> {
    if results.kind() != Kind::Plan {
        return Ok(Vec::new());
    }
    let table = results.table("plan")?;
    if !table.has("status") {
        return Ok(Vec::new());
    }
    let (name, status, winner) = (table.words("deployment")?, table.words("status")?, table.words("winner")?);
    let mut warnings = Vec::new();
    let plan = (0..table.len()).find(|row| winner.get(*row) == "true");
    if let Some(plan) = plan {
        let certain = table.words("beyond_noise")?;
        warnings.extend(match certain.get(plan) {
            "true" => None,
            "false" => Some("The plan serves within the noise of the seeds only.".to_owned()),
            _ => Some("Whether the plan serves beyond chance is not known: its runs give no interval.".to_owned()),
        });
        let usd = table.numbers("usd_per_hour")?;
        let clearly = table.words("clearly_misses")?;
        let near = |row: &usize| status.get(*row) == "misses" && clearly.get(*row) == "false" && usd[*row] < usd[plan];
        warnings.extend((0..table.len()).filter(near).map(|row| {
            format!(
                "Cheaper by {}, and missing by no more than chance: {}.",
                percent(1.0 - usd[row] / usd[plan]),
                name.get(row)
            )
        }));
        let extrapolated = number(&table, "extrapolated_time_share", plan)?;
        warnings.extend(extrapolated.filter(|share| *share > 0.0).map(|share| {
            format!(
                "{} of the step time of the plan is extrapolated beyond anything that was measured or fitted.",
                percent(share)
            )
        }));
    } else {
        warnings.push("There is no plan: nothing that was searched, or that was confirmed, serves the rate within the objectives.".to_owned());
    }
    if results.path("confirmed").is_some() {
        warnings.extend(unconfirmed(&results.table("confirmed")?)?);
    }
    Ok(warnings)
}

/// What long runs did not bear out.
fn unconfirmed(table: &Table) -> Result<Option<String>, ResultsError> {
    let (before, still) = (table.words("before_served")?, table.words("serves")?);
    let served: Vec<usize> = (0..table.len()).filter(|row| before.get(*row) == "true").collect();
    let lost = served.iter().filter(|row| still.get(**row) != "true").count();
    let all = served.len();
    Ok((lost > 0).then(|| format!("In longer runs, {lost} of the {all} deployments that served in the search do not.")))
}

/// A field of a column that may be empty throughout.
fn number(table: &Table, column: &str, row: usize) -> Result<Option<f64>, ResultsError> {
    Ok(table.words(column)?.get(row).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(rows: &[&str], confirmed: Option<&str>) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("writable");
        let columns = "deployment,status,usd_per_hour,beyond_noise,clearly_misses,extrapolated_time_share,winner";
        write("plan.csv", format!("{columns}\n{}\n", rows.join("\n")));
        if let Some(confirmed) = confirmed {
            write("confirmed.csv", format!("before_served,serves\n{confirmed}"));
        }
        warnings(&Results::open(folder.path()).expect("results")).expect("readable")
    }

    #[test]
    fn what_makes_a_plan_less_certain_than_it_looks_is_said() {
        let sure = ["a,misses,5,true,true,,false", "b,serves,10,true,false,0,true"];
        assert_eq!(warned(&sure, Some("true,true\n")), Vec::<String>::new(), "nothing does");
        let unsure =
            ["a,misses,9,false,false,,false", "b,serves,10,false,false,0.25,true", "c,misses,20,,false,,false"];
        assert_eq!(
            warned(&unsure, Some("true,true\ntrue,false\nfalse,true\n")),
            [
                "The plan serves within the noise of the seeds only.",
                "Cheaper by 10 %, and missing by no more than chance: a.",
                "25 % of the step time of the plan is extrapolated beyond anything that was measured or fitted.",
                "In longer runs, 1 of the 2 deployments that served in the search do not.",
            ]
        );
        assert!(warned(&["b,serves,10,,false,,true"], None)[0].contains("is not known"));
        assert!(warned(&["b,misses,10,,false,,false"], None)[0].starts_with("There is no plan"));
    }
}
