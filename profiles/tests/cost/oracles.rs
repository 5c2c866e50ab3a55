//! FLOPs and bytes of small models, computed by hand.

use profiles::cost::{EngineOverheads, ExpertRouting};
use profiles::{
    CostModel, DType, ExpertFfn, FeedForward, LatentAttention, LayerSpec, Mixer, Operator, Parallelism, Precision,
    StateSpace, StateSpaceKind,
};

use crate::{assert_same, bare, compile, decode, dense_layer, h100, pieces, shape, tiny};

/// One layer, 10 rows: hidden 256, 8 heads and 2 KV heads of 32, width 512.
#[test]
fn flops_of_a_dense_layer_are_those_of_its_matrices() {
    let (model, device) = (tiny(vec![dense_layer()]), h100());
    let cost = compile(&bare(&model, &device));
    let prompt = pieces(&[(7, 5)]);
    let totals = cost.explain(&shape(&prompt, decode(3, 20)));

    let flops = |operator| totals.operator(operator).flops;
    assert_same(flops(Operator::QkvProjection), 2.0 * 10.0 * 256.0 * (8.0 + 2.0 * 2.0) * 32.0, "QKV");
    assert_same(flops(Operator::OutputProjection), 2.0 * 10.0 * 8.0 * 32.0 * 256.0, "output");
    assert_same(flops(Operator::DenseFfn), 6.0 * 10.0 * 256.0 * 512.0, "feed-forward");
    assert_same(flops(Operator::PrefillAttention), 4.0 * 32.0 * 8.0 * (7.0 * 5.0 + 7.0 * 8.0 / 2.0), "prefill");
    assert_same(flops(Operator::DecodeAttention), 4.0 * 32.0 * 8.0 * 60.0, "decode");
    assert_same(flops(Operator::LmHead), 2.0 * 4.0 * 1024.0 * 256.0, "head over the 4 sampled positions only");
    assert_same(totals.useful_flops, totals.flops(), "nothing is padded");
}

/// The bytes that must move: weights once, the KV cache of the contexts, and the rows written to it.
#[test]
fn necessary_bytes_are_weights_and_caches() {
    let (model, device) = (tiny(vec![dense_layer(); 3]), h100());
    let totals = compile(&bare(&model, &device)).explain(&shape(&pieces(&[(7, 5)]), decode(3, 20)));

    let matrices = 256.0 * 12.0 * 32.0 + 256.0 * 256.0 + 3.0 * 256.0 * 512.0;
    let kv_per_token = 2.0 * 2.0 * 32.0 * 2.0;
    let (read, written) = (12.0 + 60.0, 10.0);
    let layer = 2.0 * matrices + kv_per_token * (read + written);
    assert_same(totals.necessary_bytes, 3.0 * layer + 2.0 * 1024.0 * 256.0, "necessary bytes");
}

#[test]
fn narrow_weights_and_caches_move_fewer_bytes() {
    let (model, device) = (tiny(vec![dense_layer()]), h100());
    let bytes = |weights, kv_cache| {
        let mut options = bare(&model, &device);
        options.precision = Precision { weights, kv_cache, activations: DType::Bf16 };
        let totals = compile(&options).explain(&shape(&[], decode(4, 100)));
        (totals.necessary_bytes, totals.flops())
    };
    let matrices = 256.0 * 12.0 * 32.0 + 256.0 * 256.0 + 3.0 * 256.0 * 512.0;
    let kv_elements = 2.0 * 2.0 * 32.0 * (400.0 + 4.0);
    let (wide, wide_flops) = bytes(DType::Bf16, DType::Bf16);
    let (weights, flops) = bytes(DType::Int4, DType::Bf16);
    assert_same(wide - weights, matrices * (2.0 - 4.25 / 8.0), "int4 weights");
    assert_same(wide_flops, flops, "weights alone do not change FLOPs");
    assert_same(wide - bytes(DType::Bf16, DType::Fp8).0, kv_elements, "fp8 cache");
}

