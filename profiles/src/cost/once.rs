//! What happens once per step, before the first layer and after the last one.

use super::layer::{Columns, Context};
use super::load::{ACTIVATION_BYTES, Load, RowWork};
use super::small::Elementwise;
use super::{Evidence, Operator};

/// The vocabulary is padded to a multiple of this before it is cut among GPUs (vLLM's `VocabParallelEmbedding`).
const VOCAB_PADDING: u32 = 64;

/// Operators that run one after the other on the same rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence(Vec<(Operator, Evidence, RowWork)>);

impl Sequence {
    /// Embedding look-up over the rows that enter the first layer. Under tensor parallelism each GPU looks up its part
    /// of the vocabulary, and an all-reduce puts the parts together.
    pub(super) fn embedding(context: &Context<'_>) -> Self {
        let hidden = context.hidden();
        let mut operators =
            vec![elementwise(context, Operator::Embedding, ("embedding", hidden), 2.0 * hidden * ACTIVATION_BYTES)];
        if context.tensor_ranks() > 1.0 {
            let (work, evidence) = context.all_reduce(hidden);
            operators.push((Operator::AllReduce, evidence, RowWork::Collective(work)));
        }
        Self(operators)
    }

    /// Final norm over the rows that leave the last layer.
    pub(super) fn final_norm(context: &Context<'_>) -> Self {
        let hidden = context.hidden();
        Self(vec![elementwise(context, Operator::Elementwise, ("rms_norm", hidden), 4.0 * hidden * ACTIVATION_BYTES)])
    }

    /// Language-model head over the sampled positions, gathering of their logits from all GPUs, and sampling.
    pub(super) fn head(context: &Context<'_>) -> Self {
        let ranks = context.tensor_ranks();
        let vocabulary = f64::from(context.options.model.vocab_size.next_multiple_of(VOCAB_PADDING));
        let columns = Columns::of((vocabulary / ranks).ceil(), vocabulary, ranks);
        let (work, evidence) = context.plain_gemm(columns, context.hidden());
        let mut operators = vec![(Operator::LmHead, evidence, work)];
        if ranks > 1.0 {
            let (gather, evidence) = context.all_gather(vocabulary);
            operators.push((Operator::LmHead, evidence, RowWork::Collective(gather)));
        }
        // Logits are read as 16 bits, written as 32, and read again to be sampled from.
        operators.push(elementwise(context, Operator::Sampling, ("sample", vocabulary), vocabulary * 10.0));
        operators.extend(sort(context, vocabulary));
        Self(operators)
    }

    /// All of it for `rows` rows.
    pub(super) fn load(&self, rows: u32) -> Load {
        let mut sum = Load::default();
        for (_, _, load) in self.loads(rows) {
            sum.time_ns += load.time_ns;
            sum.at_peak_ns += load.at_peak_ns;
            sum.memory_bytes += load.memory_bytes;
            sum.link_bytes += load.link_bytes;
        }
        sum
    }

    /// Each operator for `rows` rows; none without rows.
    pub(super) fn loads(&self, rows: u32) -> impl Iterator<Item = (Operator, Evidence, Load)> {
        self.0.iter().filter(move |_| rows > 0).map(move |(operator, evidence, work)| {
            let (load, basis) = work.load(rows, rows);
            (*operator, basis.evidence(*evidence), load)
        })
    }
}

/// Sorting the logits of the sampled positions, where sampling needs it. No kernel table has it.
fn sort(context: &Context<'_>, vocabulary: f64) -> Option<(Operator, Evidence, RowWork)> {
    let bytes = vocabulary * context.options.sampling.extra_bytes_per_logit();
    let law = &context.laws.elementwise;
    let work = Elementwise::new(false, bytes, law, context.options.device);
    (bytes > 0.0).then(|| (Operator::Sampling, law.evidence.max(Evidence::Fitted), RowWork::Elementwise(work)))
}

fn elementwise(
    context: &Context<'_>,
    operator: Operator,
    (name, width): (&str, f64),
    bytes_per_row: f64,
) -> (Operator, Evidence, RowWork) {
    let evidence = context.laws.elementwise.evidence;
    (operator, evidence, RowWork::Elementwise(context.elementwise(name, width, bytes_per_row)))
}
