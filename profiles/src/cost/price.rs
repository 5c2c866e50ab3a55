//! The parts of a step that are priced from more than its number of rows.

use super::analytic::Rows;
use super::books::Books;
use super::load::{Load, Timed};
use super::tables::Tables;
use crate::step::StepShape;

impl Tables {
    /// Adds the time of all attention to the first of both, that of generating requests to the second.
    #[inline]
    pub(super) fn price_attention(
        &self,
        shape: &StepShape<'_>,
        rows: Rows,
        books: &mut Books,
        [ns, memory_ns]: [&mut [f64]; 2],
    ) -> f64 {
        let mut joules = 0.0;
        for (attention, book) in self.attention.iter().zip(&mut books.attention) {
            let placement = &attention.placement;
            let prompt_layers = rows.all_prompt_layers(placement);
            let (prefill, sums) =
                if rows.prompt > 0 { attention.cost.prefill(shape.prefill) } else { Default::default() };
            let alone = if rows.decode > 0 { attention.cost.decode(shape.decode) } else { Timed::default() };
            // In layers that prompts pass, generating requests share their launches.
            let shared = if rows.prompt > 0 && rows.decode > 0 && !self.decode_apart {
                attention.cost.mixed(shape.prefill, shape.decode, [prefill, alone])
            } else {
                None
            };
            let (prefill, joint) = shared.unwrap_or((prefill, alone));
            for (stage, (sum, memory)) in ns.iter_mut().zip(&mut *memory_ns).enumerate() {
                let here = rows.prompt_layers(placement, stage, &self.stages);
                let elsewhere = placement.by_stage[stage] - here;
                *sum += here * (prefill.ns + joint.ns) + elsewhere * alone.ns;
                *memory += here * joint.ns + elsewhere * alone.ns;
            }
            if rows.prompt > 0 {
                book.prefill(prompt_layers, prefill, sums);
                let (operator, load) = attention.cost.prefill_load(sums);
                let prefill_j =
                    prompt_layers * self.energy.of_operator(operator, &Load { time_ns: prefill.ns, ..load });
                book.prefill_j += prefill_j;
                joules += prefill_j;
            }
            if rows.decode > 0 {
                let sums = attention.cost.decode_sums(shape.decode);
                let alone_layers = placement.all - prompt_layers;
                book.decode(prompt_layers, joint, sums);
                book.decode(alone_layers, alone, sums);
                let (operator, load) = attention.cost.decode_load(sums);
                let joint_j = prompt_layers * self.energy.of_operator(operator, &Load { time_ns: joint.ns, ..load });
                let alone_j = alone_layers * self.energy.of_operator(operator, &Load { time_ns: alone.ns, ..load });
                book.decode_j += joint_j + alone_j;
                joules += joint_j;
                joules += alone_j;
            }
        }
        joules
    }

    pub(super) fn price_experts(&self, rows: Rows, books: &mut Books, ns: &mut [f64]) -> f64 {
        let mut joules = 0.0;
        for (experts, book) in self.experts.iter().zip(&mut books.experts) {
            let placement = &experts.placement;
            let joint_layers = rows.all_prompt_layers(placement);
            let alone_layers = placement.all - joint_layers;
            let both = f64::from(rows.prompt + rows.decode);
            let joint = experts.cost.price(rows.prompt, rows.decode);
            let alone = if alone_layers > 0.0 { experts.cost.price(0, rows.decode) } else { joint };
            for (stage, sum) in ns.iter_mut().enumerate() {
                let here = rows.prompt_layers(placement, stage, &self.stages);
                *sum += here * joint.ns + (placement.by_stage[stage] - here) * alone.ns;
            }
            let time_ns = joint_layers * joint.ns + alone_layers * alone.ns;
            let layer_rows = joint_layers * both + alone_layers * f64::from(rows.decode);
            let touched = joint_layers * joint.touched + alone_layers * alone.touched;
            book.time.add(joint.evidence, joint_layers * joint.ns);
            book.time.add(alone.evidence, alone_layers * alone.ns);
            book.rows += layer_rows;
            book.touched += touched;
            let (operator, load) = experts.cost.load(layer_rows, touched);
            let experts_j = self.energy.of_operator(operator, &Load { time_ns, ..load });
            book.joules += experts_j;
            joules += experts_j;
        }
        joules
    }

    pub(super) fn price_scans(&self, shape: &StepShape<'_>, rows: Rows, books: &mut Books, ns: &mut [f64]) -> f64 {
        let mut joules = 0.0;
        for (scan, book) in self.scans.iter().zip(&mut books.scans) {
            let placement = &scan.placement;
            let pieces = shape.prefill.len();
            let prompt_ns = if rows.prompt > 0 { scan.cost.prefill_ns(pieces, rows.prompt) } else { 0.0 };
            let decode_ns = if rows.decode > 0 { scan.cost.decode_ns(rows.decode) } else { 0.0 };
            for (stage, sum) in ns.iter_mut().enumerate() {
                let layers = rows.prompt_layers(placement, stage, &self.stages);
                *sum += layers * prompt_ns + placement.by_stage[stage] * decode_ns;
            }
            let prompt_layers = rows.all_prompt_layers(placement);
            let decode = f64::from(rows.decode);
            let time_ns = prompt_layers * prompt_ns + placement.all * decode_ns;
            let tokens = prompt_layers * f64::from(rows.prompt) + placement.all * decode;
            let sequences = prompt_layers * pieces as f64 + placement.all * decode;
            book.ns += time_ns;
            book.tokens += tokens;
            book.sequences += sequences;
            let (_, _, load) = scan.cost.load(tokens, sequences);
            joules += self.energy.of(&Load { time_ns, ..load });
        }
        joules
    }
}
