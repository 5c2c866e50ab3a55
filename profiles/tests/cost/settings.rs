//! Settings that cannot be right are refused, with what would be.

use profiles::cost::{AnalyticCost, Architecture, CostOptions, EngineOverheads, ExpertRouting, Link, PrefillCoverage};
use profiles::{DType, DeviceSpec, Parallelism, Precision};

use crate::{h100, shipped};

#[track_caller]
fn refused(change: impl FnOnce(&mut CostOptions<'_>)) -> String {
    let (model, device) = (shipped("Qwen/Qwen3-30B-A3B"), h100());
    let mut options = CostOptions::new(&model, &device);
    change(&mut options);
    AnalyticCost::new(&options).expect_err("must be refused").to_string()
}

#[test]
fn messages_name_the_setting_and_what_would_be_right() {
    for (message, part) in [
        (refused(|o| o.max_num_seqs = 0), "max_num_seqs = 0: use 1 or more"),
        (refused(|o| o.engine.step_gap_ns = f64::NAN), "step_gap_ns = NaN: use a finite time"),
        (refused(|o| o.engine.cuda_graph_sizes = vec![8, 4]), "cuda_graph_sizes = [8, 4]: use row counts"),
        (refused(|o| o.link = Some(Link { bandwidth: 0.0, latency_ns: 1.0 })), "link bandwidth = 0"),
        (refused(|o| o.parallelism = Parallelism::tensor(3)), "tensor_parallel_size = 3"),
        (refused(|o| o.routing = zipf(-1.0, PrefillCoverage::Exponent(1.0))), "decode_exponent = -1"),
        (refused(|o| o.routing = zipf(1.0, PrefillCoverage::Curve(vec![]))), "prefill coverage = []"),
        (refused(|o| o.routing = zipf(1.0, PrefillCoverage::Curve(vec![(64, 0.9), (128, 0.8)]))), "shares not falling"),
    ] {
        assert!(message.contains(part), "`{message}` should contain `{part}`");
    }
}

fn zipf(decode_exponent: f64, prefill: PrefillCoverage) -> ExpertRouting {
    ExpertRouting::Zipf { decode_exponent, prefill }
}

#[test]
fn a_device_without_fp8_cores_refuses_fp8_activations() {
    let model = shipped("meta-llama/Llama-3.1-8B");
    let device = DeviceSpec::shipped("A100").expect("a shipped device");
    let mut options = CostOptions::new(&model, &device);
    options.precision = Precision { weights: DType::Fp8, activations: DType::Fp8, kv_cache: DType::Bf16 };
    assert!(AnalyticCost::new(&options).is_err());
}

#[test]
fn an_unknown_device_needs_its_architecture_stated() {
    let model = shipped("meta-llama/Llama-3.1-8B");
    let device = DeviceSpec { name: "MI300X".into(), aliases: Vec::new(), ..h100() };
    let mut options = CostOptions::new(&model, &device);
    let message = AnalyticCost::new(&options).expect_err("no curves").to_string();
    assert!(message.contains("`MI300X`") && message.contains("hopper"), "{message}");
    options.architecture = Some(Architecture::Hopper);
    assert!(AnalyticCost::new(&options).is_ok());
}

#[test]
fn captured_sizes_are_those_of_vllm() {
    let sizes = EngineOverheads::vllm_v1().cuda_graph_sizes;
    assert_eq!(sizes[..6], [1, 2, 4, 8, 16, 24]);
    assert_eq!(sizes.last(), Some(&512));
    assert_eq!(sizes.len(), 51, "3 small ones, 31 multiples of 8, 17 of 16");
}
