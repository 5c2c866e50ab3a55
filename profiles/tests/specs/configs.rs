//! Reading `config.json`.

use profiles::{Attention, DType, FeedForward, Mixer, ModelSpec, ProfileError, QuantizedParts, StateSpaceKind};
use serde_json::{Value, json};

fn read(config: &Value) -> Result<ModelSpec, ProfileError> {
    ModelSpec::from_hf_config(&config.to_string(), "test/config.json", "written by hand")
}

fn message(config: &Value) -> String {
    read(config).expect_err("must be refused").to_string()
}

/// A small Llama with `changes` laid over it; a null takes a key away.
fn llama(changes: &Value) -> Value {
    let mut config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "intermediate_size": 512,
        "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000,
        "max_position_embeddings": 2048
    });
    let object = config.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap().clone() {
        if value.is_null() {
            object.remove(&key);
        } else {
            object.insert(key, value);
        }
    }
    config
}

fn attention(model: &ModelSpec, layer: usize) -> Attention {
    match model.layers[layer].mixer {
        Mixer::Attention(attention) => attention,
        ref other => panic!("layer {layer} is {other:?}"),
    }
}

/// Mamba models name no longest context.
#[test]
fn a_context_that_is_not_named_is_assumed_and_noted() {
    let named = read(&llama(&json!({}))).unwrap();
    assert_eq!((named.max_position_embeddings, named.notes.len()), (2048, 0));
    let unnamed = read(&llama(&json!({ "max_position_embeddings": null }))).unwrap();
    assert_eq!(unnamed.max_position_embeddings, 1 << 20);
    assert_eq!(unnamed.notes, ["names no longest context; 1,048,576 tokens assumed: set max_model_len"]);
}

#[test]
fn head_size_is_derived_unless_given() {
    assert_eq!(attention(&read(&llama(&json!({}))).unwrap(), 0).head_dim, 32);
    assert_eq!(attention(&read(&llama(&json!({"head_dim": 128}))).unwrap(), 0).head_dim, 128);
}

#[test]
fn missing_kv_heads_mean_as_many_as_query_heads_and_one_means_mqa() {
    let heads = |changes| attention(&read(&llama(&changes)).unwrap(), 0).kv_heads;
    assert_eq!(heads(json!({"num_key_value_heads": null})), 8);
    assert_eq!(heads(json!({"num_key_value_heads": 1})), 1);
}

#[test]
fn qwen_windows_count_only_when_switched_on_and_only_from_max_window_layers() {
    let windows = |used: bool| -> Vec<Option<u32>> {
        let config = llama(&json!({
            "model_type": "qwen2", "sliding_window": 64, "use_sliding_window": used, "max_window_layers": 2
        }));
        let model = read(&config).unwrap();
        (0..4).map(|layer| attention(&model, layer).window).collect()
    };
    assert_eq!(windows(false), [None; 4]);
    assert_eq!(windows(true), [None, None, Some(64), Some(64)]);
}

#[test]
fn layer_types_decide_about_windows() {
    let types = |types: Value| llama(&json!({"model_type": "mistral", "sliding_window": 64, "layer_types": types}));
    let full_first = types(json!(["full_attention", "sliding_attention", "sliding_attention", "full_attention"]));
    let model = read(&full_first).unwrap();
    let windows: Vec<_> = (0..4).map(|layer| attention(&model, layer).window).collect();
    assert_eq!(windows, [None, Some(64), Some(64), None]);
    assert!(message(&types(json!(["full_attention"]))).contains("names 1 layers; the model has 4"));
    assert!(message(&types(json!(["chunked_attention", "a", "b", "c"]))).contains("holds `chunked_attention`"));
}

#[test]
fn qwen_experts_skip_the_layers_named_dense() {
    let config = llama(&json!({
        "model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
        "decoder_sparse_step": 2, "mlp_only_layers": [3]
    }));
    let model = read(&config).unwrap();
    let sparse: Vec<bool> =
        model.layers.iter().map(|layer| matches!(layer.feed_forward, FeedForward::Experts(_))).collect();
    assert_eq!(sparse, [false, true, false, false]);
}

#[test]
fn mamba_models_of_both_kinds_are_read() {
    let mamba = read(&json!({
        "model_type": "mamba", "hidden_size": 768, "intermediate_size": 1536, "num_hidden_layers": 24,
        "state_size": 16, "conv_kernel": 4, "expand": 2, "time_step_rank": "auto", "vocab_size": 50280
    }))
    .unwrap();
    // mamba-130m-hf has 129,135,360 tensors elements (model card: 0.1B).
    assert_eq!(mamba.parameters().total(), 129_135_360);
    let mamba2 = read(&json!({
        "model_type": "mamba2", "hidden_size": 768, "num_hidden_layers": 24, "num_heads": 24, "head_dim": 64,
        "state_size": 128, "n_groups": 1, "vocab_size": 50288, "tie_word_embeddings": true
    }))
    .unwrap();
    let Mixer::StateSpace(space) = mamba2.layers[0].mixer else { panic!("a state-space mixer") };
    assert_eq!((space.kind, space.d_inner), (StateSpaceKind::Mamba2 { heads: 24, groups: 1 }, 1536));
    assert_eq!(mamba2.kv_bytes_per_token(DType::Bf16), 0);
}

