//! Max-min fair sharing.

use workloads::SimTime;

use super::group::Group;
use super::spec::NetworkSpec;

/// Progressive filling of the links that a change can reach.
#[derive(Debug)]
pub(super) struct Filling {
    links: Vec<LinkShare>,
    /// Of each link, whether it can hold a flow up.
    narrow: Vec<bool>,
    /// Per group: the round of filling that saw it last, and whether its rate is found.
    marks: Vec<Mark>,
    round: u64,
    /// Groups that came, went or changed since the last filling.
    changed: Vec<u32>,
    /// Groups whose rate the last filling set.
    pub(super) touched: Vec<u32>,
    /// Links that it looked at.
    reached: Vec<u32>,
}

/// A link while it is filled.
#[derive(Clone, Debug)]
struct LinkShare {
    bytes_per_s: u64,
    /// Active groups on it.
    groups: Vec<u32>,
    round: u64,
    /// Bytes/s that nobody has yet.
    left: u64,
    /// Flows without a rate.
    open: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    seen: u64,
    fixed: bool,
}

impl Filling {
    pub(super) fn new(spec: &NetworkSpec) -> Self {
        let link = |bytes_per_s| LinkShare { bytes_per_s, groups: Vec::new(), round: 0, left: 0, open: 0 };
        Self {
            links: spec.links.iter().map(|each| link(each.bytes_per_s)).collect(),
            narrow: narrow(spec),
            marks: Vec::new(),
            round: 0,
            changed: Vec::new(),
            touched: Vec::new(),
            reached: Vec::new(),
        }
    }

    /// A group has its first flow.
    pub(super) fn enter(&mut self, number: u32, groups: &[Group]) {
        self.marks.resize(self.marks.len().max(groups.len()), Mark::default());
        for &link in groups[number as usize].links.iter().filter(|&&link| self.narrow[link as usize]) {
            self.links[link as usize].groups.push(number);
        }
    }

    /// A group has no flows any more.
    pub(super) fn leave(&mut self, number: u32, groups: &[Group]) {
        for &link in groups[number as usize].links.iter().filter(|&&link| self.narrow[link as usize]) {
            let on_link = &mut self.links[link as usize].groups;
            let at = on_link.iter().position(|&other| other == number).expect("the group is on its links");
            on_link.swap_remove(at);
        }
    }

    /// A group came, went, or has more or fewer flows or another cap.
    pub(super) fn changed(&mut self, number: u32) {
        self.changed.push(number);
    }

    /// Finds the rates of all groups that a change can reach, and settles those that it looks at.
    pub(super) fn refill(&mut self, groups: &mut [Group], now: SimTime) {
        self.reach(groups);
        let mut caps: Vec<(u64, u32)> = Vec::new();
        for &number in &self.touched {
            let group = &mut groups[number as usize];
            group.settle(now);
            caps.extend(group.cap().map(|cap| (cap, number)));
        }
        caps.sort_unstable_by(|a, b| b.cmp(a));
        while let Some((share, narrowest)) = self.narrowest() {
            if let Some((cap, number)) = caps.pop_if(|&mut (cap, _)| cap <= share) {
                self.fix(number, cap, groups);
                continue;
            }
            for index in 0..self.links[narrowest as usize].groups.len() {
                self.fix(self.links[narrowest as usize].groups[index], share.max(1), groups);
            }
        }
    }

    /// Collects the active groups that share links with a changed one, directly or through others.
    fn reach(&mut self, groups: &[Group]) {
        self.round += 1;
        self.touched.clear();
        self.reached.clear();
        let mut changed = std::mem::take(&mut self.changed);
        for number in changed.drain(..) {
            self.reach_links(&groups[number as usize].links);
        }
        self.changed = changed;
        let mut next = 0;
        while let Some(&link) = self.reached.get(next) {
            next += 1;
            for index in 0..self.links[link as usize].groups.len() {
                let number = self.links[link as usize].groups[index];
                let mark = &mut self.marks[number as usize];
                if mark.seen != self.round {
                    *mark = Mark { seen: self.round, fixed: false };
                    self.touched.push(number);
                    self.reach_links(&groups[number as usize].links);
                }
            }
        }
        for &link in &self.reached {
            let share = &mut self.links[link as usize];
            share.left = share.bytes_per_s;
            share.open = share.groups.iter().map(|&number| u64::from(groups[number as usize].count)).sum();
        }
    }

    fn reach_links(&mut self, links: &[u32]) {
        for &number in links.iter().filter(|&&link| self.narrow[link as usize]) {
            let link = &mut self.links[number as usize];
            if link.round != self.round {
                link.round = self.round;
                self.reached.push(number);
            }
        }
    }

    /// The least share that a link has left for each flow without a rate, and the first link that has so little.
    fn narrowest(&self) -> Option<(u64, u32)> {
        let share = |&number: &u32| {
            let link = &self.links[number as usize];
            (link.open > 0).then(|| (link.left / link.open, number))
        };
        self.reached.iter().filter_map(share).min()
    }

    fn fix(&mut self, number: u32, rate: u64, groups: &mut [Group]) {
        let mark = &mut self.marks[number as usize];
        if std::mem::replace(&mut mark.fixed, true) {
            return;
        }
        let group = &mut groups[number as usize];
        group.rate = rate;
        let flows = u64::from(group.count);
        for &link in group.links.iter().filter(|&&link| self.narrow[link as usize]) {
            let link = &mut self.links[link as usize];
            link.left = link.left.saturating_sub(rate.saturating_mul(flows));
            link.open -= flows;
        }
    }
}

/// Which links can hold a flow up: all but those whose every path also goes over one link that is narrower, or as narrow
/// and has a lower number.
fn narrow(spec: &NetworkSpec) -> Vec<bool> {
    let mut paths_of: Vec<Vec<u32>> = vec![Vec::new(); spec.links.len()];
    let paths: Vec<&[u32]> = spec.paths().map(|path| path.links.as_slice()).collect();
    for (number, links) in paths.iter().enumerate() {
        for &link in *links {
            paths_of[link as usize].push(number as u32);
        }
    }
    let rank = |link: u32| (spec.links[link as usize].bytes_per_s, link);
    let hidden = |link: u32| {
        let Some(&first) = paths_of[link as usize].first() else { return false };
        let candidates = paths[first as usize].iter().filter(|&&other| rank(other) < rank(link));
        candidates
            .into_iter()
            .any(|other| paths_of[link as usize].iter().all(|&path| paths[path as usize].contains(other)))
    };
    (0..spec.links.len() as u32).map(|link| !hidden(link)).collect()
}
