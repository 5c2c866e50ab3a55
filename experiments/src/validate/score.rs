//! Errors: of each figure, of each group.

use super::figure::{Figure, Metric, Statistic};

/// One figure, measured and simulated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compared {
    /// Case.
    pub(crate) case: String,
    /// Part of it; empty where there is but one.
    pub(crate) part: String,
    /// Cases it is summed up with.
    pub(crate) group: String,
    /// Of what.
    pub(crate) metric: Metric,
    /// Which.
    pub(crate) statistic: Statistic,
    /// In the metric's unit.
    pub(crate) measured: f64,
    /// In the metric's unit.
    pub(crate) simulated: f64,
}

impl Compared {
    /// (simulated − measured) / measured, in percent.
    pub(crate) fn error_percent(&self) -> f64 {
        100.0 * (self.simulated - self.measured) / self.measured
    }

    /// Case and part in one.
    pub(crate) fn title(&self) -> String {
        if self.part.is_empty() { self.case.clone() } else { format!("{}, {}", self.case, self.part) }
    }
}

/// Pairs of the figures that both sides have, in the order of the measured ones.
pub(super) fn pair(measured: &[Figure], simulated: &[Figure]) -> Vec<(Figure, Figure)> {
    let partner = |figure: &Figure| {
        simulated.iter().find(|other| (other.metric, other.statistic) == (figure.metric, figure.statistic)).copied()
    };
    measured
        .iter()
        .filter(|figure| figure.value != 0.0)
        .filter_map(|figure| partner(figure).map(|partner| (*figure, partner)))
        .collect()
}

/// What the errors of a group's cases come to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupError {
    /// The group.
    pub(crate) group: String,
    /// Of what.
    pub(crate) metric: Metric,
    /// Which.
    pub(crate) statistic: Statistic,
    /// Cases (or parts of them) that have the figure.
    pub(crate) cases: usize,
    /// Median of the absolute errors, in percent.
    pub(crate) median_percent: f64,
    /// Mean of the absolute errors, in percent.
    pub(crate) mean_percent: f64,
    /// Mean of the errors with their signs, in percent.
    pub(crate) bias_percent: f64,
    /// The error furthest from zero, in percent.
    pub(crate) worst_percent: f64,
    /// Whose it is.
    pub(crate) worst_case: String,
}

impl Compared {
    /// Whether it counts for a group: its own, or the one that its own is a part of (`a` of `a/b`).
    fn is_of(&self, group: &str) -> bool {
        self.group.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Groups that cases belong to, in the order in which they first occur.
pub(crate) fn own_groups(compared: &[Compared]) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for one in compared {
        if !groups.contains(&one.group.as_str()) {
            groups.push(&one.group);
        }
    }
    groups
}

/// Groups in the order in which they first occur, each after the one that it is a part of.
fn groups(compared: &[Compared]) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for one in compared {
        let whole = one.group.split('/').next();
        for group in whole.into_iter().chain([one.group.as_str()]) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    groups
}

/// Sums up errors by group, metric and statistic, in the order in which they first occur.
pub(crate) fn by_group(compared: &[Compared]) -> Vec<GroupError> {
    let mut keys: Vec<(&str, Metric, Statistic)> = Vec::new();
    for group in groups(compared) {
        for one in compared.iter().filter(|one| one.is_of(group)) {
            let key = (group, one.metric, one.statistic);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys.into_iter().filter_map(|key| group_error(compared, key)).collect()
}

fn group_error(compared: &[Compared], (group, metric, statistic): (&str, Metric, Statistic)) -> Option<GroupError> {
    let members: Vec<&Compared> =
        compared.iter().filter(|one| one.is_of(group) && (one.metric, one.statistic) == (metric, statistic)).collect();
    let errors: Vec<f64> = members.iter().map(|one| one.error_percent()).collect();
    let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let worst = members.iter().max_by(|a, b| a.error_percent().abs().total_cmp(&b.error_percent().abs()))?;
    Some(GroupError {
        group: group.to_owned(),
        metric,
        statistic,
        cases: members.len(),
        median_percent: Statistic::P50.of(&sizes)?,
        mean_percent: Statistic::Mean.of(&sizes)?,
        bias_percent: Statistic::Mean.of(&errors)?,
        worst_percent: worst.error_percent(),
        worst_case: worst.title(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(case: &str, measured: f64, simulated: f64) -> Compared {
        Compared {
            case: case.to_owned(),
            part: String::new(),
            group: "g".to_owned(),
            metric: Metric::Ttft,
            statistic: Statistic::Mean,
            measured,
            simulated,
        }
    }

    #[test]
    fn a_group_keeps_signs_in_its_bias_and_names_its_worst_case() {
        let cases = [one("a", 100.0, 101.0), one("b", 100.0, 98.0), one("c", 100.0, 90.0)];
        let errors = by_group(&cases);
        assert_eq!(errors.len(), 1);
        let error = &errors[0];
        assert!((error.median_percent - 2.0).abs() < 1e-9);
        assert!((error.bias_percent - -11.0 / 3.0).abs() < 1e-9);
        assert!((error.worst_percent - -10.0).abs() < 1e-9);
        assert_eq!((error.worst_case.as_str(), error.cases), ("c", 3));
    }

    #[test]
    fn a_group_counts_for_the_one_it_is_a_part_of() {
        let part = |case: &str, group: &str| Compared { group: group.to_owned(), ..one(case, 100.0, 110.0) };
        let errors = by_group(&[part("a", "x/one"), part("b", "x/two"), part("c", "xx")]);
        let counts: Vec<_> = errors.iter().map(|error| (error.group.as_str(), error.cases)).collect();
        assert_eq!(counts, [("x", 2), ("x/one", 1), ("x/two", 1), ("xx", 1)]);
    }

    #[test]
    fn figures_that_only_one_side_has_are_not_paired() {
        let figure = |metric, value| Figure { metric, statistic: Statistic::Mean, value };
        let measured = [figure(Metric::Ttft, 1.0), figure(Metric::Power, 300.0)];
        let pairs = pair(&measured, &[figure(Metric::Ttft, 2.0), figure(Metric::Tpot, 3.0)]);
        assert_eq!(pairs.len(), 1);
        assert!((pairs[0].1.value - 2.0).abs() < 1e-12);
    }
}
