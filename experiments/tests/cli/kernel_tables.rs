//! Systems that are priced from kernel tables.

use std::fmt::Write as _;

use super::support::Place;

const HEADER: &str = "\
# format = 1
# kernel = \"gemm\"
# device = \"H100-SXM-80GB\"
# cache = \"cold\"
# launch = \"graph\"
# source = \"made up\"
# date = \"2026-11-25\"
m,n,k,weights,activations,scaling,time_us
";

/// Products around those of Llama-3.1-8B, each as long as its weights take at 2.5 TB/s or its FLOPs at 500 TFLOP/s, and
/// `slower` times that.
fn gemm_table(slower: f64) -> String {
    let mut text = HEADER.to_owned();
    for n in [1024, 4096, 6144, 16_384, 28_672, 131_072] {
        for k in [1024, 4096, 14_336, 32_768] {
            for m in [1, 16, 64, 128, 256, 512, 1024, 4096, 16_384] {
                let (rows, columns, inner) = (f64::from(m), f64::from(n), f64::from(k));
                let seconds = (2.0 * columns * inner / 2.5e12).max(2.0 * rows * columns * inner / 5e14);
                let time_us = slower * (4.0 + seconds * 1e6);
                let _ = writeln!(text, "{m},{n},{k},bf16,bf16,none,{time_us}");
            }
        }
    }
    text
}

/// The small experiment with the kernel tables in `tables`.
fn with_tables() -> Place {
    Place::with_small(&[("gpu = \"H100-SXM-80GB\"", "gpu = \"H100-SXM-80GB\"\nkernel_tables = [\"tables\"]")])
}

fn column(place: &Place, name: &str) -> f64 {
    let text = place.text("out/summary.csv");
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    let index = header.split(',').position(|column| column == name).unwrap_or_else(|| panic!("no column `{name}`"));
    let field = lines.next().expect("a row").split(',').nth(index).expect("a field");
    field.parse().unwrap_or_else(|_| panic!("`{name}` is `{field}`"))
}

#[test]
fn products_that_tables_hold_count_as_measured_and_decide_the_times() {
    let place = with_tables();
    place.write("tables/gemm.csv", &gemm_table(1.0));
    let said = place.succeed(&["run", "x.toml", "-o", "out"]).stdout;
    assert!(said.contains("% measured, ") && said.contains("decode_attention "), "{said}");
    assert!(column(&place, "measured_time_share") > 0.7, "{said}");
    let as_measured = column(&place, "mean_tpot_ms");
    place.write("tables/gemm.csv", &gemm_table(2.0));
    place.succeed(&["run", "x.toml", "-o", "out", "--force"]);
    let twice_as_slow = column(&place, "mean_tpot_ms");
    assert!(twice_as_slow > 1.6 * as_measured, "{as_measured} ms, then {twice_as_slow} ms");
}