#[test]
fn tensor_parallelism_shares_flops_and_sends_two_messages_per_layer() {
    let (model, device) = (tiny(vec![dense_layer(); 2]), h100());
    let step = pieces(&[(10, 0)]);
    let one = compile(&bare(&model, &device)).explain(&shape(&step, decode(0, 0)));
    let mut options = bare(&model, &device);
    options.parallelism = Parallelism::tensor(2);
    let two = compile(&options).explain(&shape(&step, decode(0, 0)));

    assert_same(one.flops(), two.flops(), "FLOPs of all GPUs together");
    // Two all-reduces per layer and one after the embedding; each of 2 GPUs sends 2·(2 − 1)/2 of m·h·b.
    let message = 10.0 * 256.0 * 2.0;
    assert_same(two.operator(Operator::AllReduce).link_bytes, 5.0 * 2.0 * message, "all-reduce");
    assert_same(one.operator(Operator::AllReduce).link_bytes, 0.0, "nothing to reduce on one GPU");
}

/// Between two stages, 16 bits of hidden state and of residual for each row; each GPU of a stage sends its share.
#[test]
fn each_boundary_between_stages_sends_hidden_states_and_residual_of_every_row() {
    let (model, device) = (tiny(vec![dense_layer(); 4]), h100());
    let (prompt, batch) = (pieces(&[(7, 5)]), decode(3, 20));
    let staged = |stages: u32, tensor: u32| {
        let mut options = bare(&model, &device);
        options.parallelism = Parallelism { pipeline_parallel_size: stages, ..Parallelism::tensor(tensor) };
        compile(&options).explain(&shape(&prompt, batch))
    };
    for tensor in [1, 2] {
        let one = staged(1, tensor);
        let joules = |stages: u32| staged(stages, tensor).dynamic_energy_j - one.dynamic_energy_j;
        for stages in [1, 2, 4] {
            let handover = *staged(stages, tensor).operator(Operator::Handover);
            assert_same(handover.link_bytes, f64::from(stages - 1) * 10.0 * 2.0 * 256.0 * 2.0, "bytes");
            assert_same(handover.time_ns(), 0.0, "its time lies between the stages");
        }
        assert!(joules(2) > 0.0, "bytes on links take energy");
        let per_boundary = joules(4) / joules(2);
        assert!((per_boundary - 3.0).abs() < 1e-3, "energy of three boundaries over that of one: {per_boundary}");
    }
}

#[test]
fn windows_limit_what_attention_reads_and_computes() {
    let mut layer = dense_layer();
    let Mixer::Attention(attention) = &mut layer.mixer else { unreachable!("the dense layer has attention") };
    attention.window = Some(16);
    let (model, device) = (tiny(vec![layer]), h100());
    let mut batch = decode(2, 100);
    batch.windowed_context_tokens = 32;
    let totals = compile(&bare(&model, &device)).explain(&shape(&pieces(&[(20, 0)]), batch));

    let pairs = f64::from((1..=20_u32).map(|i| i.min(16)).sum::<u32>());
    assert_same(totals.operator(Operator::PrefillAttention).flops, 4.0 * 32.0 * 8.0 * pairs, "prefill");
    assert_same(totals.operator(Operator::DecodeAttention).flops, 4.0 * 32.0 * 8.0 * 32.0, "decode");
}

fn expert_layer(shared_intermediate_size: u32) -> LayerSpec {
    let ffn =
        ExpertFfn { experts: 16, top_k: 2, intermediate_size: 64, shared_intermediate_size, gated: true, bias: false };
    LayerSpec { feed_forward: FeedForward::Experts(ffn), ..dense_layer() }
}

