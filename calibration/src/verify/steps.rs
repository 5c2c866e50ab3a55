//! Whole steps of a replay: a prompt cut into pieces, or generated token by token, gives the same logits as in one piece.
//!
//! Kernels are checked apart from each other elsewhere. What this checks is how a step is put together: which row is
//! whose, where its keys lie, what attends to what, and which rows are sampled.

use std::collections::BTreeMap;

use profiles::cost::{EngineOverheads, ExpertRouting};
use profiles::{Attention, DType, DenseFfn, ExpertFfn, FeedForward, LayerSpec, Mixer, Parallelism, Precision};

use super::{BF16_TOLERANCE, Check, VerifyError, compare};
use crate::machine::Machine;
use crate::replay::Rehearsal;
use crate::replay::schedule::{LayerRun, RunHeader, ScheduledModel, ScheduledPiece, ScheduledStep};

/// Deviation of the weights: large enough that attention looks at few tokens, and a wrong place or position changes logits
/// by more than half their size.
const DEVIATION: f32 = 0.45;
/// Decoding adds up in another order than prompts do, and layers pass the difference on.
const TOLERANCE: f64 = 4.0 * BF16_TOLERANCE;

/// A model of two layers with this feed-forward part, in blocks of 4 tokens; steps are padded to 8 rows and more.
fn model(feed_forward: FeedForward, qk_norm: bool) -> RunHeader {
    let attention = Attention {
        query_heads: 2,
        kv_heads: 1,
        head_dim: 64,
        window: None,
        qkv_bias: false,
        output_bias: false,
        qk_norm,
    };
    let layer = LayerSpec { mixer: Mixer::Attention(attention), feed_forward };
    RunHeader {
        system: "check".to_owned(),
        seed: 3,
        model: ScheduledModel {
            name: "check".to_owned(),
            hidden_size: 64,
            vocab_size: 64,
            layers: vec![LayerRun { count: 2, layer }],
        },
        device: String::new(),
        parallelism: Parallelism::default(),
        precision: Precision { weights: DType::Bf16, activations: DType::Bf16, kv_cache: DType::Bf16 },
        routing: ExpertRouting::Uniform,
        engine: EngineOverheads { cuda_graph_sizes: vec![8, 16], ..EngineOverheads::none() },
        policy: String::new(),
        max_num_batched_tokens: 32,
        max_num_seqs: 4,
        max_model_len: 64,
        block_size: 4,
        kv_blocks: 24,
        prefix_caching: false,
        sliding_window: None,
    }
}

/// A step of pieces (request, new tokens, tokens before them, whether it completes) and of requests that decode.
fn step(number: u64, pieces: &[(u64, u32, u32, bool)], decode: &[(u64, u32)]) -> ScheduledStep {
    let prefill: Vec<ScheduledPiece> = pieces
        .iter()
        .map(|&(request, new_tokens, context_tokens, completes)| ScheduledPiece {
            request,
            new_tokens,
            context_tokens,
            completes,
        })
        .collect();
    let completing = prefill.iter().filter(|piece| piece.completes).count();
    ScheduledStep {
        step: number,
        replica: 0,
        slot: 0,
        start_ns: 0,
        end_ns: 0,
        stage_ns: vec![0],
        sampled: (completing + decode.len()) as u32,
        free_blocks: 0,
        prefill_layers: None,
        prefill,
        decode: decode.to_vec(),
        operators_ns: BTreeMap::new(),
        evidence_ns: BTreeMap::new(),
        operator_evidence_ns: BTreeMap::new(),
    }
}

/// Logits of the last sampled position of the last step.
fn last_logits(machine: &mut dyn Machine, run: &RunHeader, steps: &[ScheduledStep]) -> Result<Vec<f32>, VerifyError> {
    let mut rehearsal = Rehearsal::new(machine, run, steps, DEVIATION)?;
    let mut last = Vec::new();
    for step in steps {
        last = rehearsal.step(step)?;
    }
    Ok(last.pop().expect("the last step samples"))
}

/// Checks a dense model, and one with experts and normalised heads. All experts are chosen, so that it is known which;
/// since a replay's choices do not follow the router's, weights go with other experts for decode rows than for prompts, and
/// only prompts are compared.
pub(super) fn check(machine: &mut dyn Machine) -> Result<Vec<Check>, VerifyError> {
    let dense = FeedForward::Dense(DenseFfn { intermediate_size: 64, gated: true, bias: false });
    let expert = FeedForward::Experts(ExpertFfn {
        experts: 2,
        top_k: 2,
        intermediate_size: 64,
        shared_intermediate_size: 0,
        gated: true,
        bias: false,
    });
    let mut checks = Vec::new();
    for (name, run) in [("dense", model(dense, false)), ("experts", model(expert, true))] {
        let whole = last_logits(machine, &run, &[step(0, &[(1, 21, 0, true)], &[])])?;
        let pieces = [
            step(0, &[(2, 5, 0, true), (1, 9, 0, false)], &[]),
            step(1, &[(1, 8, 9, false)], &[(2, 6)]),
            step(2, &[(1, 4, 17, true)], &[(2, 7)]),
        ];
        let cut = last_logits(machine, &run, &pieces)?;
        let wanted: Vec<f64> = whole.iter().map(|&logit| f64::from(logit)).collect();
        checks.push(compare(format!("{name}: a prompt in pieces"), &cut, &wanted, TOLERANCE));
        if name == "dense" {
            let generated =
                [&pieces[..1], &[step(3, &[(1, 11, 9, true)], &[(2, 6)]), step(4, &[], &[(2, 7), (1, 21)])]].concat();
            let token_by_token = last_logits(machine, &run, &generated)?;
            checks.push(compare(format!("{name}: the last token decoded"), &token_by_token, &wanted, TOLERANCE));
        }
    }
    Ok(checks)
}
