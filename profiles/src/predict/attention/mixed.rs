//! Attention of prompt pieces and generating requests in one step.

use super::grid::{Axis, Grid, Node, Position};
use super::mixed_form::{MixedForm, TileKernel};
use super::prefill::PrefillTimes;
use super::{HeadShape, Predicted};
use crate::cost::Evidence;
use crate::device::DeviceSpec;
use crate::step::PrefillPiece;
use crate::table::MixedAttentionRow;

/// Added to tokens of context before their logarithm is taken: contexts far below are alike.
const CONTEXT_OFFSET: f64 = 64.0;
/// Steps of the bisection for the pace of a tile, which halve a range of a factor of a million.
const BISECTIONS: u32 = 40;
/// Batches that are enough to find it.
const PACE_SAMPLE: usize = 2000;

/// Predicts mixed attention from measured batches.
///
/// On the seven tables of LLMServingSim (RTX 4090, RTX PRO 6000) batches with unseen pieces come out within 1-2 % in the
/// median and 9 % at the 95th percentile; `tests/predict_attention` holds this.
#[derive(Clone, Debug)]
pub struct MixedPredictor {
    device: DeviceSpec,
    kernel: TileKernel,
    measured: Vec<(HeadShape, Vec<Batch>)>,
}

/// A measured batch of equal contexts.
#[derive(Clone, Copy, Debug)]
struct Batch {
    pieces: u32,
    piece: PrefillPiece,
    requests: f64,
    context: f64,
    ns: f64,
}

impl Batch {
    fn pieces(&self) -> Vec<PrefillPiece> {
        vec![self.piece; self.pieces as usize]
    }

    fn at(&self) -> [f64; 4] {
        coordinates(joined(&self.pieces()), self.requests, self.context)
    }

    fn form_ns(&self, form: &MixedForm) -> f64 {
        form.ns(&self.pieces(), self.requests, self.context, self.context)
    }
}

fn coordinates(piece: PrefillPiece, requests: f64, context: f64) -> [f64; 4] {
    [
        f64::from(piece.new_tokens).log2(),
        (f64::from(piece.context_tokens) + CONTEXT_OFFSET).log2(),
        requests.log2(),
        (context + CONTEXT_OFFSET).log2(),
    ]
}

impl MixedPredictor {
    /// A predictor from the rows of a table of this device, measured with a kernel of this kind. Rows with unequal
    /// contexts are left out: [`MixedForm`] knows what the longest context does.
    pub fn new(rows: &[MixedAttentionRow], device: &DeviceSpec, kernel: TileKernel) -> Self {
        let mut measured: Vec<(HeadShape, Vec<Batch>)> = Vec::new();
        for row in rows {
            let requests = f64::from(row.decode_requests);
            let context = row.decode_context_tokens as f64 / requests;
            if row.longest_context_tokens as f64 > context.ceil() {
                continue;
            }
            let heads = HeadShape {
                query_heads: row.query_heads,
                kv_heads: row.kv_heads,
                head_dim: row.head_dim,
                window: row.window,
                activations: row.activations,
                kv_cache: row.kv_cache,
            };
            let piece = PrefillPiece { new_tokens: row.new_tokens, context_tokens: row.prefill_context_tokens };
            let batch = Batch { pieces: row.prefill_requests, piece, requests, context, ns: row.timing.time_us * 1e3 };
            match measured.iter_mut().find(|(known, _)| *known == heads) {
                Some((_, batches)) => batches.push(batch),
                None => measured.push((heads, vec![batch])),
            }
        }
        Self { device: device.clone(), kernel, measured }
    }

    /// Compiles a look-up for a layer; `None` if no mixed batch was measured with just its heads.
    pub fn for_heads(&self, heads: HeadShape) -> Option<MixedTimes> {
        let (_, batches) = self.measured.iter().find(|(known, _)| *known == heads)?;
        let form = MixedForm::new(heads, &self.device, self.kernel, 1.0);
        let form = form.at_pace(pace(&form, batches));
        let corrections = corrections(&form, batches);
        let pieces = batches.iter().map(|batch| batch.pieces).max().unwrap_or(1);
        Some(MixedTimes { form, source: Source::Table { corrections, pieces } })
    }
}

