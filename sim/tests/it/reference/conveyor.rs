//! Batches between model workers and attention workers, plainly: all that will happen is in one list, every server keeps a queue
//! of who waits for it, and an end is found by copying everything and running on. The engine's own conveyor is held against it
//! alone, and as part of the naive simulator.

use std::collections::VecDeque;

use profiles::Passage;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    WantsModel,
    LeavesModel,
    QueryReady,
    QuerySent,
    QueryThere,
    KeysReady,
    KeysSent,
    KeysThere,
    AttentionDone,
    OutputSent,
    OutputThere,
    ContextThere,
    Over,
}

#[derive(Clone, Debug)]
struct Step {
    passage: Passage,
    slice: u32,
    attends_since: Option<u64>,
    keys_there: Option<u64>,
    output_there: bool,
    context_there: bool,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    waiting: VecDeque<(usize, What, u64)>,
    busy: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Conveyor {
    now: u64,
    events: Vec<(u64, usize, What)>,
    steps: Vec<Option<Step>>,
    rotation: Vec<usize>,
    models: Vec<Queue>,
    to_pool: Queue,
    from_pool: Queue,
    pool: VecDeque<usize>,
    pool_since: u64,
    pool_busy: u64,
    models_busy: Vec<u64>,
    /// When which step ends next if none is started.
    next_end: Option<(u64, usize)>,
}

impl Conveyor {
    pub(super) fn new(batches: usize) -> Self {
        let replicas = (batches - 1).max(1);
        Conveyor {
            now: 0,
            events: Vec::new(),
            steps: vec![None; batches],
            rotation: (0..batches).collect(),
            models: vec![Queue::default(); replicas],
            to_pool: Queue::default(),
            from_pool: Queue::default(),
            pool: VecDeque::new(),
            pool_since: 0,
            pool_busy: 0,
            models_busy: vec![0; replicas],
            next_end: None,
        }
    }

    pub(super) fn start(&mut self, batch: usize, now: u64, at: u64, passage: Passage) {
        while self.events.iter().any(|&(when, ..)| when < now) {
            self.one_event();
        }
        self.now = now;
        self.steps[batch] = Some(Step {
            passage,
            slice: 0,
            attends_since: None,
            keys_there: None,
            output_there: true,
            context_there: true,
        });
        self.events.push((at, batch, What::WantsModel));
        self.next_end = self.clone().run();
    }

    pub(super) fn next_end(&self) -> Option<(u64, usize)> {
        self.next_end
    }

    pub(super) fn end(&mut self) {
        self.run();
        self.next_end = self.clone().run();
    }

    /// Nanoseconds in which each replica of the model workers computed, and then the attention pool.
    pub(super) fn busy(&self) -> Vec<u64> {
        self.models_busy.iter().copied().chain([self.pool_busy]).collect()
    }

    fn run(&mut self) -> Option<(u64, usize)> {
        while !self.events.is_empty() {
            if let Some(batch) = self.one_event() {
                return Some((self.now, batch));
            }
        }
        None
    }

