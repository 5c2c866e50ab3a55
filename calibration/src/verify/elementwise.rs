//! Norms, rotary embedding, activation, embedding, sampling, copies, quantisation.

use super::setup::{bf16_results, floats, integers, normals, room};
use super::{BF16_TOLERANCE, Check, VerifyError, compare};
use crate::kernels::{self, RotaryShape};
use crate::machine::Machine;
use crate::numbers::{Random, f32_values, from_e4m3, i32_values};

pub(super) fn check(machine: &mut dyn Machine) -> Result<Vec<Check>, VerifyError> {
    let mut random = Random::new(1);
    let mut checks = Vec::new();
    for (rows, hidden) in [(1, 64), (3, 2048), (5, 5120), (2, 16_384)] {
        checks.extend(norms(machine, &mut random, rows, hidden)?);
    }
    for (query_heads, kv_heads, head_dim) in [(4, 1, 64), (8, 2, 128)] {
        let shape = RotaryShape { tokens: 5, query_heads, kv_heads, head_dim, positions: 40, slots: 32 };
        checks.extend(rotary(machine, &mut random, shape)?);
    }
    checks.push(activation(machine, &mut random, 3, 776)?);
    checks.push(embedding(machine, &mut random)?);
    checks.push(sampling(machine, &mut random, 3, 5000)?);
    checks.extend(streams(machine, &mut random, 16 * 5000)?);
    checks.extend(quantisation(machine, &mut random, 3, 1032)?);
    Ok(checks)
}

fn norm_reference(rows: &[f64], weight: &[f64]) -> Vec<f64> {
    let normalise = |row: &[f64]| {
        let scale = (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64 + 1e-5).sqrt().recip();
        row.iter().zip(weight).map(|(x, w)| x * scale * w).collect::<Vec<_>>()
    };
    rows.chunks(weight.len()).flat_map(normalise).collect()
}

fn norms(machine: &mut dyn Machine, random: &mut Random, rows: u64, hidden: u64) -> Result<Vec<Check>, VerifyError> {
    let (input, input_values) = normals(machine, random, rows * hidden, 1.0)?;
    let (residual, residual_values) = normals(machine, random, rows * hidden, 1.0)?;
    let (weight, weight_values) = normals(machine, random, hidden, 1.0)?;
    let (plain, added) = (room(machine, rows * hidden * 2)?, room(machine, rows * hidden * 2)?);
    machine.run(&[
        kernels::rms_norm(rows, hidden, &input, &weight, &plain)?,
        kernels::add_rms_norm(rows, hidden, &input, &residual, &weight, &added)?,
    ])?;
    let sums: Vec<f64> = input_values.iter().zip(&residual_values).map(|(x, r)| x + r).collect();
    let name = |what| format!("{what} {rows} x {hidden}");
    Ok(vec![
        compare(
            name("rms_norm"),
            &bf16_results(machine, &plain)?,
            &norm_reference(&input_values, &weight_values),
            3.0 * BF16_TOLERANCE, // values reach 4 deviations times weights of 4
        ),
        compare(
            name("add_rms_norm"),
            &bf16_results(machine, &added)?,
            &norm_reference(&sums, &weight_values),
            3.0 * BF16_TOLERANCE,
        ),
        compare(name("add_rms_norm residual"), &bf16_results(machine, &residual)?, &sums, BF16_TOLERANCE),
    ])
}