#[test]
fn experts_compute_for_every_row_and_are_read_once_however_many_rows_choose_them() {
    let (model, device) = (tiny(vec![expert_layer(128)]), h100());
    let totals = compile(&bare(&model, &device)).explain(&shape(&[], decode(5, 1)));

    assert_same(totals.operator(Operator::Experts).flops, 6.0 * 5.0 * 2.0 * 256.0 * 64.0, "routed");
    assert_same(totals.operator(Operator::SharedExperts).flops, 6.0 * 5.0 * 256.0 * 128.0, "shared");
    assert_same(totals.operator(Operator::Router).flops, 2.0 * 5.0 * 256.0 * 16.0, "router");
    let touched = 16.0 * (1.0 - (1.0 - 2.0 / 16.0_f64).powi(5));
    assert_same(totals.expert_load_bytes, touched * 3.0 * 256.0 * 64.0 * 2.0, "expert bytes");
}

#[test]
fn expert_parallel_ranks_divide_the_experts_and_send_rows_to_each_other() {
    let (model, device) = (tiny(vec![expert_layer(0)]), h100());
    let mut options = bare(&model, &device);
    options.parallelism = Parallelism { data_parallel_size: 4, enable_expert_parallel: true, ..Parallelism::tensor(1) };
    let totals = compile(&options).explain(&shape(&[], decode(5, 1)));

    // Rows of all 4 ranks meet; this rank's GPU holds a quarter of the experts.
    assert_same(totals.operator(Operator::Experts).flops, 6.0 * 5.0 * 2.0 * 256.0 * 64.0, "a quarter of 4 × 5 rows");
    let touched = 4.0 * (1.0 - (1.0 - 2.0 / 16.0_f64).powi(20));
    assert_same(totals.expert_load_bytes, touched * 3.0 * 256.0 * 64.0 * 2.0, "expert bytes");
    let one_way = 5.0 * 2.0 * 256.0 * 2.0 * 3.0 / 4.0;
    assert_same(totals.operator(Operator::AllToAll).link_bytes, 2.0 * one_way, "dispatch and combination");
}

#[test]
fn latent_attention_absorbs_when_decoding_and_expands_for_prompts() {
    let latent = LatentAttention {
        heads: 4,
        q_lora_rank: Some(48),
        kv_lora_rank: 64,
        qk_nope_head_dim: 32,
        qk_rope_head_dim: 16,
        v_head_dim: 24,
    };
    let (model, device) = (tiny(vec![LayerSpec { mixer: Mixer::Latent(latent), ..dense_layer() }]), h100());
    let totals = compile(&bare(&model, &device)).explain(&shape(&pieces(&[(7, 5)]), decode(3, 20)));

    let pairs = 7.0 * 5.0 + 28.0;
    let expansion = 2.0 * 5.0 * 64.0 * 4.0 * (32.0 + 24.0);
    let prefill = 2.0 * 4.0 * (32.0 + 16.0 + 24.0) * pairs + expansion;
    assert_same(totals.operator(Operator::PrefillAttention).flops, prefill, "prefill");
    assert_same(totals.operator(Operator::DecodeAttention).flops, 2.0 * 4.0 * (2.0 * 64.0 + 16.0) * 60.0, "decode");
    let projections = 256.0 * (48.0 + 80.0) + 48.0 * 4.0 * 48.0 + 64.0 * 4.0 * 56.0;
    assert_same(totals.operator(Operator::QkvProjection).flops, 2.0 * 10.0 * projections, "projections");
}

#[test]
fn state_space_mixers_move_a_state_per_sequence_not_per_token() {
    let space = StateSpace { kind: StateSpaceKind::Mamba1 { dt_rank: 16 }, d_inner: 512, d_state: 16, conv_kernel: 4 };
    let layer = LayerSpec { mixer: Mixer::StateSpace(space), feed_forward: FeedForward::None };
    let state_bytes = 2.0 * layer.mixer.state_elements_per_sequence() as f64 * 2.0;
    let (model, device) = (tiny(vec![layer]), h100());
    let cost = compile(&bare(&model, &device));
    let bytes = |sizes: &[(u32, u32)]| cost.explain(&shape(&pieces(sizes), decode(0, 0))).necessary_bytes;
    assert_same(bytes(&[(100, 0)]), bytes(&[(200, 0)]), "tokens");
    assert_same(bytes(&[(100, 0), (100, 0)]) - bytes(&[(200, 0)]), state_bytes, "sequences");
    let scan = cost.explain(&shape(&pieces(&[(100, 0)]), decode(0, 0))).operator(Operator::StateSpaceScan).flops;
    assert_same(scan, 100.0 * (6.0 * 512.0 * 16.0 + 2.0 * 4.0 * 512.0), "scan");
}

