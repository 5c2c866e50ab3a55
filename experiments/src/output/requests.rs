//! `requests.csv`: one row per request, in the order in which they end.

use sim::{Ending, HandoverRecord, Observer, Rejection, RequestRecord};
use workloads::SimDuration;

use super::decimal::{push_integer, push_nanos};
use super::label::RunLabel;
use super::part::Part;

/// Columns behind those of the label. Times are seconds, to the nanosecond; they are empty for rejected requests, and
/// `tpot_s` and `max_tbt_s` also for one-token answers, which have no gaps. Where requests are handed over there are four
/// more, empty for those that were not.
pub(super) fn columns(handovers: bool) -> String {
    let more = if handovers { "decode_replica,kv_bytes,kv_transfer_s,handover_wait_s," } else { "" };
    format!(
        "id,arrival_s,input_tokens,cached_tokens,output_tokens,queue_s,ttft_s,tpot_s,max_tbt_s,e2e_s,preemptions,energy_j,\
         replica,{more}status\n"
    )
}

/// Writes the rows of one run.
pub(super) struct RequestsCsv {
    part: Part,
    label: Vec<u8>,
    handovers: bool,
}

impl RequestsCsv {
    pub(super) fn new(part: Part, label: &RunLabel, handovers: bool) -> Self {
        RequestsCsv { part, label: label.fields(), handovers }
    }

    pub(super) fn into_part(self) -> Part {
        self.part
    }
}

impl Observer for RequestsCsv {
    fn request(&mut self, record: &RequestRecord) {
        let completed = record.ending == Ending::Completed;
        let row = self.part.row();
        row.extend_from_slice(&self.label);
        push_integer(row, record.id.0);
        row.push(b',');
        push_nanos(row, record.arrival.as_nanos());
        for count in [record.input_tokens, record.cached_tokens, record.output_tokens] {
            row.push(b',');
            push_integer(row, count);
        }
        let tpot = record.tpot().filter(|_| completed);
        push_time(row, completed.then(|| record.queue_time()));
        push_time(row, completed.then(|| record.ttft()));
        push_time(row, tpot);
        push_time(row, tpot.map(|_| record.max_gap));
        push_time(row, completed.then(|| record.e2e()));
        row.push(b',');
        push_integer(row, record.preemptions);
        row.push(b',');
        push_nanos(row, record.energy_nj);
        row.push(b',');
        push_integer(row, record.replica);
        row.push(b',');
        if self.handovers {
            push_handover(row, record.handover.as_ref());
        }
        row.extend_from_slice(status(record.ending).as_bytes());
        row.push(b'\n');
    }
}

/// Decode replica, size, time of the transfer, and wait for it after the first token; each with a comma behind it.
fn push_handover(row: &mut Vec<u8>, handover: Option<&HandoverRecord>) {
    let Some(handover) = handover else { return row.extend_from_slice(b",,,,") };
    push_integer(row, handover.to);
    row.push(b',');
    push_integer(row, handover.kv_bytes);
    push_time(row, Some(handover.transfer_time()));
    push_time(row, Some(handover.wait()));
    row.push(b',');
}

fn push_time(row: &mut Vec<u8>, time: Option<SimDuration>) {
    row.push(b',');
    if let Some(time) = time {
        push_nanos(row, time.as_nanos());
    }
}

/// The last column. Rejections are named as in `summary.csv`.
pub(super) fn status(ending: Ending) -> &'static str {
    match ending {
        Ending::Completed => "completed",
        Ending::Rejected(Rejection::ExceedsModelLength) => "rejected_model_length",
        Ending::Rejected(Rejection::ExceedsKvCache) => "rejected_kv_cache",
        Ending::Rejected(Rejection::ExceedsBatch) => "rejected_batch",
    }
}