/// GPT-2's published checkpoint has 124,439,808 parameters.
#[test]
fn gpt2_is_counted_to_the_last_bias() {
    let config = json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_head": 12, "n_layer": 12,
        "n_positions": 1024, "n_ctx": 1024, "vocab_size": 50257
    });
    assert_eq!(read(&config).unwrap().parameters().total(), 124_439_808);
}

#[test]
fn quantised_checkpoints_say_what_they_hold() {
    let hint =
        |quantization: Value| read(&llama(&json!({"quantization_config": quantization}))).unwrap().weights_dtype_hint;
    assert_eq!(hint(json!({"quant_method": "fp8"})).unwrap().dtype, DType::Fp8);
    assert_eq!(hint(json!({"quant_method": "awq", "bits": 4})).unwrap().dtype, DType::Int4);
    assert_eq!(hint(json!({"quant_method": "gptq", "bits": 8})).unwrap().dtype, DType::Int8);
    assert_eq!(hint(json!({"quant_method": "mxfp4"})).unwrap().parts, QuantizedParts::ExpertsOnly);
    let group = json!({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}});
    assert_eq!(hint(group).unwrap().dtype, DType::Fp8);
    assert!(read(&llama(&json!({}))).unwrap().weights_dtype_hint.is_none());
    let unknown = message(&llama(&json!({"quantization_config": {"quant_method": "aqlm"}})));
    assert!(unknown.contains("`quantization_config`") && unknown.contains("aqlm"), "{unknown}");
}

#[test]
fn keys_that_nobody_knows_are_noted() {
    let model = read(&llama(&json!({"frobnicate": 3, "rope_theta": 1e6, "bos_token_id": 1}))).unwrap();
    assert_eq!(model.notes, ["not understood, and taken to change neither time nor memory: frobnicate"]);
}

#[test]
fn models_with_other_parts_are_refused_with_the_reason() {
    for (changes, reason) in [
        (json!({"vision_config": {}}), "`vision_config`: models of several parts are not modelled"),
        (json!({"is_encoder_decoder": true}), "only decoder-only models are modelled"),
        (json!({"architectures": ["LlamaForSequenceClassification"]}), "does not generate text"),
        (json!({"model_type": "falcon_h1"}), "run side by side in one layer"),
        (json!({"model_type": "zamba2"}), "share weights across layers"),
        (json!({"model_type": "qwen3_next"}), "gated delta rule"),
        (json!({"model_type": "brand_new"}), "`model_type`: is `brand_new`; expected one of llama"),
        (json!({"model_type": null}), "`model_type`: is missing"),
    ] {
        let message = message(&llama(&changes));
        assert!(message.starts_with("test/config.json: ") && message.contains(reason), "{message}");
    }
}

#[test]
fn wrong_sizes_name_the_field_and_what_would_be_right() {
    for (changes, reason) in [
        (json!({"hidden_size": null}), "`hidden_size`: is missing; expected a positive integer"),
        (json!({"hidden_size": -1}), "`hidden_size`: is -1; expected an integer"),
        (json!({"vocab_size": "many"}), "`vocab_size`: is \"many\"; expected an integer"),
        (json!({"num_hidden_layers": 0}), "`num_hidden_layers`: is 0; expected a positive integer"),
        (json!({"num_hidden_layers": 1_000_000}), "`num_hidden_layers`: is 1000000; expected at most 4096"),
        (json!({"num_key_value_heads": 3}), "`num_key_value_heads`: is 3, which does not divide the 8 query heads"),
        (
            json!({"num_attention_heads": 7, "num_key_value_heads": 7}),
            "`head_dim`: is missing, and 7 heads do not divide",
        ),
        (json!({"tie_word_embeddings": "no"}), "`tie_word_embeddings`: is \"no\"; expected true or false"),
    ] {
        let message = message(&llama(&changes));
        assert!(message.contains(reason), "{message}");
    }
    let too_many = llama(&json!({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 5}));
    assert!(message(&too_many).contains("is 5, more than the 4 experts"));
}

#[test]
fn text_that_is_not_json_says_where() {
    let error =
        ModelSpec::from_hf_config("{\"hidden_size\": 12,\n oops}", "a/config.json", "").unwrap_err().to_string();
    assert!(error.starts_with("a/config.json: ") && error.contains("line 2 column"), "{error}");
}
