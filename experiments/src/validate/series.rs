//! The engine's log, second by second, and the same of the simulated run.

use sim::StepRecord;

use super::case::Second;
use super::figure::{Figure, Metric, Statistic};

/// Collects what a real engine logs every second.
pub(super) struct Recorder {
    replicas: Vec<Replica>,
}

/// What one replica did: per step its end, and its state once it was scheduled.
struct Replica {
    blocks: f64,
    steps: Vec<Step>,
}

struct Step {
    start_s: f64,
    end_s: f64,
    prompt_tokens: f64,
    output_tokens: f64,
    running: f64,
    waiting: f64,
    used_blocks: f64,
}

impl Recorder {
    /// For replicas of so many blocks.
    pub(super) fn new(blocks: impl Iterator<Item = u32>) -> Self {
        let replica = |blocks| Replica { blocks: f64::from(blocks), steps: Vec::new() };
        Recorder { replicas: blocks.map(replica).collect() }
    }

    /// A step of the simulated run.
    pub(super) fn step(&mut self, record: &StepRecord) {
        let replica = &mut self.replicas[record.replica as usize];
        replica.steps.push(Step {
            start_s: record.start.as_secs_f64(),
            end_s: record.end.as_secs_f64(),
            prompt_tokens: f64::from(record.prefill_tokens),
            output_tokens: f64::from(record.decode_requests),
            running: f64::from(record.running),
            waiting: f64::from(record.waiting),
            used_blocks: replica.blocks - f64::from(record.free_blocks),
        });
    }

    /// The seconds that the measured log has: rates over the time since the second before, tokens counted at the end of
    /// their step; states as of the step under way at the second's end. Requests and tokens are summed over replicas, the
    /// share of blocks is averaged.
    pub(super) fn seconds(&self, measured: &[Second]) -> Vec<Second> {
        let mut before_s = 0.0;
        let mut seconds = Vec::with_capacity(measured.len());
        for end_s in measured.iter().map(|second| second.end_s) {
            let mut second = Second { end_s, ..Second::default() };
            for replica in &self.replicas {
                replica.add_to(&mut second, before_s, self.replicas.len() as f64);
            }
            seconds.push(second);
            before_s = end_s;
        }
        seconds
    }
}

impl Replica {
    fn add_to(&self, second: &mut Second, before_s: f64, replicas: f64) {
        let first = self.steps.partition_point(|step| step.end_s <= before_s);
        let last = self.steps.partition_point(|step| step.end_s <= second.end_s);
        let length_s = second.end_s - before_s;
        for step in &self.steps[first..last] {
            second.prompt_throughput += step.prompt_tokens / length_s;
            second.output_throughput += step.output_tokens / length_s;
        }
        if let Some(step) = self.steps.get(last).filter(|step| step.start_s <= second.end_s) {
            second.running += step.running;
            second.waiting += step.waiting;
            second.kv_usage += step.used_blocks / (self.blocks * replicas);
        }
    }
}

/// One quantity of a second.
type Value = fn(&Second) -> f64;

const QUANTITIES: [(Metric, Value); 5] = [
    (Metric::SeriesPromptThroughput, |second| second.prompt_throughput),
    (Metric::SeriesOutputThroughput, |second| second.output_throughput),
    (Metric::SeriesRunning, |second| second.running),
    (Metric::SeriesWaiting, |second| second.waiting),
    (Metric::SeriesKvUsage, |second| second.kv_usage),
];

/// Measured and simulated figures of two logs of the same seconds: means, and how far they are apart on average. A
/// distance is measured as 1 and simulated as 1 plus it, so that its error is the distance.
pub(super) fn compare(measured: &[Second], simulated: &[Second]) -> Vec<(Figure, Figure)> {
    let mut figures = Vec::new();
    if measured.is_empty() {
        return figures;
    }
    let count = measured.len() as f64;
    for (metric, of) in QUANTITIES {
        let mean = |seconds: &[Second]| seconds.iter().map(of).sum::<f64>() / count;
        let (was, is) = (mean(measured), mean(simulated));
        if was <= 0.0 {
            continue;
        }
        let apart = measured.iter().zip(simulated).map(|(a, b)| (of(a) - of(b)).abs()).sum::<f64>() / count;
        let figure = |statistic, value| Figure { metric, statistic, value };
        figures.push((figure(Statistic::Mean, was), figure(Statistic::Mean, is)));
        figures.push((figure(Statistic::Distance, 1.0), figure(Statistic::Distance, 1.0 + apart / was)));
    }
    figures
}
