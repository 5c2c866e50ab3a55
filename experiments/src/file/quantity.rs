//! Numbers with units: `"125 ms"`, `"80 GB"`, `"400 Gbit/s"`.

use std::fmt;

/// What a quantity measures. Every quantity is held in its base unit, the first one of [`Dimension::units`] that has
/// the factor 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    /// Seconds.
    Time,
    /// Requests per second.
    Rate,
    /// Bytes.
    Data,
    /// Bytes per second.
    Bandwidth,
    /// Watts.
    Power,
    /// US dollars per device-hour.
    Price,
}

/// A unit and how many base units it is.
type Unit = (&'static str, f64);

const TIME: &[Unit] =
    &[("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0)];
const RATE: &[Unit] =
    &[("req/s", 1.0), ("requests/s", 1.0), ("/s", 1.0), ("req/min", 1.0 / 60.0), ("req/h", 1.0 / 3600.0)];
const DATA: &[Unit] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];
const POWER: &[Unit] = &[("W", 1.0), ("kW", 1e3)];
const PRICE: &[Unit] = &[("USD/h", 1.0), ("$/h", 1.0)];
const BANDWIDTH: &[Unit] = &[
    ("B/s", 1.0),
    ("MB/s", 1e6),
    ("GB/s", 1e9),
    ("TB/s", 1e12),
    ("GiB/s", 1_073_741_824.0),
    ("Mbit/s", 1e6 / 8.0),
    ("Gbit/s", 1e9 / 8.0),
    ("Tbit/s", 1e12 / 8.0),
];

const ALL: &[Dimension] =
    &[Dimension::Time, Dimension::Rate, Dimension::Data, Dimension::Bandwidth, Dimension::Power, Dimension::Price];

impl Dimension {
    /// Its units, smallest first.
    pub(crate) fn units(self) -> &'static [Unit] {
        match self {
            Dimension::Time => TIME,
            Dimension::Rate => RATE,
            Dimension::Data => DATA,
            Dimension::Power => POWER,
            Dimension::Price => PRICE,
            Dimension::Bandwidth => BANDWIDTH,
        }
    }

    /// What it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Dimension::Time => "time",
            Dimension::Rate => "rate",
            Dimension::Data => "data size",
            Dimension::Power => "power",
            Dimension::Price => "price",
            Dimension::Bandwidth => "bandwidth",
        }
    }

    /// What one looks like, as it would be written.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Dimension::Time => "\"125 ms\"",
            Dimension::Rate => "\"4 req/s\"",
            Dimension::Data => "\"80 GB\"",
            Dimension::Power => "\"700 W\"",
            Dimension::Price => "\"2.5 USD/h\"",
            Dimension::Bandwidth => "\"400 Gbit/s\"",
        }
    }

    /// The unit in which resolved values are written.
    pub(crate) fn base_unit(self) -> &'static str {
        match self {
            Dimension::Time => "s",
            Dimension::Rate => "req/s",
            Dimension::Data => "B",
            Dimension::Power => "W",
            Dimension::Price => "USD/h",
            Dimension::Bandwidth => "B/s",
        }
    }

    /// Its units in one line.
    pub(crate) fn unit_list(self) -> String {
        self.units().iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ")
    }

    /// Reads a number with a unit of this dimension; the result is in base units.
    ///
    /// # Errors
    /// What is wrong with it, to stand beside a caret.
    pub(crate) fn read(self, text: &str) -> Result<f64, String> {
        let text = text.trim();
        let (number, unit) = split(text);
        let Ok(number) = number.parse::<f64>() else {
            return Err(format!("expected a {}, such as {}", self.name(), self.example()));
        };
        if unit.is_empty() {
            return Err(format!("expected a unit after the number: {}", self.unit_list()));
        }
        let factor = self.units().iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
        factor.map(|factor| number * factor).ok_or_else(|| self.wrong_unit(unit))
    }

    fn wrong_unit(self, unit: &str) -> String {
        let what =
            ALL.iter().find(|other| other.units().iter().any(|(name, _)| *name == unit)).map(|other| other.name());
        let head = match what {
            Some(what) => format!("`{unit}` is a unit of {what}"),
            None => format!("`{unit}` is not a unit"),
        };
        format!("{head}; expected a {} in {}", self.name(), self.unit_list())
    }

    /// Writes a value in base units so that reading it gives the same value.
    pub(crate) fn write(self, base: f64) -> String {
        format!("{} {}", Plain(base), self.base_unit())
    }
}

/// Splits `"125 ms"` before its unit.
fn split(text: &str) -> (&str, &str) {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let exponent = matches!(c, 'e' | 'E')
            && at > 0
            && text[at + 1..].starts_with(|next: char| next.is_ascii_digit() || matches!(next, '+' | '-'));
        if !(c.is_ascii_digit() || matches!(c, '.' | '_' | '+' | '-') || exponent) {
            break;
        }
        end = at + c.len_utf8();
    }
    (&text[..end], text[end..].trim_start())
}

/// A number in the shortest form that reads back the same.
pub(crate) struct Plain(pub(crate) f64);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 != 0.0 && !(1e-6..1e15).contains(&self.0.abs()) {
            write!(f, "{:e}", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_scaled_to_the_base() {
        assert_eq!(Dimension::Time.read("125 ms"), Ok(0.125));
        assert_eq!(Dimension::Time.read("2min"), Ok(120.0));
        assert_eq!(Dimension::Data.read("80 GB"), Ok(8e10));
        assert_eq!(Dimension::Data.read("1.5e2 GiB"), Ok(150.0 * 1_073_741_824.0));
        assert_eq!(Dimension::Rate.read("4 req/s"), Ok(4.0));
        assert_eq!(Dimension::Rate.read("4/s"), Ok(4.0));
    }

    #[test]
    fn a_wrong_unit_says_what_it_measures() {
        let message = Dimension::Time.read("80 GB").unwrap_err();
        assert_eq!(message, "`GB` is a unit of data size; expected a time in ns, us, µs, ms, s, min, h");
        assert!(Dimension::Time.read("5 parsecs").unwrap_err().starts_with("`parsecs` is not a unit"));
        assert!(Dimension::Time.read("5").unwrap_err().starts_with("expected a unit after the number"));
        assert_eq!(Dimension::Time.read("soon").unwrap_err(), "expected a time, such as \"125 ms\"");
    }

    #[test]
    fn what_is_written_reads_back_to_the_last_bit() {
        for value in [0.0, 0.1, 1.0 / 3.0, 1e-9, 123_456_789.123, 5e300, -0.25] {
            assert_eq!(Dimension::Time.read(&Dimension::Time.write(value)), Ok(value));
        }
    }
}
