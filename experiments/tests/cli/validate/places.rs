//! Where cases come from and results go.

use serde_json::json;

use super::{json_of, meta, place, requests};

#[test]
fn results_that_are_there_are_kept_unless_force_is_said() {
    let place = place(&meta(), &requests());
    let arguments = ["validate", "run", "-o", "out", "--no-figures"];
    place.succeed(&arguments);
    place.write("out/errors.csv", "precious");
    let message = place.fail(2, &arguments);
    assert_eq!(
        message,
        "error: out already holds errors.csv, groups.csv, cases.csv, assumptions.csv, validation.md, cases; write elsewhere \
         with -o, or replace with --force\n"
    );
    assert_eq!(place.text("out/errors.csv"), "precious");
    place.succeed(&[&arguments[..], &["--force"]].concat());
    assert!(place.text("out/errors.csv").starts_with("case,part,"));
    assert!(
        place.fail(2, &["validate", "run", "--force"]).contains("--output"),
        "nothing is replaced without a folder"
    );
}

#[test]
fn force_leaves_nothing_of_an_earlier_validation_and_all_else() {
    let place = place(&meta(), &requests());
    place.write("other/meta.json", &meta().to_string());
    place.write("other/requests.csv", &requests());
    place.succeed(&["validate", "run", "other", "-o", "out"]);
    place.write("out/notes.txt", "mine");
    place.write("out/figures/mine.svg", "<svg/>");
    place.write("out/cases/run/notes.txt", "mine");
    place.write("out/cases/mine/experiment.toml", "name = \"mine\"");
    place.write("out/cases/mine/trace.csv", "mine");
    place.succeed(&["validate", "other", "-o", "out", "--no-figures", "--force"]);
    assert_eq!(
        place.files("out"),
        [
            "assumptions.csv",
            "cases.csv",
            "cases/mine/experiment.toml",
            "cases/mine/trace.csv",
            "cases/other/experiment.toml",
            "cases/other/requests.csv",
            "cases/other/trace.csv",
            "cases/run/notes.txt",
            "errors.csv",
            "figures/mine.svg",
            "groups.csv",
            "notes.txt",
            "validation.md",
        ]
    );
}

#[test]
fn files_of_a_measured_run_are_not_replaced_even_by_force() {
    let place = place(&meta(), &requests());
    place.write("all/cases/run/meta.json", &meta().to_string());
    place.write("all/cases/run/requests.csv", &requests());
    for arguments in [["all/cases/run", "all"], ["run", "run"]] {
        let said = place.fail(2, &["validate", arguments[0], "-o", arguments[1], "--force", "--no-figures"]);
        assert!(said.contains("is a measured run, whose files would be replaced"), "{said}");
    }
    assert_eq!((place.text("all/cases/run/requests.csv"), place.text("run/requests.csv")), (requests(), requests()));
}

#[test]
fn a_case_that_is_given_twice_counts_once() {
    let place = place(&meta(), &requests());
    let said = place.succeed(&["validate", "run", "./run", ".", "--json"]);
    let (errors, json) = (said.stderr, json_of(&said.stdout));
    assert_eq!(json["cases"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["groups"][0]["cases"], 1);
    assert!(errors.contains("note: ./run is given twice: it counts once\n"), "{errors}");
}

#[test]
fn different_cases_of_one_name_do_not_share_a_folder() {
    let place = place(&meta(), &requests());
    place.write("b/run/meta.json", &meta().to_string());
    place.write("b/run/requests.csv", &requests().replace(",500,", ",900,"));
    place.write("with blank/meta.json", &meta().to_string());
    place.write("with blank/requests.csv", &requests());
    let said = place.succeed(&["validate", "run", "b/run", "with blank", "-o", "out", "--no-figures", "--json"]);
    assert!(
        said.stderr.contains("note: the case run of b/run is called run_2: another has its name\n"),
        "{}",
        said.stderr
    );
    let names: Vec<_> =
        json_of(&said.stdout)["cases"].as_array().expect("cases").iter().map(|case| case["case"].clone()).collect();
    assert_eq!(names, [json!("run"), json!("run_2"), json!("with blank")]);
    assert!(place.text("out/cases/run/trace.csv").contains(",500,"));
    assert!(place.text("out/cases/run_2/trace.csv").contains(",900,"));
    assert_eq!(place.text("out/cases/with-blank/requests.csv").lines().count(), 21);
}
