//! Which part of a sweep this process runs.

use std::fmt;
use std::str::FromStr;

/// One of several parts; runs are dealt out in turn, so that each part gets as many slow points as the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1.
    pub(crate) number: usize,
    /// How many parts there are (≥ `number`).
    pub(crate) of: usize,
}

impl Shard {
    /// The only part.
    pub(crate) const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// Whether run number `run` is in this part.
    pub(super) fn has(self, run: usize) -> bool {
        run % self.of == self.number - 1
    }

    /// What was asked for, with the environment of a job where `auto` was.
    ///
    /// # Errors
    /// What is missing or makes no sense, in words.
    pub(crate) fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let number = |name: &str| -> Result<Option<usize>, String> {
            environment(name).map(|value| whole(&value, name)).transpose()
        };
        let (asked, of) = match text.split_once('/') {
            Some((part, of)) => (part, Some(whole(of, "the number of parts")?)),
            None => (text, None),
        };
        let (number, of) = if asked == "auto" {
            if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
                let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(1);
                let count = of.or(number("SLURM_ARRAY_TASK_COUNT")?).ok_or("SLURM_ARRAY_TASK_COUNT is not set")?;
                let place = id.checked_sub(first).ok_or("SLURM_ARRAY_TASK_ID is below SLURM_ARRAY_TASK_MIN")?;
                (place + 1, count)
            } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
                let count = of.ok_or("a Kubernetes job does not tell its completions: say --shard auto/N")?;
                (index + 1, count)
            } else {
                return Err("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set: expected I/N here".to_owned());
            }
        } else {
            let of = of.ok_or("expected I/N, such as 2/4, or auto in a Slurm array or an indexed Kubernetes job")?;
            (whole(asked, "the part")?, of)
        };
        if number < 1 || number > of {
            return Err(format!("there is no part {number} of {of}"));
        }
        Ok(Shard { number, of })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Shard::parse(text, |name| std::env::var(name).ok())
    }
}

fn whole(text: &str, what: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{what} is `{text}`, which is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, set: &[(&str, &str)]) -> Result<String, String> {
        let environment = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Shard::parse(text, environment).map(|shard| shard.to_string())
    }

    #[test]
    fn parts_come_from_the_command_line_from_slurm_and_from_kubernetes() {
        assert_eq!(parse("2/4", &[]), Ok("2/4".to_owned()));
        let slurm = [("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "4")];
        assert_eq!(parse("auto", &slurm), Ok("3/4".to_owned()));
        assert_eq!(
            parse("auto", &[("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_COUNT", "4")]),
            Ok("1/4".to_owned())
        );
        assert_eq!(parse("auto/8", &[("JOB_COMPLETION_INDEX", "0")]), Ok("1/8".to_owned()));
    }

    #[test]
    fn parts_that_do_not_exist_are_refused() {
        for (text, set, why) in [
            ("0/4", &[][..], "there is no part 0 of 4"),
            ("5/4", &[], "there is no part 5 of 4"),
            ("3", &[], "expected I/N"),
            ("x/4", &[], "`x`, which is not a whole number"),
            ("auto", &[], "neither SLURM_ARRAY_TASK_ID"),
            ("auto", &[("JOB_COMPLETION_INDEX", "0")], "say --shard auto/N"),
        ] {
            let said = parse(text, set).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn every_run_is_in_one_part() {
        for run in 0..20 {
            let parts = (1..=3).filter(|&number| Shard { number, of: 3 }.has(run)).count();
            assert_eq!(parts, 1, "run {run}");
        }
    }
}
