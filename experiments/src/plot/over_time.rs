//! Queues, caches, power and bytes over simulated time, systems together.

use sim::Observer as _;

use super::source::Source;
use super::steps::Steps;
use super::{Asked, Missing, Named, lacks};
use crate::figures::{Bar, OverTimeFigure, TimePanel, TimelineCollector, Width};
use crate::results::Kind;

/// Stretches of a line at most: more than the eye tells apart in a column.
const MOST_STRETCHES: usize = 256;

/// From when to when, in seconds, and the value of this stretch.
type Stretch = (f64, f64, f64);

/// Requests waiting and running, and the share of the KV cache in use: sums over replicas of the largest values seen in each
/// stretch of time.
pub(super) fn queue_and_kv(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let steps = Steps::read(source)?;
    let mut lines: [Vec<Vec<Stretch>>; 3] = Default::default();
    for system in steps.systems() {
        let replicas: Vec<_> = steps.replicas_of(system).collect();
        let mut collectors: Vec<TimelineCollector> =
            replicas.iter().map(|replica| TimelineCollector::with_window(replica.number, 1)).collect();
        let mut last = None;
        steps.each(system, |step, _| {
            for collector in &mut collectors {
                collector.step(step);
            }
            last = last.max(Some(step.end));
        })?;
        let mut sums: Vec<Sum> = Vec::new();
        for (collector, replica) in collectors.iter_mut().zip(&replicas) {
            if let Some(end) = last {
                collector.reach(end);
            }
            let blocks = f64::from(replica.kv_blocks);
            collector.run_bars(replica.kv_blocks).iter().for_each(|bar| Sum::add(&mut sums, bar, blocks));
        }
        sums.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        let all_blocks: f64 = replicas.iter().map(|replica| f64::from(replica.kv_blocks)).sum();
        let line = |value: &dyn Fn(&Sum) -> f64| {
            thinned(sums.iter().map(|sum| (sum.start_s, sum.end_s, value(sum))).collect())
        };
        lines[0].push(line(&|sum| sum.waiting));
        lines[1].push(line(&|sum| sum.running));
        lines[2].push(line(&|sum| 100.0 * sum.used_blocks / all_blocks));
    }
    let [waiting, running, used] = lines;
    let panel = |label: &str, most, lines| TimePanel { label: label.to_owned(), most, lines };
    let figure = OverTimeFigure {
        title: "Requests waiting and running, and KV cache in use, over time".to_owned(),
        panels: vec![
            panel("Waiting (req)", None, waiting),
            panel("Running (req)", None, running),
            panel("KV in use (%)", Some(100.0), used),
        ],
        systems: steps.systems().to_vec(),
        width: asked.width(Width::Column),
    };
    Ok(vec![Named::new("queue_and_kv", figure)])
}

/// What replicas add up to in one stretch.
struct Sum {
    start_s: f64,
    end_s: f64,
    waiting: f64,
    running: f64,
    used_blocks: f64,
}

impl Sum {
    fn add(sums: &mut Vec<Sum>, bar: &Bar, blocks: f64) {
        let used = (1.0 - bar.free_kv) * blocks;
        match sums.iter_mut().find(|sum| sum.start_s.total_cmp(&bar.start_s).is_eq()) {
            Some(sum) => {
                sum.waiting += bar.waiting;
                sum.running += bar.running;
                sum.used_blocks += used;
            }
            None => sums.push(Sum {
                start_s: bar.start_s,
                end_s: bar.end_s,
                waiting: bar.waiting,
                running: bar.running,
                used_blocks: used,
            }),
        }
    }
}

/// Halves the number of stretches until they are few enough, keeping the larger value of each pair.
fn thinned(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    while stretches.len() > MOST_STRETCHES {
        let merged = stretches.chunks(2).map(|pair| {
            let (first, last) = (pair[0], pair[pair.len() - 1]);
            (first.0, last.1, first.2.max(last.2))
        });
        stretches = merged.collect();
    }
    stretches
}

