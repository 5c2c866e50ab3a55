//! Shipped models against published figures.

use profiles::{DType, FeedForward, Mixer, ModelSpec};

/// What is published about a shipped model.
struct Published {
    name: &'static str,
    /// Parameters: the tensors of the published checkpoint where a digit is given for each, else the stated total.
    total: f64,
    /// Parameters per token, where the model has experts.
    active: Option<f64>,
    /// Bytes of bf16 KV cache per token.
    kv_bytes: u64,
}

const fn dense(name: &'static str, total: f64, kv_bytes: u64) -> Published {
    Published { name, total, active: None, kv_bytes }
}

const fn sparse(name: &'static str, total: f64, active: f64, kv_bytes: u64) -> Published {
    Published { name, total, active: Some(active), kv_bytes }
}

/// Totals: "Safetensors, model size" of each Hugging Face model card unless said otherwise. KV bytes: 2 × layers × KV
/// heads × head size × 2 by hand.
const PUBLISHED: &[Published] = &[
    dense("llama-2-7b", 6_738_415_616.0, 524_288),
    dense("llama-2-13b", 13_015_864_320.0, 819_200),
    dense("llama-2-70b", 68_976_648_192.0, 327_680),
    dense("llama-3.1-8b", 8_030_261_248.0, 131_072),
    dense("llama-3.1-70b", 70_553_706_496.0, 327_680),
    dense("llama-3.1-405b", 405e9, 516_096), // The Llama 3 Herd of Models (arXiv 2407.21783), table 3
    dense("codellama-34b", 33_743_970_304.0, 196_608),
    dense("llama-33b", 32.5e9, 1_597_440), // LLaMA (arXiv 2302.13971), table 2
    dense("llama-65b", 65.2e9, 2_621_440), // LLaMA (arXiv 2302.13971), table 2
    dense("yi-34b", 34_388_917_248.0, 245_760),
    dense("mistral-7b", 7_241_732_096.0, 131_072),
    dense("mistral-large-2407", 123e9, 360_448),      // model card
    sparse("mixtral-8x7b", 46.7e9, 12.9e9, 131_072), // Mixtral of Experts (arXiv 2401.04088), section 2, and model card
    sparse("mixtral-8x22b", 141e9, 39e9, 229_376),   // mistral.ai, "Cheaper, Better, Faster, Stronger", April 2024
    dense("qwen3-8b", 8.2e9, 147_456),               // Qwen3-8B model card
    dense("qwen3-14b", 14.8e9, 163_840),             // Qwen3-14B model card
    dense("qwen3-32b", 32.8e9, 262_144),             // Qwen3-32B model card
    sparse("qwen3-30b-a3b", 30.5e9, 3.3e9, 98_304),  // Qwen3-30B-A3B model card
    sparse("qwen3-235b-a22b", 235e9, 22e9, 192_512), // Qwen3-235B-A22B model card
    sparse("gpt-oss-20b", 20.91e9, 3.61e9, 49_152),  // gpt-oss model card (arXiv 2508.10925), table 1
    sparse("gpt-oss-120b", 116.83e9, 5.13e9, 73_728), // gpt-oss model card (arXiv 2508.10925), table 1
    dense("opt-13b", 12_853_473_280.0, 819_200),     // tensors of the checkpoint; the paper says 13B
    dense("opt-66b", 66e9, 2_359_296),               // OPT (arXiv 2205.01068), table 1
    dense("opt-175b", 175e9, 4_718_592),             // OPT (arXiv 2205.01068), table 1
    sparse("deepseek-v3", 671e9, 37e9, 70_272), // DeepSeek-V3 (arXiv 2412.19437), abstract; (512 + 64) × 61 × 2 bytes
    sparse("jamba-1.5-mini", 52e9, 12e9, 16_384), // Jamba-1.5 (arXiv 2408.12570), abstract
    dense("marconi-7b", 6.73e9, 65_536), // no total is published; by hand: 28 × 8 h² + 24 × 6 h² + 4 × 4 h² + 2 × 32,000 h
];

fn model(name: &str) -> ModelSpec {
    ModelSpec::shipped(name).expect("shipped")
}

#[test]
fn every_shipped_model_is_held_against_published_figures() {
    let mut checked: Vec<String> = PUBLISHED.iter().map(|published| model(published.name).name).collect();
    let mut shipped = ModelSpec::shipped_names();
    checked.sort();
    shipped.sort();
    assert_eq!(checked, shipped);
}

#[test]
fn parameters_are_within_one_percent_of_the_published_total() {
    for published in PUBLISHED {
        let total = model(published.name).parameters().total() as f64;
        let error = total / published.total - 1.0;
        assert!(error.abs() <= 0.01, "{}: {total} parameters, {:+.2} %", published.name, 100.0 * error);
    }
}

