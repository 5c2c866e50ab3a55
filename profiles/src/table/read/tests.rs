use super::super::{Cache, GemmRow, Launch, Scaling, Timing};
use super::*;
use crate::parallel::DType;

const HEADER: &str = "\
# format = 1
# kernel = \"gemm\"
# device = \"H200-SXM-141GB\"
# cache = \"cold\"
# launch = \"graph\"
# source = \"made up\"
# date = \"2026-11-25\"
";
const COLUMNS: &str = "m,n,k,weights,activations,scaling,time_us\n";

fn read(text: &str) -> Result<(KernelTable, Vec<TableWarning>), String> {
    KernelTable::read(text, "t.csv").map_err(|error| error.to_string())
}

fn with_rows(rows: &str) -> Result<(KernelTable, Vec<TableWarning>), String> {
    read(&format!("{HEADER}{COLUMNS}{rows}"))
}

fn message(rows: &str) -> String {
    with_rows(rows).expect_err("a fault")
}

fn table() -> KernelTable {
    let row = |m, time_us| GemmRow {
        m,
        n: 4096,
        k: 4096,
        weights: DType::Fp8,
        activations: DType::Fp8,
        scaling: Scaling::Block,
        timing: Timing { power_w: Some(431.5), ..Timing::of_us(time_us) },
    };
    let mut header =
        Header::new(Kernel::Gemm, "H200-SXM-141GB", Cache::Unknown, Launch::Stream, "made \"up\"", "2026-11-25");
    header.libraries.insert("vllm".to_string(), "0.24.0".to_string());
    KernelTable { header, rows: Rows::Gemm(vec![row(1, 9.25), row(2, 9.5)]) }
}

#[test]
fn what_is_written_is_read_back_and_carries_a_digest() {
    let table = table();
    let text = table.write();
    let (back, warnings) = read(&text).expect("a table");
    assert_eq!(back.rows, table.rows);
    assert_eq!(back.header.libraries, table.header.libraries);
    assert!(back.header.digest.is_some_and(|digest| digest.starts_with("sha256:")));
    assert_eq!(warnings, []);
    assert!(text.contains("m,n,k,weights,activations,scaling,time_us,power_w\n1,4096,4096,fp8,fp8,block,9.25,431.5\n"));
}

#[test]
fn a_file_that_was_cut_or_changed_does_not_match_its_digest() {
    let text = table().write();
    let cut = text.rsplit_once("2,4096").expect("a second row").0;
    let error = read(cut).expect_err("a fault");
    assert!(error.contains("the file was cut or changed"), "{error}");
}

#[test]
fn columns_may_come_in_any_order() {
    let text = format!("{HEADER}time_us,k,n,m,scaling,activations,weights\n9.5,3,2,1,none,bf16,bf16\n");
    let (table, _) = read(&text).expect("a table");
    let Rows::Gemm(rows) = table.rows else { panic!("no GEMM") };
    assert_eq!((rows[0].m, rows[0].n, rows[0].k), (1, 2, 3));
}

#[test]
fn headers_say_what_is_wrong_with_them() {
    let cases = [
        ("m,n\n", "t.csv: header: there is none; a kernel table starts with lines of TOML behind `# `"),
        ("# kernel = \"gemm\"\n", "`format` is missing; write `# format = 1`"),
        ("# format = 7\n", "format = 7 is not known; this program reads 1"),
        ("# format = 1\n# kernel = \"gemm\"\n", "missing field `device`"),
    ];
    for (text, expected) in cases {
        let error = read(text).expect_err("a fault");
        assert!(error.contains(expected), "{error}");
    }
    let error = read(&HEADER.replace("gemm", "gem")).expect_err("a fault");
    assert!(error.contains("`gem` is no kind of kernel; use one of gemm, prefill_attention"), "{error}");
    let error = read(&HEADER.replace("cold", "tepid")).expect_err("a fault");
    assert!(error.contains("unknown variant `tepid`, expected one of `cold`, `warm`, `unknown`"), "{error}");
    let error = read(&HEADER.replace("device", "devise")).expect_err("a fault");
    assert!(error.contains("unknown field `devise`"), "{error}");
}

