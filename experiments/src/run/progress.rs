//! The progress bar: on a terminal only, and only once a command has taken a second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use workloads::SimTime;

use crate::terminal::Terminal;

/// A command that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests between two looks at the clock.
const STRIDE: u64 = 256;
const KNOWN: &str = "{spinner} {elapsed} [{bar:30}] {human_pos}/{human_len} requests, {msg}";
const UNKNOWN: &str = "{spinner} {elapsed} {human_pos} requests, {msg}";

/// Progress of all runs of a command.
pub(super) struct Progress {
    shown: Option<Shown>,
}

struct Shown {
    runs: u64,
    done: AtomicU64,
    begun: Instant,
    bar: Mutex<Option<ProgressBar>>,
    /// Requests of one run, once a run has said.
    per_run: AtomicU64,
}

/// Progress of one run.
pub(super) struct RunProgress<'a> {
    shown: &'a Shown,
    reported: u64,
}

impl Progress {
    /// A bar for so many runs.
    pub(super) fn new(runs: usize, terminal: Terminal) -> Self {
        let shown = terminal.shows_progress().then(|| Shown {
            runs: runs as u64,
            done: AtomicU64::new(0),
            begun: Instant::now(),
            bar: Mutex::new(None),
            per_run: AtomicU64::new(0),
        });
        Progress { shown }
    }

    /// The part of one run, with as many requests as its source knows of.
    pub(super) fn of_run(&self, requests: Option<u64>) -> Option<RunProgress<'_>> {
        let shown = self.shown.as_ref()?;
        shown.per_run.fetch_max(requests.unwrap_or(0), Ordering::Relaxed);
        Some(RunProgress { shown, reported: 0 })
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.shown.as_ref().and_then(|shown| shown.bar.lock().ok()?.take()) {
            bar.finish_and_clear();
        }
    }
}

impl RunProgress<'_> {
    /// The run has come to `now` with so many requests done.
    pub(super) fn reached(&mut self, now: SimTime, ended: u64) {
        if ended < self.reported + STRIDE {
            return;
        }
        let done = self.shown.done.fetch_add(ended - self.reported, Ordering::Relaxed) + ended - self.reported;
        self.reported = ended;
        if self.shown.begun.elapsed() > PATIENCE {
            self.shown.draw(now, done);
        }
    }
}

impl Shown {
    fn draw(&self, now: SimTime, done: u64) {
        // Another run is drawing: it will do.
        let Ok(mut bar) = self.bar.try_lock() else { return };
        let bar = bar.get_or_insert_with(|| {
            let total = self.per_run.load(Ordering::Relaxed) * self.runs;
            let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::no_length() };
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let template = if total > 0 { KNOWN } else { UNKNOWN };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
            bar.with_elapsed(self.begun.elapsed())
        });
        bar.set_position(done);
        bar.set_message(message(now, done, bar.length(), self.begun.elapsed()));
    }
}

/// Simulated time, requests per second since the start, and how long the rest takes at that rate.
fn message(now: SimTime, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64();
    let eta = total.map_or(String::new(), |total| format!(", ETA {:.0} s", total.saturating_sub(done) as f64 / rate));
    format!("{rate:.0}/s, {:.0} s simulated{eta}", now.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_expected_to_go_as_fast_as_what_is_done() {
        let text = message(SimTime::from_secs_f64(12.4), 2000, Some(10_000), Duration::from_secs(4));
        assert_eq!(text, "500/s, 12 s simulated, ETA 16 s");
        assert_eq!(message(SimTime::ZERO, 500, None, Duration::from_secs(1)), "500/s, 0 s simulated");
    }
}
