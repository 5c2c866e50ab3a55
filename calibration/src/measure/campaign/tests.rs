use std::path::Path;

use profiles::DType;
use profiles::table::{Cache, GemmRow, Header, Kernel, Launch, Scaling};

use super::*;
use crate::measure::bench::Conditions;

/// A device whose products take as many microseconds as they have rows, and whose clock moves a second per point.
struct Imagined {
    seen: Vec<u32>,
    drift_per_point: f64,
    fails_at: Option<usize>,
}

impl Imagined {
    fn new() -> Self {
        Imagined { seen: Vec::new(), drift_per_point: 0.0, fails_at: None }
    }
}

impl Bench for Imagined {
    fn time(&mut self, point: &Point) -> Result<Sample, BenchError> {
        let Point::Gemm(row) = point else { return Err(BenchError::Unmeasurable("only products".into())) };
        if self.fails_at == Some(self.seen.len()) {
            return Err(BenchError::Failed("the GPU has fallen off the bus".into()));
        }
        if row.m == 13 {
            return Err(BenchError::Unmeasurable("13 is unlucky".into()));
        }
        let time_us = f64::from(row.m) * (1.0 + self.drift_per_point * self.seen.len() as f64);
        self.seen.push(row.m);
        let conditions = Conditions { sm_clock_mhz: Some(1980), throttle: Some(0) };
        Ok(Sample { times_us: vec![time_us; 5], power_w: None, conditions, touched_experts: None })
    }

    fn elapsed_s(&self) -> f64 {
        self.seen.len() as f64
    }
}

fn points(rows: impl IntoIterator<Item = u32>) -> Vec<Point> {
    let product = |m| GemmRow {
        m,
        n: 128,
        k: 128,
        weights: DType::Bf16,
        activations: DType::Bf16,
        scaling: Scaling::None,
        timing: Timing::default(),
    };
    rows.into_iter().map(|m| Point::Gemm(product(m))).collect()
}

fn store(folder: &Path) -> Store {
    let header = Header::new(Kernel::Gemm, "H100-SXM-80GB", Cache::Cold, Launch::Graph, "a test", "2026-01-01");
    Store::open(&folder.join("gemm.csv"), Kernel::Gemm, header).expect("it can be opened")
}

fn run(points: &[Point], bench: &mut Imagined, folder: &Path, until_s: f64) -> Outcome {
    let campaign = Campaign { points, seed: 7, until_s };
    campaign.run(bench, &mut store(folder), &mut |_, _| {}).expect("it works")
}

fn rows_on_disk(folder: &Path) -> Vec<(u32, f64)> {
    let mut rows: Vec<(u32, f64)> = Point::of_rows(store(folder).rows())
        .into_iter()
        .filter_map(|(point, timing)| match point {
            Point::Gemm(row) => Some((row.m, timing.time_us)),
            _ => None,
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    rows
}

#[test]
fn every_point_is_timed_once_in_an_order_that_the_seed_fixes() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let points = points(1..=12);
    let (mut first, mut second) = (Imagined::new(), Imagined::new());
    let outcome = run(&points, &mut first, one.path(), f64::INFINITY);
    run(&points, &mut second, two.path(), f64::INFINITY);
    assert_eq!((outcome.skipped, outcome.timed, outcome.left, outcome.stop), (0, 12, 0, Stop::Complete));
    assert_eq!(first.seen, second.seen, "the same seed gives the same order");
    assert_ne!(first.seen[..12], (1..=12).collect::<Vec<u32>>()[..], "the order is not that of the plan");
    assert_eq!(rows_on_disk(one.path()), (1..=12).map(|m| (m, f64::from(m))).collect::<Vec<_>>());
}

#[test]
fn a_stopped_campaign_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let points = points(101..=140);
    let mut bench = Imagined::new();
    let stopped = run(&points, &mut bench, folder.path(), 25.0);
    assert_eq!((stopped.timed, stopped.left, stopped.stop), (25, 15, Stop::Budget));
    let mut bench = Imagined::new();
    let resumed = run(&points, &mut bench, folder.path(), f64::INFINITY);
    assert_eq!((resumed.skipped, resumed.timed, resumed.left, resumed.stop), (25, 15, 0, Stop::Complete));
    assert_eq!(rows_on_disk(folder.path()).len(), 40, "each point is there once");
    let mut bench = Imagined::new();
    let again = run(&points, &mut bench, folder.path(), f64::INFINITY);
    assert_eq!((again.skipped, again.timed, bench.seen.len()), (40, 0, 0), "nothing is left to do");
}

