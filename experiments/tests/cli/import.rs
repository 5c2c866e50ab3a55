//! Kernel tables that others measured: what is taken, what is left out, and what is refused.

use std::io::Write as _;
use std::sync::Arc;

use flate2::write::GzEncoder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use profiles::table::{Kernel, KernelTable, Row as _, Rows};

use super::support::{Place, SMALL, shared_data};

const GEMM: &str = "H200_vllm_0.24.0_gemm.csv";
const GEMM_ROWS: &str = "kernel,gemm_dtype,m,n,k,latency_ms\n\
                         cutlass,bfloat16,1,4096,4096,0.0125\n\
                         cutlass,fp8,1,4096,4096,0.0075\n\
                         cutlass,fp8_block,4096,4096,4096,0.135\n";

/// A folder with this file, and what `profiles import` says about it.
fn import(name: &str, text: &str, code: i32) -> (Place, String) {
    let place = Place::new();
    place.write(name, text);
    let said = place.run(&["profiles", "import", name, "-o", "tables"]);
    assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
    (place, said.stdout + &said.stderr)
}

fn message(name: &str, text: &str) -> String {
    import(name, text, 2).1.split_once("error: ").expect("an error").1.to_owned()
}

/// The table of this name that was written.
fn written(place: &Place, name: &str) -> KernelTable {
    KernelTable::read(&place.text(&format!("tables/{name}")), name).expect("a table that was written can be read").0
}

#[test]
fn what_was_taken_is_read_back_the_same() {
    let (place, said) = import(GEMM, GEMM_ROWS, 0);
    assert!(said.contains("aiconfigurator   H200-SXM-141GB     gemm           3            3          0"), "{said}");
    let table = written(&place, "h200-sxm-141gb_vllm-0.24.0_gemm.csv");
    assert_eq!((table.header.device.as_str(), table.header.libraries["vllm"].as_str()), ("H200-SXM-141GB", "0.24.0"));
    let Rows::Gemm(rows) = table.rows else { panic!("no GEMM") };
    let shapes: Vec<String> =
        rows.iter().map(|row| format!("{} {}", row.shape().join(","), row.timing.time_us)).collect();
    let expected =
        ["1,4096,4096,bf16,bf16,none 12.5", "1,4096,4096,fp8,fp8,tensor 7.5", "4096,4096,4096,fp8,fp8,block 135"];
    assert_eq!(shapes, expected);
}

#[test]
fn rows_that_cannot_be_used_are_counted_with_their_reason_and_first_line() {
    let rows = format!(
        "{GEMM_ROWS}cutlass,nvfp4,1,64,64,0.01\ncutlass,nvfp4,2,64,64,0.01\ncutlass,bfloat16,0,64,64,0.01\n\
         cutlass,bfloat16,1,64,64,NaN\ncutlass,bfloat16,1,64,64,0\ncutlass,bfloat16,1,64,64,-1\n\
         cutlass,bfloat16,8192,8192,8192,0.1\n"
    );
    let (_, said) = import(GEMM, &rows, 0);
    for expected in [
        "2 left out: number format `nvfp4` is not modelled; first on line 5 (nvfp4)",
        "1 left out: `m` is not a whole number of 1 or more; first on line 7 (0)",
        "3 left out: `latency_ms` is not a finite number above 0; first on line 8 (NaN)",
        "1 left out: more than 3 times as fast as H200-SXM-141GB can be; first on line 11 (100 us, and the datasheet allows 1111",
    ] {
        assert!(said.contains(expected), "{expected}\nin\n{said}");
    }
}

