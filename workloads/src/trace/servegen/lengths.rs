//! One client: how long its prompts and answers are.

use std::collections::BTreeMap;
use std::path::Path;

use rand::rngs::Xoshiro256PlusPlus;

use crate::rng;
use crate::trace::error::{RowError, TraceError, quote};
use crate::trace::field;
use crate::trace::input::read_whole;

/// How far probabilities may be from summing up to 1.
const TOLERANCE: f64 = 1e-3;

/// Lengths by periods of 6 hours.
pub(super) struct Lengths {
    /// Start of each period in seconds, in order; `None` where the client was silent.
    periods: Vec<(f64, Option<Period>)>,
}

/// Lengths within one period.
pub(super) struct Period {
    pub(super) input: Probabilities,
    pub(super) output: Probabilities,
}

/// A distribution over finitely many lengths.
pub(super) struct Probabilities {
    /// Lengths, and the probability of at most that length (not normalised).
    cumulative: Vec<(u32, f64)>,
}

/// Lengths of 0 that were left out, over all tables.
#[derive(Default)]
pub(super) struct Zeros {
    tables: u64,
    largest: f64,
}

impl Zeros {
    /// A sentence about them, if there are any.
    pub(super) fn note(&self) -> Option<String> {
        (self.tables > 0).then(|| {
            format!(
                "length 0 is never drawn, though {} of the length tables give it a probability (at most {:.1e})",
                self.tables, self.largest
            )
        })
    }
}

impl Lengths {
    /// Reads a dataset file.
    pub(super) fn read(path: &Path, zeros: &mut Zeros) -> Result<Lengths, TraceError> {
        let wrong = |what: String| TraceError::ServeGen { path: path.to_owned(), what };
        let content = read_whole(path)?;
        let file: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_slice(&content).map_err(|error| {
            wrong(format!(
                "not a ServeGen dataset ({error}); expected {{start: {{\"input_tokens\": \"{{…}}\", …}}, …}}"
            ))
        })?;
        let mut periods = Vec::with_capacity(file.len());
        for (start, tables) in file {
            let located = |error: RowError| wrong(format!("period `{start}`, {error}"));
            let expected = "the start of a period in seconds";
            let seconds = field::whole(start.as_bytes())
                .ok_or_else(|| located(RowError::whole(quote(start.as_bytes(), 40), expected)))?;
            let mut table = |name: &str| {
                let text = tables.get(name).map(String::as_str);
                let table = text.ok_or_else(|| RowError::whole("nothing", "a table of probabilities"));
                table.and_then(|text| Probabilities::parse(text, zeros)).map_err(|error| located(error.in_field(name)))
            };
            let period = match (table("input_tokens")?, table("output_tokens")?) {
                (Some(input), Some(output)) => Some(Period { input, output }),
                _ => None,
            };
            periods.push((seconds as f64, period));
        }
        periods.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Lengths { periods })
    }

    /// The period that a time lies in, if it has lengths.
    pub(super) fn at(&self, seconds: f64) -> Option<&Period> {
        let after = self.periods.partition_point(|(start, _)| *start <= seconds);
        self.periods[..after].last()?.1.as_ref()
    }
}

impl Probabilities {
    /// Reads `{length: probability, …}`; `None` if there are none.
    fn parse(text: &str, zeros: &mut Zeros) -> Result<Option<Self>, RowError> {
        let expected = "`{length: probability, …}`";
        let inside = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let inside = inside.ok_or_else(|| RowError::whole(quote(text.as_bytes(), 40), expected))?.trim();
        let (mut cumulative, mut sum, mut zero) = (Vec::new(), 0.0, 0.0);
        for entry in inside.split(',').filter(|entry| !entry.trim().is_empty()) {
            let parsed = entry.split_once(':').and_then(|(length, probability)| {
                let length = u32::try_from(field::whole(length.trim().as_bytes())?).ok()?;
                let probability: f64 = probability.trim().parse().ok()?;
                (0.0..=1.0).contains(&probability).then_some((length, probability))
            });
            match parsed.ok_or_else(|| RowError::whole(quote(entry.as_bytes(), 40), expected))? {
                (0, probability) => zero += probability,
                (length, probability) => {
                    sum += probability;
                    cumulative.push((length, sum));
                }
            }
        }
        if cumulative.is_empty() && zero == 0.0 {
            return Ok(None);
        }
        if (sum + zero - 1.0).abs() > TOLERANCE {
            return Err(RowError::whole(format!("probabilities that sum up to {}", sum + zero), "a sum of 1"));
        }
        if zero > 0.0 {
            zeros.tables += 1;
            zeros.largest = zeros.largest.max(zero);
        }
        Ok((sum > 0.0).then_some(Probabilities { cumulative }))
    }

    /// A length drawn from them.
    pub(super) fn sample(&self, rng: &mut Xoshiro256PlusPlus) -> u32 {
        let last = self.cumulative.len() - 1;
        let target = rng::uniform(rng) * self.cumulative[last].1;
        let index = self.cumulative.partition_point(|&(_, cumulative)| cumulative <= target);
        self.cumulative[index.min(last)].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_as_often_as_they_should() {
        let table =
            Probabilities::parse("{3: 0.25, 10: 0.5, 7: 0.25, 9: 0.0}", &mut Zeros::default()).unwrap().unwrap();
        let mut rng = rng::stream(3, "test", 0);
        let draws: Vec<u32> = (0..40_000).map(|_| table.sample(&mut rng)).collect();
        for (length, share) in [(3, 0.25), (10, 0.5), (7, 0.25), (9, 0.0)] {
            let found = draws.iter().filter(|&&draw| draw == length).count() as f64 / draws.len() as f64;
            assert!((found - share).abs() < 0.015, "length {length} came in {found} of all draws");
        }
    }

    #[test]
    fn length_0_is_left_out_and_told() {
        let mut zeros = Zeros::default();
        let table = Probabilities::parse("{0: 0.25, 5: 0.75}", &mut zeros).unwrap().unwrap();
        let mut rng = rng::stream(3, "test", 0);
        assert!((0..1000).all(|_| table.sample(&mut rng) == 5));
        let note = "length 0 is never drawn, though 1 of the length tables give it a probability (at most 2.5e-1)";
        assert_eq!(zeros.note().as_deref(), Some(note));
    }

    #[test]
    fn what_is_no_table_is_told() {
        for (text, message) in [
            ("{5 0.5}", "found `5 0.5`, expected `{length: probability, …}`"),
            ("{5: nan}", "found `5: nan`, expected `{length: probability, …}`"),
            ("{-5: 1.0}", "found `-5: 1.0`, expected `{length: probability, …}`"),
            ("5: 1.0", "found `5: 1.0`, expected `{length: probability, …}`"),
            ("{5: 0.5}", "found probabilities that sum up to 0.5, expected a sum of 1"),
        ] {
            let error = Probabilities::parse(text, &mut Zeros::default()).err().unwrap();
            assert_eq!(error.to_string(), format!("whole row: {message}"));
        }
        assert!(Probabilities::parse("{}", &mut Zeros::default()).unwrap().is_none());
    }
}
