//! `servesim plan` over whole deployments.

use std::collections::BTreeSet;

use super::super::support::Place;
use super::{TWO_SIZES, cost, number};

/// [`TWO_SIZES`] with pools too, deployed in every way on up to four GPUs.
pub(crate) fn place(changes: &[(&str, &str)]) -> Place {
    let plan = TWO_SIZES.find("[plan]").expect("it is there");
    let mut text = format!(
        "{}[[system]]\nname = \"pools\"\ninherit = \"base\"\nprefill = {{}}\ndecode = {{}}\ntransfer = {{ mode = \"pull\", network = \
         \"instant\" }}\n\n[plan]\ndeployments = [\"base\", \"pools\"]\nrate = 12\ngpus_per_node = 4\ntensor_parallel_sizes = [1, 2]\n\
         pipeline_parallel_sizes = [1]\nfrontier_cost = 1.6\nstep_costs = [\"one.toml\", \"two.toml\"]\n",
        &TWO_SIZES[..plan]
    );
    for (old, new) in changes {
        assert!(text.contains(old), "there is no `{old}`");
        text = text.replacen(old, new, 1);
    }
    let place = Place::new();
    place.write("x.toml", &text);
    place.write("one.toml", &cost(1, 1.0));
    place.write("two.toml", &cost(2, 0.6));
    place
}

fn json(place: &Place, arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["plan", "x.toml", "--json", "-o", "p", "--force"], arguments].concat();
    serde_json::from_str(&place.succeed(&arguments).stdout).expect("JSON and nothing else")
}

/// Rows of `plan.csv` by column.
fn table(place: &Place) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = place.text("p/plan.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("a row of the table")).collect()
}

