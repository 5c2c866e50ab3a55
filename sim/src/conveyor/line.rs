//! What stands where between model workers and attention pool.

use std::collections::VecDeque;

use profiles::Passage;
use workloads::{SimDuration, SimTime};

use super::ConveyorBooks;

/// What a batch does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// It asks a model replica for its slice.
    Slice,
    /// Its query leaves for the pool.
    SendQuery,
    /// Its query has arrived: it asks for the pool.
    Attend,
    /// Its attention is done and the pool free again; the output leaves.
    SendOutput,
    /// Its last slice is done.
    End,
}

/// A step on its way.
#[derive(Clone, Copy, Debug)]
struct Batch {
    passage: Passage,
    /// Slice it is in or asks for next.
    slice: u32,
    /// What it does next and when; nothing while it waits for the pool, or in the pool for its keys.
    next: Option<(SimTime, Task)>,
    /// When its keys and values leave for the pool, until they do.
    send_keys: Option<SimTime>,
    /// When they are there, once they have left.
    keys_at: Option<SimTime>,
    /// When the pool has done the tokens that were in its cache before.
    old_done: SimTime,
    /// When what does not go through the pool is where the next slice runs.
    context_at: SimTime,
}

/// Something that does one thing at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Server {
    free_at: SimTime,
    busy: SimDuration,
}

impl Server {
    /// Occupies it for `ns` from `ready` on or when it is free; returns when that begins and ends.
    fn serve(&mut self, ready: SimTime, ns: u64) -> (SimTime, SimTime) {
        let start = self.free_at.max(ready);
        let time = SimDuration::from_nanos(ns);
        self.free_at = start + time;
        self.busy += time;
        (start, self.free_at)
    }
}

#[derive(Debug, Default)]
pub(super) struct Line {
    batches: Vec<Option<Batch>>,
    /// Replica on which each batch's next step starts: where its last one ended, so that it rotates on without a break.
    home: Vec<usize>,
    models: Vec<Server>,
    to_pool: Server,
    from_pool: Server,
    /// Batches whose queries are there, first come first; the first one has the pool.
    pool: VecDeque<usize>,
    pool_since: SimTime,
    pool_busy: SimDuration,
}

impl Clone for Line {
    fn clone(&self) -> Self {
        let mut line = Line::default();
        line.clone_from(self);
        line
    }

    fn clone_from(&mut self, other: &Self) {
        self.batches.clone_from(&other.batches);
        self.home.clone_from(&other.home);
        self.models.clone_from(&other.models);
        self.to_pool = other.to_pool;
        self.from_pool = other.from_pool;
        self.pool.clone_from(&other.pool);
        self.pool_since = other.pool_since;
        self.pool_busy = other.pool_busy;
    }
}

fn after(at: SimTime, ns: u64) -> SimTime {
    at + SimDuration::from_nanos(ns)
}

impl Line {
    pub(super) fn new(batches: usize) -> Self {
        let replicas = (batches - 1).max(1);
        Line {
            batches: vec![None; batches],
            home: (0..batches).map(|batch| batch % replicas).collect(),
            models: vec![Server::default(); replicas],
            ..Line::default()
        }
    }

    pub(super) fn insert(&mut self, batch: usize, at: SimTime, passage: Passage) {
        assert!(self.batches[batch].is_none(), "batch {batch} is on its way already");
        assert!(passage.layers > 0, "a model has layers");
        self.batches[batch] = Some(Batch {
            passage,
            slice: 0,
            next: Some((at, Task::Slice)),
            send_keys: None,
            keys_at: None,
            old_done: at,
            context_at: at,
        });
    }

    /// Lets everything happen that happens before `at`.
    pub(super) fn run_before(&mut self, at: SimTime) {
        while let Some((when, batch, keys)) = self.first() {
            if when >= at {
                break;
            }
            self.happen(when, batch, keys);
        }
    }

    /// Lets everything happen until a step ends; returns when and of which batch, or `None` if none is on its way.
    pub(super) fn run_to_end(&mut self) -> Option<(SimTime, usize)> {
        while let Some((when, batch, keys)) = self.first() {
            if !keys && self.live(batch).next.is_some_and(|(_, task)| task == Task::End) {
                self.leave(batch);
                return Some((when, batch));
            }
            self.happen(when, batch, keys);
        }
        assert!(self.batches.iter().all(Option::is_none), "a batch waits for something that never happens");
        None
    }

    pub(super) fn books(&self) -> ConveyorBooks {
        ConveyorBooks {
            models: self.models.iter().map(|model| model.busy).collect(),
            pool: self.pool_busy,
            wires: [self.to_pool.busy, self.from_pool.busy],
        }
    }

