//! How far a sweep is: a bar on a terminal, elsewhere a line now and then.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::Terminal;

/// A sweep that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Progress of the runs of one process.
pub(super) struct Progress {
    terminal: Terminal,
    runs: usize,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: usize,
    failed: usize,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Progress {
    /// Of so many runs that begin now.
    pub(super) fn new(runs: usize, terminal: Terminal) -> Self {
        Progress { terminal, runs, begun: Instant::now(), state: Mutex::new(State::default()) }
    }

    /// One more run is done.
    pub(super) fn done(&self, failed: bool) {
        let mut state = self.state.lock().expect("no thread panics while it holds this lock");
        state.done += 1;
        state.failed += usize::from(failed);
        let elapsed = self.begun.elapsed();
        if !self.terminal.talks() || elapsed < PATIENCE {
            return;
        }
        let message = message(state.done, self.runs, state.failed, elapsed);
        let done = state.done as u64;
        if self.terminal.shows_progress() {
            let bar = state.bar.get_or_insert_with(|| self.bar());
            bar.set_position(done);
            bar.set_message(message);
        } else if state.last_line.unwrap_or(self.begun).elapsed() >= BETWEEN_LINES {
            state.last_line = Some(Instant::now());
            self.terminal.note(&format!("{done} of {} runs, {message}", self.runs));
        }
    }

    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.runs as u64);
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{spinner} {elapsed} [{bar:30}] {human_pos}/{human_len} runs, {msg}");
        bar.set_style(style.expect("the template is valid"));
        bar.with_elapsed(self.begun.elapsed())
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.state.lock().expect("no thread panics while it holds this lock").bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Failures, if any, and how long the rest takes if it goes on like this.
fn message(done: usize, of: usize, failed: usize, elapsed: Duration) -> String {
    let left = elapsed.as_secs_f64() / done as f64 * of.saturating_sub(done) as f64;
    let left = if left < 90.0 {
        format!("{left:.0} s")
    } else if left < 5400.0 {
        format!("{:.0} min", left / 60.0)
    } else {
        format!("{:.1} h", left / 3600.0)
    };
    if failed > 0 { format!("{failed} failed, ETA {left}") } else { format!("ETA {left}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_expected_to_go_as_fast_as_what_is_done() {
        assert_eq!(message(250, 1000, 0, Duration::from_secs(10)), "ETA 30 s");
        assert_eq!(message(1, 1000, 1, Duration::from_secs(2)), "1 failed, ETA 33 min");
        assert_eq!(message(1, 10_000, 0, Duration::from_secs(2)), "ETA 5.6 h");
        assert_eq!(message(5, 5, 0, Duration::from_secs(2)), "ETA 0 s");
    }
}
