//! Collects what timelines show while a simulation runs, in memory that does not grow with the run.

use sim::{Observer, StepRecord};
use workloads::SimTime;

use super::Width;
use super::timeline::{Bar, TimelineFigure, Tokens};

/// Steps that a per-step timeline shows: bars two to three points wide on a page.
const WINDOW_STEPS: usize = 200;
/// Stretches into which a whole run is divided at most: a point of the page each.
const STRETCHES: usize = 512;
/// Length of a stretch at the start, in nanoseconds; it doubles whenever the run outgrows the stretches.
const FIRST_STRETCH_NS: u64 = 1 << 23;

/// Watches one replica for its two timelines: step by step through its busiest moment, and the whole run at a glance.
///
/// The busiest moment is found among consecutive windows of 200 steps (less where the replica idled for longer than the
/// window had lasted): it is the one with the largest sum of prompt tokens × requests running, that is, where prompts hold
/// up, or are mixed with, the most other requests. The first of equals wins. About 120 kB, whatever the length of the run.
#[derive(Clone, Debug)]
pub(crate) struct TimelineCollector {
    replica: u32,
    window_steps: usize,
    current: Window,
    busiest: Window,
    run: Overview,
}

impl TimelineCollector {
    /// Watches replica number `replica`.
    pub(crate) fn new(replica: u32) -> Self {
        TimelineCollector {
            replica,
            window_steps: WINDOW_STEPS,
            current: Window::default(),
            busiest: Window::default(),
            run: Overview { stretches: Vec::new(), length_ns: FIRST_STRETCH_NS },
        }
    }

    /// As [`new`](Self::new), with busiest moments of so many steps.
    pub(crate) fn with_window(replica: u32, steps: usize) -> Self {
        TimelineCollector { window_steps: steps, ..TimelineCollector::new(replica) }
    }

    /// The steps of the busiest window.
    pub(crate) fn busiest_steps(&self) -> &[StepRecord] {
        &self.current.busier_of(&self.busiest).steps
    }

    /// The timeline of the busiest window, step by step. `kv_blocks` is how many the watched replica has, `layers` those of the
    /// model.
    pub(crate) fn steps_figure(&self, title: &str, kv_blocks: u32, layers: u32, width: Width) -> TimelineFigure {
        let bars: Vec<Bar> = self.busiest_steps().iter().map(|step| step_bar(step, kv_blocks)).collect();
        let from = bars.first().map_or(0.0, |bar| bar.start_s);
        let to = bars.iter().map(|bar| bar.end_s).fold(from, f64::max);
        let window_s = (from, to);
        TimelineFigure { title: title.to_owned(), bars, tokens: Tokens::PerStep, window_s, layers, width }
    }

    /// The timeline of the whole run, in stretches of equal length: tokens per second; the most requests waiting and
    /// running and the least free KV cache seen in each.
    pub(crate) fn run_figure(&self, title: &str, kv_blocks: u32, width: Width) -> TimelineFigure {
        let bars = self.run_bars(kv_blocks);
        let window_s = (0.0, bars.last().map_or(0.0, |bar| bar.end_s));
        TimelineFigure { title: title.to_owned(), bars, tokens: Tokens::PerSecond, window_s, layers: 0, width }
    }

    /// The whole run in stretches; those in which nothing ran are left out.
    pub(crate) fn run_bars(&self, kv_blocks: u32) -> Vec<Bar> {
        self.run.bars(kv_blocks)
    }

    /// Makes room up to `end`, so that the stretches of all replicas of a run that ends there are equally long.
    pub(crate) fn reach(&mut self, end: SimTime) {
        self.run.reach(end);
    }
}

impl Observer for TimelineCollector {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, record: &StepRecord) {
        if record.replica != self.replica {
            return;
        }
        self.run.add(record);
        if self.current.ends_before(record, self.window_steps) {
            if self.current.score > self.busiest.score {
                std::mem::swap(&mut self.current, &mut self.busiest);
            }
            self.current.clear();
        }
        self.current.add(record);
    }
}

fn step_bar(step: &StepRecord, kv_blocks: u32) -> Bar {
    Bar {
        start_s: step.start.as_secs_f64(),
        end_s: step.end.as_secs_f64(),
        prefill_tokens: f64::from(step.prefill_tokens),
        decode_tokens: f64::from(step.decode_requests),
        running: f64::from(step.running),
        waiting: f64::from(step.waiting),
        free_kv: share(step.free_blocks, kv_blocks),
        prefill_layers: step.prefill_layers,
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// Consecutive steps.
#[derive(Clone, Debug, Default)]
struct Window {
    steps: Vec<StepRecord>,
    score: u64,
}

impl Window {
    fn ends_before(&self, next: &StepRecord, most_steps: usize) -> bool {
        let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) else { return false };
        // With pipeline stages a step may start before the one before it has ended.
        let idle_ns = next.start.as_nanos().saturating_sub(last.end.as_nanos());
        self.steps.len() >= most_steps || idle_ns > last.end.as_nanos() - first.start.as_nanos()
    }

    fn add(&mut self, step: &StepRecord) {
        // One is added so that windows without prompts are compared by their requests.
        self.score += (u64::from(step.prefill_tokens) + 1) * u64::from(step.running);
        self.steps.push(step.clone());
    }

    fn clear(&mut self) {
        self.steps.clear();
        self.score = 0;
    }

    /// This one if it is busier than `earlier`.
    fn busier_of<'a>(&'a self, earlier: &'a Window) -> &'a Window {
        if self.score > earlier.score { self } else { earlier }
    }
}

/// A whole run in a bounded number of stretches.
#[derive(Clone, Debug)]
struct Overview {
    stretches: Vec<Stretch>,
    length_ns: u64,
}

/// What ran in one stretch of time.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    prefill_tokens: f64,
    decode_tokens: f64,
    most_running: u32,
    most_waiting: u32,
    least_free_blocks: u32,
}

