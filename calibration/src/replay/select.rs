//! Which steps of a schedule are replayed.

use std::path::Path;

use super::ReplayError;
use super::schedule::{RunChoice, RunHeader, ScheduleReader, ScheduledStep};

/// Reads the steps of a run: all of them, or `wanted` spread evenly over the run.
///
/// # Errors
/// If the schedule cannot be read to its end, or holds fewer steps than wanted.
pub fn select(
    path: &Path,
    choice: &RunChoice,
    wanted: Option<u64>,
) -> Result<(RunHeader, Vec<ScheduledStep>), ReplayError> {
    let reader = ScheduleReader::open(path, choice)?;
    let header = reader.header().clone();
    let Some(wanted) = wanted else { return Ok((header, reader.collect::<Result<_, _>>()?)) };
    let mut steps = 0;
    for step in reader {
        step?;
        steps += 1;
    }
    if steps < wanted {
        let message = format!("{wanted} steps are asked for, and the run has {steps}");
        return Err(ReplayError::Run { path: path.to_owned(), message });
    }
    let chosen = ScheduleReader::open(path, choice)?
        .filter(|step| step.as_ref().map_or(true, |step| is_chosen(step.step, steps, wanted)));
    Ok((header, chosen.collect::<Result<_, _>>()?))
}

/// Whether step `step` of `steps` is among `wanted` that lie evenly apart.
fn is_chosen(step: u64, steps: u64, wanted: u64) -> bool {
    let before = |step: u64| u128::from(step) * u128::from(wanted) / u128::from(steps);
    before(step + 1) > before(step)
}

#[cfg(test)]
mod tests {
    use super::is_chosen;

    #[test]
    fn as_many_steps_are_chosen_as_wanted_and_they_lie_evenly_apart() {
        for (steps, wanted) in [(10, 10), (10, 3), (1000, 7), (7, 1)] {
            let chosen: Vec<u64> = (0..steps).filter(|&step| is_chosen(step, steps, wanted)).collect();
            assert_eq!(chosen.len() as u64, wanted);
            let gaps: Vec<u64> = chosen.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (least, most) = (gaps.iter().min().unwrap_or(&1), gaps.iter().max().unwrap_or(&1));
            assert!(most - least <= 1, "{chosen:?}");
        }
    }
}
