//! Small papers for tests.

use std::path::Path;

use sim::Summary;

use super::claim::{self, Claim};
use super::keys;
use super::measured::{RunSummary, Study};
use super::paper::Figure;
use super::simulate::Runs;
use crate::diagnostic::{Sources, Span};
use crate::experiment::Experiment;
use crate::file;
use crate::file::reader::Reader;

use crate::output::tiny_summary;

/// A run with this E2E latency in ns.
pub(super) fn summary(e2e_ns: u64) -> RunSummary {
    RunSummary::Served(Box::new(tiny_summary(e2e_ns)))
}

/// Two systems that take next to no time to read.
const EXPERIMENT: &str = "model = \"Qwen/Qwen3-8B\"\nseeds = [1, 2, 3]\n[workload]\nrequests = 1\nrate = 1\n\
    input = { distribution = \"fixed\", tokens = 8 }\noutput = { distribution = \"fixed\", tokens = 2 }\n\
    [[system]]\nname = \"a\"\ngpu = \"H100-SXM-80GB\"\n[[system]]\nname = \"b\"\ninherit = \"a\"\n";

/// A place in some text.
pub(super) fn at() -> Span {
    let mut sources = Sources::default();
    Span { source: sources.add("claims", "text", Path::new("")), start: 0, end: 4 }
}

/// A run with this attainment.
pub(super) fn summary_with_attainment(share: f64) -> RunSummary {
    RunSummary::Served(Box::new(Summary { slo_attainment: Some(share), ..tiny_summary(1) }))
}

/// The two systems.
pub(super) fn study() -> Study {
    Study::Served(Box::new(experiment()))
}

fn experiment() -> Experiment {
    let mut sources = Sources::default();
    let source = sources.add("experiment", EXPERIMENT, Path::new(""));
    let root = file::read(source, &[], &mut sources).expect("a correct file");
    let span = Span { source, start: 0, end: 0 };
    let library = crate::experiment::KernelLibrary::default();
    crate::experiment::resolve_with(&root, Path::new("x.toml"), span, &sources, &library)
        .unwrap_or_else(|_| panic!("it resolves"))
}

/// A claim with these keys beside those that say what it is called.
pub(super) fn claim(rest: &str) -> Claim {
    let head =
        "figure = \"F\"\nconditions = \"C\"\n[[claim]]\nid = \"X\"\nclaim = \"words\"\npublished_in = \"Table 1\"\n";
    let mut sources = Sources::default();
    let source = sources.add("claims", format!("{head}{rest}"), Path::new(""));
    let table = file::read_as(source, &keys::ROOT, &sources);
    let table = table.unwrap_or_else(|problems| panic!("{}", problems.brief()));
    let mut reader = Reader::new(&table, Span { source, start: 0, end: 0 }, &keys::ROOT);
    let claims = reader.tables(&keys::CLAIMS, |table| claim::read(table, &study(), None));
    claims.unwrap_or_else(|problem| panic!("{problem:?}")).remove(0)
}

/// A figure with one claim that says how it is computed by these keys.
pub(super) fn figure(computed: &str) -> Figure {
    Figure {
        name: "figure".to_owned(),
        title: "F".to_owned(),
        conditions: "C".to_owned(),
        vary: None,
        points: vec![study()],
        claims: vec![claim(&format!("published = 1\nstatus = \"predicted\"\n{computed}"))],
    }
}

/// Runs of two systems under three seeds with these E2E latencies in ms.
pub(super) fn runs_with(latencies: [[u64; 3]; 2]) -> Runs {
    Runs::new(3, 1, latencies.iter().flatten().map(|ms| Ok(summary(ms * 1_000_000))).collect())
}