#[test]
fn the_lock_file_knows_the_tables_and_notices_when_they_change() {
    let place = with_tables();
    place.write("tables/gemm.csv", &gemm_table(1.0));
    place.succeed(&["run", "x.toml", "-o", "out"]);
    place.succeed(&["run", "out/experiment.lock.toml", "-o", "again"]);
    assert!(place.read("out/summary.csv") == place.read("again/summary.csv"), "the lock file gives other figures");
    place.write("tables/gemm.csv", &gemm_table(1.01));
    let error = place.fail(2, &["run", "out/experiment.lock.toml", "-o", "again"]);
    let expected = "kernel table HERE/tables/gemm.csv is not the one this lock file was made with";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_table_of_another_device_is_refused() {
    let place = with_tables();
    place.write("tables/gemm.csv", &gemm_table(1.0).replace("H100-SXM-80GB", "A100-SXM-80GB"));
    let error = place.fail(2, &["run", "x.toml"]);
    assert!(error.contains("kernel tables cannot be used"), "{error}");
    assert!(error.contains("measured on `A100-SXM-80GB`, but the device is `H100-SXM-80GB`"), "{error}");
}

#[test]
fn a_time_that_cannot_be_is_shown_with_its_line() {
    let place = with_tables();
    for (time, shown) in [("NaN", "NaN"), ("0", "0"), ("-2", "-2")] {
        place.write("tables/gemm.csv", &format!("{HEADER}1,4096,4096,bf16,bf16,none,{time}\n"));
        let error = place.fail(2, &["run", "x.toml"]);
        let expected = format!("gemm.csv, line 9, column `time_us`: `{shown}` is not a finite number above 0");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn times_in_milliseconds_are_refused() {
    let place = with_tables();
    place.write("tables/gemm.csv", &gemm_table(1e-3));
    let error = place.fail(2, &["run", "x.toml"]);
    assert!(error.contains("rows are faster than the device can be"), "{error}");
    assert!(error.contains("times must be in microseconds"), "{error}");
}

#[test]
fn shapes_that_disagree_are_a_note_with_their_lines() {
    let place = with_tables();
    let table = gemm_table(1.0) + "1,4096,4096,bf16,bf16,none,100\n";
    place.write("tables/gemm.csv", &table);
    let said = place.succeed(&["run", "x.toml", "-o", "out"]);
    let said = said.stdout + &said.stderr;
    assert!(said.contains("1 shape occurs more than once with times that differ by more than 10 %"), "{said}");
}

#[test]
fn a_folder_without_tables_and_a_path_that_is_not_there_are_refused() {
    let place = with_tables();
    let error = place.fail(2, &["run", "x.toml"]);
    assert!(error.contains("tables: No such file or directory"), "{error}");
    std::fs::create_dir(place.path("tables")).expect("a folder can be made");
    let error = place.fail(2, &["run", "x.toml"]);
    assert!(error.contains("holds no kernel table"), "{error}");
}

#[test]
fn a_compressed_file_that_was_cut_is_refused() {
    use std::io::Write as _;
    let place = with_tables();
    std::fs::create_dir(place.path("tables")).expect("a folder can be made");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(gemm_table(1.0).as_bytes()).expect("memory takes it");
    let whole = gzip.finish().expect("memory takes it");
    std::fs::write(place.path("tables/gemm.csv.gz"), &whole).expect("written");
    place.succeed(&["run", "x.toml", "-o", "out"]);
    std::fs::write(place.path("tables/gemm.csv.gz"), &whole[..whole.len() / 2]).expect("written");
    let error = place.fail(2, &["run", "x.toml"]);
    assert!(
        error.contains("gemm.csv.gz: the compressed file ends in the middle: it was cut; fetch it again"),
        "{error}"
    );
}

#[test]
fn a_profile_of_ones_own_stands_in_place_of_the_shipped_one() {
    let place =
        Place::with_small(&[("gpu = \"H100-SXM-80GB\"", "gpu = \"H100-SXM-80GB\"\nfitted_profile = \"own.toml\"")]);
    let fitted = |slower: f64| {
        place.write("gemm.csv", &gemm_table(slower));
        place.succeed(&["profiles", "fit", "gemm.csv", "-o", "own.toml", "--date", "2026-11-25", "--force"]);
        place.succeed(&["run", "x.toml", "-o", "out", "--force"]);
        column(&place, "mean_tpot_ms")
    };
    let (as_fast, half_as_fast) = (fitted(1.0), fitted(2.0));
    assert!(half_as_fast > 1.5 * as_fast, "{as_fast} ms, then {half_as_fast} ms");
    place.succeed(&["run", "out/experiment.lock.toml", "-o", "again"]);
    assert!(place.read("out/summary.csv") == place.read("again/summary.csv"), "the lock file gives other figures");
    let other = place.text("own.toml").replace("device = \"H100-SXM-80GB\"", "device = \"A100-SXM-80GB\"");
    place.write("own.toml", &other);
    let error = place.fail(2, &["run", "x.toml"]);
    assert!(error.contains("it was fitted on A100-SXM-80GB, and this system runs on H100-SXM-80GB"), "{error}");
}
