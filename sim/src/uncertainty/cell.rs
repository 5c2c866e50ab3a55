//! Sums over requests that arrived one after the other.

use serde::{Deserialize, Serialize};
use workloads::SimTime;

use super::figure::{BASES, FIGURES, RequestFigure};

/// Sums over requests that arrived one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) sums: [f64; FIGURES],
    pub(super) bases: [f64; BASES],
    /// When the first of them arrived; [`SimTime::MAX`] while there is none.
    pub(super) arrival: SimTime,
}

impl Default for Cell {
    fn default() -> Self {
        Cell { sums: [0.0; FIGURES], bases: [0.0; BASES], arrival: SimTime::MAX }
    }
}

impl Cell {
    /// Adds one request.
    #[inline]
    pub(super) fn add(&mut self, (terms, bases): &([f64; FIGURES], [f64; BASES]), arrival: SimTime) {
        self.sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        self.bases.iter_mut().zip(bases).for_each(|(sum, term)| *sum += term);
        self.arrival = self.arrival.min(arrival);
    }

    /// Adds all requests of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.add(&(other.sums, other.bases), other.arrival);
    }

    /// How many requests, gaps or whatever the figure is a mean over.
    pub(super) fn base(&self, figure: RequestFigure) -> f64 {
        self.bases[figure.base() as usize]
    }

    /// Mean of the figure; `None` over nothing.
    pub(super) fn mean(&self, figure: RequestFigure) -> Option<f64> {
        let base = self.base(figure);
        (base > 0.0).then(|| self.sums[figure as usize] / base)
    }
}

/// `parts` stretches of the cells, as equal as whole cells allow.
pub(super) fn stretches(cells: &[Cell], parts: usize) -> Vec<Cell> {
    (0..parts)
        .map(|part| {
            let mut sum = Cell::default();
            cells[boundary(cells.len(), part, parts)..boundary(cells.len(), part + 1, parts)]
                .iter()
                .for_each(|cell| sum.merge(cell));
            sum
        })
        .collect()
}

/// The first cell of stretch `part` of `parts`.
pub(super) fn boundary(cells: usize, part: usize, parts: usize) -> usize {
    cells * part / parts
}
