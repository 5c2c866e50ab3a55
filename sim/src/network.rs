//! Transfers over links that they share.
//!
//! Flows share links max-min fairly (progressive filling: Bertsekas and Gallager, *Data Networks*, section 6.5.2). Rates
//! change only where a flow begins, ends, or is held up by what releases its bytes, and only on the links that these
//! changes can reach; of all changes at one nanosecond, once. Flows on one path have one rate whatever their number, so that a path keeps one clock of bytes
//! served to each, and an event sets the rates of paths that share links, not of flows. What it costs is measured by
//! `cargo bench --bench flows`.
//!
//! Time is in nanoseconds, rates are whole bytes/s, and bytes are counted in units of 10⁻⁹ bytes: rate × time is exact.

mod books;
mod cluster;
mod fair;
mod group;
mod release;
mod spec;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use workloads::SimTime;

use books::Books;
use fair::Filling;
use group::Group;
use release::Stream;

pub use books::LinkOutcome;
pub use release::Release;
pub use spec::{FlowLink, NetworkError, NetworkSpec, Path, Route, RouteId};

/// Units of 10⁻⁹ bytes in a byte.
const NANOS: u128 = 1_000_000_000;

/// A message that has arrived to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// What its sender called it.
    pub tag: u64,
    /// Its bytes.
    pub bytes: u64,
    /// When it was sent.
    pub sent: SimTime,
    /// When its last byte arrived.
    pub at: SimTime,
}

/// A message on its way: a flow on each path of its route.
#[derive(Clone, Copy, Debug)]
struct Message {
    arrived: Arrived,
    /// Flows that have not ended.
    flows: u32,
}

/// Links, and what is under way on them.
///
/// Whoever drives it calls [`advance`](Self::advance) at the time that [`next_due`](Self::next_due) names, or earlier, and
/// [`send`](Self::send) only up to that time.
#[derive(Debug)]
pub struct Network {
    spec: NetworkSpec,
    now: SimTime,
    /// First the paths, by number; then flows that are released over time.
    groups: Vec<Group>,
    /// Numbers of groups after the paths that are free again.
    free_groups: Vec<u32>,
    /// When each active group next does something.
    due: BTreeSet<(SimTime, u32)>,
    filling: Filling,
    /// Whether something changed since rates were found last: they are found before time goes on, however much happens at once.
    stale: bool,
    messages: Vec<Message>,
    free_messages: Vec<u32>,
    /// Messages whose flows have all ended, by when they arrive and the order in which they got there.
    arrivals: BinaryHeap<Reverse<(SimTime, u64, u32)>>,
    /// Events so far, which order what happens at the same time.
    order: u64,
    books: Books,
}

impl Network {
    /// Links with nothing on them.
    ///
    /// # Errors
    /// If the description makes no sense.
    pub fn new(spec: NetworkSpec) -> Result<Self, NetworkError> {
        spec.check()?;
        let groups: Vec<Group> = spec.paths().map(|path| Group::new(path.links.clone())).collect();
        Ok(Self {
            now: SimTime::ZERO,
            filling: Filling::new(&spec),
            books: Books::new(&spec),
            groups,
            free_groups: Vec::new(),
            due: BTreeSet::new(),
            stale: false,
            messages: Vec::new(),
            free_messages: Vec::new(),
            arrivals: BinaryHeap::new(),
            order: 0,
            spec,
        })
    }

    /// Sends `bytes` along `route`. `tag` comes back with it when it has arrived: when its last byte has left, after the
    /// latencies of the links on its way.
    pub fn send(&mut self, now: SimTime, route: RouteId, bytes: u64, tag: u64) {
        self.begin(now, route, bytes, tag, None);
    }

    /// Sends `bytes` along `route` while they become available, as a prompt's KV does layer by layer.
    ///
    /// Up to the last portion they are taken to become available evenly, each byte as if with the end of its portion; a
    /// transfer that has its rate to itself ends to the nanosecond as if each portion were a message.
    pub fn send_as_released(&mut self, now: SimTime, route: RouteId, bytes: u64, release: Release, tag: u64) {
        self.begin(now, route, bytes, tag, Some(release));
    }

    /// When something happens next, if nothing else is sent.
    pub fn next_due(&mut self) -> Option<SimTime> {
        self.refill();
        let due = self.due.first().map(|&(at, _)| at);
        let arrival = self.arrivals.peek().map(|&Reverse((at, ..))| at);
        due.into_iter().chain(arrival).min()
    }

    /// Lets time pass until `now`, and tells of messages that arrive, in order.
    pub fn advance(&mut self, now: SimTime, mut arrived: impl FnMut(Arrived)) {
        assert!(self.now <= now, "the network is at {} already, after {now}", self.now);
        while let Some(at) = self.next_due().filter(|&at| at <= now) {
            self.now = at;
            self.turn(at);
            while let Some(&Reverse((_, _, message))) = self.arrivals.peek().filter(|&&Reverse((due, ..))| due <= at) {
                self.arrivals.pop();
                self.free_messages.push(message);
                arrived(self.messages[message as usize].arrived);
            }
        }
        self.now = now;
    }

    /// Messages under way.
    pub fn under_way(&self) -> usize {
        self.messages.len() - self.free_messages.len()
    }

    /// What each link has carried until now, in the order of the description.
    ///
    /// # Panics
    /// If a message is still under way, or a link has not carried the bytes that were sent over it: a bug.
    pub fn close(self) -> Vec<LinkOutcome> {
        assert_eq!(self.under_way(), 0, "messages are still under way");
        self.books.close(&self.spec, &self.groups)
    }

