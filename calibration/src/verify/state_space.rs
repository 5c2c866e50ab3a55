//! Convolution and recurrence of Mamba-2, token by token in double precision.

use super::setup::{bf16_results, floats, integers, normals, room};
use super::{BF16_TOLERANCE, Check, VerifyError, compare};
use crate::kernels::{self, ConvolutionInputs, Sequences, StateSpaceInputs, StateSpaceShape, View};
use crate::machine::Machine;
use crate::numbers::{Random, f32_bytes, f32_values};

/// Scores, weighted inputs and the carried state are rounded to bfloat16 on their way, as in the authors' own kernels.
const SCAN_TOLERANCE: f64 = 5.0 * BF16_TOLERANCE;

pub(super) fn check(machine: &mut dyn Machine) -> Result<Vec<Check>, VerifyError> {
    let mut random = Random::new(4);
    let mut checks = Vec::new();
    for (heads, groups, state) in [(2, 1, 64), (4, 2, 128)] {
        let shape = StateSpaceShape { heads, groups, state, slots: 5 };
        checks.extend(recurrence(machine, &mut random, shape, &[70, 1, 128])?);
        checks.extend(convolution(machine, &mut random, shape, &[70, 1, 2])?);
    }
    Ok(checks)
}

/// Operands with the values behind them.
struct Operands {
    inputs: StateSpaceInputs,
    x: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    dt: Vec<f64>,
    a: Vec<f32>,
    d: Vec<f32>,
    dt_bias: Vec<f32>,
}

impl Operands {
    fn new(
        machine: &mut dyn Machine,
        random: &mut Random,
        shape: StateSpaceShape,
        tokens: u64,
    ) -> Result<Self, VerifyError> {
        let (x_view, x) = normals(machine, random, tokens * shape.heads * 64, 1.0)?;
        let (b_view, b) = normals(machine, random, tokens * shape.groups * shape.state, 0.3)?;
        let (c_view, c) = normals(machine, random, tokens * shape.groups * shape.state, 0.3)?;
        let (dt_view, dt) = normals(machine, random, tokens * shape.heads, 1.0)?;
        let mut per_head = |low: f64, high: f64| -> Vec<f32> {
            (0..shape.heads).map(|_| (low + (high - low) * random.uniform()) as f32).collect()
        };
        let (a, d, dt_bias) = (per_head(-0.5, -0.02), per_head(0.0, 1.0), per_head(-3.0, -1.0));
        let inputs = StateSpaceInputs {
            x: x_view,
            b: b_view,
            c: c_view,
            dt: dt_view,
            a: floats(machine, &a)?,
            d: floats(machine, &d)?,
            dt_bias: floats(machine, &dt_bias)?,
        };
        Ok(Operands { inputs, x, b, c, dt, a, d, dt_bias })
    }

    /// Moves one head's state on by `token` and returns its output.
    fn step(&self, shape: StateSpaceShape, token: usize, head: usize, state: &mut [f64]) -> Vec<f64> {
        let (heads, groups, size) = (shape.heads as usize, shape.groups as usize, shape.state as usize);
        let row = (token * groups + head / (heads / groups)) * size;
        let (b, c) = (&self.b[row..][..size], &self.c[row..][..size]);
        let dt = (self.dt[token * heads + head] + f64::from(self.dt_bias[head])).exp().ln_1p();
        let decay = (dt * f64::from(self.a[head])).exp();
        let x = &self.x[(token * heads + head) * 64..][..64];
        let channel = |(x, state): (&f64, &mut [f64])| {
            state.iter_mut().zip(b).for_each(|(h, b)| *h = *h * decay + dt * x * b);
            state.iter().zip(c).map(|(h, c)| h * c).sum::<f64>() + f64::from(self.d[head]) * x
        };
        x.iter().zip(state.chunks_mut(size)).map(channel).collect()
    }
}

fn recurrence(
    machine: &mut dyn Machine,
    random: &mut Random,
    shape: StateSpaceShape,
    lengths: &[u64],
) -> Result<Vec<Check>, VerifyError> {
    let tokens = lengths.iter().sum();
    let prompt = Operands::new(machine, random, shape, tokens)?;
    let next = Operands::new(machine, random, shape, lengths.len() as u64)?;
    let elements = shape.slots * shape.heads * 64 * shape.state;
    let states: Vec<f32> = (0..elements).map(|_| random.normal()).collect();
    let pool = machine.upload(&f32_bytes(&states))?;
    let sequences = sequences(machine, lengths)?;
    let (scanned, updated) =
        (room(machine, tokens * shape.heads * 64 * 2)?, room(machine, lengths.len() as u64 * shape.heads * 64 * 2)?);
    machine.run(&[kernels::scan_prompts(shape, &sequences.views, &pool, &prompt.inputs, &scanned)?])?;
    let after_scan = f32_values(&machine.download(&pool)?);
    let count = lengths.len() as u64;
    let slots = &sequences.views.slots;
    machine.run(&[kernels::update_states(shape, count, slots, &pool, &next.inputs, &updated)?])?;
    let after_update = f32_values(&machine.download(&pool)?);

    let mut want_states: Vec<f64> = states.iter().map(|&value| f64::from(value)).collect();
    let head_state = (64 * shape.state) as usize;
    let mut want_scanned = vec![0.0; (tokens * shape.heads * 64) as usize];
    let heads = shape.heads as usize;
    for (sequence, &slot) in sequences.slots.iter().enumerate() {
        for head in 0..heads {
            let state = &mut want_states[(slot as usize * heads + head) * head_state..][..head_state];
            if sequences.from_zero[sequence] == 1 {
                state.fill(0.0);
            }
            for token in sequences.starts[sequence] as usize..sequences.starts[sequence + 1] as usize {
                let out = prompt.step(shape, token, head, state);
                want_scanned[(token * heads + head) * 64..][..64].copy_from_slice(&out);
            }
        }
    }
    // The update starts from the states that the scan left, so that its own error shows.
    let mut want_after: Vec<f64> = after_scan.iter().map(|&value| f64::from(value)).collect();
    let mut want_updated = Vec::new();
    for (sequence, &slot) in sequences.slots.iter().enumerate() {
        for head in 0..heads {
            let state = &mut want_after[(slot as usize * heads + head) * head_state..][..head_state];
            want_updated.extend(next.step(shape, sequence, head, state));
        }
    }
    let name = |what| format!("{what}, {} heads, {} groups, state {}", shape.heads, shape.groups, shape.state);
    Ok(vec![
        compare(name("chunk scan"), &bf16_results(machine, &scanned)?, &want_scanned, SCAN_TOLERANCE),
        compare(name("chunk scan states"), &after_scan, &want_states, SCAN_TOLERANCE),
        compare(name("state update"), &bf16_results(machine, &updated)?, &want_updated, 2.0 * BF16_TOLERANCE),
        compare(name("state update states"), &after_update, &want_after, 1e-5),
    ])
}