/// Power of all devices, and bytes of experts' weights read per second, whichever there are tables of.
pub(super) fn load(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let mut panels = Vec::new();
    let mut systems: Vec<String> = Vec::new();
    if source.results.path("power").is_some() {
        let (names, lines) = power(source)?;
        systems = names;
        panels.push(TimePanel { label: "Power (W)".to_owned(), most: None, lines });
    }
    if source.results.path("steps").is_some() {
        let steps = Steps::read(source)?;
        let lines = expert_bytes(&steps)?;
        if lines.iter().flatten().any(|(.., value)| *value > 0.0) {
            systems = steps.systems().to_vec();
            panels.push(TimePanel { label: "Experts read (GB/s)".to_owned(), most: None, lines });
        }
    }
    if panels.is_empty() && source.results.kind() != Kind::Run {
        return Err(source.without("power over time", Some("power")));
    }
    if panels.is_empty() {
        return lacks(
            "needs a table of power, or of steps of a model with experts: run with `--set output.power=true` or \
                      `--set output.steps=true`",
        );
    }
    let title = "Power and expert weights read over time".to_owned();
    let figure = OverTimeFigure { title, panels, systems, width: asked.width(Width::Column) };
    Ok(vec![Named::new("load_over_time", figure)])
}

/// Systems, and the power of each over time under its first seed.
fn power(source: &Source) -> Result<(Vec<String>, Vec<Vec<Stretch>>), Missing> {
    let table = source.results.columns("power", &["system", "seed", "start_s", "end_s", "power_w"])?;
    let (system, seed) = (table.words("system")?, table.words("seed")?);
    let (start, end, watts) = (table.numbers("start_s")?, table.numbers("end_s")?, table.numbers("power_w")?);
    let mut lines: Vec<Vec<Stretch>> = vec![Vec::new(); system.names().len()];
    let mut first: Vec<Option<u32>> = vec![None; system.names().len()];
    for row in 0..table.len() {
        let code = system.codes()[row] as usize;
        if *first[code].get_or_insert(seed.codes()[row]) == seed.codes()[row] {
            lines[code].push((start[row], end[row], watts[row]));
        }
    }
    Ok((system.names().to_vec(), lines.into_iter().map(averaged).collect()))
}

/// Halves the number of stretches until they are few enough; each pair becomes its mean over time.
fn averaged(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    while stretches.len() > MOST_STRETCHES {
        let merged = stretches.chunks(2).map(|pair| {
            let weighted: f64 = pair.iter().map(|(start, end, value)| (end - start) * value).sum();
            let time: f64 = pair.iter().map(|(start, end, _)| end - start).sum();
            (pair[0].0, pair[pair.len() - 1].1, if time > 0.0 { weighted / time } else { pair[0].2 })
        });
        stretches = merged.collect();
    }
    stretches
}

/// Per system the gigabytes of experts read per second, in stretches of equal length over the longest run.
fn expert_bytes(steps: &Steps) -> Result<Vec<Vec<Stretch>>, Missing> {
    let mut until_s = 0.0_f64;
    for system in steps.systems() {
        steps.each(system, |step, _| until_s = until_s.max(step.end.as_secs_f64()))?;
    }
    let length_s = until_s / MOST_STRETCHES as f64;
    let mut lines = Vec::new();
    for system in steps.systems() {
        let mut sums = vec![0.0; MOST_STRETCHES];
        let mut ends = 0;
        steps.each(system, |step, bytes| {
            let (start, end) = (step.start.as_secs_f64() / length_s, step.end.as_secs_f64() / length_s);
            let (first, last) = (start as usize, (end as usize).min(MOST_STRETCHES - 1));
            ends = ends.max(last);
            for (index, sum) in sums.iter_mut().enumerate().take(last + 1).skip(first) {
                let inside = end.min(index as f64 + 1.0) - start.max(index as f64);
                *sum += bytes * if end > start { inside.max(0.0) / (end - start) } else { 1.0 };
            }
        })?;
        let stretch = |(index, bytes): (usize, &f64)| {
            (index as f64 * length_s, (index + 1) as f64 * length_s, bytes / 1e9 / length_s)
        };
        lines.push(sums.iter().enumerate().take(ends + 1).map(stretch).collect());
    }
    Ok(lines)
}
