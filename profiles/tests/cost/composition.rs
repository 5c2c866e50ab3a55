//! Steps whose parts run beside each other.

use profiles::cost::{Composition, CostOptions, EngineOverheads};
use profiles::{CostModel, Operator, Parallelism};

use crate::{assert_same, compile, decode, h100, pieces, shape, shipped};

const B: f64 = 0.37;

#[test]
fn parts_beside_each_other_take_the_longer_and_a_share_of_the_shorter() {
    let overlapped = Composition::Overlapped { interference: B };
    assert_same(overlapped.time(3.0, 2.0), 3.74, "memory is hidden");
    assert_same(overlapped.time(2.0, 3.0), 3.74, "compute is hidden");
    assert_same(Composition::Serial.time(2.0, 3.0), 5.0, "nothing is hidden");
    assert_same(Composition::Overlapped { interference: 1.0 }.time(2.0, 3.0), 5.0, "full interference is no overlap");
}

/// Steps with much compute, with much memory, and with one of them alone; on stages, so that each has its own balance.
#[test]
fn an_overlapped_step_takes_what_its_serial_parts_say_and_the_books_add_up_to_it() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    for stages in [1, 3] {
        let with = |composition| {
            let parallelism = Parallelism { pipeline_parallel_size: stages, ..Parallelism::default() };
            compile(&CostOptions { composition, parallelism, ..CostOptions::new(&model, &device) })
        };
        let serial = with(Composition::Serial);
        let mut overlapped = with(Composition::Overlapped { interference: B });
        let (mut sum_ns, mut bound_by_reads) = (0.0, 0);
        let prompt = pieces(&[(2000, 0), (1000, 300)]);
        for (prefill, batch) in [
            (&prompt[..], decode(100, 500)),
            (&prompt[..], decode(200, 20_000)),
            (&prompt[..], decode(0, 0)),
            (&[], decode(200, 9000)),
        ] {
            let shape = shape(prefill, batch);
            let totals = serial.explain(&shape);
            let (compute, memory) = (totals.parts.compute.sum_ns, totals.parts.memory.sum_ns);
            assert_same(memory, totals.operator(Operator::DecodeAttention).time_ns(), "memory part");
            let host = totals.operator(Operator::Host).time_ns();
            assert_same(compute + memory + host, totals.time_ns(), "parts and host are all there is");
            let mut stage_ns = vec![0; stages as usize];
            let step_ns = overlapped.step(&shape, &mut stage_ns).duration_ns as f64;
            sum_ns += step_ns;
            if stages == 1 {
                // Where few rows are computed, weights and cache come through the same memory one after the other.
                let weight_bytes = 2.0 * (model.parameters().total() - model.parameters().embedding) as f64;
                let read = memory + (weight_bytes / (device.memory_bandwidth * 0.8533) * 1e9).min(compute);
                let expected = (compute.max(memory) + B * compute.min(memory)).max(read) + host;
                assert!((step_ns / expected - 1.0).abs() <= 1e-4, "{step_ns} ns, expected {expected}");
                bound_by_reads += u32::from(read > compute.max(memory) + B * compute.min(memory));
            }
        }
        assert_eq!(bound_by_reads, u32::from(stages == 1), "decodes alone hide no weights behind the cache");
        let booked = overlapped.totals().time_ns();
        assert!((booked - sum_ns).abs() <= 4.0 * f64::from(stages), "booked {booked}, steps took {sum_ns}");
    }
}

#[test]
fn overlapping_changes_no_work_and_draws_no_more_energy() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let engine = EngineOverheads::none();
    let explain = |composition| {
        let options = CostOptions { composition, engine: engine.clone(), ..CostOptions::new(&model, &device) };
        compile(&options).explain(&shape(&pieces(&[(1000, 0)]), decode(200, 4000)))
    };
    let serial = explain(Composition::Serial);
    let overlapped = explain(Composition::Overlapped { interference: B });
    assert!(overlapped.time_ns() < 0.9 * serial.time_ns(), "something is hidden");
    assert_same(serial.flops(), overlapped.flops(), "FLOPs");
    assert_same(serial.sum().memory_bytes, overlapped.sum().memory_bytes, "bytes");
    assert!(overlapped.dynamic_energy_j <= serial.dynamic_energy_j, "a GPU that is busy twice is busy once");
    assert!(overlapped.dynamic_energy_j > 0.5 * serial.dynamic_energy_j, "the work itself draws what it drew");
}

#[test]
fn interference_beyond_a_share_is_refused() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    for interference in [-0.1, 1.5, f64::NAN] {
        let composition = Composition::Overlapped { interference };
        let options = CostOptions { composition, ..CostOptions::new(&model, &device) };
        let error = profiles::cost::AnalyticCost::new(&options).expect_err("no share").to_string();
        assert!(error.contains("interference") && error.contains("from 0 to 1"), "{error}");
    }
}
