//! Prompts that pass the layers in groups, one group per step: the state of layered prefill between steps.

use profiles::{LayerRange, PrefillPiece};

use super::compose::Draft;
use super::{LiveId, Piece, Replica};
use crate::scheduler::CohortView;

/// The prompt pieces that go through the layers together. There is at most one cohort at a time.
#[derive(Debug)]
pub(super) struct Cohort {
    /// Layers of the model.
    layers: u32,
    pieces: Vec<Piece>,
    /// The same pieces as the cost model sees them.
    shapes: Vec<PrefillPiece>,
    tokens: u32,
    /// Groups that it passes in all; 0 while it is gathered.
    groups: u32,
    /// Groups that it has been given steps for.
    passed: u32,
}

/// How far a prompt is through the layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayersPassed {
    passed: u32,
    all: u32,
}

impl LayersPassed {
    /// All of them.
    pub(crate) const ALL: Self = LayersPassed { passed: 1, all: 1 };

    pub(crate) fn is_all(self) -> bool {
        self.passed == self.all
    }

    /// Of so many bytes, evenly divided among the layers, those of the layers that were passed.
    pub(crate) fn of(self, bytes: u64) -> u64 {
        (u128::from(bytes) * u128::from(self.passed) / u128::from(self.all)) as u64
    }
}

impl Cohort {
    pub(super) fn new(layers: u32) -> Self {
        Cohort { layers, pieces: Vec::new(), shapes: Vec::new(), tokens: 0, groups: 0, passed: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn is_formed(&self) -> bool {
        self.groups > 0
    }

    /// How it stands while no step at hand is its.
    pub(super) fn view(&self) -> CohortView {
        if self.is_formed() { CohortView::UnderWay } else { CohortView::Gathered(self.tokens) }
    }

    /// Takes in a piece before it is formed.
    pub(super) fn gather(&mut self, piece: Piece, shape: PrefillPiece) {
        assert!(!self.is_formed(), "nobody joins a cohort that is under way");
        self.pieces.push(piece);
        self.shapes.push(shape);
        self.tokens += piece.tokens;
    }

    /// What was gathered passes the layers in `groups` groups from now on.
    pub(super) fn form(&mut self, groups: u32) {
        assert!(!self.is_formed() && !self.is_empty(), "a cohort is formed once, of somebody");
        assert!((1..=self.layers).contains(&groups), "{groups} groups of {} layers", self.layers);
        self.groups = groups;
    }

    /// The first layer of a group: the groups differ by one layer at most, and the first ones are the larger ones.
    fn first_layer(&self, group: u32) -> u32 {
        self.layers / self.groups * group + group.min(self.layers % self.groups)
    }

    /// Moves on by one group, or by all that are left, and returns their layers.
    fn advance(&mut self, rest: bool) -> LayerRange {
        assert!(self.passed < self.groups, "a cohort that has passed all layers is gone");
        let start = self.first_layer(self.passed);
        self.passed = if rest { self.groups } else { self.passed + 1 };
        LayerRange { start, end: self.first_layer(self.passed) }
    }

    /// Makes room for the next one.
    fn dissolve(&mut self) {
        self.pieces.clear();
        self.shapes.clear();
        (self.tokens, self.groups, self.passed) = (0, 0, 0);
    }

    fn passed_with(&self, part: LayerRange) -> LayersPassed {
        LayersPassed { passed: part.end, all: self.layers }
    }

    /// Whether these layers are the last ones.
    pub(super) fn ends_with(&self, part: LayerRange) -> bool {
        part.end == self.layers
    }

    /// These layers as a share of all.
    pub(super) fn share(&self, part: LayerRange) -> f64 {
        f64::from(part.end - part.start) / f64::from(self.layers)
    }
}

impl Replica {
    /// The cohort passes its next group of layers, or all that are left, in the step at hand. With the last one its prompts
    /// are computed: what they hold becomes known, and the next cohort may be gathered.
    pub(super) fn pass(&mut self, draft: &Draft, rest: bool) {
        let part = self.cohort.advance(rest);
        let last = self.cohort.ends_with(part);
        let batch = &mut self.slots[draft.slot].batch;
        assert!(batch.layers.is_none(), "a cohort passes layers once in a step");
        batch.layers = Some(part);
        batch.shapes.extend_from_slice(&self.cohort.shapes);
        for &piece in &self.cohort.pieces {
            batch.pieces.push(Piece { completes: last && piece.completes, branches: last && piece.branches, ..piece });
            let live = self.lives.get_mut(piece.live);
            live.in_flight += 1;
            if last {
                let mut hold = live.hold;
                self.kv.learn(&mut hold, &live.chain(), live.computed);
                live.hold = hold;
            }
        }
        if last {
            self.cohort.dissolve();
        }
    }

    /// Notes which layers the prompts of a step that has just ended have passed, if they are to be pushed and wait for nothing
    /// but layers. With the last ones they are handed over.
    pub(super) fn note_passed(&mut self, pieces: &[Piece], part: Option<LayerRange>) {
        let Some(part) = part.filter(|&part| self.pushes_layers.is_some() && !self.cohort.ends_with(part)) else {
            return;
        };
        for piece in pieces {
            let live = self.lives.get(piece.live);
            if live.missing() == 0 && live.output_tokens > 1 && self.leaves(live) {
                self.passed.push((piece.live, self.cohort.passed_with(part)));
            }
        }
    }

    /// What was noted since the last call.
    pub(crate) fn take_passed(&mut self) -> Vec<(LiveId, LayersPassed)> {
        std::mem::take(&mut self.passed)
    }
}
