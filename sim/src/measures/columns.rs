//! The one list of figures: name, unit, meaning, and how to read each from a [`Summary`].

mod hardware;
mod service;
mod spending;

use std::sync::LazyLock;

use super::pools;
use super::summary::Summary;
use crate::uncertainty::{RequestFigure, Spread};

/// One figure of a [`Summary`].
pub struct Column {
    /// Its name in CSV and JSON, unit included where there is one.
    pub name: String,
    /// Its unit, as printed in tables; empty for counts and names.
    pub unit: &'static str,
    /// What it means, in one or two sentences.
    pub doc: String,
    /// What it belongs to.
    pub section: Section,
    /// Which way is better.
    pub better: Better,
    /// Whether it is a share between 0 and 1, which tables show in percent.
    pub share: bool,
    /// Whether the terminal's table shows it.
    pub headline: bool,
    /// What it is of the requests, where it is something that one run has an interval of.
    of_requests: Option<OfRequests>,
    get: Box<Getter>,
}

/// A mean or a quantile over requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OfRequests {
    /// The mean.
    Mean(RequestFigure),
    /// The quantile, 0 to 1.
    Quantile(RequestFigure, f64),
}

type Getter = dyn Fn(&Summary) -> Option<Value> + Send + Sync;

impl Column {
    /// The figure itself; `None` where it does not exist.
    pub fn value(&self, summary: &Summary) -> Option<Value> {
        (self.get)(summary)
    }

    /// How far the figure's 95 % interval from this run alone reaches, in the column's unit; `None` where one run has none: of
    /// figures that are not means or percentiles over requests, and where the run is too short for one.
    pub fn spread(&self, summary: &Summary) -> Option<Spread> {
        self.value(summary)?;
        let spread = match self.of_requests? {
            OfRequests::Mean(figure) => summary.within_run.mean(figure),
            OfRequests::Quantile(figure, q) => summary.within_run.quantile(figure, q),
        };
        Some(spread?.scaled(self.per_unit()))
    }

    /// The same of the difference `system` − `baseline`, where both served the same requests.
    pub fn difference_spread(&self, baseline: &Summary, system: &Summary) -> Option<Spread> {
        self.value(baseline).zip(self.value(system))?;
        let (baseline, system) = (&baseline.within_run, &system.within_run);
        let spread = match self.of_requests? {
            OfRequests::Mean(figure) => baseline.mean_difference(system, figure),
            OfRequests::Quantile(figure, q) => baseline.quantile_difference(system, figure, q),
        };
        Some(spread?.scaled(self.per_unit()))
    }

    /// One nanosecond, or one, in the unit of the column.
    fn per_unit(&self) -> f64 {
        if self.unit == "ms" { 1e-6 } else { 1.0 }
    }
}

/// A figure's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A quantity in the column's unit; shares are 0 to 1.
    Real(f64),
    /// A word.
    Word(&'static str),
}

impl Value {
    /// As a number, unless it is a word.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(count as f64),
            Self::Real(real) => Some(real),
            Self::Word(_) => None,
        }
    }
}

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither: it describes.
    Neither,
}

/// What a figure belongs to; sections of the reference page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What was run.
    Run,
    /// Times that requests experienced.
    Latency,
    /// Work per second.
    Throughput,
    /// Service-level objectives.
    Objectives,
    /// Energy and power.
    Energy,
    /// Money.
    Cost,
    /// KV and prefix cache.
    Cache,
    /// Steps and what they did to the hardware.
    Hardware,
    /// Prefill and decode on replicas of their own.
    Pools,
    /// What step times consist of and stand on.
    Evidence,
}

impl Section {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Latency => "Latency",
            Self::Throughput => "Throughput",
            Self::Objectives => "Service-level objectives",
            Self::Energy => "Energy",
            Self::Cost => "Cost",
            Self::Cache => "KV and prefix cache",
            Self::Hardware => "Steps and hardware",
            Self::Pools => "Prefill and decode replicas",
            Self::Evidence => "Step time and its evidence",
        }
    }
}

impl Summary {
    /// Every figure, in the order of `summary.csv`.
    pub fn columns() -> &'static [Column] {
        static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
            let mut list = List { columns: Vec::new(), section: Section::Run };
            service::run(&mut list);
            service::latency(&mut list);
            service::throughput(&mut list);
            service::objectives(&mut list);
            spending::energy(&mut list);
            spending::cost(&mut list);
            hardware::cache(&mut list);
            hardware::hardware(&mut list);
            pools::columns(&mut list);
            hardware::evidence(&mut list);
            list.columns
        });
        &COLUMNS
    }

    /// The figure called `name`.
    pub fn column(name: &str) -> Option<&'static Column> {
        Self::columns().iter().find(|column| column.name == name)
    }
}

/// Columns in the making.
pub(super) struct List {
    columns: Vec<Column>,
    pub(super) section: Section,
}