/// The pace of a tile at which the form is too high as often as too low, on an even sample.
fn pace(form: &MixedForm, batches: &[Batch]) -> f64 {
    let batches: Vec<&Batch> = batches.iter().step_by(batches.len().div_ceil(PACE_SAMPLE)).collect();
    let (mut low, mut high) = (1e-3_f64, 1e3_f64);
    for _ in 0..BISECTIONS {
        let middle = (low * high).sqrt();
        let form = form.at_pace(middle);
        let above = batches.iter().filter(|batch| batch.form_ns(&form) > batch.ns).count();
        if 2 * above > batches.len() { high = middle } else { low = middle }
    }
    (low * high).sqrt()
}

/// Logarithms of measured times over the form's, on a grid whose holes are filled from their neighbours.
fn corrections(form: &MixedForm, batches: &[Batch]) -> Grid<4> {
    let axes: [Axis; 4] = std::array::from_fn(|axis| Axis::distinct(batches.iter().map(|batch| batch.at()[axis])));
    let mut grid = Grid::new(axes, |_| Node { value: f64::NAN, measured: false });
    let mut counts = vec![0.0; grid.len()];
    for batch in batches {
        let flat = grid.flat(batch.at()).expect("every batch lies on a node");
        let before = if counts[flat] > 0.0 { grid.node(flat).value } else { 0.0 };
        counts[flat] += 1.0;
        let value = (batch.ns / batch.form_ns(form)).ln();
        grid.set(flat, Node { value: before + (value - before) / counts[flat], measured: true });
    }
    grid.fill_holes();
    grid
}

/// Times of mixed attention of one layer, compiled for its heads.
#[derive(Clone, Debug)]
pub struct MixedTimes {
    form: MixedForm,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// Corrections to the form from measured batches of up to so many pieces.
    Table { corrections: Grid<4>, pieces: u32 },
    /// Prefill attention alone, which a mixed batch cannot beat.
    Prefill(Box<PrefillTimes>),
}

impl MixedTimes {
    /// Times where no mixed batch was measured: the fitted form at the pace of prefill attention. They count as
    /// extrapolated.
    pub fn from_prefill(heads: HeadShape, device: &DeviceSpec, kernel: TileKernel, prefill: &PrefillTimes) -> Self {
        let form = MixedForm::from_prefill(heads, device, kernel, prefill);
        Self { form, source: Source::Prefill(Box::new(prefill.clone())) }
    }

    /// The form behind it.
    pub fn form(&self) -> &MixedForm {
        &self.form
    }

    /// Time of the pieces (one or more) and of `requests` (one or more) that attend to `context_tokens` in all, each at
    /// most to `longest_context_tokens`, in one layer.
    ///
    /// Where no batch of as many pieces was measured, or pieces or contexts differ, the form carries the difference and
    /// the time counts as fitted.
    pub fn ns(
        &self,
        pieces: &[PrefillPiece],
        requests: u32,
        context_tokens: u64,
        longest_context_tokens: u64,
    ) -> Predicted {
        let count = f64::from(requests.max(1));
        let mean = context_tokens as f64 / count;
        let form = self.form.ns(pieces, f64::from(requests), mean, longest_context_tokens as f64);
        match &self.source {
            Source::Prefill(prefill) => {
                Predicted { ns: form.max(prefill.ns(pieces).ns), evidence: Evidence::Extrapolated }
            }
            Source::Table { corrections, pieces: measured_pieces } => {
                let at = coordinates(joined(pieces), count, mean);
                let positions = corrections.locate(at);
                let node = corrections.at(&positions);
                let inside = positions.iter().all(Position::inside);
                let alike = pieces.windows(2).all(|pair| pair[0] == pair[1])
                    && pieces.len() <= *measured_pieces as usize
                    && longest_context_tokens as f64 <= mean.ceil();
                let evidence = match (node.measured && inside, alike) {
                    (true, true) => Evidence::Measured,
                    (true, false) => Evidence::Fitted,
                    (false, _) => Evidence::Extrapolated,
                };
                Predicted { ns: form * node.value.exp(), evidence }
            }
        }
    }
}

/// The piece whose correction stands for several: all new tokens, behind their mean context.
fn joined(pieces: &[PrefillPiece]) -> PrefillPiece {
    if let [piece] = pieces {
        return *piece;
    }
    let new_tokens: u64 = pieces.iter().map(|piece| u64::from(piece.new_tokens)).sum();
    let weighted: u64 = pieces.iter().map(|piece| u64::from(piece.new_tokens) * u64::from(piece.context_tokens)).sum();
    PrefillPiece { new_tokens: new_tokens as u32, context_tokens: (weighted / new_tokens.max(1)) as u32 }
}
