//! `trace.json.gz`: steps and requests on a time line, in Chrome's JSON trace format, which Perfetto opens.
//!
//! Format: "Trace Event Format", Google, <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>;
//! times are in microseconds. Each run has one process for its requests and one per replica; a replica has one thread
//! per micro-batch and counters of its queue, its running requests and its free KV blocks, taken as steps are
//! scheduled.

mod lanes;

use std::collections::BTreeSet;

use sim::{Ending, Observer, RequestRecord, StepRecord};
use workloads::{SimDuration, SimTime};

use self::lanes::Lanes;
use super::decimal::{push_integer, push_micros};
use super::gzip::GzipPart;
use super::label::RunLabel;
use super::part::Part;
use super::requests::status;

/// Processes of one run are numbered from a multiple of this on: its requests, then its replicas. Numbers of processes
/// and threads begin at 1, because Perfetto takes 0 for the idle task.
const PROCESSES_PER_RUN: u64 = 100_000;

/// The beginning of the file, an event included so that all others can begin with a comma.
pub(super) const OPENING: &[u8] =
    b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"name\":\"trace\",\"args\":{\"name\":\"servesim\"}}";

/// The end of the file.
pub(super) const ENDING: &[u8] = b"\n]}\n";

/// Writes the events of one run.
pub(super) struct PerfettoTrace {
    part: GzipPart,
    /// Process of the requests; the one of replica `r` is `r + 1` further on.
    first_process: u64,
    /// Name of the run, ready to stand inside a JSON string.
    run: String,
    named_slots: BTreeSet<(u32, u32)>,
    lanes: Lanes,
}

impl PerfettoTrace {
    pub(super) fn new(part: Part, label: &RunLabel) -> Self {
        let first_process = part.run as u64 * PROCESSES_PER_RUN + 1;
        let point = label.point.iter().map(|(key, value)| format!("{key} {value}"));
        let names: Vec<String> =
            [label.system.clone(), format!("seed {}", label.seed)].into_iter().chain(point).collect();
        let quoted = serde_json::Value::from(names.join(" · ")).to_string();
        let run = quoted[1..quoted.len() - 1].to_owned();
        let mut trace = PerfettoTrace {
            part: GzipPart::new(part),
            first_process,
            run,
            named_slots: BTreeSet::new(),
            lanes: Lanes::default(),
        };
        trace.name("process_name", first_process, None, &format!("{} · requests", trace.run));
        trace
    }

    pub(super) fn into_part(self) -> Part {
        self.part.into_part()
    }

    /// Names a process, or a thread of it; `name` is ready to stand inside a JSON string.
    fn name(&mut self, what: &str, process: u64, thread: Option<u32>, name: &str) {
        let thread = thread.map(|thread| format!(",\"tid\":{}", thread + 1)).unwrap_or_default();
        let event = format!(
            ",\n{{\"ph\":\"M\",\"pid\":{process}{thread},\"name\":\"{what}\",\"args\":{{\"name\":\"{name}\"}}}}"
        );
        self.part.row().extend_from_slice(event.as_bytes());
    }

    fn process(&self, replica: u32) -> u64 {
        self.first_process + 1 + u64::from(replica)
    }

    fn name_slot(&mut self, replica: u32, slot: u32) {
        if !self.named_slots.insert((replica, slot)) {
            return;
        }
        let process = self.process(replica);
        let first_of_replica = self.named_slots.range((replica, 0)..=(replica, u32::MAX)).count() == 1;
        if first_of_replica {
            self.name("process_name", process, None, &format!("{} · replica {replica}", self.run));
        }
        self.name("thread_name", process, Some(slot), &format!("micro-batch {slot}"));
    }

    fn counter(&mut self, process: u64, at: SimTime, name: &str, value: u32) {
        let row = self.part.row();
        push_head(row, "C", process, at);
        row.extend_from_slice(b",\"name\":\"");
        row.extend_from_slice(name.as_bytes());
        push_argument(row, b"\",\"args\":{\"value\":", value);
        row.extend_from_slice(b"}}");
    }

