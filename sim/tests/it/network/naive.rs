//! A naive simulator of flows: each one by itself, all rates found anew after every event, in floating point.

use super::Release;

/// A flow: when it is sent (ns), links, bytes, release.
pub(super) struct NaiveFlow {
    pub(super) sent: u64,
    pub(super) links: Vec<usize>,
    pub(super) bytes: f64,
    pub(super) release: Option<Release>,
}

impl NaiveFlow {
    fn times(&self) -> (f64, f64) {
        let nanos = |release: Release| (release.first.as_nanos() as f64, release.last.as_nanos() as f64);
        let sent = self.sent as f64;
        self.release.map_or((sent, sent), |release| {
            let (first, last) = nanos(release);
            (first.max(sent), last.max(sent))
        })
    }

    /// Bytes available at `now`, and bytes/ns at which they become so.
    fn available(&self, now: f64) -> (f64, f64) {
        let Some(release) = self.release else { return (self.bytes, 0.0) };
        let (first, last) = (release.first.as_nanos() as f64, release.last.as_nanos() as f64);
        if now >= last {
            return (self.bytes, 0.0);
        }
        let evenly = self.bytes * f64::from(release.portions - 1) / f64::from(release.portions);
        (evenly * ((now - first) / (last - first)).max(0.0), evenly / (last - first))
    }
}

/// When the last byte of each flow has left, in ns; `capacities` are in bytes/s.
pub(super) fn ends(capacities: &[u64], flows: &[NaiveFlow]) -> Vec<f64> {
    let mut ends = vec![f64::NAN; flows.len()];
    let mut served = vec![0.0; flows.len()];
    let mut now = 0.0;
    while ends.iter().any(|end| end.is_nan()) {
        let running = |flow: usize| ends[flow].is_nan() && flows[flow].times().0 <= now;
        let caps: Vec<Option<f64>> = (0..flows.len())
            .map(|flow| {
                let (available, rate) = flows[flow].available(now);
                let cap = if available - served[flow] > 1e-3 { f64::INFINITY } else { rate };
                running(flow).then_some(cap)
            })
            .collect();
        let rates = max_min(capacities, flows, &caps);
        let mut next = f64::INFINITY;
        for (number, flow) in flows.iter().enumerate() {
            let (first, last) = flow.times();
            next = [first, last].into_iter().filter(|&time| time > now).fold(next, f64::min);
            let (available, release_rate) = flow.available(now);
            if running(number) && rates[number] > release_rate && available - served[number] > 1e-3 {
                let until = if now >= last { flow.bytes } else { available };
                next = next.min(now + ((until - served[number]) / (rates[number] - release_rate)).max(1e-3));
            }
        }
        for (number, flow) in flows.iter().enumerate() {
            served[number] = (served[number] + rates[number] * (next - now)).min(flow.available(next).0);
            if ends[number].is_nan() && flow.bytes - served[number] < 1e-2 {
                ends[number] = next;
            }
        }
        now = next;
    }
    ends
}

/// Rates in bytes/ns: raises those of all running flows together, and stops each where a link is full or its cap is
/// reached.
fn max_min(capacities: &[u64], flows: &[NaiveFlow], caps: &[Option<f64>]) -> Vec<f64> {
    let mut rates = vec![0.0; flows.len()];
    let mut rising: Vec<usize> = (0..flows.len()).filter(|&flow| caps[flow].is_some()).collect();
    let room = |link: usize, rates: &[f64]| {
        let used: f64 =
            (0..flows.len()).filter(|&flow| flows[flow].links.contains(&link)).map(|flow| rates[flow]).sum();
        capacities[link] as f64 / 1e9 - used
    };
    while !rising.is_empty() {
        let mut step = f64::INFINITY;
        for link in 0..capacities.len() {
            let on_it = rising.iter().filter(|&&flow| flows[flow].links.contains(&link)).count();
            if on_it > 0 {
                step = step.min(room(link, &rates) / on_it as f64);
            }
        }
        for &flow in &rising {
            step = step.min(caps[flow].expect("it runs") - rates[flow]);
        }
        for &flow in &rising {
            rates[flow] += step;
        }
        let full: Vec<bool> =
            (0..capacities.len()).map(|link| room(link, &rates) < 1e-18 * capacities[link] as f64).collect();
        rising.retain(|&flow| {
            rates[flow] < caps[flow].expect("it runs") * (1.0 - 1e-12)
                && !flows[flow].links.iter().any(|&link| full[link])
        });
    }
    rates
}