    fn begin(&mut self, now: SimTime, route: RouteId, bytes: u64, tag: u64, release: Option<Release>) {
        assert!(self.now <= now, "a message is sent at {now}, and the network is at {} already", self.now);
        if self.now < now {
            assert!(self.next_due().is_none_or(|next| now <= next), "what happened before {now} has not been told");
            self.now = now;
        }
        let paths = self.spec.routes[route.0 as usize].path_numbers();
        let message = self.new_message(Arrived { tag, bytes, sent: now, at: now }, paths.len() as u32);
        let mut share = self.spec.routes[route.0 as usize].shares(bytes);
        for path in paths {
            let bytes = share.next().expect("each path has a share");
            self.books.send(&self.groups[path as usize].links, bytes);
            let later = release.filter(|release| release.last > now);
            match later {
                _ if self.groups[path as usize].links.is_empty() || bytes == 0 => {
                    self.flow_ended(message, path, later.map_or(now, |release| release.last));
                }
                Some(release) => self.open_stream(Stream::new(release, message, path, bytes)),
                None => self.join(path, u128::from(bytes) * NANOS, message),
            }
        }
        self.stale = true;
    }

    fn new_message(&mut self, arrived: Arrived, flows: u32) -> u32 {
        put(&mut self.messages, &mut self.free_messages, Message { arrived, flows })
    }

    /// Puts a flow all of whose bytes are available on a path.
    fn join(&mut self, path: u32, amount: u128, message: u32) {
        self.order += 1;
        let group = &mut self.groups[path as usize];
        group.settle(self.now);
        group.join(amount, self.order, message);
        if group.count == 1 {
            self.filling.enter(path, &self.groups);
            self.books.enter(&self.groups[path as usize].links, self.now);
        }
        self.filling.changed(path);
    }

    fn open_stream(&mut self, stream: Stream) {
        let group = Group::streaming(self.groups[stream.path as usize].links.clone(), stream, self.now);
        let number = put(&mut self.groups, &mut self.free_groups, group);
        if !self.start_stream(number) {
            self.reschedule(number);
        }
    }

    /// Puts a flow that is released over time on its links, if its time has come.
    fn start_stream(&mut self, number: u32) -> bool {
        let group = &mut self.groups[number as usize];
        let starts = group.count == 0 && group.stream.as_ref().is_some_and(|stream| stream.first <= self.now);
        if starts {
            group.count = 1;
            group.since = self.now;
            self.filling.enter(number, &self.groups);
            self.filling.changed(number);
            self.books.enter(&self.groups[number as usize].links, self.now);
        }
        starts
    }

    /// What groups do at `now`.
    fn turn(&mut self, now: SimTime) {
        while let Some(&(at, number)) = self.due.first().filter(|&&(at, _)| at <= now) {
            debug_assert_eq!(at, now, "a turn was missed");
            self.due.pop_first();
            self.groups[number as usize].due = None;
            self.groups[number as usize].settle(now);
            self.stale = true;
            if self.groups[number as usize].stream.is_some() {
                self.turn_stream(number);
            } else {
                self.turn_path(number);
            }
        }
    }

    /// Ends the flows of a path that have got all their bytes across.
    fn turn_path(&mut self, path: u32) {
        while let Some(message) = self.groups[path as usize].pop_ended() {
            self.flow_ended(message, path, self.now);
        }
        if self.groups[path as usize].count == 0 {
            self.leave(path);
        }
        self.filling.changed(path);
    }

    /// A flow that is released over time starts, has caught up with its release, or has all its bytes available and is
    /// from now on one like the others.
    fn turn_stream(&mut self, number: u32) {
        let stream = self.groups[number as usize].stream.as_ref().expect("a stream");
        if self.now < stream.last {
            self.start_stream(number);
            self.filling.changed(number);
            return;
        }
        let (path, message, rest) = (stream.path, stream.message, stream.total - stream.served);
        let served = stream.served;
        if self.groups[number as usize].count == 1 {
            self.groups[number as usize].count = 0;
            self.leave(number);
            self.filling.changed(number);
        }
        self.groups[path as usize].carried += served;
        self.groups[number as usize].stream = None;
        self.free_groups.push(number);
        self.join(path, rest, message);
    }

    fn leave(&mut self, number: u32) {
        self.filling.leave(number, &self.groups);
        self.books.leave(&self.groups[number as usize].links, self.now);
    }

    fn flow_ended(&mut self, message: u32, path: u32, left: SimTime) {
        let latency = self.spec.latency(path);
        let entry = &mut self.messages[message as usize];
        entry.arrived.at = entry.arrived.at.max(left + latency);
        entry.flows -= 1;
        if entry.flows == 0 {
            self.order += 1;
            self.arrivals.push(Reverse((entry.arrived.at, self.order, message)));
        }
    }

    /// Shares anew what the groups that have changed can reach.
    fn refill(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.filling.refill(&mut self.groups, self.now);
        for index in 0..self.filling.touched.len() {
            self.reschedule(self.filling.touched[index]);
        }
    }

    fn reschedule(&mut self, number: u32) {
        let group = &mut self.groups[number as usize];
        let due = group.next();
        if due == group.due {
            return;
        }
        if let Some(old) = group.due {
            self.due.remove(&(old, number));
        }
        if let Some(at) = due {
            self.due.insert((at, number));
        }
        group.due = due;
    }
}

/// Puts a thing where there is room, and tells its number.
fn put<T>(things: &mut Vec<T>, free: &mut Vec<u32>, thing: T) -> u32 {
    if let Some(number) = free.pop() {
        things[number as usize] = thing;
        return number;
    }
    things.push(thing);
    things.len() as u32 - 1
}