fn rotary(machine: &mut dyn Machine, random: &mut Random, shape: RotaryShape) -> Result<Vec<Check>, VerifyError> {
    let RotaryShape { tokens, query_heads, kv_heads, head_dim, positions, slots } = shape;
    let heads = query_heads + 2 * kv_heads;
    let (qkv, values) = normals(machine, random, tokens * heads * head_dim, 1.0)?;
    let angle_values = kernels::rotary_angles(positions, head_dim, 10_000.0);
    let angles = floats(machine, &angle_values)?;
    let at: Vec<i32> = (0..tokens).map(|_| random.below(positions) as i32).collect();
    let mut places: Vec<i32> = (0..slots as i32).collect();
    random.shuffle(&mut places);
    let (positions_list, slots_list) = (integers(machine, &at)?, integers(machine, &places[..tokens as usize])?);
    let query = room(machine, tokens * query_heads * head_dim * 2)?;
    let pool_bytes = (slots * kv_heads * head_dim * 2) as usize;
    let (keys, key_value) = (machine.upload(&vec![0; pool_bytes])?, machine.upload(&vec![0; pool_bytes])?);
    machine.run(&[kernels::rotate_and_append(
        shape,
        &qkv,
        &angles,
        &positions_list,
        &slots_list,
        &query,
        &keys,
        &key_value,
    )?])?;

    let (head_dim, half) = (head_dim as usize, head_dim as usize / 2);
    let mut want_query = Vec::new();
    let mut want_keys = vec![0.0; slots as usize * kv_heads as usize * head_dim];
    let mut want_values = want_keys.clone();
    for token in 0..tokens as usize {
        let rotate = |head: usize, i: usize| {
            let row = &values[(token * heads as usize + head) * head_dim..][..head_dim];
            let angle = f64::from(at[token]) * 10_000f64.powf(-2.0 * (i % half) as f64 / head_dim as f64);
            if i < half {
                row[i] * angle.cos() - row[i + half] * angle.sin()
            } else {
                row[i] * angle.cos() + row[i - half] * angle.sin()
            }
        };
        for head in 0..query_heads as usize {
            want_query.extend((0..head_dim).map(|i| rotate(head, i)));
        }
        for head in 0..kv_heads as usize {
            let to = (places[token] as usize * kv_heads as usize + head) * head_dim;
            for i in 0..head_dim {
                want_keys[to + i] = rotate(query_heads as usize + head, i);
                let value_head = (query_heads + kv_heads) as usize + head;
                want_values[to + i] = values[(token * heads as usize + value_head) * head_dim + i];
            }
        }
    }
    let name = |what| format!("rotary {what}, {query_heads} + {kv_heads} heads of {head_dim}");
    // Most of the pools is zero and makes the mean square small.
    let sparse = BF16_TOLERANCE * (slots as f64 / tokens as f64).sqrt();
    Ok(vec![
        compare(name("query"), &bf16_results(machine, &query)?, &want_query, BF16_TOLERANCE),
        compare(name("keys"), &bf16_results(machine, &keys)?, &want_keys, sparse),
        compare(name("values"), &bf16_results(machine, &key_value)?, &want_values, 0.0),
    ])
}

fn activation(machine: &mut dyn Machine, random: &mut Random, rows: u64, width: u64) -> Result<Check, VerifyError> {
    let (input, values) = normals(machine, random, rows * 2 * width, 2.0)?;
    let out = room(machine, rows * width * 2)?;
    machine.run(&[kernels::silu_mul(rows, width, &input, &out)?])?;
    let want: Vec<f64> = values
        .chunks(2 * width as usize)
        .flat_map(|row| {
            let (gate, up) = row.split_at(width as usize);
            gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect::<Vec<_>>()
        })
        .collect();
    Ok(compare("silu_mul", &bf16_results(machine, &out)?, &want, 4.0 * BF16_TOLERANCE))
}

fn embedding(machine: &mut dyn Machine, random: &mut Random) -> Result<Check, VerifyError> {
    let (vocabulary, width, tokens) = (50, 520, 7);
    let (table, values) = normals(machine, random, vocabulary * width, 1.0)?;
    let ids: Vec<i32> = (0..tokens).map(|_| random.below(vocabulary) as i32).collect();
    let ids_list = integers(machine, &ids)?;
    let out = room(machine, tokens * width * 2)?;
    machine.run(&[kernels::embed(tokens, width, vocabulary, &table, &ids_list, &out)?])?;
    let rows = ids.iter().flat_map(|&id| &values[id as usize * width as usize..][..width as usize]);
    let want: Vec<f64> = rows.copied().collect();
    Ok(compare("embedding", &bf16_results(machine, &out)?, &want, 0.0))
}