#[test]
fn cuda_graphs_pad_rows_of_matrices_but_not_of_attention() {
    let (model, device) = (tiny(vec![dense_layer()]), h100());
    let exact = compile(&bare(&model, &device)).explain(&shape(&[], decode(9, 50)));
    let mut options = bare(&model, &device);
    options.engine = EngineOverheads { step_gap_ns: 0.0, ..EngineOverheads::vllm_v1() };
    let padded = compile(&options).explain(&shape(&[], decode(9, 50)));

    let ratio = |operator| padded.operator(operator).flops / exact.operator(operator).flops;
    assert_same(ratio(Operator::DenseFfn), 16.0 / 9.0, "9 rows run as 16");
    assert_same(ratio(Operator::DecodeAttention), 1.0, "attention");
    assert_same(ratio(Operator::LmHead), 1.0, "head");
    assert_same(padded.useful_flops, exact.useful_flops, "padding is of no use");
}

#[test]
fn host_time_is_a_gap_and_a_part_per_request() {
    let (model, device) = (tiny(vec![dense_layer()]), h100());
    let mut options = bare(&model, &device);
    options.engine = EngineOverheads { step_gap_ns: 300_000.0, per_request_ns: 1_000.0, ..EngineOverheads::none() };
    let totals = compile(&options).explain(&shape(&pieces(&[(8, 0), (9, 0)]), decode(5, 10)));
    assert_same(totals.operator(Operator::Host).time_ns(), 307_000.0, "host");
}

/// Longer contexts cost attention of decodes more, and nothing else.
#[test]
fn energy_is_booked_to_the_operator_that_draws_it() {
    let (model, device) = (tiny(vec![dense_layer(); 4]), h100());
    let cost = compile(&bare(&model, &device));
    let of = |context: u64| cost.explain(&shape(&[], decode(32, context)));
    let (short, long) = (of(10_000), of(90_000));
    for ((operator, short), (_, long)) in short.operators().zip(long.operators()) {
        let more = long.dynamic_energy_j - short.dynamic_energy_j;
        if operator == Operator::DecodeAttention {
            assert!(more > 5.0 * short.dynamic_energy_j, "nine times the cache is read: {short:?}, {long:?}");
        } else {
            assert_same(long.dynamic_energy_j, short.dynamic_energy_j, operator.name());
        }
    }
    assert_same(long.sum().dynamic_energy_j, long.dynamic_energy_j, "all of it");
    assert!(short.operator(Operator::DenseFfn).dynamic_energy_j > 0.0, "products draw something");
}

/// Shared experts wait for nothing that rows on their way to experts do.
#[test]
fn overlap_hides_dispatch_behind_shared_experts() {
    let (model, device) = (tiny(vec![expert_layer(4096)]), h100());
    let mut options = bare(&model, &device);
    options.routing = ExpertRouting::Uniform;
    options.parallelism = Parallelism { data_parallel_size: 4, enable_expert_parallel: true, ..Parallelism::tensor(1) };
    let serial = compile(&options).explain(&shape(&pieces(&[(1024, 0)]), decode(0, 0)));
    options.overlap_collectives = true;
    let overlapped = compile(&options).explain(&shape(&pieces(&[(1024, 0)]), decode(0, 0)));

    let link = |totals: &profiles::CostTotals| totals.operator(Operator::AllToAll).time_ns();
    assert!(overlapped.time_ns() < serial.time_ns());
    assert_same(serial.time_ns() - overlapped.time_ns(), link(&serial) - link(&overlapped), "only link time is hidden");
    assert_same(serial.flops(), overlapped.flops(), "the work is the same");
}
