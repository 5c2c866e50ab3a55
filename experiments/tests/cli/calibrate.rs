//! `servesim calibrate` on a machine without a GPU.

use super::support::Place;

/// Whether this machine has NVIDIA's driver, and with it perhaps a GPU: these tests are about machines without.
#[expect(clippy::print_stdout, reason = "the output of a test is where a reader looks")]
fn has_driver() -> bool {
    let found =
        calibration::gpu::doctor(0).iter().any(|finding| finding.what == "NVIDIA driver" && finding.says.is_ok());
    if found {
        println!("NOT RUN: this machine has an NVIDIA driver");
    }
    found
}

#[test]
fn without_a_driver_it_says_what_is_missing_and_how_to_get_it() {
    if has_driver() {
        return;
    }
    let place = Place::new();
    for arguments in [&["calibrate", "-o", "tables"][..], &["calibrate", "-o", "tables", "--stage", "grid"]] {
        let said = place.fail(1, arguments);
        assert!(said.starts_with("error: cannot load NVIDIA driver (libcuda.so.1)\n"), "{said}");
        for part in [
            "looked in",
            "last error: ",
            "help: install the NVIDIA driver, or run this on the GPU machine; simulation itself needs no GPU",
        ] {
            assert!(said.contains(part), "`{part}` is not in:\n{said}");
        }
    }
    assert!(place.files("tables").is_empty(), "nothing was measured");
}

#[test]
fn the_doctor_lists_everything_that_is_looked_for() {
    if has_driver() {
        return;
    }
    let place = Place::new();
    let said = place.run(&["calibrate", "--stage", "doctor"]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    for what in ["NVIDIA driver", "CUDA run-time compiler", "cuBLASLt", "NVIDIA management library"] {
        let named = said.stdout.lines().any(|line| {
            let found = line.strip_prefix("missing  ").or_else(|| line.strip_prefix("found    "));
            found.is_some_and(|rest| rest.starts_with(what))
        });
        assert!(named, "{what} is not in:\n{}", said.stdout);
    }
}

#[test]
fn a_stage_that_is_none_and_a_folder_that_is_missing_are_wrong_input() {
    let place = Place::new();
    let said = place.fail(2, &["calibrate", "-o", "tables", "--stage", "gird"]);
    assert!(said.contains("`gird` is no stage; use one of doctor, verify, ceilings, grid, energy"), "{said}");
    let said = place.fail(2, &["calibrate"]);
    assert!(said.contains("name a folder for the tables with `-o DIR`"), "{said}");
    let said = place.fail(2, &["calibrate", "-o", "tables", "--budget-s", "0"]);
    assert!(said.contains("--budget-s"), "{said}");
}