    /// A stretch of a request's life, in its lane.
    fn phase(&mut self, lane: u32, name: &str, from: SimTime, to: SimTime) {
        if from == to {
            return;
        }
        let process = self.first_process;
        let row = self.part.row();
        push_slice(row, process, lane, from, to - from);
        row.extend_from_slice(b",\"cat\":\"request\",\"name\":\"");
        row.extend_from_slice(name.as_bytes());
        row.extend_from_slice(b"\"}");
    }
}

impl Observer for PerfettoTrace {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, record: &StepRecord) {
        self.name_slot(record.replica, record.slot);
        let process = self.process(record.replica);
        let name = match (record.prefill_tokens > 0, record.decode_requests > 0) {
            (true, true) => "mixed",
            (true, false) => "prefill",
            (false, _) => "decode",
        };
        let row = self.part.row();
        push_slice(row, process, record.slot, record.start, record.end - record.start);
        row.extend_from_slice(b",\"cat\":\"step\",\"name\":\"");
        row.extend_from_slice(name.as_bytes());
        push_argument(row, b"\",\"args\":{\"prefill_tokens\":", record.prefill_tokens);
        push_argument(row, b",\"prefill_requests\":", record.prefill_requests);
        push_argument(row, b",\"decode_requests\":", record.decode_requests);
        push_argument(row, b",\"decode_context_tokens\":", record.decode_context_tokens);
        push_argument(row, b",\"admitted\":", record.admitted);
        push_argument(row, b",\"preempted\":", record.preempted);
        if let Some((first, end)) = record.prefill_layers {
            push_argument(row, b",\"prefill_first_layer\":", first);
            push_argument(row, b",\"prefill_end_layer\":", end);
        }
        row.extend_from_slice(b"}}");
        self.counter(process, record.scheduled, "waiting requests", record.waiting);
        self.counter(process, record.scheduled, "running requests", record.running);
        self.counter(process, record.scheduled, "free KV blocks", record.free_blocks);
    }

    fn request(&mut self, record: &RequestRecord) {
        let end = record.last_token;
        let (lane, is_new) = self.lanes.take(record.arrival, end);
        if is_new {
            self.name("thread_name", self.first_process, Some(lane), &format!("lane {lane}"));
        }
        let process = self.first_process;
        let row = self.part.row();
        push_slice(row, process, lane, record.arrival, end - record.arrival);
        push_argument(row, b",\"cat\":\"request\",\"name\":\"request ", record.id.0);
        push_argument(row, b"\",\"args\":{\"replica\":", record.replica);
        push_argument(row, b",\"input_tokens\":", record.input_tokens);
        push_argument(row, b",\"cached_tokens\":", record.cached_tokens);
        push_argument(row, b",\"output_tokens\":", record.output_tokens);
        push_argument(row, b",\"preemptions\":", record.preemptions);
        row.extend_from_slice(b",\"status\":\"");
        row.extend_from_slice(status(record.ending).as_bytes());
        row.extend_from_slice(b"\"}}");
        if record.ending == Ending::Completed {
            self.phase(lane, "queued", record.arrival, record.first_scheduled);
            self.phase(lane, "prefill", record.first_scheduled, record.first_token);
            self.phase(lane, "decode", record.first_token, end);
        }
    }
}

/// Begins an event.
fn push_head(row: &mut Vec<u8>, kind: &str, process: u64, at: SimTime) {
    row.extend_from_slice(b",\n{\"ph\":\"");
    row.extend_from_slice(kind.as_bytes());
    push_argument(row, b"\",\"pid\":", process);
    row.extend_from_slice(b",\"ts\":");
    push_micros(row, at.as_nanos());
}

/// Begins an event with a duration.
fn push_slice(row: &mut Vec<u8>, process: u64, thread: u32, start: SimTime, duration: SimDuration) {
    push_head(row, "X", process, start);
    push_argument(row, b",\"tid\":", thread + 1);
    row.extend_from_slice(b",\"dur\":");
    push_micros(row, duration.as_nanos());
}

