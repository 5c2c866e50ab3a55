//! The same file and seed give the same bytes.

use super::support::Place;

fn same(place: &Place, one: &str, other: &str) {
    let files = place.files(one);
    assert!(files.len() >= 6, "{files:?}");
    assert_eq!(files, place.files(other));
    for file in files {
        assert!(
            place.read(&format!("{one}/{file}")) == place.read(&format!("{other}/{file}")),
            "{file} differs between {one} and {other}"
        );
    }
}

#[test]
fn the_same_experiment_gives_the_same_bytes_on_one_and_two_threads_twice() {
    let place = Place::with_small(&[]);
    for (folder, jobs) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")] {
        place.succeed(&["run", "x.toml", "-o", folder, "--jobs", jobs]);
    }
    for other in ["b", "c", "d"] {
        same(&place, "a", other);
    }
}

#[test]
fn a_lock_file_is_an_experiment_that_gives_the_same_bytes() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "first"]);
    place.succeed(&["run", "first/experiment.lock.toml", "-o", "again"]);
    same(&place, "first", "again");
}

#[test]
fn a_lock_file_of_a_trace_gives_the_same_bytes_from_elsewhere() {
    let place = Place::with_small(&[(
        "requests = 60\narrivals = { process = \"poisson\", rate = 20 }\ninput = { distribution = \"lognormal\", mean = 400, p90 = 800 }\noutput = { distribution = \"uniform\", min = 1, max = 40 }\nprefix = { structure = \"system-prompts\", lengths = [128, 64] }",
        "trace = \"data/t.csv\"\nrate = 10",
    )]);
    std::fs::create_dir(place.path("data")).expect("a folder can be made");
    place.write("data/t.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n1,2000,40\n1.5,50,30\n");
    place.succeed(&["run", "x.toml", "-o", "deep/er/first"]);
    place.succeed(&["run", "deep/er/first/experiment.lock.toml", "-o", "again"]);
    same(&place, "deep/er/first", "again");

    place.write("data/t.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n1,2000,41\n1.5,50,30\n");
    let message = place.fail(2, &["run", "again/experiment.lock.toml", "-o", "third"]);
    assert!(message.contains("t.csv is not the one this lock file was made with"), "{message}");
    assert!(message.contains("take this digest out of the file"), "{message}");
}

#[test]
fn systems_see_the_same_requests() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    let requests = place.text("out/requests.csv");
    let of = |system: &str| -> Vec<String> {
        let rows = requests.lines().filter_map(|line| line.strip_prefix(system));
        let mut rows: Vec<String> = rows
            .map(|row| {
                let fields: Vec<_> = row.split(',').collect();
                format!("seed {} request {} at {}", fields[1], fields[2], fields[3])
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(of("chunked").len(), 120);
    assert_eq!(of("chunked"), of("first"));
}