fn names(rows: &serde_json::Value) -> BTreeSet<String> {
    rows.as_array().expect("a list").iter().map(|row| row["deployment"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn pruning_loses_neither_the_winner_nor_the_frontier() {
    for (rate, seeds) in [("5", "[1]"), ("12", "[1, 2]"), ("20", "[3]")] {
        let place = place(&[("rate = 12", &format!("rate = {rate}")), ("seeds = [1]", &format!("seeds = {seeds}"))]);
        let pruned = json(&place, &[]);
        let of_pruned = table(&place);
        let all = json(&place, &["--set", "plan.prune=false"]);
        let of_all = table(&place);
        assert_eq!(pruned["winner"], all["winner"], "at {rate} req/s");
        assert_eq!(names(&pruned["frontier"]), names(&all["frontier"]), "at {rate} req/s");
        assert_eq!(all["simulated"], all["deployments"], "nothing was left out");
        assert!(number(&pruned["simulated"]) < number(&all["simulated"]), "something was: {pruned}");
        for row in of_pruned.iter().filter(|row| row["status"] == "not simulated") {
            let same = of_all.iter().find(|other| other["deployment"] == row["deployment"]).expect("it is in both");
            let attainment: f64 = same["attainment"].parse().expect("a share");
            if let Some((_, bound)) = row["reason"].split_once("at most ") {
                let bound: f64 = bound[..bound.find(" %").expect("percent")].parse().expect("a number");
                assert!(100.0 * attainment <= bound + 0.05, "{row:?}, simulated: {attainment}");
            }
            assert!(row["reason"].contains("costs more") || same["status"] == "misses", "{row:?}");
        }
    }
}

#[test]
fn every_deployment_is_in_the_table_and_what_was_not_simulated_is_counted_with_its_reason() {
    let place = place(&[]);
    let found = json(&place, &[]);
    let rows = table(&place);
    // One pool: 4 and 2 numbers of replicas. Two: 1+1 GPUs 6 ways, 1+2 and 2+1 two ways each, 2+2 once.
    assert_eq!(rows.len(), 4 + 2 + 6 + 2 + 2 + 1);
    let whole = |value: &serde_json::Value| value.as_u64().unwrap_or_else(|| panic!("{value} is no count"));
    let left_out =
        found["not_simulated"].as_array().expect("a list").iter().map(|reason| whole(&reason["deployments"]));
    assert_eq!(whole(&found["simulated"]) + left_out.sum::<u64>(), whole(&found["deployments"]));
    assert!(rows.iter().all(|row| (row["status"] == "not simulated") != row["reason"].is_empty()), "{rows:?}");
    let least = |status: &str| {
        let usd = rows
            .iter()
            .filter(|row| row["status"] == status)
            .map(|row| row["usd_per_hour"].parse::<f64>().expect("USD"));
        usd.fold(f64::INFINITY, f64::min)
    };
    let winners: Vec<_> = rows.iter().filter(|row| row["winner"] == "true").collect();
    assert_eq!(winners.len(), 1);
    assert!((winners[0]["usd_per_hour"].parse::<f64>().expect("USD") - least("serves")).abs() < 1e-9, "{winners:?}");
    // The plan runs, and serves there what it served here.
    place.succeed(&["run", "p/plan.toml", "--no-figures", "--set", "workload.rate=12", "-o", "r"]);
    let summary = place.text("r/summary.csv");
    assert!(summary.lines().nth(1).is_some_and(|row| row.contains(winners[0]["system"].as_str())), "{summary}");
}

#[test]
fn long_runs_tell_whether_the_order_holds() {
    let place = place(&[]);
    let found = json(&place, &["--confirm", "2"]);
    assert_eq!(found["confirmed"]["order_held"], true, "{}", found["confirmed"]);
    let text = place.text("p/confirmed.csv");
    assert!(text.lines().count() >= 3 && text.contains(",true\n"), "{text}");
    // Runs of fifty requests see one burst; longer ones find the limit that it hides.
    let burst = self::place(&[("requests = 400", "requests = 12"), ("ttft = \"500 ms\"", "ttft = \"900 ms\"")]);
    let found = json(&burst, &["--confirm", "3"]);
    assert_eq!(found["confirmed"]["order_held"], false, "{}", found["confirmed"]);
    let says = found["confirmed"]["says"].as_str().expect("a sentence");
    assert!(
        says.contains("the order did not hold") || says.contains("confirmed by") && says.contains("nothing"),
        "{says}"
    );
}

#[test]
fn what_no_long_run_bears_out_is_no_plan_and_an_older_one_does_not_stay() {
    let burst = place(&[("requests = 400", "requests = 12"), ("ttft = \"500 ms\"", "ttft = \"900 ms\"")]);
    burst.succeed(&["plan", "x.toml", "-o", "p"]);
    assert!(burst.files("p").contains(&"plan.toml".to_owned()));
    let said = burst.run(&["plan", "x.toml", "-o", "p", "--force", "--confirm", "1"]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stderr.contains("none of the deployments that were confirmed (1) serves the rate")
            && said.stderr.contains("no plan was written"),
        "{}",
        said.stderr
    );
    assert!(said.stdout.contains("no plan: nothing that was confirmed serves"), "{}", said.stdout);
    assert!(!burst.files("p").contains(&"plan.toml".to_owned()), "{:?}", burst.files("p"));
    assert!(table(&burst).iter().all(|row| row["winner"] == "false"), "nothing is called the plan");
    assert!(burst.text("p/confirmed.csv").lines().count() > 1, "what the long runs gave is there");
}

#[test]
fn a_plan_can_be_drawn_again_and_its_lock_file_gives_it_again() {
    let place = place(&[]);
    place.succeed(&["plan", "x.toml", "-o", "p"]);
    place.succeed(&["plot", "p", "-o", "again", "--format", "svg"]);
    for name in ["frontier.svg", "deployment_costs.svg"] {
        assert_eq!(place.text(&format!("p/figures/{name}")), place.text(&format!("again/{name}")), "{name}");
    }
    let list = place.succeed(&["plot", "p", "--list"]).stdout;
    assert!(
        list.contains("no: `servesim plan` keeps no steps; `servesim run` with `--set output.steps=true` does"),
        "{list}"
    );
    place.succeed(&["plan", "p/experiment.lock.toml", "-o", "q"]);
    for name in ["plan.csv", "plan.toml", "experiment.lock.toml"] {
        assert_eq!(place.text(&format!("p/{name}")), place.text(&format!("q/{name}")), "{name}");
    }
}

#[test]
fn deployments_do_not_depend_on_the_number_of_threads() {
    let place = place(&[]);
    place.succeed(&["plan", "x.toml", "-o", "one", "-j", "1"]);
    place.succeed(&["plan", "x.toml", "-o", "two", "-j", "3"]);
    for file in ["plan.csv", "plan.toml", "figures/frontier.svg"] {
        assert!(place.read(&format!("one/{file}")) == place.read(&format!("two/{file}")), "{file} depends on threads");
    }
}

#[test]
fn prices_of_the_file_decide_between_types_of_gpu() {
    let kernels = |prices: &str| {
        let plan =
            format!("gpus = [\"H100-SXM-80GB\", \"H200-SXM-141GB\"]\nprices = {prices}\ntensor_parallel_sizes = [1]\n");
        let place = place(&[
            ("tensor_parallel_sizes = [1, 2]\n", &plan),
            ("step_costs = [\"one.toml\", \"two.toml\"]\n", ""),
            ("deployments = [\"base\", \"pools\"]", "deployments = [\"base\"]"),
            ("price = \"2 USD/h\"\n", ""),
            ("max_num_batched_tokens = 150", "max_num_batched_tokens = 2048"),
        ]);
        json(&place, &[])["winner"]["deployment"].as_str().expect("a name").to_owned()
    };
    assert!(kernels("[\"2 USD/h\", \"1 USD/h\"]").contains("H200"));
    assert!(kernels("[\"1 USD/h\", \"2 USD/h\"]").contains("H100"));
}

#[test]
fn what_cannot_be_deployed_is_said() {
    let refused = |changes: &[(&str, &str)]| place(changes).fail(2, &["plan", "x.toml"]);
    insta::assert_snapshot!(refused(&[("rate = 12\n", "")]));
    insta::assert_snapshot!(refused(&[("rate = 12", "rate = 12\nalgorithms = [\"co-located\"]")]));
    insta::assert_snapshot!(refused(&[("rate = 12", "rate = 12\nobjective = \"goodput-per-gpu\"")]));
    insta::assert_snapshot!(refused(&[("\"pools\"]", "\"puls\"]")]));
    insta::assert_snapshot!(refused(&[("rate = 12", "rate = 12\ngpus = [\"A100-SXM-80GB\", \"H100-SXM-80GB\"]")]));
    insta::assert_snapshot!(refused(&[("rate = 12", "rate = 12\nprices = [\"2 USD/h\"]")]));
    insta::assert_snapshot!(super::place(&[]).fail(2, &["plan", "x.toml", "--confirm", "5"]));
    insta::assert_snapshot!(
        super::place(&[("gpus_per_node = 8", "gpus_per_node = 8\nprune = false")]).fail(2, &["plan", "x.toml"])
    );
}
