use super::*;
use crate::parallel::DType;
use crate::table::{Cache, Header, Launch, PassRow, Scaling, Timing};

fn h200() -> DeviceSpec {
    DeviceSpec::shipped("H200-SXM-141GB").expect("a shipped device")
}

fn row(m: u32, time_us: f64) -> GemmRow {
    GemmRow {
        m,
        n: 8192,
        k: 8192,
        weights: DType::Bf16,
        activations: DType::Bf16,
        scaling: Scaling::None,
        timing: Timing::of_us(time_us),
    }
}

fn table(file: &str, device: &str, rows: Rows) -> NamedTable {
    let header = Header::new(rows.kernel(), device, Cache::Cold, Launch::Graph, "made up", "2026-11-25");
    NamedTable { file: file.to_string(), table: KernelTable { header, rows } }
}

fn gemm(file: &str, rows: Vec<GemmRow>) -> NamedTable {
    table(file, "H200-SXM-141GB", Rows::Gemm(rows))
}

fn times(joined: &Joined) -> Vec<(u32, f64)> {
    joined.gemm.iter().map(|row| (row.m, row.timing.time_us)).collect()
}

#[test]
fn tables_complete_each_other_and_the_first_is_believed() {
    let tables = [gemm("a.csv", vec![row(1, 40.0), row(2, 41.0)]), gemm("b.csv", vec![row(2, 50.0), row(4, 42.0)])];
    let (joined, warnings) = Joined::new(&h200(), &tables).expect("tables of the device");
    assert_eq!(times(&joined), [(1, 40.0), (2, 41.0), (4, 42.0)]);
    assert_eq!(warnings, []);
}

#[test]
fn a_shape_measured_three_times_has_the_median_time() {
    let tables = [gemm("a.csv", vec![row(1, 44.0), row(1, 40.0), row(1, 41.0)])];
    let (joined, _) = Joined::new(&h200(), &tables).expect("tables of the device");
    assert_eq!(times(&joined), [(1, 41.0)]);
}

#[test]
fn a_table_of_another_device_is_refused_and_an_alias_is_not() {
    let other = [table("a.csv", "A100-SXM-80GB", Rows::Gemm(vec![row(1, 40.0)]))];
    let error = Joined::new(&h200(), &other).expect_err("another device").to_string();
    assert_eq!(error, "a.csv: measured on `A100-SXM-80GB`, but the device is `H200-SXM-141GB`");
    let alias = [table("a.csv", "h200", Rows::Gemm(vec![row(1, 40.0)]))];
    assert!(Joined::new(&h200(), &alias).is_ok());
}

#[test]
fn times_in_another_unit_are_refused() {
    let milliseconds = (0..40).map(|n| row(1024 + n, 0.22)).collect();
    let error = Joined::new(&h200(), &[gemm("a.csv", milliseconds)]).expect_err("milliseconds").to_string();
    assert!(
        error.starts_with("a.csv: 40 of 40 rows are faster than the device can be (first: 1024,8192,8192"),
        "{error}"
    );
    assert!(error.ends_with("times must be in microseconds"), "{error}");
    let nanoseconds = (0..40).map(|n| row(1024 + n, 220_000.0)).collect();
    let error = Joined::new(&h200(), &[gemm("a.csv", nanoseconds)]).expect_err("nanoseconds").to_string();
    assert!(error.contains("40 of 40 rows take 300 times as long as the device's peaks have it"), "{error}");
}

#[test]
fn one_impossible_row_is_left_out_and_counted() {
    let mut rows: Vec<GemmRow> = (0..40).map(|n| row(1024 + n, 220.0)).collect();
    rows.push(row(4096, 1.0));
    let (joined, warnings) = Joined::new(&h200(), &[gemm("a.csv", rows)]).expect("tables of the device");
    assert_eq!(joined.gemm.len(), 40);
    assert_eq!(warnings[0].count, 1);
    assert!(warnings[0].to_string().contains("1 rows are faster than the device can be and are left out"));
}

