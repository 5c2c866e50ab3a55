//! What the decoding requests of a slot share, as the sums that attention depends on.

use profiles::SharedPrefixes;

/// Prefixes that members begin with.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    sums: SharedPrefixes,
    /// Members by number of their group.
    members: Vec<u32>,
}

impl Sharing {
    pub(super) fn sums(&self) -> SharedPrefixes {
        self.sums
    }

    /// A member of this group joins, whose prefix has so many tokens.
    pub(super) fn join(&mut self, group: u32, tokens: u32) {
        let group = group as usize;
        if group >= self.members.len() {
            self.members.resize(group + 1, 0);
        }
        self.members[group] += 1;
        if self.members[group] == 1 {
            self.sums.prefixes += 1;
            self.sums.tokens += u64::from(tokens);
        }
        self.sums.member_tokens += u64::from(tokens);
    }

    /// One leaves.
    pub(super) fn leave(&mut self, group: u32, tokens: u32) {
        self.members[group as usize] -= 1;
        if self.members[group as usize] == 0 {
            self.sums.prefixes -= 1;
            self.sums.tokens -= u64::from(tokens);
        }
        self.sums.member_tokens -= u64::from(tokens);
    }
}
