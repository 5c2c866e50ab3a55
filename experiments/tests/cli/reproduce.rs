//! Claims of papers, run and judged.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use super::support::Place;

const PAPER: &str = r#"title = "Serving Considered"
cite = "Nobody, 2026"

[[test]]
id = "T1"
claim = "One and one is two"
name = "arithmetic::addition"
tolerance = "exact"
measured = "2"
"#;

const EXPERIMENT: &str = r#"seeds = [1, 2, 3]
model = "Qwen/Qwen3-8B"
slo = { ttft = "40 ms" }

[workload]
requests = 50
rate = 20
input = { distribution = "fixed", tokens = 512 }
output = { distribution = "fixed", tokens = 16 }

[[system]]
name = "one"
gpu = "H100-SXM-80GB"

[[system]]
name = "two"
inherit = "one"
replicas = 2
"#;

const CLAIMS: &str = r#"figure = "Figure 1: two are more than one"
conditions = "As simple as it gets."
vary = { key = "workload.rate", values = [1, 20, 400] }

[[claim]]
id = "A"
claim = "Two engines have twice the devices"
published_in = "Figure 1"
measure = "devices"
at = 1
system = "two"
against = "one"
compare = "ratio"
published = 2
status = "predicted"

[[claim]]
id = "B"
claim = "Two engines answer later"
published_in = "Figure 1"
measure = "mean_ttft_ms"
at = 400
system = "two"
against = "one"
compare = "change"
published = 50
status = "predicted"

[[claim]]
id = "C"
claim = "They sustain more"
published_in = "Figure 1"
within = ["slo_attainment >= 0.9"]
system = "two"
against = "one"
compare = "ratio"
published = 1
relation = "above"
status = "undetermined"
reason = "Nobody ran it."
"#;

/// A folder of papers with one in it, changed: each pair replaces the first text by the second, in whichever file has it.
fn place(changes: &[(&str, &str)]) -> Place {
    let place = Place::new();
    let mut files = [PAPER, EXPERIMENT, CLAIMS].map(str::to_owned);
    for (old, new) in changes {
        let file = files.iter_mut().find(|file| file.contains(old)).unwrap_or_else(|| panic!("no file has `{old}`"));
        *file = file.replacen(old, new, 1);
    }
    for (name, text) in ["paper.toml", "figure-1.toml", "figure-1.claims.toml"].into_iter().zip(files) {
        place.write(&format!("experiments/papers/serving/{name}"), &text);
    }
    place
}

fn claims(said: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(said).expect("JSON");
    json["papers"][0]["claims"].as_array().expect("claims").clone()
}

#[test]
fn claims_are_run_judged_and_explained_and_one_that_differs_is_no_failure() {
    let claims = claims(&place(&[]).succeed(&["reproduce", "--json"]).stdout);
    let verdicts: Vec<_> = claims.iter().map(|claim| claim["verdict"].as_str().expect("a verdict")).collect();
    assert_eq!(verdicts, ["holds", "direction wrong", "open, direction right"]);
    assert_eq!(claims[0]["simulated"], 2.0);
    assert_eq!((claims[0]["simulated_low"].as_f64(), claims[0]["seeds"].as_u64()), (Some(2.0), Some(3)));
    assert_eq!(claims[1]["reason"], "not explained");
    assert_eq!(claims[2]["reason"], "Nobody ran it.");
    assert_eq!(claims[0]["reason"], Value::Null, "what holds needs no reason");
}

#[test]
fn the_table_tells_claim_published_simulated_verdict_and_reason() {
    let said =
        place(&[("claim = \"Two engines answer later\"", "claim = \"Later\"")]).succeed(&["reproduce", "serving"]);
    let row = |id: &str| said.stdout.lines().find(|line| line.trim_start().starts_with(id)).unwrap_or_default();
    for (id, parts) in [
        (
            "A ",
            [
                "Two engines have twice the devices (Figure 1)",
                "2 ×",
                "2.00 × [2.00, 2.00]; 1.00 → 2.00",
                "predicted: holds",
            ],
        ),
        ("B ", ["Later (Figure 1)", "50 %", "% [−", "predicted: direction wrong"]),
        ("C ", ["They sustain more", "above 1 ×", "×", "undetermined: open, direction right"]),
    ] {
        for part in parts {
            assert!(row(id).contains(part), "`{part}` is not in `{}`", row(id));
        }
    }
    assert!(said.stdout.contains("C: Nobody ran it."), "{}", said.stdout);
    assert!(said.stdout.contains("held by tests: T1"), "{}", said.stdout);
}

