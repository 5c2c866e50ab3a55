//! Power over time: the energy of steps, spread evenly over the time they took.

use workloads::SimTime;

use crate::record::{Observer, StepRecord};

/// Bins kept at most; when a run outgrows them, pairs are joined and bins become twice as wide.
const MAX_BINS: usize = 4096;

/// Power above idle of one replica or of all of them, in bins of equal width.
///
/// Its memory is bounded however long the run, and its integral is the dynamic energy of the run.
#[derive(Clone, Debug)]
pub struct PowerMeter {
    bin_ns: u64,
    joules: Vec<f64>,
}

/// Power above idle in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerSample {
    /// Its start.
    pub start: SimTime,
    /// Its end.
    pub end: SimTime,
    /// Mean power above idle, in watts.
    pub dynamic_power_w: f64,
}

impl PowerMeter {
    /// A meter with bins of `bin_ns` nanoseconds (≥ 1), or of the next wider of its doublings that the run needs.
    pub fn new(bin_ns: u64) -> Self {
        PowerMeter { bin_ns: bin_ns.max(1), joules: Vec::new() }
    }

    /// Adds `joules`, spent evenly between `start` and `end`.
    pub fn add(&mut self, start: SimTime, end: SimTime, joules: f64) {
        let (start, end) = (start.as_nanos(), end.as_nanos());
        if end <= start {
            return;
        }
        while (end - 1) / self.bin_ns >= MAX_BINS as u64 {
            self.widen();
        }
        let (first, last) = ((start / self.bin_ns) as usize, ((end - 1) / self.bin_ns) as usize);
        if self.joules.len() <= last {
            self.joules.resize(last + 1, 0.0);
        }
        if first == last {
            self.joules[first] += joules;
            return;
        }
        let watts_ns = joules / (end - start) as f64;
        for bin in first..=last {
            let from = start.max(bin as u64 * self.bin_ns);
            let to = end.min((bin as u64 + 1) * self.bin_ns);
            self.joules[bin] += watts_ns * (to - from) as f64;
        }
    }

    fn widen(&mut self) {
        self.bin_ns *= 2;
        self.joules = self.joules.chunks(2).map(|pair| pair.iter().sum()).collect();
    }

    /// The integral: all energy added, in joules.
    pub fn energy_j(&self) -> f64 {
        self.joules.iter().sum()
    }

    /// Power over time, from the first bin to the last one with energy.
    pub fn samples(&self) -> impl Iterator<Item = PowerSample> + '_ {
        let seconds = self.bin_ns as f64 / 1e9;
        self.joules.iter().enumerate().map(move |(bin, joules)| PowerSample {
            start: SimTime::from_nanos(bin as u64 * self.bin_ns),
            end: SimTime::from_nanos((bin as u64 + 1) * self.bin_ns),
            dynamic_power_w: joules / seconds,
        })
    }
}

impl Observer for PowerMeter {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, record: &StepRecord) {
        self.add(record.start, record.end, record.dynamic_energy_j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    #[test]
    fn a_step_across_bins_gives_each_its_share() {
        let mut meter = PowerMeter::new(100);
        meter.add(at(50), at(250), 4e-7);
        let power: Vec<f64> = meter.samples().map(|sample| sample.dynamic_power_w).collect();
        // 0.4 uJ over 200 ns are 2 W; the outer bins are half covered.
        for (power, expected) in power.iter().zip([1.0, 2.0, 1.0]) {
            assert!((power - expected).abs() < 1e-9, "{power} W instead of {expected} W");
        }
    }

    #[test]
    fn the_integral_is_what_was_added_however_long_the_run() {
        let mut meter = PowerMeter::new(1);
        let mut added = 0.0;
        for step in 0..100_000_u64 {
            meter.add(at(step * 977), at(step * 977 + 977), 0.25);
            added += 0.25;
        }
        assert!((meter.energy_j() - added).abs() < 1e-6 * added, "{} J instead of {added} J", meter.energy_j());
        assert!(meter.samples().count() <= MAX_BINS);
    }
}
