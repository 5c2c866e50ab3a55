//! The progress bar of a search: on a terminal only, and only once it has taken a second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::Terminal;

/// A search that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Progress of a search over several things.
pub(crate) struct Progress {
    shown: bool,
    /// How many things, and what they are.
    total: AtomicU64,
    what: &'static str,
    begun: Instant,
    done: AtomicU64,
    probes: AtomicU64,
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress {
    /// A bar for so many things.
    pub(crate) fn new(total: usize, what: &'static str, terminal: Terminal) -> Self {
        Progress {
            shown: terminal.shows_progress(),
            total: AtomicU64::new(total as u64),
            what,
            begun: Instant::now(),
            done: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            bar: Mutex::new(None),
        }
    }

    /// So many more things are to be done.
    pub(crate) fn expect(&self, more: usize) {
        self.total.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// A rate was tried.
    pub(crate) fn probed(&self) {
        self.probes.fetch_add(1, Ordering::Relaxed);
        self.draw();
    }

    /// One of the things is done.
    pub(crate) fn done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.draw();
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    fn draw(&self) {
        if !self.shown || self.begun.elapsed() < PATIENCE {
            return;
        }
        // Another thread is drawing: it will do.
        let Ok(mut bar) = self.bar.try_lock() else { return };
        let bar = bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(0);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let template = format!("{{spinner}} {{elapsed}} [{{bar:30}}] {{pos}}/{{len}} {}, {{msg}}", self.what);
            bar.set_style(ProgressStyle::with_template(&template).expect("the template is valid"));
            bar.with_elapsed(self.begun.elapsed())
        });
        bar.set_length(self.total.load(Ordering::Relaxed));
        bar.set_position(self.done.load(Ordering::Relaxed));
        bar.set_message(format!("{} rates tried", self.probes.load(Ordering::Relaxed)));
    }
}