#[test]
fn everything_is_written_and_the_same_on_any_number_of_threads() {
    let place = place(&[]);
    for (folder, jobs) in [("one", "1"), ("many", "4")] {
        place.succeed(&["reproduce", "-o", folder, "-j", jobs]);
    }
    assert_eq!(place.files("one"), ["cache_runs.csv", "claims.csv", "reproduction.md", "runs.csv"]);
    for name in place.files("one") {
        assert_eq!(place.read(&format!("one/{name}")), place.read(&format!("many/{name}")), "{name}");
    }
    assert_eq!(place.text("one/runs.csv").lines().count(), 1 + 2 * 3 * 3, "systems × points × seeds");
    let page = place.text("one/reproduction.md");
    for part in [
        "| [Serving Considered](#serving-considered) | 1 | 0 | 1 | 0 | 1 | 0 | 1 |",
        "`experiments/papers/serving/figure-1.toml`, 3 seeds, `workload.rate` = 1, 20, 400. Step time stands on: 100 % fitted.",
        "| T1 | One and one is two | exact | 2 | `arithmetic::addition` |",
        "- C: Nobody ran it.",
    ] {
        assert!(page.contains(part), "`{part}` is not in\n{page}");
    }
    let refused = place.fail(2, &["reproduce", "-o", "one"]);
    assert!(refused.contains("replace with --force"), "{refused}");
}

#[test]
fn fewer_seeds_can_be_asked_for_and_one_has_no_interval() {
    let claims = claims(&place(&[]).succeed(&["reproduce", "--seeds", "1", "--json"]).stdout);
    assert_eq!((claims[0]["seeds"].as_u64(), &claims[0]["simulated_low"]), (Some(1), &Value::Null));
}

#[test]
fn papers_and_experiments_that_are_not_there_are_answered_with_the_nearest() {
    let place = place(&[]);
    let said = place.fail(2, &["reproduce", "servin"]);
    assert!(said.contains("there is no paper `servin` in HERE/experiments/papers: did you mean `serving`?"), "{said}");
    let said = place.fail(2, &["reproduce", "serving/figure-2"]);
    assert!(
        said.contains("the paper `serving` has no experiment `figure-2`: did you mean `serving/figure-1`?"),
        "{said}"
    );
    let said = place.fail(2, &["reproduce", "--papers", "elsewhere"]);
    assert!(said.contains("the folder of papers elsewhere does not exist"), "{said}");
}

#[test]
fn what_is_wrong_with_a_claim_is_shown_where_it_was_written() {
    for (old, new, expected) in [
        ("measure = \"devices\"", "measure = \"devises\"", "did you mean `devices`?"),
        (
            "system = \"two\"\nagainst = \"one\"\ncompare = \"ratio\"\npublished = 2",
            "system = \"too\"\npublished = 2",
            "its systems: one, two",
        ),
        ("at = 1\n", "at = 2\n", "its values: 1, 20, 400"),
        ("at = 1\n", "", "add `at`"),
        ("compare = \"ratio\"\npublished = 2", "published = 2", "add `compare`"),
        (
            "against = \"one\"\ncompare = \"ratio\"\npublished = 2",
            "compare = \"ratio\"\npublished = 2",
            "add `against`",
        ),
        (
            "published = 2\n",
            "published = 2\ntolerance = 0.1\n",
            "comparisons may differ by a quarter of the published change",
        ),
        ("published = 2\n", "published = 2\npublished_to = 1\n", "expected 2 or above"),
        ("published = 2\n", "published = 2\nfitted_by = \"me\"\n", "it belongs to \"fitted\""),
        ("slo_attainment >= 0.9", "slo_attainment > 0.9", "expected MEASURE >= NUMBER or MEASURE <= NUMBER"),
        ("reason = \"Nobody ran it.\"", "", "add `reason`"),
        ("id = \"B\"", "id = \"A\"", "two claims of one paper are called `A`"),
        ("values = [1, 20, 400]", "values = [20, 1, 400]", "sort them"),
        ("status = \"undetermined\"", "status = \"undetermind\"", "did you mean \"undetermined\"?"),
    ] {
        let said = place(&[(old, new)]).fail(2, &["reproduce"]);
        assert!(said.contains(expected), "{new}:\n{said}");
    }
}