#[test]
fn kinds_that_no_step_is_priced_from_are_named() {
    let pass = PassRow {
        phase: crate::table::PassPhase::Token,
        model: "m".to_string(),
        tensor_parallel_size: 1,
        requests: 1,
        new_tokens: 1,
        context_tokens: 1,
        weights: DType::Bf16,
        timing: Timing::of_us(10.0),
    };
    let (_, warnings) =
        Joined::new(&h200(), &[table("a.csv", "H200", Rows::Pass(vec![pass]))]).expect("tables of the device");
    assert!(warnings[0].to_string().contains("1 rows of kind `pass` do not change what a step costs"));
}

fn all_reduce(library: &str, bytes: u64, time_us: f64) -> CollectiveRow {
    let operation = crate::table::CollectiveOperation::AllReduce;
    let timing = Timing::of_us(time_us);
    CollectiveRow { operation, ranks: 8, servers: 1, bytes, library: library.to_string(), timing }
}

#[test]
fn of_two_libraries_the_one_whose_table_comes_first_is_believed() {
    let vllm = Rows::Collective(vec![all_reduce("vllm", 1024, 5.0), all_reduce("vllm", 4096, 8.0)]);
    let nccl = Rows::Collective(vec![all_reduce("nccl", 512, 50.0), all_reduce("nccl", 8192, 60.0)]);
    let tables = [table("b.csv", "H200", vllm), table("a.csv", "H200", nccl)];
    let (joined, _) = Joined::new(&h200(), &tables).expect("tables of the device");
    assert_eq!(joined.collective.iter().map(|row| row.bytes).collect::<Vec<_>>(), [1024, 4096]);
}

#[test]
fn short_kernels_that_a_framework_launched_are_not_used() {
    let mut eager = table("a.csv", "H200", Rows::Collective(vec![all_reduce("vllm", 1024, 20.0)]));
    eager.table.header.launch = Launch::Eager;
    let (joined, warnings) = Joined::new(&h200(), &[eager]).expect("tables of the device");
    assert_eq!(joined.collective, []);
    assert!(warnings[0].to_string().contains("short kernels then take as long as their launch"));
}

#[test]
fn times_that_hold_only_relative_to_each_other_price_nothing() {
    let mut relative = gemm("a.csv", vec![row(1, 80.0)]);
    relative.table.header.relative = true;
    let (joined, warnings) = Joined::new(&h200(), &[relative]).expect("tables of the device");
    assert_eq!(joined.gemm, []);
    assert!(warnings[0].to_string().contains("its times hold only relative to each other"));
}

#[test]
fn short_kernels_in_another_unit_are_refused_too() {
    let scaled = |scale: f64| {
        let rows = (0..20).map(|power| all_reduce("vllm", 1 << power, scale * 6.0)).collect();
        Joined::new(&h200(), &[table("a.csv", "H200", Rows::Collective(rows))])
    };
    assert!(scaled(1.0).is_ok());
    for scale in [1e-3, 1e3] {
        let error = scaled(scale).expect_err("another unit").to_string();
        assert!(error.ends_with("times must be in microseconds"), "{error}");
    }
}

#[test]
fn a_table_without_rows_and_one_that_prices_nothing_are_named() {
    let (_, warnings) = Joined::new(&h200(), &[gemm("a.csv", Vec::new())]).expect("tables of the device");
    assert!(warnings[0].to_string().starts_with("a.csv: 0 rows of kind `gemm` do not change what a step costs"));
    let update = crate::table::StateSpaceRow {
        phase: crate::table::StateSpacePhase::Update,
        sequences: 8,
        tokens: 8,
        d_inner: 8192,
        d_state: 128,
        heads: 128,
        groups: 8,
        timing: Timing::of_us(12.0),
    };
    let table = table("s.csv", "H200", Rows::StateSpace(vec![update]));
    let (_, warnings) = Joined::new(&h200(), &[table]).expect("tables of the device");
    assert!(warnings[0].to_string().contains("1 rows of kind `state_space` do not change what a step costs"));
}
