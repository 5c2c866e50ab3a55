//! What steps did: read back from `steps.csv`, and given to the same collectors that watch a run.

use sim::{Observer as _, StepRecord};
use workloads::SimTime;

use super::source::Source;
use super::{Asked, Missing, Named, lacks};
use crate::figures::{TimelineCollector, Width, WorkFigure, WorkPanel, WorkStep};
use crate::results::{Table, Words};

/// Steps of a panel that shows each as tokens × layers.
const WORK_STEPS: usize = 40;
/// Systems that are set one above the other.
const MOST_PANELS: usize = 6;

/// A replica as `replicas.csv` has it.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) system: String,
    pub(super) number: u32,
    pub(super) role: String,
    pub(super) layers: u32,
    pub(super) kv_blocks: u32,
    /// Replicas of the system with this role.
    pub(super) alike: usize,
    /// Replicas of the system.
    pub(super) of: usize,
}

/// The steps of the first seed of every system.
pub(super) struct Steps {
    table: Table,
    system: Words,
    /// Rows of the first seed of each system.
    rows: Vec<usize>,
    pub(super) replicas: Vec<Replica>,
}

const COLUMNS: [&str; 17] = [
    "system",
    "seed",
    "replica",
    "slot",
    "start_s",
    "duration_s",
    "prefill_tokens",
    "prefill_requests",
    "decode_requests",
    "decode_context_tokens",
    "waiting",
    "running",
    "free_kv_blocks",
    "prefill_first_layer",
    "prefill_end_layer",
    "dynamic_energy_j",
    "expert_load_bytes",
];

impl Steps {
    /// Reads steps and replicas.
    pub(super) fn read(source: &Source) -> Result<Self, Missing> {
        if source.results.path("steps").is_none() {
            return Err(source.without("steps", Some("steps")));
        }
        let replicas = replicas(source)?;
        let table = source.results.columns("steps", &COLUMNS)?;
        let (system, seed) = (table.words("system")?, table.words("seed")?);
        let mut first: Vec<Option<u32>> = vec![None; system.names().len()];
        let rows = (0..table.len()).filter(|&row| {
            let code = seed.codes()[row];
            *first[system.codes()[row] as usize].get_or_insert(code) == code
        });
        Ok(Steps { rows: rows.collect(), system, table, replicas })
    }

    /// Names of the systems.
    pub(super) fn systems(&self) -> &[String] {
        self.system.names()
    }

    /// Calls `take` with every step of a system, and the bytes of experts that it read.
    pub(super) fn each(&self, system: &str, mut take: impl FnMut(&StepRecord, f64)) -> Result<(), Missing> {
        let Some(code) = self.system.names().iter().position(|name| name == system) else { return Ok(()) };
        let column = |name: &str| self.table.numbers(name);
        let (replica, slot, start, duration) =
            (column("replica")?, column("slot")?, column("start_s")?, column("duration_s")?);
        let (prefill_tokens, prefill_requests) = (column("prefill_tokens")?, column("prefill_requests")?);
        let (decodes, context) = (column("decode_requests")?, column("decode_context_tokens")?);
        let (waiting, running, free) = (column("waiting")?, column("running")?, column("free_kv_blocks")?);
        let (first, end) = (column("prefill_first_layer")?, column("prefill_end_layer")?);
        let (energy, experts) = (column("dynamic_energy_j")?, column("expert_load_bytes")?);
        let nanos = |seconds: f64| (seconds * 1e9).round() as u64;
        for &row in self.rows.iter().filter(|&&row| self.system.codes()[row] as usize == code) {
            let begin = SimTime::from_nanos(nanos(start[row]));
            let record = StepRecord {
                replica: replica[row] as u32,
                slot: slot[row] as u32,
                scheduled: begin,
                start: begin,
                end: SimTime::from_nanos(nanos(start[row]) + nanos(duration[row])),
                prefill_tokens: prefill_tokens[row] as u32,
                prefill_requests: prefill_requests[row] as u32,
                decode_requests: decodes[row] as u32,
                decode_context_tokens: context[row] as u64,
                admitted: 0,
                preempted: 0,
                waiting: waiting[row] as u32,
                running: running[row] as u32,
                free_blocks: free[row] as u32,
                prefill_layers: (!first[row].is_nan()).then(|| (first[row] as u32, end[row] as u32)),
                dynamic_energy_j: energy[row],
                work: None,
            };
            take(&record, experts[row]);
        }
        Ok(())
    }