/// Checkpoints whose tensors are known to the last element: nothing is forgotten, no bias and no norm.
#[test]
fn parameters_of_plain_checkpoints_are_exact() {
    for (name, tensors) in [
        ("llama-2-7b", 6_738_415_616),
        ("llama-2-13b", 13_015_864_320),
        ("llama-2-70b", 68_976_648_192),
        ("llama-3.1-8b", 8_030_261_248),
        ("llama-3.1-70b", 70_553_706_496),
        ("codellama-34b", 33_743_970_304),
        ("yi-34b", 34_388_917_248),
        ("mistral-7b", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704),
        ("qwen3-8b", 8_190_735_360),
        ("qwen3-14b", 14_768_307_200),
        ("qwen3-32b", 32_762_123_264),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("qwen3-235b-a22b", 235_093_634_560),
        ("opt-13b", 12_853_473_280),
    ] {
        assert_eq!(model(name).parameters().total(), tensors, "{name}");
    }
}

/// Published active counts are rounded to a digit or two, and disagree on whether the embedding table counts: one of
/// the two readings must be within 2 %.
#[test]
fn active_parameters_agree_with_the_published_ones() {
    for published in PUBLISHED {
        let count = model(published.name).active_parameters();
        let Some(active) = published.active else {
            assert_eq!(count, model(published.name).parameters(), "{}: dense", published.name);
            continue;
        };
        let readings = [count.total(), count.total() - count.embedding];
        let nearest = readings.iter().map(|&reading| (reading as f64 / active - 1.0).abs()).fold(f64::MAX, f64::min);
        assert!(nearest <= 0.02, "{}: {readings:?} active, published {active}", published.name);
    }
}

#[test]
fn kv_bytes_per_token_are_exact() {
    for published in PUBLISHED {
        let model = model(published.name);
        assert_eq!(model.kv_bytes_per_token(DType::Bf16), published.kv_bytes, "{}", published.name);
        assert_eq!(model.kv_bytes_per_token(DType::Fp8) * 2, published.kv_bytes, "{} in fp8", published.name);
    }
}

#[test]
fn every_shipped_model_says_where_its_figures_come_from_and_leaves_no_key_unread() {
    for name in ModelSpec::shipped_names() {
        let model = model(&name);
        assert!(model.source.contains("http") || model.source.contains("arXiv"), "{name}: {}", model.source);
        assert!(!model.notes.iter().any(|note| note.contains("not understood")), "{name}: {:?}", model.notes);
    }
}

#[test]
fn names_are_found_in_any_case_and_by_alias() {
    for alias in ["meta-llama/Llama-3.1-8B", "LLAMA-3.1-8B", "meta-llama/meta-llama-3.1-8b-instruct"] {
        assert_eq!(model(alias).name, "meta-llama/Llama-3.1-8B");
    }
}

#[test]
fn a_misspelt_model_is_answered_with_the_nearest_name_and_the_list() {
    let message = ModelSpec::shipped("Llama-3.1-9B").unwrap_err().to_string();
    assert!(message.contains("did you mean `Llama-3.1-8B`?"), "{message}");
    assert!(message.contains("Qwen/Qwen3-14B"), "{message}");
    let message = ModelSpec::shipped("zzz").unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn windows_are_where_the_papers_put_them() {
    let windows = |name: &str| -> Vec<Option<u32>> {
        let window = |mixer: &Mixer| match mixer {
            Mixer::Attention(attention) => attention.window,
            _ => None,
        };
        model(name).layers.iter().map(|layer| window(&layer.mixer)).collect()
    };
    assert_eq!(windows("mistral-7b"), vec![Some(4096); 32]);
    assert_eq!(windows("mixtral-8x7b"), vec![None; 32]);
    assert_eq!(windows("qwen3-8b"), vec![None; 36]);
    assert_eq!(windows("gpt-oss-20b"), [Some(128), None].repeat(12));
}

#[test]
fn hybrid_models_have_the_published_mix_of_layers() {
    let count = |name: &str, test: fn(&profiles::LayerSpec) -> bool| {
        model(name).layers.iter().filter(|layer| test(layer)).count()
    };
    let attends = |layer: &profiles::LayerSpec| matches!(layer.mixer, Mixer::Attention(_));
    let recurs = |layer: &profiles::LayerSpec| matches!(layer.mixer, Mixer::StateSpace(_));
    let routes = |layer: &profiles::LayerSpec| matches!(layer.feed_forward, FeedForward::Experts(_));
    let feeds = |layer: &profiles::LayerSpec| matches!(layer.feed_forward, FeedForward::Dense(_));
    assert_eq!((count("jamba-1.5-mini", attends), count("jamba-1.5-mini", recurs)), (4, 28));
    assert_eq!(count("jamba-1.5-mini", routes), 16);
    assert_eq!((count("marconi-7b", attends), count("marconi-7b", recurs), count("marconi-7b", feeds)), (4, 24, 28));
    assert_eq!((count("deepseek-v3", feeds), count("deepseek-v3", routes)), (3, 58));
}

/// Per mixer: inner width × state, and three columns of convolution.
#[test]
fn states_of_hybrid_models_are_counted_by_hand() {
    let jamba = 28 * (8192 * 16 + 3 * 8192);
    assert_eq!(model("jamba-1.5-mini").state_elements_per_sequence(), jamba);
    let marconi = 24 * (8192 * 128 + 3 * (8192 + 2 * 128));
    assert_eq!(model("marconi-7b").state_elements_per_sequence(), marconi);
    assert_eq!(model("llama-3.1-8b").state_elements_per_sequence(), 0);
}
