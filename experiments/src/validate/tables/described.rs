//! A measured run whose requests are known by their distributions only.

use std::path::Path;

use crate::validate::case::{Case, Members, Part, TpotDefinition, Workload};
use crate::validate::error::NotScored;
use crate::validate::figure::{Figure, Metric, Statistic};
use crate::validate::rows::Row;
use crate::validate::system::SystemSettings;
use crate::validate::{engine, names, requests, routing};

/// A run as a row of a table says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    /// Cases it is summed up with.
    pub(super) group: String,
    /// Model, device and settings.
    pub(super) system: SystemSettings,
    /// The `[workload]` table as TOML.
    pub(super) workload: String,
    /// Requests at the start that do not count.
    pub(super) skip: usize,
    /// What was measured.
    pub(super) measured: Vec<Figure>,
    /// Whether throughput and gaps are those of a full batch only.
    pub(super) is_steady: bool,
}

impl Described {
    /// A run of this model on this device with this engine.
    pub(super) fn new(model: &str, gpu: &str, engine_name: &str, version: Option<&str>) -> Result<Self, NotScored> {
        let mut described = Described::default();
        let (model, remark) = names::model(model)?;
        described.system.gpu = names::device(gpu)?;
        described.system.model = model;
        let engine = engine::settings(engine_name, version, None);
        described.system.assumptions.extend(engine::constants(&engine, &described.system.gpu));
        described.system.settings = engine.settings;
        described.system.assumptions.extend(engine.assumptions);
        described.system.assumptions.extend(remark);
        // It did start, so its longest request fitted, however few blocks fit here.
        described.system.set("fit_max_model_len", true);
        routing::measured(&mut described.system);
        Ok(described)
    }

    /// How the model is spread: tensor-parallel and data-parallel size, and whether whole experts are spread. Ranks that
    /// share no experts are replicas.
    pub(super) fn spread(&mut self, tensor: u32, data: u32, experts: bool) {
        self.system.set("tensor_parallel_size", tensor);
        if experts {
            self.system.set("enable_expert_parallel", true);
            self.system.set("data_parallel_size", data);
        } else {
            self.system.set("replicas", data);
        }
    }

    /// A measured figure, if there is one.
    pub(super) fn measure(&mut self, metric: Metric, statistic: Statistic, value: Option<f64>) {
        self.measured.extend(value.map(|value| Figure { metric, statistic, value }));
    }

    /// Measured times of a metric: columns, what each holds, and how many seconds one of its units has.
    pub(super) fn times(
        &mut self,
        row: Row<'_>,
        metric: Metric,
        columns: &[(&str, Statistic)],
        unit_s: f64,
    ) -> Result<(), NotScored> {
        for (column, statistic) in columns {
            self.measure(metric, *statistic, row.number(column)?.map(|value| value * unit_s));
        }
        Ok(())
    }

    /// Latencies were measured by a client over HTTP.
    pub(super) fn over_http(&mut self) {
        let (settings, sentence) = engine::client_times();
        for (key, toml) in settings {
            self.system.set(key, toml);
        }
        self.assume(sentence);
    }

    /// States an assumption.
    pub(super) fn assume(&mut self, sentence: impl Into<String>) {
        self.system.assume(sentence);
    }

    /// As a case.
    pub(super) fn case(self, folder: &Path, name: &str) -> Result<Case, NotScored> {
        let of =
            |metric: Metric| self.measured.iter().find(|figure| figure.metric == metric).map(|figure| figure.value);
        requests::check_means(&folder.join("cases.csv"), of(Metric::Ttft), of(Metric::Tpot).or(of(Metric::Itl)))?;
        if self.measured.is_empty() {
            return Err(NotScored::Nothing("the row holds no measured figure".to_owned()));
        }
        let part =
            Part { name: String::new(), group: self.group, members: Members::From(self.skip), measured: self.measured };
        Ok(Case {
            name: name.to_owned(),
            folder: folder.to_owned(),
            model: self.system.model,
            gpu: self.system.gpu,
            settings: self.system.settings,
            workload: Workload::Described { toml: self.workload, is_steady: self.is_steady },
            parts: vec![part],
            tpot: TpotDefinition::PerRequest,
            series: Vec::new(),
            assumptions: self.system.assumptions,
            unread_columns: Vec::new(),
        })
    }
}

/// `concurrency` clients that all start at once and send their next request when the last one is answered, ten requests
/// each; lengths uniform between `share` of the given ones and these. Warm-up requests come before in benchmarks, and are
/// over when the measured ones start.
pub(super) fn closed_loop(concurrency: u32, input: u32, output: u32, share: f64) -> String {
    let length = |tokens: u32| {
        let least = ((f64::from(tokens) * share).round() as u32).max(1);
        format!("{{ distribution = \"uniform\", min = {least}, max = {tokens} }}")
    };
    format!(
        "arrivals = {{ process = \"closed-loop\", concurrency = {concurrency} }}\nrequests = {}\ninput = {}\noutput = {}\n",
        10 * concurrency,
        length(input),
        length(output)
    )
}
