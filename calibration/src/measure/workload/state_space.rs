//! Convolution and recurrence of Mamba-2.

use profiles::table::{StateSpacePhase, StateSpaceRow};

use super::{Builder, Item, Workload, WorkloadError, no_kernel};
use crate::kernels::{
    ConvolutionInputs, Sequences, StateSpaceInputs, StateSpaceShape, convolve_prompts, convolve_tokens, scan_prompts,
    update_states,
};

/// Channels of a head in our kernels.
const HEAD_CHANNELS: u64 = 64;

pub(super) fn build(row: &StateSpaceRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    let [heads, groups, state, count, tokens] =
        [row.heads, row.groups, row.d_state, row.sequences, row.tokens].map(u64::from);
    if u64::from(row.d_inner) != heads * HEAD_CHANNELS {
        return no_kernel(format!("{} channels in {heads} heads; heads of {HEAD_CHANNELS} are possible", row.d_inner));
    }
    let whole = match row.phase {
        StateSpacePhase::Scan => tokens.is_multiple_of(count),
        StateSpacePhase::Update => tokens == count,
    };
    if !whole {
        return no_kernel(format!(
            "{tokens} tokens of {count} sequences; equal sequences, and one token each in updates, are possible"
        ));
    }
    let state_bytes = count * heads * HEAD_CHANNELS * state * 4;
    let copies = match row.phase {
        StateSpacePhase::Update => builder.copies(state_bytes, state_bytes, tokens * heads * HEAD_CHANNELS * 16)?,
        // A scan reads its prompts, which the projection before it has just written, and writes states once.
        StateSpacePhase::Scan => builder.copies(u64::MAX, state_bytes, tokens * heads * HEAD_CHANNELS * 16)?,
    };
    let shape = StateSpaceShape { heads, groups, state, slots: copies * count };
    let channels = shape.convolved_channels();
    let states = builder.room(copies * state_bytes)?;
    let kept = builder.room(shape.slots * 3 * channels * 2)?;
    let convolution = ConvolutionInputs {
        input: builder.bf16(tokens * channels)?,
        kept,
        weights: builder.floats(&vec![0.25; 4 * channels as usize])?,
        bias: builder.floats(&vec![0.0; channels as usize])?,
    };
    let convolved = builder.room(tokens * channels * 2)?;
    let per_head = |value: f32| vec![value; heads as usize];
    let inputs = StateSpaceInputs {
        x: builder.bf16(tokens * heads * HEAD_CHANNELS)?,
        b: builder.bf16(tokens * groups * state)?,
        c: builder.bf16(tokens * groups * state)?,
        dt: builder.bf16(tokens * heads)?,
        a: builder.floats(&per_head(-1.0))?,
        d: builder.floats(&per_head(1.0))?,
        dt_bias: builder.floats(&per_head(-3.0))?,
    };
    let out = builder.room(tokens * heads * HEAD_CHANNELS * 2)?;
    let mut slots: Vec<i32> = (0..shape.slots as i32).collect();
    builder.random.shuffle(&mut slots);
    let length = tokens / count.max(1);
    let starts = builder.integers(&(0..=count).map(|sequence| (sequence * length) as i32).collect::<Vec<_>>())?;
    let from_zero = builder.integers(&vec![1; count as usize])?;
    let mut variants = Vec::new();
    for own in slots.chunks(count as usize) {
        let slots = builder.integers(own)?;
        let launches = match row.phase {
            StateSpacePhase::Scan => {
                let (starts, from_zero) = (starts.clone(), from_zero.clone());
                let sequences = Sequences { count, tokens, longest: length, slots, starts, from_zero };
                let mut launches = convolve_prompts(shape, &sequences, &convolution, &convolved)?;
                launches.push(scan_prompts(shape, &sequences, &states, &inputs, &out)?);
                launches
            }
            StateSpacePhase::Update => vec![
                convolve_tokens(shape, count, &slots, &convolution, &convolved)?,
                update_states(shape, count, &slots, &states, &inputs, &out)?,
            ],
        };
        variants.push(launches.into_iter().map(Item::Kernel).collect());
    }
    Ok(Workload { variants, touched_experts: None })
}
