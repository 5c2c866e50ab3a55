//! Routing, sorting, grouped products and combination of experts.

use super::setup::{bf16_results, integers, normals, room};
use super::{BF16_TOLERANCE, Check, VerifyError, compare};
use crate::kernels::{self, ExpertRouting, GroupedInput, SortedPairs};
use crate::machine::Machine;
use crate::numbers::{Random, f32_values, i32_values};

pub(super) fn check(machine: &mut dyn Machine) -> Result<Vec<Check>, VerifyError> {
    let mut random = Random::new(3);
    let routing = |tokens, experts, top_k| ExpertRouting { tokens, experts, top_k };
    let mut checks = Vec::new();
    checks.extend(choices(machine, &mut random, routing(9, 128, 8))?);
    checks.extend(choices(machine, &mut random, routing(3, 60, 4))?);
    for (tile_rows, [n, k]) in [(16, [136, 96]), (64, [128, 200]), (128, [264, 64])] {
        // Experts 3 and 4 get nobody, expert 0 gets many.
        let routing = routing(37, 7, 2);
        let chosen: Vec<i32> = (0..37).flat_map(|token| [0, [1, 2, 5, 6][token % 4]]).collect();
        checks.extend(products(machine, &mut random, routing, &chosen, tile_rows, [n, k])?);
    }
    Ok(checks)
}

fn choices(machine: &mut dyn Machine, random: &mut Random, routing: ExpertRouting) -> Result<Vec<Check>, VerifyError> {
    let ExpertRouting { tokens, experts, top_k } = routing;
    let (logits, values) = normals(machine, random, tokens * experts, 1.5)?;
    let (chosen, weights) = (room(machine, routing.pairs() * 4)?, room(machine, routing.pairs() * 4)?);
    machine.run(&[kernels::route(routing, &logits, &chosen, &weights)?])?;
    let (mut want_chosen, mut want_weights) = (Vec::new(), Vec::new());
    for row in values.chunks(experts as usize) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
        let exps: Vec<f64> = order[..top_k as usize].iter().map(|&expert| row[expert].exp()).collect();
        want_chosen.extend(order[..top_k as usize].iter().map(|&expert| expert as f64));
        want_weights.extend(exps.iter().map(|exp| exp / exps.iter().sum::<f64>()));
    }
    let got: Vec<f32> = i32_values(&machine.download(&chosen)?).into_iter().map(|expert| expert as f32).collect();
    Ok(vec![
        compare(format!("routing to {top_k} of {experts}"), &got, &want_chosen, 0.0),
        compare(
            format!("routing weights, {top_k} of {experts}"),
            &f32_values(&machine.download(&weights)?),
            &want_weights,
            1e-5,
        ),
    ])
}

fn product(input: &[f64], weights: &[f64], expert: i32, [n, k]: [u64; 2]) -> Vec<f64> {
    let matrix = &weights[expert as usize * (n * k) as usize..][..(n * k) as usize];
    matrix.chunks(k as usize).map(|row| row.iter().zip(input).map(|(w, x)| w * x).sum()).collect()
}

fn products(
    machine: &mut dyn Machine,
    random: &mut Random,
    routing: ExpertRouting,
    chosen: &[i32],
    tile_rows: u64,
    [n, k]: [u64; 2],
) -> Result<Vec<Check>, VerifyError> {
    let pairs = routing.pairs();
    let deviation = |depth: u64| (depth as f32).sqrt().recip();
    let (input, input_values) = normals(machine, random, routing.tokens * k, 1.0)?;
    let (up, up_values) = normals(machine, random, routing.experts * n * k, deviation(k))?;
    let (down, down_values) = normals(machine, random, routing.experts * k * n, deviation(n))?;
    let gates: Vec<f32> = (0..pairs).map(|_| random.uniform() as f32).collect();
    let (gates_view, chosen_view) = (machine.upload(&crate::numbers::f32_bytes(&gates))?, integers(machine, chosen)?);
    let sorted = SortedPairs {
        expert_start: room(machine, (routing.experts + 1) * 4)?,
        pair_of_row: room(machine, pairs * 4)?,
        row_of_pair: room(machine, pairs * 4)?,
        tiles: room(machine, routing.most_tiles(tile_rows) * 8)?,
        tile_count: room(machine, 4)?,
    };
    let (middle, late, out) =
        (room(machine, pairs * n * 2)?, room(machine, pairs * k * 2)?, room(machine, routing.tokens * k * 2)?);
    machine.run(&[
        kernels::sort_by_expert(routing, tile_rows, &chosen_view, &sorted)?,
        kernels::grouped_product(routing, tile_rows, [n, k], GroupedInput::Tokens, &input, &up, &middle, &sorted)?,
        kernels::grouped_product(routing, tile_rows, [k, n], GroupedInput::Sorted, &middle, &down, &late, &sorted)?,
        kernels::combine_experts(routing, k, &late, &gates_view, &sorted.row_of_pair, &out)?,
    ])?;

    let row_of_pair = i32_values(&machine.download(&sorted.row_of_pair)?);
    let got_middle = bf16_results(machine, &middle)?;
    let (mut got_by_pair, mut want_by_pair) = (Vec::new(), Vec::new());
    let mut want = vec![0.0; (routing.tokens * k) as usize];
    for (pair, &expert) in chosen.iter().enumerate() {
        let token = pair / routing.top_k as usize;
        let first = product(&input_values[token * k as usize..][..k as usize], &up_values, expert, [n, k]);
        got_by_pair.extend_from_slice(
            got_middle.get(row_of_pair[pair] as usize * n as usize..).unwrap_or(&[])[..n as usize].as_ref(),
        );
        let second = product(&first, &down_values, expert, [k, n]);
        want_by_pair.extend(first);
        let sum = &mut want[token * k as usize..][..k as usize];
        sum.iter_mut().zip(second).for_each(|(sum, value)| *sum += f64::from(gates[pair]) * value);
    }
    let mut rows = row_of_pair.clone();
    rows.sort_unstable();
    let each_once = rows.iter().copied().eq(0..pairs as i32);
    let name = |what| format!("{what}, tiles of {tile_rows}, n = {n}, k = {k}");
    Ok(vec![
        Check { name: name("sorting"), error: f64::from(u8::from(!each_once)), tolerance: 0.0 },
        compare(name("grouped product"), &got_by_pair, &want_by_pair, BF16_TOLERANCE),
        compare(name("experts"), &bf16_results(machine, &out)?, &want, 2.0 * BF16_TOLERANCE),
    ])
}
