//! Sweeps that are interrupted: killed at any moment, on a full disk, by another build, by another process.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::support::Place;
use super::sweep::{SWEPT, assert_same, assert_same_as, place, tables};

const SWEEP: [&str; 4] = ["sweep", "x.toml", "-o", "out"];

#[test]
fn killed_five_times_and_resumed_the_tables_are_those_of_an_undisturbed_sweep() {
    let place = place(
        "[sweep]\n\"workload.rate\" = [10, 15, 20, 25, 30, 35]\n\"system.scheduler.max_num_seqs\" = [8, 16, 32, 64]\n",
    );
    place.succeed(&["sweep", "x.toml", "-o", "undisturbed", "--jobs", "1"]);
    // Killed while it reads the file, and at whatever it does when so many more runs are done. On a busy machine it may be
    // over before it is killed; so it works on one thread, and not every time has to be in time.
    let (mut done, mut killed) = (0, 0);
    for (more, pause_ms) in [(0, 5), (1, 0), (17, 3), (9, 1), (23, 2)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_servesim"));
        command.args(SWEEP).args(["--resume", "--jobs", "1"]).current_dir(place.path(""));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        while lines(&place) < done + more && child.try_wait().expect("it is ours").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(pause_ms));
        // This is SIGKILL.
        child.kill().expect("it can be killed");
        killed += usize::from(!child.wait().expect("it ends").success());
        assert!(lines(&place) >= done, "what was done is lost");
        done = lines(&place);
    }
    assert!(killed >= 2, "the sweep was over before it was killed");
    place.succeed(&["sweep", "x.toml", "-o", "out", "--resume"]);
    assert_same(&place, "out", "undisturbed");
    assert_eq!(place.text("out/runs/1-of-1.jsonl").lines().count(), 96, "no run is done twice");
}

/// Whole lines of the results so far.
fn lines(place: &Place) -> usize {
    let bytes = fs::read(place.path("out/runs/1-of-1.jsonl")).unwrap_or_default();
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count()
}

#[test]
fn a_torn_line_is_cut_off_and_its_run_done_again() {
    let place = place(SWEPT);
    place.succeed(&SWEEP);
    let before = tables(&place, "out");
    let runs = place.text("out/runs/1-of-1.jsonl");
    let middle = runs.len() / 2;
    for torn in [middle, runs.len() - 1, 1, 0] {
        fs::write(place.path("out/runs/1-of-1.jsonl"), &runs[..torn]).expect("writable");
        for name in before.keys().filter(|name| !name.starts_with("sweep.json")) {
            fs::remove_file(place.path(&format!("out/{name}"))).expect("it is there");
        }
        place.succeed(&["sweep", "x.toml", "-o", "out", "--resume"]);
        assert_same_as(&place, "out", &before);
    }
}

#[test]
fn a_sweep_that_is_there_is_kept_unless_force_is_said() {
    let place = place(SWEPT);
    place.succeed(&SWEEP);
    let message = place.fail(2, &SWEEP);
    assert!(
        message.contains(
            "out holds this sweep already, with 16 runs done; go on with --resume, or replace it with --force"
        ),
        "{message}"
    );
    let message = place.fail(2, &[&SWEEP[..], &["--resume", "--set", "seeds=[1]"]].concat());
    assert!(message.contains("out holds another sweep, which differs in the seeds"), "{message}");
    let message = place.fail(2, &[&SWEEP[..], &["--force", "--shard", "1/2"]].concat());
    assert!(message.contains("--force would take away what other parts have done"), "{message}");
    place.succeed(&[&SWEEP[..], &["--force", "--set", "seeds=[1]"]].concat());
    assert_eq!(place.text("out/runs/1-of-1.jsonl").lines().count(), 8);
}

#[test]
fn force_takes_old_tables_and_figures_away_before_the_first_run() {
    let place = place(SWEPT);
    place.succeed(&SWEEP);
    for name in ["failures.parquet", "figures/lines.svg", "figures/notes.txt"] {
        place.write(&format!("out/{name}"), "old");
    }
    // As far as a sweep gets that is stopped before its first run. Its file is the old lock file, which therefore stays.
    let begun = ["sweep", "out/experiment.lock.toml", "-o", "out", "--force", "--launcher", "slurm", "--shards", "2"];
    place.succeed(&[&begun[..], &["--dry-run"]].concat());
    let left: Vec<String> = place.files("out").into_iter().filter(|name| !name.starts_with("slurm/")).collect();
    assert_eq!(left, ["experiment.lock.toml", "figures/notes.txt", "sweep.json"]);
}

#[test]
fn results_of_another_build_are_not_mixed_in() {
    let place = place(SWEPT);
    place.succeed(&SWEEP);
    let manifest = place.text("out/sweep.json");
    let at = manifest.find("\"build\": \"").expect("a digest") + 10;
    place.write("out/sweep.json", &format!("{}{}{}", &manifest[..at], "0".repeat(64), &manifest[at + 64..]));
    let message = place.fail(2, &[&SWEEP[..], &["--resume"]].concat());
    assert!(message.contains("differs in the build of servesim"), "{message}");
}

#[test]
fn a_full_disk_stops_the_sweep_with_what_was_done_and_it_goes_on_when_there_is_room() {
    let place = place(SWEPT);
    place.succeed(&["sweep", "x.toml", "-o", "undisturbed"]);
    // Files of more than 12 KiB cannot be written: the manifest can, and the first result or two.
    let script =
        format!("trap '' XFSZ; ulimit -f 12; exec '{}' sweep x.toml -o out --jobs 1", env!("CARGO_BIN_EXE_servesim"));
    let output = Command::new("bash").arg("-c").arg(script).current_dir(place.path("")).output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write out/runs/1-of-1.jsonl: File too large"), "{said}");
    let kept = place.text("out/runs/1-of-1.jsonl");
    assert!(kept.ends_with('\n') && (1..16).contains(&kept.lines().count()), "{kept}");
    assert!(
        said.contains(&format!("; {} runs are kept, and --resume goes on from there", kept.lines().count())),
        "{said}"
    );
    place.succeed(&[&SWEEP[..], &["--resume"]].concat());
    assert!(place.text("out/runs/1-of-1.jsonl").starts_with(&kept), "what was kept is not run again");
    assert_same(&place, "out", "undisturbed");
}

#[test]
fn a_part_that_cannot_be_written_says_so_and_harms_no_other() {
    let place = place(SWEPT);
    place.succeed(&[&SWEEP[..], &["--shard", "1/2"]].concat());
    let before = place.text("out/runs/1-of-2.jsonl");
    fs::create_dir(place.path("out/runs/2-of-2.jsonl")).expect("a folder in the way");
    let message = place.fail(1, &[&SWEEP[..], &["--shard", "2/2", "--resume"]].concat());
    assert!(message.contains("cannot open out/runs/2-of-2.jsonl: Is a directory"), "{message}");
    assert_eq!(place.text("out/runs/1-of-2.jsonl"), before);
}