    /// The batch whose step has ended with the first event, if one has.
    fn one_event(&mut self) -> Option<usize> {
        let order = |&(when, batch, what): &(u64, usize, What)| {
            // A server is free again before anybody asks for it; of one batch the keys come last.
            let frees = matches!(what, What::LeavesModel | What::QuerySent | What::KeysSent | What::OutputSent);
            (when, !frees, batch, matches!(what, What::KeysReady | What::KeysThere))
        };
        let first = (0..self.events.len()).min_by_key(|&index| order(&self.events[index])).expect("something happens");
        let (when, batch, what) = self.events.remove(first);
        self.now = when;
        let step = self.steps[batch].as_mut();
        match what {
            What::WantsModel => {
                let step = step.expect("on its way");
                let passage = step.passage;
                let ns = match step.slice {
                    0 => passage.first_slice_ns,
                    slice if slice == passage.layers => passage.last_slice_ns,
                    _ => passage.inner_slice_ns,
                };
                let replica = (self.rotation[batch] + step.slice as usize) % self.models.len();
                self.models[replica].waiting.push_back((batch, What::LeavesModel, ns));
                self.serve_model(replica);
            }
            What::LeavesModel => {
                let replica = (self.rotation[batch] + step.expect("on its way").slice as usize) % self.models.len();
                self.models[replica].busy = false;
                self.serve_model(replica);
                let step = self.steps[batch].as_ref().expect("on its way");
                if step.slice == step.passage.layers {
                    self.events.push((self.now, batch, What::Over));
                }
            }
            What::QueryReady | What::KeysReady => {
                let passage = step.expect("on its way").passage;
                let (sent, ns) = if what == What::QueryReady {
                    (What::QuerySent, passage.query_wire_ns)
                } else {
                    (What::KeysSent, passage.keys_wire_ns)
                };
                self.to_pool.waiting.push_back((batch, sent, ns));
                serve(&mut self.to_pool, self.now, &mut self.events);
            }
            What::QuerySent | What::KeysSent => {
                let latency_ns = step.expect("on its way").passage.latency_ns;
                let there = if what == What::QuerySent { What::QueryThere } else { What::KeysThere };
                self.events.push((self.now + latency_ns, batch, there));
                self.to_pool.busy = false;
                serve(&mut self.to_pool, self.now, &mut self.events);
            }
            What::QueryThere => {
                self.pool.push_back(batch);
                if self.pool.len() == 1 {
                    self.turn_to(batch);
                }
            }
            What::KeysThere => {
                step.expect("on its way").keys_there = Some(self.now);
                self.plan_attention(batch);
            }
            What::AttentionDone => {
                let output_wire_ns = step.expect("on its way").passage.output_wire_ns;
                self.pool.pop_front();
                self.pool_busy += self.now - self.pool_since;
                self.from_pool.waiting.push_back((batch, What::OutputSent, output_wire_ns));
                serve(&mut self.from_pool, self.now, &mut self.events);
                if let Some(&next) = self.pool.front() {
                    self.turn_to(next);
                }
            }
            What::OutputSent => {
                let latency_ns = step.expect("on its way").passage.latency_ns;
                self.events.push((self.now + latency_ns, batch, What::OutputThere));
                self.from_pool.busy = false;
                serve(&mut self.from_pool, self.now, &mut self.events);
            }
            What::OutputThere | What::ContextThere => {
                let step = step.expect("on its way");
                step.output_there |= what == What::OutputThere;
                step.context_there |= what == What::ContextThere;
                if step.output_there && step.context_there {
                    step.slice += 1;
                    self.events.push((self.now, batch, What::WantsModel));
                }
            }
            What::Over => {
                self.rotation[batch] += step.expect("on its way").passage.layers as usize;
                self.steps[batch] = None;
                return Some(batch);
            }
        }
        None
    }

    fn serve_model(&mut self, replica: usize) {
        let queue = &mut self.models[replica];
        if queue.busy {
            return;
        }
        let Some((batch, what, ns)) = queue.waiting.pop_front() else { return };
        queue.busy = true;
        self.models_busy[replica] += ns;
        let end = self.now + ns;
        self.events.push((end, batch, what));
        let alone = self.models.len() == 1;
        let step = self.steps[batch].as_mut().expect("on its way");
        let passage = step.passage;
        if step.slice < passage.layers {
            (step.attends_since, step.keys_there) = (None, None);
            (step.output_there, step.context_there) = (false, false);
            self.events.push((end - passage.keys_after_query_ns.min(ns), batch, What::QueryReady));
            self.events.push((end, batch, What::KeysReady));
            let moved_ns = if alone { 0 } else { passage.latency_ns + passage.context_wire_ns };
            self.events.push((end + moved_ns, batch, What::ContextThere));
        }
    }

    fn turn_to(&mut self, batch: usize) {
        self.pool_since = self.now;
        self.steps[batch].as_mut().expect("on its way").attends_since = Some(self.now);
        self.plan_attention(batch);
    }

    /// Once the pool has the batch and its keys are there, it is known when it will be done.
    fn plan_attention(&mut self, batch: usize) {
        let step = self.steps[batch].as_ref().expect("on its way");
        if let (Some(since), Some(keys)) = (step.attends_since, step.keys_there) {
            let done = (since + step.passage.attention_ns).max(keys) + step.passage.merge_ns;
            self.events.push((done, batch, What::AttentionDone));
        }
    }
}

/// Lets the next in the queue have the wire, if it is free.
fn serve(queue: &mut Queue, now: u64, events: &mut Vec<(u64, usize, What)>) {
    if queue.busy {
        return;
    }
    if let Some((batch, what, ns)) = queue.waiting.pop_front() {
        queue.busy = true;
        events.push((now + ns, batch, what));
    }
}