    fn leave(&mut self, batch: usize) {
        let layers = self.live(batch).passage.layers as usize;
        self.home[batch] = (self.home[batch] + layers) % self.models.len();
        self.batches[batch] = None;
    }

    fn live(&mut self, batch: usize) -> &mut Batch {
        self.batches[batch].as_mut().expect("the batch is on its way")
    }

    /// What happens first: when, to which batch, and whether it is its keys leaving. At one time the lower batch comes
    /// first, and of one batch what is not the keys.
    fn first(&self) -> Option<(SimTime, usize, bool)> {
        let due = self.batches.iter().enumerate().filter_map(|(number, batch)| Some((number, batch.as_ref()?)));
        due.flat_map(|(number, batch)| {
            let next = batch.next.map(|(at, _)| (at, number, false));
            next.into_iter().chain(batch.send_keys.map(|at| (at, number, true)))
        })
        .min()
    }

    fn happen(&mut self, now: SimTime, batch: usize, keys: bool) {
        if keys {
            return self.send_keys(now, batch);
        }
        let (_, task) = self.live(batch).next.take().expect("something is due");
        match task {
            Task::Slice => self.run_slice(now, batch),
            Task::SendQuery => self.send_query(now, batch),
            Task::Attend => self.ask_for_pool(now, batch),
            Task::SendOutput => self.leave_pool(now, batch),
            Task::End => unreachable!("ends are taken by `run_to_end`, and lie behind every start"),
        }
    }

    fn run_slice(&mut self, now: SimTime, batch: usize) {
        let replicas = self.models.len();
        let live = self.batches[batch].as_mut().expect("the batch is on its way");
        let passage = live.passage;
        let server = &mut self.models[(self.home[batch] + live.slice as usize) % replicas];
        if live.slice == passage.layers {
            let (_, end) = server.serve(now, passage.last_slice_ns);
            live.next = Some((end, Task::End));
            return;
        }
        let ns = if live.slice == 0 { passage.first_slice_ns } else { passage.inner_slice_ns };
        let (start, end) = server.serve(now, ns);
        let query_at = after(start, ns - passage.keys_after_query_ns.min(ns));
        live.next = Some((query_at, Task::SendQuery));
        live.send_keys = Some(end);
        live.keys_at = None;
        // The residual stays where it is unless another replica runs the next slice.
        let moved_ns = if replicas > 1 { passage.latency_ns + passage.context_wire_ns } else { 0 };
        live.context_at = after(end, moved_ns);
    }

    fn send_query(&mut self, now: SimTime, batch: usize) {
        let passage = self.live(batch).passage;
        let (_, sent) = self.to_pool.serve(now, passage.query_wire_ns);
        self.live(batch).next = Some((after(sent, passage.latency_ns), Task::Attend));
    }

    fn send_keys(&mut self, now: SimTime, batch: usize) {
        let passage = self.live(batch).passage;
        let (_, sent) = self.to_pool.serve(now, passage.keys_wire_ns);
        let live = self.live(batch);
        live.send_keys = None;
        live.keys_at = Some(after(sent, passage.latency_ns));
        if self.pool.front() == Some(&batch) {
            self.finish_attention(batch);
        }
    }

    fn ask_for_pool(&mut self, now: SimTime, batch: usize) {
        self.pool.push_back(batch);
        if self.pool.len() == 1 {
            self.attend(now, batch);
        }
    }

    /// The pool turns to the query of a batch.
    fn attend(&mut self, now: SimTime, batch: usize) {
        self.pool_since = now;
        let live = self.live(batch);
        live.old_done = after(now, live.passage.attention_ns);
        if live.keys_at.is_some() {
            self.finish_attention(batch);
        }
    }

    /// The batch that has the pool knows when its keys are there, and so when the pool is done.
    fn finish_attention(&mut self, batch: usize) {
        let live = self.live(batch);
        let keys_at = live.keys_at.expect("its keys have left");
        let done = after(live.old_done.max(keys_at), live.passage.merge_ns);
        live.next = Some((done, Task::SendOutput));
    }

    fn leave_pool(&mut self, now: SimTime, batch: usize) {
        assert_eq!(self.pool.pop_front(), Some(batch), "the pool serves one batch at a time");
        self.pool_busy += now - self.pool_since;
        let passage = self.live(batch).passage;
        let (_, sent) = self.from_pool.serve(now, passage.output_wire_ns);
        let live = self.live(batch);
        live.slice += 1;
        live.next = Some((after(sent, passage.latency_ns).max(live.context_at), Task::Slice));
        if let Some(&next) = self.pool.front() {
            self.attend(now, next);
        }
    }
}