#[test]
fn the_date_is_a_day_of_the_calendar_or_unknown() {
    let dated = |date: &str| {
        let header = HEADER.replace("2026-11-25", date);
        assert!(header.contains(&format!("date = \"{date}\"")), "{header}");
        read(&format!("{header}{COLUMNS}"))
    };
    for date in ["2026-11-25", "2024-02-29", "2000-02-29", "unknown"] {
        dated(date).unwrap_or_else(|error| panic!("{date}: {error}"));
    }
    for date in
        ["2026-13-45", "2026-02-29", "1900-02-29", "2026-04-31", "2026-00-10", "2026-01-00", "26-1-5", "today", ""]
    {
        let error = dated(date).expect_err(date);
        let expected =
            format!("t.csv: header: date = \"{date}\" is no day; expected one such as 2026-11-25, or `unknown`");
        assert_eq!(error, expected);
    }
}

#[test]
fn columns_that_are_missing_unknown_or_doubled_are_named() {
    let error = read(&format!("{HEADER}{}", COLUMNS.replace("scaling,", ""))).expect_err("a fault");
    assert_eq!(
        error,
        "t.csv, line 8: column `scaling` (how narrow operands are scaled: none, tensor or block) is missing from a \
         table of gemm"
    );
    let error = read(&format!("{HEADER}{}", COLUMNS.replace("time_us", "time_us,tim_us"))).expect_err("a fault");
    assert_eq!(error, "t.csv, line 8: column `tim_us` is not one of a table of gemm; is it `time_us`?");
    let error = read(&format!("{HEADER}{}", COLUMNS.replace("m,n", "m,m,n"))).expect_err("a fault");
    assert_eq!(error, "t.csv, line 8: column `m` is there twice");
}

#[test]
fn times_that_cannot_be_are_refused_with_their_place() {
    for (time, shown) in [("NaN", "NaN"), ("0", "0"), ("-3.5", "-3.5"), ("inf", "inf"), ("fast", "fast")] {
        assert_eq!(
            message(&format!("1,2,3,bf16,bf16,none,1.5\n2,2,3,bf16,bf16,none,{time}\n")),
            format!("t.csv, line 10, column `time_us`: `{shown}` is not a finite number above 0")
        );
    }
    assert_eq!(message("1,2,3,bf16,bf16,none,\n"), "t.csv, line 9, column `time_us`: is empty");
}

#[test]
fn shapes_that_cannot_be_are_refused_with_their_place() {
    let cases = [
        ("0,2,3,bf16,bf16,none,1", "column `m`: `0` is not a whole number of 1 or more"),
        ("1.5,2,3,bf16,bf16,none,1", "column `m`: `1.5` is not a whole number of 1 or more"),
        ("1,2,3,bf61,bf16,none,1", "column `weights`: `bf61` is not a number format"),
        ("1,2,3,bf16,bf16,some,1", "column `scaling`: `some` is no kind of scaling; use one of none, tensor, block"),
        ("1,2,3,bf16,bf16,none", "6 fields, but 7 columns"),
    ];
    for (row, expected) in cases {
        let error = message(&format!("{row}\n"));
        assert!(error.starts_with("t.csv, line 9") && error.contains(expected), "{error}");
    }
}

#[test]
fn shapes_measured_twice_are_a_warning_where_their_times_disagree() {
    let (_, warnings) = with_rows("1,2,3,bf16,bf16,none,1.0\n1,2,3,bf16,bf16,none,1.05\n").expect("a table");
    assert_eq!(warnings, []);
    let (_, warnings) = with_rows("1,2,3,bf16,bf16,none,1.0\n1,2,3,bf16,bf16,none,1.2\n").expect("a table");
    assert_eq!(
        warnings[0].to_string(),
        "t.csv: 1 shape occurs more than once with times that differ by more than 10 % (line 9: 1 us, line 10: 1.2 us); \
         their median is used"
    );
}