    /// The replicas of a system.
    pub(super) fn replicas_of(&self, system: &str) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(move |replica| replica.system == system)
    }

    /// Watches a replica.
    fn collected(&self, replica: &Replica, mut collector: TimelineCollector) -> Result<TimelineCollector, Missing> {
        self.each(&replica.system, |step, _| collector.step(step))?;
        Ok(collector)
    }

    /// The first replica of each role, system by system.
    fn first_of_roles(&self) -> Vec<&Replica> {
        let mut firsts: Vec<&Replica> = Vec::new();
        for system in self.systems() {
            for replica in self.replicas_of(system) {
                if !firsts.iter().any(|first| first.system == replica.system && first.role == replica.role) {
                    firsts.push(replica);
                }
            }
        }
        firsts
    }
}

fn replicas(source: &Source) -> Result<Vec<Replica>, Missing> {
    let table = source.results.columns("replicas", &["system", "replica", "role", "layers", "kv_blocks"])?;
    let (systems, roles) = (table.words("system")?, table.words("role")?);
    let (numbers, layers, blocks) = (table.numbers("replica")?, table.numbers("layers")?, table.numbers("kv_blocks")?);
    let count = |row: usize, same_role: bool| {
        let is_like = |other: &usize| {
            systems.codes()[*other] == systems.codes()[row]
                && (!same_role || roles.codes()[*other] == roles.codes()[row])
        };
        (0..table.len()).filter(is_like).count()
    };
    let replica = |row: usize| Replica {
        system: systems.get(row).to_owned(),
        number: numbers[row] as u32,
        role: roles.get(row).to_owned(),
        layers: layers[row] as u32,
        kv_blocks: blocks[row] as u32,
        alike: count(row, true),
        of: count(row, false),
    };
    Ok((0..table.len()).map(replica).collect())
}

impl Replica {
    /// The end of file names, and the title of its figures.
    fn names(&self) -> (String, String) {
        let of_role = self.of != self.alike;
        let file = if of_role { format!("{}_{}", self.system, self.role) } else { self.system.clone() };
        let role = if of_role { format!("{} ", self.role) } else { String::new() };
        let mut title = self.system.clone();
        if self.of > 1 {
            title = format!("{title}, {role}replica {}", self.number);
        }
        if self.alike > 1 {
            title = format!("{title} of {} alike", self.alike);
        }
        (file, title)
    }
}

/// Step by step through the busiest moment of the first replica of each role.
pub(super) fn steps(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let steps = Steps::read(source)?;
    let figure = |replica: &Replica| {
        let collector = steps.collected(replica, TimelineCollector::new(replica.number))?;
        let (file, title) = replica.names();
        let width = asked.width(Width::Page);
        let figure = collector.steps_figure(&title, replica.kv_blocks, replica.layers, width);
        Ok(Named::new(format!("steps_{file}"), figure))
    };
    steps.first_of_roles().into_iter().map(figure).collect()
}

/// The whole run of the first replica of each role.
pub(super) fn run(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let steps = Steps::read(source)?;
    let figure = |replica: &Replica| {
        let collector = steps.collected(replica, TimelineCollector::new(replica.number))?;
        let (file, title) = replica.names();
        Ok(Named::new(format!("run_{file}"), collector.run_figure(&title, replica.kv_blocks, asked.width(Width::Page))))
    };
    steps.first_of_roles().into_iter().map(figure).collect()
}

/// Tokens × layers of the busiest steps of the first replica of each system that takes prompts.
pub(super) fn work(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let steps = Steps::read(source)?;
    let takes_prompts = |replica: &&&Replica| replica.role != "decode";
    let shown: Vec<&Replica> = steps.first_of_roles().iter().filter(takes_prompts).copied().collect();
    if shown.len() > MOST_PANELS {
        return lacks(format!("there are {} systems, more than {MOST_PANELS}", shown.len()));
    }
    let mut panels = Vec::new();
    for replica in shown {
        let collector = steps.collected(replica, TimelineCollector::with_window(replica.number, WORK_STEPS))?;
        let records = collector.busiest_steps();
        let begin = records.first().map_or(SimTime::ZERO, |step| step.start);
        let seconds = |moment: SimTime| moment.since(begin).as_secs_f64();
        let step = |record: &StepRecord| WorkStep {
            start_s: seconds(record.start),
            end_s: seconds(record.end),
            prefill_tokens: record.prefill_tokens,
            prefill_layers: record.prefill_layers.unwrap_or((0, replica.layers)),
            decodes: record.decode_requests > 0,
        };
        let shown = records.iter().map(step).collect();
        panels.push(WorkPanel { label: replica.names().1, layers: replica.layers, steps: shown });
    }
    // Equal stretches of time are compared: as long as the shortest.
    let ends = panels.iter().filter_map(|panel| panel.steps.last().map(|step| step.end_s));
    let until = ends.fold(f64::INFINITY, f64::min);
    for panel in &mut panels {
        panel.steps.retain(|step| step.end_s <= until * (1.0 + 1e-9));
    }
    let title = "What each step ran: layers that prompts and decodes passed".to_owned();
    Ok(vec![Named::new("work", WorkFigure { title, systems: panels, width: asked.width(Width::Page) })])
}
