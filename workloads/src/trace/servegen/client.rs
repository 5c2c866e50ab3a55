//! One client: when its requests come.

use std::path::{Path, PathBuf};

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Exp1, Gamma, Weibull};

use super::lengths::{Lengths, Period};
use crate::rng;
use crate::special::ln_gamma;
use crate::trace::error::{RowError, TraceError, quote};
use crate::trace::field;
use crate::trace::input::Lines;
use crate::trace::table::Table;

/// Length of a window; the last one of a file ends so much after its start.
const WINDOW_SECONDS: f64 = 600.0;

/// Requests of one client.
pub(super) struct Client {
    windows: Vec<Window>,
    lengths: Lengths,
    arrivals: Xoshiro256PlusPlus,
    draws: Xoshiro256PlusPlus,
    /// The window that the clock is in.
    at: usize,
    seconds: f64,
}

/// A stretch of time with one rate.
struct Window {
    start_seconds: f64,
    end_seconds: f64,
    /// Requests per second.
    rate: f64,
    /// Gaps of mean 1; `None` where nothing comes.
    gaps: Option<Gaps>,
    line: u64,
}

/// Distribution of gaps, of mean 1.
enum Gaps {
    Exponential,
    Gamma(Gamma<f64>),
    Weibull(Weibull<f64>),
}

/// Whether a family of distributions is known by this name.
pub(in crate::trace) fn is_pattern(name: &[u8]) -> bool {
    matches!(name, b"Gamma" | b"Weibull" | b"Poisson" | b"Exponential")
}

impl Client {
    /// Reads the windows of client `index` from `trace`.
    pub(super) fn read(
        trace: &Path,
        dataset: &Path,
        lengths: Lengths,
        seed: u64,
        index: u64,
    ) -> Result<Client, TraceError> {
        let windows = read_windows(trace)?;
        for window in windows.iter().filter(|window| window.gaps.is_some()) {
            if lengths.at(window.start_seconds).is_none() {
                return Err(TraceError::ServeGen {
                    path: dataset.to_owned(),
                    what: format!(
                        "no lengths for {} s, where {} (line {}) has {} requests/s; the period it lies in needs both \
                         `input_tokens` and `output_tokens`",
                        window.start_seconds,
                        trace.display(),
                        window.line,
                        window.rate
                    ),
                });
            }
        }
        let seconds = windows.first().map_or(0.0, |window| window.start_seconds);
        let arrivals = rng::stream(seed, "servegen arrivals", index);
        let draws = rng::stream(seed, "servegen lengths", index);
        Ok(Client { windows, lengths, arrivals, draws, at: 0, seconds })
    }

    pub(super) fn windows(&self) -> u64 {
        self.windows.len() as u64
    }

    /// Line of the window that the request drawn last lies in.
    pub(super) fn line(&self) -> u64 {
        self.windows[self.at].line
    }

    /// When the next request comes, in ns; `None` if no more come.
    pub(super) fn next_arrival(&mut self) -> Option<i64> {
        let gaps = loop {
            let window = self.windows.get(self.at)?;
            match &window.gaps {
                Some(gaps) if self.seconds < window.end_seconds => break gaps,
                _ => self.enter_next_window(),
            }
        };
        let mut gap = gaps.sample(&mut self.arrivals);
        loop {
            let window = self.windows.get(self.at)?;
            let room = (window.end_seconds - self.seconds) * window.rate;
            if gap < room {
                self.seconds += gap / window.rate;
                return Some((self.seconds * 1e9).round() as i64);
            }
            gap -= room;
            self.enter_next_window();
        }
    }

    fn enter_next_window(&mut self) {
        self.at += 1;
        self.seconds = self.windows.get(self.at).map_or(f64::INFINITY, |window| window.start_seconds);
    }

    /// Input and output length of the request whose time was drawn last.
    pub(super) fn draw_lengths(&mut self) -> (u32, u32) {
        let start = self.windows[self.at].start_seconds;
        let Period { input, output } = self.lengths.at(start).expect("every window with requests has lengths");
        (input.sample(&mut self.draws), output.sample(&mut self.draws))
    }
}

impl Gaps {
    fn sample(&self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        match self {
            Gaps::Exponential => Exp1.sample(rng),
            Gaps::Gamma(gamma) => gamma.sample(rng),
            Gaps::Weibull(weibull) => weibull.sample(rng),
        }
    }
}