#[test]
fn shapes_measured_twice_with_unlike_times_are_said() {
    let (_, said) = import(GEMM, &format!("{GEMM_ROWS}cutlass,fp8,1,4096,4096,0.009\n"), 0);
    let expected =
        "1 shape occurs more than once with times that differ by more than 10 % (first on line 3: 7.5 to 9 us)";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_missing_column_is_named() {
    assert_eq!(
        message(GEMM, &GEMM_ROWS.replace("latency_ms", "latency_s")),
        "H200_vllm_0.24.0_gemm.csv, line 1: column `latency_ms` or `latency` is missing; the columns are kernel, gemm_dtype, m, \
         n, k, latency_s\n"
    );
}

#[test]
fn times_in_a_wrong_unit_are_refused() {
    let of = |time: &str| format!("kernel,gemm_dtype,m,n,k,latency_ms\nx,bfloat16,8192,8192,8192,{time}\n");
    let seconds = message(GEMM, &of("0.0017"));
    assert!(
        seconds.starts_with(
            "H200_vllm_0.24.0_gemm.csv, column `latency_ms`: 1 of 1 times are more than 3 times as fast as"
        ),
        "{seconds}"
    );
    let micros = message(GEMM, &of("1700"));
    let expected =
        "the fastest kernel reaches 0.065 % of what H200-SXM-141GB can do: are times in a smaller unit than the column";
    assert!(micros.contains(expected), "{micros}");
}

#[test]
fn another_device_than_was_asked_for_or_an_unknown_one_is_refused() {
    let place = Place::new();
    place.write(GEMM, GEMM_ROWS);
    let error = place.fail(2, &["profiles", "import", GEMM, "-o", "tables", "--device", "H100"]);
    assert_eq!(
        error,
        "error: H200_vllm_0.24.0_gemm.csv: it was measured on `H200`, and H100-SXM-80GB was asked for; name the device that was \
         measured, or leave it out\n"
    );
    let error = message("Gaudi3_vllm_0.24.0_gemm.csv", GEMM_ROWS);
    assert!(error.contains("measured on `Gaudi3`, which is no shipped device; give a device file"), "{error}");
}

#[test]
fn a_file_that_was_cut_is_refused_whole() {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(GEMM_ROWS.repeat(100).as_bytes()).expect("memory takes it");
    let bytes = gzip.finish().expect("memory takes it");
    let place = Place::new();
    let name = format!("{GEMM}.gz");
    std::fs::write(place.path(&name), &bytes[..bytes.len() - 20]).expect("the file can be written");
    let error = place.fail(2, &["profiles", "import", &name, "-o", "tables"]);
    assert!(error.contains("it ends in the middle: the file was cut; fetch it again"), "{error}");
    let parquet = place.path("gemm_perf.parquet");
    std::fs::write(parquet, b"PAR1 and then nothing of what should follow").expect("the file can be written");
    let error = place.fail(2, &["profiles", "import", "gemm_perf.parquet", "-o", "tables"]);
    assert!(error.contains("gemm_perf.parquet: this is no whole Parquet file ("), "{error}");
    let error = message(GEMM, GEMM_ROWS.trim_end_matches(",4096,0.135\n"));
    assert!(error.contains("line 4: 4 fields, but 6 columns: the file may have been cut"), "{error}");
    assert_eq!(place.files("tables"), [] as [&str; 0], "nothing is written of a file that was cut");
}

/// A Parquet file of decode attention in the layout of aiconfigurator's package: one new token after `step` cached ones.
fn parquet(device: &str, steps: &[i64], compression: Compression) -> Vec<u8> {
    let text = ["framework", "version", "device", "kernel_source", "attn_dtype", "kv_cache_dtype"];
    let whole =
        ["batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "beam_width", "step", "window_size"];
    let fields: Vec<String> = text
        .iter()
        .map(|name| format!("required binary {name} (STRING);"))
        .chain(whole.iter().map(|name| format!("required int64 {name};")))
        .chain(["required double latency;".to_owned()])
        .collect();
    let schema = parse_message_type(&format!("message m {{ {} }}", fields.join(" "))).expect("a schema");
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::new(properties)).expect("a writer");
    let mut group = file.next_row_group().expect("a group");
    for value in ["VLLM", "0.24.0", device, "fa3", "bfloat16", "fp8"] {
        let mut column = group.next_column().expect("a column").expect("one more");
        let values = vec![ByteArray::from(value); steps.len()];
        column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("memory takes it");
        column.close().expect("memory takes it");
    }
    for name in whole {
        let value = [("batch_size", 4), ("num_heads", 32), ("num_key_value_heads", 8), ("head_dim", 128)];
        let value =
            value.iter().find(|(known, _)| *known == name).map_or(i64::from(name != "window_size"), |(_, n)| *n);
        let values = if name == "step" { steps.to_vec() } else { vec![value; steps.len()] };
        let mut column = group.next_column().expect("a column").expect("one more");
        column.typed::<Int64Type>().write_batch(&values, None, None).expect("memory takes it");
        column.close().expect("memory takes it");
    }
    let mut column = group.next_column().expect("a column").expect("one more");
    column.typed::<DoubleType>().write_batch(&vec![0.02; steps.len()], None, None).expect("memory takes it");
    column.close().expect("memory takes it");
    group.close().expect("memory takes it");
    file.close().expect("memory takes it");
    bytes
}

#[test]
fn the_parquet_layout_of_aiconfigurator_is_read() {
    // Most files of the package are compressed with ZSTD.
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        let place = Place::new();
        let bytes = parquet("NVIDIA H200", &[999, 1999], compression);
        std::fs::write(place.path("generation_attention_perf.parquet"), bytes).expect("written");
        place.succeed(&["profiles", "import", ".", "-o", "tables"]);
        let text = place.text("tables/h200-sxm-141gb_vllm-0.24.0_decode_attention.csv");
        let rows = "\n4,4000,1000,32,8,128,0,bf16,fp8,20\n4,8000,2000,32,8,128,0,bf16,fp8,20\n";
        assert!(text.ends_with(rows), "the new token is attended to as well: {text}");
        std::fs::create_dir(place.path("more")).expect("a folder can be made");
        std::fs::write(
            place.path("more/generation_attention_perf.parquet"),
            parquet("NVIDIA H200", &[7], Compression::SNAPPY),
        )
        .expect("written");
        place.succeed(&["profiles", "import", "generation_attention_perf.parquet", "more", "-o", "both"]);
        let names =
            ["h200-sxm-141gb_vllm-0.24.0_decode_attention.csv", "h200-sxm-141gb_vllm-0.24.0_decode_attention_2.csv"];
        assert_eq!(place.files("both"), names, "neither of two tables of one kind is lost");
    }
}