/// Appends `key` as it is, and a number.
fn push_argument(row: &mut Vec<u8>, key: &[u8], value: impl itoa::Integer) {
    row.extend_from_slice(key);
    push_integer(row, value);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::plan::tests::{completed, rejected, step, written};
    use super::super::plan::{OutputOptions, RunOutputs};
    use super::*;

    fn trace(labels: Vec<RunLabel>, observe: impl Fn(usize, &mut RunOutputs<'_>)) -> Vec<Value> {
        let options = OutputOptions {
            requests: false,
            handovers: false,
            steps: false,
            power: false,
            perfetto: true,
            schedule: false,
            parquet: false,
            force: false,
        };
        let file = written(options, labels, observe).remove("trace.json.gz").expect("the trace was asked for");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file.as_slice()), &mut text).expect("gzip");
        let json: Value = serde_json::from_str(&text).expect("the trace is JSON");
        assert_eq!(json["displayTimeUnit"], "ms");
        json["traceEvents"].as_array().expect("a list of events").clone()
    }

    fn slices<'a>(events: &'a [Value], category: &str) -> Vec<&'a Value> {
        events.iter().filter(|event| event["ph"] == "X" && event["cat"] == category).collect()
    }

    #[test]
    fn every_event_has_what_its_kind_must_have() {
        let events = trace(vec![RunLabel::new("a \"quoted\" name", 1)], |_, outputs| {
            outputs.step(&step(0, 1_500, 3_000));
            outputs.request(&completed(0, 1_000, 4_000));
        });
        for event in &events {
            assert!(event["pid"].is_u64() && event["name"].is_string(), "{event}");
            match event["ph"].as_str() {
                Some("M") => assert!(event["args"]["name"].is_string(), "{event}"),
                Some("C") => assert!(event["ts"].is_number() && event["args"]["value"].is_u64(), "{event}"),
                Some("X") => assert!(event["ts"].is_number() && event["dur"].is_number(), "{event}"),
                other => panic!("{other:?} is no kind of event we write"),
            }
        }
        let step = slices(&events, "step")[0];
        assert_eq!((step["ts"].as_f64(), step["dur"].as_f64()), (Some(1.5), Some(1.5)));
        let names: Vec<_> = events.iter().filter_map(|event| event["args"]["name"].as_str()).collect();
        assert!(names.contains(&"a \"quoted\" name · seed 1 · replica 0"), "{names:?}");
    }

    #[test]
    fn each_run_and_replica_has_a_process_of_its_own() {
        let labels = vec![RunLabel::new("a", 1), RunLabel::new("b", 1)];
        let events = trace(labels, |_, outputs| {
            outputs.step(&step(0, 0, 10));
            outputs.step(&step(1, 0, 10));
        });
        let mut processes: Vec<_> = slices(&events, "step").iter().map(|step| step["pid"].as_u64()).collect();
        processes.dedup();
        assert_eq!(processes, [Some(2), Some(3), Some(100_002), Some(100_003)]);
    }

    #[test]
    fn requests_that_overlap_lie_in_different_lanes_and_their_phases_inside_them() {
        let events = trace(vec![RunLabel::new("a", 1)], |_, outputs| {
            for id in 0..50_u64 {
                outputs.request(&completed(id, id * 700, 1_000 + id * 900));
            }
            outputs.request(&rejected(50, 100));
        });
        let slices = slices(&events, "request");
        let interval = |event: &Value| {
            let nanos = |key: &str| (event[key].as_f64().expect("a number") * 1000.0).round() as u64;
            (nanos("ts"), nanos("ts") + nanos("dur"))
        };
        for (index, a) in slices.iter().enumerate() {
            for b in &slices[index + 1..] {
                if a["tid"] == b["tid"] {
                    let ((a_start, a_end), (b_start, b_end)) = (interval(a), interval(b));
                    let apart = a_end <= b_start || b_end <= a_start;
                    let inside = a_start <= b_start && b_end <= a_end;
                    assert!(apart || inside, "{a} and {b} cross");
                }
            }
        }
        let names = |name: &str| slices.iter().filter(|slice| slice["name"] == name).count();
        assert_eq!((names("queued"), names("prefill"), names("decode"), names("request 49")), (50, 50, 50, 1));
    }
}
