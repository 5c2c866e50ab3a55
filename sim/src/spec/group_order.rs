//! In which order groups of requests come.

use std::cmp::Ordering;

/// In which order the groups of a batch are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupOrder {
    /// In that of their first members.
    Submission,
    /// Those first whose members generate the most tokens per token that is computed of their prompts, so that there are
    /// decodes to share steps with the prompts that follow. Takes the true length of answers, as if every client asked
    /// for exactly the tokens it gets.
    DecodeShare,
}

impl GroupOrder {
    /// Of two groups, given as tokens generated and prompt tokens computed, which comes first; equal ones stay in order.
    pub(crate) fn compare(self, [left, right]: [(u64, u64); 2]) -> Ordering {
        match self {
            GroupOrder::Submission => Ordering::Equal,
            GroupOrder::DecodeShare => {
                let (left, right) =
                    (u128::from(left.0) * u128::from(right.1), u128::from(right.0) * u128::from(left.1));
                right.cmp(&left)
            }
        }
    }
}