#[test]
fn gzip_inside_a_parquet_file_is_called_so() {
    let place = Place::new();
    let mut bytes = parquet("NVIDIA H200", &[999], Compression::SNAPPY);
    // No file can be written that says gzip, so the metadata of the columns is changed: in Thrift's compact protocol the
    // codec (an i32, field 4, after the path and before a count of 64 bits) is 1 for Snappy and 2 for gzip.
    let (snappy, gzip) = ([0x15, 2, 0x16], [0x15, 4, 0x16]);
    let mut changed = 0;
    for at in 0..bytes.len() - snappy.len() {
        if bytes[at..].starts_with(&snappy) && at > 0 && bytes[at - 1].is_ascii_lowercase() {
            bytes[at..at + snappy.len()].copy_from_slice(&gzip);
            changed += 1;
        }
    }
    assert_eq!(changed, 15, "one for each column");
    std::fs::write(place.path("generation_attention_perf.parquet"), bytes).expect("written");
    let error = place.fail(2, &["profiles", "import", "generation_attention_perf.parquet", "-o", "tables"]);
    let expected =
        "generation_attention_perf.parquet: it is compressed with gzip, which is not read; write it anew with Snappy";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn sources_without_a_table_or_without_a_row_are_named() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).expect("a folder can be made");
    std::fs::create_dir(place.path("gemm.csv")).expect("a folder can be made");
    for folder in ["empty", "gemm.csv"] {
        let error = place.fail(2, &["profiles", "import", folder, "-o", "tables"]);
        let expected = format!("{folder}: the folder is empty; expected files that end in .csv, .parquet, ");
        assert!(error.contains(&expected), "{error}");
    }
    place.write("empty/readme.txt", "no table");
    let error = place.fail(2, &["profiles", "import", "empty", "-o", "tables"]);
    assert!(error.contains("empty: there are empty/readme.txt; expected files that end in .csv"), "{error}");
    let header = GEMM_ROWS.lines().next().expect("a line").to_owned() + "\n";
    place.write(GEMM, &header);
    let error = place.fail(2, &["profiles", "import", GEMM, "-o", "tables"]);
    let expected =
        format!("no source held a row that can be used: {GEMM}: holds no row below the names of its columns");
    assert!(error.contains(&expected), "{error}");
    place.write(GEMM, &(header + "cutlass,nvfp4,1,64,64,0.01\n"));
    let error = place.fail(2, &["profiles", "import", GEMM, "-o", "tables"]);
    assert!(error.contains(&format!("{GEMM}: all of its rows were left out (1; the table above says why)")), "{error}");
}