fn sampling(machine: &mut dyn Machine, random: &mut Random, rows: u64, vocabulary: u64) -> Result<Check, VerifyError> {
    let (logits, values) = normals(machine, random, rows * vocabulary, 1.0)?;
    let out = room(machine, rows * 4)?;
    machine.run(&[kernels::sample_greedy(rows, vocabulary, &logits, &out)?])?;
    let first_largest = |row: &[f64]| {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        row.iter().position(|value| value.total_cmp(&largest).is_eq()).map_or(-1.0, |index| index as f64)
    };
    let want: Vec<f64> = values.chunks(vocabulary as usize).map(first_largest).collect();
    let got: Vec<f32> = i32_values(&machine.download(&out)?).into_iter().map(|index| index as f32).collect();
    Ok(compare("sampling", &got, &want, 0.0))
}

fn streams(machine: &mut dyn Machine, random: &mut Random, bytes: u64) -> Result<Vec<Check>, VerifyError> {
    let (from, values) = normals(machine, random, bytes / 2, 1.0)?;
    let multiprocessors = machine.multiprocessors();
    let (to, sums) = (room(machine, bytes)?, machine.upload(&vec![0; 64 * multiprocessors as usize])?);
    machine.run(&[
        kernels::copy(bytes, multiprocessors, &from, &to)?,
        kernels::read(bytes, multiprocessors, &from, &sums)?,
    ])?;
    let original = machine.download(&from)?;
    let word = |sum: u32, bytes: &[u8; 4]| sum.wrapping_add(u32::from_le_bytes(*bytes));
    let want = original.as_chunks().0.iter().fold(0, word);
    let got = machine.download(&sums)?.as_chunks().0.iter().fold(0, word);
    let read = Check { name: "read".into(), error: f64::from(u8::from(got != want)), tolerance: 0.0 };
    Ok(vec![compare("copy", &bf16_results(machine, &to)?, &values, 0.0), read])
}

fn quantisation(
    machine: &mut dyn Machine,
    random: &mut Random,
    rows: u64,
    width: u64,
) -> Result<Vec<Check>, VerifyError> {
    let (input, values) = normals(machine, random, rows * width, 3.0)?;
    let (out, scales) = (room(machine, rows * width)?, room(machine, rows * 4)?);
    machine.run(&[kernels::quantise_rows(rows, width, &input, &out, &scales)?])?;
    let got_scales = f32_values(&machine.download(&scales)?);
    let largest = |row: &[f64]| row.iter().map(|value| value.abs()).fold(0.0, f64::max) / 448.0;
    let want_scales: Vec<f64> = values.chunks(width as usize).map(largest).collect();
    let codes = machine.download(&out)?;
    // Every code must be nearest to its value: no other code may be nearer by more than rounding of the scaling.
    let mut worst: f64 = 0.0;
    for (index, (&code, value)) in codes.iter().zip(&values).enumerate() {
        let scaled = value / want_scales[index / width as usize];
        let distance = |code: u8| (f64::from(from_e4m3(code)) - scaled).abs();
        let codes = (0..=255u8).filter(|&code| !from_e4m3(code).is_nan());
        let nearest = codes.map(distance).fold(f64::INFINITY, f64::min);
        let excess = (distance(code) - nearest) / scaled.abs().max(1.0);
        worst = if excess.is_nan() { f64::INFINITY } else { worst.max(excess) };
    }
    Ok(vec![
        compare("quantisation scales", &got_scales, &want_scales, 1e-5),
        Check { name: "quantisation codes beyond the nearest".into(), error: worst, tolerance: 1e-5 },
    ])
}