impl Stretch {
    /// Nothing ran.
    const IDLE: Stretch = Stretch {
        prefill_tokens: 0.0,
        decode_tokens: 0.0,
        most_running: 0,
        most_waiting: 0,
        least_free_blocks: u32::MAX,
    };

    fn is_idle(&self) -> bool {
        self.least_free_blocks == u32::MAX
    }

    fn merged(self, next: Stretch) -> Stretch {
        Stretch {
            prefill_tokens: self.prefill_tokens + next.prefill_tokens,
            decode_tokens: self.decode_tokens + next.decode_tokens,
            most_running: self.most_running.max(next.most_running),
            most_waiting: self.most_waiting.max(next.most_waiting),
            least_free_blocks: self.least_free_blocks.min(next.least_free_blocks),
        }
    }
}

impl Overview {
    /// Spreads the tokens of a step over the stretches in which it ran.
    fn add(&mut self, step: &StepRecord) {
        self.reach(step.end);
        let (start, end) = (step.start.as_nanos(), step.end.as_nanos());
        let length = self.length_ns;
        let (first, last) = (start / length, end.saturating_sub(1).max(start) / length);
        for i in first..=last {
            let inside_ns = end.min((i + 1).saturating_mul(length)) - start.max(i.saturating_mul(length));
            let part = if end > start { inside_ns as f64 / (end - start) as f64 } else { 1.0 };
            let stretch = &mut self.stretches[i as usize];
            *stretch = stretch.merged(Stretch {
                prefill_tokens: part * f64::from(step.prefill_tokens),
                decode_tokens: part * f64::from(step.decode_requests),
                most_running: step.running,
                most_waiting: step.waiting,
                least_free_blocks: step.free_blocks.min(u32::MAX - 1),
            });
        }
    }

    /// Makes room up to `end`, in longer stretches if need be.
    fn reach(&mut self, end: SimTime) {
        while end.as_nanos() / self.length_ns >= STRETCHES as u64 {
            let merged = self.stretches.chunks(2).map(|pair| pair.iter().fold(Stretch::IDLE, |a, &b| a.merged(b)));
            self.stretches = merged.collect();
            self.length_ns *= 2;
        }
        let needed = (end.as_nanos() / self.length_ns) as usize + 1;
        if needed > self.stretches.len() {
            self.stretches.resize(needed, Stretch::IDLE);
        }
    }

    fn bars(&self, kv_blocks: u32) -> Vec<Bar> {
        let length_s = self.length_ns as f64 * 1e-9;
        let busy = self.stretches.iter().enumerate().filter(|(_, stretch)| !stretch.is_idle());
        busy.map(|(i, stretch)| Bar {
            start_s: i as f64 * length_s,
            end_s: (i + 1) as f64 * length_s,
            prefill_tokens: stretch.prefill_tokens / length_s,
            decode_tokens: stretch.decode_tokens / length_s,
            running: f64::from(stretch.most_running),
            waiting: f64::from(stretch.most_waiting),
            free_kv: share(stretch.least_free_blocks, kv_blocks),
            prefill_layers: None,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(start_ms: u64, prefill_tokens: u32, running: u32) -> StepRecord {
        let start = SimTime::from_nanos(start_ms * 1_000_000);
        StepRecord {
            replica: 0,
            slot: 0,
            scheduled: start,
            start,
            end: SimTime::from_nanos((start_ms + 10) * 1_000_000),
            prefill_tokens,
            prefill_requests: u32::from(prefill_tokens > 0),
            decode_requests: running,
            decode_context_tokens: 0,
            admitted: 0,
            preempted: 0,
            waiting: 0,
            running,
            free_blocks: 50,
            prefill_layers: None,
            dynamic_energy_j: 0.0,
            work: None,
        }
    }

    #[test]
    fn the_window_with_most_prompt_work_over_running_requests_is_kept() {
        let mut collector = TimelineCollector::new(0);
        for i in 0..10_000_u64 {
            let prefill = if (4_000..4_200).contains(&i) { 512 } else { 1 };
            collector.step(&step(10 * i, prefill, 32));
        }
        assert_eq!(collector.busiest.steps.len(), WINDOW_STEPS);
        assert!(collector.busiest.steps.iter().all(|step| step.prefill_tokens == 512));
    }

    #[test]
    fn a_window_ends_where_the_replica_idled() {
        let mut collector = TimelineCollector::new(0);
        for i in 0..5 {
            collector.step(&step(10 * i, 1, 1));
        }
        collector.step(&step(10_000, 1, 1));
        assert_eq!((collector.busiest.steps.len(), collector.current.steps.len()), (5, 1));
    }

    #[test]
    fn other_replicas_are_left_out() {
        let mut collector = TimelineCollector::new(1);
        collector.step(&step(0, 1, 1));
        assert!(collector.current.steps.is_empty() && collector.run.stretches.is_empty());
    }

    #[test]
    fn the_overview_of_a_long_run_keeps_every_token_and_stays_small() {
        let mut overview = Overview { stretches: Vec::new(), length_ns: FIRST_STRETCH_NS };
        let steps = 50_000_u64;
        for i in 0..steps {
            overview.add(&step(13 * i, 100, 7));
        }
        assert!(overview.stretches.len() <= STRETCHES);
        let tokens: f64 = overview.bars(100).iter().map(|bar| bar.prefill_tokens * (bar.end_s - bar.start_s)).sum();
        assert!((tokens / (100 * steps) as f64 - 1.0).abs() < 1e-9, "{tokens}");
    }
}
