//! Where rows go on their way into a table: the checks that hold for all of them.

use std::collections::BTreeMap;

use profiles::DeviceSpec;
use profiles::table::{Header, KernelTable, Row, Rows};

use super::error::ImportError;
use super::plausible::Floor;
use super::report::{Rejected, Report};

/// How many times faster than the datasheet a time may be: clocks above the nominal ones and operands in caches make
/// small excesses real, a wrong unit makes a factor of 1000.
const TOO_FAST: f64 = 3.0;
/// If no kernel of a whole file reaches this share of the datasheet's peak, its unit is wrong.
const TOO_SLOW: f64 = 0.003;
/// Kernels shorter than this are bound by their launch and tell nothing about the unit.
const LONG_US: f64 = 20.0;
/// Times of one shape may differ by this part before a reader is told.
const AGREEMENT: f64 = 0.1;

/// Rows of one table, as they come.
pub(super) struct Sink<R> {
    device: DeviceSpec,
    rows: Vec<R>,
    lines: Vec<u64>,
    too_fast: u64,
    best: f64,
}

impl<R: Row + Floor> Sink<R> {
    /// Nothing yet, of kernels on `device`.
    pub(super) fn new(device: DeviceSpec) -> Self {
        Self { device, rows: Vec::new(), lines: Vec::new(), too_fast: 0, best: 0.0 }
    }

    /// Takes a row, or counts why it cannot be taken.
    pub(super) fn take(&mut self, line: u64, row: Result<R, Rejected>, report: &mut Report) {
        match row.and_then(|row| self.plausible(row)) {
            Ok(row) => {
                self.rows.push(row);
                self.lines.push(line);
            }
            Err(why) => report.leave_out(line, why),
        }
    }

    fn plausible(&mut self, row: R) -> Result<R, Rejected> {
        let (time_us, floor_us) = (row.timing().time_us, row.floor_us(&self.device));
        if floor_us > TOO_FAST * time_us {
            self.too_fast += 1;
            let why = format!("more than {TOO_FAST} times as fast as {} can be", self.device.name);
            return Err(Rejected::new(why, format!("{time_us} us, and the datasheet allows {floor_us:.3} us")));
        }
        if floor_us > LONG_US {
            self.best = self.best.max(floor_us / time_us);
        }
        Ok(row)
    }

    /// The device.
    pub(super) fn device(&self) -> &DeviceSpec {
        &self.device
    }

    /// The shortest time in microseconds.
    pub(super) fn shortest_us(&self) -> f64 {
        self.rows.iter().map(|row| row.timing().time_us).fold(f64::INFINITY, f64::min)
    }

    /// The table; `column` is the one of the times, for messages.
    ///
    /// # Errors
    ///
    /// [`ImportError::Unit`] if most rows are too fast to be true, or all that are long too slow.
    pub(super) fn finish(
        self,
        header: Header,
        wrap: impl FnOnce(Vec<R>) -> Rows,
        at: (&str, &str),
        report: &mut Report,
    ) -> Result<KernelTable, ImportError> {
        self.check_unit(at)?;
        if let Some(note) = self.disagreement() {
            report.note(format!("{}, {}: {note}", header.device, header.source));
        }
        report.device(&self.device.name);
        *report.taken.entry(R::KERNEL).or_default() += self.rows.len() as u64;
        Ok(KernelTable { header, rows: wrap(self.rows) })
    }

    fn check_unit(&self, (file, column): (&str, &str)) -> Result<(), ImportError> {
        let wrong = |problem| Err(ImportError::Unit { file: file.to_string(), column: column.to_string(), problem });
        let device = &self.device.name;
        if self.too_fast > self.rows.len() as u64 {
            return wrong(format!(
                "{} of {} times are more than {TOO_FAST} times as fast as {device} can be: are they in a larger unit than \
                 the column says, or of another device?",
                self.too_fast,
                self.too_fast + self.rows.len() as u64
            ));
        }
        if self.best > 0.0 && self.best < TOO_SLOW {
            return wrong(format!(
                "the fastest kernel reaches {:.3} % of what {device} can do: are times in a smaller unit than the column \
                 says, or of another device?",
                100.0 * self.best
            ));
        }
        Ok(())
    }

    /// Shapes that occur more than once with times that differ too much.
    fn disagreement(&self) -> Option<String> {
        let mut by_shape: BTreeMap<Vec<String>, (f64, f64, u64)> = BTreeMap::new();
        for (row, &line) in self.rows.iter().zip(&self.lines) {
            let time_us = row.timing().time_us;
            let seen = by_shape.entry(row.shape()).or_insert((time_us, time_us, line));
            *seen = (seen.0.min(time_us), seen.1.max(time_us), seen.2);
        }
        let mut doubtful: Vec<(u64, f64, f64)> = by_shape
            .values()
            .filter(|(least, most, _)| *most > least * (1.0 + AGREEMENT))
            .map(|&(least, most, line)| (line, least, most))
            .collect();
        doubtful.sort_by_key(|(line, _, _)| *line);
        let (line, least, most) = doubtful.first()?;
        Some(format!(
            "{} {} with times that differ by more than {:.0} % (first on line {line}: {least} to {most} us); all are kept, and \
             readers use their median",
            doubtful.len(),
            if doubtful.len() == 1 { "shape occurs more than once" } else { "shapes occur more than once" },
            AGREEMENT * 100.0,
        ))
    }
}