struct Lists {
    views: Sequences,
    slots: Vec<i32>,
    starts: Vec<i32>,
    from_zero: Vec<i32>,
}

/// Sequences in slots 3, 0 and 4, of which the last starts from the state that is there.
fn sequences(machine: &mut dyn Machine, lengths: &[u64]) -> Result<Lists, VerifyError> {
    let mut starts = vec![0];
    for &length in lengths {
        starts.push(starts[starts.len() - 1] + length as i32);
    }
    let slots: Vec<i32> = [3, 0, 4][..lengths.len()].to_vec();
    let from_zero: Vec<i32> = [1, 1, 0][..lengths.len()].to_vec();
    let views = Sequences {
        count: lengths.len() as u64,
        tokens: lengths.iter().sum(),
        longest: lengths.iter().copied().max().unwrap_or(0),
        slots: integers(machine, &slots)?,
        starts: integers(machine, &starts)?,
        from_zero: integers(machine, &from_zero)?,
    };
    Ok(Lists { views, slots, starts, from_zero })
}

fn convolution(
    machine: &mut dyn Machine,
    random: &mut Random,
    shape: StateSpaceShape,
    lengths: &[u64],
) -> Result<Vec<Check>, VerifyError> {
    let channels = shape.convolved_channels();
    let width = channels as usize;
    let tokens: u64 = lengths.iter().sum();
    let (input, values) = normals(machine, random, tokens * channels, 1.0)?;
    let (next, next_values) = normals(machine, random, lengths.len() as u64 * channels, 1.0)?;
    let (kept, kept_values) = normals(machine, random, shape.slots * 3 * channels, 1.0)?;
    let weights: Vec<f32> = (0..4 * width).map(|_| random.normal() * 0.5).collect();
    let bias: Vec<f32> = (0..width).map(|_| random.normal() * 0.1).collect();
    let operands =
        |input: View, weights: View, bias: View| ConvolutionInputs { input, kept: kept.clone(), weights, bias };
    let (weights_view, bias_view) = (floats(machine, &weights)?, floats(machine, &bias)?);
    let sequences = sequences(machine, lengths)?;
    let (scanned, updated) =
        (room(machine, tokens * channels * 2)?, room(machine, lengths.len() as u64 * channels * 2)?);
    let prompt = operands(input, weights_view.clone(), bias_view.clone());
    machine.run(&kernels::convolve_prompts(shape, &sequences.views, &prompt, &scanned)?)?;
    let token = operands(next, weights_view, bias_view);
    let count = lengths.len() as u64;
    machine.run(&[kernels::convolve_tokens(shape, count, &sequences.views.slots, &token, &updated)?])?;

    let (mut want_scanned, mut want_updated) = (Vec::new(), Vec::new());
    for (sequence, &slot) in sequences.slots.iter().enumerate() {
        let first = match sequences.from_zero[sequence] {
            1 => vec![0.0; 3 * width],
            _ => kept_values[slot as usize * 3 * width..][..3 * width].to_vec(),
        };
        let own = sequences.starts[sequence] as usize * width..sequences.starts[sequence + 1] as usize * width;
        let history = [&first[..], &values[own], &next_values[sequence * width..][..width]].concat();
        let at = |token: usize, channel: usize| {
            let taps =
                (0..4).map(|tap| history[(token + tap) * width + channel] * f64::from(weights[4 * channel + tap]));
            let sum = f64::from(bias[channel]) + taps.sum::<f64>();
            sum / (1.0 + (-sum).exp())
        };
        let length = lengths[sequence] as usize;
        want_scanned.extend(
            (0..length).flat_map(|token| (0..width).map(move |channel| (token, channel))).map(|(t, c)| at(t, c)),
        );
        want_updated.extend((0..width).map(|channel| at(length, channel)));
    }
    Ok(vec![
        compare(
            format!("convolution of {channels} channels"),
            &bf16_results(machine, &scanned)?,
            &want_scanned,
            2.0 * BF16_TOLERANCE,
        ),
        compare(
            format!("convolution of one token, {channels} channels"),
            &bf16_results(machine, &updated)?,
            &want_updated,
            2.0 * BF16_TOLERANCE,
        ),
    ])
}
