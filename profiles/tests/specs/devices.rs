//! Shipped devices, and device files.

use profiles::cost::Architecture;
use profiles::{DType, DeviceSpec, Precision};

use crate::shared_data;

fn device(name: &str) -> DeviceSpec {
    DeviceSpec::shipped(name).expect("shipped")
}

#[test]
fn the_devices_of_the_field_are_shipped_under_their_usual_names() {
    for (alias, name) in [
        ("A100", "A100-SXM-80GB"),
        ("a100-40gb", "A100-SXM-40GB"),
        ("h100", "H100-SXM-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM-80GB"),
        ("H100-PCIe", "H100-PCIe-80GB"),
        ("H200", "H200-SXM-141GB"),
        ("B200", "B200-SXM-180GB"),
        ("H20", "H20-SXM-96GB"),
        ("L4", "L4-24GB"),
        ("L40S", "L40S-48GB"),
        ("A40", "A40-48GB"),
        ("A10G", "A10G-24GB"),
        ("RTX4090", "RTX-4090-24GB"),
        ("RTX-PRO-6000", "RTX-PRO-6000-Server-96GB"),
    ] {
        assert_eq!(device(alias).name, name);
    }
}

#[test]
fn no_two_devices_answer_to_one_name() {
    let mut names = Vec::new();
    for name in DeviceSpec::shipped_names() {
        let device = device(&name);
        names.extend(device.aliases.iter().chain([&device.name]).map(|name| name.to_lowercase()));
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// Figures with sparsity, or in the wrong unit, would put a device out of the field.
#[test]
fn datasheet_figures_are_dense_and_in_proportion() {
    for name in DeviceSpec::shipped_names() {
        let device = device(&name);
        let intensity = device.bf16_flops / device.memory_bandwidth;
        assert!((30.0..500.0).contains(&intensity), "{name}: {intensity} FLOP per byte");
        for peak in [device.fp8_flops, device.int8_ops].into_iter().flatten() {
            let ratio = peak / device.bf16_flops;
            assert!((1.9..=4.1).contains(&ratio), "{name}: 8-bit peak {ratio} times the 16-bit one");
        }
        assert!(device.idle_power_w < 0.25 * device.power_limit_w, "{name} idles too hot");
        assert!(device.price_source.contains("20"), "{name}: a price without a date");
    }
}

#[test]
fn a_misspelt_device_is_answered_with_the_nearest_name() {
    let message = DeviceSpec::shipped("H100-SMX").unwrap_err().to_string();
    assert!(message.contains("no shipped device is named `H100-SMX`; did you mean `H100-SXM`?"), "{message}");
}

const OWN: &str = r#"
name = "Mine"
memory_gib = 10.0
memory_bandwidth_gb_per_s = 500.0
bf16_tflops = 50.0
sms = 40
l2_mib = 4.0
power_limit_w = 200.0
idle_power_w = 20.0
peer_link = "PCIe 4.0 x16"
peer_bandwidth_gb_per_s = 32.0
usd_per_hour = 0.5
source = "datasheet"
price_source = "bill of 2026"
"#;

#[test]
fn a_device_file_is_read_in_datasheet_units() {
    let device = DeviceSpec::from_toml(OWN, "mine.toml").unwrap();
    assert_eq!(device.memory_bytes, 10 << 30);
    assert_eq!(device.l2_bytes, 4 << 20);
    assert!((device.memory_bandwidth - 500e9).abs() < 1.0);
    assert!((device.bf16_flops - 50e12).abs() < 1.0);
    assert_eq!((device.fp8_flops, device.int8_ops), (None, None));
}

#[test]
fn a_device_file_says_whose_kernels_it_is_taken_to_have() {
    let silent = DeviceSpec::from_toml(OWN, "mine.toml").unwrap();
    let message = Architecture::of(&silent).unwrap_err().to_string();
    assert!(message.contains("its file does not say `architecture = \"ampere\"`"), "{message}");
    let text = OWN.replace("sms = 40", "sms = 40\narchitecture = \"ampere\"");
    let device = DeviceSpec::from_toml(&text, "mine.toml").unwrap();
    assert_eq!(Architecture::of(&device), Ok(Architecture::Ampere));
}

#[test]
fn a_wrong_device_file_names_the_field() {
    for (from, to, reason) in [
        ("sms = 40", "sms = 40\nwarp_size = 32", "not a key of a device file: `warp_size`"),
        ("sms = 40\nl2_mib = 4.0\n", "shared = 1\n", "not a key of a device file: `shared`; missing: `sms`, `l2_mib`"),
        ("sms = 40", "sms = 40\narchitecture = \"volta\"", "unknown variant `volta`"),
        (
            "name = \"Mine\"",
            "name = \"H100-of-mine\"\narchitecture = \"ada\"",
            "`architecture`: Ada, but what is called H100-of-mine is Hopper",
        ),
        ("sms = 40", "sms = 40.5", "line 6"),
        ("= 500.0", "= 500e9", "`memory_bandwidth_gb_per_s`: 500000000000 is out of range"),
        ("= 500.0", "= nan", "`memory_bandwidth_gb_per_s`: NaN is out of range"),
        ("idle_power_w = 20.0", "idle_power_w = 300.0", "`idle_power_w`: 300 is out of range; expected 0 to 200"),
        ("source = \"datasheet\"", "source = \"\"", "`source`: is empty"),
    ] {
        assert!(OWN.contains(from));
        let message = DeviceSpec::from_toml(&OWN.replacen(from, to, 1), "mine.toml").unwrap_err().to_string();
        assert!(message.starts_with("mine.toml: ") && message.contains(reason), "{message}");
    }
}

#[test]
fn number_formats_are_read_by_their_usual_names() {
    for (names, dtype) in [
        (&["bf16", "BFloat16", "fp16", "float16", "half"][..], DType::Bf16),
        (&["fp8", "fp8_e4m3"], DType::Fp8),
        (&["int8"], DType::Int8),
        (&["int4"], DType::Int4),
    ] {
        for name in names {
            assert_eq!(name.parse::<DType>().unwrap(), dtype, "{name}");
        }
    }
    let message = "fp7".parse::<DType>().unwrap_err().to_string();
    assert_eq!(message, "`fp7` is not a number format; use bf16, fp16, fp8, int8 or int4");
}

/// 128 elements of 4 bits, a 16-bit scale and a 16-bit zero point: 68 bytes.
#[test]
fn four_bit_groups_count_their_scales() {
    assert_eq!(DType::Int4.bytes(128), 68);
    assert!((DType::Int4.bytes_per_element() * 128.0 - 68.0).abs() < 1e-12);
}

#[test]
fn number_formats_that_do_not_go_together_are_refused() {
    use DType::{Bf16, Fp8, Int4, Int8};
    let check = |weights, activations, kv_cache, name: &str| {
        Precision { weights, activations, kv_cache }.validate(&device(name)).map_err(|error| error.to_string())
    };
    for (weights, activations, kv_cache) in [
        (Bf16, Bf16, Bf16),
        (Fp8, Fp8, Fp8),
        (Fp8, Bf16, Bf16),
        (Int8, Int8, Bf16),
        (Int4, Bf16, Fp8),
        (Int4, Fp8, Fp8),
    ] {
        assert_eq!(check(weights, activations, kv_cache, "H100"), Ok(()));
    }
    for (formats, name, reason) in [
        ((Bf16, Int4, Bf16), "H100", "activations = int4: 4 bits are for weights only"),
        ((Bf16, Bf16, Int4), "H100", "kv_cache = int4: 4 bits are for weights only"),
        ((Bf16, Fp8, Bf16), "H100", "activations = fp8 with weights = bf16"),
        ((Int8, Fp8, Bf16), "H100", "use weights = fp8 or int4, or activations = bf16"),
        ((Fp8, Fp8, Bf16), "A100", "activations = fp8: A100-SXM-80GB has no fp8 tensor cores; use bf16"),
    ] {
        let message = check(formats.0, formats.1, formats.2, name).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
}

/// Another project's system files hold figures of the same boards: bandwidth and peaks must agree within 5 %.
#[test]
fn datasheet_figures_agree_with_those_of_aiconfigurator() {
    let Some(data) = shared_data() else {
        println!("SKIPPED: datasheet_figures_agree_with_those_of_aiconfigurator needs ../shared/data");
        return;
    };
    let text = std::fs::read_to_string(data.join("kernels/aiconfigurator/gpu_specs.csv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|&field| field == name).unwrap();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    for (system, name) in [
        ("a100_sxm", "A100-SXM-80GB"),
        ("h100_sxm", "H100-SXM-80GB"),
        ("h100_pcie", "H100-PCIe-80GB"),
        ("h200_sxm", "H200-SXM-141GB"),
        ("b200_sxm", "B200-SXM-180GB"),
        ("l4", "L4-24GB"),
        ("l40s", "L40S-48GB"),
        ("rtx_pro_6000_server", "RTX-PRO-6000-Server-96GB"),
    ] {
        let row = rows.iter().find(|row| row[0] == system).unwrap();
        let device = device(name);
        let agrees = |field: &str, ours: Option<f64>| {
            let theirs = row[column(field)].parse::<f64>().ok();
            let (Some(theirs), Some(ours)) = (theirs, ours) else { return };
            assert!((ours / theirs - 1.0).abs() < 0.05, "{name}: {field} is {theirs} there and {ours} here");
        };
        // Theirs is the workstation board's 1792 GB/s; the server board's datasheet says 1597.
        if system != "rtx_pro_6000_server" {
            agrees("gpu_mem_bw", Some(device.memory_bandwidth));
        }
        agrees("gpu_bfloat16_tc_flops", Some(device.bf16_flops));
        agrees("gpu_int8_tc_flops", device.int8_ops);
        agrees("gpu_fp8_tc_flops", device.fp8_flops);
        agrees("gpu_power", Some(device.power_limit_w));
        agrees("node_intra_node_bw", Some(device.peer_bandwidth));
    }
    println!("USED: datasheet_figures_agree_with_those_of_aiconfigurator");
}