#[test]
fn points_that_the_plan_names_twice_are_timed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = run(&points([3, 3, 4]), &mut Imagined::new(), folder.path(), f64::INFINITY);
    assert_eq!((outcome.skipped, outcome.timed), (1, 2));
}

#[test]
fn drift_is_found_at_the_end_and_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let points = points(1..=100);
    let mut bench = Imagined { drift_per_point: 0.001, ..Imagined::new() };
    let outcome = run(&points, &mut bench, folder.path(), f64::INFINITY);
    assert_eq!(outcome.drift.len(), 5, "one point in twenty");
    let (median, farthest) = outcome.drift_summary().expect("points were timed again");
    assert!(median > 1.01 && farthest >= median, "{median} {farthest}");
    let text = std::fs::read_to_string(folder.path().join("gemm.csv")).expect("the table is there");
    assert!(text.contains("drift: 5 points of the last run timed again"), "{text}");
}

#[test]
fn what_cannot_be_timed_is_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = run(&points([12, 13, 14]), &mut Imagined::new(), folder.path(), f64::INFINITY);
    assert_eq!((outcome.timed, outcome.left), (2, 0));
    assert_eq!(outcome.unmeasurable.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>(), ["13 is unlucky"]);
}

#[test]
fn what_was_timed_before_the_device_failed_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let points = points(1..=10);
    let mut bench = Imagined { fails_at: Some(4), ..Imagined::new() };
    let campaign = Campaign { points: &points, seed: 7, until_s: f64::INFINITY };
    let error = campaign.run(&mut bench, &mut store(folder.path()), &mut |_, _| {}).expect_err("the device failed");
    assert!(error.to_string().contains("the GPU has fallen off the bus"), "{error}");
    assert_eq!(rows_on_disk(folder.path()).len(), 4);
}

#[test]
fn what_was_timed_is_kept_when_the_device_fails_while_points_are_timed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let points = points(101..=110);
    let mut bench = Imagined { fails_at: Some(10), ..Imagined::new() };
    let campaign = Campaign { points: &points, seed: 7, until_s: f64::INFINITY };
    campaign.run(&mut bench, &mut store(folder.path()), &mut |_, _| {}).expect_err("the device failed");
    assert_eq!(rows_on_disk(folder.path()).len(), 10);
}

#[test]
fn rows_of_another_device_or_library_do_not_get_into_a_table() {
    let folder = tempfile::tempdir().expect("a folder");
    run(&points([1]), &mut Imagined::new(), folder.path(), f64::INFINITY);
    let file = folder.path().join("gemm.csv");
    let open = |device: &str, cache| {
        Store::open(&file, Kernel::Gemm, Header::new(Kernel::Gemm, device, cache, Launch::Graph, "", "2026-01-02"))
    };
    assert!(open("H100-SXM-80GB", Cache::Cold).is_ok(), "the date may differ");
    let error = open("H200-SXM-141GB", Cache::Cold).expect_err("another device").to_string();
    assert!(error.contains("device = H100-SXM-80GB, this run has H200-SXM-141GB"), "{error}");
    assert!(matches!(open("H100-SXM-80GB", Cache::Warm), Err(StoreError::Differs { key: "cache", .. })));
}

#[test]
fn a_table_that_was_cut_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    run(&points([1, 2]), &mut Imagined::new(), folder.path(), f64::INFINITY);
    let file = folder.path().join("gemm.csv");
    let text = std::fs::read_to_string(&file).expect("the table is there");
    std::fs::write(&file, &text[..text.len() - 5]).expect("it can be written");
    let header = Header::new(Kernel::Gemm, "H100-SXM-80GB", Cache::Cold, Launch::Graph, "", "2026-01-01");
    let error = Store::open(&file, Kernel::Gemm, header).expect_err("rows are missing").to_string();
    assert!(error.contains("digest") && error.contains("move the file away"), "{error}");
}