#[test]
fn a_file_that_is_named_twice_is_refused() {
    let place = Place::new();
    place.write(&format!("data/{GEMM}"), GEMM_ROWS);
    let file = format!("data/{GEMM}");
    for twice in [[file.as_str(), file.as_str()], ["data", &file]] {
        let error = place.fail(2, &[&["profiles", "import"][..], &twice, &["-o", "tables", "--force"]].concat());
        assert!(error.contains(&format!("{file} is the same file as {file}; name each file once")), "{error}");
        assert!(!place.path("tables").exists());
    }
}

#[test]
fn a_file_of_no_known_format_or_another_one_than_was_said_is_refused() {
    let error = message("x.csv", "a,b\n1,2\n");
    assert_eq!(error, "x.csv: this is none of the formats that can be imported; its columns are a, b\n");
    let place = Place::new();
    place.write(GEMM, GEMM_ROWS);
    let error = place.fail(2, &["profiles", "import", GEMM, "-o", "tables", "--format", "vidur"]);
    assert!(error.contains("this is a file of aiconfigurator, and --format says vidur"), "{error}");
    let error = place.fail(2, &["profiles", "import", "nowhere", "-o", "tables"]);
    assert_eq!(error, "error: there is no file or folder nowhere\n");
}

#[test]
fn tables_that_are_there_are_not_replaced_unless_asked() {
    let (place, _) = import(GEMM, GEMM_ROWS, 0);
    let error = place.fail(2, &["profiles", "import", GEMM, "-o", "tables"]);
    let expected =
        "tables/h200-sxm-141gb_vllm-0.24.0_gemm.csv is there already; import elsewhere, or replace it with --force";
    assert!(error.contains(expected), "{error}");
    place.succeed(&["profiles", "import", GEMM, "-o", "tables", "--force"]);
    let error = place.fail(2, &["profiles", "import", "tables", "-o", "again"]);
    assert!(error.contains("_gemm.csv: this is a kernel table already; name it in `kernel_tables`"), "{error}");
}

#[test]
fn attention_experts_and_collectives_become_rows_of_the_shard_that_was_timed() {
    let place = Place::new();
    place.write(
        "H200_vllm_0.22.0_moe.csv",
        "kernel,moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,distribution,latency_ms,\
         power_w,power_limit_w\nfused,fp8_block,64,2048,768,8,128,2,4,power_law_1.2,0.05,431.5,700\n",
    );
    place.write(
        "H200_vllm_0.22.0_attention_decode.csv",
        "kernel,batch_size,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,window_size,kv_len,latency_ms\n\
         fa,4,32,8,128,bfloat16,fp8,0,1000,0.02\n",
    );
    place.write(
        "collectives_all_gpus.csv",
        "gpu,library,library_version,op,kernel,dtype,num_gpus,message_elements,latency_ms\n\
         H200,vllm,0.24.0,all_reduce,vLLM_custom_graph,bfloat16,8,1024,0.005\n",
    );
    place.succeed(&["profiles", "import", ".", "-o", "tables"]);
    let body = |name: &str| place.text(&format!("tables/h200-sxm-141gb_vllm-{name}")).lines().last().map(str::to_owned);
    let experts = "64,2048,384,8,128,32,power_law_1.2,,fp8,fp8,block,50,431.5";
    assert_eq!(body("0.22.0_experts.csv").as_deref(), Some(experts));
    let decode = "4,4000,1000,32,8,128,0,bf16,fp8,20";
    assert_eq!(body("0.22.0_decode_attention.csv").as_deref(), Some(decode));
    let collective = "all_reduce,8,1,2048,vllm,5";
    assert_eq!(body("0.24.0_collective_graph.csv").as_deref(), Some(collective), "elements become bytes");
    let header = written(&place, "h200-sxm-141gb_vllm-0.22.0_experts.csv").header;
    assert_eq!(header.power_limit_w, Some(700.0));
}

const META: &str = "profiler_version: 1.0.0\nvllm_version: 0.19.0\ncuda_version: '12.8'\ngpu: NVIDIA GeForce RTX 4090\n\
                    profiled_at: '2026-08-17T19:43:32+00:00'\nmodel: meta-llama/Llama-3.1-8B\nvariant: bf16\n\
                    engine_effective:\n  enforce_eager: true\n";