#[test]
fn a_claim_without_a_value_is_a_failure_and_the_others_are_told_nevertheless() {
    let said = place(&[("slo = { ttft = \"40 ms\" }\n", "")]).run(&["reproduce", "--json"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("claim C: `two` has no slo_attainment"), "{}", said.stderr);
    let claims = claims(&said.stdout);
    assert_eq!((&claims[0]["verdict"], &claims[2]["verdict"]), (&"holds".into(), &"run failed".into()));
    assert_eq!(claims[2]["simulated"], Value::Null);
}

/// The shipped papers, as `--list` tells them.
static SHIPPED: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("papers");
    let said = Place::new().succeed(&["reproduce", "--list", "--papers", &folder.to_string_lossy()]);
    said.stdout.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
});

#[test]
fn the_published_page_has_every_claim_that_is_shipped_and_no_other() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reproduction.md");
    let page = std::fs::read_to_string(page).expect("docs/reproduction.md").replace("\\_", "_");
    let rows: BTreeSet<&str> =
        page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| paper")).collect();
    let shipped = &*SHIPPED;
    for claim in shipped {
        let start = format!("| {} | {}", claim[1], claim[2]);
        let is_it = |row: &&&str| row.starts_with(&start) && row.contains(&claim[3]);
        assert!(
            rows.iter().any(|row| is_it(&row)),
            "docs/reproduction.md is stale: it has no `{start}` … `{}`",
            claim[3]
        );
    }
    let papers: BTreeSet<&str> = shipped.iter().filter_map(|claim| claim[0].split('/').next()).collect();
    let heads = rows.iter().filter(|row| row.starts_with("| |") || row.starts_with("| [")).count();
    let claims = rows.len() - heads;
    assert_eq!(claims, shipped.len(), "docs/reproduction.md has claims that are shipped no more");
    assert_eq!(rows.iter().filter(|row| row.starts_with("| [")).count(), papers.len());
    for runs in page.lines().filter(|line| line.starts_with("`experiments/papers/")) {
        // A seed of BlendServe's is 400,000 requests, sixty times those of others, and an interval says how far few of them tell.
        let large =
            runs.contains("/blendserve/") && [", 3 seeds", ", 4 seeds"].iter().any(|seeds| runs.contains(seeds));
        assert!(
            large || [", 20 seeds", ", 1 seed.", ", 1 seed,"].iter().any(|seeds| runs.contains(seeds)),
            "neither 20 seeds nor deterministic: {runs}"
        );
    }
    assert!(!page.contains("not explained"), "a claim that differs has no reason");
    assert!(!page.contains("run failed"), "a claim has no value");
}

/// All text of the Rust files below a folder.
fn code(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            code(&path, text);
        } else if path.extension().is_some_and(|end| end == "rs") {
            *text += &std::fs::read_to_string(&path).expect("a file");
        }
    }
}

#[test]
fn tests_that_papers_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for claim in &*SHIPPED {
        let Some(test) = claim[4].strip_prefix("test ") else { continue };
        let (krate, name) = (test.split("::").next().expect("a crate"), test.rsplit("::").next().expect("a name"));
        let mut all = String::new();
        code(&root.join(krate), &mut all);
        assert!(all.contains(&format!("fn {name}(")), "{}: there is no test `{test}`", claim[1]);
    }
}