impl List {
    pub(super) fn push(
        &mut self,
        (name, unit, better): (impl Into<String>, &'static str, Better),
        doc: impl Into<String>,
        get: impl Fn(&Summary) -> Option<Value> + Send + Sync + 'static,
    ) -> &mut Column {
        let (name, doc, get) = (name.into(), doc.into(), Box::new(get));
        let section = self.section;
        self.columns.push(Column {
            name,
            unit,
            doc,
            section,
            better,
            share: false,
            headline: false,
            of_requests: None,
            get,
        });
        self.columns.last_mut().expect("one was just pushed")
    }

    fn count(&mut self, name: &str, better: Better, doc: &str, get: fn(&Summary) -> u64) -> &mut Column {
        self.push((name, "", better), doc, move |summary| Some(Value::Count(get(summary))))
    }

    fn real(&mut self, name: (&str, &'static str, Better), doc: &str, get: fn(&Summary) -> Option<f64>) -> &mut Column {
        let column = self.push(name, doc, move |summary| get(summary).map(Value::Real));
        column.share = name.1.is_empty();
        column
    }
}

impl Column {
    /// Marks it as a share.
    pub(super) fn share(&mut self) -> &mut Self {
        self.share = true;
        self
    }

    fn headline(&mut self) -> &mut Self {
        self.headline = true;
        self
    }

    fn of_requests(&mut self, what: OfRequests) -> &mut Self {
        self.of_requests = Some(what);
        self
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures of these examples are exact in floating point")]
mod tests {
    use std::collections::BTreeSet;

    use profiles::{Evidence, Operator, OperatorClass};

    use super::super::summary::tests::summary;
    use super::*;

    fn real(name: &str) -> f64 {
        let column = Summary::column(name).unwrap_or_else(|| panic!("there is no column {name}"));
        column.value(&summary()).and_then(Value::as_f64).unwrap_or_else(|| panic!("{name} has no value"))
    }

    #[test]
    fn every_column_has_a_name_of_its_own_and_says_what_it_is() {
        let names: BTreeSet<_> = Summary::columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names.len(), Summary::columns().len());
        for column in Summary::columns() {
            assert!(column.doc.ends_with('.') && column.doc.len() > 10, "{} says {:?}", column.name, column.doc);
        }
        let sections: Vec<_> = Summary::columns().iter().map(|column| column.section).collect();
        assert!(sections.is_sorted(), "each section is in one piece");
    }

    #[test]
    fn columns_keep_the_names_that_serving_benchmarks_use() {
        for name in [
            "mean_ttft_ms",
            "median_ttft_ms",
            "p90_ttft_ms",
            "p99_ttft_ms",
            "mean_tpot_ms",
            "mean_itl_ms",
            "mean_e2el_ms",
            "request_throughput",
            "output_throughput",
            "total_token_throughput",
            "slo_attainment",
            "request_goodput",
            "energy_j_per_token",
            "usd_per_million_output_tokens",
            "token_hit_rate",
            "expert_load_bytes",
            "mfu",
            "mbu",
            "preemptions",
            "steps",
            "measured_time_share",
        ] {
            assert!(Summary::column(name).is_some(), "{name} is missing");
        }
    }

    #[test]
    fn derived_figures_follow_from_their_definitions() {
        assert_eq!(real("mean_ttft_ms"), 2000.0);
        assert_eq!(real("max_e2el_ms"), 9000.0);
        assert_eq!(real("energy_j_per_token"), 3000.0 / 2010.0);
        assert_eq!(real("energy_j_per_output_token"), 300.0);
        assert_eq!(real("mean_power_w"), 300.0);
        assert_eq!(real("usd_per_million_output_tokens"), 2000.0);
        assert_eq!(real("output_tokens_per_usd"), 500.0);
        assert_eq!(real("token_hit_rate"), 0.25);
        assert_eq!(real("request_goodput_per_gpu"), 0.05);
        assert_eq!(real("rejected"), 1.0);
        assert_eq!(real("dense_ffn_fitted_time_share"), 0.5);
    }

    #[test]
    fn numbers_without_a_unit_are_shares_or_counts() {
        let summary = summary();
        for column in Summary::columns() {
            let is_share = column.unit.is_empty() && matches!(column.value(&summary), Some(Value::Real(_)));
            assert!(column.share || !is_share, "{} is a share", column.name);
            assert!(!column.share || column.value(&summary).is_none() || is_share, "{} is no share", column.name);
        }
    }

    #[test]
    fn shares_of_step_time_add_up_to_one() {
        let sum = |names: Vec<String>| names.iter().map(|name| real(name)).sum::<f64>();
        let operators = Operator::ALL.map(|operator| format!("{}_time_share", operator.name()));
        assert_eq!(sum(operators.to_vec()), 1.0);
        let evidence = Evidence::ALL.map(|evidence| format!("{}_time_share", evidence.name()));
        assert_eq!(sum(evidence.to_vec()), 1.0);
    }

    #[test]
    fn energy_of_operators_adds_up_to_what_is_above_idle() {
        let parts = OperatorClass::ALL.map(|class| real(&format!("{}_energy_j", class.name())));
        assert_eq!(parts.iter().sum::<f64>(), real("dynamic_energy_j"));
        assert_eq!((real("products_energy_j"), real("decode_attention_energy_j")), (750.0, 250.0));
    }

    #[test]
    fn what_does_not_exist_has_no_value_rather_than_zero() {
        let mut summary = summary();
        summary.ttft = None;
        summary.cost_usd = None;
        for name in ["mean_ttft_ms", "percentile_method", "usd_per_million_output_tokens", "tpot_attainment"] {
            let column = Summary::column(name).unwrap_or_else(|| panic!("there is no column {name}"));
            assert_eq!(column.value(&summary), None, "{name}");
        }
    }
}