#[test]
fn layers_of_a_model_become_products_of_its_sizes() {
    let place = Place::new();
    place.write("perf/RTX4090/Llama-3.1-8B/bf16/meta.yaml", META);
    let folder = "perf/RTX4090/Llama-3.1-8B/bf16/tp2";
    place.write(
        &format!("{folder}/dense.csv"),
        "layer,tokens,time_us\nqkv_proj,16,50\ndown_proj,16,60\nact_fn,16,3\nlayernorm,16,3\nmystery,16,3\n",
    );
    place.write(
        &format!("{folder}/attention_skew.csv"),
        "regime,n,nb,ratio,skew,pc,kp,kvs,kv_big,kv_mean,t_mean_us,t_max_us,t_skew_us,alpha\n\
         pure,4,1,0.25,4.0,0,0,128,512,224,20,30,25,0.5\nmixed,4,1,0.25,4.0,64,512,128,512,224,40,50,,0.5\n",
    );
    let said = place.succeed(&["profiles", "import", "perf", "-o", "tables"]).stdout;
    assert!(said.contains("1 left out: unknown layer `mystery`; first on line 6 (mystery)"), "{said}");
    assert!(said.contains("1 left out: `t_skew_us` is empty; first on line 3"), "{said}");
    let text = |name: &str| place.text(&format!("tables/rtx-4090-24gb_vllm-0.19.0_llama-3.1-8b-tp2_{name}"));
    // 16 query and 4 KV heads of 128 on each GPU, and half of a width of 14336.
    assert!(text("gemm.csv").ends_with("\n16,3072,4096,bf16,bf16,none,50\n16,4096,7168,bf16,bf16,none,60\n"));
    assert!(text("elementwise.csv").ends_with("\nsilu_mul,16,7168,688128,3\nrms_norm,16,4096,524288,3\n"));
    let decode =
        "\n4,896,224,16,4,128,0,bf16,bf16,20\n4,2048,512,16,4,128,0,bf16,bf16,30\n4,896,512,16,4,128,0,bf16,bf16,25\n";
    assert!(text("decode_attention_skew.csv").ends_with(decode), "{}", text("decode_attention_skew.csv"));
    assert!(text("mixed_attention_skew.csv").ends_with("\n1,64,512,4,2048,512,16,4,128,0,bf16,bf16,50\n"));
    assert_eq!(written(&place, "rtx-4090-24gb_vllm-0.19.0_llama-3.1-8b-tp2_gemm.csv").header.date, "2026-08-17");
}

#[test]
fn a_profile_without_its_description_is_refused() {
    let error = message("RTX4090_Llama-3.1-8B_tp1_dense.csv", "layer,tokens,time_us\nqkv_proj,16,50\n");
    assert!(
        error.contains("the profile's `meta.yaml` was not found; it says which GPU and model were measured"),
        "{error}"
    );
}

#[test]
fn a_replica_can_be_priced_by_imported_coefficients() {
    let place = Place::new();
    place.write(
        "distserve_coefficients.json",
        r#"{"facebook/opt-13b": {"1": {"decoding_large_small_bs_threshold": 95, "prefill": [18.1, 0.102, 7.1e-6],
            "decoding_smallbs": [19.9, 6.3e-4, 0.0385], "decoding_largebs": [7.17, 5.8e-4, 0.158]}}}"#,
    );
    place.succeed(&["profiles", "import", "distserve_coefficients.json", "-o", "tables"]);
    let one = "gpu = \"A100\"\nstep_cost = \"tables/a100-sxm-80gb_distserve_opt-13b-tp1_step-cost.toml\"\n\
               scheduler = \"prefill-first\"\n";
    let (head, _) = SMALL.split_once("[[system]]").expect("the small experiment has systems");
    let head = head.replace("meta-llama/Llama-3.1-8B", "facebook/opt-13b").replace("rate = 20", "rate = 2");
    place.write("x.toml", &format!("{head}[[system]]\nname = \"fitted\"\n{one}"));
    let said = place.succeed(&["run", "x.toml", "-o", "out"]);
    assert!(said.stderr.contains("note: `fitted`: `step_cost` tells times only"), "{}", said.stderr);
    // Prompts whose start was cached are no whole prompts, and the fit has seen only those.
    assert!(said.stdout.contains("step time stands on: 84 % fitted, 16 % extrapolated"), "{}", said.stdout);
    assert!(!said.stdout.contains("energy") && !said.stdout.contains("mfu"), "neither is known: {}", said.stdout);
    place.succeed(&["run", "out/experiment.lock.toml", "-o", "again"]);
    assert_eq!(place.text("out/summary.csv"), place.text("again/summary.csv"), "the lock file gives the same bytes");
    let about = |setting: &str| place.fail(2, &["run", "x.toml", "-o", "no", "--set", setting]);
    let engine = about("system.fitted.engine=\"none\"");
    assert!(engine.contains("`engine` has no effect beside `step_cost`"), "{engine}");
    let gpus = about("system.fitted.tensor_parallel_size=2");
    assert!(
        gpus.contains("it was fitted to tensor_parallel_size = 1, and this system has tensor_parallel_size = 2"),
        "{gpus}"
    );
    let gpu = about("system.fitted.gpu=\"H100\"");
    assert!(gpu.contains("it was fitted to A100-SXM-80GB, and this system has H100-SXM-80GB"), "{gpu}");
}