fn read_windows(path: &Path) -> Result<Vec<Window>, TraceError> {
    let mut lines = Lines::open(path)?;
    let mut table = Table::new(b"t_s,rate_rps,cv,arrival_pattern,shape,scale");
    let mut windows: Vec<Window> = Vec::new();
    while lines.advance()? {
        let line = lines.number();
        let located = |what| TraceError::Row { path: path.to_owned(), line, what };
        let window = read_window(&mut table, lines.current(), line).map_err(located)?;
        if let Some(before) = windows.last_mut() {
            if window.start_seconds <= before.start_seconds {
                let found = format!("{} s below {} s", window.start_seconds, before.start_seconds);
                return Err(located(RowError::whole(found, "windows in order of time").in_column(0, "t_s")));
            }
            before.end_seconds = before.end_seconds.min(window.start_seconds);
        }
        windows.push(window);
    }
    if windows.is_empty() {
        return Err(TraceError::Empty { path: PathBuf::from(path), lines: 0, skipped: None });
    }
    Ok(windows)
}

fn read_window(table: &mut Table, line: &[u8], number: u64) -> Result<Window, RowError> {
    table.split(line)?;
    let [time, rate, _cv, pattern, shape, _scale] = std::array::from_fn(|index| table.column(index));
    let start_nanos = table.parse(line, time, |text| field::time(text, 1_000_000_000, "seconds"))?;
    let start_seconds = start_nanos as f64 / 1e9;
    let rate = table.parse(line, rate, |text| number_within(text, 0.0, 1e9, "a rate in requests/s, from 0 to 1e9"))?;
    let gaps = if rate == 0.0 {
        None
    } else {
        let gaps = match table.text(line, pattern) {
            b"Poisson" | b"Exponential" => Gaps::Exponential,
            b"Gamma" => Gaps::gamma(table.parse(line, shape, shape_of)?),
            b"Weibull" => Gaps::weibull(table.parse(line, shape, shape_of)?),
            other => {
                let error =
                    RowError::whole(quote(other, 40), "Gamma, Weibull, Poisson or Exponential where the rate is > 0");
                return table.parse(line, pattern, |_| Err(error));
            }
        };
        Some(gaps)
    };
    Ok(Window { start_seconds, end_seconds: start_seconds + WINDOW_SECONDS, rate, gaps, line: number })
}

impl Gaps {
    fn gamma(shape: f64) -> Gaps {
        Gaps::Gamma(Gamma::new(shape, 1.0 / shape).expect("the shape is within bounds"))
    }

    fn weibull(shape: f64) -> Gaps {
        // The mean of a Weibull distribution is scale · Γ(1 + 1/shape).
        let scale = (-ln_gamma(1.0 + 1.0 / shape)).exp();
        Gaps::Weibull(Weibull::new(scale, shape).expect("the shape is within bounds"))
    }
}

/// A shape of Gamma or Weibull, within bounds that keep all moments representable.
fn shape_of(text: &[u8]) -> Result<f64, RowError> {
    number_within(text, 0.01, 1e6, "a shape from 0.01 to 1e6")
}

fn number_within(text: &[u8], least: f64, most: f64, expected: &str) -> Result<f64, RowError> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| RowError::whole(quote(text, 40), expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_mean_1_whatever_their_shape() {
        let mut rng = rng::stream(1, "test", 0);
        for (gaps, cv) in [
            (Gaps::Exponential, 1.0),
            (Gaps::gamma(0.25), 2.0),
            (Gaps::gamma(4.0), 0.5),
            // CV² = Γ(1 + 2/k)/Γ(1 + 1/k)² - 1: for k = 1/2 that is 24/4 - 1.
            (Gaps::weibull(0.5), 5_f64.sqrt()),
            (Gaps::weibull(1.0), 1.0),
        ] {
            let draws: Vec<f64> = (0..200_000).map(|_| gaps.sample(&mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((mean - 1.0).abs() < 6.0 * cv / (draws.len() as f64).sqrt(), "mean {mean} at CV {cv}");
            assert!((variance.sqrt() / mean / cv - 1.0).abs() < 0.06, "CV {} instead of {cv}", variance.sqrt() / mean);
        }
    }
}
