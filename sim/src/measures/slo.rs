//! Latency objectives, and whether a request met them.

use workloads::SimDuration;

use crate::record::RequestRecord;

/// Service-level objectives. A request attains them if it completes and every one that is given holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slos {
    /// Most time to the first token.
    pub ttft: Option<SimDuration>,
    /// Most time per output token after the first. One-token answers have none and pass.
    pub tpot: Option<SimDuration>,
    /// Longest gap between two consecutive tokens of the request. One-token answers have none and pass.
    pub tbt: Option<SimDuration>,
    /// Most time from arrival to the last token.
    pub e2e: Option<SimDuration>,
}

/// Which objectives a request met. Those that are not given are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four objectives, met or missed independently")]
pub struct Verdict {
    /// Time to the first token.
    pub ttft: bool,
    /// Time per output token.
    pub tpot: bool,
    /// Longest gap.
    pub tbt: bool,
    /// Time to the last token.
    pub e2e: bool,
}

impl Verdict {
    /// Whether all are met.
    pub fn all(self) -> bool {
        self.ttft && self.tpot && self.tbt && self.e2e
    }
}

impl Slos {
    /// Whether any objective is given.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Judges a completed request. An objective is met at equality; TPOT is compared without rounding.
    pub fn judge(&self, request: &RequestRecord) -> Verdict {
        let holds = |limit: Option<SimDuration>, value: SimDuration| limit.is_none_or(|limit| value <= limit);
        let later_tokens = u128::from(request.output_tokens.saturating_sub(1));
        let decoding = u128::from((request.last_token - request.first_token).as_nanos());
        Verdict {
            ttft: holds(self.ttft, request.ttft()),
            tpot: self.tpot.is_none_or(|limit| decoding <= u128::from(limit.as_nanos()) * later_tokens),
            tbt: holds(self.tbt, request.max_gap),
            e2e: holds(self.e2e, request.e2e()),
        }
    }
}

impl RequestRecord {
    /// Time per output token after the first, rounded to the nearest nanosecond; `None` for one-token answers.
    pub fn tpot(&self) -> Option<SimDuration> {
        let later_tokens = u64::from(self.output_tokens.checked_sub(1).filter(|&tokens| tokens > 0)?);
        let decoding = (self.last_token - self.first_token).as_nanos();
        Some(SimDuration::from_nanos((decoding + later_tokens / 2) / later_tokens))
    }

    /// Time from arrival to the last token per output token, rounded to the nearest nanosecond; `None` without output.
    pub fn normalized_latency(&self) -> Option<SimDuration> {
        let tokens = u64::from(self.output_tokens);
        (tokens > 0).then(|| SimDuration::from_nanos((self.e2e().as_nanos() + tokens / 2) / tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::collector::tests::completed;

    fn nanos(ns: u64) -> SimDuration {
        SimDuration::from_nanos(ns)
    }

    fn slos([ttft, tpot, tbt, e2e]: [u64; 4]) -> Slos {
        Slos { ttft: Some(nanos(ttft)), tpot: Some(nanos(tpot)), tbt: Some(nanos(tbt)), e2e: Some(nanos(e2e)) }
    }

    #[test]
    fn an_objective_is_met_at_equality_and_missed_one_nanosecond_beyond() {
        // Arrival 100, first token 150, last token 251 after three tokens with gaps 41 and 60.
        let request = completed(100, [110, 150, 251], 3, 60);
        assert!(slos([50, 51, 60, 151]).judge(&request).all());
        let verdict = slos([49, 50, 59, 150]).judge(&request);
        assert_eq!(verdict, Verdict { ttft: false, tpot: false, tbt: false, e2e: false });
    }

    #[test]
    fn one_token_answers_pass_what_they_have_no_measure_of() {
        let request = completed(0, [5, 10, 10], 1, 0);
        assert!(slos([10, 0, 0, 10]).judge(&request).all());
        assert_eq!(request.tpot(), None);
    }

    #[test]
    fn per_token_times_are_rounded_to_the_nearest_nanosecond() {
        let request = completed(0, [1, 100, 201], 3, 51);
        assert_eq!(request.tpot(), Some(nanos(51)));
        assert_eq!(request.normalized_latency(), Some(nanos(67)));
    }
}