/// Imports a part of the shared data, if there is any, and gives back the place and what was said.
fn import_shared(files: &[&str]) -> Option<(Place, serde_json::Value)> {
    let data = shared_data()?;
    let place = Place::new();
    let paths: Vec<String> = files.iter().map(|file| data.join("kernels").join(file).display().to_string()).collect();
    let mut arguments = vec!["profiles", "import", "-o", "tables", "--json"];
    arguments.extend(paths.iter().map(String::as_str));
    let said = place.succeed(&arguments).stdout;
    Some((place, serde_json::from_str(&said).expect("--json prints JSON")))
}

#[test]
fn public_tables_are_imported_and_read_back() {
    let files = [
        "aiconfigurator/A100_vllm_0.14.0_gemm.csv.gz",
        "aiconfigurator/A100_vllm_0.14.0_attention_prefill.csv.gz",
        "aiconfigurator/A100_vllm_0.14.0_moe.csv.gz",
        "llmservingsim/RTX4090_Llama-3.1-8B_tp1_dense.csv",
        "llmservingsim/RTXPRO6000_Qwen3-30B-A3B-Instruct-2507_tp1_moe.csv",
        "llmservingsim_v0/H100_Llama-3.1-8B_tp1_layers.csv.gz",
        "splitwise_forward_pass_power.csv",
        "distserve_a100_distserve_coefficients.json",
        "distserve_a100_vllm_coefficients.json",
    ];
    let Some((place, said)) = import_shared(&files) else {
        return println!("SKIPPED: public_tables_are_imported_and_read_back needs ../shared/data");
    };
    let taken = |file: usize, kernel: Kernel| said["files"][file]["rows_taken"][kernel.name()].as_u64();
    assert_eq!(taken(0, Kernel::Gemm), Some(6840));
    assert_eq!(taken(1, Kernel::PrefillAttention), Some(5457));
    // 2340 rows, of which 540 time experts without a gate.
    assert_eq!(taken(2, Kernel::Experts), Some(1800));
    assert_eq!((taken(3, Kernel::Gemm), taken(3, Kernel::Elementwise)), (Some(608), Some(760)));
    assert_eq!(taken(4, Kernel::Experts), Some(50));
    // Two passes of each of 1260 runs, but for 420 that were not measured and 10 prompts faster than any GPU.
    assert_eq!(taken(6, Kernel::Pass), Some(2 * (1260 - 420) - 10));
    let mut rows = 0;
    let written_as = |end: &str| -> Vec<String> {
        let ends = |name: &String| name.rsplit_once('.').is_some_and(|(_, found)| found == end);
        place.files("tables").into_iter().filter(ends).collect()
    };
    for name in &written_as("csv") {
        let table = written(&place, name);
        assert_eq!(table.write(), place.text(&format!("tables/{name}")), "{name} is written as it was read");
        rows += table.len();
    }
    assert_eq!(written_as("toml").len(), 14);
    println!("USED: {} public files, {rows} rows imported, written and read back the same", files.len());
}
